package release

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bonded/verify"
)

// FormatOpened is the format name of what [NewJSON] writes.
const FormatOpened = "bonded/opened/1"

// NewCSV returns a sink that writes RFC 4180 to w: one line for each item, a
// column for each field. Columns of the package itself begin with a capital
// letter, which no field does; the last one of the header names the copy.
// Values are exact: a spreadsheet may take one that begins with =, +, - or @
// for a formula, so open the file as text.
func NewCSV(w io.Writer) Sink { return &csvSink{w: csv.NewWriter(w), at: map[string]int{}} }

// csvColumns stand before the fields.
var csvColumns = []string{"Item", "Task", "Subject", "Record", "Collection", "Matched by", "Refused", "Entry"}

type csvSink struct {
	w   *csv.Writer
	at  map[string]int // column of a field
	row []string
}

func (s *csvSink) Begin(r *verify.PackageReport) error {
	head := append([]string{}, csvColumns...)
	for _, f := range r.Fields {
		s.at[f] = len(head)
		head = append(head, f)
	}
	s.row = make([]string, len(head)+1)
	return s.w.Write(append(head, "Copy "+r.Manifest.Copy))
}

func (s *csvSink) Row(r *Row) error {
	clear(s.row)
	copy(s.row, []string{strconv.Itoa(r.Index), strconv.Itoa(r.Task), r.Subject.String(), r.Record.String(), r.Collection, "", string(r.Code), r.Entry})
	var matched []string
	for i := range r.Fields {
		f := &r.Fields[i]
		s.row[s.at[f.Name]] = string(f.Value)
		if f.Match {
			matched = append(matched, f.Name)
		}
	}
	s.row[5] = strings.Join(matched, " ")
	return s.w.Write(s.row)
}

func (s *csvSink) End() error {
	s.w.Flush()
	return s.w.Error()
}

// NewJSON returns a sink that writes one JSON object to w, with one item on
// each line. Values are strings; one that is not UTF-8 is an object with the
// member base64.
func NewJSON(w io.Writer) Sink { return &jsonSink{w: bufio.NewWriter(w)} }

type jsonSink struct {
	w    *bufio.Writer
	rows int
}

type jsonHead struct {
	Format    string   `json:"format"`
	Cell      string   `json:"cell"`
	Case      string   `json:"case"`
	Copy      string   `json:"copy"`
	Made      string   `json:"made"`
	Reference string   `json:"reference"`
	Opening   int64    `json:"opening"` // place in the ledger
	Items     []string `json:"items"`
}

type jsonItem struct {
	Item       int         `json:"item"`
	Task       int         `json:"task"`
	Subject    string      `json:"subject"`
	Record     string      `json:"record"`
	Collection string      `json:"collection"`
	Refused    string      `json:"refused,omitempty"`
	Entry      string      `json:"entry,omitempty"`
	Fields     []jsonField `json:"fields,omitempty"`
}

type jsonField struct {
	Name  string `json:"name"`
	Match bool   `json:"match,omitempty"`
	Value any    `json:"value"`
}

func (s *jsonSink) Begin(r *verify.PackageReport) error {
	m := r.Manifest
	b, err := encode(jsonHead{FormatOpened, string(m.Cell), m.Case.String(), m.Copy, m.Made.Format(time.RFC3339), r.Request.Authorisation.Reference, r.OpenEntry.Index, []string{}})
	if err != nil {
		return err
	}
	_, err = s.w.WriteString(strings.TrimSuffix(b, "]}"))
	return err
}

func (s *jsonSink) Row(r *Row) error {
	it := jsonItem{Item: r.Index, Task: r.Task, Subject: r.Subject.String(), Record: r.Record.String(), Collection: r.Collection, Refused: string(r.Code), Entry: r.Entry}
	for i := range r.Fields {
		f := &r.Fields[i]
		v := jsonField{f.Name, f.Match, string(f.Value)}
		if !utf8.Valid(f.Value) {
			v.Value = map[string][]byte{"base64": f.Value}
		}
		it.Fields = append(it.Fields, v)
	}
	b, err := encode(it)
	if err != nil {
		return err
	}
	sep := ",\n"
	if s.rows == 0 {
		sep = "\n"
	}
	s.rows++
	_, err = s.w.WriteString(sep + b)
	return err
}

func (s *jsonSink) End() error {
	if _, err := s.w.WriteString("\n]}\n"); err != nil {
		return err
	}
	return s.w.Flush()
}

// encode is compact JSON that leaves <, > and & alone.
func encode(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
