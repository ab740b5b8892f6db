package terminal_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"bonded/internal/terminal"
)

func TestCleanReplacesWhatMovesTheTerminal(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "Käthe Grünwald, 北京 👩‍🚒", "Käthe Grünwald, 北京 👩‍🚒"},
		{"escape sequences", "a\x1b[2Jb\u009b1mc", "a\ufffd[2Jb\ufffd1mc"},
		{"lines, tabs and nothing", "a\nb\tc\rd\x00e\x7f", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffd"},
		{"direction", "a\u202eb\u2067c\u200fd\u061ce", "a\ufffdb\ufffdc\ufffdd\ufffde"},
		{"separators", "a\u2028b\u2029c", "a\ufffdb\ufffdc"},
		{"not UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
	} {
		if got := terminal.Clean(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31mb\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := terminal.Clean(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) || terminal.Clean(got) != got {
			t.Errorf("%q became %q", s, got)
		}
	})
}
