package custodian

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strconv"

	"bonded"
	"bonded/internal/remote"
	"bonded/verify"
)

// A DirectoryFile is a version of the directory as it lies in a folder.
type DirectoryFile struct {
	File, Signature []byte
	Approvals       []byte // of custodians; nil if there are none
}

// whatDirectory is [Decision.What] of an approved version of the directory.
const whatDirectory = "directory"

// SetDirectory puts a newer directory in place of the one in the folder. It
// must be signed by the same administrator, have a higher version, and be
// approved by the quorum of the custodians in force, once there are some.
func (f *Folder) SetDirectory(d *DirectoryFile) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next, err := f.follows(d)
	if err != nil {
		return err
	}
	if set := f.last(); set != nil && !bytes.Equal(next.raw, f.raw) {
		list, err := verify.ParseDirectoryApprovals(d.Approvals)
		if err == nil {
			err = verify.CheckDirectoryApprovals(set.set.Custodians(), next.all.Version, verify.DirectoryDigest(next.raw), list)
		}
		if err != nil {
			return &bonded.Error{
				Code: bonded.CodeForbidden, Message: "the directory is not approved by the quorum of the custodians in force: " + verify.FailureOf(err).Message,
				Rules: []string{"custodian.directory-quorum"}, Err: err, Hint: "cells.json.approvals stands beside it: bonded custodians directory assemble makes it",
			}
		}
		if err := remote.WriteFile(filepath.Join(f.dir, fileApprovals), d.Approvals); err != nil {
			return err
		}
	}
	if err := errors.Join(remote.WriteFile(filepath.Join(f.dir, fileDirectory+".sig"), d.Signature), remote.WriteFile(filepath.Join(f.dir, fileDirectory), d.File)); err != nil {
		return err
	}
	f.all, f.raw, f.cell, f.wits = next.all, next.raw, next.cell, next.wits
	return nil
}

// follows checks that a directory may follow the one in the folder by what it
// says. The caller holds mu.
func (f *Folder) follows(d *DirectoryFile) (*Folder, error) {
	next := &Folder{conf: f.conf}
	if err := next.useDirectory(d.File, d.Signature); err != nil {
		return nil, err
	}
	switch {
	case next.all.Admin != f.all.Admin:
		return nil, bonded.Errorf(bonded.CodeConfig, "the directory names another administrator")
	case next.all.Version < f.all.Version:
		return nil, bonded.Errorf(bonded.CodeRestored, "directory version %d is older than %d, which is in force here", next.all.Version, f.all.Version)
	case next.all.Version == f.all.Version && !bytes.Equal(next.raw, f.raw):
		return nil, bonded.Errorf(bonded.CodeConfig, "directory version %d is in force here with another content", next.all.Version)
	case next.cell.LedgerKey != f.cell.LedgerKey:
		return nil, bonded.Errorf(bonded.CodeConfig, "the directory names another ledger for this cell")
	}
	return next, nil
}

// CompareDirectory checks that a directory may follow the one in the folder and
// says what is different in it.
func (f *Folder) CompareDirectory(d *DirectoryFile) (*verify.Directory, []verify.DirectoryChange, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next, err := f.follows(d)
	if err != nil {
		return nil, nil, err
	}
	return next.all, verify.CompareDirectories(f.all, next.all), nil
}

// ApproveDirectory notes in the custodian's own book that it approves a newer
// version of the directory, and signs that. Whoever calls it has looked at what
// changes. Of two directories with the same version only one is ever approved.
func (f *Folder) ApproveDirectory(d *DirectoryFile) (*verify.DirectoryApproval, error) {
	f.mu.Lock()
	next, err := f.follows(d)
	last := f.last()
	now, key, before := f.now().UTC(), ed25519.NewKeyFromSeed(f.sec.Approval), f.all.Version
	f.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case last == nil:
		return nil, refuse("seat", "the cell has no custodians yet: the administrator's signature makes its directory")
	case next.all.Version == before:
		return nil, bonded.Errorf(bonded.CodeConflict, "directory version %d is in force here already", before)
	}
	role, index, ok := last.set.Find(publicOf(key.Seed()))
	if !ok {
		return nil, refuse("seat", "this custodian has no seat in the key set in force")
	}
	digest := verify.DirectoryDigest(next.raw)
	word, text := "version "+strconv.FormatUint(next.all.Version, 10), hex.EncodeToString(digest[:])
	err = f.Decisions(func(d Decision) error {
		if d.What == whatDirectory && d.Reason == word && d.Scope != text {
			return refuse("directory-twice", "this custodian has approved another directory as %s", word)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := f.note(Decision{Time: now, What: whatDirectory, Scope: text, Reason: word, Epoch: last.set.Epoch()}); err != nil {
		return nil, err
	}
	a := &verify.DirectoryApproval{
		Cell: f.conf.Cell, Version: next.all.Version, Digest: digest, KeySet: last.set.Digest(), Epoch: last.set.Epoch(),
		Role: role, Index: uint64(index), Custodian: f.conf.ID, //nolint:gosec // positive
	}
	a.Sign(key)
	return a, nil
}
