package keyholder

import (
	"context"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// Destroy destroys a subject key. The receipt must prove that the erasure
// stands in the ledger, and its witnesses' time must be at least the undo
// window old: the keyholder waits for nobody's word. Refusals are booked. A
// key destroyed before gives the tombstone there is.
//
// What was wrapped stays in old pages and backups of the database until the
// cell key it was wrapped under is destroyed; see [Limits].OldCellKey.
func (k *Keyholder) Destroy(ctx context.Context, d *wire.Destroy) func() (*verify.Tombstone, error) {
	fail := func(err error) func() (*verify.Tombstone, error) {
		return func() (*verify.Tombstone, error) { return nil, err }
	}
	k.mu.Lock()
	t, err := k.trust, k.ready()
	k.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	// 1. The receipt, by itself.
	receipt, receiptErr := openReceipt(d, t)

	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return fail(err)
	}
	// 2. Asking again is no harm.
	st, known := k.state.subjects[d.Subject]
	if known && st.destroyed() {
		return k.oldTombstone(ctx, d.Subject)
	}
	// 3. The decision, and its entry.
	row := k.newRow(verify.BookDestroy)
	row.Row, row.RowLeaf, row.Operation = d.Ref, d.Leaf, verify.OpErase
	row.Principal, row.Assurance = d.Auth.Principal, d.Auth.Assurance
	row.Purpose, row.Reason, row.Policy = d.Purpose, d.Reason, k.trust.digest
	row.Items = []verify.BookItem{{Subject: d.Subject}}
	r := k.decideDestroy(d, receipt, receiptErr)
	if r.code == "" && !known {
		r = no(bonded.CodeWithheld, "keyholder.no-such-subject")
	}
	row.Digest = r.digest
	p := k.begin()
	if r.code != "" {
		k.refused.Add(1)
		row.Outcome, row.Code, row.Detail, row.Items[0].Code = verify.OutcomeRefused, r.code, r.rule, r.code
		k.append(p, row)
		k.enqueue(p)
		return func() (*verify.Tombstone, error) {
			if err := p.wait(); err != nil {
				return nil, err
			}
			return nil, &bonded.Error{Code: r.code, Message: "the keyholder does not destroy this key", Rules: []string{r.rule}, Hint: destroyHints[r.rule], Err: receiptErr}
		}
	}
	// 4. Gone, with a tombstone.
	k.append(p, row)
	tomb := k.bury(p, d.Subject, st, row)
	k.enqueue(p)
	progress := k.progress(p)
	return func() (*verify.Tombstone, error) {
		if err := p.wait(); err != nil {
			return nil, err
		}
		k.cache.drop(d.Subject) // a read begun before may have put it back
		if err := k.keep(progress, true); err != nil {
			return nil, err // asking again keeps it
		}
		return tomb, nil
	}
}

var destroyHints = map[string]string{
	"keyholder.undo-window": "the undo window set at the keyholder is not over",
	"keyholder.receipt":     "the erasure's entry must be anchored first",
	"keyholder.destroy-cap": "the hourly number of destructions is reached; ask again in an hour",
}

// bury changes the state and the commit; the caller holds mu.
func (k *Keyholder) bury(p *pending, subject bonded.ID, st subjectState, row *verify.BookRow) *verify.Tombstone {
	s := k.state
	tombs, chain, first, due := s.tombs, s.tombChain, s.firstTomb, k.due
	t := &verify.Tombstone{Cell: k.cfg.Cell, N: s.tombs + 1, Mark: k.keys.mark(subject), Time: row.Time}
	t.Chain = verify.TombstoneChain(s.tombChain, t.Mark)
	k.keys.signTombstone(t)

	p.commit.Destroyed = append(p.commit.Destroyed, subject)
	p.commit.Tombstones = append(p.commit.Tombstones, t)
	p.undo = append(p.undo, func() {
		s.subjects[subject] = st
		s.tombs, s.tombChain, s.firstTomb = tombs, chain, first
		k.due = due
		s.live++
		delete(s.marks, t.Mark)
	})
	after := st
	after.n |= destroyedBit
	s.subjects[subject] = after
	s.tombs, s.tombChain = t.N, t.Chain
	s.marks[t.Mark] = struct{}{}
	s.live--
	if s.firstTomb == 0 {
		s.firstTomb = int64(row.Time) //nolint:gosec // milliseconds
	}
	if k.due.since == 0 {
		k.due.since = int64(row.Time) //nolint:gosec // milliseconds
	}
	k.cache.drop(subject)
	return t
}

// decideDestroy rules on a destruction. The caller holds mu.
func (k *Keyholder) decideDestroy(d *wire.Destroy, rep *verify.ReceiptReport, receiptErr error) ruling {
	now := k.now()
	// 1. What the ledger has shown.
	if code, rule := k.witnessed(now); code != "" {
		return no(code, rule)
	}
	if receiptErr != nil {
		return no(bonded.CodeKeyholderRefused, "keyholder.receipt")
	}
	if now.Sub(rep.Checkpoint.WitnessTime()) < k.cfg.Limits.UndoWindow {
		return no(bonded.CodeKeyholderRefused, "keyholder.undo-window")
	}
	// 2. Who asks.
	g := k.grants.find(d.Auth.Principal)
	if g == nil || !g.Erase || now.Before(g.NotBefore) || !now.Before(g.NotAfter) {
		return no(bonded.CodeForbidden, "keyholder.erase-grant")
	}
	r := ruling{}
	switch d.Auth.Assurance {
	case verify.AssuranceVault:
		if !g.Bearer {
			return no(bonded.CodeBearerForbidden, "keyholder.bearer")
		}
	case verify.AssuranceJob:
		if !g.Job {
			return no(bonded.CodeForbidden, "keyholder.job")
		}
	case verify.AssuranceProven:
		named := d.Auth.Named
		if len(named) == 0 {
			named = wire.NamedItems(k.cfg.Cell, []wire.Item{{Subject: d.Subject}})
		}
		if len(named) != 1 || named[0].Subject != (bonded.SubjectID{Cell: k.cfg.Cell, ID: d.Subject}).String() {
			return no(bonded.CodeProof, "keyholder.named")
		}
		q := wire.Request{Cell: k.cfg.Cell, Operation: verify.OpErase, Purpose: d.Purpose, Reason: d.Reason, Named: named, Body: d.Auth.Body}
		r.digest = q.Digest()
		if rule := k.sessions.prove(&d.Auth.Proof, g, r.digest, now); rule != "" {
			return no(bonded.CodeProof, rule)
		}
	case verify.AssuranceNone, verify.AssuranceSubject, verify.AssuranceCase:
		return no(bonded.CodeProof, "keyholder.assurance")
	}
	// 3. The policy that the vault evaluates as well; for jobs the grant alone.
	if d.Auth.Assurance != verify.AssuranceJob {
		q := k.policyRequest(g, &wire.Entry{Operation: verify.OpErase, Purpose: d.Purpose, Auth: d.Auth})
		if ruled := k.trust.cache.Decide(q); !ruled.Allow {
			return no(ruled.Code, first(ruled.Rules))
		}
	}
	// 4. How many an hour.
	limit := g.HourlyCap
	if limit == 0 {
		limit = 100
	}
	ms := millis(now)
	if k.state.budgets.of(g.ID, ms).destroyedN >= limit || k.state.budgets.of(everybody, ms).destroyedN >= k.cfg.Limits.DestroyPerHour {
		return no(bonded.CodeBudget, "keyholder.destroy-cap")
	}
	k.state.budgets.destroyed(g.ID, ms)
	return r
}

// everybody is the budget of all destructions together. No grant has this id.
const everybody = "*"

// cases is the budget of all releases to requesters together.
const cases = "*cases"

// openReceipt checks that the receipt proves the entry of this erasure.
func openReceipt(d *wire.Destroy, t *trust) (*verify.ReceiptReport, error) {
	r, err := verify.ParseReceipt(d.Receipt)
	if err != nil {
		return nil, err
	}
	rep, err := verify.CheckReceipt(r, t.Directory)
	if err != nil {
		return nil, err
	}
	row := rep.Row
	op := row.Operation == verify.OpErase || row.Operation == verify.OpRetention
	if row.Cell != t.cell.ID || !op || row.Outcome != verify.OutcomeAllowed || row.RowRef != d.Ref || rep.Leaf != d.Leaf {
		return nil, verify.Fail(verify.FailRow, "the receipt is not of this erasure")
	}
	for i := range rep.Items {
		if rep.Items[i].Subject == d.Subject {
			return rep, nil
		}
	}
	return nil, verify.Fail(verify.FailItem, "the receipt does not show this subject")
}

// oldTombstone returns the tombstone of a subject destroyed before.
func (k *Keyholder) oldTombstone(ctx context.Context, subject bonded.ID) func() (*verify.Tombstone, error) {
	mark, b := k.keys.mark(subject), k.barrier()
	progress := k.progress(b)
	return func() (*verify.Tombstone, error) {
		if err := b.wait(); err != nil {
			return nil, err
		}
		if err := k.keep(progress, true); err != nil {
			return nil, err
		}
		for from := uint64(1); ; {
			ts, err := k.cfg.Store.Tombstones(ctx, from, 4096)
			if err != nil {
				return nil, err
			}
			for _, t := range ts {
				if t.Mark == mark {
					return t, nil
				}
				from = t.N + 1
			}
			if len(ts) == 0 {
				return nil, bonded.Errorf(bonded.CodeAltered, "the tombstone of an erased person is missing")
			}
		}
	}
}
