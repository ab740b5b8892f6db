package bonded_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// maxDirect is the ceiling of direct dependencies while there is the cell
// alone, and 45 when all parts are there.
const maxDirect = 32

// TestDirectDependencies checks that they are few, that docs/dependencies.md
// says why each is here, and that go.mod replaces nothing.
func TestDirectDependencies(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(mod.Replace) > 0 || len(mod.Exclude) > 0 {
		t.Error("go.mod replaces or excludes a module: what we build must be what others get")
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	direct := directModules(t, mod)
	if len(direct) > maxDirect {
		t.Errorf("%d direct dependencies, at most %d", len(direct), maxDirect)
	}
	for _, req := range mod.Require {
		path := req.Mod.Path
		if direct[path] == req.Indirect {
			t.Errorf("%s: go.mod is not tidy: indirect is %v", path, req.Indirect)
		}
		said := strings.Contains(string(doc), "\n| `"+path+"` | "+req.Mod.Version+" |")
		if direct[path] && !said {
			t.Errorf("%s %s: docs/dependencies.md has no line for it", path, req.Mod.Version)
		}
		if !direct[path] && strings.Contains(string(doc), "\n| `"+path+"` |") {
			t.Errorf("%s: docs/dependencies.md explains it, and nothing imports it", path)
		}
		delete(direct, path)
	}
	for path := range direct {
		t.Errorf("%s is imported and not in go.mod", path)
	}
}

// directModules returns the modules whose packages this module imports itself,
// tests included, whatever go.mod says of them.
func directModules(t *testing.T, mod *modfile.File) map[string]bool {
	t.Helper()
	direct := make(map[string]bool)
	for _, goos := range []string{"linux", "windows"} {
		for _, line := range goList(t, []string{"GOOS=" + goos}, `{{range .Imports}}{{.}} {{end}}{{range .TestImports}}{{.}} {{end}}{{range .XTestImports}}{{.}} {{end}}`, "./...") {
			for imp := range strings.FieldsSeq(line) {
				first, _, _ := strings.Cut(imp, "/")
				if ours(imp) || !strings.Contains(first, ".") {
					continue
				}
				direct[moduleOf(mod, imp)] = true
			}
		}
	}
	return direct
}

// moduleOf returns the module of go.mod that holds a package, or the package
// itself if none does.
func moduleOf(mod *modfile.File, imp string) string {
	best := ""
	for _, req := range mod.Require {
		path := req.Mod.Path
		if (imp == path || strings.HasPrefix(imp, path+"/")) && len(path) > len(best) {
			best = path
		}
	}
	if best == "" {
		return imp
	}
	return best
}
