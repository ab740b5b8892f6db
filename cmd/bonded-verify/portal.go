package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"bonded"
	"bonded/verify"
)

// signerFlag names the key that must have signed.
type signerFlag struct {
	Signer string `placeholder:"KEY" help:"Public key that must have signed, base64; the directory's administrator if not given."`
}

func (f *signerFlag) key(d *verify.Directory) (ed25519.PublicKey, error) {
	text := f.Signer
	if text == "" {
		text = d.Admin
	}
	key, err := verify.DecodePublicKey(text)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--signer: %w", err), "give 32 bytes in base64"}
	}
	return key, nil
}

// statementCmd checks the dated statement of an operator.
type statementCmd struct {
	cellFlags  `embed:""`
	signerFlag `embed:""`

	At     string `placeholder:"TIME" help:"Time at which it must not have run out, RFC 3339; now if left out."`
	Ledger string `placeholder:"DIR|URL" help:"Ledger of the cell, whose first entry must not be after what it speaks of."`
	CA     string `name:"ca" placeholder:"FILE" help:"PEM file of further roots for an https URL."`
	File   string `arg:"" help:"Statement, as the public portal gives it."`
}

func (c *statementCmd) check(e *env) (*answer, error) {
	now := time.Now()
	if c.At != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, c.At); err != nil {
			return nil, &usageError{errors.New("--at is not a time"), "write it as 2026-01-31T00:00:00Z"}
		}
	}
	d, err := c.read()
	if err != nil {
		return nil, err
	}
	key, err := c.key(d)
	if err != nil {
		return nil, err
	}
	b, err := readInput(c.File, e)
	if err != nil {
		return nil, err
	}
	a := &answer{title: "statement"}
	s, err := verify.ParseStatement(bytes.TrimSpace(b))
	if err != nil {
		return a.with(err), nil
	}
	cell, err := c.cellOr(named(s.Body))
	if err != nil {
		return nil, err
	}
	p, err := verify.OpenPortalStatement(s, cell.ID, key)
	if err != nil {
		return a.with(err), nil
	}
	a.sentences = append(a.sentences, "It is of cell "+string(p.Cell)+".")
	if p.Operator != "" {
		a.sentences = append(a.sentences, "The operator calls itself "+p.Operator+".")
	}
	for _, s := range p.Says {
		a.sentences = append(a.sentences, fmt.Sprintf("It says (%s): %s", s.Lang, s.Text))
	}
	a.sentences = append(a.sentences, fmt.Sprintf("So since %s; signed %s; valid until %s.", timeJSON(p.Since), timeJSON(p.Made), timeJSON(p.Until)))
	a.report = p
	if !now.Before(p.Until) {
		return a.with(verify.Fail(verify.FailStatement, "it ran out at %s and says nothing any more", timeJSON(p.Until))), nil
	}
	return c.since(a, p, cell)
}

// since holds what the statement speaks of against the first entry of the
// ledger, if one is named.
func (c *statementCmd) since(a *answer, p *verify.PortalStatement, cell *verify.DirectoryCell) (*answer, error) {
	if c.Ledger == "" {
		a.sentences = append(a.sentences, "Whether the ledger goes back as far was not checked; name it with --ledger.")
		return a, nil
	}
	fetch, closer, err := ledgerSource(c.Ledger, c.CA)
	if err != nil {
		return nil, err
	}
	defer closer()
	first, err := verify.FirstEntryTime(fetch, cell)
	if err != nil {
		return a.with(err), nil
	}
	a.sentences = append(a.sentences, fmt.Sprintf("The first entry of the ledger is of %s.", timeJSON(first)))
	return a.with(p.CheckSince(first)), nil
}

// named is the cell that a statement or manifest names, empty if it names none.
// That it is signed, and of that cell, is checked after.
func named(b []byte) bonded.CellID {
	var x struct {
		Cell bonded.CellID `json:"cell"`
	}
	if json.Unmarshal(b, &x) != nil {
		return ""
	}
	return x.Cell
}

// portalCmd checks a copy of a public portal.
type portalCmd struct {
	cellFlags  `embed:""`
	signerFlag `embed:""`

	Dir string `arg:"" help:"Folder of the portal: where its manifest.json is."`
}

func (c *portalCmd) check() (*answer, error) {
	d, err := c.read()
	if err != nil {
		return nil, err
	}
	key, err := c.key(d)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Clean(c.Dir))
	if err != nil {
		return nil, &usageError{err, "name the folder of a portal"}
	}
	defer root.Close() //nolint:errcheck // read only
	a := &answer{title: "portal"}

	// 1. Every file is the one in the manifest.
	file, err := readRooted(root, "manifest.json")
	if err != nil {
		return a.with(verify.Unknown(verify.FailMissing, err, "there is no manifest")), nil
	}
	m, err := verify.ParsePortalManifest(file)
	if err != nil {
		return a.with(err), nil
	}
	cell, err := c.cellOr(m.Cell)
	if err != nil {
		return nil, err
	}
	for i := range m.Files {
		f := &m.Files[i]
		b, err := readRooted(root, f.Path)
		if err != nil {
			return a.with(verify.Unknown(verify.FailMissing, err, "%s cannot be read", f.Path)), nil
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != f.SHA256 {
			return a.with(verify.Fail(verify.FailPortal, "the file %s is not the one in the manifest", f.Path)), nil
		}
	}
	a.sentences = append(a.sentences, fmt.Sprintf("All %d files of cell %s that the manifest names are as it says, made %s; it names neither itself nor its signatures and evidence.", len(m.Files), m.Cell, timeJSON(m.Made)))
	if m.Operator != "" {
		a.sentences = append(a.sentences, "The operator calls itself "+m.Operator+".")
	}
	for _, x := range m.Custodians {
		a.sentences = append(a.sentences, fmt.Sprintf("By the operator's word the custodian %s belongs to %s.", x.ID, x.Organisation))
	}

	// 2. Who signed it.
	var sigs []verify.Signature
	switch b, err := readRooted(root, "manifest.signatures.json"); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case json.Unmarshal(b, &sigs) != nil:
		return a.with(verify.Fail(verify.FailMalformed, "the file of signatures is not in the format")), nil
	}
	if len(sigs) == 0 {
		return a.with(verify.Unknown(verify.FailMissing, nil, "the manifest is not signed")), nil
	}
	if _, err := verify.CheckPortalManifest(file, sigs, cell.ID, key); err != nil {
		return a.with(err), nil
	}
	a.sentences = append(a.sentences, "The manifest is signed by the key it was checked against.")

	// 3. That the ledger announces it.
	b, err := readRooted(root, "manifest.json.evidence")
	if err != nil || len(b) == 0 {
		return a.with(verify.Unknown(verify.FailMissing, err, "nothing shows that the ledger announces the manifest")), nil
	}
	shown, err := verify.CheckEvidence(b, verify.ControlPortal, verify.PortalDigest(file), cell)
	if err != nil {
		return a.with(err), nil
	}
	a.sentences = append(a.sentences, fmt.Sprintf("Entry %d of the ledger announces it; witnessed %s.", shown.Index, timeJSON(shown.Witnessed)))
	a.report = map[string]any{"files": len(m.Files), "made": timeJSON(m.Made), "entry": shown.Index, "number": shown.Number, "witnessed": timeJSON(shown.Witnessed)}
	return a, nil
}
