package verify

import (
	"crypto/ed25519"
	"crypto/sha256"

	"bonded"
	"bonded/internal/canon"
)

// A BookKind says what a row of the keyholder's key-use book records. The
// numbers are stored.
type BookKind uint8

// Kinds of book rows.
const (
	BookUnlock  BookKind = 1 // field keys or index values were released, or refused
	BookDestroy BookKind = 2 // a subject key was destroyed, or that was refused
	BookSession BookKind = 3 // a principal opened a session
	BookGrants  BookKind = 4 // a numbered grant set was installed, or waits
	BookRotate  BookKind = 5 // the cell key got a new version, or an old one was destroyed
	BookStart   BookKind = 6 // the keyholder was unsealed
	BookCustody BookKind = 7 // the custodians' key set of an epoch was accepted
	BookControl BookKind = 8 // a policy or a version of the directory was put in force, or waits
	bookKindEnd BookKind = 9
)

// String returns "unlock", "destroy", "session", "grants", "rotate", "start",
// "custody" or "control".
func (k BookKind) String() string {
	return [...]string{"unknown", "unlock", "destroy", "session", "grants", "rotate", "start", "custody", "control", "unknown"}[min(k, bookKindEnd)]
}

// A BookRow is one entry of the key-use book, the keyholder's own record of
// what it released. spec/keyholder.md has the bytes.
type BookRow struct {
	Seq        uint64 // rises by one, from 1
	Kind       BookKind
	Cell       bonded.CellID
	Time       uint64 // milliseconds since 1970-01-01 UTC, of the keyholder's clock; advisory
	Row        RowRef // the vault's row
	RowLeaf    [32]byte
	Operation  Operation
	Outcome    Outcome     // allowed or refused; a batch may be allowed with items refused
	Code       bonded.Code // empty when allowed
	Principal  string      // id of the grant
	Assurance  Assurance
	Resolved   bool
	Collection string
	Purpose    bonded.Purpose
	Reason     string
	Basis      string
	Digest     [32]byte // request digest the principal proved, for a case the digest of its scope, for custody that of the key set; else zero
	Policy     [32]byte
	Detail     string // for kinds other than unlock: session id, key version, epoch, or what was put in force
	Items      []BookItem
}

// A BookItem is one item of a [BookRow].
type BookItem struct {
	Subject bonded.ID
	Record  bonded.ID
	Fields  []BookField
	Index   []string
	Code    bonded.Code // empty when released
	N       uint64      // number of this subject's releases so far, this one included; 0 when refused or when no subject is named
}

// A BookField is one released field key.
type BookField struct {
	Name    string
	Version bonded.ID
}

// EncodeBookRow returns the canonical bytes of r.
func EncodeBookRow(r *BookRow) []byte {
	w := canon.Writer{B: make([]byte, 0, 192+80*len(r.Items))}
	w.Byte(1) // format version
	w.Uint(r.Seq)
	w.Byte(byte(r.Kind))
	w.String(string(r.Cell))
	w.Uint(r.Time)
	encodeRowRef(&w, r.Row)
	encodeOptional(&w, r.RowLeaf)
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
	encodeOptional(&w, r.Digest)
	encodeOptional(&w, r.Policy)
	w.String(r.Detail)
	w.Uint(uint64(len(r.Items)))
	for i := range r.Items {
		it := &r.Items[i]
		w.Fixed(it.Subject[:])
		w.Fixed(it.Record[:])
		w.Uint(uint64(len(it.Fields)))
		for j := range it.Fields {
			w.String(it.Fields[j].Name)
			w.Fixed(it.Fields[j].Version[:])
		}
		w.Strings(it.Index)
		w.String(string(it.Code))
		w.Uint(it.N)
	}
	return w.B
}

// DecodeBookRow reads what [EncodeBookRow] wrote and refuses every other
// spelling.
func DecodeBookRow(b []byte) (*BookRow, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	row := &BookRow{Seq: r.Uint(), Kind: BookKind(r.Byte()), Cell: bonded.CellID(r.String(8)), Time: r.Uint()}
	row.Row = decodeRowRef(r)
	row.RowLeaf = decodeOptional(r)
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
	row.Digest = decodeOptional(r)
	row.Policy = decodeOptional(r)
	row.Detail = r.String(maxText)
	if row.Kind == 0 || row.Kind >= bookKindEnd || row.Operation >= opEnd || row.Outcome == 0 || row.Outcome >= outcomeEnd || row.Assurance >= assuranceEnd {
		r.Fail()
	}
	for range r.Count(MaxRowItems) {
		row.Items = append(row.Items, decodeBookItem(r))
		if r.Bad() {
			break
		}
	}
	return row, r.Done()
}

func decodeBookItem(r *canon.Reader) (it BookItem) {
	r.Fixed(it.Subject[:])
	r.Fixed(it.Record[:])
	for range r.Count(MaxRowFields) {
		f := BookField{Name: r.String(64)}
		r.Fixed(f.Version[:])
		it.Fields = append(it.Fields, f)
		if r.Bad() {
			break
		}
	}
	it.Index = r.Strings(MaxRowFields, 64)
	it.Code = bonded.Code(r.String(64))
	it.N = r.Uint()
	return it
}

// BookChain returns the chain hash after row, whose canonical bytes are given:
// SHA-256("bonded/book/1" ‖ prev ‖ SHA-256(row)). The chain before the first
// row is 32 zero bytes.
func BookChain(prev [32]byte, row []byte) [32]byte {
	h := sha256.Sum256(row)
	b := make([]byte, 0, 13+64)
	b = append(b, "bonded/book/1"...)
	b = append(b, prev[:]...)
	b = append(b, h[:]...)
	return sha256.Sum256(b)
}

// SubjectChain returns a subject's chain hash after its release number n in
// the book row with the given leaf: SHA-256("bonded/subject/1" ‖ prev ‖
// 64-bit big-endian n ‖ row leaf). It lets the keyholder sign "these are all".
func SubjectChain(prev [32]byte, n uint64, rowLeaf [32]byte) [32]byte {
	b := make([]byte, 0, 16+32+8+32)
	b = append(b, "bonded/subject/1"...)
	b = append(b, prev[:]...)
	b = append(b, canon.U64(n)...)
	b = append(b, rowLeaf[:]...)
	return sha256.Sum256(b)
}

// A Head is the keyholder's signed statement of where its book stands.
type Head struct {
	Cell  bonded.CellID
	Seq   uint64   // number of the last row; 0 for an empty book
	Chain [32]byte // chain hash after it
	Time  uint64   // milliseconds since 1970-01-01 UTC, of the keyholder's clock; advisory
	Sig   [64]byte // Ed25519 over Message
}

// Message returns the signed bytes:
// lp("bonded/head/1", cell, seq, chain, time).
func (h *Head) Message() []byte {
	return canon.LP([]byte("bonded/head/1"), []byte(h.Cell), canon.U64(h.Seq), h.Chain[:], canon.U64(h.Time))
}

// Verify reports whether h was signed by key.
func (h *Head) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, h.Message(), h.Sig[:])
}

// Encode returns the canonical bytes of h.
func (h *Head) Encode() []byte {
	var w canon.Writer
	w.String(string(h.Cell))
	w.Uint(h.Seq)
	w.Fixed(h.Chain[:])
	w.Uint(h.Time)
	w.Fixed(h.Sig[:])
	return w.B
}

// DecodeHead reads what [Head.Encode] wrote.
func DecodeHead(b []byte) (*Head, error) {
	r := canon.NewReader(b)
	h := &Head{Cell: bonded.CellID(r.String(8)), Seq: r.Uint()}
	r.Fixed(h.Chain[:])
	h.Time = r.Uint()
	r.Fixed(h.Sig[:])
	return h, r.Done()
}

// A SubjectCount is the keyholder's signed statement of how often it released
// keys of one subject: "these are all of them", not only "these are in".
type SubjectCount struct {
	Cell    bonded.CellID
	Subject bonded.ID
	N       uint64   // releases so far
	Chain   [32]byte // see [SubjectChain]
	Head    [32]byte // chain hash of the whole book at that moment
	Time    uint64   // milliseconds since 1970-01-01 UTC; advisory
	Sig     [64]byte
}

// Message returns the signed bytes:
// lp("bonded/subject-count/1", cell, subject, n, chain, head, time).
func (c *SubjectCount) Message() []byte {
	return canon.LP([]byte("bonded/subject-count/1"), []byte(c.Cell), c.Subject[:], canon.U64(c.N), c.Chain[:], c.Head[:], canon.U64(c.Time))
}

// Verify reports whether c was signed by key.
func (c *SubjectCount) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, c.Message(), c.Sig[:])
}

// A Tombstone is the keyholder's signed statement that a subject key is
// destroyed. Both parties keep it; the chain over all of them is in every
// anchor, so that no restored copy can forget one.
type Tombstone struct {
	Cell  bonded.CellID
	N     uint64   // number of this tombstone in the cell, from 1
	Mark  [32]byte // HMAC-SHA-256(tombstone key of the cell, subject id)
	Chain [32]byte // see [TombstoneChain]
	Time  uint64   // milliseconds since 1970-01-01 UTC; advisory
	Sig   [64]byte
}

// TombstoneChain returns the chain hash after a mark: SHA-256(
// "bonded/tombstone/1" ‖ prev ‖ mark). It is 32 zero bytes before the first.
func TombstoneChain(prev, mark [32]byte) [32]byte {
	b := make([]byte, 0, 18+64)
	b = append(b, "bonded/tombstone/1"...)
	b = append(b, prev[:]...)
	b = append(b, mark[:]...)
	return sha256.Sum256(b)
}

// Message returns the signed bytes:
// lp("bonded/tombstone/1", cell, n, mark, chain, time).
func (t *Tombstone) Message() []byte {
	return canon.LP([]byte("bonded/tombstone/1"), []byte(t.Cell), canon.U64(t.N), t.Mark[:], t.Chain[:], canon.U64(t.Time))
}

// Verify reports whether t was signed by key.
func (t *Tombstone) Verify(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, t.Message(), t.Sig[:])
}
