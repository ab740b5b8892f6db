package verify

import (
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
)

// ReceiptFormat is the format name of this version of receipts.
const ReceiptFormat = "bonded/receipt/1"

// A Receipt proves that one opening stands in the ledger: the row, the salts
// that open it, the path to its segment, the path to the anchor that covers
// the segment, and the anchor's inclusion under a cosigned checkpoint. In JSON
// byte strings are standard base64.
type Receipt struct {
	Format  string        `json:"format"`
	Cell    bonded.CellID `json:"cell"`
	Head    []byte        `json:"head"`      // head bytes of the row
	Salt    []byte        `json:"head_salt"` // 32 bytes
	Items   ReceiptItems  `json:"items"`
	Segment ReceiptPath   `json:"segment"` // canonical bytes of the segment; path from the row leaf
	Anchor  ReceiptAnchor `json:"anchor"`
	Proof   string        `json:"proof"` // C2SP tlog-proof of the anchor leaf
}

// ReceiptItems shows some or all items of the row.
type ReceiptItems struct {
	Root  []byte        `json:"root"`  // RFC 6962 root over all item leaves
	Shown []ReceiptItem `json:"shown"` // in rising order of Index
}

// A ReceiptItem is one item with the salt and path that prove it.
type ReceiptItem struct {
	Index int      `json:"index"`
	Bytes []byte   `json:"bytes"`
	Salt  []byte   `json:"salt"`
	Path  [][]byte `json:"path"`
}

// A ReceiptPath is something hashed into a tree, with its place there.
type ReceiptPath struct {
	Bytes []byte   `json:"bytes"`
	Index int64    `json:"index"`
	Path  [][]byte `json:"path"`
}

// A ReceiptAnchor ties a segment to a ledger leaf.
type ReceiptAnchor struct {
	Leaf          []byte   `json:"leaf"`           // the ledger leaf
	SegmentIndex  int64    `json:"segment_index"`  // of the segment among those the anchor covers
	SegmentCount  int64    `json:"segment_count"`  // how many it covers
	SegmentPath   [][]byte `json:"segment_path"`   // from the segment hash to the field's value
	FieldIndex    int64    `json:"field_index"`    // of the field "segments" in the leaf
	FieldCount    int64    `json:"field_count"`    //
	FieldSalt     []byte   `json:"field_salt"`     // 32 bytes
	SegmentsValue []byte   `json:"segments_value"` // the field's value: the root over segment hashes
	FieldPath     [][]byte `json:"field_path"`
}

// MakeReceipt puts a receipt together from what the vault holds. leaves are
// the row leaves of the segment in order and at is the row's place among them,
// counted from 0; segments the hashes of the segments
// the anchor covers, show the items to show (nil for all).
func MakeReceipt(row *Row, salt Salt, seg *Segment, leaves []tlog.Hash, at int, segments []tlog.Hash, segmentIndex int, leaf *Leaf, fields []LeafField, proof string, show []int) *Receipt {
	r := &Receipt{Format: ReceiptFormat, Cell: row.Cell, Proof: proof}
	head, itemBytes, itemLeaves := rowParts(row, salt)
	hs := salt.HeadSalt()
	r.Head, r.Salt = head, hs[:]
	root := TreeRoot(itemLeaves)
	r.Items.Root = root[:]
	if show == nil {
		for i := range itemLeaves {
			show = append(show, i)
		}
	}
	for _, i := range show {
		s := salt.ItemSalt(i)
		r.Items.Shown = append(r.Items.Shown, ReceiptItem{i, itemBytes[i], s[:], pathBytes(TreePath(itemLeaves, i))})
	}
	r.Segment = ReceiptPath{EncodeSegment(seg), int64(at), pathBytes(TreePath(leaves, at))}
	fi := 0
	for i := range fields {
		if fields[i].Name == AnchorSegments {
			fi = i
		}
	}
	f := OpenField(fields, fi)
	r.Anchor = ReceiptAnchor{
		Leaf: leaf.Encode(), SegmentIndex: int64(segmentIndex), SegmentCount: int64(len(segments)),
		SegmentPath: pathBytes(TreePath(segments, segmentIndex)),
		FieldIndex:  f.Index, FieldCount: f.Count, FieldSalt: f.Salt[:], SegmentsValue: f.Value, FieldPath: pathBytes(f.Path),
	}
	return r
}

func pathBytes(p []tlog.Hash) [][]byte {
	b := make([][]byte, len(p))
	for i := range p {
		b[i] = p[i][:]
	}
	return b
}
