package verify

import (
	"errors"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// CheckPromises holds batch promises against an exported journal: each must be
// signed by the promise key of the cell, its row must be under the signed batch
// root, and the segment it names must begin with the rows it promised, among
// them, at its index, the row it names. It returns one error per promise, in
// their order: nil if it was kept, or a [Failure]. The second result is not nil
// when the journal itself cannot be read; then no promise was judged.
//
// A promise that is signed and covers its row but does not hold is proof
// against the vault, together with the segment: all that it says is signed. An
// export that lacks the segment although an anchor or a later segment of it
// shows that the segment was closed does not hold either. While nothing shows
// that, it cannot be told.
func CheckPromises(promises []*Promise, cell *DirectoryCell, journal *JournalReader) ([]error, error) {
	key, err := DecodePublicKey(cell.PromiseKey)
	if err != nil {
		return nil, Unknown(FailKey, err, "the directory has no usable promise key for the cell")
	}
	if journal.Cell() != cell.ID {
		return nil, Fail(FailCell, "the journal export is of cell %s, not %s", journal.Cell(), cell.ID)
	}
	verdicts := make([]error, len(promises))
	waiting := map[uint64][]int{}
	for i, p := range promises {
		switch {
		case p.Cell != cell.ID || p.Ref.Node != journal.Node():
			verdicts[i] = Unknown(FailCell, nil, "the promise is of cell %s and node %d, not of this journal", p.Cell, p.Ref.Node)
		case !p.Verify(key):
			verdicts[i] = Fail(FailPromise, "the vault of cell %s did not sign this promise for row %s", p.Cell, p.Ref)
		default:
			waiting[p.Segment] = append(waiting[p.Segment], i)
		}
	}

	var rows []promisedRow // not yet in a segment
	var number uint64      // of the last segment
	var closed uint64      // of the last segment that an anchor shows
	judge := func(n uint64, rows []promisedRow, open bool) {
		for _, i := range waiting[n] {
			verdicts[i] = checkPromise(promises[i], rows, open)
		}
		delete(waiting, n)
	}
	for {
		e, err := journal.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch {
		case e.Row != nil:
			row, err := DecodeRow(e.Row.Row)
			if err != nil {
				return nil, Fail(FailRow, "the row at position %d is not in the format", e.Row.Position)
			}
			rows = append(rows, promisedRow{row.RowRef, RowLeaf(row, e.Row.Salt)})
		case e.Segment != nil:
			seg, err := DecodeSegment(e.Segment)
			if err != nil || seg.Count > uint64(len(rows)) {
				return nil, Fail(FailSegment, "the segment after segment %d is not in the format or lacks rows", number)
			}
			judge(seg.Number, rows[:seg.Count], false)
			rows, number = rows[seg.Count:], seg.Number
		default:
			closed = max(closed, e.Anchor.Last)
		}
	}
	if closed <= number {
		judge(number+1, rows, true)
	}
	for n, is := range waiting {
		for _, i := range is {
			if n <= max(number, closed) {
				verdicts[i] = Fail(FailMissingSegment, "segment %d with row %s, which was promised, is missing from the journal", n, promises[i].Ref)
				continue
			}
			verdicts[i] = Unknown(FailMissing, nil, "the journal export ends before segment %d, which was promised", n)
		}
	}
	return verdicts, nil
}

// A promisedRow is what a promise says of a row.
type promisedRow struct {
	ref  RowRef
	leaf tlog.Hash
}

// checkPromise holds one promise that covers its row against the rows of its
// segment; open says that the segment may still grow.
func checkPromise(p *Promise, rows []promisedRow, open bool) error {
	// 1. The row itself: what was signed for its place.
	n := uint64(len(rows))
	switch {
	case p.Index >= n && open:
		return Unknown(FailMissing, nil, "the journal export ends before row %s at place %d of segment %d", p.Ref, p.Index, p.Segment)
	case p.Index >= n:
		return Fail(FailPromise, "row %s is missing: segment %d holds %d rows, the row was promised at place %d", p.Ref, p.Segment, n, p.Index)
	}
	if at := rows[p.Index]; at.ref != p.Ref || at.leaf != p.Leaf {
		return Fail(FailPromise, "row %s was promised at place %d of segment %d, but the journal holds another there: %s", p.Ref, p.Index, p.Segment, at.ref)
	}

	// 2. The other rows of its commit, and all rows before them.
	switch {
	case p.Size > n && open:
		return Unknown(FailMissing, nil, "the journal export ends before the promised row %d of segment %d", p.Size, p.Segment)
	case p.Size > n:
		return Fail(FailPromise, "segment %d holds %d rows, %d were promised: rows were dropped", p.Segment, n, p.Size)
	}
	leaves := make([]tlog.Hash, p.Size)
	for i := range leaves {
		leaves[i] = rows[i].leaf
	}
	if TreeRoot(leaves) != p.Root {
		return Fail(FailPromise, "the first %d rows of segment %d are not those that were promised with row %s", p.Size, p.Segment, p.Ref)
	}
	for i := p.Begin; i < p.Size; i++ {
		leaves[i] = PromiseLeaf(rows[i].ref, rows[i].leaf)
	}
	if TreeRoot(leaves[p.Begin:]) != p.Batch {
		return Fail(FailPromise, "rows %d to %d of segment %d are not those that were promised with row %s", p.Begin, p.Size-1, p.Segment, p.Ref)
	}
	return nil
}
