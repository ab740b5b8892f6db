package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/personkey"
	"bonded/internal/report"
	"bonded/verify"
)

type reportCommands struct {
	Make   reportMake   `cmd:"" default:"withargs" help:"Count a period from the ledger and write the report."`
	Closed reportClosed `cmd:"" help:"Fetch the openings of entries that are not public yet, as counsel or auditor, for report make --closed."`
	Cosign reportCosign `cmd:"" help:"Check a report with the salts of its hidden cells, and sign it as its auditor."`
}

// reportClosed fetches what a report counts closed cases by.
type reportClosed struct {
	actorFlags
	cellFlag

	Out string `required:"" placeholder:"FILE" help:"File to write, for you alone: it is as confidential as the cases."`
}

// Run implements the command.
func (c *reportClosed) Run(ctx context.Context, s *streams) error {
	a, err := c.connect(s, c.Cell)
	if err != nil {
		return err
	}
	all, err := allOpenings(ctx, a.ClosedOpenings)
	if err != nil {
		return err
	}
	n := bytes.Count(all.Bytes(), []byte("\n"))
	if err := putFile(c.Out, all.Bytes(), 0o600); err != nil {
		return err
	}
	return s.print(map[string]any{"file": c.Out, "entries": n}, func(w *tabwriter.Writer) {
		row(w, "entries not public yet", strconv.Itoa(n))
		row(w, "written to", c.Out)
	})
}

// reportMake writes a report.
type reportMake struct {
	actorFlags
	cellFlag
	reportSources

	Period string `placeholder:"YYYY-H1" help:"Half-year or year. Or give --from and --to."`
	From   string `placeholder:"DATE" help:"First day, in UTC."`
	To     string `placeholder:"DATE" help:"Last day, in UTC."`
	Out    string `required:"" placeholder:"DIR" help:"Folder to write, to be published as it is."`
	Salts  string `placeholder:"FILE" help:"Where to write the salts of hidden cells, for the auditor only; beside the folder as DIR.salts.json if not given."`
	K      uint64 `name:"k" default:"5" help:"Smallest count that is shown, from 2 on."`
}

// Run implements the command.
func (c *reportMake) Run(ctx context.Context, s *streams) error {
	// 1. What is asked, by whom.
	period, err := c.period()
	if err != nil {
		return err
	}
	if c.K < 2 || c.K > 1000 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--k", Message: "the smallest count shown is from 2 to 1000"}
	}
	d, key, err := c.signer(s)
	if err != nil {
		return err
	}

	if err := c.cosigned(); err != nil {
		return err
	}

	// 2. What it is made of.
	cell := cmp.Or(c.Cell, key.Cell, d.Default)
	g, err := c.gather(ctx, d, cell, -1, period)
	if err != nil {
		return err
	}
	r, salts, err := verify.NewReport(verify.ReportInput{
		Cell: g.cell.ID, Period: period, Now: time.Now(), Ledger: g.ledger, Public: g.public, Closed: g.closed, HasClosed: c.Closed != "",
		Custody: g.custody, Operations: g.operations, K: c.K, Salt: freshSalt,
	})
	if err != nil {
		return failed(err)
	}

	// 3. The files, the salts first: without them nobody could audit it.
	files, err := report.Files(r)
	if err != nil {
		return err
	}
	st := r.Statement()
	st.Sign(verify.LabelReport, key.Person, key.Private())
	if files[report.Signatures], err = report.EncodeSignatures(st.Signatures); err != nil {
		return err
	}
	files[report.Openings], files[report.Custody] = g.counted(r), g.custodyFile
	if c.Salts == "" {
		c.Salts = filepath.Clean(c.Out) + ".salts.json"
	}
	if err := putFile(c.Salts, salts.Encode(), 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil { //nolint:gosec // to be published
		return unwritable(c.Out, err)
	}
	for name, b := range files {
		if err := putFile(filepath.Join(c.Out, name), b, 0o644); err != nil {
			return err
		}
	}
	return c.tell(s, r, salts)
}

// cosigned refuses to write over a report that an auditor has signed: its salts
// would be lost as well, and nobody could audit what was published.
func (c *reportMake) cosigned() error {
	b, err := os.ReadFile(filepath.Join(c.Out, report.Signatures))
	if err != nil {
		return nil //nolint:nilerr // there is none, or writing says what is wrong
	}
	if signatures, err := report.ParseSignatures(b); err == nil && len(signatures) > 1 {
		return &bonded.Error{Code: bonded.CodeConflict, Field: c.Out, Message: "the folder holds a report that its auditor has signed", Hint: "name another with --out"}
	}
	return nil
}

// tell prints the totals as they are and as they are published.
func (c *reportMake) tell(s *streams, r *verify.Report, salts *verify.ReportSalts) error {
	type line struct {
		Table     string `json:"table"`
		Column    string `json:"column"`
		Count     string `json:"count,omitempty"`
		Published string `json:"published"`
	}
	var lines []line
	for i := range r.Tables {
		t := &r.Tables[i]
		if len(t.Rows) == 0 {
			continue
		}
		n := len(t.Rows) - 1 // the total, or the only row
		for j := range t.Rows[n].Cells {
			cell := &t.Rows[n].Cells[j]
			l := line{t.ID, t.Columns[j], "", cell.String()}
			if cell.Count != nil {
				l.Count = cell.String()
			}
			for k := range salts.Cells {
				if x := &salts.Cells[k]; x.Table == t.ID && x.Row == n && x.Column == t.Columns[j] {
					l.Count = x.Count
				}
			}
			if l.Count == "" && n > 0 {
				l.Count = fromBelow(t, j, salts)
			}
			if l.Published != "" && l.Published != "withheld" {
				lines = append(lines, l)
			}
		}
	}
	return s.print(map[string]any{"folder": c.Out, "salts": c.Salts, "totals": lines}, func(w *tabwriter.Writer) {
		row(w, "TABLE", "COLUMN", "COUNT", "PUBLISHED AS")
		for _, l := range lines {
			row(w, l.Table, l.Column, l.Count, l.Published)
		}
		row(w, "")
		if c.Closed == "" {
			row(w, "n+", "n or more: cases that are not public yet are not counted without --closed (bonded report closed fetches them)")
		}
		row(w, "report written to", c.Out)
		row(w, "salts, for the auditor only", c.Salts)
	})
}

// fromBelow adds up the open rows of a column whose total is not known, since
// the closed cases were not given.
func fromBelow(t *verify.ReportTable, column int, salts *verify.ReportSalts) string {
	sum := uint64(0)
	for i := range t.Rows[:len(t.Rows)-2] {
		if c := t.Rows[i].Cells[column].Count; c != nil {
			sum += *c
			continue
		}
		for k := range salts.Cells {
			if x := &salts.Cells[k]; x.Table == t.ID && x.Row == i && x.Column == t.Columns[column] {
				v, _ := strconv.ParseUint(x.Count, 10, 64) //nolint:errcheck // a figure that there is not counts nothing
				sum += v
			}
		}
	}
	return strconv.FormatUint(sum, 10) + "+"
}

func (c *reportMake) period() (verify.ReportPeriod, error) {
	name := c.Period
	if name == "" {
		to, err := time.Parse(time.DateOnly, c.To)
		if err != nil {
			return verify.ReportPeriod{}, &bonded.Error{Code: bonded.CodeInvalid, Field: "--to", Message: "no period", Hint: "give --period YYYY-H1, or --from and --to as YYYY-MM-DD"}
		}
		name = c.From + "/" + to.AddDate(0, 0, 1).Format(time.DateOnly)
	} else if c.From != "" || c.To != "" {
		return verify.ReportPeriod{}, &bonded.Error{Code: bonded.CodeInvalid, Field: "--period", Message: "give --period, or --from and --to, not both"}
	}
	p, err := verify.ParseReportPeriod(name)
	if err != nil {
		return p, &bonded.Error{Code: bonded.CodeInvalid, Field: "--period", Message: verify.FailureOf(err).Message}
	}
	return p, nil
}

// reportCosign signs a report that was checked.
type reportCosign struct {
	actorFlags
	cellFlag
	reportSources

	Report   string `arg:"" name:"dir" help:"Folder of the report."`
	Salts    string `required:"" placeholder:"FILE" help:"Salts of the hidden cells, from the operator."`
	Operator string `placeholder:"KEY" help:"Public key of the operator who signed it, base64; the directory's administrator if not given."`
}

// Run implements the command.
func (c *reportCosign) Run(ctx context.Context, s *streams) error {
	// 1. The report, as it lies there.
	d, key, err := c.signer(s)
	if err != nil {
		return err
	}
	read := func(path string) ([]byte, error) {
		b, err := os.ReadFile(filepath.Clean(path))
		if err != nil {
			return nil, unreadable(path, "the file", err)
		}
		return b, nil
	}
	b, err := read(filepath.Join(c.Report, report.JSON))
	if err != nil {
		return err
	}
	r, err := verify.ParseReport(b)
	if err != nil {
		return failed(err)
	}
	if b, err = read(filepath.Join(c.Report, report.Signatures)); err != nil {
		return err
	}
	signatures, err := report.ParseSignatures(b)
	if err != nil {
		return failed(err)
	}
	if b, err = read(c.Salts); err != nil {
		return err
	}
	salts, err := verify.ParseReportSalts(b)
	if err != nil {
		return failed(err)
	}

	// 2. Counted again, hidden cells and all.
	if c.Operator == "" {
		c.Operator = d.Admin
	}
	operator, err := verify.DecodePublicKey(c.Operator)
	if err != nil {
		return at("--operator", err)
	}
	g, err := c.gather(ctx, d, r.Cell, r.LogSize, r.Period)
	if err != nil {
		return err
	}
	check, err := verify.CheckReport(r, &verify.ReportEvidence{
		Ledger: g.ledger, Public: g.public, Closed: g.closed, HasClosed: c.Closed != "", Custody: g.custody, Operations: g.operations,
		Salts: salts, Signatures: signatures, Operator: verify.ReportSigner{Key: operator},
	})
	if err != nil {
		return failed(err)
	}

	// 3. Signed.
	st := r.Statement()
	st.Signatures = signatures
	st.Sign(verify.LabelReport, key.Person, key.Private())
	if b, err = report.EncodeSignatures(st.Signatures); err != nil {
		return err
	}
	if err := putFile(filepath.Join(c.Report, report.Signatures), b, 0o644); err != nil {
		return err
	}
	return s.print(map[string]any{"signed": key.Person, "shown": check.Sentences()}, func(w *tabwriter.Writer) {
		for _, l := range check.Sentences() {
			row(w, l)
		}
		row(w, "signed by "+key.Person+", who had the salts")
	})
}

// signer reads the directory, and the key of whoever signs.
func (f *actorFlags) signer(s *streams) (*verify.Directory, *personkey.Key, error) {
	d, err := f.readDirectory()
	if err != nil {
		return nil, nil, err
	}
	k, err := f.readKey(s)
	return d, k, err
}

// failed makes a failed check of evidence an error of the command line.
func failed(err error) error {
	f := verify.FailureOf(err)
	if f == nil {
		return err
	}
	code := bonded.CodeConflict
	if f.Verdict == verify.CannotTell {
		code = bonded.CodeConfig
	}
	return &bonded.Error{Code: code, Message: f.Message, Err: err}
}

func freshSalt() (s verify.Salt) {
	_, _ = rand.Read(s[:]) // never fails since Go 1.24
	return s
}

// putFile writes a file that is there whole or not at all.
func putFile(path string, b []byte, mode os.FileMode) error {
	part := path + ".part"
	f, err := os.OpenFile(filepath.Clean(part), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return unwritable(path, err)
	}
	defer os.Remove(part) //nolint:errcheck // after the rename there is nothing to remove
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return unwritable(path, err)
	}
	return nil
}

// counted is the openings that anybody needs to count again.
func (g *gathered) counted(r *verify.Report) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	at := 0
	for _, o := range g.openings {
		for at < len(r.Entries) && r.Entries[at][1] < o.Index {
			at++
		}
		if g.custodial[o.Index] || at < len(r.Entries) && r.Entries[at][0] <= o.Index {
			_ = enc.Encode(o) // into memory
		}
	}
	return b.Bytes()
}
