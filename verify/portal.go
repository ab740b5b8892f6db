package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"

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
	Format string         `json:"format"` // [LabelPortalStatement]
	Cell   bonded.CellID  `json:"cell"`
	Made   time.Time      `json:"made"`
	Since  time.Time      `json:"since"` // what it says has been so since then
	Until  time.Time      `json:"until"` // after this it says nothing any more
	Says   []PortalSaying `json:"says"`  // in each language once; at least one
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
	case p.Since.After(p.Made) || !p.Made.Before(p.Until):
		return nil, Fail(FailMalformed, "the dates of the statement are not in order")
	case !signedByKey(s, LabelPortalStatement, key):
		return p, Fail(FailStatement, "the statement is not signed by the key it is checked against")
	}
	return p, nil
}

func signedByKey(s *Statement, label string, key ed25519.PublicKey) bool {
	return slices.ContainsFunc(s.Signatures, func(g Signature) bool { return s.SignedBy(label, g.Signer, key) })
}

// A PortalManifest names every file of a portal but itself, its signatures and
// its evidence. The ledger announces its digest, see [ControlPortal].
type PortalManifest struct {
	Format    string        `json:"format"` // [LabelPortalManifest]
	Cell      bonded.CellID `json:"cell"`
	Made      time.Time     `json:"made"`
	Program   string        `json:"program"`   // version that wrote it
	Directory string        `json:"directory"` // SHA-256 of cells.json, hexadecimal
	Files     []PortalFile  `json:"files"`     // by rising path
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
