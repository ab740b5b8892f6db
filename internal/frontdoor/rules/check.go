package rules

import (
	"fmt"
	"regexp"
	"slices"

	"bonded"
	"bonded/internal/nearest"
)

// memory is the citation of a rule that nobody has checked against a source.
const memory = "memory"

// Limits of a pack.
const (
	MaxSubjects   = 1000  // named people of one task, whatever pack or cell say
	maxWindowDays = 36500 // days
	maxExtensions = 10
)

// fieldClasses are the classes that the schemas of a vault know.
var fieldClasses = []string{"personal", "sensitive", "anonymous"}

var (
	idForm           = regexp.MustCompile(`^[a-z][a-z0-9_]{1,63}$`)
	versionForm      = regexp.MustCompile(`^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$`)
	dateForm         = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`)
	jurisdictionForm = regexp.MustCompile(`^([A-Z]{2}|any)$`)
)

func wrong(field, message, hint string) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
}

// check holds the mark against the citations, as packs of regulations do.
func (b *Basis) check() error {
	if len(b.Cite) == 0 {
		return wrong("cite", "cites nothing", "name a source, or memory")
	}
	only := !slices.ContainsFunc(b.Cite, func(c string) bool { return c != memory })
	switch {
	case only && !b.Unverified:
		return wrong("cite", "rests on memory alone", "add unverified: true, or a source")
	case !only && b.Unverified:
		return wrong("unverified", "marked unverified, but cites a source", "remove it, and name what the source does not say in from_memory")
	case only && len(b.FromMemory) > 0:
		return wrong("from_memory", "everything here is from memory", "remove from_memory")
	case !slices.Contains([]string{"high", "medium", "low"}, b.Confidence):
		return wrong("confidence", "unknown confidence", "use high, medium or low")
	}
	return nil
}

// Validate checks which fields of the vault the class covers.
func (c *ClassRule) Validate() error {
	for i, f := range c.Covers {
		if !slices.Contains(fieldClasses, f) {
			return wrong(at("covers", i), "unknown class of fields", nearest.Hint(f, fieldClasses))
		}
	}
	return unique("covers", c.Covers)
}

// Validate checks that somebody can give the approval.
func (a *ApprovalRule) Validate() error {
	if !idForm.MatchString(a.ID) {
		return wrong("id", "an id is lower-case letters, digits and underscores", "")
	}
	if len(a.MetBy) == 0 {
		return wrong("met_by", "nobody can give this approval", "name a role of approver")
	}
	for i, r := range a.MetBy {
		if !idForm.MatchString(r) {
			return wrong(at("met_by", i), "a role is lower-case letters, digits and underscores", "")
		}
	}
	return unique("met_by", a.MetBy)
}

// Validate checks what a process type says against itself.
func (p *Process) Validate() error {
	if !idForm.MatchString(p.ID) {
		return wrong("id", "an id is lower-case letters, digits and underscores", "")
	}
	if !jurisdictionForm.MatchString(p.Jurisdiction) {
		return wrong("jurisdiction", "not a country", "write two capitals, or any")
	}
	if len(p.Needs) == 0 {
		return wrong("needs", "a process type needs somebody's approval", "")
	}
	if err := p.checkKind(); err != nil {
		return err
	}
	switch {
	case p.WindowDays < 0 || p.WindowDays > maxWindowDays:
		return wrong("window_days", fmt.Sprintf("not between 1 and %d", maxWindowDays), "")
	case p.MaxSubjects < 0 || p.MaxSubjects > MaxSubjects:
		return wrong("max_subjects", fmt.Sprintf("not between 1 and %d", MaxSubjects), "more people are more tasks; without a name there is no task")
	case p.Voluntary && p.Kind == KindPreserve:
		return wrong("voluntary", "a preservation is not voluntary", "")
	}
	for i, n := range p.NeedsFor {
		for _, c := range n.Classes {
			if !slices.Contains(p.Opens, c) {
				return wrong(at("needs_for", i), "names a class that the process type does not open", "add it to opens, or take it out here")
			}
		}
	}
	if err := p.Deadlines.check("deadlines"); err != nil {
		return err
	}
	if err := p.OtherAuthority.check("other_authority"); err != nil {
		return err
	}
	return p.check()
}

func (p *Process) checkKind() error {
	source := slices.Contains(p.Opens, ClassSourceCode)
	switch {
	case p.Kind == KindPreserve && len(p.Opens) > 0:
		return wrong("opens", "a preservation opens nothing", "write opens: []")
	case p.Kind == KindPreserve && p.Hold <= 0:
		return wrong("kind", "a preservation has an end", "add hold:")
	case p.Kind == KindDisclose && len(p.Opens) == 0:
		return wrong("opens", "a disclosure opens something", "list data classes")
	case p.Kind == KindDisclose && (p.Hold != 0 || p.Extend != 0 || p.ExtendTimes != 0):
		return wrong("kind", "a disclosure has no hold", "remove hold, extend and extend_times")
	case (p.Extend > 0) != (p.ExtendTimes > 0) || p.ExtendTimes < 0 || p.ExtendTimes > maxExtensions:
		return wrong("extend_times", "extend and extend_times go together, up to ten times", "")
	case source && (len(p.Opens) > 1 || !p.RoomOnly):
		return wrong("opens", "source code is read in the room, and alone", "add room_only: true, and list source_code alone")
	case p.RoomOnly && !source:
		return wrong("room_only", "only source code is read in the room", "")
	}
	return nil
}

// check wants more haste to leave less time.
func (d Deadlines) check(field string) error {
	last := MaxSpan
	for _, s := range []Span{d.Routine, d.Urgent, d.Emergency} {
		if s == 0 {
			continue
		}
		if s > last {
			return wrong(field, "more haste leaves more time", "order them: emergency, urgent, routine")
		}
		last = s
	}
	return nil
}

// Validate checks where the reason comes from.
func (r *RejectRule) Validate() error { return r.check() }

// Validate checks the steps of the ladder: numbered from 0, each allowing
// something that the ones below do not.
func (r *RequesterRules) Validate() error {
	seen := map[Permission]bool{}
	for i, l := range r.Ladder {
		if l.Level != i {
			return wrong(at("ladder", i), fmt.Sprintf("level %d comes here", i), "")
		}
		for _, p := range l.Allows {
			if seen[p] {
				return wrong(at("ladder", i), "a lower level allows "+string(p)+" already", "take it out of one of them")
			}
			seen[p] = true
		}
	}
	for _, p := range permissions {
		if !seen[p] {
			return wrong("ladder", "no level allows "+string(p), "")
		}
	}
	if err := complete("signals", r.Signals, signals, func(s SignalRule) Signal { return s.ID }); err != nil {
		return err
	}
	return r.check()
}

// Validate checks the limits that no pack may lift.
func (e *EmergencyRules) Validate() error {
	switch {
	case !e.CallBack:
		return wrong("call_back", "no emergency without a call-back", "write true")
	case e.MaxSubjects < 1 || e.MaxSubjects > MaxSubjects:
		return wrong("max_subjects", fmt.Sprintf("not between 1 and %d", MaxSubjects), "")
	case e.WindowDays < 1 || e.WindowDays > maxWindowDays:
		return wrong("window_days", fmt.Sprintf("not between 1 and %d", maxWindowDays), "")
	case len(e.Classes) == 0 || slices.Contains(e.Classes, ClassSourceCode):
		return wrong("classes", "an emergency opens some data of a person, and no source code", "")
	}
	return e.check()
}

// Validate checks that every gag ends.
func (s *SecrecyRules) Validate() error {
	switch {
	case !s.MustEnd:
		return wrong("must_end", "every gag has an end or a review date", "write true")
	case s.Review <= 0:
		return wrong("review", "a review is due some time", "as in 90d")
	case s.NoticeWithin <= 0:
		return wrong("notice_within", "notice is due some time", "as in 24h")
	}
	return s.check()
}

// Validate checks the two that no pack may lift.
func (s *Separation) Validate() error {
	switch {
	case !s.CustodianNotRequester:
		return wrong("custodian_not_of_requester", "no custodian decides on the request of its own agency", "write true")
	case !s.AdministratorHasNoRole:
		return wrong("administrator_has_no_role", "who runs the software holds no role on cases", "write true")
	}
	return nil
}

// Validate checks the length.
func (t *Timer) Validate() error {
	switch {
	case t.After <= 0:
		return wrong("after", "a timer takes some time", "as in 30s")
	case t.After > t.Longest:
		return wrong("after", "longer than longest", "")
	case len(t.From) == 0:
		return wrong("from", "begins in no state", "")
	}
	return nil
}

func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

func unique[T ~string](field string, list []T) error {
	for i, v := range list {
		if slices.Contains(list[:i], v) {
			return wrong(at(field, i), "there twice", "remove one of them")
		}
	}
	return nil
}

// complete wants each of known once in list, whatever the order.
func complete[R any, T ~string](field string, list []R, known []T, id func(R) T) error {
	seen := map[T]bool{}
	for i, r := range list {
		if seen[id(r)] {
			return wrong(at(field, i), "there twice", "remove one of them")
		}
		seen[id(r)] = true
	}
	for _, k := range known {
		if !seen[k] {
			return wrong(field, field+" lacks "+string(k), "add it: the program speaks of it")
		}
	}
	return nil
}
