package rules

import (
	"slices"
	"time"
)

// Process returns a process type, and whether there is one of that id.
func (r *Rules) Process(id string) (Process, bool) {
	p, ok := r.process[id]
	if !ok {
		return Process{}, false
	}
	return *p, true
}

// Processes returns every process type, in the order of the pack.
func (r *Rules) Processes() []Process { return r.p.Processes }

// Opens reports whether a process type opens a data class. An unknown one
// opens nothing.
func (r *Rules) Opens(process string, class DataClass) bool {
	p, ok := r.process[process]
	return ok && slices.Contains(p.Opens, class)
}

// OpensInEmergency reports whether a process type opens a data class before
// the paper is there.
func (r *Rules) OpensInEmergency(process string, class DataClass) bool {
	return r.Opens(process, class) && slices.Contains(r.p.Emergency.Classes, class)
}

// DataClass returns what the pack says of a data class.
func (r *Rules) DataClass(class DataClass) (ClassRule, bool) {
	i := slices.IndexFunc(r.p.DataClasses, func(c ClassRule) bool { return c.ID == class })
	if i < 0 {
		return ClassRule{}, false
	}
	return r.p.DataClasses[i], true
}

// Covers reports whether a task of a data class may name a field that the
// vault's schema puts in fieldClass: personal, sensitive or anonymous.
func (r *Rules) Covers(class DataClass, fieldClass string) bool {
	c, ok := r.DataClass(class)
	return ok && slices.Contains(c.Covers, fieldClass)
}

// MissingApprovals returns the approvals that a process type needs for the
// data classes asked for and that nobody in one of the roles gave. Roles are
// words of the pack's met_by, such as judge. For an unknown process type
// nothing suffices: ask [Rules.Process] first.
func (r *Rules) MissingApprovals(process string, classes []DataClass, given []string) []ApprovalRule {
	p, ok := r.process[process]
	if !ok {
		return r.p.Approvals
	}
	needs := slices.Clone(p.Needs)
	for _, n := range p.NeedsFor {
		if slices.ContainsFunc(classes, func(c DataClass) bool { return slices.Contains(n.Classes, c) }) {
			needs = append(needs, n.Needs...)
		}
	}
	var missing []ApprovalRule
	for i, n := range needs {
		a := r.approval[n]
		met := slices.ContainsFunc(given, func(g string) bool { return slices.Contains(a.MetBy, g) })
		if !met && !slices.Contains(needs[:i], n) {
			missing = append(missing, a)
		}
	}
	return missing
}

// Deadline returns the time from receipt in which a process type wants an
// answer of the given priority, 0 if the law sets none. A priority without a
// deadline of its own has that of the next lower.
func (r *Rules) Deadline(process string, priority Priority) time.Duration {
	p, ok := r.process[process]
	if !ok {
		return 0
	}
	return p.Deadlines.of(priority).Duration()
}

// OtherAuthority returns the time that another authority has to object.
func (r *Rules) OtherAuthority(process string, priority Priority) time.Duration {
	if p, ok := r.process[process]; ok {
		if d := p.OtherAuthority.of(priority); d > 0 {
			return d.Duration()
		}
	}
	return r.Timer(TimerOtherAuthority)
}

func (d Deadlines) of(priority Priority) Span {
	for _, s := range []struct {
		priority Priority
		span     Span
	}{{PriorityEmergency, d.Emergency}, {PriorityUrgent, d.Urgent}, {PriorityRoutine, d.Routine}} {
		if s.span > 0 && slices.Index(priorities, s.priority) <= slices.Index(priorities, priority) {
			return s.span
		}
	}
	return 0
}

// ChallengeWindow returns the time between notice and opening that a process
// type leaves the person; 0 where notice does not come before.
func (r *Rules) ChallengeWindow(process string) time.Duration {
	if p, ok := r.process[process]; ok {
		return r.p.challengeWindow(*p).Duration()
	}
	return r.Timer(TimerChallenge)
}

// DataClasses returns every data class, from what says least about a person.
func (r *Rules) DataClasses() []ClassRule { return r.p.DataClasses }

// Approvals returns everything that a process type may need.
func (r *Rules) Approvals() []ApprovalRule { return r.p.Approvals }

// RejectCode returns what the pack says of a reason to refuse, and whether it
// knows it.
func (r *Rules) RejectCode(id RejectCode) (RejectRule, bool) {
	i := slices.IndexFunc(r.p.RejectCodes, func(c RejectRule) bool { return c.ID == id })
	if i < 0 {
		return RejectRule{}, false
	}
	return r.p.RejectCodes[i], true
}

// RejectCodes returns every reason to refuse, in the order of the pack.
func (r *Rules) RejectCodes() []RejectRule { return r.p.RejectCodes }

// Allows reports whether trust of a level allows something: what it lists, and
// what the levels below it list.
func (r *Rules) Allows(level int, p Permission) bool {
	for _, l := range r.p.Requesters.Ladder {
		if l.Level <= level && slices.Contains(l.Allows, p) {
			return true
		}
	}
	return false
}

// Ladder returns the levels of trust, from 0.
func (r *Rules) Ladder() []Level { return r.p.Requesters.Ladder }

// Signals returns what may be odd about a request.
func (r *Rules) Signals() []SignalRule { return r.p.Requesters.Signals }

// Emergency returns the limits of what opens before the paper is there.
func (r *Rules) Emergency() EmergencyRules { return r.p.Emergency }

// Secrecy returns the limits of secrecy entries.
func (r *Rules) Secrecy() SecrecyRules { return r.p.Secrecy }

// Roles returns who holds which role.
func (r *Rules) Roles() []RoleRule { return r.p.Roles }

// Separation returns what one person, or one role, may not do on one case.
func (r *Rules) Separation() Separation { return r.p.Separation }

// Apart reports whether one person must not hold both roles on one case.
func (r *Rules) Apart(a, b Role) bool {
	return a != b && slices.Contains(r.p.Separation.OneOf, a) && slices.Contains(r.p.Separation.OneOf, b)
}

// ApartDuties reports whether one person must not do both on one case, though
// one role may.
func (r *Rules) ApartDuties(a, b Duty) bool {
	return a != b && slices.Contains(r.p.Separation.PersonDuties, a) && slices.Contains(r.p.Separation.PersonDuties, b)
}
