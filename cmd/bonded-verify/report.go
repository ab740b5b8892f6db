package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bonded/internal/report"
	"bonded/verify"
)

// reportCmd checks a published transparency report.
type reportCmd struct {
	directoryFlags `embed:""`

	Where    string `arg:"" name:"dir-or-file" help:"Folder of the report, or its report.json."`
	Ledger   string `required:"" placeholder:"DIR|URL" help:"Ledger of the cell."`
	CA       string `name:"ca" placeholder:"FILE" help:"PEM file of further roots for https URLs."`
	Openings string `placeholder:"FILE|URL" help:"Openings, one a line or pages of the feed, or base URL of the cell's API; those in the folder if not given. From the feed it also shows what the report leaves out."`
	Closed   string `placeholder:"FILE" help:"Openings of entries that were not public, if you have them."`
	Custody  string `placeholder:"FILE" help:"Certificates of the custodians; those in the folder if not given."`
	Salts    string `placeholder:"FILE" help:"Salts of the hidden cells, if you are the auditor."`
	Journal  string `placeholder:"FILE" help:"Journal of the vault, to count openings by vault operation again."`
	Book     string `placeholder:"FILE" help:"Book of the keyholder, for the same."`
	Operator string `placeholder:"KEY" help:"Public key of the operator, base64; the directory's administrator if not given."`
	Auditor  string `placeholder:"KEY" help:"Public key of the auditor, base64, who must have signed too."`
}

func (c *reportCmd) check() (*answer, error) {
	a := &answer{title: "report"}

	// 1. The report and who is to have signed it.
	d, err := c.read()
	if err != nil {
		return nil, err
	}
	file, dir := c.Where, filepath.Dir(c.Where)
	if fi, err := os.Stat(c.Where); err == nil && fi.IsDir() {
		file, dir = filepath.Join(c.Where, report.JSON), c.Where
	}
	b, err := readFile(file)
	if err != nil {
		return nil, err
	}
	r, err := verify.ParseReport(b)
	if err != nil {
		return a.with(err), nil
	}
	cell, ok := d.Cell(r.Cell)
	if !ok {
		return nil, &usageError{fmt.Errorf("the directory has no cell %q", r.Cell), "name the directory that the cell is in"}
	}
	e := &verify.ReportEvidence{}
	if err := c.signatures(e, d, dir); err != nil {
		return c.answer(a, err)
	}

	// 2. What it is counted from.
	if err := c.evidence(e, r, cell, dir); err != nil {
		return c.answer(a, err)
	}

	// 3. The counts, then the other files of the folder.
	check, err := verify.CheckReport(r, e)
	a.report = checkJSON(check)
	if err != nil {
		return a.with(err), nil
	}
	a.sentences = check.Sentences()
	return c.folder(a, r, dir)
}

// answer makes what evidence says the answer, and a mistake a mistake.
func (c *reportCmd) answer(a *answer, err error) (*answer, error) {
	if verify.FailureOf(err) == nil {
		return nil, err
	}
	return a.with(err), nil
}

func (c *reportCmd) signatures(e *verify.ReportEvidence, d *verify.Directory, dir string) error {
	b, err := readFile(filepath.Join(dir, report.Signatures))
	if errors.Is(err, fs.ErrNotExist) {
		return verify.Unknown(verify.FailMissing, err, "there is no file of signatures beside the report")
	}
	if err != nil {
		return err
	}
	if e.Signatures, err = report.ParseSignatures(b); err != nil {
		return err
	}
	operator := c.Operator
	if operator == "" {
		operator = d.Admin
	}
	if e.Operator.Key, err = verify.DecodePublicKey(operator); err != nil {
		return &usageError{fmt.Errorf("--operator: %w", err), "give 32 bytes in base64"}
	}
	if c.Auditor == "" {
		return nil
	}
	if e.Auditor.Key, err = verify.DecodePublicKey(c.Auditor); err != nil {
		return &usageError{fmt.Errorf("--auditor: %w", err), "give 32 bytes in base64"}
	}
	return nil
}

func (c *reportCmd) evidence(e *verify.ReportEvidence, r *verify.Report, cell *verify.DirectoryCell, dir string) error {
	fetch, closer, err := ledgerSource(c.Ledger, c.CA)
	if err != nil {
		return err
	}
	defer closer()
	if e.Ledger, err = verify.ReadReportLedger(fetch, cell, r.LogSize, verify.LogOptions{}); err != nil {
		return err
	}
	openings, err := c.openings(dir)
	if err != nil {
		return err
	}
	defer openings.Close() //nolint:errcheck // read only
	if e.Public, err = e.Ledger.PlaceAll(openings); err != nil {
		return err
	}
	if c.Closed != "" {
		in, err := openInput(c.Closed, &env{})
		if err != nil {
			return err
		}
		defer in.Close() //nolint:errcheck // read only
		if e.Closed, err = e.Ledger.PlaceAll(in); err != nil {
			return err
		}
		e.HasClosed = true
	}
	custody := c.Custody
	if custody == "" {
		custody = filepath.Join(dir, report.Custody)
	}
	b, err := readFile(custody)
	if err == nil {
		e.Custody, err = report.ParseCustody(b)
	}
	if err != nil && (c.Custody != "" || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	if c.Salts != "" {
		b, err := readFile(c.Salts)
		if err != nil {
			return err
		}
		if e.Salts, err = verify.ParseReportSalts(b); err != nil {
			return err
		}
	}
	return c.books(e, r, cell)
}

// openings opens a file of openings, or reads the feed at a URL.
func (c *reportCmd) openings(dir string) (io.ReadCloser, error) {
	where := c.Openings
	switch {
	case where == "":
		return openInput(filepath.Join(dir, report.Openings), &env{})
	case !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://"):
		return openInput(where, &env{})
	}
	fetch, closer, err := overHTTP(strings.TrimSuffix(where, "/"), c.CA)
	if err != nil {
		return nil, err
	}
	defer closer()
	var all bytes.Buffer
	for from := uint64(0); ; {
		page, err := fetch(fmt.Sprintf("v1/openings?from=%d", from))
		if err != nil {
			return nil, verify.Unknown(verify.FailMissing, err, "the feed of openings cannot be read")
		}
		next, err := nextPage(page)
		if err != nil {
			return nil, err
		}
		if next <= from {
			return io.NopCloser(&all), nil
		}
		all.Write(page)
		from = next
	}
}

// books counts the releases of the period in both books, if they are given.
func (c *reportCmd) books(e *verify.ReportEvidence, r *verify.Report, cell *verify.DirectoryCell) error {
	if c.Journal == "" && c.Book == "" {
		return nil
	}
	if c.Journal == "" || c.Book == "" {
		return &usageError{errors.New("one book alone counts nothing"), "give --journal and --book, or neither"}
	}
	jf, err := openInput(c.Journal, &env{})
	if err != nil {
		return err
	}
	defer jf.Close() //nolint:errcheck // read only
	bf, err := openInput(c.Book, &env{})
	if err != nil {
		return err
	}
	defer bf.Close() //nolint:errcheck // read only
	j, err := verify.NewJournalReader(jf)
	if err != nil {
		return err
	}
	b, err := verify.NewBookReader(bf)
	if err != nil {
		return err
	}
	e.Operations = &verify.ReportTally{Period: r.Period}
	rep, err := verify.Reconcile(j, b, cell, verify.ReconcileOptions{Release: e.Operations.Release})
	e.Operations.Unexplained = rep.ReleasedWithoutEntry
	return err
}

// folder holds the other files of the folder against the report. Tables and
// data package must be what it makes; the page may be of another version.
func (c *reportCmd) folder(a *answer, r *verify.Report, dir string) (*answer, error) {
	files, err := report.Files(r)
	if err != nil {
		return nil, err
	}
	same := 0
	for name, want := range files {
		got, err := readFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case bytes.Equal(got, want):
			same++
		case name == report.HTML:
			a.sentences = append(a.sentences, "The page "+name+" is not what this version makes of the report: read the tables.")
		default:
			a.err = verify.Fail(verify.FailReport, "the file %s says something else than the report", name)
			return a, nil
		}
	}
	a.sentences = append(a.sentences, fmt.Sprintf("%d files say what the report says.", same))
	return a, nil
}

func checkJSON(x *verify.ReportCheck) any {
	return map[string]any{
		"cell": x.Report.Cell, "period": x.Report.Period.Name, "log_size": x.Report.LogSize, "open_cells": x.Open, "closed_cells": x.Closed,
		"hidden": x.Hidden, "opened_by_salts": x.Committed, "sums": x.Sums, "cases_set_aside": x.Aside, "leaves_not_opened": x.Unopened,
		"audited": x.Audited, "operations_recounted": x.Operations, "custody_recounted": x.Custody,
	}
}

// nextPage reads where the feed goes on.
func nextPage(page []byte) (uint64, error) {
	var p struct {
		Next uint64 `json:"next"`
	}
	if err := json.Unmarshal(page, &p); err != nil {
		return 0, verify.Fail(verify.FailMalformed, "the feed of openings is not in the format")
	}
	return p.Next, nil
}
