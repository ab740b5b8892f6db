package bonded_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestStyleWords checks what no linter of ours looks for: errors say what was
// being done and not that it failed, and a TODO names its issue.
func TestStyleWords(t *testing.T) {
	failed := regexp.MustCompile(`"(?:failed to|could not|couldn't|unable to|error while) `)
	todo := regexp.MustCompile(`\b(?:TODO|FIXME|XXX)\b`)
	issue := regexp.MustCompile(`\bTODO\(#\d+\): `)
	for name, text := range textFiles(t) {
		if path.Ext(name) != ".go" || name == "style_test.go" {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if failed.MatchString(line) && !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s:%d: say what was being done: \"open book: %%w\"", name, i+1)
			}
			if todo.MatchString(line) && !issue.MatchString(line) {
				t.Errorf("%s:%d: a TODO carries the number of its issue: TODO(#12): …", name, i+1)
			}
		}
	}
}
