package frontdoor

import (
	"context"
	"errors"
	"time"

	"bonded"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
)

// clock does what is due on every case.
func (s *Service) clock(ctx context.Context) error {
	now := s.now()
	for {
		ids, err := s.store.Read(ctx).DueCases(now.Unix(), 64)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.tick(ctx, bonded.CaseID{Cell: s.cfg.Cell, ID: id}, now); err != nil {
				return err
			}
		}
	}
}

// tick does what is due on one case, in one commit. What fires moves the case
// on, or moves its date: a deadline fires once, also across restarts.
func (s *Service) tick(ctx context.Context, id bonded.CaseID, now time.Time) error {
	if gone, err := s.dropDraft(ctx, id, now); err != nil || gone {
		return err
	}
	return s.change(ctx, id, now, func(st *step) error {
		st.c.notBefore = now.Add(pollSoon)
		if err := st.tickSecrecy(); err != nil {
			return err
		}
		for range len(s.rules.States()) { // each step leads on; none leads back
			moved, err := st.tickState()
			if err != nil || !moved {
				return err
			}
		}
		return nil
	})
}

// tickState takes the first way out of the state that the clock takes and that
// is due.
func (st *step) tickState() (bool, error) {
	for _, way := range st.s.rules.Transitions(st.c.state) {
		if way.By != rules.RoleClock {
			continue
		}
		at, witnessed, ok := st.s.dueBy(st.c, &way)
		clock := st.now
		if witnessed {
			clock = st.s.witnessed()
		}
		if !ok || clock.Before(at) {
			continue
		}
		err := st.move(way.To, &act{by: rules.RoleClock})
		if err == nil {
			return true, nil
		}
		if code := bonded.CodeOf(err); code != bonded.CodeForbidden && code != bonded.CodeConflict {
			return false, err
		}
		st.c.notBefore = st.now.Add(pollGuard)
	}
	return false, nil
}

// dueBy returns when the clock takes a way, and whether witness time decides.
func (s *Service) dueBy(c *kase, way *rules.Transition) (at time.Time, witnessed, ok bool) {
	switch {
	case way.At == rules.DateHoldUntil:
		if c.Hold == nil {
			return at, true, false
		}
		return c.Hold.Until, !c.Hold.Released, true
	case way.Timer == rules.TimerRatify:
		at = c.EmergencyAt.Add(s.rules.Timer(rules.TimerRatify))
	case way.Timer == rules.TimerChallenge:
		at = c.Entered.Add(s.rules.ChallengeWindow(c.row.Process))
	case way.Timer != "":
		at = c.Entered.Add(s.rules.Timer(way.Timer))
	case way.To == rules.StatePreserved:
		p, _ := s.rules.Process(c.row.Process)
		return c.Entered, false, p.PreserveOnReceipt
	case way.To == rules.StateChallengeWindow:
		return c.Entered, false, c.NoticeSent
	default:
		return at, false, false
	}
	if way.At == rules.DateValidTo && c.ValidTo.Before(at) {
		at = c.ValidTo
	}
	return at, false, true
}

// due returns when the clock next has to look at a case, 0 for never.
func (s *Service) due(c *kase) int64 {
	now := s.now()
	var next time.Time
	take := func(at time.Time, witnessed bool) {
		if witnessed && !at.After(now) && s.witnessed().Before(at) {
			at = now.Add(pollSoon) // the witnesses are not there yet
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if c.state == rules.StateDraft {
		return time.Unix(c.row.Filed, 0).Add(s.cfg.DraftLife).Unix()
	}
	for _, way := range s.rules.Transitions(c.state) {
		if way.By != rules.RoleClock {
			continue
		}
		if at, witnessed, ok := s.dueBy(c, &way); ok {
			take(at, witnessed)
		}
	}
	if g := c.Secrecy; g.active() {
		take(g.end(), true)
		if g.ReviewAt != nil && g.State != secrecyReviewDue {
			take(*g.ReviewAt, true)
		}
	}
	if next.IsZero() {
		return 0
	}
	if next.Before(c.notBefore) {
		next = c.notBefore // it was looked at just now
	}
	return max(1, ceil(next))
}

// ceil is the first whole second at which t has come.
func ceil(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// dropDraft forgets a draft whose documents did not come.
func (s *Service) dropDraft(ctx context.Context, id bonded.CaseID, now time.Time) (bool, error) {
	err := s.store.Update(ctx, func(q frontdoorsql.Q) error {
		row, err := q.Case(id.ID)
		if err != nil {
			return err
		}
		if row == nil || row.State != string(rules.StateDraft) || row.Due == 0 || row.Due > now.Unix() {
			return errStop
		}
		return q.DropDraft(id.ID)
	})
	if errors.Is(err, errStop) {
		return false, nil
	}
	return err == nil, err
}
