package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"bonded"
)

// Labels of what the operator signs for the public portal of a cell.
const (
	LabelPortalStatement = "bonded/portal-statement/1" // [PortalStatement]
	LabelPortalManifest  = "bonded/portal-manifest/1"  // [PortalManifest]
)

// FailPortal is the code of files of a portal that are not what was signed or
// announced.
const FailPortal = "portal"

// A PortalStatement is what the operator of a cell says about itself, with the
// time it speaks of and the day by which it is to be said again. It takes the
// place of a warrant canary: it says what is so, and nobody has to read
// anything into a page that is missing.
type PortalStatement struct {
	Format   string         `json:"format"` // [LabelPortalStatement]
	Cell     bonded.CellID  `json:"cell"`
	Operator string         `json:"operator,omitempty"` // name by which the law knows who states it; absent: not said
	Made     time.Time      `json:"made"`
	Since    time.Time      `json:"since"` // what it says has been so since then
	Until    time.Time      `json:"until"` // after this it says nothing any more
	Says     []PortalSaying `json:"says"`  // in each language once; at least one
}

// A PortalSaying is what a statement says in one language.
type PortalSaying struct {
	Lang string `json:"lang"` // BCP 47
	Text string `json:"text"`
}

// OpenPortalStatement reads a statement of the cell and checks that the key
// signed it, under whatever id. The error is a [Failure]. Whether it has
// expired is for whoever has a clock: see Until.
func OpenPortalStatement(s *Statement, cell bonded.CellID, key ed25519.PublicKey) (*PortalStatement, error) {
	p := new(PortalStatement)
	if err := s.DecodeBody(p); err != nil {
		return nil, err
	}
	switch {
	case p.Format != LabelPortalStatement || len(p.Says) == 0 || len(p.Says) > 64:
		return nil, Fail(FailMalformed, "the statement is not of format %s", LabelPortalStatement)
	case p.Cell != cell:
		return nil, Fail(FailCell, "the statement is of cell %s, not %s", p.Cell, cell)
	case !PortalName(p.Operator) && p.Operator != "":
		return nil, Fail(FailMalformed, "the operator's name in the statement is none")
	case p.Since.After(p.Made) || !p.Made.Before(p.Until):
		return nil, Fail(FailMalformed, "the dates of the statement are not in order")
	case !signedByKey(s, LabelPortalStatement, key):
		return p, Fail(FailStatement, "the statement is not signed by the key it is checked against")
	}
	return p, nil
}

// CheckSince reports whether the statement speaks of a time before the cell's
// first entry in its ledger, of which nobody can know: its first day must not
// end before that entry, see [FirstEntryTime]. The error is a [Failure].
func (p *PortalStatement) CheckSince(first time.Time) error {
	if end := p.Since.UTC().AddDate(0, 0, 1); !end.After(first) {
		return Fail(FailStatement, "it speaks of the time since %s, but the ledger of the cell has its first entry at %s", p.Since.UTC().Format(time.DateOnly), first.UTC().Format(time.RFC3339))
	}
	return nil
}

// PortalName reports whether s can be a name on a portal: of an operator or of
// an organisation. It has up to 200 bytes, all of them to be seen.
func PortalName(s string) bool {
	return s != "" && len(s) <= 200 && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func signedByKey(s *Statement, label string, key ed25519.PublicKey) bool {
	return slices.ContainsFunc(s.Signatures, func(g Signature) bool { return s.SignedBy(label, g.Signer, key) })
}

// A PortalManifest names every file of a portal but itself, its signatures and
// its evidence. The ledger announces its digest, see [ControlPortal].
type PortalManifest struct {
	Format     string            `json:"format"` // [LabelPortalManifest]
	Cell       bonded.CellID     `json:"cell"`
	Operator   string            `json:"operator,omitempty"`   // name by which the law knows the operator, as it says itself; absent: not said
	Custodians []PortalCustodian `json:"custodians,omitempty"` // by rising id; absent: not said
	Made       time.Time         `json:"made"`
	Program    string            `json:"program"`   // version that wrote it
	Directory  string            `json:"directory"` // SHA-256 of cells.json, hexadecimal
	Files      []PortalFile      `json:"files"`     // by rising path
}

// A PortalCustodian is to which organisation a custodian belongs, as the
// operator says: certificates of custodians name none, and the register that
// does is not public.
type PortalCustodian struct {
	ID           string `json:"id"` // in the key set
	Organisation string `json:"organisation"`
}

// A PortalFile is one file by what is in it.
type PortalFile struct {
	Path      string `json:"path"`
	Size      int64  `json:"size"`      // bytes
	SHA256    string `json:"sha256"`    // hexadecimal
	Integrity string `json:"integrity"` // Subresource Integrity, SHA-384
}

// Encode returns m as indented JSON, the way it is written to manifest.json.
func (m *PortalManifest) Encode() []byte {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		panic(err) // text and numbers always marshal
	}
	return append(b, '\n')
}

// ParsePortalManifest reads what [PortalManifest.Encode] wrote and refuses
// every other spelling. The error is a [Failure] with code malformed.
func ParsePortalManifest(b []byte) (*PortalManifest, error) {
	m := new(PortalManifest)
	if err := strictJSON(b, m); err != nil || m.Format != LabelPortalManifest || !bytes.Equal(m.Encode(), b) {
		return nil, Fail(FailMalformed, "the manifest is not of format %s in its one spelling", LabelPortalManifest)
	}
	if m.Operator != "" && !PortalName(m.Operator) {
		return nil, Fail(FailMalformed, "the operator's name in the manifest is none")
	}
	for i, c := range m.Custodians {
		if i > 0 && m.Custodians[i-1].ID >= c.ID || !PortalName(c.ID) || !PortalName(c.Organisation) {
			return nil, Fail(FailMalformed, "the manifest names custodians out of order, or without a name")
		}
	}
	for i := range m.Files {
		f := &m.Files[i]
		if i > 0 && m.Files[i-1].Path >= f.Path || f.Path == "" || strings.HasPrefix(f.Path, "/") || slices.Contains(strings.Split(f.Path, "/"), "..") {
			return nil, Fail(FailMalformed, "the manifest names files out of order, or outside of the portal")
		}
	}
	return m, nil
}

// CheckPortalManifest reads a manifest of the cell and checks that the key
// signed it. The error is a [Failure].
func CheckPortalManifest(file []byte, signatures []Signature, cell bonded.CellID, key ed25519.PublicKey) (*PortalManifest, error) {
	m, err := ParsePortalManifest(file)
	if err != nil {
		return nil, err
	}
	s := &Statement{Body: file, Signatures: signatures}
	switch {
	case m.Cell != cell:
		return m, Fail(FailCell, "the manifest is of cell %s, not %s", m.Cell, cell)
	case !signedByKey(s, LabelPortalManifest, key):
		return m, Fail(FailStatement, "the manifest is not signed by the key it is checked against")
	}
	return m, nil
}

// PortalDigest returns SHA-256 of the bytes of a manifest: what the ledger
// announces.
func PortalDigest(manifest []byte) [32]byte { return sha256.Sum256(manifest) }
