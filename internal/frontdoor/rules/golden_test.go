package rules_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"bonded/internal/frontdoor/rules"
)

const specFile = "../../../spec/frontdoor-rules.md"

// TestSpecShowsTheShippedRules holds the diagram and tables of the spec
// against the pack. UPDATE=1 rewrites them.
func TestSpecShowsTheShippedRules(t *testing.T) {
	b, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	r := shipped(t)
	for mark, want := range map[string]string{"diagram": diagram(r), "transitions": transitions(r), "timers": timers(r), "processes": processes(r), "classes": classes(r), "codes": codes(r), "digest": fmt.Sprintf("`%s`: `%x`\n", r.Name(), r.Digest())} {
		begin, end := "<!-- begin "+mark+" -->\n", "<!-- end "+mark+" -->\n"
		before, rest, ok := strings.Cut(text, begin)
		got, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no marks for %s", specFile, mark)
		}
		if got != want && os.Getenv("UPDATE") == "" {
			t.Errorf("%s: %s are not those of the pack; review, then run UPDATE=1 go test -run TestSpecShows\nwant:\n%s", specFile, mark, want)
		}
		text = before + begin + want + end + after
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(specFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func diagram(r *rules.Rules) string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> draft\n")
	for _, s := range r.States() {
		by := map[rules.State][]string{}
		var order []rules.State
		for _, e := range r.Transitions(s.ID) {
			if e.To == rules.StateWithdrawn {
				continue // said in words: it would cross everything
			}
			if by[e.To] == nil {
				order = append(order, e.To)
			}
			by[e.To] = append(by[e.To], string(e.By))
		}
		for _, to := range order {
			fmt.Fprintf(&b, "    %s --> %s: %s\n", s.ID, to, strings.Join(by[to], ", "))
		}
		if s.Final {
			fmt.Fprintf(&b, "    %s --> [*]\n", s.ID)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func transitions(r *rules.Rules) string {
	var b strings.Builder
	b.WriteString("| from | to | by | duty | guards | when |\n|---|---|---|---|---|---|\n")
	for _, s := range r.States() {
		for _, e := range r.Transitions(s.ID) {
			guards := make([]string, len(e.Guards))
			for i, g := range e.Guards {
				guards[i] = string(g)
			}
			var when []string
			if e.Timer != "" {
				word := "within"
				if e.By == rules.RoleClock {
					word = "after"
				}
				when = append(when, word+" "+string(e.Timer))
			}
			if e.At != "" {
				when = append(when, "at "+string(e.At))
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", e.From, e.To, e.By, e.Duty, strings.Join(guards, ", "), strings.Join(when, ", or "))
		}
	}
	return b.String()
}

func timers(r *rules.Rules) string {
	var b strings.Builder
	b.WriteString("| timer | begins in | default | longest | what for |\n|---|---|---|---|---|\n")
	seen := map[rules.TimerID]bool{}
	for _, s := range r.States() {
		for _, timer := range r.StateTimers(s.ID) {
			if seen[timer.ID] {
				continue
			}
			seen[timer.ID] = true
			from := make([]string, len(timer.From))
			for i, f := range timer.From {
				from[i] = string(f)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", timer.ID, strings.Join(from, ", "), timer.After, timer.Longest, timer.Text)
		}
	}
	return b.String()
}

func processes(r *rules.Rules) string {
	var b strings.Builder
	b.WriteString("| process type | where | opens | needs | notice | deadline | basis |\n|---|---|---|---|---|---|---|\n")
	for _, p := range r.Processes() {
		opens := make([]string, len(p.Opens))
		for i, c := range p.Opens {
			opens[i] = string(c)
		}
		what := strings.Join(opens, ", ")
		if p.Kind == rules.KindPreserve {
			what = fmt.Sprintf("nothing: holds %s, %d × %s more", p.Hold, p.ExtendTimes, p.Extend)
		}
		var due []string
		for _, d := range []struct {
			word string
			span rules.Span
		}{{"", p.Deadlines.Routine}, {"urgent ", p.Deadlines.Urgent}, {"emergency ", p.Deadlines.Emergency}} {
			if d.span > 0 {
				due = append(due, d.word+d.span.String())
			}
		}
		basis := p.Confidence
		switch {
		case p.Unverified:
			basis += ", **unverified**"
		case len(p.FromMemory) > 0:
			basis += "; from memory: " + strings.Join(p.FromMemory, ", ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", p.ID, p.Jurisdiction, what, strings.Join(p.Needs, ", "), p.Notice, strings.Join(due, ", "), basis)
	}
	return b.String()
}

func classes(r *rules.Rules) string {
	var b strings.Builder
	b.WriteString("| class | what it is | fields of the vault | from–to |\n|---|---|---|---|\n")
	for _, id := range everyClass {
		c, _ := r.DataClass(id)
		window := ""
		if c.Window {
			window = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Text, strings.Join(c.Covers, ", "), window)
	}
	return b.String()
}

func codes(r *rules.Rules) string {
	var b strings.Builder
	b.WriteString("| code | why | annex III | besides |\n|---|---|---|---|\n")
	for _, c := range r.RejectCodes() {
		form := ""
		if c.Form != "" {
			form = "yes, **unverified**"
		}
		besides := strings.Join(c.Fields, ", ")
		if c.Proof != "" {
			besides = "shows " + c.Proof
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Text, form, besides)
	}
	return b.String()
}
