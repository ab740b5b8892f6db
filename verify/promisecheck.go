package verify

import (
	"errors"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// CheckPromises holds batch promises against an exported journal: each must be
// signed by the promise key of the cell, and the segment it names must begin
// with the rows it promised. It returns one error per promise, in their order:
// nil if it was kept, or a [Failure]. The second result is not nil when the
// journal itself cannot be read; then no promise was judged.
//
// The signature covers the running root, not the leaf and its place: a promise
// whose root is the segment's and whose leaf is not under it shows that header
// and signature do not belong together, by whoever's fault.
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
			verdicts[i] = Fail(FailPromise, "the vault of cell %s did not sign this promise", p.Cell)
		default:
			waiting[p.Segment] = append(waiting[p.Segment], i)
		}
	}

	var leaves []tlog.Hash // of rows not yet in a segment
	var number uint64      // of the last segment
	judge := func(n uint64, rows []tlog.Hash, open bool) {
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
			leaves = append(leaves, RowLeaf(row, e.Row.Salt))
		case e.Segment != nil:
			seg, err := DecodeSegment(e.Segment)
			if err != nil || seg.Count > uint64(len(leaves)) {
				return nil, Fail(FailSegment, "the segment after segment %d is not in the format or lacks rows", number)
			}
			judge(seg.Number, leaves[:seg.Count], false)
			leaves, number = leaves[seg.Count:], seg.Number
		}
	}
	judge(number+1, leaves, true)
	for n, is := range waiting {
		for _, i := range is {
			if n <= number {
				verdicts[i] = Fail(FailMissingSegment, "segment %d, which was promised, is missing from the journal", n)
				continue
			}
			verdicts[i] = Unknown(FailMissing, nil, "the journal export ends before segment %d, which was promised", n)
		}
	}
	return verdicts, nil
}

// checkPromise holds one promise against the rows of its segment; open says
// that the segment may still grow.
func checkPromise(p *Promise, rows []tlog.Hash, open bool) error {
	switch n := uint64(len(rows)); {
	case p.Size > n && open:
		return Unknown(FailMissing, nil, "the journal export ends before the promised row %d of segment %d", p.Size, p.Segment)
	case p.Size > n:
		return Fail(FailPromise, "segment %d holds %d rows, %d were promised: rows were dropped", p.Segment, n, p.Size)
	}
	if TreeRoot(rows[:p.Size]) != p.Root {
		return Fail(FailPromise, "the first %d rows of segment %d are not those that were promised", p.Size, p.Segment)
	}
	if p.Index >= p.Size || rows[p.Index] != p.Leaf {
		return Fail(FailPromise, "row %s is not at place %d of segment %d: the vault signed other rows than the header says", p.Ref, p.Index, p.Segment)
	}
	return nil
}
