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

	At   string `placeholder:"TIME" help:"Time at which it must not have run out, RFC 3339; now if left out."`
	File string `arg:"" help:"Statement, as the public portal gives it."`
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
	cell, err := c.cell()
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
	p, err := verify.OpenPortalStatement(s, cell.ID, key)
	if err != nil {
		return a.with(err), nil
	}
	for _, s := range p.Says {
		a.sentences = append(a.sentences, fmt.Sprintf("It says (%s): %s", s.Lang, s.Text))
	}
	a.sentences = append(a.sentences, fmt.Sprintf("So since %s; signed %s; valid until %s.", timeJSON(p.Since), timeJSON(p.Made), timeJSON(p.Until)))
	a.report = p
	if !now.Before(p.Until) {
		a.err = verify.Fail(verify.FailStatement, "it ran out at %s and says nothing any more", timeJSON(p.Until))
	}
	return a, nil
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
	cell, err := c.cell()
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
	a.sentences = append(a.sentences, fmt.Sprintf("All %d files are those of the manifest, made %s.", len(m.Files), timeJSON(m.Made)))

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
