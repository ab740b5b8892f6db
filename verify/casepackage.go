package verify

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"time"

	"bonded"
	"bonded/internal/canon"
)

// PackageFormat is the format name of this version of release packages.
const PackageFormat = "bonded/package/1"

// PackageMagic is how a release package begins.
const PackageMagic = "bonded-package-1\n"

// PackageHeaderSize is the length of what stands before the bytes of every
// section: its kind and its length.
const PackageHeaderSize = 1 + 8

// A PackageSection is the kind of a section of a release package. Sections
// stand in the order of their numbers, which are stored. Those marked many may
// stand any number of times within their limit, the others once.
type PackageSection uint8

// Sections.
const (
	SectionManifest PackageSection = 1  // [PackageManifest]
	SectionCeremony PackageSection = 2  // [Statement] of the first [CeremonyOrder]
	SectionCustody  PackageSection = 3  // [PackageCustody]; many, oldest first
	SectionRegistry PackageSection = 4  // [PackageRegistry]; many, registrars before those they registered
	SectionRequest  PackageSection = 5  // [Statement] of the [CaseRequest]
	SectionScope    PackageSection = 6  // canonical, see [EncodeScopeHead]
	SectionQuorum   PackageSection = 7  // [PackageEntry] of the entry with event quorum
	SectionApproval PackageSection = 8  // canonical [Approval]; many
	SectionOpening  PackageSection = 9  // [PackageEntry] of the entry with event opening
	SectionItem     PackageSection = 10 // [PackageItem]; many, in the order of the scope
	SectionReceipt  PackageSection = 11 // [Receipt]; many
	SectionEnd      PackageSection = 12 // [PackageEnd]
	sectionEnd      PackageSection = 13
)

// Limits of a release package, in bytes of one section or in sections of one
// kind. Items and receipts come and go one by one: a reader never holds more
// than the largest section, and about 100 bytes for each item.
const (
	MaxPackageManifest    = 16 << 10
	MaxPackageRegistry    = 64 // entries
	MaxPackageApprovals   = 256
	MaxPackageCustody     = 1024 // certificates
	MaxPackageCertificate = 1 << 20
	MaxPackageReceipts    = 2 * MaxScopeItems
	MaxPackageCiphertext  = 64<<10 + 64 // a sealed field
	MaxPackageSealed      = 8 << 10     // sealed keys of one item
	MaxPackageEnvelope    = 16 << 10
	MaxPackageCombined    = 256 << 10
	MaxPackageItem        = MaxScopeFields*MaxPackageCiphertext + MaxPackageCombined + 128<<10

	maxPackageOpening  = 64 << 10
	maxPackageApproval = 4 << 10
	maxPackageScope    = 1 << 10
	maxPackageRow      = 64 // bytes of an entry id
)

// packageLimits says of each kind how long a section and how many there may be.
var packageLimits = [sectionEnd]struct {
	size  uint64
	least int
	most  int
	what  string
}{
	SectionManifest: {MaxPackageManifest, 1, 1, "manifest"},
	SectionCeremony: {2 * MaxStatement, 1, 1, "order of the first ceremony"},
	SectionCustody:  {MaxPackageCertificate + maxPackageOpening + MaxTlogProofSize + 64, 1, MaxPackageCustody, "certificate"},
	SectionRegistry: {2*MaxStatement + maxPackageOpening + MaxTlogProofSize + 64, 2, MaxPackageRegistry, "register entry"},
	SectionRequest:  {2 * MaxStatement, 1, 1, "request"},
	SectionScope:    {maxPackageScope, 1, 1, "scope"},
	SectionQuorum:   {maxPackageOpening + MaxTlogProofSize + 64, 1, 1, "quorum entry"},
	SectionApproval: {maxPackageApproval, 1, MaxPackageApprovals, "approval"},
	SectionOpening:  {maxPackageOpening + MaxTlogProofSize + 64, 1, 1, "opening entry"},
	SectionItem:     {MaxPackageItem, 0, MaxScopeItems, "item"},
	SectionReceipt:  {MaxReceiptSize, 0, MaxPackageReceipts, "receipt"},
	SectionEnd:      {256, 1, 1, "end"},
}

// Limit returns how many bytes a section of the kind has at most.
func (s PackageSection) Limit() int {
	if s == 0 || s >= sectionEnd {
		return 0
	}
	return int(packageLimits[s].size) //nolint:gosec // a few MiB
}

// String says in a word what stands in the section.
func (s PackageSection) String() string {
	if s == 0 || s >= sectionEnd {
		return "unknown section"
	}
	return packageLimits[s].what
}

// A PackageManifest says what a release package is of. Digests are lower-case
// hexadecimal.
type PackageManifest struct {
	Format    string        `json:"format"` // [PackageFormat]
	Cell      bonded.CellID `json:"cell"`
	Case      bonded.CaseID `json:"case"`
	Made      time.Time     `json:"made"`      // UTC, whole seconds
	Expires   time.Time     `json:"expires"`   // UTC, whole seconds: nobody opens it from then on
	Request   string        `json:"request"`   // digest of the request, see [Statement.Digest]
	Scope     string        `json:"scope"`     // digest, see [ScopeDigest]
	Recipient string        `json:"recipient"` // digest of the recipient key, see [RecipientDigest]
	Copy      string        `json:"copy"`      // watermark: 16 random bytes of this copy
	Items     int           `json:"items"`     // of the scope
	Suite     string        `json:"suite"`     // of the cell
	Directory string        `json:"directory"` // digest of the directory file it is checked by
}

// Check reports whether m could be in a package. The error is a [Failure].
func (m *PackageManifest) Check() error {
	if m.Format != PackageFormat {
		return Fail(FailMalformed, "the package is not in the format %s", PackageFormat)
	}
	for _, d := range []string{m.Request, m.Scope, m.Recipient, m.Directory} {
		if !isHex(d, 32) {
			return Fail(FailMalformed, "a digest in the manifest is not 64 hexadecimal digits")
		}
	}
	if !isHex(m.Copy, 16) || m.Items < 0 || m.Items > MaxScopeItems || !fits(m.Suite, 64) || m.Cell != m.Case.Cell || m.Case.IsZero() || !m.Cell.Valid() {
		return Fail(FailMalformed, "the manifest is not in the format")
	}
	if !wholeUTC(m.Made) || !wholeUTC(m.Expires) || !m.Made.Before(m.Expires) {
		return Fail(FailMalformed, "the times of the manifest are not whole seconds in UTC, one before the other")
	}
	return nil
}

func wholeUTC(t time.Time) bool {
	return t.Nanosecond() == 0 && t.Location() == time.UTC && t.Year() >= 2000 && t.Year() < 10000
}

func isHex(s string, size int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == size && hex.EncodeToString(b) == s
}

// Encode returns the JSON of m.
func (m *PackageManifest) Encode() []byte { return mustJSON(m) }

// ParsePackageManifest reads what [PackageManifest.Encode] wrote, and no other
// spelling. The error is a [Failure] with code malformed.
func ParsePackageManifest(b []byte) (*PackageManifest, error) {
	m := new(PackageManifest)
	if len(b) > MaxPackageManifest || strictJSON(b, m) != nil || string(m.Encode()) != string(b) {
		return nil, Fail(FailMalformed, "the manifest is not the JSON of the format")
	}
	return m, m.Check()
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // text, numbers, times in range and byte strings always marshal
	}
	return b
}

// A PackageEntry is an entry of a case in the ledger: opened, with the proof
// that it stands there.
type PackageEntry struct {
	Opening *CaseOpening
	Proof   []byte // C2SP tlog-proof, without extra data
}

// Encode returns the canonical bytes of e.
func (e *PackageEntry) Encode() []byte {
	w := canon.Writer{B: []byte{1}}
	w.Bytes(mustJSON(e.Opening))
	w.Bytes(e.Proof)
	return w.B
}

// ParsePackageEntry reads what [PackageEntry.Encode] wrote.
func ParsePackageEntry(b []byte) (*PackageEntry, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	opening, proof := r.Bytes(maxPackageOpening), r.Bytes(MaxTlogProofSize)
	if r.Done() != nil {
		return nil, Fail(FailMalformed, "an entry of the ledger is not in the format")
	}
	o, err := ParseCaseOpening(opening)
	if err != nil {
		return nil, err
	}
	return &PackageEntry{o, proof}, nil
}

// A PackageRegistry is an entry of the register with the proof that it stands
// in the ledger.
type PackageRegistry struct {
	Kind      string     // "agency" or "person"
	Statement *Statement // of an [Agency] or a [Person]
	Entry     PackageEntry
}

// Encode returns the canonical bytes of g.
func (g *PackageRegistry) Encode() []byte {
	w := canon.Writer{B: []byte{1}}
	w.String(g.Kind)
	w.Bytes(g.Statement.Encode())
	w.Bytes(mustJSON(g.Entry.Opening))
	w.Bytes(g.Entry.Proof)
	return w.B
}

// ParsePackageRegistry reads what [PackageRegistry.Encode] wrote.
func ParsePackageRegistry(b []byte) (*PackageRegistry, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	g := &PackageRegistry{Kind: r.String(16)}
	statement, opening, proof := r.Bytes(2*MaxStatement), r.Bytes(maxPackageOpening), r.Bytes(MaxTlogProofSize)
	if r.Done() != nil || g.Kind != RegistryAgency && g.Kind != RegistryPerson {
		return nil, Fail(FailMalformed, "an entry of the register is not in the format")
	}
	var err error
	if g.Statement, err = ParseStatement(statement); err != nil {
		return nil, err
	}
	g.Entry.Proof = proof
	g.Entry.Opening, err = ParseCaseOpening(opening)
	return g, err
}

// A PackageCustody is a certificate of the custodians' key set with the proof
// that it stands in the ledger.
type PackageCustody struct {
	Certificate []byte // canonical; package quorum reads it
	Entry       PackageEntry
}

// Encode returns the canonical bytes of c.
func (c *PackageCustody) Encode() []byte {
	w := canon.Writer{B: []byte{1}}
	w.Bytes(c.Certificate)
	w.Bytes(mustJSON(c.Entry.Opening))
	w.Bytes(c.Entry.Proof)
	return w.B
}

// ParsePackageCustody reads what [PackageCustody.Encode] wrote.
func ParsePackageCustody(b []byte) (*PackageCustody, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	c := &PackageCustody{Certificate: r.Bytes(MaxPackageCertificate)}
	opening, proof := r.Bytes(maxPackageOpening), r.Bytes(MaxTlogProofSize)
	if r.Done() != nil {
		return nil, Fail(FailMalformed, "a certificate is not in the format")
	}
	c.Entry.Proof = proof
	var err error
	c.Entry.Opening, err = ParseCaseOpening(opening)
	return c, err
}

// A PackageItem is one item of the scope: released, with what opens it, or
// refused, with a code.
type PackageItem struct {
	Index       int         // of the item in the scope
	Item        []byte      // canonical, see [EncodeScopeItem]
	Code        bonded.Code // why it was refused; empty if it is released
	Row         string      // id of the row of the journal; may be empty if it was refused before there was one
	Ciphertexts [][]byte    // of the fields, in their order
	Sealed      []byte      // field keys in the same order, sealed to the recipient, see [ReleaseInfo]
	Envelope    []byte      // quorum envelope; none without quorum fields
	Combined    []byte      // the quorum's answer to it, for the recipient alone; none without quorum fields
}

// Encode returns the canonical bytes of it.
func (it *PackageItem) Encode() []byte {
	n := 256 + len(it.Item) + len(it.Sealed) + len(it.Envelope) + len(it.Combined)
	for _, c := range it.Ciphertexts {
		n += len(c) + 4
	}
	w := canon.Writer{B: make([]byte, 0, n)}
	w.Byte(1)
	w.Uint(uint64(it.Index)) //nolint:gosec // counted from 0
	w.Bytes(it.Item)
	w.String(string(it.Code))
	w.String(it.Row)
	w.Uint(uint64(len(it.Ciphertexts)))
	for _, c := range it.Ciphertexts {
		w.Bytes(c)
	}
	w.Bytes(it.Sealed)
	w.Bytes(it.Envelope)
	w.Bytes(it.Combined)
	return w.B
}

// ParsePackageItem reads what [PackageItem.Encode] wrote. Byte strings of the
// result alias b. It checks that the parts are those which the scope item asks
// for: nothing but a code if it was refused, and else one ciphertext for each
// field, and envelope and combination if, and only if, it has quorum fields.
func ParsePackageItem(b []byte) (*PackageItem, *ScopeItem, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	it := &PackageItem{Index: r.Count(MaxScopeItems - 1), Item: r.Bytes(16 << 10), Code: bonded.Code(r.String(64)), Row: r.String(maxPackageRow)}
	for range r.Count(MaxScopeFields) {
		it.Ciphertexts = append(it.Ciphertexts, r.Bytes(MaxPackageCiphertext))
		if r.Bad() {
			break
		}
	}
	it.Sealed, it.Envelope, it.Combined = r.Bytes(MaxPackageSealed), r.Bytes(MaxPackageEnvelope), r.Bytes(MaxPackageCombined)
	if r.Done() != nil {
		return nil, nil, Fail(FailMalformed, "an item is not in the format")
	}
	item, err := DecodeScopeItem(it.Item)
	if err != nil {
		return nil, nil, Fail(FailMalformed, "item %d is no item of a scope", it.Index)
	}
	if !it.complete(item) {
		return nil, nil, Fail(FailMalformed, "item %d does not hold what an item of its kind holds", it.Index)
	}
	return it, item, nil
}

func (it *PackageItem) complete(item *ScopeItem) bool {
	if it.Code != "" {
		return len(it.Ciphertexts) == 0 && len(it.Sealed) == 0 && len(it.Envelope) == 0 && len(it.Combined) == 0
	}
	quorum := item.Envelope != [32]byte{}
	return len(it.Ciphertexts) == len(item.Fields) && len(it.Sealed) > 0 && it.Row != "" &&
		quorum == (len(it.Envelope) > 0) && quorum == (len(it.Combined) > 0)
}

// A PackageEnd closes a release package: what was in it, a digest over
// everything before, and the vault's word for both.
type PackageEnd struct {
	Released  uint64 // items
	Refused   uint64
	Receipts  uint64
	Digest    [32]byte // SHA-256 of all bytes of the package before this section
	Signature [ed25519.SignatureSize]byte
}

func (e *PackageEnd) message(id bonded.CaseID) []byte {
	return canon.LP([]byte("bonded/package-end/1"), []byte(id.Cell), id.ID[:], canon.U64(e.Released), canon.U64(e.Refused), canon.U64(e.Receipts), e.Digest[:])
}

// Sign signs e for a case with the key by which the directory knows the vault:
// Ed25519 over
//
//	lp("bonded/package-end/1", cell, case, released, refused, receipts, digest)
func (e *PackageEnd) Sign(id bonded.CaseID, sign func(message []byte) []byte) {
	copy(e.Signature[:], sign(e.message(id)))
}

// SignedBy reports whether e is signed for that case by key.
func (e *PackageEnd) SignedBy(id bonded.CaseID, key ed25519.PublicKey) bool {
	return ed25519.Verify(key, e.message(id), e.Signature[:])
}

// Encode returns the canonical bytes of e.
func (e *PackageEnd) Encode() []byte {
	w := canon.Writer{B: []byte{1}}
	w.Uint(e.Released)
	w.Uint(e.Refused)
	w.Uint(e.Receipts)
	w.Fixed(e.Digest[:])
	w.Fixed(e.Signature[:])
	return w.B
}

// ParsePackageEnd reads what [PackageEnd.Encode] wrote.
func ParsePackageEnd(b []byte) (*PackageEnd, error) {
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	e := &PackageEnd{Released: r.Uint(), Refused: r.Uint(), Receipts: r.Uint()}
	r.Fixed(e.Digest[:])
	r.Fixed(e.Signature[:])
	if r.Done() != nil {
		return nil, Fail(FailMalformed, "the end of the package is not in the format")
	}
	return e, nil
}

// ReleaseInfo returns what the sealed keys of an item are for: the info of
// HPKE. The additional data is the hash of the item, see [ScopeItemHash]; the
// plaintext is the field keys, 32 bytes each, in the order of the fields.
//
//	lp("bonded/release-keys/1", cell, case, scope digest)
func ReleaseInfo(id bonded.CaseID, scope [32]byte) []byte {
	return canon.LP([]byte("bonded/release-keys/1"), []byte(id.Cell), id.ID[:], scope[:])
}

// NewCopyID returns a watermark for a package from 16 random bytes.
func NewCopyID(random [16]byte) string { return hex.EncodeToString(random[:]) }
