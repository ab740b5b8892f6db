package verify

import (
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
)

// A ReportLedger is what a report needs of a ledger that was checked: its head,
// its root at one size, and the leaves of cases.
type ReportLedger struct {
	Checkpoint *Checkpoint
	Size       int64 // of the part that counts
	Root       tlog.Hash
	Leaves     int64 // of cases within Size, covers among them

	cell   bonded.CellID
	hashes map[int64]tlog.Hash
}

// ReadReportLedger checks a whole ledger as [CheckCellLedger] does and keeps
// the leaves of cases within its first size entries; -1 means all of them. The
// error is a [Failure]. It holds some 50 bytes for each leaf.
func ReadReportLedger(fetch func(path string) ([]byte, error), cell *DirectoryCell, size int64, opts LogOptions) (*ReportLedger, error) {
	vkey, policy, err := cellLog(cell)
	if err != nil {
		return nil, err
	}
	l := &ReportLedger{cell: cell.ID, hashes: map[int64]tlog.Hash{}, Size: size, Root: emptyRoot}
	chain := leafChain{cell: cell.ID}
	tree := compactTree{full: func(int, int64, []tlog.Hash) error { return nil }}
	var first *Failure
	opts.Entry = func(index int64, data []byte) error {
		if f := chain.add(index, data); f != nil && first == nil {
			first = f
		}
		if size >= 0 && index >= size {
			return nil
		}
		h := tlog.RecordHash(data)
		if leaf, err := DecodeLeaf(data); err == nil && leaf.Kind == LeafCase {
			l.hashes[index] = h
			l.Leaves++
		}
		return tree.add(h)
	}
	rep, err := CheckLog(fetch, vkey, policy, opts)
	switch {
	case err != nil && (first == nil || VerdictOf(err) == DoesNotHold):
		return nil, err
	case first != nil:
		return nil, first
	case size > rep.Checkpoint.Size:
		return nil, Unknown(FailMissing, nil, "the ledger has %d entries, and the report is over %d: ask for a newer copy of the ledger", rep.Checkpoint.Size, size)
	}
	l.Checkpoint, l.Size, l.Root = rep.Checkpoint, tree.size, tree.root()
	return l, nil
}

// Place checks an opening and finds its leaf. It returns nil for one past the
// part of the ledger that counts. The error is a [Failure].
func (l *ReportLedger) Place(o *CaseOpening) (*OpenedCase, error) {
	c, err := o.Check()
	if err != nil {
		return nil, err
	}
	if c.Index >= l.Size {
		return nil, nil //nolint:nilnil // it is of no concern
	}
	if c.Leaf.Cell != l.cell || l.hashes[c.Index] != c.Hash {
		return nil, Fail(FailInclusion, "the opening of entry %d is of no entry of the ledger", c.Index)
	}
	return c, nil
}
