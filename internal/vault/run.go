package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/journal"
	"bonded/verify"
)

// Intervals of the background work.
const (
	recoverEvery   = 500 * time.Millisecond // while the books are not known to agree
	workEvery      = time.Second
	replayEvery    = 10 * time.Minute
	retentionBatch = 256 // records of one entry
)

// Run does the background work until ctx ends: it compares the books whenever
// they may have parted, finishes erasures, ends what retention ends, and goes
// on with jobs. It returns nil.
func (v *Vault) Run(ctx context.Context) error {
	recovering := time.NewTicker(recoverEvery)
	defer recovering.Stop()
	var worked, dropped time.Time
	resumed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-recovering.C:
		case <-v.wake:
		}
		if ok, _ := v.link.state(); !ok {
			if err := v.Recover(ctx); err != nil && ctx.Err() == nil {
				v.log.LogAttrs(ctx, slog.LevelDebug, "books do not agree yet", slog.Any("cause", err))
				continue
			}
		}
		now := time.Now()
		if now.Sub(worked) < workEvery {
			continue
		}
		worked = now
		if !resumed {
			resumed = v.attempt(ctx, "resume jobs", v.resumeJobs)
		}
		v.attempt(ctx, "keep newest head", v.keepNewest)
		v.attempt(ctx, "finish erasures", v.finishDue)
		v.attempt(ctx, "end what is due", v.Retain)
		if now.Sub(dropped) >= replayEvery {
			dropped = now
			v.attempt(ctx, "drop old answers", func(ctx context.Context) error {
				_, err := v.store.Commit(ctx, nil, func(tx Tx) error { return tx.DropReplays(v.now().Unix()) })
				return err
			})
		}
	}
}

func (v *Vault) attempt(ctx context.Context, what string, do func(context.Context) error) bool {
	err := do(ctx)
	if err != nil && ctx.Err() == nil {
		v.log.LogAttrs(ctx, slog.LevelWarn, "background work is tried again", slog.String("work", what), slog.Any("cause", err))
	}
	return err == nil
}

// Reconnected says that the stream to the keyholder is a new one: who answers
// there is compared anew before anything opens. Package node calls it.
func (v *Vault) Reconnected() {
	v.link.break_(&bonded.Error{Code: bonded.CodeKeyholder, Message: "the keyholder has just come back", Hint: "try again in a moment"})
	v.kick()
}

// keepNewest stores the newest head seen, so that an older keyholder is known
// after a restart as well.
func (v *Vault) keepNewest(ctx context.Context) error {
	v.link.mu.Lock()
	head, stored := v.link.newest, v.link.stored
	v.link.mu.Unlock()
	if head.Seq <= stored {
		return nil
	}
	if _, err := v.store.Commit(ctx, nil, func(tx Tx) error { return tx.SetValue(valueNewest, head.Encode()) }); err != nil {
		return notWritable(err)
	}
	v.link.mu.Lock()
	v.link.stored = max(v.link.stored, head.Seq)
	v.link.mu.Unlock()
	return nil
}

// AnchorFacts returns what the next anchor says beside its segments.
func (v *Vault) AnchorFacts(context.Context) (journal.AnchorFacts, error) {
	v.link.mu.Lock()
	defer v.link.mu.Unlock()
	f := journal.AnchorFacts{
		Tombstones: v.link.tombs, TombstoneChain: v.link.chain,
		Policy: v.policy.Load().Set().Digest(), Directory: v.cfg.DirectoryDigest,
	}
	if v.link.newest.Seq > 0 {
		f.Head = v.link.newest.Encode()
	}
	return f, nil
}

// finishDue finishes erasures whose window is over. An erasure is claimed for
// a while, so that a node that dies with it does not keep it.
func (v *Vault) finishDue(ctx context.Context) error {
	if v.mayOpen() != nil {
		return nil //nolint:nilerr // it would be refused; later
	}
	now := v.now()
	var due []*Erasure
	_, err := v.store.Commit(ctx, nil, func(tx Tx) (err error) {
		due, err = tx.ClaimErasures(now.Unix(), now.Add(eraseClaim).Unix(), 16)
		return err
	})
	if err != nil {
		return notWritable(err)
	}
	for _, e := range due {
		wait, cancel := context.WithTimeout(ctx, eraseWait)
		_, err := v.finishErasure(wait, e)
		cancel()
		if err != nil && !isCode(err, bonded.CodeBusy) {
			v.log.LogAttrs(ctx, slog.LevelWarn, "erasure is tried again", slog.Any("cause", err))
		}
	}
	return nil
}

// jobGrant returns the grant for background work, nil if there is none.
func (v *Vault) jobGrant() *grant.Grant {
	g := v.principals.Load().byID[v.cfg.JobGrant]
	if g == nil || !g.Job || len(g.Purposes) == 0 {
		return nil
	}
	return g
}

// jobCall returns a call in the name of the grant for background work.
func (v *Vault) jobCall(g *grant.Grant, id bonded.ID) *Call {
	c := &Call{Grant: g, Assurance: verify.AssuranceJob, RequestID: id}
	c.Why.Purpose = g.Purposes[0]
	return c
}

// Retain ends what retention ends: records and single values whose time is
// over. Their ciphertext is deleted here; a person of whom nothing is left is
// erased, key and all. Reads do not show them in the meantime either.
func (v *Vault) Retain(ctx context.Context) error {
	for {
		now := v.now()
		due, err := v.store.Due(ctx, now.Unix(), retentionBatch)
		if err != nil || len(due) == 0 {
			return err
		}
		n := v.fitting(due, retentionBatch, 1)
		if err := v.retain(ctx, due[:n], now); err != nil {
			return err
		}
		if n == len(due) && n < retentionBatch {
			return nil
		}
	}
}

func (v *Vault) retain(ctx context.Context, due []*Record, now time.Time) error {
	// 1. What ends: whole records, or values of them.
	row := &verify.Row{Time: v.millis(), Operation: verify.OpRetention, Outcome: verify.OutcomeAllowed, Principal: operator, RequestID: bonded.NewID()}
	if g := v.jobGrant(); g != nil {
		row.Principal, row.Assurance, row.Purpose = g.ID, verify.AssuranceJob, g.Purposes[0]
	}
	next := make([]*Record, len(due)) // nil: the whole record ends
	for i, r := range due {
		c := v.cfg.Schema.collectionByID(r.Collection)
		if c == nil {
			return fmt.Errorf("retention: record of collection %d, which the schema lacks", r.Collection)
		}
		item := verify.RowItem{Subject: r.Subject, Record: r.ID}
		if !r.expired(c, now.Unix()) {
			n := *r
			n.Version, n.Fields = r.Version+1, nil
			for _, f := range r.Fields {
				if f.Due == 0 || f.Due > now.Unix() {
					n.Fields = append(n.Fields, f)
				} else if field := c.field(f.Field); field != nil {
					item.Fields = append(item.Fields, field.Name)
				}
			}
			n.Due = dueAt(c, unix(r.Created), n.Fields)
			if len(n.Fields) > 0 {
				next[i] = &n
			}
		}
		row.Items = append(row.Items, item)
	}

	// 2. The entry and the change in one commit.
	p := v.journal.Prepare(row)
	_, err := v.store.Commit(ctx, []journal.Prepared{p}, func(tx Tx) error {
		for i, r := range due {
			if next[i] != nil {
				if err := tx.UpdateRecord(next[i], r); err != nil && !isCode(err, bonded.CodeConflict) {
					return err
				}
				continue
			}
			if err := tx.DeleteRecord(r); err != nil {
				return err
			}
			if err := v.orphanedSubject(tx, r.Subject, &p, i, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("retention: %w", notWritable(err))
	}
	return nil
}

// orphanedSubject orders the erasure of a person of whom no record is left.
func (v *Vault) orphanedSubject(tx Tx, subject bonded.ID, p *journal.Prepared, item int, now time.Time) error {
	left, err := tx.HasRecords(subject)
	if err != nil || left || v.jobGrant() == nil {
		return err
	}
	ok, err := tx.SetState(subject, StateActive, StateErasing)
	if err != nil || !ok {
		return err
	}
	o := &eraseOrder{Retention: true, Principal: p.Row.Principal, Purpose: p.Row.Purpose, Request: p.Row.RequestID.Hex()}
	o.name(p, item)
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("order erasure: %w", err)
	}
	// The keyholder waits for its undo window here as well.
	return tx.PutErasure(&Erasure{Subject: subject, Asked: now.Unix(), Due: now.Add(v.cfg.Undo).Unix(), Body: body})
}
