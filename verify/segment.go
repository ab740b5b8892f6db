package verify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"bonded"
	"bonded/internal/canon"
)

// A Segment closes a run of journal rows of one vault node: about a second's.
type Segment struct {
	Cell           bonded.CellID
	Node           uint16
	Incarnation    uint64
	Number         uint64   // rises by one, from 1, over all incarnations of the node
	First          uint64   // position of its first row; positions count the rows of the node in the order they became durable, from 1
	Count          uint64   // number of its rows, at least 1
	Root           [32]byte // RFC 6962 root over its row leaves
	Prev           [32]byte // hash of the node's segment before; zero for the first
	PrevCheckpoint [32]byte // SHA-256 of the newest cosigned checkpoint when it was closed: it was not closed earlier
}

// EncodeSegment returns the canonical bytes of s.
func EncodeSegment(s *Segment) []byte {
	var w canon.Writer
	w.Byte(1) // format version
	w.String(string(s.Cell))
	w.Uint(uint64(s.Node))
	w.Uint(s.Incarnation)
	w.Uint(s.Number)
	w.Uint(s.First)
	w.Uint(s.Count)
	w.Fixed(s.Root[:])
	w.Fixed(s.Prev[:])
	w.Fixed(s.PrevCheckpoint[:])
	return w.B
}

// DecodeSegment reads what [EncodeSegment] wrote.
func DecodeSegment(b []byte) (*Segment, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	s := &Segment{Cell: bonded.CellID(r.String(8))}
	node := r.Uint()
	if node > 0xffff {
		r.Fail()
	}
	s.Node = uint16(node) //nolint:gosec // checked above
	s.Incarnation, s.Number, s.First, s.Count = r.Uint(), r.Uint(), r.Uint(), r.Uint()
	r.Fixed(s.Root[:])
	r.Fixed(s.Prev[:])
	r.Fixed(s.PrevCheckpoint[:])
	return s, r.Done()
}

// Hash returns SHA-256("bonded/segment/1" ‖ canonical bytes).
func (s *Segment) Hash() [32]byte {
	return sha256.Sum256(append([]byte("bonded/segment/1"), EncodeSegment(s)...))
}

// A Promise is signed with each group commit of the vault, before the segment
// is sealed or anchored: dropping these rows later is then provable.
type Promise struct {
	Cell    bonded.CellID
	Ref     RowRef   // the row this copy of the promise was given for
	Leaf    [32]byte // its row leaf
	Segment uint64   // number of the segment that will hold it
	Index   uint64   // position of the row in that segment, from 0
	Size    uint64   // rows of the segment after the commit
	Root    [32]byte // RFC 6962 root over those rows
	Sig     [64]byte // Ed25519 of the vault's promise key over Message
}

// Message returns the signed bytes: lp("bonded/promise/1", cell, node,
// segment, size, root). Leaf and index are not signed: they are held against
// the root when the segment is there.
func (p *Promise) Message() []byte {
	return canon.LP([]byte("bonded/promise/1"), []byte(p.Cell), canon.U64(uint64(p.Ref.Node)), canon.U64(p.Segment), canon.U64(p.Size), p.Root[:])
}

// Verify reports whether p was signed by key.
func (p *Promise) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, p.Message(), p.Sig[:])
}

// String returns the value of the Bonded-Receipt header:
// v1;cell=eu;row=1.3.4711;leaf=…;segment=9;index=2;size=5;root=…;sig=…
// with standard base64.
func (p *Promise) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("v1;cell=%s;row=%d.%d.%d;leaf=%s;segment=%d;index=%d;size=%d;root=%s;sig=%s",
		p.Cell, p.Ref.Node, p.Ref.Incarnation, p.Ref.Seq, b64(p.Leaf[:]), p.Segment, p.Index, p.Size, b64(p.Root[:]), b64(p.Sig[:]))
}

// ParsePromise reads what [Promise.String] wrote, strictly. It returns a
// [bonded.Error] with code invalid for anything else.
func ParsePromise(s string) (*Promise, error) {
	bad := bonded.Errorf(bonded.CodeInvalid, "not a batch promise")
	parts := strings.Split(s, ";")
	names := []string{"", "cell", "row", "leaf", "segment", "index", "size", "root", "sig"}
	if len(parts) != len(names) || parts[0] != "v1" {
		return nil, bad
	}
	values := make([]string, len(names))
	for i := 1; i < len(names); i++ {
		v, ok := strings.CutPrefix(parts[i], names[i]+"=")
		if !ok {
			return nil, bad
		}
		values[i] = v
	}
	p := &Promise{Cell: bonded.CellID(values[1])}
	ref, ok := ParseRowRef(values[2])
	p.Ref = ref
	for i, dst := range map[int]*uint64{4: &p.Segment, 5: &p.Index, 6: &p.Size} {
		n, err := strconv.ParseUint(values[i], 10, 64)
		*dst, ok = n, ok && err == nil && strconv.FormatUint(n, 10) == values[i]
	}
	for i, dst := range map[int][]byte{3: p.Leaf[:], 7: p.Root[:], 8: p.Sig[:]} {
		b, err := decodeBase64(values[i])
		ok = ok && err == nil && len(b) == len(dst)
		copy(dst, b)
	}
	if !ok || !p.Cell.Valid() {
		return nil, bad
	}
	return p, nil
}

// String returns "node.incarnation.sequence".
func (r RowRef) String() string { return fmt.Sprintf("%d.%d.%d", r.Node, r.Incarnation, r.Seq) }

// ParseRowRef reads what [RowRef.String] wrote.
func ParseRowRef(s string) (RowRef, bool) {
	f := strings.Split(s, ".")
	if len(f) != 3 {
		return RowRef{}, false
	}
	node, e1 := strconv.ParseUint(f[0], 10, 16)
	inc, e2 := strconv.ParseUint(f[1], 10, 64)
	seq, e3 := strconv.ParseUint(f[2], 10, 64)
	r := RowRef{Node: uint16(node), Incarnation: inc, Seq: seq} //nolint:gosec // parsed as 16 bits
	return r, e1 == nil && e2 == nil && e3 == nil && r.String() == s
}
