package journal

import (
	"crypto/rand"
	"unicode/utf8"

	"bonded"
	"bonded/verify"
)

// A Prepared row has its name, salt and leaf, and is not yet anywhere. Only
// [Journal.Prepare] makes one that [Journal.Commit] takes.
type Prepared struct {
	Row  *verify.Row // not to be changed any more
	Salt verify.Salt
	Leaf [32]byte

	bytes    []byte
	promised [32]byte  // leaf in the tree of its commit
	lost     *[32]byte // orphans: row leaf of the lost row
	err      error
}

// Err says why the row cannot be committed, nil if it can. Ask it before the
// leaf is sent to the keyholder. Codes: [bonded.CodeInvalid] for a row over
// the limits of package verify, [bonded.CodeNotWritable] if the journal has
// given out all row numbers it had reserved and its disk takes no more.
func (p *Prepared) Err() error {
	if p.bytes == nil && p.err == nil {
		return bonded.Errorf(bonded.CodeInternal, "row was not prepared by the journal")
	}
	return p.err
}

// Prepare names row: it sets the cell, the node, the incarnation, the next
// sequence number and, if it is zero, the time; draws a fresh salt and
// computes the leaf. Numbers rise with each call and are never given twice,
// also not after a crash; a row that is never committed leaves a gap. It is
// safe for concurrent use; rows of two callers are in no particular order.
func (j *Journal) Prepare(row *verify.Row) Prepared {
	row.Cell = j.cell
	row.RowRef = verify.RowRef{Node: j.node, Incarnation: j.incarnation, Seq: j.seq.Add(1) - 1}
	if row.Time == 0 {
		row.Time = uint64(j.now().UnixMilli()) //nolint:gosec // after 1970
	}
	p := Prepared{Row: row}
	if p.err = checkRow(row); p.err != nil {
		return p
	}
	if row.Seq >= j.reserved.Load() {
		p.err = bonded.Errorf(bonded.CodeNotWritable, "no row numbers are left until the journal can be written again")
		return p
	}
	_, _ = rand.Read(p.Salt[:]) // never fails since Go 1.24
	p.Leaf = verify.RowLeaf(row, p.Salt)
	p.promised = verify.PromiseLeaf(row.RowRef, p.Leaf)
	p.bytes = verify.EncodeRow(row)
	return p
}

// Limits of the texts of a row, as package verify reads them back.
const (
	maxText  = 512
	maxName  = 64
	maxRules = 64
)

// checkRow refuses what could be written but not be read again.
func checkRow(r *verify.Row) error {
	ok := text(r.Principal, maxText) && text(r.Basis, maxText) && text(r.Reason, verify.MaxReason) &&
		text(r.Collection, maxName) && text(string(r.Purpose), maxName) && text(string(r.Code), maxName) &&
		texts(r.Rules, maxRules, maxText) && len(r.Items) <= verify.MaxRowItems &&
		r.Outcome != 0 && r.Outcome.String() != "unknown" && r.Operation.String() != "unknown" && r.Assurance.String() != "unknown"
	for i := range r.Items {
		ok = ok && texts(r.Items[i].Fields, verify.MaxRowFields, maxName) && texts(r.Items[i].Index, verify.MaxRowFields, maxName)
	}
	if !ok {
		return bonded.Errorf(bonded.CodeInvalid, "a text or list of the row is over its limit, or not UTF-8")
	}
	return nil
}

func text(s string, limit int) bool { return len(s) <= limit && utf8.ValidString(s) }

func texts(ss []string, count, limit int) bool {
	for _, s := range ss {
		if !text(s, limit) {
			return false
		}
	}
	return len(ss) <= count
}

// An Entered value says that a row is durable. Steps that answer take one as
// an argument: a guard against accident. The zero Entered is refused by
// [Entered.Check].
type Entered struct {
	ref   verify.RowRef
	leaf  [32]byte
	index uint64
	batch *batch
}

// A batch is what one commit added to one segment, with the promise for it.
type batch struct {
	cell    bonded.CellID
	segment uint64
	begin   uint64 // rows of the segment before it
	size    uint64 // and after it
	root    [32]byte
	tree    batchTree // of its rows
	sig     [64]byte
}

// Check returns an error unless e came from [Journal.Commit].
func (e Entered) Check() error {
	if e.batch == nil {
		return bonded.Errorf(bonded.CodeInternal, "not entered in the journal")
	}
	return nil
}

// Ref names the row.
func (e Entered) Ref() verify.RowRef { return e.ref }

// Leaf returns the row leaf.
func (e Entered) Leaf() [32]byte { return e.leaf }

// Promise returns the vault's signed promise for the row, nil for the zero
// Entered. Its String is the value of the Bonded-Receipt header.
func (e Entered) Promise() *verify.Promise {
	if e.batch == nil {
		return nil
	}
	b := e.batch
	return &verify.Promise{
		Cell: b.cell, Ref: e.ref, Leaf: e.leaf, Segment: b.segment, Index: e.index, Begin: b.begin, Size: b.size,
		Root: b.root, Batch: b.tree.root(), Path: b.tree.path(int(e.index - b.begin)), Sig: b.sig, //nolint:gosec // a count of rows
	}
}
