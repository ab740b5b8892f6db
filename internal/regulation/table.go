package regulation

import (
	"maps"
	"slices"
	"strings"
	"time"

	"bonded"
)

// A Table is the rules of several packs, ready to ask. It does not change and
// may be used by many goroutines.
type Table struct {
	packs     []Pack
	residency []residencyRule
	abroad    []Rule
	classes   []string
}

type residencyRule struct {
	rule Rule
	pack string
}

// NewTable makes a table of the newest version of each pack. Two packs with
// one rule id are a [*bonded.Error] with code [bonded.CodeConfig].
func NewTable(all []Pack) (*Table, error) {
	newest := map[string]Pack{}
	for _, p := range all {
		if old, ok := newest[p.ID]; !ok || newer(p.Version, old.Version) {
			newest[p.ID] = p
		}
	}
	t := &Table{}
	owner := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(newest)) {
		p := newest[id]
		t.packs = append(t.packs, p)
		t.classes = append(t.classes, slices.Collect(maps.Keys(p.OperatorClasses))...)
		for _, r := range p.Rules {
			if o, ok := owner[r.ID]; ok {
				return nil, wrong("", "rule "+r.ID+" is in pack "+o+" and in pack "+p.ID, "rename one of them")
			}
			owner[r.ID] = p.ID
			if r.Residency != nil {
				t.residency = append(t.residency, residencyRule{r, p.Name()})
			} else {
				t.abroad = append(t.abroad, r)
			}
		}
	}
	slices.Sort(t.classes)
	t.classes = slices.Compact(t.classes)
	slices.SortFunc(t.residency, func(a, b residencyRule) int { return strings.Compare(a.rule.ID, b.rule.ID) })
	slices.SortFunc(t.abroad, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return t, nil
}

// Packs returns the packs of the table by id.
func (t *Table) Packs() []Pack { return slices.Clone(t.packs) }

// OperatorClasses returns the classes that packs describe, sorted.
func (t *Table) OperatorClasses() []string { return slices.Clone(t.classes) }

// A Forbid is an opening that law rules out, whatever an operator permits:
// data of Classes, held in a cell of jurisdiction HeldIn, for a principal in
// none of Inside.
type Forbid struct {
	RuleID     string
	Reason     string
	HeldIn     bonded.Jurisdiction
	Inside     []bonded.Jurisdiction
	Classes    []string // personal, sensitive
	Unverified bool
}

// Forbids returns what binding rules rule out at the given time, by rule id.
func (t *Table) Forbids(on time.Time) []Forbid {
	var out []Forbid
	for _, r := range t.abroad {
		if e, ok := r.Lifecycle.On(on); ok && e.Status.Binding() {
			out = append(out, Forbid{
				RuleID: r.ID, Reason: r.Title + "; there is none here: " + r.OpeningAbroad.Without + " (" + r.Instrument + ")",
				HeldIn: r.OpeningAbroad.HeldIn, Inside: r.OpeningAbroad.Inside, Classes: r.OpeningAbroad.Classes,
				Unverified: r.Unverified || e.Unverified,
			})
		}
	}
	for _, r := range t.residency {
		e, ok := r.rule.Lifecycle.On(on)
		if res := r.rule.Residency; ok && e.Status.Binding() && res.CopiesAbroad == "prohibited" {
			out = append(out, Forbid{
				RuleID: r.rule.ID, Reason: r.rule.Title + "; no copy may leave " + string(res.StoreIn) + " (" + r.rule.Instrument + ")",
				HeldIn: res.StoreIn, Inside: []bonded.Jurisdiction{res.StoreIn}, Classes: []string{"personal", "sensitive"},
				Unverified: r.rule.Unverified || e.Unverified,
			})
		}
	}
	slices.SortFunc(out, func(a, b Forbid) int { return strings.Compare(a.RuleID, b.RuleID) })
	return out
}

// NextChange returns the first moment after the given time at which a rule's
// status changes, and false if none is known. Forbids and routes made before
// it may not hold after it.
func (t *Table) NextChange(after time.Time) (time.Time, bool) {
	var next time.Time
	look := func(l Lifecycle) {
		for _, e := range l {
			if d := e.Date.first; d.After(after) && (next.IsZero() || d.Before(next)) {
				next = d
			}
		}
	}
	for _, r := range t.residency {
		look(r.rule.Lifecycle)
	}
	for _, r := range t.abroad {
		look(r.Lifecycle)
	}
	return next, !next.IsZero()
}
