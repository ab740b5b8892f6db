package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/canon"
)

// LeafSize is the length of every ledger leaf in bytes: all look alike.
const LeafSize = 128

const leafMagic = "bonded/leaf/1\n\x00\x00"

// A LeafKind says in public what a ledger leaf is. Kinds of case leaves are
// committed, not public. The numbers are stored.
type LeafKind uint8

// Kinds of ledger leaves.
const (
	LeafAnchor    LeafKind = 1 // covers the journal segments since the anchor before
	LeafDirectory LeafKind = 2 // a version of the directory; the first one is the genesis leaf
	LeafCase      LeafKind = 3 // reserved for cases and their covers
	LeafControl   LeafKind = 4 // announces a grant set, a policy or a version of the directory
	leafKindEnd   LeafKind = 5
)

// A Leaf is one entry of the ledger. Its fields are commitments under Root:
// each can be opened alone.
type Leaf struct {
	Kind   LeafKind
	Cell   bonded.CellID
	Time   uint64   // seconds since 1970-01-01 UTC, of the vault's clock; advisory
	OpenBy uint64   // seconds since 1970-01-01 UTC at which the leaf must be opened; 0 for leaves that owe none
	Prev   [32]byte // RFC 6962 leaf hash of the leaf of the same kind before; zero for the first
	Root   [32]byte // see [CommitFields]
}

// Encode returns the [LeafSize] bytes of l: magic 16, kind 1, zero 7, cell 8
// padded with zero bytes, time 8, open-by 8, prev 32, root 32, zero 16.
// Integers are big-endian.
func (l *Leaf) Encode() []byte {
	b := make([]byte, 0, LeafSize)
	b = append(b, leafMagic...)
	b = append(b, byte(l.Kind), 0, 0, 0, 0, 0, 0, 0)
	var cell [8]byte
	copy(cell[:], l.Cell)
	b = append(b, cell[:]...)
	b = binary.BigEndian.AppendUint64(b, l.Time)
	b = binary.BigEndian.AppendUint64(b, l.OpenBy)
	b = append(b, l.Prev[:]...)
	b = append(b, l.Root[:]...)
	return append(b, make([]byte, 16)...)
}

// DecodeLeaf reads what [Leaf.Encode] wrote.
func DecodeLeaf(b []byte) (*Leaf, error) {
	if len(b) != LeafSize || string(b[:16]) != leafMagic {
		return nil, canon.ErrMalformed
	}
	l := &Leaf{
		Kind: LeafKind(b[16]), Cell: bonded.CellID(bytes.TrimRight(b[24:32], "\x00")),
		Time: binary.BigEndian.Uint64(b[32:]), OpenBy: binary.BigEndian.Uint64(b[40:]),
	}
	copy(l.Prev[:], b[48:])
	copy(l.Root[:], b[80:])
	// What stands between the fields is zero, so that a leaf has one spelling.
	var zero [16]byte
	if l.Kind == 0 || l.Kind >= leafKindEnd || !l.Cell.Valid() || !bytes.Equal(b[17:24], zero[:7]) || !bytes.Equal(b[112:], zero[:]) {
		return nil, canon.ErrMalformed
	}
	return l, nil
}

// A LeafField is one committed field of a leaf, opened.
type LeafField struct {
	Name  string
	Salt  Salt
	Value []byte
}

func (f *LeafField) commitment() tlog.Hash {
	b := append([]byte("bonded/field/1"), f.Salt[:]...)
	b = append(b, canon.LP([]byte(f.Name), f.Value)...)
	h := sha256.Sum256(b)
	return tlog.RecordHash(h[:])
}

// CommitFields returns the root that commits to fields in their order:
//
//	commitment = SHA-256("bonded/field/1" ‖ 32 random bytes ‖ lp(name, value))
//	root       = RFC 6962 root over the leaf hashes of the commitments
func CommitFields(fields []LeafField) [32]byte {
	return TreeRoot(fieldLeaves(fields))
}

func fieldLeaves(fields []LeafField) []tlog.Hash {
	leaves := make([]tlog.Hash, len(fields))
	for i := range fields {
		leaves[i] = fields[i].commitment()
	}
	return leaves
}

// Fields of an anchor leaf, in this order.
const (
	AnchorSegments   = "segments"   // RFC 6962 root over the hashes of the segments since the anchor before
	AnchorLast       = "last"       // canonical bytes of the newest segment of the node; empty before the first
	AnchorHead       = "head"       // canonical bytes of the keyholder's signed head; empty if it did not answer
	AnchorTombstones = "tombstones" // 64-bit big-endian number and chain hash
	AnchorPolicy     = "policy"     // digest of the policy set in force
	AnchorDirectory  = "directory"  // SHA-256 of the directory file in force
)

// An OpenedField is one field of a leaf with the path that proves it.
type OpenedField struct {
	LeafField
	Index, Count int64
	Path         []tlog.Hash
}

// OpenField returns the proof for fields[i].
func OpenField(fields []LeafField, i int) OpenedField {
	return OpenedField{fields[i], int64(i), int64(len(fields)), TreePath(fieldLeaves(fields), i)}
}

// Check reports whether f belongs to a leaf with the given root.
func (f *OpenedField) Check(root [32]byte) error {
	return CheckPath(root, f.Path, f.Index, f.Count, f.commitment())
}

// EncodeFields returns the canonical bytes of opened fields, for storage and
// for the line between vault and keyholder.
func EncodeFields(fields []LeafField) []byte {
	var w canon.Writer
	w.Uint(uint64(len(fields)))
	for _, f := range fields {
		w.String(f.Name)
		w.Fixed(f.Salt[:])
		w.Bytes(f.Value)
	}
	return w.B
}

// DecodeFields reads what [EncodeFields] wrote.
func DecodeFields(b []byte) ([]LeafField, error) {
	r := canon.NewReader(b)
	var fields []LeafField
	for range r.Count(64) {
		f := LeafField{Name: r.String(64)}
		r.Fixed(f.Salt[:])
		f.Value = bytes.Clone(r.Bytes(4096))
		fields = append(fields, f)
		if r.Bad() {
			break
		}
	}
	return fields, r.Done()
}
