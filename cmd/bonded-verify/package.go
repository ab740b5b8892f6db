package main

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"bonded/internal/custody"
	"bonded/verify"
)

// packageCmd checks a release package without opening anything.
type packageCmd struct {
	Directory string `required:"" placeholder:"cells.json" help:"Directory file that the package was made under: whose keys to trust."`
	At        string `placeholder:"TIME" help:"Time at which it must not have expired, RFC 3339; now if left out."`

	File string `arg:"" help:"Release package."`
}

func (c *packageCmd) check() (*answer, error) {
	now := time.Now()
	if c.At != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, c.At); err != nil {
			return nil, &usageError{errors.New("--at is not a time"), "write it as 2026-01-31T00:00:00Z"}
		}
	}
	dir, err := readFile(c.Directory)
	if err != nil {
		return nil, err
	}
	if _, err := verify.ParseDirectory(dir); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Clean(c.File))
	if err != nil {
		return nil, &usageError{err, "name the package that was fetched"}
	}
	defer f.Close() //nolint:errcheck // read only
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	rep, err := verify.CheckPackage(f, fi.Size(), verify.PackageOptions{Directory: dir, Now: now, Quorum: new(custody.Chain)})
	if err != nil {
		return &answer{title: "package", err: err}, nil //nolint:nilerr // it is the answer
	}
	return &answer{"package", rep.Sentences(), packageJSON(rep), nil}, nil
}

func packageJSON(r *verify.PackageReport) any {
	var approved []string
	for _, a := range r.Approvals {
		approved = append(approved, a.Custodian)
	}
	m := r.Manifest
	return map[string]any{
		"case": m.Case, "cell": m.Cell, "copy": m.Copy, "made": timeJSON(m.Made), "expires": timeJSON(m.Expires),
		"request": m.Request, "scope": m.Scope, "recipient": m.Recipient,
		"officer": r.Officer.ID, "agency": r.Agency.ID, "process": r.Request.Authorisation.ProcessType,
		"key_set": hex.EncodeToString(r.Custodians.Custodians.KeySet[:]), "epoch": r.Custodians.Custodians.Epoch, "dealt": r.Custodians.Dealt, "approved_by": approved,
		"quorum_index": r.QuorumEntry.Index, "opening_index": r.OpenEntry.Index, "witness_time": timeJSON(r.OpenEntry.Checkpoint.WitnessTime()),
		"items": m.Items, "released": r.End.Released, "refused": r.End.Refused, "receipts": r.End.Receipts, "subjects": r.Subjects,
	}
}
