package frontdoor

import (
	"context"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// maxOverview is how many deadlines an overview names.
const maxOverview = 10

// readers are the roles of those who may read every case.
var readers = []rules.Role{rules.RoleIntake, rules.RoleLegal, rules.RoleGuardian}

// Overview returns how many cases are in each state, to everybody with a role
// at the cell, and the next deadlines to those who may read every case. It
// opens no case. Code withheld for everybody else.
func (s *Service) Overview(ctx context.Context, call *apitype.PersonCall) (*apitype.CaseOverview, error) {
	now, q := s.now(), s.store.Read(ctx)
	p, err := s.person(q, call.Person, now)
	if err != nil {
		return nil, err
	}
	if p == nil || rules.Role(p.Role) == rules.RoleRequester {
		return nil, withheld()
	}
	out := &apitype.CaseOverview{States: map[string]int64{}, Listed: slices.Contains(readers, rules.Role(p.Role)), Changes: s.Changes()}
	tallies, err := q.CountStates()
	if err != nil {
		return nil, err
	}
	for _, t := range tallies {
		if rules.State(t.State) != rules.StateDraft { // known to its officer alone
			out.States[t.State] = t.Count
		}
	}
	if out.Overdue, err = q.Overdue(now.Unix(), apitype.MaxOverdue); err != nil || !out.Listed {
		return out, err
	}
	due, err := q.Deadlines(maxOverview)
	for _, d := range due {
		out.Due = append(out.Due, apitype.CaseDue{
			Case: bonded.CaseID{Cell: s.cfg.Cell, ID: d.Case}, State: d.State, Process: d.Process, Priority: d.Priority, Deadline: time.Unix(d.Deadline, 0).UTC(),
		})
	}
	return out, err
}

// Changes rises with each change of a case since the start.
func (s *Service) Changes() uint64 { return s.changes.Load() }

// OpeningsAt returns what has been opened of the case leaves from an index of
// the ledger up to another. Anyone may read it.
func (s *Service) OpeningsAt(ctx context.Context, from, to int64) ([]*verify.CaseOpening, error) {
	return s.cfg.Book.OpeningsAt(ctx, from, to)
}

// noteDeadline keeps the deadline of a case where an overview finds it.
func (s *Service) noteDeadline(q frontdoorsql.Q, c *kase) error {
	at := int64(0)
	if !c.Deadline.IsZero() && c.Package == nil && !s.final(c.state) {
		at = c.Deadline.Unix()
	}
	return q.SetDeadline(c.row.ID, at)
}
