package wire

import (
	"bonded"
	"bonded/internal/canon"
	"bonded/verify"
)

// A Message is the kind of a frame. The numbers cross the line; never reuse.
type Message uint8

// Messages the vault sends; each is answered by a frame of the same kind or
// by [MsgError].
const (
	MsgError      Message = 0  // code, message, hint
	MsgHello      Message = 1  // first frame: who is there and where its books stand
	MsgUnlock     Message = 2  // [Unlock] → [UnlockResult]
	MsgChallenge  Message = 3  // nothing → 32 bytes, good for one session and one minute
	MsgSession    Message = 4  // [OpenSession] → [Session]
	MsgDestroy    Message = 5  // [Destroy] → [verify.Tombstone]
	MsgAnchor     Message = 6  // [Anchor] → [AnchorResult]
	MsgBook       Message = 7  // [BookSince] → [Book]
	MsgStatus     Message = 8  // nothing → [Status]
	MsgTombstones Message = 9  // from number, 64 bits → list of tombstones
	MsgCount      Message = 10 // subject id → [verify.SubjectCount]
	MsgRotate     Message = 11 // nothing → [Status]; makes a new cell-key version and starts re-wrapping
	MsgCatchUp    Message = 12 // [CatchUp] → [CatchUpResult]
	MsgRelease    Message = 13 // [Release] → [ReleaseResult]
	MsgEvidence   Message = 14 // [Evidence] → [EvidenceResult]
	MsgCustody    Message = 15 // [Custody] → [CustodyResult]
)

// EncodeError returns the payload of a [MsgError] frame.
func EncodeError(e *bonded.Error) []byte {
	var w canon.Writer
	w.String(string(e.Code))
	w.String(e.Message)
	w.String(e.Hint)
	w.Strings(e.Rules)
	return w.B
}

// DecodeError reads what [EncodeError] wrote; it never returns nil.
func DecodeError(b []byte) *bonded.Error {
	r := canon.NewReader(b)
	e := &bonded.Error{Code: bonded.Code(r.String(64)), Message: r.String(4096), Hint: r.String(4096), Rules: r.Strings(64, 512)}
	if r.Done() != nil {
		return bonded.Errorf(bonded.CodeInternal, "malformed error frame")
	}
	return e
}

// MaxRefusal is the longest text of [Status.Refusal], in bytes.
const MaxRefusal = 1024

// A Hello opens a stream. The keyholder answers with its own: the vault's
// Head is the last keyholder head it made durable.
type Hello struct {
	Cell        bonded.CellID
	Node        uint16
	Incarnation uint64
	Head        verify.Head // vault: last seen (zero if none); keyholder: its own, signed
	Tombstones  uint64      // number of tombstones held
	Chain       [32]byte    // chain hash over them
	Policy      [32]byte    // digest of the policy set in force
	Key         [32]byte    // keyholder only: the cell's tombstone key; zero from the vault
	Sealed      bool        // keyholder only: unlocks nothing
}

// Encode returns the bytes of h.
func (h *Hello) Encode() []byte {
	var w canon.Writer
	w.String(string(h.Cell))
	w.Uint(uint64(h.Node))
	w.Uint(h.Incarnation)
	w.Bytes(h.Head.Encode())
	w.Uint(h.Tombstones)
	w.Fixed(h.Chain[:])
	w.Fixed(h.Policy[:])
	w.Fixed(h.Key[:])
	w.Bool(h.Sealed)
	return w.B
}

// DecodeHello reads what [Hello.Encode] wrote.
func DecodeHello(b []byte) (*Hello, error) {
	r := canon.NewReader(b)
	h := &Hello{Cell: bonded.CellID(r.String(8)), Node: uint16(r.Count(0xffff)), Incarnation: r.Uint()} //nolint:gosec // at most 0xffff
	head, err := verify.DecodeHead(r.Bytes(256))
	if err != nil {
		return nil, err
	}
	h.Head = *head
	h.Tombstones = r.Uint()
	r.Fixed(h.Chain[:])
	r.Fixed(h.Policy[:])
	r.Fixed(h.Key[:])
	h.Sealed = r.Bool()
	return h, r.Done()
}

// A Destroy asks for the destruction of a subject key. Receipt is the JSON of
// the [verify.Receipt] of the erasure's row, anchored: destroying needs an
// entry as well.
type Destroy struct {
	Subject bonded.ID
	Auth    Auth
	Purpose bonded.Purpose
	Reason  string
	Ref     verify.RowRef
	Leaf    [32]byte
	Receipt []byte
}

// Encode returns the bytes of d.
func (d *Destroy) Encode() []byte {
	var w canon.Writer
	e := Entry{
		Seq: d.Ref.Seq, Leaf: d.Leaf, Operation: verify.OpErase, Purpose: d.Purpose, Reason: d.Reason,
		Auth: d.Auth, Items: []Item{{Subject: d.Subject}},
	}
	w.Uint(uint64(d.Ref.Node))
	w.Uint(d.Ref.Incarnation)
	encodeEntry(&w, &e)
	w.Bytes(d.Receipt)
	return w.B
}

// DecodeDestroy reads what [Destroy.Encode] wrote.
func DecodeDestroy(b []byte) (*Destroy, error) {
	r := canon.NewReader(b)
	d := new(Destroy)
	d.Ref.Node = uint16(r.Count(0xffff)) //nolint:gosec // at most 0xffff
	d.Ref.Incarnation = r.Uint()
	e := decodeEntry(r)
	d.Receipt = append([]byte(nil), r.Bytes(1<<20)...)
	if len(e.Items) != 1 || e.Operation != verify.OpErase || e.Collection != "" || e.Basis != "" || e.Policy != ([32]byte{}) {
		r.Fail()
	} else if it := &e.Items[0]; it.Create || !it.Record.IsZero() || len(it.Fields) != 0 || len(it.Index) != 0 {
		r.Fail()
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	d.Ref.Seq, d.Leaf, d.Auth, d.Purpose, d.Reason, d.Subject = e.Seq, e.Leaf, e.Auth, e.Purpose, e.Reason, e.Items[0].Subject
	return d, nil
}

// EncodeTombstone returns the bytes of t.
func EncodeTombstone(t *verify.Tombstone) []byte {
	var w canon.Writer
	w.String(string(t.Cell))
	w.Uint(t.N)
	w.Fixed(t.Mark[:])
	w.Fixed(t.Chain[:])
	w.Uint(t.Time)
	w.Fixed(t.Sig[:])
	return w.B
}

// DecodeTombstone reads what [EncodeTombstone] wrote.
func DecodeTombstone(b []byte) (*verify.Tombstone, error) {
	r := canon.NewReader(b)
	t := &verify.Tombstone{Cell: bonded.CellID(r.String(8)), N: r.Uint()}
	r.Fixed(t.Mark[:])
	r.Fixed(t.Chain[:])
	t.Time = r.Uint()
	r.Fixed(t.Sig[:])
	return t, r.Done()
}

// EncodeSubjectCount returns the bytes of c.
func EncodeSubjectCount(c *verify.SubjectCount) []byte {
	var w canon.Writer
	w.String(string(c.Cell))
	w.Fixed(c.Subject[:])
	w.Uint(c.N)
	w.Fixed(c.Chain[:])
	w.Fixed(c.Head[:])
	w.Uint(c.Time)
	w.Fixed(c.Sig[:])
	return w.B
}

// DecodeSubjectCount reads what [EncodeSubjectCount] wrote.
func DecodeSubjectCount(b []byte) (*verify.SubjectCount, error) {
	r := canon.NewReader(b)
	c := &verify.SubjectCount{Cell: bonded.CellID(r.String(8))}
	r.Fixed(c.Subject[:])
	c.N = r.Uint()
	r.Fixed(c.Chain[:])
	r.Fixed(c.Head[:])
	c.Time = r.Uint()
	r.Fixed(c.Sig[:])
	return c, r.Done()
}

// A List is a sequence of byte strings: book rows or tombstones.
type List struct{ Items [][]byte }

// Encode returns the bytes of l.
func (l *List) Encode() []byte {
	var w canon.Writer
	w.Uint(uint64(len(l.Items)))
	for _, b := range l.Items {
		w.Bytes(b)
	}
	return w.B
}

// DecodeList reads what [List.Encode] wrote.
func DecodeList(b []byte) (*List, error) {
	r := canon.NewReader(b)
	l := new(List)
	for range r.Count(1 << 16) {
		l.Items = append(l.Items, append([]byte(nil), r.Bytes(MaxFrame)...))
		if r.Bad() {
			break
		}
	}
	return l, r.Done()
}

// A BookSince asks for book rows after a sequence number; the answer is a
// [List] of at most Limit rows, empty only at the end of the book: a frame may
// hold fewer.
type BookSince struct {
	After uint64
	Limit uint64 // 1 to 4,096
}

// Encode returns the bytes of s.
func (s *BookSince) Encode() []byte {
	var w canon.Writer
	w.Uint(s.After)
	w.Uint(s.Limit)
	return w.B
}

// DecodeBookSince reads what [BookSince.Encode] wrote.
func DecodeBookSince(b []byte) (*BookSince, error) {
	r := canon.NewReader(b)
	s := &BookSince{After: r.Uint(), Limit: r.Uint()}
	return s, r.Done()
}

// An AnchoredSegment is a segment with its row leaves, so that the keyholder
// can find every release in it.
type AnchoredSegment struct {
	Segment []byte // canonical bytes
	Leaves  [][32]byte
	Orphans [][2][32]byte // for each orphan row in it: its row leaf and the row leaf of the release it names
}

// An Anchor shows the keyholder an anchor leaf under a cosigned checkpoint.
type Anchor struct {
	Leaf     []byte
	Fields   []byte // all fields of the leaf, see [verify.EncodeFields]
	Proof    []byte // C2SP tlog-proof
	Segments []AnchoredSegment
}

// Encode returns the bytes of a.
func (a *Anchor) Encode() []byte {
	var w canon.Writer
	w.Bytes(a.Leaf)
	w.Bytes(a.Fields)
	w.Bytes(a.Proof)
	w.Uint(uint64(len(a.Segments)))
	for i := range a.Segments {
		s := &a.Segments[i]
		w.Bytes(s.Segment)
		w.Uint(uint64(len(s.Leaves)))
		for j := range s.Leaves {
			w.Fixed(s.Leaves[j][:])
		}
		w.Uint(uint64(len(s.Orphans)))
		for j := range s.Orphans {
			w.Fixed(s.Orphans[j][0][:])
			w.Fixed(s.Orphans[j][1][:])
		}
	}
	return w.B
}

// DecodeAnchor reads what [Anchor.Encode] wrote.
func DecodeAnchor(b []byte) (*Anchor, error) {
	r := canon.NewReader(b)
	clone := func(limit int) []byte { return append([]byte(nil), r.Bytes(limit)...) }
	a := &Anchor{Leaf: clone(verify.LeafSize), Fields: clone(1 << 16), Proof: clone(1 << 16)}
	for range r.Count(1 << 12) {
		s := AnchoredSegment{Segment: clone(1024)}
		for range r.Count(1 << 20) {
			var h [32]byte
			r.Fixed(h[:])
			s.Leaves = append(s.Leaves, h)
			if r.Bad() {
				return nil, canon.ErrMalformed
			}
		}
		for range r.Count(1 << 16) {
			var p [2][32]byte
			r.Fixed(p[0][:])
			r.Fixed(p[1][:])
			s.Orphans = append(s.Orphans, p)
			if r.Bad() {
				return nil, canon.ErrMalformed
			}
		}
		a.Segments = append(a.Segments, s)
		if r.Bad() {
			break
		}
	}
	return a, r.Done()
}

// An AnchorResult answers an [Anchor].
type AnchorResult struct {
	Accepted bool
	Missing  [][32]byte // row leaves released over 15 minutes ago that no anchored segment holds
	Head     verify.Head
}

// Encode returns the bytes of a.
func (a *AnchorResult) Encode() []byte {
	var w canon.Writer
	w.Bool(a.Accepted)
	w.Uint(uint64(len(a.Missing)))
	for i := range a.Missing {
		w.Fixed(a.Missing[i][:])
	}
	w.Fixed(a.Head.Encode())
	return w.B
}

// DecodeAnchorResult reads what [AnchorResult.Encode] wrote.
func DecodeAnchorResult(b []byte) (*AnchorResult, error) {
	r := canon.NewReader(b)
	a := &AnchorResult{Accepted: r.Bool()}
	for range r.Count(1 << 16) {
		var h [32]byte
		r.Fixed(h[:])
		a.Missing = append(a.Missing, h)
		if r.Bad() {
			return nil, canon.ErrMalformed
		}
	}
	h, err := verify.DecodeHead(r.Rest())
	if err != nil || r.Bad() {
		return nil, canon.ErrMalformed
	}
	a.Head = *h
	return a, nil
}

// A CatchUp shows the keyholder an entry of the ledger that is no anchor of its
// cell; anchors are shown by [Anchor]. Both empty, it asks only how far the
// keyholder has come.
type CatchUp struct {
	Entry []byte
	Proof []byte // C2SP tlog-proof
}

// Encode returns the bytes of c.
func (c *CatchUp) Encode() []byte {
	var w canon.Writer
	w.Bytes(c.Entry)
	w.Bytes(c.Proof)
	return w.B
}

// DecodeCatchUp reads what [CatchUp.Encode] wrote.
func DecodeCatchUp(b []byte) (*CatchUp, error) {
	r := canon.NewReader(b)
	c := &CatchUp{Entry: r.Bytes(1 << 16), Proof: r.Bytes(1 << 16)}
	return c, r.Done()
}

// A CatchUpResult says which entry of the ledger the keyholder has to be shown
// next. It passes its start check with the newest one only when it has been
// shown every one before.
type CatchUpResult struct{ Next uint64 }

// Encode returns the bytes of c.
func (c *CatchUpResult) Encode() []byte {
	var w canon.Writer
	w.Uint(c.Next)
	return w.B
}

// DecodeCatchUpResult reads what [CatchUpResult.Encode] wrote.
func DecodeCatchUpResult(b []byte) (*CatchUpResult, error) {
	r := canon.NewReader(b)
	c := &CatchUpResult{Next: r.Uint()}
	return c, r.Done()
}

// A Status says how a keyholder stands.
type Status struct {
	Sealed       bool
	Subjects     uint64      // subject keys held
	KeyVersion   uint32      // current version of the cell key
	Rewrapped    uint64      // subject keys already under it
	GrantSet     uint64      // number of the grant set in force
	Witnessed    uint64      // witness time of the newest checkpoint seen, seconds since 1970-01-01 UTC
	Unanchored   uint64      // releases not yet in an anchored segment
	Asserted     uint64      // releases that only the vault asserts
	Resolved     uint64      // releases whose items the vault chose
	Proven       uint64      // releases with a proof
	Refused      uint64      // refusals since start
	Head         verify.Head // signed
	Reason       string      // why nothing unlocks, if so
	RewrapsUntil uint64      // seconds since 1970-01-01 UTC at which the old cell key is destroyed; 0 if there is none
	Cases        uint64      // releases to requesters of cases
	Epoch        uint64      // of the custodians in force; 0 before the first ceremony
	KeySet       [32]byte    // digest of their key set
	Waiting      []Waiting   // what was announced and is not in force yet
	Refusal      string      // why the change announced last is refused; empty if none is; at most MaxRefusal bytes
}

// Encode returns the bytes of s.
func (s *Status) Encode() []byte {
	var w canon.Writer
	w.Bool(s.Sealed)
	for _, v := range []uint64{s.Subjects, uint64(s.KeyVersion), s.Rewrapped, s.GrantSet, s.Witnessed, s.Unanchored, s.Asserted, s.Resolved, s.Proven, s.Refused, s.RewrapsUntil, s.Cases, s.Epoch} {
		w.Uint(v)
	}
	w.Fixed(s.KeySet[:])
	w.String(s.Reason)
	w.Uint(uint64(len(s.Waiting)))
	for i := range s.Waiting {
		s.Waiting[i].encode(&w)
	}
	w.String(s.Refusal)
	w.Fixed(s.Head.Encode())
	return w.B
}

// DecodeStatus reads what [Status.Encode] wrote.
func DecodeStatus(b []byte) (*Status, error) {
	r := canon.NewReader(b)
	s := &Status{Sealed: r.Bool()}
	var version uint64
	for _, v := range []*uint64{&s.Subjects, &version, &s.Rewrapped, &s.GrantSet, &s.Witnessed, &s.Unanchored, &s.Asserted, &s.Resolved, &s.Proven, &s.Refused, &s.RewrapsUntil, &s.Cases, &s.Epoch} {
		*v = r.Uint()
	}
	r.Fixed(s.KeySet[:])
	if version > 0xffffffff {
		return nil, canon.ErrMalformed
	}
	s.KeyVersion = uint32(version)
	s.Reason = r.String(4096)
	for range r.Count(maxWaiting) {
		s.Waiting = append(s.Waiting, decodeWaiting(r))
		if r.Bad() {
			return nil, canon.ErrMalformed
		}
	}
	s.Refusal = r.String(MaxRefusal)
	h, err := verify.DecodeHead(r.Rest())
	if err != nil || r.Bad() {
		return nil, canon.ErrMalformed
	}
	s.Head = *h
	return s, nil
}
