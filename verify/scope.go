package verify

import (
	"crypto/sha256"
	"time"

	"bonded"
	"bonded/internal/canon"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of a scope.
const (
	MaxScopeItems  = 10_000
	MaxScopeFields = 64
)

// A Custody says who must agree before a field opens. The numbers are stored.
type Custody uint8

// Custodies.
const (
	CustodyTwoLock Custody = 1
	CustodyQuorum  Custody = 2
	custodyEnd     Custody = 3
)

// A Scope is exactly what a case may open, and for whom. Custodians sign its
// digest; the keyholder releases keys for nothing else.
type Scope struct {
	Cell      bonded.CellID
	Case      bonded.ID
	Kind      string   // "disclosure", "transfer", "source-review" or "export"
	Request   [32]byte // digest of the signed request
	Recipient [32]byte // digest of the recipient key, see [RecipientDigest]
	KeySet    [32]byte // digest of the custodians' key set in force
	Epoch     uint64   // of that key set
	Expires   uint64   // seconds since 1970-01-01 UTC: nothing is released for it after
	Items     []ScopeItem
}

// A ScopeItem is one record version with the fields to open.
type ScopeItem struct {
	Task       uint32 // index of the request's task
	Subject    bonded.ID
	Record     bonded.ID
	Collection string
	Fields     []ScopeField
	Envelope   [32]byte // hash of the quorum envelope of its quorum fields, see [EnvelopeHash]; zero without any
}

// A ScopeField is one field at one version.
type ScopeField struct {
	Name    string
	Version bonded.ID
	Custody Custody
	Match   bool // identifies the target; opened so that the match can be seen
}

// ExpiresBefore reports whether s has ended at t or before: nothing is released
// for it then. Expires is any 64-bit number, and compared as one.
func (s *Scope) ExpiresBefore(t time.Time) bool { return s.Expires <= uint64(max(0, t.Unix())) } //nolint:gosec // not negative

// EncodeScopeHead returns the canonical bytes of all but the items.
func EncodeScopeHead(s *Scope) []byte {
	var w canon.Writer
	w.Byte(1) // format version
	w.String(string(s.Cell))
	w.Fixed(s.Case[:])
	w.String(s.Kind)
	w.Fixed(s.Request[:])
	w.Fixed(s.Recipient[:])
	w.Fixed(s.KeySet[:])
	w.Uint(s.Epoch)
	w.Uint(s.Expires)
	return w.B
}

// DecodeScopeHead reads what [EncodeScopeHead] wrote.
func DecodeScopeHead(b []byte) (*Scope, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	s := &Scope{Cell: bonded.CellID(r.String(8))}
	r.Fixed(s.Case[:])
	s.Kind = r.String(64)
	r.Fixed(s.Request[:])
	r.Fixed(s.Recipient[:])
	r.Fixed(s.KeySet[:])
	s.Epoch, s.Expires = r.Uint(), r.Uint()
	if !s.Cell.Valid() || s.Case.IsZero() {
		r.Fail()
	}
	return s, r.Done()
}

// EncodeScopeItem returns the canonical bytes of one item.
func EncodeScopeItem(it *ScopeItem) []byte {
	var w canon.Writer
	w.Uint(uint64(it.Task))
	w.Fixed(it.Subject[:])
	w.Fixed(it.Record[:])
	w.String(it.Collection)
	w.Uint(uint64(len(it.Fields)))
	for i := range it.Fields {
		f := &it.Fields[i]
		w.String(f.Name)
		w.Fixed(f.Version[:])
		w.Byte(byte(f.Custody))
		w.Bool(f.Match)
	}
	w.Fixed(it.Envelope[:])
	return w.B
}

// DecodeScopeItem reads what [EncodeScopeItem] wrote. An item without fields,
// with a field twice, or with quorum fields and no envelope is malformed.
func DecodeScopeItem(b []byte) (*ScopeItem, error) {
	r := canon.NewReader(b)
	it := &ScopeItem{Task: uint32(r.Count(1 << 20))} //nolint:gosec // at most 2^20
	r.Fixed(it.Subject[:])
	r.Fixed(it.Record[:])
	it.Collection = r.String(64)
	seen := map[string]bool{}
	quorum := false
	for range r.Count(MaxScopeFields) {
		f := ScopeField{Name: r.String(64)}
		r.Fixed(f.Version[:])
		f.Custody, f.Match = Custody(r.Byte()), r.Bool()
		if !bonded.ValidName(f.Name) || seen[f.Name] || f.Custody == 0 || f.Custody >= custodyEnd || f.Version.IsZero() {
			r.Fail()
		}
		seen[f.Name] = true
		quorum = quorum || f.Custody == CustodyQuorum
		it.Fields = append(it.Fields, f)
		if r.Bad() {
			break
		}
	}
	r.Fixed(it.Envelope[:])
	if len(it.Fields) == 0 || it.Subject.IsZero() || it.Record.IsZero() || !bonded.ValidName(it.Collection) || quorum == (it.Envelope == [32]byte{}) {
		r.Fail()
	}
	return it, r.Done()
}

// ScopeItemHash returns the leaf hash of an item in the tree of its scope.
func ScopeItemHash(item []byte) tlog.Hash {
	return tlog.RecordHash(append([]byte("bonded/scope-item/1"), item...))
}

// ItemHashes returns the leaf hashes of the items of s, in order.
func (s *Scope) ItemHashes() []tlog.Hash {
	hs := make([]tlog.Hash, len(s.Items))
	for i := range s.Items {
		hs[i] = ScopeItemHash(EncodeScopeItem(&s.Items[i]))
	}
	return hs
}

// Digest returns what custodians sign.
func (s *Scope) Digest() [32]byte { return ScopeDigest(EncodeScopeHead(s), s.ItemHashes()) }

// ScopeDigest returns the digest of a scope from its head and the hashes of
// all its items:
//
//	SHA-256("bonded/scope/1" ‖ lp(head, number of items, RFC 6962 root over the item hashes))
func ScopeDigest(head []byte, items []tlog.Hash) [32]byte {
	root := TreeRoot(items)
	return sha256.Sum256(append([]byte("bonded/scope/1"), canon.LP(head, canon.U64(uint64(len(items))), root[:])...))
}

// RecipientDigest returns the digest by which a scope names a recipient key:
// SHA-256 over a label and the key's canonical bytes.
func RecipientDigest(key []byte) [32]byte {
	return sha256.Sum256(append([]byte("bonded/recipient/1"), canon.LP(key)...))
}
