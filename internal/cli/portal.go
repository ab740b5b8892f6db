package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/node"
	"bonded/internal/operator"
	"bonded/internal/portal"
	"bonded/internal/report"
	"bonded/verify"
)

type portalCommands struct {
	Build     portalBuild     `cmd:"" help:"Write the public pages of a cell as files for any web server."`
	Statement portalStatement `cmd:"" help:"Sign a dated statement for the public pages."`
}

// portalStatement signs a statement.
type portalStatement struct {
	actorFlags
	cellFlag

	Says     map[string]string `required:"" placeholder:"LANG=TEXT" help:"What is stated, by language: --says 'en=No court …' --says 'zh-Hans=…'."`
	Operator string            `placeholder:"NAME" help:"Name of the operator as the law knows it, such as Example AG: it stands in what is signed."`
	Since    string            `required:"" placeholder:"DATE" help:"First day since which it is so, in UTC: that of the first entry in the ledger or later."`
	Days     int               `default:"90" help:"Days from now until it has to be said again, 1 to 400."`
	Ledger   string            `placeholder:"DIR|URL" help:"Ledger of the cell, whose first entry --since is held against; that of the directory if not given."`
	Out      string            `required:"" placeholder:"FILE" help:"File to write."`
}

// Run implements the command.
func (c *portalStatement) Run(ctx context.Context, s *streams) error {
	// 1. What is stated.
	since, err := time.Parse(time.DateOnly, c.Since)
	if err != nil {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--since", Message: "not a day", Hint: "write it as 2026-01-31"}
	}
	if c.Days < 1 || c.Days > 400 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--days", Message: "a statement is for 1 to 400 days"}
	}
	if c.Operator != "" && !verify.PortalName(c.Operator) {
		return badPortalName("--operator")
	}
	d, key, err := c.signer(s)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	if since.After(now) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--since", Message: "the day is still to come"}
	}
	p := &verify.PortalStatement{
		Format: verify.LabelPortalStatement, Cell: cmp.Or(c.Cell, key.Cell, d.Default), Operator: c.Operator, Made: now, Since: since, Until: now.AddDate(0, 0, c.Days),
	}
	for _, lang := range slices.Sorted(maps.Keys(c.Says)) {
		p.Says = append(p.Says, verify.PortalSaying{Lang: lang, Text: c.Says[lang]})
	}

	// 2. The ledger must go back as far.
	if err := c.since(ctx, d, p); err != nil {
		return err
	}

	// 3. The signature.
	st, err := verify.NewStatement(p)
	if err != nil {
		return err
	}
	st.Sign(verify.LabelPortalStatement, key.Person, key.Private())
	if err := putFile(c.Out, append(st.Encode(), '\n'), 0o644); err != nil {
		return err
	}
	return s.print(map[string]any{"file": c.Out, "cell": p.Cell, "signer": key.Person, "until": p.Until}, func(w *tabwriter.Writer) {
		row(w, "written to", c.Out)
		row(w, "signed by", key.Person)
		row(w, "valid until", p.Until.Format(time.RFC3339))
	})
}

// since refuses a statement about a time before the cell's first witnessed
// entry: nobody can know of it.
func (c *portalStatement) since(ctx context.Context, d *verify.Directory, p *verify.PortalStatement) error {
	cell, ok := d.Cell(p.Cell)
	if !ok {
		return bonded.Errorf(bonded.CodeWrongCell, "the directory has no cell %s", p.Cell)
	}
	fetch, done, err := ledgerFiles(ctx, cmp.Or(c.Ledger, cell.Ledger), cell)
	if err != nil {
		return err
	}
	defer done()
	first, err := verify.FirstEntryTime(fetch, cell)
	if err != nil {
		return failed(err)
	}
	if p.CheckSince(first) == nil {
		return nil
	}
	return &bonded.Error{
		Code: bonded.CodeInvalid, Field: "--since",
		Message: "the cell's first witnessed entry is of " + first.Format(time.RFC3339) + ", and nobody can know of a time before it",
		Hint:    "state it since " + first.Format(time.DateOnly) + " or later",
	}
}

func badPortalName(field string) error {
	return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: "a name has 1 to 200 bytes, without control characters, and no space at its ends"}
}

// portalBuild writes a portal.
type portalBuild struct {
	actorFlags
	cellFlag

	Out       string `required:"" placeholder:"DIR" help:"Folder to write: a new one, or one that has a portal already."`
	Ledger    string `placeholder:"DIR|URL" help:"Ledger of the cell; that of the directory if not given."`
	Report    string `placeholder:"DIR" help:"Folder of the transparency report to publish, from bonded report make."`
	Statement string `placeholder:"FILE" help:"Signed statement to publish, from bonded portal statement."`
	Operator  string `placeholder:"NAME" help:"Name of the operator as the law knows it, such as Example AG; that of the statement if not given."`
	Entries   int    `default:"2000" help:"How many of the newest entries of the ledger are written as pages; the others are read by script."`

	Organisation map[string]string `placeholder:"ID=NAME" help:"Organisation that a custodian belongs to: --organisation 'independent-1=Example Notaries'. Certificates name none, and the register is not public."`

	Offline bool   `help:"Ask the cell for nothing: no openings and no custodians stand on the pages."`
	Wasm    string `placeholder:"DIR" help:"Folder with verify.wasm, verify.wasm.gz and wasm_exec.js; that of this program if not given."`
	NoWasm  bool   `name:"no-wasm" help:"Build without the verifier in WebAssembly: pages then check by the small verifier alone."`
}

// Run implements the command.
func (c *portalBuild) Run(ctx context.Context, s *streams) error {
	// 1. Whose portal, and what its pages run.
	d, err := c.readDirectory()
	if err != nil {
		return err
	}
	in := &portal.Input{Now: time.Now(), Program: node.Version, Cell: cmp.Or(c.Cell, d.Default)}
	cell, ok := d.Cell(in.Cell)
	if !ok {
		return bonded.Errorf(bonded.CodeWrongCell, "the directory has no cell %s", in.Cell)
	}
	path := cmp.Or(c.Directory, c.layout().Directory())
	if in.Directory, err = os.ReadFile(filepath.Clean(path)); err != nil {
		return unreadable(path, "the directory", err)
	}
	if in.Signature, err = os.ReadFile(filepath.Clean(path + ".sig")); err != nil {
		return unreadable(path+".sig", "the directory's signature", err)
	}
	if !verify.CheckDirectorySignature(d, in.Directory, in.Signature) {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the directory is not signed by the administrator it names"}
	}
	if err := c.programs(in); err != nil {
		return err
	}

	// 2. What the cell shows in public, checked.
	if err := c.gather(ctx, in, d, cell); err != nil {
		return err
	}
	if err := c.published(ctx, in, d, cell); err != nil {
		return err
	}
	if err := c.names(in); err != nil {
		return err
	}

	// 3. The files.
	files, err := portal.Build(in)
	if err != nil {
		return err
	}
	signer := ""
	if c.Admin != "" || c.Person != "" {
		key, err := c.readKey(s)
		if err != nil {
			return err
		}
		st := &verify.Statement{Body: files[portal.Manifest]}
		st.Sign(verify.LabelPortalManifest, key.Person, key.Private())
		if files[portal.Signatures], err = report.EncodeSignatures(st.Signatures); err != nil {
			return err
		}
		signer = key.Person
	}
	if err := writePortal(c.Out, files); err != nil {
		return err
	}
	digest := verify.PortalDigest(files[portal.Manifest])
	listed, beside := len(files)-portal.Unlisted, portal.Unlisted
	return s.print(map[string]any{"folder": c.Out, "files": len(files), "listed": listed, "digest": hex.EncodeToString(digest[:]), "signer": signer}, func(w *tabwriter.Writer) {
		row(w, "written to", c.Out)
		row(w, "files", fmt.Sprintf("%d, and %d that the list of files cannot name: itself, its signatures, its evidence", listed, beside))
		row(w, "digest of the manifest", hex.EncodeToString(digest[:]))
		row(w, "signed by", cmp.Or(signer, "nobody: name a key with --admin or --person"))
		row(w, "to announce it", "name "+filepath.Join(c.Out, portal.Manifest)+" as portal in vault.yaml")
	})
}

// names takes how the operator calls itself, and to whom custodians belong.
func (c *portalBuild) names(in *portal.Input) error {
	stated := ""
	if in.Stated != nil {
		stated = in.Stated.Operator
	}
	switch {
	case c.Operator != "" && !verify.PortalName(c.Operator):
		return badPortalName("--operator")
	case c.Operator != "" && stated != "" && c.Operator != stated:
		return &bonded.Error{Code: bonded.CodeConflict, Field: "--operator", Message: "the statement is signed by " + stated, Hint: "name the operator the same way in both"}
	}
	in.Operator = cmp.Or(c.Operator, stated)
	for id, name := range c.Organisation {
		if !verify.PortalName(name) {
			return badPortalName("--organisation")
		}
		if in.Custodians == nil || !isCustodian(in.Custodians, id) {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "--organisation", Message: "no custodian in force is " + id, Hint: "bonded custodians show has their names"}
		}
	}
	in.Organisations = c.Organisation
	return nil
}

func isCustodian(ks *verify.Custodians, id string) bool {
	return slices.ContainsFunc(ks.Roles, func(r verify.CustodianRole) bool {
		return slices.ContainsFunc(r.Members, func(m verify.Custodian) bool { return m.ID == id })
	})
}

// programs reads the verifier that pages run.
func (c *portalBuild) programs(in *portal.Input) error {
	if c.NoWasm {
		return nil
	}
	dir := c.Wasm
	if dir == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		dir = filepath.Dir(self)
	}
	for name, into := range map[string]*[]byte{"verify.wasm": &in.Wasm, "verify.wasm.gz": &in.WasmGzip, "wasm_exec.js": &in.WasmExec} {
		b, err := os.ReadFile(filepath.Join(filepath.Clean(dir), name))
		if err != nil {
			return &bonded.Error{Code: bonded.CodeConfig, Field: filepath.Join(dir, name), Message: "the verifier for pages is not there", Hint: "make wasm builds it; name its folder with --wasm, or leave it out with --no-wasm", Err: err}
		}
		*into = b
	}
	return nil
}

// gather reads the ledger, what was opened of it, and who the custodians are.
func (c *portalBuild) gather(ctx context.Context, in *portal.Input, d *verify.Directory, cell *verify.DirectoryCell) error {
	// 1. Openings and certificates before the ledger: then it holds all of them.
	opened := map[int64]*verify.OpenedCase{}
	if !c.Offline {
		if err := askCell(ctx, in, d, opened); err != nil {
			return err
		}
	}

	// 2. The whole ledger, of which the newest entries are kept.
	fetch, done, err := ledgerFiles(ctx, cmp.Or(c.Ledger, cell.Ledger), cell)
	if err != nil {
		return err
	}
	defer done()
	in.Counts = map[verify.LeafKind]int64{}
	rep, err := verify.CheckCellLedger(fetch, cell, verify.LogOptions{Entry: func(index int64, data []byte) error {
		leaf, err := verify.DecodeLeaf(data)
		if err != nil {
			return nil //nolint:nilerr // the check says so
		}
		in.Counts[leaf.Kind]++
		if index == 0 {
			in.First = time.Unix(int64(min(leaf.Time, 1<<40)), 0).UTC() //nolint:gosec // bounded
		}
		if o := opened[index]; o != nil && bytes.Equal(o.Leaf.Encode(), data) {
			in.Opened.Add(o)
		}
		if in.Entries = append(in.Entries, portal.Entry{Index: index, Leaf: leaf}); len(in.Entries) > 2*c.Entries {
			in.Entries = slices.Clone(in.Entries[c.Entries:])
		}
		return nil
	}})
	if err != nil {
		return failed(err)
	}
	in.Checkpoint = rep.Checkpoint
	in.Entries = in.Entries[max(0, len(in.Entries)-c.Entries):]
	for i := range in.Entries {
		e := &in.Entries[i]
		if o := opened[e.Index]; o != nil && bytes.Equal(o.Leaf.Encode(), e.Leaf.Encode()) {
			e.Opened = o
		}
	}
	return nil
}

// askCell reads the public feed and the certificates of the custodians. A cell
// without a front door has neither.
func askCell(ctx context.Context, in *portal.Input, d *verify.Directory, opened map[int64]*verify.OpenedCase) error {
	p, err := client.NewPerson(client.PersonConfig{Directory: d, Cell: in.Cell})
	if err != nil {
		return err
	}
	chain, err := p.Custody(ctx)
	if bonded.CodeOf(err) == bonded.CodeUnsupported {
		return nil
	}
	if err != nil {
		return err
	}
	in.Feed = true
	h, err := operator.CheckHistory(d, in.Cell, chain)
	if err != nil {
		return err
	}
	if ks := h.Current(); ks != nil {
		in.Custodians = ks.Custodians()
		if in.Custody, err = json.Marshal(chain); err != nil {
			return err
		}
	}
	feed, err := allOpenings(ctx, p.Openings)
	if err != nil {
		return err
	}
	return failed(verify.ReadOpenings(feed, func(o *verify.CaseOpening) error {
		x, err := o.Check()
		if err != nil {
			return err
		}
		if before := opened[x.Index]; before == nil || len(x.Closed) < len(before.Closed) {
			opened[x.Index] = x
		}
		return nil
	}))
}

// published reads report and statement, which must hold.
func (c *portalBuild) published(ctx context.Context, in *portal.Input, d *verify.Directory, cell *verify.DirectoryCell) error {
	admin, err := verify.DecodePublicKey(d.Admin)
	if err != nil {
		return err
	}
	if c.Statement != "" {
		b, err := os.ReadFile(filepath.Clean(c.Statement))
		if err != nil {
			return unreadable(c.Statement, "the statement", err)
		}
		st, err := verify.ParseStatement(bytes.TrimSpace(b))
		if err != nil {
			return failed(err)
		}
		if in.Stated, err = verify.OpenPortalStatement(st, in.Cell, admin); err != nil {
			return failed(err)
		}
		if err := in.Stated.CheckSince(in.First); err != nil {
			return failed(err)
		}
		if !in.Now.Before(in.Stated.Until) {
			return &bonded.Error{Code: bonded.CodeConflict, Field: "--statement", Message: "the statement has run out", Hint: "bonded portal statement makes a new one"}
		}
		in.Statement, in.StatedBy = b, st.Signatures[0].Signer
	}
	if c.Report == "" {
		return nil
	}

	// The report, counted again.
	in.ReportFiles = map[string][]byte{}
	root, err := os.OpenRoot(c.Report)
	if err != nil {
		return unreadable(c.Report, "the report", err)
	}
	defer root.Close() //nolint:errcheck // read only
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return unreadable(c.Report, "the report", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name()[0] == '.' {
			continue
		}
		if in.ReportFiles[e.Name()], err = fs.ReadFile(root.FS(), e.Name()); err != nil {
			return unreadable(e.Name(), "a file of the report", err)
		}
	}
	r, err := verify.ParseReport(in.ReportFiles[report.JSON])
	if err != nil {
		return failed(err)
	}
	ev := &verify.ReportEvidence{Operator: verify.ReportSigner{Key: admin}}
	if ev.Signatures, err = report.ParseSignatures(in.ReportFiles[report.Signatures]); err != nil {
		return failed(err)
	}
	fetch, done, err := ledgerFiles(ctx, cmp.Or(c.Ledger, cell.Ledger), cell)
	if err != nil {
		return err
	}
	defer done()
	if ev.Ledger, err = verify.ReadReportLedger(fetch, cell, r.LogSize, verify.LogOptions{}); err != nil {
		return failed(err)
	}
	if ev.Public, err = ev.Ledger.PlaceAll(bytes.NewReader(in.ReportFiles[report.Openings])); err != nil {
		return failed(err)
	}
	if custody := in.ReportFiles[report.Custody]; custody != nil {
		if ev.Custody, err = report.ParseCustody(custody); err != nil {
			return failed(err)
		}
	}
	if _, err := verify.CheckReport(r, ev); err != nil {
		return failed(err)
	}
	in.Report = r
	return nil
}

// writePortal writes the files, the manifest last, and removes those of the
// portal that was there before.
func writePortal(dir string, files map[string][]byte) error {
	old, err := oldPortal(dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != portal.Manifest {
			if err := putBelow(dir, name, files[name]); err != nil {
				return err
			}
		}
	}
	if err := putBelow(dir, portal.Manifest, files[portal.Manifest]); err != nil {
		return err
	}
	for _, f := range old {
		if _, still := files[f.Path]; !still {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(f.Path))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return unwritable(f.Path, err)
			}
		}
	}
	return nil
}

// oldPortal returns the files of the portal in a folder. A folder with anything
// else in it is refused.
func oldPortal(dir string) ([]verify.PortalFile, error) {
	b, err := os.ReadFile(filepath.Join(filepath.Clean(dir), portal.Manifest))
	if err == nil {
		m, err := verify.ParsePortalManifest(b)
		if err != nil {
			return nil, &bonded.Error{Code: bonded.CodeConflict, Field: dir, Message: "the folder has a manifest.json that is not of a portal", Hint: "name another folder", Err: err}
		}
		return m.Files, nil
	}
	list, err := os.ReadDir(dir)
	if err == nil && len(list) > 0 {
		return nil, &bonded.Error{Code: bonded.CodeConflict, Field: dir, Message: "the folder is not empty and has no portal", Hint: "name a new folder"}
	}
	return nil, nil
}

func putBelow(dir, name string, b []byte) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // to be published
		return unwritable(path, err)
	}
	return putFile(path, b, 0o644)
}
