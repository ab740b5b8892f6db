package frontdoor

import (
	"bytes"
	"context"
	"slices"

	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
)

// listFormat is part of what the lists were made by: it changes with the code
// that decides who a case waits for.
const listFormat = "1/"

// relists is how many cases are put into lists in one commit.
const relists = 500

// waiters are those whom cases can wait for.
var waiters = []reader{
	{readRequester, rules.RoleRequester},
	{readOperator, rules.RoleIntake},
	{readOperator, rules.RoleLegal},
	{readGuardian, rules.RoleGuardian},
	{readCustodian, rules.RoleCustodian},
}

// ended are the states in which nothing more is due from people.
var ended = []rules.State{
	rules.StateDelivered, rules.StateRatified, rules.StateUnratified, rules.StateClosed, rules.StateRejected, rules.StateWithdrawn, rules.StateLapsed,
}

// noteLists keeps a case where those find it whom it waits for.
func (s *Service) noteLists(q frontdoorsql.Q, c *kase) error {
	goesOn := c.state != rules.StateDraft && !slices.Contains(ended, c.state)
	var lists []string
	if goesOn {
		lists = append(lists, frontdoorsql.ListOpen)
	}
	for i := range waiters {
		if r := &waiters[i]; c.knownTo(r) && apitype.Awaits(s.actionsOf(c, r, s.now())) {
			lists = append(lists, string(r.role))
		}
	}
	p := frontdoorsql.Place{Urgency: 1, Deadline: frontdoorsql.NoDeadline, N: c.row.N}
	if rules.Priority(c.row.Priority) == rules.PriorityEmergency {
		p.Urgency = 0
	}
	if !c.Deadline.IsZero() && c.Package == nil {
		p.Deadline = min(c.Deadline.Unix(), frontdoorsql.NoDeadline)
	}
	return q.SetLists(c.row.ID, p, goesOn, lists)
}

// knownTo reports whether somebody in this part may know of the case.
func (c *kase) knownTo(r *reader) bool {
	switch r.kind {
	case readCustodian:
		return c.Round > 0
	case readRequester:
		return true
	}
	return c.state != rules.StateDraft
}

// relist puts cases into lists that another release has changed, and all of
// them when the rules are others than they were.
func (s *Service) relist(ctx context.Context) error {
	digest := s.rules.Digest()
	by := append([]byte(listFormat), digest[:]...)
	err := s.store.Update(ctx, func(q frontdoorsql.Q) error {
		was, err := q.Value("lists")
		if err != nil || bytes.Equal(was, by) {
			return err
		}
		return firstErr(q.Unlist(), q.SetValue("lists", by))
	})
	for more := true; more && err == nil; {
		err = s.store.Update(ctx, func(q frontdoorsql.Q) error {
			rows, err := q.Unlisted(relists)
			if err != nil {
				return err
			}
			for i := range rows {
				c, err := s.open(&rows[i])
				if err != nil {
					return err
				}
				if err := s.noteLists(q, c); err != nil {
					return err
				}
			}
			more = len(rows) == relists
			return nil
		})
	}
	return err
}
