package verify

import (
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/canon"
)

// Limits of one journal row.
const (
	MaxRowItems  = 4096 // items of one batch call
	MaxRowFields = 256  // fields of one item
	MaxReason    = 256  // bytes of a reason
	maxRowRules  = 64   // rule ids of one row
	maxText      = 512  // bytes of any other text in a row
)

// A RowRef names one row of a vault node's journal.
type RowRef struct {
	Node        uint16 // vault node, from 1
	Incarnation uint64 // rises by one at each start of the node
	Seq         uint64 // rises by one with each row of the node, over all incarnations
}

// A Row is one entry of the journal: who asked for what, why, and how it was
// decided. It holds no personal data. spec/journal.md has the bytes.
type Row struct {
	RowRef
	Cell       bonded.CellID
	Time       uint64 // milliseconds since 1970-01-01 UTC, of the vault's clock; advisory
	Operation  Operation
	Outcome    Outcome
	Code       bonded.Code // empty when allowed
	Principal  string      // principal id; empty for aggregates of nobody known
	Assurance  Assurance
	Resolved   bool // vault-resolved: the vault chose the items from a token, query or list
	Collection string
	Purpose    bonded.Purpose
	Reason     string // at most MaxReason bytes
	Basis      string // id of the basis record or legal basis named
	Rules      []string
	RequestID  bonded.ID
	Digest     [32]byte // request digest the asker proved, or for a case the digest of its scope; else zero
	Policy     [32]byte // digest of the policy set that decided
	Refers     RowRef   // the row this one is about; zero if none
	Count      uint64   // for aggregates; otherwise 0
	Items      []RowItem
}

// A RowItem is one thing opened or written by a row.
type RowItem struct {
	Subject bonded.ID
	Record  bonded.ID // zero where no record is meant
	Fields  []string  // fields opened or written, in the order asked
	Index   []string  // fields whose two-lock index value was computed
}

// EncodeRow returns the canonical bytes of r: its head and its items.
func EncodeRow(r *Row) []byte {
	w := canon.Writer{B: make([]byte, 0, 192+48*len(r.Items))}
	encodeRowHead(&w, r)
	for i := range r.Items {
		encodeRowItem(&w, &r.Items[i])
	}
	return w.B
}

func encodeRowHead(w *canon.Writer, r *Row) {
	w.Byte(1) // format version
	w.String(string(r.Cell))
	encodeRowRef(w, r.RowRef)
	w.Uint(r.Time)
	w.Byte(byte(r.Operation))
	w.Byte(byte(r.Outcome))
	w.String(string(r.Code))
	w.String(r.Principal)
	w.Byte(byte(r.Assurance))
	w.Bool(r.Resolved)
	w.String(r.Collection)
	w.String(string(r.Purpose))
	w.String(r.Reason)
	w.String(r.Basis)
	w.Strings(r.Rules)
	w.Fixed(r.RequestID[:])
	encodeOptional(w, r.Digest)
	encodeOptional(w, r.Policy)
	encodeRowRef(w, r.Refers)
	w.Uint(r.Count)
	w.Uint(uint64(len(r.Items)))
}

func encodeRowItem(w *canon.Writer, it *RowItem) {
	w.Fixed(it.Subject[:])
	w.Fixed(it.Record[:])
	w.Strings(it.Fields)
	w.Strings(it.Index)
}

func encodeRowRef(w *canon.Writer, r RowRef) {
	w.Uint(uint64(r.Node))
	w.Uint(r.Incarnation)
	w.Uint(r.Seq)
}

// encodeOptional writes one byte 0 for a zero hash, else 1 and the hash.
func encodeOptional(w *canon.Writer, h [32]byte) {
	if h == ([32]byte{}) {
		w.Byte(0)
		return
	}
	w.Byte(1)
	w.Fixed(h[:])
}

func decodeOptional(r *canon.Reader) (h [32]byte) {
	if r.Bool() {
		r.Fixed(h[:])
		if h == ([32]byte{}) {
			r.Fail()
		}
	}
	return h
}

func decodeRowRef(r *canon.Reader) RowRef {
	node := r.Uint()
	if node > 0xffff {
		r.Fail()
	}
	return RowRef{Node: uint16(node), Incarnation: r.Uint(), Seq: r.Uint()} //nolint:gosec // checked above
}

// DecodeRow reads what [EncodeRow] wrote and refuses every other spelling.
func DecodeRow(b []byte) (*Row, error) {
	r := canon.NewReader(b)
	row, n := decodeRowHead(r)
	for range n {
		row.Items = append(row.Items, decodeRowItem(r))
		if r.Bad() {
			break
		}
	}
	return row, r.Done()
}

func decodeRowHead(r *canon.Reader) (*Row, int) {
	if r.Byte() != 1 {
		r.Fail()
	}
	row := &Row{Cell: bonded.CellID(r.String(8))}
	row.RowRef = decodeRowRef(r)
	row.Time = r.Uint()
	row.Operation = Operation(r.Byte())
	row.Outcome = Outcome(r.Byte())
	row.Code = bonded.Code(r.String(64))
	row.Principal = r.String(maxText)
	row.Assurance = Assurance(r.Byte())
	row.Resolved = r.Bool()
	row.Collection = r.String(64)
	row.Purpose = bonded.Purpose(r.String(64))
	row.Reason = r.String(MaxReason)
	row.Basis = r.String(maxText)
	row.Rules = r.Strings(maxRowRules, maxText)
	r.Fixed(row.RequestID[:])
	row.Digest = decodeOptional(r)
	row.Policy = decodeOptional(r)
	row.Refers = decodeRowRef(r)
	row.Count = r.Uint()
	n := r.Count(MaxRowItems)
	if row.Operation >= opEnd || row.Outcome == 0 || row.Outcome >= outcomeEnd || row.Assurance >= assuranceEnd {
		r.Fail()
	}
	return row, n
}

func decodeRowItem(r *canon.Reader) (it RowItem) {
	r.Fixed(it.Subject[:])
	r.Fixed(it.Record[:])
	it.Fields = r.Strings(MaxRowFields, 64)
	it.Index = r.Strings(MaxRowFields, 64)
	return it
}

// A Salt hides a row until it is shown. One fresh random salt a row.
type Salt [32]byte

func (s Salt) derive(label string, index int) Salt {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(index)) //nolint:gosec // index < MaxRowItems
	var b [32]byte
	return s.mac(append(b[:0], label...), n[:])
}

// mac returns HMAC-SHA-256(s, a ‖ b). Package hmac gives the same, but makes
// two hash states on the heap each time, and each opening takes four of these.
func (s Salt) mac(a, b []byte) [32]byte {
	const block = sha256.BlockSize
	var space [8 * block]byte // longer messages go to the heap
	inner := append(space[:block], a...)
	inner = append(inner, b...)
	var outer [block + sha256.Size]byte
	for i := range block {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, k := range s {
		inner[i] ^= k
		outer[i] ^= k
	}
	sum := sha256.Sum256(inner)
	copy(outer[block:], sum[:])
	return sha256.Sum256(outer[:])
}

// HeadSalt returns the salt that opens the head of the row and no item.
func (s Salt) HeadSalt() Salt { return s.derive("bonded/row-head/1", 0) }

// ItemSalt returns the salt that opens item i and nothing else.
func (s Salt) ItemSalt(i int) Salt { return s.derive("bonded/row-item/1", i) }

// RowLeaf returns the leaf of r in its segment's tree:
//
//	item leaf i = RFC 6962 leaf hash of HMAC-SHA-256(item salt i, item bytes)
//	row leaf    = HMAC-SHA-256(head salt, head bytes ‖ RFC 6962 root of the item leaves)
//
// The root of no items is SHA-256 of nothing, as in RFC 6962.
func RowLeaf(r *Row, salt Salt) [32]byte {
	w := canon.Writer{B: make([]byte, 0, 256)}
	root := itemsRoot(r, salt, &w)
	w.B = w.B[:0]
	encodeRowHead(&w, r)
	return headLeaf(w.B, salt.HeadSalt(), root)
}

func headLeaf(head []byte, headSalt Salt, itemsRoot tlog.Hash) [32]byte {
	return headSalt.mac(head, itemsRoot[:])
}

func itemsRoot(r *Row, salt Salt, scratch *canon.Writer) tlog.Hash {
	leaves := make([]tlog.Hash, len(r.Items))
	for i := range r.Items {
		scratch.B = scratch.B[:0]
		encodeRowItem(scratch, &r.Items[i])
		leaves[i] = itemLeaf(scratch.B, salt.ItemSalt(i))
	}
	return TreeRoot(leaves)
}

func itemLeaf(item []byte, salt Salt) tlog.Hash {
	sum := salt.mac(item, nil)
	return tlog.RecordHash(sum[:])
}

// rowParts returns the head bytes, the bytes of each item and their leaves.
func rowParts(r *Row, salt Salt) (head []byte, items [][]byte, leaves []tlog.Hash) {
	var w canon.Writer
	encodeRowHead(&w, r)
	head = w.B
	for i := range r.Items {
		var iw canon.Writer
		encodeRowItem(&iw, &r.Items[i])
		items = append(items, iw.B)
		leaves = append(leaves, itemLeaf(iw.B, salt.ItemSalt(i)))
	}
	return head, items, leaves
}
