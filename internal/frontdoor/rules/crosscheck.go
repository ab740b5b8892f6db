package rules

import (
	"slices"

	"bonded/internal/nearest"
)

// Validate checks the sections of a pack against one another and against the
// names that the program knows.
func (p *pack) Validate() error {
	switch {
	case p.ID != "frontdoor":
		return wrong("id", "the rules of the front door have the id frontdoor", "")
	case !versionForm.MatchString(p.Version):
		return wrong("version", "a version is three numbers", "as in 1.0.0")
	case !dateForm.MatchString(p.AsOf):
		return wrong("as_of", "not a day", "write 2026-01-31")
	}
	for _, check := range []func() error{p.checkNames, p.checkProcesses, p.checkCitations, p.checkTimers, p.checkSteps} {
		if err := check(); err != nil {
			return err
		}
	}
	return newMachine(p).check()
}

// checkNames wants every name the program knows in the pack, once.
func (p *pack) checkNames() error {
	for i, c := range p.DataClasses {
		if i < len(dataClasses) && c.ID != dataClasses[i] && !slices.ContainsFunc(p.DataClasses[:i], func(o ClassRule) bool { return o.ID == c.ID }) {
			return wrong(at("data_classes", i), "out of order: "+string(dataClasses[i])+" comes here", "the order is part of the program")
		}
	}
	for _, err := range []error{
		complete("data_classes", p.DataClasses, dataClasses, func(c ClassRule) DataClass { return c.ID }),
		complete("approvals", p.Approvals, nil, func(a ApprovalRule) string { return a.ID }),
		complete("processes", p.Processes, nil, func(c Process) string { return c.ID }),
		complete("reject_codes", p.RejectCodes, rejectCodes, func(r RejectRule) RejectCode { return r.ID }),
		complete("roles", p.Roles, roles, func(r RoleRule) Role { return r.ID }),
		complete("states", p.States, states, func(s StateRule) State { return s.ID }),
		complete("task_states", p.TaskStates, taskStates, func(s TaskStateRule) TaskState { return s.ID }),
		complete("timers", p.Timers, timers, func(t Timer) TimerID { return t.ID }),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pack) checkProcesses() error {
	known := make([]string, len(p.Approvals))
	for i, a := range p.Approvals {
		known[i] = a.ID
	}
	for i, c := range p.Processes {
		needs := slices.Clone(c.Needs)
		for _, n := range c.NeedsFor {
			needs = append(needs, n.Needs...)
		}
		for _, n := range needs {
			if !slices.Contains(known, n) {
				return wrong(at("processes", i), "process type "+c.ID+" needs an approval that the pack does not describe", nearest.Hint(n, known))
			}
		}
		if !slices.IsSortedFunc(c.Opens, byOrder) || len(slices.Compact(slices.Clone(c.Opens))) != len(c.Opens) {
			return wrong(at("processes", i)+".opens", "data classes are listed once, in the order of data_classes", "")
		}
		if c.WindowDays == 0 && slices.ContainsFunc(c.Opens, p.windowed) {
			return wrong(at("processes", i), "process type "+c.ID+" opens a class that has a window, without a limit to it", "add window_days:")
		}
		if r, w := c.Deadlines.Routine, p.challengeWindow(c); r > 0 && w > r {
			return wrong(at("processes", i), "process type "+c.ID+": the challenge window is longer than the deadline", "set challenge_window")
		}
	}
	for i, c := range p.Emergency.Classes {
		if i > 0 && byOrder(p.Emergency.Classes[i-1], c) >= 0 {
			return wrong("emergency.classes", "data classes are listed once, in the order of data_classes", "")
		}
	}
	return nil
}

func (p *pack) windowed(c DataClass) bool {
	return slices.ContainsFunc(p.DataClasses, func(r ClassRule) bool { return r.ID == c && r.Window })
}

func (p *pack) challengeWindow(c Process) Span {
	if c.ChallengeWindow != nil {
		return *c.ChallengeWindow
	}
	return p.timer(TimerChallenge).After
}

func (p *pack) timer(id TimerID) *Timer {
	i := slices.IndexFunc(p.Timers, func(t Timer) bool { return t.ID == id })
	if i < 0 {
		return &Timer{}
	}
	return &p.Timers[i]
}

func (p *pack) checkCitations() error {
	cites := func(field string, b Basis) error {
		for _, c := range b.Cite {
			if _, ok := p.Sources[c]; !ok && c != memory {
				return wrong(field, "cites a source that the pack does not list", "add it to sources")
			}
		}
		return nil
	}
	for i, c := range p.Processes {
		if err := cites(at("processes", i)+".cite", c.Basis); err != nil {
			return err
		}
	}
	for i, r := range p.RejectCodes {
		if err := cites(at("reject_codes", i)+".cite", r.Basis); err != nil {
			return err
		}
	}
	if err := cites("requesters.cite", p.Requesters.Basis); err != nil {
		return err
	}
	if err := cites("emergency.cite", p.Emergency.Basis); err != nil {
		return err
	}
	return cites("secrecy.cite", p.Secrecy.Basis)
}

// checkTimers wants every timer used, where it runs.
func (p *pack) checkTimers() error {
	for i, t := range p.Timers {
		if err := unique(at("timers", i)+".from", t.From); err != nil {
			return err
		}
		if !slices.ContainsFunc(p.Transitions, func(s step) bool { return s.Timer == t.ID }) {
			return wrong(at("timers", i), "no transition names the timer "+string(t.ID), "")
		}
	}
	return nil
}

// checkSteps checks each line of the table for itself, and separation.
func (p *pack) checkSteps() error {
	has := map[Role]Duty{} // the one duty of role_duties that a role has
	for i, s := range p.Transitions {
		for _, e := range []struct {
			field string
			empty bool
		}{{".from", len(s.From) == 0}, {".to", len(s.To) == 0}, {".by", len(s.By) == 0}} {
			if e.empty {
				return wrong(at("transitions", i)+e.field, "names nothing", "")
			}
		}
		if err := unique(at("transitions", i)+".guards", s.Guards); err != nil {
			return err
		}
		if s.At != "" && !slices.Equal(s.By, []Role{RoleClock}) {
			return wrong(at("transitions", i)+".at", "only the clock acts at a date", "")
		}
		if !slices.Contains(p.Separation.RoleDuties, s.Duty) {
			continue
		}
		for _, r := range s.By {
			if d, ok := has[r]; ok && d != s.Duty {
				return wrong(at("transitions", i)+".by", "separation: "+string(r)+" has the duty "+string(d)+" already, and not "+string(s.Duty)+" as well", "give the step to another role")
			}
			has[r] = s.Duty
		}
	}
	return nil
}

func byOrder(a, b DataClass) int { return slices.Index(dataClasses, a) - slices.Index(dataClasses, b) }
