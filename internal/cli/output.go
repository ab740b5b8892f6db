package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"bonded"
	"bonded/internal/deploy"
	"bonded/internal/terminal"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits an int
}

// asJSON is set once, before a command runs.
func (s *streams) json(yes bool) { s.asJSON = yes }

// print writes v as JSON, or what table writes.
func (s *streams) print(v any, table func(w *tabwriter.Writer)) error {
	if s.asJSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// row writes one line of a table.
func row(w io.Writer, cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = terminal.Clean(fmt.Sprint(c))
	}
	fmt.Fprintln(w, strings.Join(text, "\t"))
}

// unreadable says which file could not be read, and why.
func unreadable(path, what string, err error) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: what + " cannot be read: " + deploy.Cause(err), Err: err}
}

// join writes a list for a table.
func join[T ~string](list []T) string {
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = string(v)
	}
	return strings.Join(text, ", ")
}
