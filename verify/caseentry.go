package verify

import (
	"encoding/binary"
	"slices"

	"bonded"
	"bonded/internal/canon"

	"golang.org/x/mod/sumdb/tlog"
)

// Types of entries that a case leaf commits to.
const (
	EntryCover     = "cover"     // stands for nothing: it fills a slot
	EntryCase      = "case"      // one event of a case
	EntryExtension = "extension" // names a later open-by date of another leaf
	EntryRegistry  = "registry"  // an agency, officer or operator was registered, changed or suspended
	EntryCustody   = "custody"   // a ceremony of the custodians was certified
)

// Names of the fields of a case leaf, in their one order: every case leaf has
// all of them, so that nothing shows how many are in use.
const (
	FieldType         = "type"
	FieldCase         = "case"     // 16 bytes; empty where there is no case
	FieldNumber       = "number"   // of the entry within its case, from 1
	FieldPrevious     = "previous" // leaf hash of the case's entry before
	FieldJurisdiction = "jurisdiction"
	FieldRequester    = "requester_kind"
	FieldProcess      = "process"
	FieldBasis        = "basis"
	FieldClass        = "class"
	FieldEvent        = "event"
	FieldFrom         = "from"
	FieldState        = "state"
	FieldActor        = "actor" // role, never a name
	FieldDetail       = "detail"
	FieldTargets      = "targets"
	FieldSubjects     = "subjects"
	FieldScope        = "scope"   // digest
	FieldContent      = "content" // digest of the signed statements behind the entry
	FieldTime         = "time"    // seconds since 1970-01-01 UTC of the event, of the vault's clock
	FieldUntil        = "until"   // extension: the new open-by date
	FieldExtends      = "extends" // extension: leaf hash
	FieldPerson       = "person"  // the one field whose salt can be erased
)

// CaseFields are the names of the fields of every case leaf, in order.
var CaseFields = [...]string{
	FieldType, FieldCase, FieldNumber, FieldPrevious, FieldJurisdiction, FieldRequester, FieldProcess, FieldBasis,
	FieldClass, FieldEvent, FieldFrom, FieldState, FieldActor, FieldDetail, FieldTargets, FieldSubjects,
	FieldScope, FieldContent, FieldTime, FieldUntil, FieldExtends, FieldPerson,
}

// MaxCaseText is the most bytes any text of a [CaseEntry] has.
const MaxCaseText = 512

// A CaseEntry is what a leaf of kind [LeafCase] commits to. Zero values are
// empty fields; a cover has nothing but its type.
type CaseEntry struct {
	Type         string
	Case         bonded.ID
	Number       uint64
	Previous     [32]byte
	Jurisdiction string // of the requester
	Requester    string // kind of agency
	Process      string
	Basis        string
	Class        string
	Event        string
	From, State  string
	Actor        string
	Detail       string
	Targets      uint64
	Subjects     uint64
	Scope        [32]byte
	Content      [32]byte
	Time         uint64
	Until        uint64
	Extends      [32]byte
	Person       []byte // at most 64 bytes: a subject id, or a digest over several
}

// Fields returns the fields of e with the salts that salt gives, in the order
// of [CaseFields].
func (e *CaseEntry) Fields(salt func() Salt) []LeafField {
	num := func(n uint64) []byte {
		if n == 0 {
			return nil
		}
		return canon.U64(n)
	}
	hash := func(h [32]byte) []byte {
		if h == ([32]byte{}) {
			return nil
		}
		return h[:]
	}
	var id []byte
	if !e.Case.IsZero() {
		id = e.Case[:]
	}
	values := [len(CaseFields)][]byte{
		[]byte(e.Type), id, num(e.Number), hash(e.Previous), []byte(e.Jurisdiction), []byte(e.Requester), []byte(e.Process), []byte(e.Basis),
		[]byte(e.Class), []byte(e.Event), []byte(e.From), []byte(e.State), []byte(e.Actor), []byte(e.Detail), num(e.Targets), num(e.Subjects),
		hash(e.Scope), hash(e.Content), num(e.Time), num(e.Until), hash(e.Extends), e.Person,
	}
	fields := make([]LeafField, len(values))
	for i := range values {
		fields[i] = LeafField{Name: CaseFields[i], Salt: salt()}
		if len(values[i]) > 0 {
			fields[i].Value = values[i]
		}
	}
	return fields
}

// ParseCaseEntry reads the values of a case leaf's fields, given in the order
// of [CaseFields]. A field that is withheld is nil and reads as empty. It
// returns [canon.ErrMalformed] for any value that no [CaseEntry] has.
func ParseCaseEntry(values [][]byte) (*CaseEntry, error) {
	if len(values) != len(CaseFields) {
		return nil, canon.ErrMalformed
	}
	ok := true
	text := func(b []byte) string {
		ok = ok && len(b) <= MaxCaseText && plainText(b)
		return string(b)
	}
	num := func(b []byte) uint64 {
		if len(b) == 0 {
			return 0
		}
		if len(b) != 8 {
			ok = false
			return 0
		}
		n := binary.BigEndian.Uint64(b)
		ok = ok && n != 0
		return n
	}
	hash := func(b []byte) (h [32]byte) {
		ok = ok && (len(b) == 0 || len(b) == 32)
		copy(h[:], b)
		ok = ok && (len(b) == 0 || h != [32]byte{})
		return h
	}
	e := &CaseEntry{
		Type: text(values[0]), Number: num(values[2]), Previous: hash(values[3]), Jurisdiction: text(values[4]), Requester: text(values[5]),
		Process: text(values[6]), Basis: text(values[7]), Class: text(values[8]), Event: text(values[9]), From: text(values[10]),
		State: text(values[11]), Actor: text(values[12]), Detail: text(values[13]), Targets: num(values[14]), Subjects: num(values[15]),
		Scope: hash(values[16]), Content: hash(values[17]), Time: num(values[18]), Until: num(values[19]), Extends: hash(values[20]), Person: values[21],
	}
	ok = ok && (len(values[1]) == 0 || len(values[1]) == bonded.IDSize) && len(e.Person) <= 64
	copy(e.Case[:], values[1])
	switch e.Type {
	case EntryCover:
		for _, v := range values[1:] {
			ok = ok && len(v) == 0
		}
	case EntryCase, EntryExtension, EntryRegistry, EntryCustody, "": // "" is a type withheld
	default:
		ok = false
	}
	if !ok {
		return nil, canon.ErrMalformed
	}
	return e, nil
}

// plainText reports whether b is UTF-8 without control characters.
func plainText(b []byte) bool {
	for _, r := range string(b) {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}

// A CaseOpening opens fields of one case leaf. What stays closed is there by
// its commitment, so that the leaf's root can be computed from all of them.
// In JSON byte strings are standard base64.
type CaseOpening struct {
	Format string         `json:"format"` // "bonded/opening/1"
	Index  int64          `json:"index"`  // of the leaf in the ledger
	Leaf   b64bytes       `json:"leaf"`   // its 128 bytes
	Fields []OpeningField `json:"fields"` // in the order of [CaseFields]
}

// OpeningFormat is the format name of this version of openings.
const OpeningFormat = "bonded/opening/1"

// An OpeningField is a field opened, with salt and value, or closed, with its
// commitment alone.
type OpeningField struct {
	Salt       b64bytes `json:"salt,omitempty"`
	Value      b64bytes `json:"value,omitempty"`
	Commitment b64bytes `json:"commitment,omitempty"` // RFC 6962 leaf hash of the commitment
}

// OpenCase returns the opening of a case leaf that withholds the fields named.
func OpenCase(index int64, leaf []byte, fields []LeafField, withhold ...string) *CaseOpening {
	o := &CaseOpening{Format: OpeningFormat, Index: index, Leaf: leaf, Fields: make([]OpeningField, len(fields))}
	for i := range fields {
		closed := false
		for _, w := range withhold {
			closed = closed || w == fields[i].Name
		}
		if closed {
			c := fields[i].commitment()
			o.Fields[i].Commitment = c[:]
			continue
		}
		s := fields[i].Salt
		o.Fields[i].Salt, o.Fields[i].Value = s[:], fields[i].Value
	}
	return o
}

// ParseCaseOpening reads an opening strictly; any other spelling is a
// [Failure] with code malformed.
func ParseCaseOpening(b []byte) (*CaseOpening, error) {
	if len(b) > 64<<10 {
		return nil, Fail(FailMalformed, "the opening is over 64 KiB")
	}
	o := new(CaseOpening)
	if err := strictJSON(b, o); err != nil || o.Format != OpeningFormat {
		return nil, Fail(FailMalformed, "the opening is not in the format %s", OpeningFormat)
	}
	return o, nil
}

// An OpenedCase is a case leaf whose opening holds.
type OpenedCase struct {
	Index  int64
	Hash   tlog.Hash
	Leaf   *Leaf
	Entry  *CaseEntry
	Closed []string // names of fields that stay closed
}

// Shut reports whether the field of that name stays closed.
func (o *OpenedCase) Shut(name string) bool {
	return slices.Contains(o.Closed, name)
}

// Check reports whether the opening is of the leaf it shows. It does not say
// that the leaf is in a ledger. The error is a [Failure].
func (o *CaseOpening) Check() (*OpenedCase, error) {
	leaf, err := DecodeLeaf(o.Leaf)
	if err != nil || leaf.Kind != LeafCase || o.Index < 0 {
		return nil, Fail(FailLeaf, "the opening shows no case leaf")
	}
	if len(o.Fields) != len(CaseFields) {
		return nil, Fail(FailMalformed, "the opening of entry %d has another number of fields", o.Index)
	}
	out := &OpenedCase{Index: o.Index, Hash: tlog.RecordHash(o.Leaf), Leaf: leaf}
	leaves, values := make([]tlog.Hash, len(o.Fields)), make([][]byte, len(o.Fields))
	for i := range o.Fields {
		f := &o.Fields[i]
		switch {
		case len(f.Commitment) == 32 && f.Salt == nil && f.Value == nil:
			leaves[i] = tlog.Hash(f.Commitment)
			out.Closed = append(out.Closed, CaseFields[i])
		case len(f.Salt) == 32 && f.Commitment == nil:
			lf := LeafField{Name: CaseFields[i], Salt: Salt(f.Salt), Value: f.Value}
			leaves[i], values[i] = lf.commitment(), f.Value
		default:
			return nil, Fail(FailMalformed, "field %s of the opening of entry %d is neither open nor closed", CaseFields[i], o.Index)
		}
	}
	if TreeRoot(leaves) != leaf.Root {
		return nil, Fail(FailLeaf, "the opening of entry %d is not what its leaf commits to", o.Index)
	}
	if out.Entry, err = ParseCaseEntry(values); err != nil {
		return nil, Fail(FailMalformed, "the opening of entry %d holds values no entry has", o.Index)
	}
	return out, nil
}

// SlotRoot returns what the leaves of the next slot name in Prev: the root
// over the leaf hashes of a slot, sorted. The order of leaves within a slot
// says nothing.
func SlotRoot(hashes []tlog.Hash) [32]byte {
	sorted := make([]tlog.Hash, len(hashes))
	copy(sorted, hashes)
	sortHashes(sorted)
	return TreeRoot(sorted)
}

func sortHashes(hs []tlog.Hash) {
	for i := 1; i < len(hs); i++ { // slots are small
		for j := i; j > 0 && string(hs[j][:]) < string(hs[j-1][:]); j-- {
			hs[j], hs[j-1] = hs[j-1], hs[j]
		}
	}
}
