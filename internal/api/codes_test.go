package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bonded/internal/apitype"
)

// TestErrorsAreDocumented holds the table of codes and docs/errors.md against
// the constants in error.go.
func TestErrorsAreDocumented(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var constants []string
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(s.Names[0].Name, "Code") {
			text, err := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			constants = append(constants, text)
		}
		return true
	})
	table := map[string]apitype.CodeInfo{}
	for _, c := range apitype.Codes {
		if _, ok := table[string(c.Code)]; ok {
			t.Errorf("code %s stands twice in apitype.Codes", c.Code)
		}
		table[string(c.Code)] = c
	}
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 5 && strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			documented[strings.Trim(cells[0], "`")] = cells
		}
	}
	slices.Sort(constants)
	if got := slices.Sorted(maps.Keys(table)); !slices.Equal(got, constants) {
		t.Errorf("apitype.Codes has %v\nerror.go has %v", got, constants)
	}
	if got := slices.Sorted(maps.Keys(documented)); !slices.Equal(got, constants) {
		t.Errorf("docs/errors.md has %v\nerror.go has %v", got, constants)
	}
	for code, cells := range documented {
		c := table[code]
		if cells[1] != strconv.Itoa(c.Status) || cells[2] != strconv.Itoa(c.Exit) || cells[3] == "" || cells[4] == "" {
			t.Errorf("docs/errors.md: %s stands as status %s, exit %s; the table says %d, %d", code, cells[1], cells[2], c.Status, c.Exit)
		}
	}
}
