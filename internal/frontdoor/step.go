package frontdoor

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// A step is one commit on one case: whatever changes in it, its entries, and
// the work that follows are durable together or not at all.
type step struct {
	s   *Service
	q   frontdoorsql.Q
	c   *kase
	now time.Time

	entries int
	file_   *file
}

// An act is why a case is about to change: who acts, in which part, and what
// guards need to know besides the case.
type act struct {
	by       rules.Role // whose part the rules see
	person   string     // id; empty for the clock
	decision *verify.CaseDecision
	content  [][32]byte // digests of the signed statements behind it
	sum      [32]byte   // instead of content: the value of the field itself
	event    string     // absent: verify.EventTransition
	detail   string
	checked  bool // the request's form and signature were checked in this call

	approvals []*verify.Approval // of a quorum
	proof     bool               // the opening is witnessed, partials verified, keys sealed to the requester
}

// change runs do on a case in one commit, at a time of the local clock.
func (s *Service) change(ctx context.Context, id bonded.CaseID, now time.Time, do func(*step) error) error {
	err := s.store.Update(ctx, func(q frontdoorsql.Q) error {
		c, err := s.load(q, id)
		if err != nil {
			return err
		}
		st := &step{s: s, q: q, c: c, now: now}
		if err := do(st); err != nil {
			return err
		}
		return st.end()
	})
	if err == nil {
		s.nudge()
	}
	return err
}

// end writes the case, and opens its entries to the public once nothing keeps
// them: the case is over and no secrecy is in force.
func (st *step) end() error {
	if st.entries > 0 && st.s.final(st.c.state) && !st.c.Secrecy.active() {
		if err := st.s.cfg.Book.RevealCase(st.q.Tx(), st.c.row.ID, verify.FieldPerson); err != nil {
			return err
		}
	}
	return st.s.save(st.q, st.c)
}

// file returns the statements of the case.
func (st *step) file() (*file, error) {
	if st.file_ == nil {
		f, err := st.s.file(st.q, st.c)
		if err != nil {
			return nil, err
		}
		st.file_ = f
	}
	return st.file_, nil
}

// move takes the case to another state, if the rules have a way there for
// whoever acts and all its guards hold, with exactly one entry.
func (st *step) move(to rules.State, a *act) error {
	// 1. The way.
	from := st.c.state
	way, ok := st.s.rules.Transition(from, to, a.by)
	if !ok {
		return conflict("a case in state "+string(from)+" does not go to "+string(to)+" by "+string(a.by), "read the case again: actions has what is possible now")
	}

	// 2. Its guards.
	for _, g := range way.Guards {
		if err := st.guard(g, a); err != nil {
			return err
		}
	}

	// 3. The state, the entry, and what follows from being there.
	st.leave(from)
	st.c.state, st.c.Entered = to, st.now
	if err := st.enter(a, string(from), string(to)); err != nil {
		return err
	}
	return st.arrive()
}

// leave sees to what rests in a state: the clock of an answer, where the
// process type lets it.
func (st *step) leave(from rules.State) {
	p, _ := st.s.rules.Process(st.c.row.Process)
	if from == rules.StateClarification && p.ClarificationPauses && !st.c.Deadline.IsZero() {
		st.c.Deadline = st.c.Deadline.Add(st.now.Sub(st.c.Entered))
	}
}

// arrive sees to what a state brings with it.
func (st *step) arrive() error {
	c := st.c
	switch c.state { //nolint:exhaustive // the other states bring nothing
	case rules.StatePreserved:
		st.tasks(rules.TaskHeld, rules.TaskReceived, rules.TaskInReview)
		if c.Hold == nil {
			if err := st.freeze(); err != nil {
				return err
			}
		}
	case rules.StateUnderReview:
		st.tasks(rules.TaskInReview, rules.TaskReceived, rules.TaskHeld)
	case rules.StateNoticePending:
		st.tasks(rules.TaskApproved, rules.TaskInReview, rules.TaskNarrowed)
		if st.announces() {
			return st.work(workAnnounce, "", st.now, nil)
		}
	case rules.StateAwaitingQuorum:
		return st.work(workScope, "", st.now, nil)
	case rules.StateOpening, rules.StateEmergencyOpened:
		st.tasks(rules.TaskOpened, rules.TaskApproved, rules.TaskInReview, rules.TaskNarrowed)
		c.OpenedAt = st.now
		return st.work(workRelease, "", st.now, nil)
	case rules.StateDelivered:
		st.tasks(rules.TaskDelivered, rules.TaskOpened)
	case rules.StateRatified:
		return st.tellLater()
	case rules.StateUnratified:
		return firstErr(st.unratified(), st.tellLater())
	case rules.StateClosed, rules.StateRejected, rules.StateWithdrawn, rules.StateLapsed:
		return st.over()
	}
	return nil
}

// over ends what a final state leaves no room for.
func (st *step) over() error {
	c := st.c
	if c.state == rules.StateWithdrawn {
		st.tasks(rules.TaskWithdrawn, rules.TaskReceived, rules.TaskHeld, rules.TaskInReview, rules.TaskNarrowed, rules.TaskApproved)
	}
	if c.state == rules.StateLapsed {
		st.tasks(rules.TaskLapsed, rules.TaskReceived, rules.TaskHeld, rules.TaskInReview, rules.TaskNarrowed, rules.TaskApproved)
	}
	c.Approved, c.Asked = nil, false
	if c.Scope != nil && c.OpenedAt.IsZero() {
		c.Scope = nil
	}
	if c.Hold.active() {
		if err := st.thaw("released", &act{by: rules.RoleClock}); err != nil {
			return err
		}
	}
	for _, kind := range []string{workScope, workAnnounce} {
		if err := st.q.DropWorkOf(c.row.ID, kind); err != nil {
			return err
		}
	}
	return st.tellLater()
}

// tasks sets the state of tasks that are in one of the states from.
func (st *step) tasks(to rules.TaskState, from ...rules.TaskState) {
	for i := range st.c.Tasks {
		if slices.Contains(from, st.c.Tasks[i].Status) {
			st.c.Tasks[i].Status = to
		}
	}
}

// enter makes one entry of the case in the ledger, in this commit. from and to
// are states, both empty for what changes none.
func (st *step) enter(a *act, from, to string) error {
	c := st.c
	event := a.event
	if event == "" {
		event = verify.EventTransition
	}
	e := &verify.CaseEntry{
		Type: verify.EntryCase, Case: c.row.ID, Jurisdiction: string(c.Country), Requester: c.AgencyKind,
		Process: c.row.Process, Basis: c.Basis, Class: c.Class, Event: event, From: from, State: to, Actor: string(a.by),
		Detail: a.detail, Targets: uint64(c.TargetsTotal), Subjects: uint64(len(c.Subjects)), //nolint:gosec // counts
		Content: a.sum, Time: uint64(st.now.Unix()), Person: personField(c.Subjects), //nolint:gosec // after 1970
	}
	if c.Scope != nil {
		e.Scope = c.Scope.Digest
	}
	if len(a.content) > 0 {
		e.Content = verify.ContentDigest(a.content...)
	}
	id, err := st.s.cfg.Book.Add(st.q.Tx(), e, personIDs(c.Subjects)...)
	if err != nil {
		return err
	}
	c.row.Number++
	st.entries++
	row := &frontdoorsql.Entry{Number: c.row.Number, Book: id, Time: st.now.Unix(), Event: event, From: from, State: to, Actor: string(a.by), Detail: a.detail}
	if a.decision != nil {
		row.Decision = a.decision.Action
	}
	if err := st.q.AddEntry(c.row.ID, row); err != nil {
		return err
	}
	switch event {
	case verify.EventQuorum:
		c.Scope.Entry = id
	case verify.EventOpening:
		c.Opening = id
	}
	return nil
}

// note makes an entry that changes no state.
func (st *step) note(event, detail string, a *act) error {
	b := *a
	b.event, b.detail = event, detail
	return st.enter(&b, "", "")
}

// personField is the value of the one field whose salt can be erased: the
// subject, or a digest over several.
func personField(subjects []bonded.ID) []byte {
	switch len(subjects) {
	case 0:
		return nil
	case 1:
		return subjects[0][:]
	}
	h := sha256.Sum256(append([]byte("bonded/persons/1"), canon.LP(personIDs(subjects)...)...))
	return h[:]
}

func personIDs(subjects []bonded.ID) [][]byte {
	out := make([][]byte, len(subjects))
	for i := range subjects {
		out[i] = subjects[i][:]
	}
	return out
}

// work adds work of this case to the commit.
func (st *step) work(kind, key string, due time.Time, body []byte) error {
	return st.q.AddWork(&frontdoorsql.Work{Case: st.c.row.ID, Kind: kind, Key: key, Due: due.Unix(), Body: body})
}
