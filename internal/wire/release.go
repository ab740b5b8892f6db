package wire

import (
	"bonded"
	"bonded/internal/canon"
	"bonded/verify"
)

// Limits of one [Release].
const (
	MaxReleaseItems = 256 // scope items
	MaxApprovals    = 256 // of a certificate: eight roles of 32 custodians

	maxScopeHead = 1024
	maxOpening   = 64 << 10
	maxRecipient = 4096
	maxApproval  = 1024
	maxSealed    = 2048 + 32*verify.MaxScopeFields // HPKE adds 1,136 bytes
)

// A Release is one journal row that asks for the keys of scope items of a case,
// sealed to its requester. It has its place in the stream of the node as an
// [Entry] has.
type Release struct {
	Node        uint16
	Incarnation uint64
	Seq         uint64   // of the row in the journal of the node
	Leaf        [32]byte // row leaf, see [verify.RowLeaf]
	Principal   string   // id of the front door's grant
	Purpose     bonded.Purpose
	Policy      [32]byte // digest of the vault's policy set
	Certificate Certificate
	From        uint64   // place in the scope of the first item
	Items       [][]byte // canonical, see [verify.EncodeScopeItem]; all of one collection
}

// A Certificate is what the keyholder must be shown before it releases anything
// for a case. It checks every part itself.
type Certificate struct {
	ScopeHead []byte     // canonical, see [verify.EncodeScopeHead]
	Hashes    [][32]byte // leaf hashes of all items of the scope, in order
	Approvals [][]byte   // canonical, see [verify.Approval.Encode]
	Quorum    [32]byte   // leaf hash that the approvals name
	Opening   []byte     // JSON of the [verify.CaseOpening] of the entry with event opening
	Proof     []byte     // C2SP tlog-proof of that entry
	Recipient []byte     // recipient key, see [verify.RecipientDigest]
}

// Encode returns the bytes of x.
func (x *Release) Encode() []byte {
	c := &x.Certificate
	w := canon.Writer{B: make([]byte, 0, 4096+len(c.Opening)+len(c.Proof)+32*len(c.Hashes)+256*len(x.Items))}
	w.Uint(uint64(x.Node))
	w.Uint(x.Incarnation)
	w.Uint(x.Seq)
	w.Fixed(x.Leaf[:])
	w.String(x.Principal)
	w.String(string(x.Purpose))
	w.Fixed(x.Policy[:])
	w.Bytes(c.ScopeHead)
	w.Uint(uint64(len(c.Hashes)))
	for i := range c.Hashes {
		w.Fixed(c.Hashes[i][:])
	}
	writeList(&w, c.Approvals)
	w.Fixed(c.Quorum[:])
	w.Bytes(c.Opening)
	w.Bytes(c.Proof)
	w.Bytes(c.Recipient)
	w.Uint(x.From)
	writeList(&w, x.Items)
	return w.B
}

func writeList(w *canon.Writer, list [][]byte) {
	w.Uint(uint64(len(list)))
	for _, b := range list {
		w.Bytes(b)
	}
}

// readList takes at most count byte strings of at most limit bytes each and of
// at most total bytes together.
func readList(r *canon.Reader, count, limit, total int) (list [][]byte) {
	for range r.Count(count) {
		b := append([]byte(nil), r.Bytes(limit)...)
		if total -= len(b); total < 0 {
			r.Fail()
		}
		if r.Bad() {
			return nil
		}
		list = append(list, b)
	}
	return list
}

// DecodeRelease reads what [Release.Encode] wrote. It checks the form alone.
func DecodeRelease(b []byte) (*Release, error) {
	r := canon.NewReader(b)
	clone := func(limit int) []byte { return append([]byte(nil), r.Bytes(limit)...) }
	x := &Release{Node: uint16(r.Count(0xffff)), Incarnation: r.Uint(), Seq: r.Uint()} //nolint:gosec // at most 0xffff
	r.Fixed(x.Leaf[:])
	x.Principal = r.String(512)
	x.Purpose = bonded.Purpose(r.String(64))
	r.Fixed(x.Policy[:])
	c := &x.Certificate
	c.ScopeHead = clone(maxScopeHead)
	if n := r.Count(verify.MaxScopeItems); n*32 <= r.Len() && !r.Bad() {
		c.Hashes = make([][32]byte, n)
		for i := range c.Hashes {
			r.Fixed(c.Hashes[i][:])
		}
	} else {
		r.Fail()
	}
	c.Approvals = readList(r, MaxApprovals, maxApproval, MaxApprovals*maxApproval)
	r.Fixed(c.Quorum[:])
	c.Opening = clone(maxOpening)
	c.Proof = clone(verify.MaxTlogProofSize)
	c.Recipient = clone(maxRecipient)
	x.From = r.Uint()
	x.Items = readList(r, MaxReleaseItems, MaxEntry, MaxEntry)
	return x, r.Done()
}

// A ReleaseResult answers a [Release]. A non-empty Code refuses it whole.
type ReleaseResult struct {
	Code  bonded.Code
	Rule  string // that refused
	Items []SealedItem
	Head  verify.Head // after it
}

// A SealedItem answers one scope item. Sealed opens for the recipient alone,
// see spec/keyholder.md: the vault can read nothing of it.
type SealedItem struct {
	Code   bonded.Code
	N      uint64 // releases of this subject so far
	Sealed []byte
}

// Encode returns the bytes of x.
func (x *ReleaseResult) Encode() []byte {
	w := canon.Writer{B: make([]byte, 0, 256+1400*len(x.Items))}
	w.String(string(x.Code))
	w.String(x.Rule)
	w.Uint(uint64(len(x.Items)))
	for i := range x.Items {
		it := &x.Items[i]
		w.String(string(it.Code))
		w.Uint(it.N)
		w.Bytes(it.Sealed)
	}
	w.Fixed(x.Head.Encode())
	return w.B
}

// DecodeReleaseResult reads what [ReleaseResult.Encode] wrote.
func DecodeReleaseResult(b []byte) (*ReleaseResult, error) {
	r := canon.NewReader(b)
	x := &ReleaseResult{Code: bonded.Code(r.String(64)), Rule: r.String(512)}
	for range r.Count(MaxReleaseItems) {
		x.Items = append(x.Items, SealedItem{Code: bonded.Code(r.String(64)), N: r.Uint(), Sealed: append([]byte(nil), r.Bytes(maxSealed)...)})
		if r.Bad() {
			return nil, canon.ErrMalformed
		}
	}
	h, err := verify.DecodeHead(r.Rest())
	if err != nil || r.Bad() {
		return nil, canon.ErrMalformed
	}
	x.Head = *h
	return x, nil
}
