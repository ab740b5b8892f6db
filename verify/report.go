package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"bonded"
	"bonded/internal/canon"
)

// Formats of a report and of the salts of its hidden cells, and the label under
// which a report is signed.
const (
	ReportFormat      = "bonded/report/1"
	ReportSaltsFormat = "bonded/report-salts/1"
	LabelReport       = "bonded/report/1"
)

// MaxReport is the most bytes a report has.
const MaxReport = MaxStatement

// ReportLicense is under which licence reports are published (SPDX).
const ReportLicense = "CC-BY-4.0"

// Kinds of rows.
const (
	RowOpen   = "open"   // cases whose entries were opened in the ledger: anyone can recount it
	RowClosed = "closed" // all other cases, whatever they are: pending, or under secrecy
	RowTotal  = "total"  // both
)

// A Report is a transparency report: counts of what authorities asked for and
// what came of it. Its bytes are signed as the body of a [Statement] under
// [LabelReport].
type Report struct {
	Format      string        `json:"format"` // [ReportFormat]
	Cell        bonded.CellID `json:"cell"`
	Period      ReportPeriod  `json:"period"`
	GeneratedAt time.Time     `json:"generated_at"` // UTC, whole seconds
	License     string        `json:"license"`      // [ReportLicense]
	LogOrigin   string        `json:"log_origin"`
	LogSize     int64         `json:"log_size"`
	LogRoot     string        `json:"log_root"`      // hexadecimal
	Query       string        `json:"query_digest"`  // hexadecimal, see [ReportQueryDigest]
	Policy      string        `json:"policy_digest"` // hexadecimal, see [ReportPolicyDigest]
	K           uint64        `json:"k"`             // the smallest count that is shown
	Closed      bool          `json:"closed_cases"`  // closed cases are counted; else totals are from below
	Entries     [][2]int64    `json:"entries"`       // first and last index of each run of entries that the open rows count
	Tables      []ReportTable `json:"tables"`
}

// A ReportTable is one table.
type ReportTable struct {
	ID         string      `json:"id"`
	Dimensions []string    `json:"dimensions"`
	Columns    []string    `json:"columns"`
	Rows       []ReportRow `json:"rows"`
	Note       string      `json:"note,omitempty"`
}

// A ReportRow is one row of a table.
type ReportRow struct {
	Kind  string       `json:"kind"`          // RowOpen, RowClosed or RowTotal
	Key   []string     `json:"key,omitempty"` // value of each dimension; of open rows
	Cells []ReportCell `json:"cells"`
}

// A ReportCell is a count, or what is shown of it: both ends of a band, its
// lower end alone, or nothing. A hidden count has its commitment:
//
//	SHA-256("bonded/report-cell/1" ‖ 32-byte salt ‖ lp(table, lp(kind, key…), column, count))
//
// with the count in decimal digits, empty for a figure of nothing.
type ReportCell struct {
	Count      *uint64  `json:"count,omitempty"`
	Low        *uint64  `json:"low,omitempty"`
	High       *uint64  `json:"high,omitempty"`
	Commitment b64bytes `json:"commitment,omitempty"`
}

// String returns the cell as people read it: "12", "<5", "10-14", "100+",
// "withheld", or nothing for a figure of nothing.
func (c *ReportCell) String() string {
	text := func(n *uint64) string { return strconv.FormatUint(*n, 10) }
	switch {
	case c.Count != nil:
		return text(c.Count)
	case c.Low != nil && c.High == nil:
		return text(c.Low) + "+"
	case c.Low != nil && *c.Low == 0:
		return "<" + strconv.FormatUint(*c.High+1, 10)
	case c.Low != nil:
		return text(c.Low) + "-" + text(c.High)
	case c.Commitment != nil:
		return "withheld"
	}
	return ""
}

// A ReportSalts opens the hidden cells of a report, for its auditor.
type ReportSalts struct {
	Format string       `json:"format"` // [ReportSaltsFormat]
	Report string       `json:"report"` // hexadecimal digest of the report's statement under [LabelReport]
	Cells  []ReportSalt `json:"cells"`  // in the order of the report
}

// A ReportSalt opens one hidden cell.
type ReportSalt struct {
	Table  string   `json:"table"`
	Row    int      `json:"row"` // from 0
	Column string   `json:"column"`
	Salt   b64bytes `json:"salt"`
	Count  string   `json:"count"` // decimal; empty for a figure of nothing
}

// ReportCommitment returns the commitment of a hidden cell.
func ReportCommitment(salt Salt, table string, row *ReportRow, column, count string) [32]byte {
	key := [][]byte{[]byte(row.Kind)}
	for _, k := range row.Key {
		key = append(key, []byte(k))
	}
	b := append([]byte("bonded/report-cell/1"), salt[:]...)
	return sha256.Sum256(append(b, canon.LP([]byte(table), canon.LP(key...), []byte(column), []byte(count))...))
}

// Encode returns r as the one JSON text of it.
func (r *Report) Encode() []byte { return encodeLine(r) }

// Encode returns s as the one JSON text of it.
func (s *ReportSalts) Encode() []byte { return encodeLine(s) }

func encodeLine(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // text and numbers always marshal
	}
	return b.Bytes()
}

// ParseReport reads what [Report.Encode] wrote and nothing else. It checks the
// form, not the counts. The error is a [Failure].
func ParseReport(b []byte) (*Report, error) {
	r := new(Report)
	if len(b) > MaxReport || strictJSON(b, r) != nil || r.Format != ReportFormat || !bytes.Equal(r.Encode(), b) {
		return nil, Fail(FailMalformed, "the report is not in the format %s", ReportFormat)
	}
	return r, r.form()
}

// form checks what the format says beyond its JSON.
func (r *Report) form() error {
	p, err := ParseReportPeriod(r.Period.Name)
	if err != nil {
		return err
	}
	root, rerr := hex.DecodeString(r.LogRoot)
	switch {
	case !p.From.Equal(r.Period.From) || !p.To.Equal(r.Period.To):
		return Fail(FailMalformed, "the dates of the report are not those of its period")
	case !r.Cell.Valid() || r.K < 2 || r.K > 1000 || r.License != ReportLicense || r.LogSize < 0 || rerr != nil || len(root) != 32:
		return Fail(FailMalformed, "a field of the report has a value that it never has")
	case len(r.Tables) != len(reportTables):
		return Fail(FailMalformed, "the report has another number of tables")
	}
	last := int64(-1)
	for _, run := range r.Entries {
		if run[0] <= last || run[1] < run[0] || run[1] >= r.LogSize {
			return Fail(FailMalformed, "the runs of entries are not in order, or past the end of the ledger")
		}
		last = run[1] + 1
	}
	for i := range r.Tables {
		t, def := &r.Tables[i], &reportTables[i]
		if t.ID != def.id || !slices.Equal(t.Dimensions, notNil(def.dims)) || !slices.Equal(t.Columns, def.columnNames()) {
			return Fail(FailMalformed, "table %d of the report is not the table %s of this version", i+1, def.id)
		}
		for j := range t.Rows {
			if err := t.Rows[j].form(def); err != nil {
				return err
			}
		}
	}
	return nil
}

func (row *ReportRow) form(def *reportTable) error {
	open := row.Kind == RowOpen
	if !open && row.Kind != RowClosed && row.Kind != RowTotal || open && len(row.Key) != len(def.dims) || !open && len(row.Key) > 0 || len(row.Cells) != len(def.columns) {
		return Fail(FailMalformed, "a row of table %s is not in the format", def.id)
	}
	for i := range row.Cells {
		c := &row.Cells[i]
		hidden := c.Low != nil || c.Commitment != nil
		if c.Count != nil && hidden || c.High != nil && (c.Low == nil || *c.High < *c.Low) || c.Commitment != nil && len(c.Commitment) != 32 {
			return Fail(FailMalformed, "a cell of table %s is neither shown nor hidden", def.id)
		}
	}
	return nil
}

// ParseReportSalts reads what [ReportSalts.Encode] wrote and nothing else. The
// error is a [Failure].
func ParseReportSalts(b []byte) (*ReportSalts, error) {
	s := new(ReportSalts)
	if len(b) > 4*MaxReport || strictJSON(b, s) != nil || s.Format != ReportSaltsFormat || !bytes.Equal(s.Encode(), b) {
		return nil, Fail(FailMalformed, "the salts are not in the format %s", ReportSaltsFormat)
	}
	return s, nil
}

// Table returns the table with that id; nil if there is none.
func (r *Report) Table(id string) *ReportTable {
	for i := range r.Tables {
		if r.Tables[i].ID == id {
			return &r.Tables[i]
		}
	}
	return nil
}

// Statement returns the report as a statement without signatures.
func (r *Report) Statement() *Statement { return &Statement{Body: r.Encode()} }

func notNil(ss []string) []string {
	if ss == nil {
		return []string{}
	}
	return ss
}
