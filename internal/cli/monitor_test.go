package cli_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bonded/internal/cli"
)

// The monitor looks at the small cell of the vectors, which has no cases.
func TestMonitorEndsWithItsAnswer(t *testing.T) {
	const cell = "../../spec/vectors/cell"
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	feed := file("feed.json", `{"openings":[],"next":1}`)
	state := filepath.Join(dir, "state")
	monitor := func(ledger string, more ...string) (int, string) {
		var out bytes.Buffer
		args := append([]string{"monitor", ledger, "--once", "--directory", cell + "/cells.json", "--openings", feed, "--stale", "1000000h", "--anchor-age", "1000000h"}, more...)
		code := cli.Run(args, strings.NewReader(""), &out, io.Discard)
		return code, out.String()
	}
	for range 2 { // the second time against the checkpoint of the first
		if code, out := monitor(cell+"/ledger", "--state", state); code != 0 || !strings.Contains(out, "holds") {
			t.Fatalf("exit %d: %s", code, out)
		}
	}
	for name, c := range map[string]struct {
		ledger string
		more   []string
		code   int
		says   string
	}{
		"an old checkpoint":       {cell + "/ledger", []string{"--stale", "1m"}, 1, "checkpoint since"},
		"an old anchor":           {cell + "/ledger", []string{"--anchor-age", "1ns"}, 1, "anchor since"},
		"no ledger":               {dir, nil, 2, "cannot be read"},
		"no feed":                 {cell + "/ledger", []string{"--openings", filepath.Join(dir, "none")}, 2, "openings from number 1"},
		"an opening of elsewhere": {cell + "/ledger", []string{"--openings", file("bad.json", `{"openings":[{}],"next":2}`)}, 1, "malformed"},
		"another state":           {cell + "/ledger", []string{"--state", file("other", "log.example/other\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAAAAAA\n")}, 1, "origin"},
	} {
		if code, out := monitor(c.ledger, c.more...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %d: %s", name, code, c.code, out)
		}
	}
}
