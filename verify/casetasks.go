package verify

import (
	"crypto/sha256"
	"slices"
	"time"

	"bonded/internal/canon"
)

// Actions of decisions that change the tasks of a case.
const (
	ActionNarrow     = "narrow"      // offers the requester a narrower scope
	ActionAccept     = "accept"      // the requester takes it
	ActionAnswer     = "answer"      // the requester answers, or does not take it
	ActionRefuseTask = "refuse_task" // refuses single tasks
)

// A DecidedTask is a task as it stands after decisions.
type DecidedTask struct {
	CaseTask
	Narrowed bool
	Refused  string // reject code; empty: not refused
}

// DecideTasks applies decisions, in their order, to the tasks of a request: a
// narrowing counts once the requester has accepted it. A change that is no
// narrowing, or of a task that is not there, is a [Failure] with code
// statement. Who may decide what is for the caller to check.
func DecideTasks(r *CaseRequest, decisions []*CaseDecision) ([]DecidedTask, error) {
	tasks := make([]DecidedTask, len(r.Tasks))
	for i := range r.Tasks {
		tasks[i].CaseTask = r.Tasks[i]
	}
	var offered []TaskChange
	for _, d := range decisions {
		switch d.Action {
		case ActionNarrow:
			if err := CheckNarrowing(tasks, d.Tasks); err != nil {
				return nil, err
			}
			offered = d.Tasks
		case ActionAnswer:
			offered = nil
		case ActionAccept:
			for i := range offered {
				narrow(&tasks[offered[i].Task], &offered[i])
			}
			offered = nil
		case ActionRefuseTask:
			for i := range d.Tasks {
				c := &d.Tasks[i]
				if c.Task < 0 || c.Task >= len(tasks) || c.Code == "" {
					return nil, Fail(FailStatement, "the decision refuses a task that is not there, or without a code")
				}
				tasks[c.Task].Refused = c.Code
			}
		}
	}
	return tasks, nil
}

// CheckNarrowing reports whether changes only take away from tasks, and take
// away something. The error is a [Failure] with code statement.
func CheckNarrowing(tasks []DecidedTask, changes []TaskChange) error {
	bad := func(i int, why string) error { return Fail(FailStatement, "change %d of the narrowing %s", i, why) }
	if len(changes) == 0 {
		return Fail(FailStatement, "the narrowing changes nothing")
	}
	seen := map[int]bool{}
	for i := range changes {
		c := &changes[i]
		if c.Task < 0 || c.Task >= len(tasks) || seen[c.Task] {
			return bad(i, "names a task that is not there, or one twice")
		}
		seen[c.Task] = true
		t := &tasks[c.Task]
		if c.Code != "" || t.Refused != "" {
			return bad(i, "is about a refusal")
		}
		before := *t
		for _, f := range c.FieldsWanted {
			if !slices.Contains(t.FieldsWanted, f) {
				return bad(i, "asks for a field that the request does not")
			}
		}
		switch {
		case c.From != nil && (t.From == nil || c.From.Before(*t.From)), c.To != nil && (t.To == nil || c.To.After(*t.To)):
			return bad(i, "asks for a wider window")
		case c.MaxSubjects < 0 || c.MaxSubjects > max(1, t.MaxSubjects):
			return bad(i, "asks for more people")
		}
		after := before
		narrow(&after, c)
		if after.From != nil && after.To != nil && !after.From.Before(*after.To) {
			return bad(i, "leaves an empty window")
		}
		if string(after.encode()) == string(before.encode()) {
			return bad(i, "changes nothing")
		}
	}
	return nil
}

func narrow(t *DecidedTask, c *TaskChange) {
	t.Narrowed = true
	if len(c.FieldsWanted) > 0 {
		t.FieldsWanted = c.FieldsWanted
	}
	if c.From != nil {
		t.From = c.From
	}
	if c.To != nil {
		t.To = c.To
	}
	if c.MaxSubjects > 0 {
		t.MaxSubjects = c.MaxSubjects
	}
}

// TasksDigest returns what somebody approves who approves tasks: SHA-256 over a
// label, the digest of the request and what the tasks ask for, targets among
// it.
func TasksDigest(request [32]byte, tasks []DecidedTask) [32]byte {
	parts := [][]byte{request[:]}
	for i := range tasks {
		parts = append(parts, tasks[i].encode())
	}
	return sha256.Sum256(append([]byte("bonded/tasks/1"), canon.LP(parts...)...))
}

func (t *DecidedTask) encode() []byte {
	var w canon.Writer
	w.String(t.Refused)
	w.String(t.Kind)
	w.Uint(uint64(len(t.Targets)))
	for _, target := range t.Targets {
		w.String(target.Format)
		w.String(target.Value)
	}
	w.String(t.DataClass)
	w.String(t.Collection)
	w.Strings(t.FieldsWanted)
	for _, at := range []*time.Time{t.From, t.To, t.HoldUntil} {
		text := ""
		if at != nil {
			text = at.UTC().Format(time.RFC3339Nano)
		}
		w.String(text)
	}
	w.Uint(uint64(max(1, t.MaxSubjects))) //nolint:gosec // at least one
	return w.B
}

// ParseCaseRequest reads the body of a signed request strictly. It checks no
// signature and no rule. The error is a [Failure] with code malformed.
func ParseCaseRequest(s *Statement) (*CaseRequest, error) {
	r := new(CaseRequest)
	return r, decodeAs(s, r, &r.Format, LabelRequest)
}

// ParseCaseDecision reads the body of a signed decision as [ParseCaseRequest]
// reads a request.
func ParseCaseDecision(s *Statement) (*CaseDecision, error) {
	d := new(CaseDecision)
	return d, decodeAs(s, d, &d.Format, LabelDecision)
}

// ParseAgency reads an entry of the register likewise.
func ParseAgency(s *Statement) (*Agency, error) {
	a := new(Agency)
	return a, decodeAs(s, a, &a.Format, LabelAgency)
}

// ParsePerson reads an entry of the register likewise.
func ParsePerson(s *Statement) (*Person, error) {
	p := new(Person)
	return p, decodeAs(s, p, &p.Format, LabelPerson)
}

func decodeAs(s *Statement, v any, format *string, label string) error {
	if s == nil {
		return Fail(FailMalformed, "there is no statement")
	}
	if err := s.DecodeBody(v); err != nil {
		return err
	}
	if *format != label {
		return Fail(FailMalformed, "the statement is not in the format %s", label)
	}
	return nil
}
