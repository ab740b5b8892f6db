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
		text[i] = strings.Map(printable, fmt.Sprint(c))
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

// printable keeps values from moving the cursor or the table.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
		return '\ufffd'
	}
	return r
}
