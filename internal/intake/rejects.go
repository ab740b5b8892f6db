package intake

import (
	"cmp"
	"encoding/csv"
	"errors"
	"slices"
	"strconv"
	"strings"

	"bonded"
	"bonded/internal/apitype"
)

// rejected gathers bad rows until the end of a run, so that the reject file
// has them in the order of the lines. Rows are bad for few reasons: each
// reason is kept once, which makes a row cost 16 bytes.
type rejected struct {
	rows []rejectedRow
	why  map[reason]*reason
}

type rejectedRow struct {
	line int
	why  *reason
}

// A reason is why a row is bad. It holds no value of the row.
type reason struct {
	column  string // of the file; "" for the whole row
	code    bonded.Code
	rule    string // the first that decided
	message string
}

func (j *rejected) add(line int, why reason) {
	known := j.why[why]
	if known == nil {
		known = &why
		if j.why == nil {
			j.why = map[reason]*reason{}
		}
		j.why[why] = known
	}
	j.rows = append(j.rows, rejectedRow{line, known})
}

func (j *rejected) sort() {
	slices.SortStableFunc(j.rows, func(a, b rejectedRow) int { return cmp.Compare(a.line, b.line) })
}

// write writes the reject file, after sort.
func (j *rejected) write(w *csv.Writer) error {
	_ = w.Write([]string{"line", "column", "code", "rule", "message"}) // w keeps its first error
	for _, b := range j.rows {
		_ = w.Write([]string{strconv.Itoa(b.line), b.why.column, string(b.why.code), b.why.rule, b.why.message})
	}
	w.Flush()
	return w.Error()
}

// count adds the bad rows to a summary, after sort.
func (j *rejected) count(sum *Summary) {
	for _, b := range j.rows {
		if b.why.rule != "" {
			sum.Rules[b.why.rule]++
		}
		if sum.Rejected[b.why.code]++; sum.Rejected[b.why.code] == 1 {
			sum.First[b.why.code] = Reject{Line: b.line, Column: b.why.column, Message: b.why.message}
		}
	}
}

func (r *run) reject(line int, column string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rejectLocked(line, column, err)
}

func (r *run) rejectLocked(line int, column string, err error) {
	var e *bonded.Error
	if !errors.As(err, &e) {
		e = bonded.Errorf(bonded.CodeInternal, "internal error")
	}
	why := reason{column: column, code: e.Code, message: e.Message}
	if len(e.Rules) > 0 {
		why.rule = e.Rules[0]
	}
	r.rejects.add(line, why)
}

// columnOf returns the column of the file that a place in a row sent to a
// cell came from, such as full_name for items[1].values.name. It is "" for
// places that no column filled.
func (m *Mapping) columnOf(place string) string {
	if rest, ok := strings.CutPrefix(place, "items["); ok {
		_, place, _ = strings.Cut(rest, "].")
	}
	if field, ok := strings.CutPrefix(place, "values."); ok {
		return m.Fields[field]
	}
	if s := m.Facts.source(strings.TrimPrefix(place, "facts.")); s != nil {
		return s.Column
	}
	return ""
}

// blame sorts what a cell says of a row: a fault of the map, and what the
// cell cannot do now, end the import; everything else (nil) rejects the row.
func (m *Mapping) blame(p *apitype.Problem) error {
	if p.Code == bonded.CodeUnknownField {
		_, field, _ := strings.Cut(p.Field, "values.")
		return &bonded.Error{Code: p.Code, Field: "fields." + field, Message: p.Message, Hint: p.Hint}
	}
	switch apitype.InfoOf(p.Code).Exit {
	case apitype.ExitLater, apitype.ExitClosed:
		return &bonded.Error{Code: p.Code, Message: p.Message, Hint: p.Hint}
	default:
		return nil
	}
}

// checkConstants asks where a person with the map's own facts belongs, so
// that what is wrong with those is said once and not for every row.
func (m *Mapping) checkConstants(target Target) error {
	constant := func(s *Source) []bonded.Jurisdiction {
		if s == nil {
			return nil
		}
		return s.Values
	}
	f := apitype.Facts{
		Residence: constant(m.Facts.Residence), Citizenship: constant(m.Facts.Citizenship),
		Collected: constant(m.Facts.Collected), Service: constant(m.Facts.Service), OperatorClass: m.Facts.OperatorClass,
	}
	if s := m.Facts.Residence; s != nil && s.Column != "" {
		f.Residence = []bonded.Jurisdiction{"DE"} // any country: the rows say which
	}
	_, err := target.Route(f)
	e, ok := errors.AsType[*bonded.Error](err)
	switch {
	case ok && e.Code == bonded.CodeInvalid:
		return &bonded.Error{Code: e.Code, Field: "facts." + e.Field, Message: e.Message, Hint: e.Hint}
	case ok && aboutPerson(e.Code): // nobody is this person
		return nil
	default:
		return err
	}
}

// aboutPerson says whether a code of Target.Route speaks of the person's
// facts and not of the deployment.
func aboutPerson(c bonded.Code) bool {
	return c == bonded.CodeInvalid || c == bonded.CodeRoutingConflict || c == bonded.CodeNoCell
}
