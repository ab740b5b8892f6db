package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"bonded/internal/frontdoor/rules"
)

// constants returns the string constants of a type in the package's source.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	var found []string
	for _, file := range []string{"names.go", "steps.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typ {
				return true
			}
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				word, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, word)
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatalf("no constants of type %s", typ)
	}
	slices.Sort(found)
	return found
}

func TestConstantsAndPackAgreeBothWays(t *testing.T) {
	r := shipped(t)
	used := map[string][]string{}
	add := func(typ, word string) { used[typ] = append(used[typ], word) }
	for _, s := range r.States() {
		add("State", string(s.ID))
		add("Logged", string(s.Log))
		for _, timer := range r.StateTimers(s.ID) {
			add("TimerID", string(timer.ID))
		}
		for _, e := range r.Transitions(s.ID) {
			add("Duty", string(e.Duty))
			if e.At != "" {
				add("DateOf", string(e.At))
			}
			for _, g := range e.Guards {
				add("Guard", string(g))
			}
		}
	}
	for _, s := range r.TaskStates() {
		add("TaskState", string(s.ID))
	}
	for _, role := range r.Roles() {
		add("Role", string(role.ID))
	}
	for _, c := range r.RejectCodes() {
		add("RejectCode", string(c.ID))
	}
	for _, s := range r.Signals() {
		add("Signal", string(s.ID))
	}
	for _, l := range r.Ladder() {
		for _, p := range l.Allows {
			add("Permission", string(p))
		}
	}
	for _, p := range r.Processes() {
		add("NoticeBy", string(p.Notice))
		add("Kind", string(p.Kind))
		for _, c := range p.Opens {
			add("DataClass", string(c))
		}
	}
	for _, p := range []rules.Priority{rules.PriorityRoutine, rules.PriorityUrgent, rules.PriorityEmergency} {
		add("Priority", string(p)) // keys of deadlines
	}
	for typ, words := range used {
		slices.Sort(words)
		if got, want := slices.Compact(words), constants(t, typ); !slices.Equal(got, want) {
			t.Errorf("%s: the pack uses %q\nthe program has %q", typ, got, want)
		}
	}
	if len(used) != 15 {
		t.Errorf("%d types compared, want 15", len(used))
	}
}

func TestDataClassesAreInOrder(t *testing.T) {
	all := []rules.DataClass{
		rules.ClassExistence, rules.ClassSubscriber, rules.ClassUserIdentification, rules.ClassTraffic, rules.ClassMetadata,
		rules.ClassContent, rules.ClassFinancial, rules.ClassHealth, rules.ClassSourceCode,
	}
	r := shipped(t)
	for _, c := range all {
		rule, ok := r.DataClass(c)
		if !ok {
			t.Fatalf("no class %s", c)
		}
		wantWindow := c != rules.ClassExistence && c != rules.ClassSubscriber && c != rules.ClassSourceCode
		if rule.Window != wantWindow {
			t.Errorf("%s: window %v, want %v", c, rule.Window, wantWindow)
		}
		if r.Covers(c, "unknown") {
			t.Errorf("%s covers an unknown class of fields", c)
		}
		for _, f := range []string{"personal", "sensitive", "anonymous"} {
			strict := c == rules.ClassContent || c == rules.ClassFinancial || c == rules.ClassHealth
			none := c == rules.ClassExistence || c == rules.ClassSourceCode
			if got, want := r.Covers(c, f), !none && (f != "sensitive" || strict); got != want {
				t.Errorf("%s covers %s: %v, want %v", c, f, got, want)
			}
		}
	}
	if _, ok := r.DataClass("everything"); ok {
		t.Error("an unknown class is known")
	}
}
