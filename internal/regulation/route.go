package regulation

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/nearest"
)

// Facts are what is known of a person and of who handles the data. Each may
// have several values; any of them counts. Where citizenship or place of
// collection is not given, residence stands for it.
type Facts struct {
	Residence     []bonded.Jurisdiction // countries; at least one
	Citizenship   []bonded.Jurisdiction // countries
	Collected     []bonded.Jurisdiction // countries in which the data was collected or made
	Service       []bonded.Jurisdiction // countries the service is offered in
	OperatorClass []string              // classes of operator that some pack describes; none is a fact too
}

// A Deployment is the cells there are.
type Deployment struct {
	Cells   []Cell
	Default bonded.CellID // for people whose law names no home
}

// A Cell is where it stands.
type Cell struct {
	ID            bonded.CellID
	Jurisdictions []bonded.Jurisdiction
}

// Ids of decisions that no single rule makes.
const (
	RuleDefault = "default-cell" // no rule names a home
)

// A Decision says where a person's data lives, and why.
type Decision struct {
	Cell       bonded.CellID       `json:"cell,omitempty"`
	Home       bonded.Jurisdiction `json:"home,omitempty"` // the country the law names, if it names one
	RuleID     string              `json:"rule"`           // the rule that decided, or RuleDefault
	Rules      []string            `json:"rules"`          // every binding rule that matched, the deciding one first
	Reason     string              `json:"reason"`
	Cite       []string            `json:"cite,omitempty"`
	Unverified bool                `json:"unverified"` // what decided was not checked against a source
	Considered []Considered        `json:"considered"` // every residency rule of the packs, by id
}

// Considered is how one rule fared.
type Considered struct {
	RuleID  string `json:"rule"`
	Pack    string `json:"pack"`             // id@version
	Status  Status `json:"status,omitempty"` // absent before the first lifecycle entry
	Matched bool   `json:"matched"`          // the facts meet its conditions
	Binds   bool   `json:"binds"`            // it is in force
}

// Route returns the cell of a person on a day. Every binding rule whose
// conditions the facts meet counts; if none names a home, the default cell
// is returned.
//
// Errors are [*bonded.Error], and come with the decision as far as it went:
// [bonded.CodeInvalid] for a missing or unknown fact, which Field names;
// [bonded.CodeRoutingConflict] if rules name two homes, and
// [bonded.CodeNoCell] if no cell stands in the home, both with the ids in
// Rules; [bonded.CodeConfig] for a deployment without its default cell.
// Nothing may be stored after any of them.
func (t *Table) Route(on time.Time, f Facts, d Deployment) (Decision, error) {
	// 1. Are facts and deployment whole?
	if err := t.checkFacts(f); err != nil {
		return Decision{}, err
	}
	if !slices.ContainsFunc(d.Cells, func(c Cell) bool { return c.ID == d.Default }) {
		return Decision{}, wrong("default_cell", "the default cell is not among the cells", "")
	}

	// 2. Which rules bind this person?
	out := Decision{RuleID: RuleDefault, Rules: []string{}}
	var binding []match
	for _, r := range t.residency {
		m := r.meet(f)
		e, begun := r.rule.Lifecycle.On(on)
		c := Considered{RuleID: r.rule.ID, Pack: r.pack, Matched: m, Binds: begun && e.Status.Binding()}
		if begun {
			c.Status = e.Status
		}
		out.Considered = append(out.Considered, c)
		if m && c.Binds {
			binding = append(binding, match{r.rule, r.rule.Unverified || e.Unverified})
		}
	}
	if len(binding) == 0 {
		out.Cell = d.Default
		out.Reason, out.Cite, out.Unverified = t.noHome(f)
		return out, nil
	}

	// 3. Do they agree? The best-founded one speaks for them.
	slices.SortFunc(binding, byWeight)
	first := binding[0]
	homes := []string{}
	for _, b := range binding {
		out.Rules = append(out.Rules, b.rule.ID)
		homes = append(homes, string(b.rule.Residency.StoreIn))
	}
	slices.Sort(homes)
	if homes = slices.Compact(homes); len(homes) > 1 {
		out.RuleID = ""
		out.Reason = "two laws bind the person to two homes: " + strings.Join(homes, " and ")
		return out, &bonded.Error{
			Code: bonded.CodeRoutingConflict, Message: out.Reason, Rules: out.Rules,
			Hint: "no cell satisfies both; correct the facts, or do not collect this person's data",
		}
	}
	home := first.rule.Residency.StoreIn
	out.Home, out.RuleID, out.Cite, out.Unverified = home, first.rule.ID, first.rule.Cite, first.unverified
	out.Reason = first.rule.Title + " (" + first.rule.Instrument + ")" + assumed(f, first.rule.When)

	// 4. Is there a cell?
	for _, c := range d.Cells {
		if slices.Contains(c.Jurisdictions, home) && (out.Cell == "" || c.ID < out.Cell) {
			out.Cell = c.ID
		}
	}
	if out.Cell == "" {
		return out, &bonded.Error{
			Code: bonded.CodeNoCell, Rules: out.Rules,
			Message: "the law names " + string(home) + " as home and this deployment has no cell there: rule " + first.rule.ID,
			Hint:    "add a cell in " + string(home) + ", or do not collect this person's data",
		}
	}
	return out, nil
}

type match struct {
	rule       Rule
	unverified bool
}

// byWeight puts checked rules before unchecked ones, then by confidence, then
// by id, so that one rule speaks for several in every run.
func byWeight(a, b match) int {
	order := func(m match) int {
		n := map[string]int{"high": 0, "medium": 1, "low": 2}[m.rule.Confidence]
		if m.unverified {
			n += 3
		}
		return n
	}
	return cmp.Or(cmp.Compare(order(a), order(b)), strings.Compare(a.rule.ID, b.rule.ID))
}

// meet reports whether the facts meet the rule's conditions.
func (r residencyRule) meet(f Facts) bool {
	w := r.rule.When
	return meets(w.Residence, f.Residence) &&
		meets(w.Citizenship, or(f.Citizenship, f.Residence)) &&
		meets(w.Collected, or(f.Collected, f.Residence)) &&
		meets(w.Service, f.Service) &&
		meets(w.OperatorClass, f.OperatorClass)
}

func meets[T comparable](wanted, have []T) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w T) bool { return slices.Contains(have, w) })
}

func or[T any](a, b []T) []T {
	if len(a) > 0 {
		return a
	}
	return b
}

// assumed says which fact residence stood for.
func assumed(f Facts, w Conditions) string {
	var facts []string
	if len(w.Citizenship) > 0 && len(f.Citizenship) == 0 {
		facts = append(facts, "citizenship")
	}
	if len(w.Collected) > 0 && len(f.Collected) == 0 {
		facts = append(facts, "place of collection")
	}
	if len(facts) == 0 {
		return ""
	}
	return "; " + strings.Join(facts, " and ") + " not given, residence stands for it"
}

// noHome words why nobody named a home, and says whether that was checked.
func (t *Table) noHome(f Facts) (reason string, cite []string, unverified bool) {
	var parts []string
	for _, j := range f.Residence {
		said := false
		for _, p := range t.packs {
			if !slices.Contains(p.Covers, j) {
				continue
			}
			said = true
			if p.NoHome == nil {
				parts = append(parts, "pack "+p.Name()+" has no rule that binds here")
				continue
			}
			parts = append(parts, "pack "+p.Name()+" says that "+string(j)+" names no home")
			cite = append(cite, p.NoHome.Cite...)
			unverified = unverified || p.NoHome.Unverified
		}
		if !said {
			parts = append(parts, "no pack covers "+string(j)+", so nothing is known of its law")
			unverified = true
		}
	}
	slices.Sort(cite)
	return "no rule names a home: " + strings.Join(parts, "; "), slices.Compact(cite), unverified
}

func (t *Table) checkFacts(f Facts) error {
	if len(f.Residence) == 0 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "residence", Message: "the country of residence is missing", Hint: "give at least one ISO country code"}
	}
	for _, s := range []struct {
		field string
		list  []bonded.Jurisdiction
	}{{"residence", f.Residence}, {"citizenship", f.Citizenship}, {"collected", f.Collected}, {"service", f.Service}} {
		for _, j := range s.list {
			if !KnownCountry(j) {
				return &bonded.Error{Code: bonded.CodeInvalid, Field: s.field, Message: "unknown country code", Hint: countryHint(j)}
			}
		}
	}
	for _, c := range f.OperatorClass {
		if !slices.Contains(t.classes, c) {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "operator_class", Message: "an operator class that no pack describes", Hint: nearest.Hint(c, t.classes)}
		}
	}
	return nil
}
