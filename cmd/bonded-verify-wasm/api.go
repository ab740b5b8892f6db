//go:build js && wasm

package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

var functions = map[string]func(*call) (*answer, error){
	"directory": directory, "checkpoint": checkpoint, "consistency": consistency, "inclusion": inclusion, "proof": proof,
	"ledger": ledger, "receipt": receipt, "promises": promises, "report": report, "opening": opening,
	"evidence": evidence, "statement": statement, "manifest": manifest,
}

func (c *call) directory() (*verify.Directory, error) {
	return verify.ParseDirectory(c.bytes("directory"))
}

// cell returns the directory and the cell that is asked about.
func (c *call) cell() (*verify.Directory, *verify.DirectoryCell, error) {
	d, err := c.directory()
	if err != nil {
		return nil, nil, err
	}
	id := bonded.CellID(c.text("cell"))
	cell, ok := d.Cell(id)
	if !ok {
		return nil, nil, verify.Unknown(verify.FailCell, nil, "the directory has no cell %q", string(id))
	}
	return d, cell, nil
}

// open opens a checkpoint under the keys of a cell.
func open(raw []byte, cell *verify.DirectoryCell) (*verify.Checkpoint, error) {
	policy, err := verify.ParseWitnessPolicy([]byte(cell.WitnessPolicy))
	if err != nil {
		return nil, verify.Unknown(verify.FailKey, err, "the directory has no usable witness policy for the cell")
	}
	return verify.OpenCheckpoint(raw, cell.LedgerKey, policy)
}

func directory(c *call) (*answer, error) {
	raw := c.bytes("directory")
	d, err := verify.ParseDirectory(raw)
	if err != nil {
		return nil, err
	}
	digest := verify.DirectoryDigest(raw)
	var cells []bonded.CellID
	for i := range d.Cells {
		cells = append(cells, d.Cells[i].ID)
	}
	a := &answer{
		Found:     map[string]any{"version": d.Version, "issued": d.Issued, "admin": d.Admin, "digest": hex.EncodeToString(digest[:]), "cells": cells},
		Sentences: []string{fmt.Sprintf("Version %d of the directory, issued %s.", d.Version, d.Issued)},
	}
	switch {
	case !c.has("signature"):
	case !verify.CheckDirectorySignature(d, raw, c.bytes("signature")):
		return a, verify.Fail("signature", "the directory is not signed by the administrator it names")
	default:
		a.Sentences = append(a.Sentences, "It is signed by the administrator it names.")
	}
	return a, nil
}

func checkpoint(c *call) (*answer, error) {
	_, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	cp, err := open(c.bytes("checkpoint"), cell)
	if err != nil {
		return nil, err
	}
	return &answer{Found: foundCheckpoint(cp, cell)}, nil
}

func foundCheckpoint(cp *verify.Checkpoint, cell *verify.DirectoryCell) map[string]any {
	type cosignature struct {
		Witness string `json:"witness"`
		Time    string `json:"time"`
	}
	list := []cosignature{}
	for _, s := range cp.Cosignatures {
		list = append(list, cosignature{s.Name, stamp(time.Unix(s.Time, 0))})
	}
	n := 0
	if p, err := verify.ParseWitnessPolicy([]byte(cell.WitnessPolicy)); err == nil {
		n = len(p.Witnesses())
	}
	return map[string]any{
		"origin": cp.Origin, "size": cp.Size, "root": base64.StdEncoding.EncodeToString(cp.Root[:]),
		"cosignatures": list, "witnesses": n, "witness_time": stamp(cp.WitnessTime()),
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func consistency(c *call) (*answer, error) {
	_, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	older, err := open(c.bytes("older"), cell)
	if err != nil {
		return nil, fmt.Errorf("the earlier checkpoint: %w", err)
	}
	newer, err := open(c.bytes("newer"), cell)
	if err != nil {
		return nil, err
	}
	a := &answer{Found: map[string]any{"older": older.Size, "newer": newer.Size}}
	return a, verify.ReadConsistency(c.fetch(), older, newer)
}

func inclusion(c *call) (*answer, error) {
	_, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	cp, err := open(c.bytes("checkpoint"), cell)
	if err != nil {
		return nil, err
	}
	index := int64(c.Get("index").Int())
	entry, err := verify.ReadEntry(c.fetch(), cp, index)
	if err != nil {
		return nil, err
	}
	return &answer{Found: foundLeaf(index, entry)}, nil
}

func foundLeaf(index int64, entry []byte) map[string]any {
	h := tlog.RecordHash(entry)
	m := map[string]any{"index": index, "hash": hex.EncodeToString(h[:]), "leaf": base64.StdEncoding.EncodeToString(entry)}
	if l, err := verify.DecodeLeaf(entry); err == nil {
		m["kind"], m["cell"], m["time"] = l.Kind, l.Cell, stamp(time.Unix(int64(min(l.Time, 1<<40)), 0)) //nolint:gosec // bounded
		if l.OpenBy > 0 {
			m["open_by"] = stamp(time.Unix(int64(min(l.OpenBy, 1<<40)), 0)) //nolint:gosec // bounded
		}
	}
	return m
}

func proof(c *call) (*answer, error) {
	leaf, err := base64.StdEncoding.DecodeString(c.text("leaf"))
	if err != nil {
		return nil, verify.Fail(verify.FailMalformed, "the leaf is not base64")
	}
	policy, err := verify.ParseWitnessPolicy(c.bytes("policy"))
	if err != nil {
		return nil, verify.Unknown(verify.FailKey, err, "the witness policy cannot be used")
	}
	if !c.has("proof") { // a checkpoint alone, under keys without a directory
		cp, err := verify.OpenCheckpoint(c.bytes("checkpoint"), c.text("key"), policy)
		if err != nil {
			return nil, err
		}
		return &answer{Found: map[string]any{"witness_time": cp.WitnessTime().Unix()}}, nil
	}
	in, err := verify.CheckInclusion(leaf, c.bytes("proof"), c.text("key"), policy)
	if err != nil {
		return nil, err
	}
	return &answer{Found: map[string]any{"index": in.Index}}, nil
}

func ledger(c *call) (*answer, error) {
	_, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	opts, err := c.logOptions(cell)
	if err != nil {
		return nil, err
	}
	rep, err := verify.CheckCellLedger(c.fetch(), cell, opts)
	a := &answer{Sentences: rep.Sentences()}
	if cp := rep.Checkpoint; cp != nil {
		m := foundCheckpoint(cp, cell)
		m["entries"], m["bundles"], m["tiles"] = rep.Entries, rep.Bundles, rep.Tiles
		m["anchors"], m["directories"], m["announcements"], m["case_entries"] = rep.Anchors, rep.Directories, rep.Controls, rep.Cases.Leaves
		m["checkpoint"] = string(cp.Raw)
		a.Found = m
	}
	return a, err
}

func (c *call) logOptions(cell *verify.DirectoryCell) (verify.LogOptions, error) {
	var opts verify.LogOptions
	if c.has("previous") {
		prev, err := open(c.bytes("previous"), cell)
		if err != nil {
			return opts, fmt.Errorf("the earlier checkpoint: %w", err)
		}
		opts.Previous = prev
	}
	if tell := c.Get("progress"); c.has("progress") {
		opts.Progress = func(done, size int64) { tell.Invoke(done, size) }
	}
	return opts, nil
}

func receipt(c *call) (*answer, error) {
	d, err := c.directory()
	if err != nil {
		return nil, err
	}
	r, err := verify.ParseReceipt(bytes.TrimSpace(c.bytes("receipt")))
	if err != nil {
		return nil, err
	}
	rep, err := verify.CheckReceipt(r, d)
	if err != nil {
		return nil, err
	}
	return &answer{Sentences: rep.Sentences(), Found: foundReceipt(rep)}, nil
}

func foundReceipt(rep *verify.ReceiptReport) map[string]any {
	type item struct {
		Subject string   `json:"subject,omitempty"`
		Fields  []string `json:"fields,omitempty"`
	}
	items := []item{}
	for i := range rep.Items {
		it := item{Fields: rep.Items[i].Fields}
		if s := rep.Items[i].Subject; !s.IsZero() {
			it.Subject = bonded.SubjectID{Cell: rep.Row.Cell, ID: s}.String()
		}
		items = append(items, it)
	}
	r := rep.Row
	return map[string]any{
		"entry": r.RowRef.String(), "cell": r.Cell, "principal": r.Principal, "assurance": r.Assurance.String(), "operation": r.Operation.String(),
		"outcome": r.Outcome.String(), "code": r.Code, "collection": r.Collection, "purpose": r.Purpose, "reason": r.Reason,
		"time": time.UnixMilli(int64(min(r.Time, 1<<52))).UTC().Format(time.RFC3339), "items": items, "item_count": rep.ItemCount, //nolint:gosec // bounded
		"index": rep.Index, "size": rep.Checkpoint.Size, "witnessed_by": stamp(rep.WitnessedBy), "witnesses": len(rep.Checkpoint.Cosignatures),
	}
}

func promises(c *call) (*answer, error) {
	_, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	var list []*verify.Promise
	for i := range c.Get("headers").Length() {
		p, err := verify.ParsePromise(c.Get("headers").Index(i).String())
		if err != nil {
			return nil, verify.Fail(verify.FailMalformed, "header %d is not a batch promise", i+1)
		}
		list = append(list, p)
	}
	j, err := verify.NewJournalReader(bytes.NewReader(c.bytes("journal")))
	if err != nil {
		return nil, err
	}
	verdicts, err := verify.CheckPromises(list, cell, j)
	if err != nil {
		return nil, err
	}
	a := new(answer)
	var worst error
	for i, v := range verdicts {
		text := verify.VerdictOf(v).String()
		if f := verify.FailureOf(v); f != nil {
			text += ": " + f.Message
		}
		a.Sentences = append(a.Sentences, fmt.Sprintf("Promise for row %s in segment %d: %s.", list[i].Ref, list[i].Segment, text))
		if v != nil && (worst == nil || verify.VerdictOf(worst) == verify.CannotTell) {
			worst = v
		}
	}
	return a, worst
}

// key is the Ed25519 key that must have signed: the administrator's of the
// directory if none is given.
func (c *call) key(d *verify.Directory) (ed25519.PublicKey, error) {
	text := d.Admin
	if c.has("key") {
		text = c.text("key")
	}
	key, err := verify.DecodePublicKey(text)
	if err != nil {
		return nil, verify.Unknown(verify.FailKey, err, "the key that must have signed cannot be used")
	}
	return key, nil
}

func report(c *call) (*answer, error) {
	d, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	r, err := verify.ParseReport(c.bytes("report"))
	if err != nil {
		return nil, err
	}
	if r.Cell != cell.ID {
		return nil, verify.Fail(verify.FailCell, "the report is of cell %s, not %s", r.Cell, cell.ID)
	}
	e := new(verify.ReportEvidence)
	if e.Operator.Key, err = c.key(d); err != nil {
		return nil, err
	}
	if e.Signatures, err = signatures(c.bytes("signatures")); err != nil {
		return nil, err
	}
	opts, err := c.logOptions(cell)
	if err != nil {
		return nil, err
	}
	if e.Ledger, err = verify.ReadReportLedger(c.fetch(), cell, r.LogSize, opts); err != nil {
		return nil, err
	}
	if e.Public, err = e.Ledger.PlaceAll(bytes.NewReader(c.bytes("openings"))); err != nil {
		return nil, err
	}
	check, err := verify.CheckReport(r, e)
	if err != nil {
		return nil, err
	}
	return &answer{
		Sentences: check.Sentences(),
		Found:     map[string]any{"open_cells": check.Open, "sums": check.Sums, "hidden": check.Hidden, "custody": check.Custody, "operations": check.Operations, "size": r.LogSize},
	}, nil
}

// signatures reads a list of signatures, such as signatures.json of a report.
func signatures(b []byte) ([]verify.Signature, error) {
	var s []verify.Signature
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil || len(s) > 64 {
		return nil, verify.Fail(verify.FailMalformed, "the file of signatures is not in the format")
	}
	return s, nil
}

func opening(c *call) (*answer, error) {
	o, err := verify.ParseCaseOpening(c.bytes("opening"))
	if err != nil {
		return nil, err
	}
	if c.has("leaf") && base64.StdEncoding.EncodeToString(o.Leaf) != c.text("leaf") {
		return nil, verify.Fail(verify.FailInclusion, "the opening is of another leaf than the entry of the ledger")
	}
	x, err := o.Check()
	if err != nil {
		return nil, err
	}
	e := x.Entry
	return &answer{Found: map[string]any{
		"index": x.Index, "type": e.Type, "event": e.Event, "from": e.From, "state": e.State, "actor": e.Actor, "detail": e.Detail,
		"jurisdiction": e.Jurisdiction, "requester_kind": e.Requester, "process": e.Process, "basis": e.Basis, "class": e.Class,
		"number": e.Number, "case": bonded.CaseID{Cell: x.Leaf.Cell, ID: e.Case}.String(), "closed": x.Closed,
	}}, nil
}

func evidence(c *call) (*answer, error) {
	_, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	digest, err := hex.DecodeString(c.text("digest"))
	if err != nil || len(digest) != 32 {
		return nil, errors.New("digest is not SHA-256 in hexadecimal")
	}
	a, err := verify.CheckEvidence(c.bytes("evidence"), verify.ControlSubject(c.text("subject")), [32]byte(digest), cell)
	if err != nil {
		return nil, err
	}
	return &answer{Found: map[string]any{"index": a.Index, "number": a.Number, "witnessed": stamp(a.Witnessed)}}, nil
}

func statement(c *call) (*answer, error) {
	d, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	key, err := c.key(d)
	if err != nil {
		return nil, err
	}
	s, err := verify.ParseStatement(bytes.TrimSpace(c.bytes("statement")))
	if err != nil {
		return nil, err
	}
	p, err := verify.OpenPortalStatement(s, cell.ID, key)
	if err != nil {
		return nil, err
	}
	return &answer{Found: map[string]any{"made": stamp(p.Made), "since": stamp(p.Since), "until": stamp(p.Until), "says": p.Says}}, nil
}

func manifest(c *call) (*answer, error) {
	d, cell, err := c.cell()
	if err != nil {
		return nil, err
	}
	key, err := c.key(d)
	if err != nil {
		return nil, err
	}
	sigs, err := signatures(c.bytes("signatures"))
	if err != nil {
		return nil, err
	}
	m, err := verify.CheckPortalManifest(c.bytes("manifest"), sigs, cell.ID, key)
	if err != nil {
		return nil, err
	}
	return &answer{Found: map[string]any{"made": stamp(m.Made), "files": len(m.Files), "program": m.Program}}, nil
}
