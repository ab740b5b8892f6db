package keyholder

import (
	"context"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// CatchUp takes up an entry of the ledger that is no anchor of this cell, if
// it is the one that comes next, and returns which comes next then. Anchors
// are shown by [Keyholder.Anchor]. Evidence that does not hold, and an anchor,
// have code not_witnessed.
func (k *Keyholder) CatchUp(_ context.Context, c *wire.CatchUp) func() (*wire.CatchUpResult, error) {
	fail := func(err error) func() (*wire.CatchUpResult, error) {
		return func() (*wire.CatchUpResult, error) { return nil, err }
	}
	k.mu.Lock()
	t, err := k.trust, k.ready()
	k.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	// 1. The evidence, by itself.
	var in *verify.Inclusion
	if len(c.Entry) > 0 {
		if in, err = openEntry(c, t); err != nil {
			return fail(bonded.Wrap(bonded.CodeStale, err, "the entry shown does not hold"))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return fail(err)
	}
	// 2. In its place only.
	p := k.begin()
	if in != nil && in.Index == k.fresh.next() {
		before := k.fresh
		p.undo = append(p.undo, func() { k.fresh = before })
		k.fresh.index, k.fresh.leaf = in.Index, [32]byte(in.LeafHash)
		k.fresh.size = max(k.fresh.size, in.Checkpoint.Size)
		k.startCheck(in.Checkpoint)
		p.commit.Anchor = k.acceptedAnchor()
	}
	k.enqueue(p)
	result := &wire.CatchUpResult{Next: uint64(k.fresh.next())} //nolint:gosec // never negative
	return func() (*wire.CatchUpResult, error) { return result, p.wait() }
}

// openEntry checks that an entry is in the ledger and is no anchor.
func openEntry(c *wire.CatchUp, t *trust) (*verify.Inclusion, error) {
	in, err := verify.CheckInclusion(c.Entry, c.Proof, t.cell.LedgerKey, t.witness)
	if err != nil {
		return nil, err
	}
	leaf, err := verify.DecodeLeaf(c.Entry)
	if err == nil && leaf.Kind == verify.LeafAnchor && leaf.Cell == t.cell.ID {
		return nil, verify.Fail(verify.FailAnchor, "an anchor is shown with its fields")
	}
	return in, nil
}

// acceptedAnchor returns where the ledger stands now, to be kept. The caller
// holds mu.
func (k *Keyholder) acceptedAnchor() *AcceptedAnchor {
	return &AcceptedAnchor{
		Index: k.fresh.index, Size: k.fresh.size, Leaf: k.fresh.leaf,
		Seq: k.state.seq, Pending: k.state.unanch.spans(k.state.seq),
	}
}
