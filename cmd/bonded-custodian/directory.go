package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"bonded"
	"bonded/internal/custodian"
	"bonded/internal/remote"
	"bonded/internal/terminal"
	"bonded/verify"
)

type directoryCmd struct {
	Use     directoryUse     `cmd:"" default:"withargs" help:"Put a newer directory into the folder, if the quorum has approved it."`
	Approve directoryApprove `cmd:"" help:"Show what a newer directory changes and, with --out, approve it."`
}

type directoryUse struct {
	Dir  string `arg:"" help:"Folder of the custodian."`
	File string `arg:"" type:"existingfile" help:"The newer cells.json; its signature and the approvals stand beside it."`
}

// Run implements the command.
func (c *directoryUse) Run(e *env, all *commands) error {
	f, _, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	d, err := readDirectory(c.File)
	if err != nil {
		return err
	}
	if err := f.SetDirectory(d); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "directory version %d is in force here\n", f.Directory().Version)
	return err
}

type directoryApprove struct {
	Dir    string `arg:"" help:"Folder of the custodian."`
	File   string `arg:"" type:"existingfile" help:"The newer cells.json; its signature stands beside it."`
	Out    string `short:"f" name:"out" placeholder:"OUT" help:"File to write the approval to. Without it: nothing is signed."`
	Digest string `help:"SHA-256 of the cells.json that you were told by another way: another one is not approved."`
}

// Run implements the command.
func (c *directoryApprove) Run(e *env, all *commands) error {
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	d, err := readDirectory(c.File)
	if err != nil {
		return err
	}
	// 1. What changes.
	next, changes, err := f.CompareDirectory(d)
	if err != nil {
		return err
	}
	sum := verify.DirectoryDigest(d.File)
	digest := hex.EncodeToString(sum[:])
	if err := printChanges(e.stdout, next, digest, changes); err != nil {
		return err
	}
	if c.Digest != "" && !strings.EqualFold(c.Digest, digest) {
		return &bonded.Error{Code: bonded.CodeConflict, Field: "--digest", Message: "the directory is another one than you were told of", Hint: "ask the administrator which one is meant"}
	}
	if c.Out == "" {
		_, err := fmt.Fprintln(e.stdout, "nothing is signed: --out names where the approval goes")
		return err
	}
	// 2. Who the custodians are now; without the front door, those known.
	if _, err := f.Refresh(e.ctx, door); err != nil {
		_, _ = fmt.Fprintf(e.stderr, "bonded-custodian: warning: nothing new from the front door: %v\n", err)
	}
	// 3. Signed.
	a, err := f.ApproveDirectory(d)
	if err != nil {
		return err
	}
	if err := remote.WriteFile(c.Out, verify.EncodeDirectoryApprovals([]*verify.DirectoryApproval{a})); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "approved as custodian %s of role %s: give %s to the administrator\n", a.Custodian, a.Role, c.Out)
	return err
}

func printChanges(out io.Writer, next *verify.Directory, digest string, changes []verify.DirectoryChange) error {
	_, _ = fmt.Fprintf(out, "directory version %d, SHA-256 %s\n", next.Version, digest)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	said := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return terminal.Clean(strings.ReplaceAll(strings.TrimSpace(s), "\n", "; "))
	}
	for _, c := range changes {
		where := "directory"
		if c.Cell != "" {
			where = "cell " + string(c.Cell)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t->\t%s\n", where, c.Member, said(c.Old), said(c.New))
	}
	return w.Flush()
}

// readDirectory reads a directory file with the signature beside it, and the
// approvals if they are there.
func readDirectory(path string) (*custodian.DirectoryFile, error) {
	d := new(custodian.DirectoryFile)
	var err, serr, aerr error
	d.File, err = os.ReadFile(path)                      //nolint:gosec // the operator names the file
	d.Signature, serr = os.ReadFile(path + ".sig")       //nolint:gosec // as above
	d.Approvals, aerr = os.ReadFile(path + ".approvals") //nolint:gosec // as above
	if errors.Is(aerr, fs.ErrNotExist) {
		aerr = nil
	}
	if err := errors.Join(err, serr, aerr); err != nil {
		return nil, &bonded.Error{
			Code: bonded.CodeConfig, Field: path, Message: "the directory, its signature or its approvals cannot be read", Err: err,
			Hint: "cells.json, cells.json.sig and cells.json.approvals belong together",
		}
	}
	return d, nil
}
