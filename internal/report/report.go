// Package report writes a transparency report as files for people and for
// programs: JSON, a CSV file a table with a Frictionless data package that
// describes them, and one HTML page.
//
// It counts nothing and hides nothing: package verify makes the report and
// checks it. The same report always makes the same bytes, so that files can be
// held against it.
//
// Start at [Files].
package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"

	"bonded/internal/custody"
	"bonded/verify"
)

// Names of files beside those of the tables.
const (
	JSON       = "report.json"
	Signatures = "signatures.json"
	Package    = "datapackage.json"
	HTML       = "report.html"
	Openings   = "openings.jsonl" // of the entries that are counted, one a line
	Custody    = "custody.json"   // certificates of the custodians, as GET /v1/custody gives them
)

// Files returns the files of a report by name, but for its signatures.
func Files(r *verify.Report) (map[string][]byte, error) {
	out := map[string][]byte{JSON: r.Encode()}
	var err error
	for i := range r.Tables {
		if out[r.Tables[i].ID+".csv"], err = table(r, &r.Tables[i]); err != nil {
			return nil, fmt.Errorf("write table %s: %w", r.Tables[i].ID, err)
		}
	}
	if out[Package], err = dataPackage(r); err != nil {
		return nil, fmt.Errorf("write the data package: %w", err)
	}
	if out[HTML], err = page(r); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return out, nil
}

// ParseSignatures reads the file of signatures.
func ParseSignatures(b []byte) ([]verify.Signature, error) {
	var s []verify.Signature
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil || len(s) > 64 {
		return nil, verify.Fail(verify.FailMalformed, "the file of signatures is not in the format")
	}
	return s, nil
}

// ParseCustody reads the certificates of the custodians, checks that each
// follows from the one before, and returns what they say.
func ParseCustody(b []byte) ([]*verify.CertifiedKeySet, error) {
	var file struct {
		Certificates []struct {
			Certificate []byte `json:"certificate"`
		} `json:"certificates"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, verify.Fail(verify.FailMalformed, "the file of certificates is not in the format")
	}
	var chain custody.Chain
	sets := []*verify.CertifiedKeySet{}
	for i := range file.Certificates {
		set, err := chain.Certificate(file.Certificates[i].Certificate)
		if err != nil {
			return nil, &verify.Failure{Verdict: verify.DoesNotHold, Code: verify.FailCustody, Message: fmt.Sprintf("certificate %d of the custodians does not hold", i+1), Err: err}
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// EncodeSignatures returns the file of signatures.
func EncodeSignatures(s []verify.Signature) ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

func table(r *verify.Report, t *verify.ReportTable) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true // RFC 4180
	_ = w.Write(append(append([]string{"period", "row"}, t.Dimensions...), t.Columns...))
	for i := range t.Rows {
		row := &t.Rows[i]
		line := []string{r.Period.Name, row.Kind}
		for d := range t.Dimensions {
			v := "*"
			if d < len(row.Key) {
				v = plain(row.Key[d])
			}
			line = append(line, v)
		}
		for c := range row.Cells {
			line = append(line, row.Cells[c].String())
		}
		_ = w.Write(line)
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// plain keeps a value from being read as a formula by spreadsheets.
func plain(s string) string {
	if s != "" && bytes.ContainsRune([]byte("=+-@"), rune(s[0])) {
		return "'" + s
	}
	return s
}

type field struct {
	Name        string         `json:"name"`
	Type        string         `json:"type"`
	Description string         `json:"description,omitempty"`
	Constraints map[string]any `json:"constraints,omitempty"`
}

type resource struct {
	Name        string         `json:"name"`
	Path        string         `json:"path"`
	Profile     string         `json:"profile"`
	Format      string         `json:"format"`
	MediaType   string         `json:"mediatype"`
	Encoding    string         `json:"encoding"`
	Description string         `json:"description,omitempty"`
	Dialect     map[string]any `json:"dialect"`
	Schema      map[string]any `json:"schema"`
}

// cellPattern is what a cell may be: a count, a band, a lower end, nothing.
const cellPattern = `\d+|<\d+|\d+-\d+|\d+\+|withheld`

func dataPackage(r *verify.Report) ([]byte, error) {
	resources := []resource{}
	for i := range r.Tables {
		t := &r.Tables[i]
		fields := []field{
			{Name: "period", Type: "string"},
			{Name: "row", Type: "string", Description: "open: cases opened in the ledger; closed: all others; total: both", Constraints: map[string]any{"enum": []string{verify.RowOpen, verify.RowClosed, verify.RowTotal}}},
		}
		for _, d := range t.Dimensions {
			fields = append(fields, field{Name: d, Type: "string"})
		}
		for _, c := range t.Columns {
			fields = append(fields, field{Name: c, Type: "string", Description: "a count, or the band it lies in", Constraints: map[string]any{"pattern": cellPattern}})
		}
		resources = append(resources, resource{
			Name: t.ID, Path: t.ID + ".csv", Profile: "tabular-data-resource", Format: "csv", MediaType: "text/csv", Encoding: "utf-8", Description: t.Note,
			Dialect: map[string]any{"lineTerminator": "\r\n", "header": true},
			Schema:  map[string]any{"fields": fields, "missingValues": []string{""}},
		})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(map[string]any{
		"profile": "tabular-data-package", "name": "transparency-" + string(r.Cell), "title": title(r),
		"created":  r.GeneratedAt.Format("2006-01-02T15:04:05Z"),
		"licenses": []map[string]string{{"name": r.License, "path": "https://creativecommons.org/licenses/by/4.0/"}},
		"log":      map[string]any{"origin": r.LogOrigin, "size": r.LogSize, "root": r.LogRoot}, "query_digest": r.Query, "policy_digest": r.Policy,
		"resources": resources,
	})
	return b.Bytes(), err
}

func title(r *verify.Report) string {
	return "Transparency report of cell " + string(r.Cell) + ", " + r.Period.Name
}
