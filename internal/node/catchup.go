//go:build unix

package node

import (
	"bytes"
	"context"
	"fmt"
	"sort"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// catchUp shows the keyholder every entry of the ledger that it has not been
// shown, up to the one at an index: it unlocks nothing after a start before it
// has seen all of them. What is left when ctx ends comes with the next anchor.
func (n *vaultNode) catchUp(ctx context.Context, to int64) error {
	at, err := n.line.CatchUp(ctx, &wire.CatchUp{})
	for err == nil && at.Next < uint64(to) { //nolint:gosec // not negative
		next := int64(at.Next) //nolint:gosec // below to
		if err = n.showEntry(ctx, next); err != nil {
			return fmt.Errorf("show ledger entry %d: %w", next, err)
		}
		if at, err = n.line.CatchUp(ctx, &wire.CatchUp{}); err == nil && at.Next <= uint64(next) { //nolint:gosec // not negative
			return bonded.Errorf(bonded.CodeStale, "the keyholder does not take up entry %d of the ledger", next)
		}
	}
	return err
}

// showEntry shows one entry, with all that an anchor stands for.
func (n *vaultNode) showEntry(ctx context.Context, index int64) error {
	entry, err := n.ledger.ReadEntry(ctx, index)
	if err != nil {
		return err
	}
	r, err := n.ledger.Prove(ctx, index)
	if err != nil {
		return err
	}
	leaf, err := verify.DecodeLeaf(entry)
	if err == nil && leaf.Kind == verify.LeafAnchor && leaf.Cell == n.conf.Cell {
		number, err := n.anchorAt(ctx, index, entry)
		if err != nil {
			return err
		}
		a, err := n.journal.AnchorMessage(ctx, number)
		if err != nil {
			return err
		}
		a.Proof = r.Proof() // of this place: the journal may know the leaf at another
		_, err = n.line.Anchor(ctx, a)
		return err
	}
	_, err = n.line.CatchUp(ctx, &wire.CatchUp{Entry: entry, Proof: r.Proof()})
	return err
}

// anchorAt returns the number of the anchor at a place of the ledger. Numbers
// and places rise together. A leaf appended again because an answer was lost
// stands at several places, of which the journal knows one.
func (n *vaultNode) anchorAt(ctx context.Context, index int64, leaf []byte) (uint64, error) {
	last := n.journal.LastAnchor()
	if last == nil {
		return 0, bonded.Errorf(bonded.CodeRestored, "the journal knows no anchor")
	}
	var failed error
	found := uint64(sort.Search(int(last.Number), func(i int) bool { //nolint:gosec // a count
		as, err := n.journal.Anchors(ctx, uint64(i), 1) //nolint:gosec // a count
		if err != nil {
			failed = err
		}
		return err != nil || len(as) == 0 || as[0].LedgerIndex >= uint64(index) //nolint:gosec // not negative
	})) + 1
	if failed != nil {
		return 0, failed
	}
	as, err := n.journal.Anchors(ctx, max(found, 2)-2, 2) // it, and the one before
	if err != nil {
		return 0, err
	}
	for i := range as {
		if bytes.Equal(as[i].Leaf, leaf) {
			return as[i].Number, nil
		}
	}
	return 0, bonded.Errorf(bonded.CodeRestored, "the journal has no anchor for entry %d of the ledger", index)
}
