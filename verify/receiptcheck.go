package verify

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/canon"
)

// Codes of failures that checks of receipts and books report, beside those of
// the log.
const (
	FailCell    = "cell"    // the evidence is of another cell, or the cell is not in the directory
	FailItem    = "item"    // an item does not belong to its row
	FailRow     = "row"     // a row does not belong to its segment
	FailSegment = "segment" // a segment does not belong to its anchor or its chain
	FailAnchor  = "anchor"  // an anchor leaf is not what its fields say
)

// anchorFields are the fields of an anchor leaf in their one order. Index and
// count of a field are thereby fixed: a leaf cannot hold two fields of one
// name and show one to some and the other to others.
var anchorFields = [...]string{AnchorSegments, AnchorLast, AnchorHead, AnchorTombstones, AnchorPolicy, AnchorDirectory}

// A ReceiptReport is what a receipt has shown.
type ReceiptReport struct {
	Row        *Row // its Items are empty: see Items
	Leaf       [32]byte
	ItemCount  int
	Items      []ShownItem
	Segment    *Segment
	Position   uint64 // of the row among all rows of its node
	Anchor     *Leaf
	Index      int64 // of the anchor in the ledger
	Checkpoint *Checkpoint

	// WitnessedBy is the newest cosignature: unless every witness that signed
	// lies, the entry stood in the ledger at that time.
	WitnessedBy time.Time
}

// A ShownItem is one item that a receipt opens.
type ShownItem struct {
	Place int // of the item in its row, from 0
	RowItem
}

// CheckReceipt checks that r proves an opening: item, row, segment, anchor,
// inclusion, signature of the log and quorum of witnesses, by the keys that
// dir names for the cell of the receipt. The error is a [Failure]: with
// verdict [DoesNotHold] for whatever does not fit together, and [CannotTell]
// if dir does not name the cell or its keys are not usable.
func CheckReceipt(r *Receipt, dir *Directory) (*ReceiptReport, error) {
	c, ok := dir.Cell(r.Cell)
	if !ok {
		return nil, Unknown(FailCell, nil, "the directory has no cell of the receipt's name")
	}
	vkey, policy, err := cellLog(c)
	if err != nil {
		return nil, err
	}
	rep := new(ReceiptReport)

	// 1. The head of the row, and the items shown.
	if err := rep.checkRow(r); err != nil {
		return nil, err
	}

	// 2. The row in its segment.
	if err := rep.checkSegment(r); err != nil {
		return nil, err
	}

	// 3. The segment in the anchor.
	if err := rep.checkAnchor(r); err != nil {
		return nil, err
	}

	// 4. The anchor in the ledger.
	in, err := CheckInclusion(r.Anchor.Leaf, []byte(r.Proof), vkey, policy)
	if err != nil {
		return nil, err
	}
	if len(in.Extra) != 0 {
		return nil, Fail(FailMalformed, "the proof of the receipt carries data that nothing vouches for")
	}
	rep.Index, rep.Checkpoint = in.Index, in.Checkpoint
	for _, s := range in.Checkpoint.Cosignatures {
		if t := time.Unix(s.Time, 0).UTC(); t.After(rep.WitnessedBy) {
			rep.WitnessedBy = t
		}
	}
	return rep, nil
}

// cellLog returns the log key and the witness policy of a cell.
func cellLog(c *DirectoryCell) (string, *WitnessPolicy, error) {
	if _, _, err := parseLogVkey(c.LedgerKey); err != nil {
		return "", nil, Unknown(FailKey, err, "the directory has no usable ledger key for the cell")
	}
	policy, err := ParseWitnessPolicy([]byte(c.WitnessPolicy))
	if err != nil {
		return "", nil, Unknown(FailKey, err, "the directory has no usable witness policy for the cell")
	}
	return c.LedgerKey, policy, nil
}

func (rep *ReceiptReport) checkRow(r *Receipt) error {
	reader := canon.NewReader(r.Head)
	row, n := decodeRowHead(reader)
	if reader.Done() != nil || len(r.Salt) != len(Salt{}) || len(r.Items.Root) != tlog.HashSize {
		return Fail(FailMalformed, "the head of the row is not in the format")
	}
	if row.Cell != r.Cell {
		return Fail(FailCell, "the row is of another cell than the receipt")
	}
	root := tlog.Hash(r.Items.Root)
	if n == 0 && root != emptyRoot {
		return Fail(FailItem, "a row without items has a root of items")
	}
	last := -1
	for i := range r.Items.Shown {
		s := &r.Items.Shown[i]
		if s.Index <= last || s.Index >= n {
			return Fail(FailItem, "item %d is out of order or not of this row", s.Index)
		}
		last = s.Index
		ir := canon.NewReader(s.Bytes)
		item := decodeRowItem(ir)
		path, ok := hashPath(s.Path)
		if ir.Done() != nil || !ok || len(s.Salt) != len(Salt{}) {
			return Fail(FailMalformed, "item %d is not in the format", s.Index)
		}
		if CheckPath(root, path, int64(s.Index), int64(n), itemLeaf(s.Bytes, Salt(s.Salt))) != nil {
			return Fail(FailItem, "item %d does not belong to the row", s.Index)
		}
		rep.Items = append(rep.Items, ShownItem{s.Index, item})
	}
	rep.Row, rep.ItemCount = row, n
	rep.Leaf = headLeaf(r.Head, Salt(r.Salt), root)
	return nil
}

func (rep *ReceiptReport) checkSegment(r *Receipt) error {
	seg, err := DecodeSegment(r.Segment.Bytes)
	path, ok := hashPath(r.Segment.Path)
	if err != nil || !ok || seg.Count > maxTreeSize || seg.First == 0 || seg.First > maxTreeSize || seg.Number == 0 {
		return Fail(FailMalformed, "the segment is not in the format")
	}
	switch {
	case seg.Cell != r.Cell:
		return Fail(FailCell, "the segment is of another cell than the receipt")
	case seg.Node != rep.Row.Node || rep.Row.Incarnation > seg.Incarnation:
		return Fail(FailRow, "the segment is of another node or an earlier run than the row")
	}
	if CheckPath(seg.Root, path, r.Segment.Index, int64(seg.Count), rep.Leaf) != nil { //nolint:gosec // at most maxTreeSize
		return Fail(FailRow, "the row is not in segment %d at place %d", seg.Number, r.Segment.Index)
	}
	rep.Segment, rep.Position = seg, seg.First+uint64(r.Segment.Index) //nolint:gosec // CheckPath: not negative
	return nil
}

func (rep *ReceiptReport) checkAnchor(r *Receipt) error {
	a := &r.Anchor
	leaf, err := DecodeLeaf(a.Leaf)
	segPath, ok1 := hashPath(a.SegmentPath)
	fieldPath, ok2 := hashPath(a.FieldPath)
	if err != nil || !ok1 || !ok2 || len(a.FieldSalt) != len(Salt{}) || len(a.SegmentsValue) != tlog.HashSize {
		return Fail(FailMalformed, "the anchor is not in the format")
	}
	if leaf.Kind != LeafAnchor || leaf.Cell != r.Cell {
		return Fail(FailAnchor, "the ledger leaf is not an anchor of the cell")
	}
	if CheckPath(tlog.Hash(a.SegmentsValue), segPath, a.SegmentIndex, a.SegmentCount, rep.Segment.Hash()) != nil {
		return Fail(FailSegment, "segment %d is not among those of the anchor", rep.Segment.Number)
	}
	if a.FieldIndex != 0 || a.FieldCount != int64(len(anchorFields)) {
		return Fail(FailAnchor, "the segments are not the first of the %d fields of an anchor", len(anchorFields))
	}
	f := OpenedField{LeafField{AnchorSegments, Salt(a.FieldSalt), a.SegmentsValue}, a.FieldIndex, a.FieldCount, fieldPath}
	if f.Check(leaf.Root) != nil {
		return Fail(FailAnchor, "the anchor does not commit to these segments")
	}
	rep.Anchor = leaf
	return nil
}

// hashPath reads the hashes of a path.
func hashPath(p [][]byte) ([]tlog.Hash, bool) {
	if len(p) > maxProofHashes {
		return nil, false
	}
	hs := make([]tlog.Hash, len(p))
	for i := range p {
		if len(p[i]) != tlog.HashSize {
			return nil, false
		}
		hs[i] = tlog.Hash(p[i])
	}
	return hs, true
}

// Sentences says in plain English what the receipt has shown, one sentence a
// line. Times of the vault are called its own: nobody vouches for them.
func (rep *ReceiptReport) Sentences() []string {
	r := rep.Row
	who := "Nobody authenticated"
	if r.Principal != "" {
		who = fmt.Sprintf("%q (%s)", r.Principal, r.Assurance)
	}
	what := fmt.Sprintf("asked to %s", r.Operation)
	if r.Collection != "" {
		what += fmt.Sprintf(" in %q", r.Collection)
	}
	lines := []string{
		fmt.Sprintf("Entry %s of cell %s: %s %s for purpose %q; outcome: %s.", r.RowRef, r.Cell, who, what, string(r.Purpose), r.Outcome),
		fmt.Sprintf("By the vault's own clock this was at %s.", millis(r.Time)),
	}
	if r.Reason != "" {
		lines = append(lines, fmt.Sprintf("The reason given was %q.", r.Reason))
	}
	if r.Code != "" {
		lines = append(lines, fmt.Sprintf("The code was %s.", r.Code))
	}
	if r.Resolved {
		lines = append(lines, "The vault chose the items: the asker did not name them.")
	}
	lines = append(lines, fmt.Sprintf("The entry has %s; the receipt shows %d.", count(rep.ItemCount, "item"), len(rep.Items)))
	for i := range rep.Items {
		it := &rep.Items[i]
		of := "no subject named"
		if !it.Subject.IsZero() {
			of = bonded.SubjectID{Cell: r.Cell, ID: it.Subject}.String()
		}
		if len(it.Fields) > 0 {
			of += ", fields " + strings.Join(it.Fields, ", ")
		}
		if len(it.Index) > 0 {
			of += ", index values of " + strings.Join(it.Index, ", ")
		}
		lines = append(lines, fmt.Sprintf("Item %d: %s.", it.Place, of))
	}
	return append(lines,
		fmt.Sprintf("It is row %d of node %d, in segment %d.", rep.Position, r.Node, rep.Segment.Number),
		fmt.Sprintf("The segment is anchored at entry %d of ledger %q.", rep.Index, rep.Checkpoint.Origin),
		fmt.Sprintf("%s of the policy cosigned a checkpoint of %d entries that holds it, the newest at %s; unless all of them lie, it stood there by then.",
			count(len(rep.Checkpoint.Cosignatures), "witness"), rep.Checkpoint.Size, rep.WitnessedBy.Format(time.RFC3339)),
	)
}

func millis(ms uint64) string {
	return time.UnixMilli(int64(min(ms, 1<<52))).UTC().Format("2006-01-02T15:04:05.000Z") //nolint:gosec // bounded
}

func count(n int, what string) string { return count64(int64(n), what) }
