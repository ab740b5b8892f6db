package verify

import (
	"crypto/sha256"
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
