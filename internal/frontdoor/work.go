package frontdoor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"bonded"
	"bonded/internal/frontdoor/frontdoorsql"
)

// Kinds of work. Each is idempotent: what was done already is found done.
const (
	workScope    = "scope"    // put the scope before the custodians
	workRelease  = "release"  // from the entered opening to the delivery
	workReseal   = "reseal"   // write the records anew under their next version
	workExpire   = "expire"   // remove an expired package
	workFreeze   = "freeze"   // keep records from erasure
	workThaw     = "thaw"     // and no longer
	workProduced = "produced" // end a hold that was produced from
	workAnnounce = "announce" // tell the person before
	workTell     = "tell"     // find out who is to be told after
	workNotice   = "notice"   // tell one person
	workCustody  = "custody"  // bring a certified key set into force
	workRegister = "register" // learn where entries of the register stand
)

// Times of the worker.
const (
	workers   = 4
	lease     = time.Hour // of claimed work; one process has the database, and gives all back at its start
	pollSoon  = time.Second
	pollIdle  = 5 * time.Second
	pollGuard = 30 * time.Second // until the clock tries a guard again that did not hold
	maxWait   = 10 * time.Minute // between tries of what fails
)

// Run does what is due until ctx ends: work, and what the clock does to cases.
func (s *Service) Run(ctx context.Context) error {
	var group sync.WaitGroup
	turn := make(chan struct{}, workers)
	for range workers {
		group.Go(func() {
			for {
				did, err := s.workOnce(ctx)
				if err != nil && ctx.Err() == nil {
					s.log.ErrorContext(ctx, "work of the front door", slog.Any("err", err))
				}
				if did && err == nil {
					continue
				}
				select {
				case <-turn:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	for ctx.Err() == nil {
		changed := s.cfg.Book.Changed()
		if err := s.clock(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "clock of the front door", slog.Any("err", err))
		}
		for range workers {
			select {
			case turn <- struct{}{}:
			default:
			}
		}
		wait := time.NewTimer(s.untilNext(ctx))
		select {
		case <-wait.C:
		case <-s.wake:
		case <-changed:
			s.hasten(ctx)
		case <-ctx.Done():
		}
		wait.Stop()
	}
	group.Wait()
	return ctx.Err()
}

// Turn does everything that is due now, and returns when nothing is. Tests and
// shutdown use it; [Service.Run] is the way of a server.
func (s *Service) Turn(ctx context.Context) error {
	for {
		if err := s.clock(ctx); err != nil {
			return err
		}
		did, err := s.workOnce(ctx)
		if err != nil || !did {
			return err
		}
	}
}

func (s *Service) untilNext(ctx context.Context) time.Duration {
	next, err := s.store.Read(ctx).NextWork()
	if err != nil || next == 0 {
		return pollIdle
	}
	return min(max(time.Until(time.Unix(next, 0)), pollSoon), pollIdle)
}

// hasten looks again at what waits for an entry to be witnessed.
func (s *Service) hasten(ctx context.Context) {
	err := s.store.Update(ctx, func(q frontdoorsql.Q) error {
		return q.HastenKinds(s.now().Unix(), workRelease, workCustody, workRegister)
	})
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "work of the front door", slog.Any("err", err))
	}
}

// workOnce takes the work that is due longest and does it. What fails is put
// back, longer each time.
func (s *Service) workOnce(ctx context.Context) (did bool, err error) {
	now := s.now()
	var w *frontdoorsql.Work
	err = s.store.Update(ctx, func(q frontdoorsql.Q) (err error) {
		w, err = q.ClaimWork(now.Unix(), now.Add(lease).Unix())
		return err
	})
	if err != nil || w == nil {
		return false, err
	}
	err = s.do(ctx, w)
	again := context.WithoutCancel(ctx)
	if err == nil {
		return true, s.store.Update(again, func(q frontdoorsql.Q) error { return q.GiveBackWork(w, s.now().Add(pollSoon).Unix()) })
	}
	wait := pollSoon
	if !isLater(err) {
		wait = min(maxWait, pollSoon<<min(w.Tries, 10))
		if ctx.Err() == nil {
			s.log.WarnContext(ctx, "work of the front door failed and is tried again", slog.String("kind", w.Kind), slog.Int("tries", w.Tries), slog.Any("err", err))
		}
	}
	return true, s.store.Update(again, func(q frontdoorsql.Q) error { return q.DeferWork(w, s.now().Add(wait).Unix()) })
}

func (s *Service) do(ctx context.Context, w *frontdoorsql.Work) error {
	do, ok := map[string]func(context.Context, *frontdoorsql.Work) error{
		workScope: s.runScope, workRelease: s.runRelease, workReseal: s.runReseal, workExpire: s.runExpire,
		workFreeze: s.runFreeze, workThaw: s.runThaw, workProduced: s.runProduced,
		workAnnounce: s.runAnnounce, workTell: s.runTell, workNotice: s.runNotice,
		workCustody: s.runCustody, workRegister: s.runRegister,
	}[w.Kind]
	if !ok {
		return bonded.Errorf(bonded.CodeUnsupported, "work of a kind that a newer version does: %s", w.Kind)
	}
	err := do(ctx, w)
	if bonded.CodeOf(err) == bonded.CodeWithheld && !w.Case.IsZero() {
		if row, rerr := s.store.Read(ctx).Case(w.Case); rerr == nil && row == nil {
			return s.drop(ctx, w) // a draft that is gone
		}
	}
	return err
}

// drop ends work that is not wanted any more.
func (s *Service) drop(ctx context.Context, w *frontdoorsql.Work) error {
	return s.store.Update(ctx, func(q frontdoorsql.Q) error {
		_, err := q.DropWork(w)
		return err
	})
}

// done ends work in the commit that did it.
func (st *step) done(w *frontdoorsql.Work) error {
	_, err := st.q.DropWork(w)
	return err
}

// again makes work of the case due now.
func (st *step) again(kind string) error {
	return st.q.HastenWork(st.c.row.ID, kind, st.now.Unix())
}

var errStop = errors.New("stop")
