package journal

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Tick does once what [Journal.Run] does in its intervals: enters counted
// refusals when their time has come, seals, and anchors if the journal has a
// ledger.
func (j *Journal) Tick(ctx context.Context) error {
	errs := []error{j.aggregateIfDue(ctx), j.Seal(ctx)}
	if j.cfg.Ledger != nil {
		errs = append(errs, j.Anchor(ctx))
	}
	return errors.Join(errs...)
}

func (j *Journal) aggregateIfDue(ctx context.Context) error {
	now := j.now().UnixMilli()
	if now-j.lastAggregate.Load() < j.cfg.AggregateEvery.Milliseconds() {
		return nil
	}
	j.lastAggregate.Store(now)
	return j.Aggregate(ctx)
}

// Run seals and anchors until ctx ends; errors are logged and what failed is
// tried again in the next interval. At the end it enters and seals what is
// left. It returns nil.
func (j *Journal) Run(ctx context.Context) error {
	anchoring := make(chan struct{})
	go func() { // an anchor can take long, and sealing goes on meanwhile
		defer close(anchoring)
		if j.cfg.Ledger != nil {
			j.every(ctx, j.cfg.AnchorEvery, "anchor", j.Anchor)
		}
	}()
	j.every(ctx, j.cfg.SealEvery, "seal", func(ctx context.Context) error {
		return errors.Join(j.aggregateIfDue(ctx), j.Seal(ctx))
	})
	<-anchoring
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := errors.Join(j.Aggregate(last), j.Seal(last)); err != nil {
		j.log.ErrorContext(last, "the last segment could not be sealed; it is when the node starts again", slog.Any("err", err))
	}
	return nil
}

func (j *Journal) every(ctx context.Context, d time.Duration, task string, do func(context.Context) error) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			j.log.ErrorContext(ctx, "a regular task of the journal failed; it is tried again", slog.String("task", task), slog.Any("err", err))
		}
	}
}
