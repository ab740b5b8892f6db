package wire

import (
	"bonded"
	"bonded/internal/canon"
	"bonded/verify"
)

// Limits of one batch.
const (
	MaxEntries = 1024     // entries of one batch
	MaxFrame   = 16 << 20 // bytes of one frame
	MaxEntry   = 1 << 20  // bytes of one entry: whatever is booked of it can be read again in one frame
)

// An Unlock is one group commit of a vault node: everything it enters now and
// asks keys for.
type Unlock struct {
	Node        uint16
	Incarnation uint64
	Entries     []Entry
}

// An Entry is one journal row that asks for keys. Sequence numbers rise
// strictly within a node; nothing is answered twice.
type Entry struct {
	Seq        uint64   // of the row in the journal of the node
	Leaf       [32]byte // row leaf, see [verify.RowLeaf]
	Operation  verify.Operation
	Collection string
	Purpose    bonded.Purpose
	Reason     string
	Basis      string
	Policy     [32]byte // digest of the vault's policy set
	Auth       Auth
	Items      []Item
}

// Auth says who asks and how that is known.
type Auth struct {
	Principal string // id of the grant
	Assurance verify.Assurance
	Resolved  bool      // the vault chose the items; booked apart
	Proof     Proof     // for proven requests
	Named     []Named   // for proven requests: what the client named, if that is not just the items
	Body      [32]byte  // for proven writes and searches: SHA-256(nonce ‖ body)
	Job       bonded.ID // for jobs: id of the run
}

// An Item is one subject's record, or the values of one search.
type Item struct {
	Create  bool      // make a new subject key: the subject must not exist yet
	Subject bonded.ID // zero for searches
	Record  bonded.ID
	Fields  []FieldVersion
	Index   []IndexValue
}

// A FieldVersion names a field and, for reads, the version the vault holds.
// For writes the version is zero: the keyholder chooses it.
type FieldVersion struct {
	Name    string
	Version bonded.ID
}

// An IndexValue is the inner half of a two-lock index value.
type IndexValue struct {
	Field string
	Inner [32]byte
}

// An UnlockResult answers an [Unlock], entry by entry.
type UnlockResult struct {
	Entries []EntryResult
	Head    verify.Head // after the batch
}

// An EntryResult answers one [Entry]. A non-empty Code refuses it whole.
type EntryResult struct {
	Code  bonded.Code
	Rule  string // rule id of a refusal by policy
	Items []ItemResult
}

// An ItemResult answers one [Item]. Keys and Outer stand in the order asked.
type ItemResult struct {
	Code    bonded.Code
	Version bonded.ID  // for writes: the version chosen, one for all fields of the item
	N       uint64     // releases of this subject so far
	Keys    [][32]byte // field keys; wipe after use
	Outer   [][16]byte // two-lock index values
}

// EncodeUnlock returns the bytes of u.
func EncodeUnlock(u *Unlock) []byte {
	w := canon.Writer{B: make([]byte, 0, 64+320*len(u.Entries))}
	w.Uint(uint64(u.Node))
	w.Uint(u.Incarnation)
	w.Uint(uint64(len(u.Entries)))
	for i := range u.Entries {
		encodeEntry(&w, &u.Entries[i])
	}
	return w.B
}

func encodeEntry(w *canon.Writer, e *Entry) {
	w.Uint(e.Seq)
	w.Fixed(e.Leaf[:])
	w.Byte(byte(e.Operation))
	w.String(e.Collection)
	w.String(string(e.Purpose))
	w.String(e.Reason)
	w.String(e.Basis)
	w.Fixed(e.Policy[:])
	w.String(e.Auth.Principal)
	w.Byte(byte(e.Auth.Assurance))
	w.Bool(e.Auth.Resolved)
	switch e.Auth.Assurance {
	case verify.AssuranceProven:
		e.Auth.Proof.encode(w)
		encodeNamed(w, e.Auth.Named)
		w.Fixed(e.Auth.Body[:])
	case verify.AssuranceJob:
		w.Fixed(e.Auth.Job[:])
	case verify.AssuranceNone, verify.AssuranceVault, verify.AssuranceSubject, verify.AssuranceCase:
	}
	w.Uint(uint64(len(e.Items)))
	for i := range e.Items {
		it := &e.Items[i]
		w.Bool(it.Create)
		w.Fixed(it.Subject[:])
		w.Fixed(it.Record[:])
		w.Uint(uint64(len(it.Fields)))
		for j := range it.Fields {
			w.String(it.Fields[j].Name)
			w.Fixed(it.Fields[j].Version[:])
		}
		w.Uint(uint64(len(it.Index)))
		for j := range it.Index {
			w.String(it.Index[j].Field)
			w.Fixed(it.Index[j].Inner[:])
		}
	}
}

// DecodeUnlock reads what [EncodeUnlock] wrote.
func DecodeUnlock(b []byte) (*Unlock, error) {
	r := canon.NewReader(b)
	u := &Unlock{Node: uint16(r.Count(0xffff)), Incarnation: r.Uint()} //nolint:gosec // at most 0xffff
	n := r.Count(MaxEntries)
	u.Entries = make([]Entry, 0, min(n, 64))
	for range n {
		u.Entries = append(u.Entries, decodeEntry(r))
		if r.Bad() {
			break
		}
	}
	return u, r.Done()
}

func decodeEntry(r *canon.Reader) (e Entry) {
	before := r.Len()
	e.Seq = r.Uint()
	r.Fixed(e.Leaf[:])
	if e.Operation = verify.Operation(r.Byte()); !e.Operation.Valid() {
		r.Fail() // its refusal could not be booked
	}
	e.Collection = r.String(64)
	e.Purpose = bonded.Purpose(r.String(64))
	e.Reason = r.String(verify.MaxReason)
	e.Basis = r.String(512)
	r.Fixed(e.Policy[:])
	e.Auth.Principal = r.String(512)
	e.Auth.Assurance = verify.Assurance(r.Byte())
	e.Auth.Resolved = r.Bool()
	switch e.Auth.Assurance {
	case verify.AssuranceProven:
		e.Auth.Proof.decode(r)
		e.Auth.Named = decodeNamed(r)
		r.Fixed(e.Auth.Body[:])
	case verify.AssuranceJob:
		r.Fixed(e.Auth.Job[:])
	case verify.AssuranceVault:
	case verify.AssuranceNone, verify.AssuranceSubject, verify.AssuranceCase:
		r.Fail()
	default:
		r.Fail()
	}
	n := r.Count(verify.MaxRowItems)
	e.Items = make([]Item, 0, min(n, 128))
	for range n {
		e.Items = append(e.Items, decodeItem(r))
		if before-r.Len() > MaxEntry {
			r.Fail()
		}
		if r.Bad() {
			break
		}
	}
	return e
}

func decodeItem(r *canon.Reader) (it Item) {
	it.Create = r.Bool()
	r.Fixed(it.Subject[:])
	r.Fixed(it.Record[:])
	for range r.Count(verify.MaxRowFields) {
		f := FieldVersion{Name: r.String(64)}
		r.Fixed(f.Version[:])
		it.Fields = append(it.Fields, f)
		if r.Bad() {
			return it
		}
	}
	for range r.Count(verify.MaxRowFields) {
		v := IndexValue{Field: r.String(64)}
		r.Fixed(v.Inner[:])
		it.Index = append(it.Index, v)
		if r.Bad() {
			return it
		}
	}
	return it
}

// EncodeUnlockResult returns the bytes of u. They hold keys: wipe them after
// they are sent.
func EncodeUnlockResult(u *UnlockResult) []byte {
	w := canon.Writer{B: make([]byte, 0, 160+96*len(u.Entries))}
	w.Uint(uint64(len(u.Entries)))
	for i := range u.Entries {
		e := &u.Entries[i]
		w.String(string(e.Code))
		w.String(e.Rule)
		w.Uint(uint64(len(e.Items)))
		for j := range e.Items {
			it := &e.Items[j]
			w.String(string(it.Code))
			w.Fixed(it.Version[:])
			w.Uint(it.N)
			w.Uint(uint64(len(it.Keys)))
			for k := range it.Keys {
				w.Fixed(it.Keys[k][:])
			}
			w.Uint(uint64(len(it.Outer)))
			for k := range it.Outer {
				w.Fixed(it.Outer[k][:])
			}
		}
	}
	w.Fixed(u.Head.Encode())
	return w.B
}

// DecodeUnlockResult reads what [EncodeUnlockResult] wrote.
func DecodeUnlockResult(b []byte) (*UnlockResult, error) {
	r := canon.NewReader(b)
	u := new(UnlockResult)
	n := r.Count(MaxEntries)
	u.Entries = make([]EntryResult, n)
	for i := range u.Entries {
		e := &u.Entries[i]
		e.Code = bonded.Code(r.String(64))
		e.Rule = r.String(512)
		m := r.Count(verify.MaxRowItems)
		if r.Bad() {
			return nil, canon.ErrMalformed
		}
		e.Items = make([]ItemResult, m)
		for j := range e.Items {
			decodeItemResult(r, &e.Items[j])
			if r.Bad() {
				return nil, canon.ErrMalformed
			}
		}
	}
	h, err := verify.DecodeHead(r.Rest())
	if err != nil || r.Bad() {
		return nil, canon.ErrMalformed
	}
	u.Head = *h
	return u, nil
}

func decodeItemResult(r *canon.Reader, it *ItemResult) {
	it.Code = bonded.Code(r.String(64))
	r.Fixed(it.Version[:])
	it.N = r.Uint()
	if n := r.Count(verify.MaxRowFields); n > 0 && !r.Bad() {
		it.Keys = make([][32]byte, n)
		for k := range it.Keys {
			r.Fixed(it.Keys[k][:])
		}
	}
	if n := r.Count(verify.MaxRowFields); n > 0 && !r.Bad() {
		it.Outer = make([][16]byte, n)
		for k := range it.Outer {
			r.Fixed(it.Outer[k][:])
		}
	}
}
