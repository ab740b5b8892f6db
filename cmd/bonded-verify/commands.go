package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"bonded/verify"
)

// ledgerCmd checks a ledger, and an exported journal against it if one is
// named.
type ledgerCmd struct {
	cellFlags `embed:""`

	Where    string `arg:"" name:"url-or-dir" help:"Base URL or folder of the ledger: where its file checkpoint is."`
	Previous string `placeholder:"FILE" help:"A checkpoint of the ledger seen earlier: the ledger must extend it."`
	Journal  string `placeholder:"FILE" help:"An exported journal whose anchors must be in the ledger."`
	CA       string `name:"ca" placeholder:"FILE" help:"PEM file of further roots for an https URL."`
}

func (c *ledgerCmd) check() (*answer, error) {
	cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	fetch, closer, err := ledgerSource(c.Where, c.CA)
	if err != nil {
		return nil, err
	}
	defer closer()
	prev, err := previous(c.Previous, cell)
	if verify.FailureOf(err) != nil {
		return &answer{title: "ledger", err: err}, nil
	}
	if err != nil {
		return nil, err
	}
	if c.Journal == "" {
		rep, err := verify.CheckCellLedger(fetch, cell, verify.LogOptions{Previous: prev})
		return &answer{"ledger", rep.Sentences(), ledgerJSON(rep), err}, nil
	}
	in, err := openInput(c.Journal, &env{})
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // read only
	j, err := verify.NewJournalReader(in)
	if err != nil {
		return &answer{title: "ledger", err: err}, nil //nolint:nilerr // it is the answer
	}
	rep, err := verify.CheckJournal(j, cell, verify.ReconcileOptions{Ledger: fetch, Previous: prev})
	var lines []string
	if rep.Ledger != nil {
		lines = rep.Ledger.Sentences()
	}
	return &answer{"ledger", append(lines, rep.JournalSentences()...), reconcileJSON(rep), err}, nil
}

// previous opens an earlier checkpoint; name may be empty.
func previous(name string, cell *verify.DirectoryCell) (*verify.Checkpoint, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // none was given
	}
	raw, err := readFile(name)
	if err != nil {
		return nil, err
	}
	policy, err := verify.ParseWitnessPolicy([]byte(cell.WitnessPolicy))
	if err != nil {
		return nil, verify.Unknown(verify.FailKey, err, "the directory has no usable witness policy for the cell")
	}
	cp, err := verify.OpenCheckpoint(raw, cell.LedgerKey, policy)
	if err != nil {
		return nil, fmt.Errorf("earlier checkpoint: %w", err)
	}
	return cp, nil
}

// receiptCmd checks one receipt.
type receiptCmd struct {
	directoryFlags `embed:""`

	File string `arg:"" help:"Receipt as the API or bonded receipt gave it; - for standard input."`
}

func (c *receiptCmd) check(e *env) (*answer, error) {
	d, err := c.read()
	if err != nil {
		return nil, err
	}
	b, err := readInput(c.File, e)
	if err != nil {
		return nil, err
	}
	r, err := verify.ParseReceipt(b)
	if err != nil {
		return &answer{title: "receipt", err: err}, nil //nolint:nilerr // it is the answer
	}
	rep, err := verify.CheckReceipt(r, d)
	if err != nil {
		return &answer{title: "receipt", err: err}, nil //nolint:nilerr // it is the answer
	}
	return &answer{"receipt", rep.Sentences(), receiptJSON(rep), nil}, nil
}

// reconcileCmd holds the two books against each other.
type reconcileCmd struct {
	cellFlags `embed:""`

	Journal  string `required:"" placeholder:"FILE" help:"Journal of the vault, from bonded journal export; - for standard input."`
	Book     string `required:"" placeholder:"FILE" help:"Book of the keyholder, from bonded-keyholder log export. Export it first."`
	Ledger   string `placeholder:"DIR|URL" help:"Ledger of the cell, to find every anchor in it."`
	CA       string `name:"ca" placeholder:"FILE" help:"PEM file of further roots for an https URL."`
	Anchored bool   `help:"Ask that every row is anchored, every anchor in the ledger and every row of the book that an anchor shows in its export: otherwise the answer is that it cannot be told."`
}

func (c *reconcileCmd) check(e *env) (*answer, error) {
	cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	if c.Journal == "-" && c.Book == "-" {
		return nil, &usageError{errors.New("standard input cannot be both books"), "name a file for one of them"}
	}
	jf, err := openInput(c.Journal, e)
	if err != nil {
		return nil, err
	}
	defer jf.Close() //nolint:errcheck // read only
	bf, err := openInput(c.Book, e)
	if err != nil {
		return nil, err
	}
	defer bf.Close() //nolint:errcheck // read only
	opts := verify.ReconcileOptions{Anchored: c.Anchored}
	if c.Ledger != "" {
		fetch, closer, err := ledgerSource(c.Ledger, c.CA)
		if err != nil {
			return nil, err
		}
		defer closer()
		opts.Ledger = fetch
	}
	j, err := verify.NewJournalReader(jf)
	if err != nil {
		return &answer{title: "reconciliation", err: err}, nil //nolint:nilerr // it is the answer
	}
	b, err := verify.NewBookReader(bf)
	if err != nil {
		return &answer{title: "reconciliation", err: err}, nil //nolint:nilerr // it is the answer
	}
	rep, err := verify.Reconcile(j, b, cell, opts)
	if f := verify.FailureOf(err); f != nil && f.Verdict == verify.CannotTell && rep.Rows == 0 {
		return &answer{title: "reconciliation", err: err}, nil
	}
	return &answer{"reconciliation", rep.Sentences(), reconcileJSON(rep), err}, nil
}

// directoryCmd checks the signature of a directory.
type directoryCmd struct {
	File      string `arg:"" help:"Directory file."`
	Signature string `placeholder:"FILE" help:"Its signature; the file's name with .sig if left out."`
	Admin     string `placeholder:"KEY" help:"Public key of the administrator in base64, from elsewhere. Without it the signature only shows that the file was not altered by others than whoever it names."`
}

func (c *directoryCmd) check() (*answer, error) {
	b, err := readFile(c.File)
	if err != nil {
		return nil, err
	}
	d, err := verify.ParseDirectory(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	name := c.Signature
	if name == "" {
		name = c.File + ".sig"
	}
	sig, err := readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &answer{title: "directory", err: verify.Unknown(verify.FailMissing, err, "there is no signature")}, nil
	}
	if err != nil {
		return nil, err
	}
	digest := verify.DirectoryDigest(b)
	var cells []string
	for i := range d.Cells {
		cells = append(cells, string(d.Cells[i].ID))
	}
	a := &answer{title: "directory", sentences: []string{
		fmt.Sprintf("Version %d, issued %s, of %d cells: %s.", d.Version, d.Issued, len(d.Cells), strings.Join(cells, ", ")),
		fmt.Sprintf("Its digest is %x.", digest),
	}}
	a.report = map[string]any{"version": d.Version, "digest": fmt.Sprintf("%x", digest), "cells": cells, "admin": d.Admin}
	switch {
	case c.Admin != "" && c.Admin != d.Admin:
		a.err = verify.Fail(verify.FailKey, "it names another administrator than the one given")
	case !verify.CheckDirectorySignature(d, b, sig):
		a.err = verify.Fail("signature", "it is not signed by the administrator it names")
	case c.Admin == "":
		a.sentences = append(a.sentences, "It is signed by the administrator it names; compare that key with one from elsewhere, or give it with --admin.")
	}
	return a, nil
}

// promiseCmd checks batch promises.
type promiseCmd struct {
	cellFlags `embed:""`

	Headers []string `arg:"" name:"header" help:"Values of Bonded-Receipt headers; - for standard input, one a line."`
	Journal string   `required:"" placeholder:"FILE" help:"Journal of the vault, from bonded journal export; - for standard input."`
}

func (c *promiseCmd) check(e *env) (*answer, error) {
	cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	headers, err := c.read(e)
	if err != nil {
		return nil, err
	}
	var promises []*verify.Promise
	for i, h := range headers {
		p, err := verify.ParsePromise(strings.TrimSpace(strings.TrimPrefix(h, "Bonded-Receipt:")))
		if err != nil {
			return nil, &usageError{fmt.Errorf("header %d is not a batch promise", i+1), "give the whole value of the Bonded-Receipt header, in quotes"}
		}
		promises = append(promises, p)
	}
	in, err := openInput(c.Journal, e)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // read only
	j, err := verify.NewJournalReader(in)
	if err != nil {
		return &answer{title: "promise", err: err}, nil //nolint:nilerr // it is the answer
	}
	verdicts, err := verify.CheckPromises(promises, cell, j)
	if err != nil {
		return &answer{title: "promise", err: err}, nil //nolint:nilerr // it is the answer
	}
	a := &answer{title: "promise"}
	for i, v := range verdicts {
		text := verify.VerdictOf(v).String()
		if f := verify.FailureOf(v); f != nil {
			text += ": " + f.Message
		}
		a.sentences = append(a.sentences, fmt.Sprintf("Promise for row %s in segment %d: %s.", promises[i].Ref, promises[i].Segment, text))
		if worse(v, a.err) {
			a.err = v
		}
	}
	return a, nil
}

// read returns the headers that are given, or those of standard input.
func (c *promiseCmd) read(e *env) ([]string, error) {
	if !slices.Contains(c.Headers, "-") {
		return c.Headers, nil
	}
	if len(c.Headers) > 1 || c.Journal == "-" {
		return nil, &usageError{errors.New("standard input cannot be more than one thing"), "give the headers or the journal another way"}
	}
	var headers []string
	lines := bufio.NewScanner(e.stdin)
	for lines.Scan() {
		if l := strings.TrimSpace(lines.Text()); l != "" {
			headers = append(headers, l)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read headers: %w", err)
	}
	if len(headers) == 0 {
		return nil, &usageError{errors.New("standard input has no headers"), "give one Bonded-Receipt header a line"}
	}
	return headers, nil
}

// worse reports whether a is a worse answer than b: what does not hold is
// worse than what cannot be told.
func worse(a, b error) bool {
	rank := map[verify.Verdict]int{verify.Holds: 0, verify.CannotTell: 1, verify.DoesNotHold: 2}
	return rank[verify.VerdictOf(a)] > rank[verify.VerdictOf(b)]
}

func ledgerJSON(r *verify.CellLedgerReport) any {
	if r.Checkpoint == nil {
		return nil
	}
	return map[string]any{
		"origin": r.Checkpoint.Origin, "entries": r.Entries, "bundles": r.Bundles, "tiles": r.Tiles,
		"anchors": r.Anchors, "directories": r.Directories, "announcements": r.Controls, "case_entries": r.Cases.Leaves,
		"case_slots": r.Cases.Slots, "case_slots_missed": r.Cases.Missed, "size": r.Checkpoint.Size,
		"root": fmt.Sprintf("%x", r.Checkpoint.Root[:]), "cosignatures": len(r.Checkpoint.Cosignatures),
		"witness_time": timeJSON(r.Checkpoint.WitnessTime()),
	}
}

func receiptJSON(r *verify.ReceiptReport) any {
	return map[string]any{
		"entry": r.Row.RowRef.String(), "cell": r.Row.Cell, "operation": r.Row.Operation.String(), "outcome": r.Row.Outcome.String(),
		"code": r.Row.Code, "principal": r.Row.Principal, "assurance": r.Row.Assurance.String(), "resolved": r.Row.Resolved,
		"collection": r.Row.Collection, "purpose": r.Row.Purpose, "reason": r.Row.Reason, "rules": r.Row.Rules,
		"items": r.ItemCount, "shown": len(r.Items), "leaf": fmt.Sprintf("%x", r.Leaf[:]),
		"segment": r.Segment.Number, "position": r.Position, "ledger_index": r.Index,
		"ledger_size": r.Checkpoint.Size, "witnessed_by": timeJSON(r.WitnessedBy),
	}
}

func reconcileJSON(r *verify.ReconcileReport) any {
	type finding struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	findings := []finding{}
	for _, f := range r.Findings {
		findings = append(findings, finding{f.Code, f.Message})
	}
	m := map[string]any{
		"rows": r.Rows, "segments": r.Segments, "anchors": r.Anchors, "book_rows": r.BookRows, "anchored_book_rows": r.AnchoredBook,
		"matched": r.Matched, "orphans": r.Orphans, "destroyed": r.Destroyed, "refused": r.Refused,
		"refused_not_repeated": r.Unrepeated, "refused_not_in_journal": r.LostAsk,
		"released_without_entry": r.ReleasedWithoutEntry, "entries_without_release": r.WithoutRelease,
		"unanswered": r.Unanswered, "pending": r.Pending,
		"proven": r.Proven, "vault_asserted": r.Asserted, "jobs": r.Jobs, "cases": r.Cases, "vault_resolved": r.Resolved,
		"anchored_rows": r.AnchoredRows, "unanchored_rows": r.Unanchored,
		"anchors_in_ledger": r.ProvenInLog, "newer_anchors": r.NewerAnchors,
		"faults": r.Faults, "findings": findings,
	}
	if r.Ledger != nil {
		m["ledger"] = ledgerJSON(r.Ledger)
	}
	return m
}

func timeJSON(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
