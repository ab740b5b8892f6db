package frontdoor

import (
	"context"
	"time"

	"bonded"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// A hold keeps records from erasure and retention.
type hold struct {
	Until      time.Time `json:"until"`
	Extensions int       `json:"extensions"`
	Released   bool      `json:"released,omitempty"`
	Done       bool      `json:"done,omitempty"` // the vault has frozen them
}

func (h *hold) active() bool { return h != nil && !h.Released }

// freeze begins the hold of a case: until the latest date of its tasks, or,
// where the case freezes only on the way to a disclosure, the instrument's end.
func (st *step) freeze() error {
	f, err := st.file()
	if err != nil {
		return err
	}
	p, _ := st.s.rules.Process(st.c.row.Process)
	until := time.Time{}
	for i := range f.tasks {
		if h := f.tasks[i].HoldUntil; h != nil && h.After(until) {
			until = *h
		}
	}
	if p.Kind != rules.KindPreserve || until.IsZero() {
		until = st.c.ValidTo
	}
	st.c.Hold = &hold{Until: until.UTC().Truncate(time.Second)}
	if err := st.note(verify.EventFreeze, "held", &act{by: rules.RoleVaultkeeper, content: [][32]byte{f.digest}}); err != nil {
		return err
	}
	return st.work(workFreeze, "", st.now, nil)
}

// thaw ends the hold.
func (st *step) thaw(detail string, a *act) error {
	st.c.Hold.Released = true
	st.tasks(rules.TaskReleasedHold, rules.TaskHeld)
	if err := st.q.DropWorkOf(st.c.row.ID, workFreeze); err != nil {
		return err
	}
	if err := st.note(verify.EventFreeze, detail, a); err != nil {
		return err
	}
	return st.work(workThaw, "", st.now, nil)
}

// extendHold keeps the hold longer, as far and as often as the process type
// lets it.
func (st *step) extendHold(a *act) error {
	c := st.c
	p, _ := st.s.rules.Process(c.row.Process)
	if !c.Hold.active() || p.Kind != rules.KindPreserve {
		return conflict("there is no hold to extend", "only a process type that freezes and opens nothing extends a hold")
	}
	until := a.decision.Until
	switch {
	case c.Hold.Extensions >= p.ExtendTimes:
		return forbidden("hold.extend_times", "the process type allows no further extension of a hold", "ask for production of what is held")
	case until == nil || !until.After(c.Hold.Until):
		return wrongEnd("hold.after_present", "an extension names a date after the present one", "the hold ends at "+c.Hold.Until.Format(time.RFC3339)+" as it is")
	case until.Sub(c.Hold.Until) > p.Extend.Duration():
		return wrongEnd("hold.extend_most", "longer than the process type extends a hold", "at most "+p.Extend.String()+" more")
	}
	c.Hold.Until, c.Hold.Extensions = until.UTC().Truncate(time.Second), c.Hold.Extensions+1
	return st.note(verify.EventFreeze, "extended", a)
}

// releaseHold ends the hold before its time. A case that only freezes is
// closed with it when legal does it, and lapses by the clock otherwise.
func (st *step) releaseHold(a *act) error {
	if !st.c.Hold.active() {
		return conflict("there is no hold", "")
	}
	if err := st.thaw("released", a); err != nil {
		return err
	}
	if a.by == rules.RoleLegal && st.c.state == rules.StatePreserved && st.guard(rules.GuardPreserveOnly, a) == nil {
		return st.move(rules.StateClosed, a)
	}
	return nil
}

// runFreeze finds whom a case names and has the vault keep their records.
func (s *Service) runFreeze(ctx context.Context, w *frontdoorsql.Work) error {
	q, c, err := s.workCase(ctx, w)
	if err != nil {
		return err
	}
	if !c.Hold.active() || c.Hold.Done {
		return s.drop(ctx, w)
	}
	f, err := s.file(q, c)
	if err != nil {
		return err
	}
	found, err := s.resolve(ctx, c, f)
	if err != nil {
		return err
	}
	if err := s.cfg.Records.Freeze(ctx, c.id, found.people); err != nil {
		return err
	}
	return s.change(ctx, c.id, s.now(), func(st *step) error {
		st.found(found)
		if st.c.Hold.active() {
			st.c.Hold.Done = true
		}
		return st.done(w)
	})
}

// runThaw has the vault keep them no longer.
func (s *Service) runThaw(ctx context.Context, w *frontdoorsql.Work) error {
	if err := s.cfg.Records.Unfreeze(ctx, bonded.CaseID{Cell: s.cfg.Cell, ID: w.Case}); err != nil {
		return err
	}
	return s.drop(ctx, w)
}

// produced ends the hold of a case of which another has produced what it held.
func (s *Service) runProduced(ctx context.Context, w *frontdoorsql.Work) error {
	return s.change(ctx, bonded.CaseID{Cell: s.cfg.Cell, ID: w.Case}, s.now(), func(st *step) error {
		if st.c.Hold.active() {
			if err := st.thaw("produced", &act{by: rules.RoleVaultkeeper}); err != nil {
				return err
			}
		}
		return st.done(w)
	})
}
