package journal

import (
	"context"

	"bonded"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// Receipt returns the proof that the row of that name stands in the ledger,
// showing the items of those indexes, rising, or all if items is nil. Codes:
// [bonded.CodeWithheld] if the journal has no such row, [bonded.CodeInvalid]
// if the row has no such item, [bonded.CodeBusy] if no anchor covers it yet.
func (j *Journal) Receipt(ctx context.Context, ref verify.RowRef, items []int) (*verify.Receipt, error) {
	// 1. The row.
	row, err := j.RowByRef(ctx, ref)
	if err != nil {
		return nil, err
	}
	for k, i := range items {
		if i < 0 || i >= len(row.Row.Items) || k > 0 && i <= items[k-1] {
			return nil, bonded.Errorf(bonded.CodeInvalid, "the row has %d items; name them in rising order, from 0", len(row.Row.Items))
		}
	}

	// 2. Its segment.
	notYet := &bonded.Error{
		Code: bonded.CodeBusy, Message: "the entry is not in the ledger yet",
		Hint: "ask again after the next anchor, " + j.cfg.AnchorEvery.String() + " or so from now",
	}
	position := int64(row.Position) //nolint:gosec // a count
	segs, err := j.segments(ctx, "WHERE first <= ? ORDER BY first DESC LIMIT 1", position)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 || row.Position >= segs[0].First+segs[0].Count {
		return nil, notYet
	}
	seg := segs[0].Segment
	leaves, err := j.SegmentLeaves(ctx, seg.Number)
	if err != nil {
		return nil, err
	}

	// 3. The anchor over it.
	number := int64(seg.Number) //nolint:gosec // a count
	as, err := j.anchors(ctx, "WHERE a.last_segment >= ? ORDER BY a.last_segment, a.number LIMIT 1", number)
	if err != nil {
		return nil, err
	}
	if len(as) == 0 {
		return nil, notYet
	}
	a := &as[0]
	covered, err := j.segments(ctx, "WHERE number BETWEEN ? AND ? ORDER BY number", int64(a.FirstSegment), int64(a.LastSegment)) //nolint:gosec // counts
	if err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, len(covered))
	for i := range covered {
		hashes[i] = covered[i].Hash()
	}
	leaf, err := verify.DecodeLeaf(a.Leaf)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "an anchor of the journal cannot be read")
	}
	fields, err := verify.DecodeFields(a.Fields)
	if err != nil || seg.Number < a.FirstSegment || uint64(len(hashes)) != a.LastSegment-a.FirstSegment+1 {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "an anchor of the journal does not cover its segments")
	}

	// 4. All of it in one.
	at, of := int(row.Position-seg.First), int(seg.Number-a.FirstSegment) //nolint:gosec // within the lists
	if leaves[at] != tlog.Hash(verify.RowLeaf(row.Row, row.Salt)) {
		return nil, bonded.Errorf(bonded.CodeAltered, "row %d of the journal is not the one that was sealed", row.Position)
	}
	return verify.MakeReceipt(row.Row, row.Salt, seg, leaves, at, hashes, of, leaf, fields, string(a.Proof), items), nil
}
