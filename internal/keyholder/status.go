package keyholder

import (
	"context"
	"crypto/ed25519"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// signTombstone signs t.
func (k *keys) signTombstone(t *verify.Tombstone) {
	copy(t.Sig[:], ed25519.Sign(k.sign, t.Message()))
}

// Hello answers where the keyholder's books stand. A vault that has seen a
// later head, signed by this keyholder, or more tombstones, shows that this
// database was restored from an old copy: code restored_old.
func (k *Keyholder) Hello(_ context.Context, h *wire.Hello) func() (*wire.Hello, error) {
	fail := func(err error) func() (*wire.Hello, error) {
		return func() (*wire.Hello, error) { return nil, err }
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if h.Cell != k.cfg.Cell {
		return fail(bonded.Errorf(bonded.CodeWrongCell, "this is the keyholder of cell %s, not %s", k.cfg.Cell, h.Cell))
	}
	answer := &wire.Hello{Cell: k.cfg.Cell}
	if k.sealed {
		answer.Sealed = true
		answer.Head.Cell = k.cfg.Cell
		return func() (*wire.Hello, error) { return answer, nil }
	}
	if err := k.ready(); err != nil {
		return fail(err)
	}
	if h.Head.Seq > 0 {
		if h.Head.Cell != k.cfg.Cell || !h.Head.Verify(k.keys.public()) {
			return fail(bonded.Errorf(bonded.CodeInvalid, "the head the vault has seen is not signed by this keyholder"))
		}
		if err := k.extends(&h.Head); err != nil {
			return fail(err)
		}
	}
	if err := k.hasTombstones(h.Tombstones, h.Chain, false); err != nil {
		return fail(err)
	}
	answer.Tombstones, answer.Chain = k.state.tombs, k.state.tombChain
	answer.Policy, answer.Key = k.trust.digest, k.keys.tombstone
	ks, b := k.keys, k.barrier()
	return func() (*wire.Hello, error) {
		if err := b.wait(); err != nil {
			return nil, err
		}
		k.inUse.RLock()
		defer k.inUse.RUnlock()
		if *ks.wiped {
			return nil, errLocked
		}
		answer.Head = ks.signHead(b.head)
		return answer, nil
	}
}

// Status says how the keyholder stands; a sealed one signs nothing.
func (k *Keyholder) Status(_ context.Context) func() (*wire.Status, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	st := &wire.Status{Sealed: k.sealed, Refused: k.refused.Load()}
	st.Head.Cell = k.cfg.Cell
	if err := k.ready(); err != nil {
		st.Reason = reasonOf(err)
		return func() (*wire.Status, error) { return st, nil }
	}
	s := k.state
	st.Subjects, st.KeyVersion, st.Rewrapped = s.live, k.keys.current, s.live-min(s.old, s.live)
	st.Unanchored, st.Asserted, st.Resolved, st.Proven, st.Cases = uint64(len(s.unanch.rows)), s.asserted, s.resolved, s.proven, s.cases
	if ks := k.custody.of(); ks != nil {
		st.Epoch, st.KeySet = ks.Epoch(), ks.Digest()
	}
	if k.grants != nil {
		st.GrantSet = k.grants.number
	}
	if !k.fresh.witnessed.IsZero() {
		st.Witnessed = uint64(k.fresh.witnessed.Unix()) //nolint:gosec // after 1970
	}
	for _, c := range controlSubjects {
		if v := k.control.waiting[c]; v != nil {
			st.Waiting = append(st.Waiting, k.waits(c, v))
		}
	}
	st.Refusal = k.refusal[:min(len(k.refusal), wire.MaxRefusal)]
	now := k.now()
	if _, next := k.keys.dueCellKeys(now); !next.IsZero() {
		st.RewrapsUntil = uint64(next.Unix()) //nolint:gosec // after 1970
	}
	switch code, rule := k.witnessed(now); {
	case code == bonded.CodeRestored:
		st.Reason = "restored_old: " + k.restored
	case code != "":
		st.Reason = string(code) + ": " + ruleTexts[rule]
	case k.grants == nil:
		st.Reason = "no grants are installed"
	}
	ks, b := k.keys, k.barrier()
	return func() (*wire.Status, error) {
		if err := b.wait(); err != nil {
			st.Reason = reasonOf(err)
			return st, nil
		}
		k.inUse.RLock()
		defer k.inUse.RUnlock()
		if *ks.wiped {
			return nil, errLocked
		}
		st.Head = ks.signHead(b.head)
		return st, nil
	}
}

var ruleTexts = map[string]string{
	"keyholder.start-check":          "the ledger has not been shown up to an anchor made since the start",
	"keyholder.checkpoint-age":       "the newest cosigned checkpoint is too old",
	"keyholder.release-unanchored":   "a release is not in an anchored segment in time",
	"keyholder.tombstone-unanchored": "no anchor names an erasure in time",
	"keyholder.unanchored-many":      "too many releases are not in an anchored segment",
}

func reasonOf(err error) string {
	s := string(bonded.CodeOf(err))
	if e, ok := err.(*bonded.Error); ok { //nolint:errorlint // only its own message is shown
		s += ": " + e.Message
	}
	return s
}

// Book returns the canonical bytes of at most limit durable rows after a
// number.
func (k *Keyholder) Book(ctx context.Context, after uint64, limit int) ([][]byte, error) {
	k.mu.Lock()
	err := k.ready()
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if limit < 1 || limit > 4096 {
		return nil, bonded.Errorf(bonded.CodeInvalid, "between 1 and 4096 rows can be asked for")
	}
	rows, err := k.cfg.Store.Rows(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	// A frame holds 16 MiB: fewer rows are never a sign of the end to a caller
	// that goes on until it gets none.
	list, size := make([][]byte, 0, len(rows)), 0
	for i := range rows {
		if size += len(rows[i].Row) + 8; size > wire.MaxFrame/2 && i > 0 {
			break
		}
		list = append(list, rows[i].Row)
	}
	return list, nil
}

// Tombstones returns at most 4,096 durable tombstones from a number on.
func (k *Keyholder) Tombstones(ctx context.Context, from uint64) ([]*verify.Tombstone, error) {
	k.mu.Lock()
	err := k.ready()
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return k.cfg.Store.Tombstones(ctx, from, 4096)
}

// SubjectCount returns the signed count of a subject's releases; 0 for one
// that never was.
func (k *Keyholder) SubjectCount(_ context.Context, subject bonded.ID) func() (*verify.SubjectCount, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return func() (*verify.SubjectCount, error) { return nil, err }
	}
	st := k.state.subjects[subject]
	ks, b := k.keys, k.barrier()
	return func() (*verify.SubjectCount, error) {
		if err := b.wait(); err != nil {
			return nil, err
		}
		k.inUse.RLock()
		defer k.inUse.RUnlock()
		if *ks.wiped {
			return nil, errLocked
		}
		c := &verify.SubjectCount{Cell: k.cfg.Cell, Subject: subject, N: st.count(), Chain: st.chain, Head: b.head.Chain, Time: b.head.Time}
		copy(c.Sig[:], ed25519.Sign(ks.sign, c.Message()))
		return c, nil
	}
}
