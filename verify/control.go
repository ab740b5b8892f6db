package verify

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/canon"
)

// FailControl is the code of evidence that is not of what was asked about.
const FailControl = "control"

// A ControlSubject is what a control leaf announces.
type ControlSubject string

// Subjects of control leaves.
const (
	ControlGrants    ControlSubject = "grants"    // number: of the set; digest: SHA-256 of the signed grant file
	ControlPolicy    ControlSubject = "policy"    // number: counts the vault's announcements; digest: SHA-256 of the operator's policy text
	ControlDirectory ControlSubject = "directory" // number: version; digest: see [DirectoryDigest]
	ControlPortal    ControlSubject = "portal"    // number: counts the vault's announcements; digest: see [PortalDigest]
)

// Valid reports whether s is one of the subjects.
func (s ControlSubject) Valid() bool {
	return s == ControlGrants || s == ControlPolicy || s == ControlDirectory || s == ControlPortal
}

// A Control is what a leaf of kind [LeafControl] commits to: this file is to
// take effect.
type Control struct {
	Subject   ControlSubject
	Number    uint64   // from 1; rises with each announcement of the subject
	Digest    [32]byte // of the file
	Approvals []byte   // 32 bytes: digest over the approvals of a quorum; empty: none
}

var controlFields = []string{"subject", "number", "digest", "approvals"}

// Fields returns the fields of the leaf, in their one order, without salts:
// whoever makes the leaf fills in 32 random bytes for each.
func (c *Control) Fields() []LeafField {
	return []LeafField{
		{Name: controlFields[0], Value: []byte(c.Subject)},
		{Name: controlFields[1], Value: canon.U64(c.Number)},
		{Name: controlFields[2], Value: bytes.Clone(c.Digest[:])},
		{Name: controlFields[3], Value: bytes.Clone(c.Approvals)},
	}
}

// OpenControl reads what the opened fields of a control leaf say and checks
// that leaf commits to them. The error is a [Failure] with code [FailControl].
func OpenControl(leaf *Leaf, fields []LeafField) (*Control, error) {
	if leaf.Kind != LeafControl || leaf.OpenBy != 0 {
		return nil, Fail(FailControl, "the leaf announces nothing")
	}
	if len(fields) != len(controlFields) {
		return nil, Fail(FailControl, "the fields are not those of an announcement")
	}
	for i := range fields {
		if fields[i].Name != controlFields[i] {
			return nil, Fail(FailControl, "the fields are not those of an announcement")
		}
	}
	if CommitFields(fields) != leaf.Root {
		return nil, Fail(FailControl, "the fields are not those the leaf commits to")
	}
	c := &Control{Subject: ControlSubject(fields[0].Value), Approvals: append([]byte(nil), fields[3].Value...)}
	if n := len(c.Approvals); !c.Subject.Valid() || len(fields[1].Value) != 8 || len(fields[2].Value) != 32 || n != 0 && n != 32 {
		return nil, Fail(FailControl, "a field of the announcement is not in the format")
	}
	c.Number, c.Digest = binary.BigEndian.Uint64(fields[1].Value), [32]byte(fields[2].Value)
	if c.Number == 0 {
		return nil, Fail(FailControl, "announcements are numbered from 1")
	}
	return c, nil
}

// EvidenceFormat is the format name of this version of evidence.
const EvidenceFormat = "bonded/evidence/1"

// MaxEvidenceSize is the largest evidence this package reads, in bytes.
const MaxEvidenceSize = 128 << 10

// Evidence proves offline that the ledger of a cell announces a file: the
// control leaf, its fields opened, and its inclusion under a cosigned
// checkpoint. It stands beside the file, named "<file>.evidence".
type Evidence struct {
	Leaf   []byte
	Fields []LeafField
	Proof  string // C2SP tlog-proof of the leaf
}

type evidenceJSON struct {
	Format string          `json:"format"`
	Leaf   b64bytes        `json:"leaf"`
	Fields []evidenceField `json:"fields"`
	Proof  string          `json:"proof"`
}

type evidenceField struct {
	Name  string   `json:"name"`
	Salt  b64bytes `json:"salt"`
	Value b64bytes `json:"value"`
}

// Encode returns e as compact JSON with a newline at its end.
func (e *Evidence) Encode() []byte {
	j := evidenceJSON{Format: EvidenceFormat, Leaf: e.Leaf, Fields: []evidenceField{}, Proof: e.Proof}
	for i := range e.Fields {
		f := &e.Fields[i]
		j.Fields = append(j.Fields, evidenceField{f.Name, f.Salt[:], append(b64bytes{}, f.Value...)})
	}
	b, err := json.Marshal(j)
	if err != nil {
		panic(err) // strings and byte strings always marshal
	}
	return append(b, '\n')
}

// ParseEvidence reads what [Evidence.Encode] wrote and refuses every other
// spelling. It checks no hash. The error is a [Failure] with code
// [FailMalformed].
func ParseEvidence(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidenceSize {
		return nil, Fail(FailMalformed, "evidence is over %d bytes", MaxEvidenceSize)
	}
	var j evidenceJSON
	if err := strictJSON(b, &j); err != nil {
		return nil, &Failure{Verdict: DoesNotHold, Code: FailMalformed, Message: "evidence is not the JSON of this format", Err: err}
	}
	e := &Evidence{Leaf: j.Leaf, Proof: j.Proof}
	for i := range j.Fields {
		f := &j.Fields[i]
		if len(f.Salt) != len(Salt{}) || len(j.Fields) > len(controlFields) {
			return nil, Fail(FailMalformed, "evidence has fields that are not in the format")
		}
		e.Fields = append(e.Fields, LeafField{f.Name, Salt(f.Salt), append([]byte{}, f.Value...)})
	}
	if j.Format != EvidenceFormat || !bytes.Equal(e.Encode(), b) {
		return nil, Fail(FailMalformed, "evidence is not of format %s in its one spelling", EvidenceFormat)
	}
	return e, nil
}

// An Announcement is what evidence has shown.
type Announcement struct {
	Control
	Cell       bonded.CellID
	Index      int64 // of the leaf in the ledger
	LeafHash   tlog.Hash
	Checkpoint *Checkpoint

	// Witnessed is the newest cosignature of the checkpoint: unless every
	// witness that signed lies, the announcement was public at that time or
	// before, and no dishonest witness can make it look older. A waiting time
	// counts from it.
	Witnessed time.Time
}

// OpenEvidence checks that the ledger of cell announces what the evidence
// says, by the keys of the directory that cell is from. The error is a
// [Failure]; [CannotTell] means that the directory's keys are not usable.
func OpenEvidence(evidence []byte, cell *DirectoryCell) (*Announcement, error) {
	vkey, policy, err := cellLog(cell)
	if err != nil {
		return nil, err
	}
	e, err := ParseEvidence(evidence)
	if err != nil {
		return nil, err
	}
	// 1. What the leaf says.
	leaf, err := DecodeLeaf(e.Leaf)
	if err != nil {
		return nil, Fail(FailMalformed, "the leaf of the evidence is not in the format")
	}
	if leaf.Cell != cell.ID {
		return nil, Fail(FailCell, "the announcement is of cell %s, not %s", leaf.Cell, cell.ID)
	}
	c, err := OpenControl(leaf, e.Fields)
	if err != nil {
		return nil, err
	}
	// 2. That it is in the ledger.
	in, err := CheckInclusion(e.Leaf, []byte(e.Proof), vkey, policy)
	if err != nil {
		return nil, err
	}
	if len(in.Extra) != 0 {
		return nil, Fail(FailMalformed, "the proof of the evidence carries data that nothing vouches for")
	}
	a := &Announcement{Control: *c, Cell: leaf.Cell, Index: in.Index, LeafHash: in.LeafHash, Checkpoint: in.Checkpoint}
	for _, s := range in.Checkpoint.Cosignatures {
		if t := time.Unix(s.Time, 0).UTC(); t.After(a.Witnessed) {
			a.Witnessed = t
		}
	}
	return a, nil
}

// CheckEvidence is [OpenEvidence] for one file: the announcement must be of
// the subject and digest given, else the error has code [FailControl].
func CheckEvidence(evidence []byte, subject ControlSubject, digest [32]byte, cell *DirectoryCell) (*Announcement, error) {
	a, err := OpenEvidence(evidence, cell)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Subject != subject:
		return nil, Fail(FailControl, "the evidence is of subject %s, not %s", a.Subject, subject)
	case a.Digest != digest:
		return nil, Fail(FailControl, "the evidence is of another file")
	}
	return a, nil
}
