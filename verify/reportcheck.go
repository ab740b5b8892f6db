package verify

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
)

// ReportEvidence is what a report is checked against. Only the ledger is
// needed; what is left out is not checked, and [ReportCheck.Sentences] says so.
type ReportEvidence struct {
	Ledger     *ReportLedger // read up to the size the report names
	Public     []*OpenedCase // placed in it
	Closed     []*OpenedCase // what the operator, or an auditor, can open besides
	HasClosed  bool          // Closed is all of them
	Custody    []*CertifiedKeySet
	Operations *ReportTally // of both books, for the period of the report
	Salts      *ReportSalts

	Signatures []Signature
	Operator   ReportSigner // must have signed
	Auditor    ReportSigner // must have signed, unless its key is nil
}

// A ReportSigner is somebody who signs a report, by whatever id.
type ReportSigner struct{ Key ed25519.PublicKey }

// signed reports whether one of the signatures on s is by the key.
func (g ReportSigner) signed(s *Statement) bool {
	return slices.ContainsFunc(s.Signatures, func(sig Signature) bool { return s.SignedBy(LabelReport, sig.Signer, g.Key) })
}

// A ReportCheck is what checking a report has shown.
type ReportCheck struct {
	Report     *Report
	Open       int // cells of open rows recounted from the ledger
	Closed     int // cells of closed cases recounted
	Hidden     int // hidden cells that have a commitment
	Committed  int // of these, those whose salts were given and hold
	Sums       int // sums of rows and columns that hold
	Aside      int // cases of which something is public that the report counts as closed
	Unopened   int64
	Audited    bool // an auditor's signature was checked
	Operations bool // the table of operations was recounted from both books
	Custody    bool // the table of custody was recounted from the certificates
	all        bool
}

// CheckReport checks a report against its ledger: who signed it, that its open
// rows are what the opened entries make, hidden exactly as the rules of hiding
// say, that totals are the sums of their rows, and that rows can add up; given
// the salts, that hidden counts are what they were committed to, in their bands,
// and add up themselves; given closed entries or books, that they make the rest.
//
// The check is never nil. The error is a [Failure].
func CheckReport(r *Report, e *ReportEvidence) (*ReportCheck, error) {
	x := &ReportCheck{Report: r}

	// 1. Who signed, which ledger, which rules.
	if err := x.frame(e); err != nil {
		return x, err
	}

	// 2. The tables that entries make.
	in := &ReportInput{Cell: r.Cell, Period: r.Period, Ledger: e.Ledger, Public: e.Public, K: r.K, Closed: e.Closed, HasClosed: e.HasClosed && r.Closed, Custody: e.Custody}
	if err := x.opened(e); err != nil {
		return x, err
	}
	n, err := countReport(in, r.Entries)
	if err != nil {
		return x, err
	}
	x.Aside, x.all = n.aside, in.HasClosed
	for i := range r.Tables {
		if t := &r.Tables[i]; reportTables[i].counted {
			if err := x.counted(t, n.tables[t.ID]); err != nil {
				return x, err
			}
		}
	}

	// 3. The two that something else makes.
	if err := x.others(e, in); err != nil {
		return x, err
	}

	// 4. What is hidden.
	return x, x.salts(e.Salts)
}

func (x *ReportCheck) frame(e *ReportEvidence) error {
	r := x.Report
	s := r.Statement()
	s.Signatures = e.Signatures
	query, policy := ReportQueryDigest(), ReportPolicyDigest(r.K)
	switch {
	case !e.Operator.signed(s):
		return Fail(FailStatement, "the report is not signed by the operator")
	case e.Auditor.Key != nil && !e.Auditor.signed(s):
		return Fail(FailStatement, "the report is not signed by the auditor")
	case r.Query != hex.EncodeToString(query[:]) || r.Policy != hex.EncodeToString(policy[:]):
		return Unknown(FailReport, nil, "the report counts or hides by other rules than this version")
	case r.LogOrigin != e.Ledger.Checkpoint.Origin || r.LogSize != e.Ledger.Size:
		return Fail(FailReport, "the report is of another ledger, or of another size of it")
	case r.LogRoot != hex.EncodeToString(e.Ledger.Root[:]):
		return Fail(FailReport, "the ledger did not have the root that the report names when it had %d entries", r.LogSize)
	}
	x.Audited = e.Auditor.Key != nil
	return nil
}

// opened wants every entry that is counted among those that are opened.
func (x *ReportCheck) opened(e *ReportEvidence) error {
	have := map[int64]bool{}
	opened := map[int64]bool{}
	for _, o := range e.Public {
		opened[o.Index] = true
		if o.Entry.Type == EntryCase && !x.Report.Period.after(o.Leaf.Time) {
			have[o.Index] = true
		}
	}
	for _, o := range e.Closed {
		opened[o.Index] = true
	}
	x.Unopened = e.Ledger.Leaves - int64(len(opened))
	for _, run := range x.Report.Entries {
		for i := run[0]; i <= run[1]; i++ {
			if !have[i] {
				return Unknown(FailMissing, nil, "the report counts entry %d, whose opening is not among those given", i)
			}
		}
	}
	return nil
}

// counted holds a table against the count.
func (x *ReportCheck) counted(t *ReportTable, want *shownTable) error {
	r := x.Report
	bad := func(row int, column string) error {
		return Fail(FailReport, "table %s, row %d, %s: the report says something else than the ledger", t.ID, row+1, column)
	}
	if len(t.Rows) != len(want.open)+2 {
		return Fail(FailReport, "table %s has %d rows, and the ledger makes %d", t.ID, len(t.Rows), len(want.open)+2)
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		var w *shownRow
		kind := RowOpen
		switch i {
		default:
			w = &want.open[i]
		case len(want.open):
			kind, w = RowClosed, want.rest
		case len(want.open) + 1:
			kind, w = RowTotal, want.all
		}
		if row.Kind != kind || !slices.Equal(row.Key, w.key) {
			return Fail(FailReport, "table %s, row %d is of other requests than the ledger makes", t.ID, i+1)
		}
		if kind != RowOpen && r.Closed && !x.all {
			continue // below, as far as the report itself goes
		}
		for j := range row.Cells {
			if !row.Cells[j].shows(&w.cells[j], x.Report.Closed || kind == RowOpen) {
				return bad(i, t.Columns[j])
			}
			if kind == RowOpen {
				x.Open++
			} else {
				x.Closed++
			}
		}
	}
	return x.sums(t, want.def)
}

// shows reports whether a cell is published as the count says.
func (c *ReportCell) shows(w *shown, known bool) bool {
	p := w.public()
	same := func(a, b *uint64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	return same(c.Count, p.Count) && same(c.Low, p.Low) && same(c.High, p.High) && (c.Commitment != nil) == (known && w.committed())
}

// published reads a cell back.
func (c *ReportCell) published() (s shown) {
	switch {
	case c.Count != nil:
		s.lo, s.hi = int64(*c.Count), int64(*c.Count) //nolint:gosec // checked below
	case c.Low != nil && c.High != nil:
		s.lo, s.hi = int64(*c.Low), int64(*c.High) //nolint:gosec // checked below
		s.width = s.hi - s.lo + 1
	case c.Low != nil:
		s.lo, s.least = int64(*c.Low), true //nolint:gosec // checked below
	default:
		s.none = true
	}
	return s
}

// sums holds a table against itself: totals are the sums of what their rows
// show, and each row can add up.
func (x *ReportCheck) sums(t *ReportTable, def *reportTable) error {
	const most = 1 << 53
	rows := make([]shownRow, len(t.Rows))
	for i := range t.Rows {
		for j := range t.Rows[i].Cells {
			s := t.Rows[i].Cells[j].published()
			if s.lo < 0 || s.hi < 0 || s.lo > most || s.hi > most {
				return Fail(FailMalformed, "a count of table %s is out of bounds", t.ID)
			}
			rows[i].cells = append(rows[i].cells, s)
		}
	}
	n := len(rows)
	again := &shownTable{def: def, open: rows[:n-2], rest: &rows[n-2]}
	again.total(nil)
	for j := range def.columns {
		if def.columns[j].kind == columnStat {
			continue
		}
		a, b := again.all.cells[j], rows[n-1].cells[j]
		if a.lo != b.lo || !a.least && a.hi != b.hi || a.least != b.least || b.none {
			return Fail(FailReport, "table %s: the total of %s is not the sum of its rows", t.ID, def.columns[j].name)
		}
		x.Sums++
	}
	for i := range rows {
		eq := def.equation(&rows[i])
		if len(eq) == 0 || slices.ContainsFunc(eq, func(t term) bool { return t.cell.least || t.cell.none }) {
			continue
		}
		for _, can := range canBe([]equation{eq}) {
			if can.values() < 1 {
				return Fail(FailReport, "table %s, row %d does not add up", t.ID, i+1)
			}
		}
		x.Sums++
	}
	return nil
}

// others checks custody and operations, as far as there is what makes them.
func (x *ReportCheck) others(e *ReportEvidence, in *ReportInput) error {
	for _, id := range []string{tableCustody, tableOperations} {
		t := x.Report.Table(id)
		var want *shownRow
		switch {
		case id == tableCustody && e.Custody != nil:
			want, x.Custody = custodyRow(e.Custody, e.Public, in.Period), true
		case id == tableOperations && e.Operations != nil:
			want, x.Operations = e.Operations.row(int64(in.K)), true //nolint:gosec // small
		default:
			continue
		}
		if len(t.Rows) == 0 && want == nil {
			continue
		}
		if len(t.Rows) != 1 || want == nil || t.Rows[0].Kind != RowOpen || !slices.Equal(t.Rows[0].Key, want.key) {
			return Fail(FailReport, "table %s has other rows than its source makes", id)
		}
		for j := range t.Rows[0].Cells {
			if !t.Rows[0].Cells[j].shows(&want.cells[j], true) {
				return Fail(FailReport, "table %s, %s: the report says something else than its source", id, t.Columns[j])
			}
		}
	}
	if t := x.Report.Table(tableOperations); len(t.Rows) > 0 {
		c := t.Rows[0].Cells[len(t.Columns)-1]
		if c.Count == nil || *c.Count != 0 {
			return Fail(FailReleased, "the report itself says that keys were released without an entry")
		}
	}
	return nil
}

// salts opens the hidden cells.
func (x *ReportCheck) salts(s *ReportSalts) error {
	r := x.Report
	for i := range r.Tables {
		for j := range r.Tables[i].Rows {
			for _, c := range r.Tables[i].Rows[j].Cells {
				if c.Commitment != nil {
					x.Hidden++
				}
			}
		}
	}
	if s == nil {
		return nil
	}
	digest := r.Statement().Digest(LabelReport)
	if s.Report != hex.EncodeToString(digest[:]) {
		return Fail(FailReport, "the salts are of another report")
	}
	if len(s.Cells) != x.Hidden {
		return Unknown(FailMissing, nil, "there are salts for %d of %d hidden cells", len(s.Cells), x.Hidden)
	}

	// 1. Each in its place.
	opened := map[*ReportCell]int64{}
	for i := range s.Cells {
		g := &s.Cells[i]
		t := r.Table(g.Table)
		if t == nil || g.Row < 0 || g.Row >= len(t.Rows) || !slices.Contains(t.Columns, g.Column) || len(g.Salt) != 32 {
			return Fail(FailMalformed, "a salt is of no cell of the report")
		}
		row := &t.Rows[g.Row]
		cell := &row.Cells[slices.Index(t.Columns, g.Column)]
		h := ReportCommitment(Salt(g.Salt), t.ID, row, g.Column, g.Count)
		v := int64(-1)
		if g.Count != "" {
			n, err := strconv.ParseUint(g.Count, 10, 53)
			if err != nil || strconv.FormatUint(n, 10) != g.Count {
				return Fail(FailMalformed, "a count in the salts is not in the format")
			}
			v = int64(n) //nolint:gosec // 53 bits
		}
		_, twice := opened[cell]
		if twice || string(cell.Commitment) != string(h[:]) {
			return Fail(FailReport, "table %s, row %d, %s: the hidden count is not the one committed to", t.ID, g.Row+1, g.Column)
		}
		if p := cell.published(); !p.none && (v < p.lo || v > p.hi) {
			return Fail(FailReport, "table %s, row %d, %s: the hidden count is not in its band", t.ID, g.Row+1, g.Column)
		}
		opened[cell] = v
		x.Committed++
	}

	// 2. They add up.
	return x.addUp(opened)
}

func (x *ReportCheck) addUp(opened map[*ReportCell]int64) error {
	value := func(c *ReportCell) (int64, bool) {
		if c.Count != nil {
			return int64(*c.Count), true //nolint:gosec // checked before
		}
		v, ok := opened[c]
		return v, ok && v >= 0
	}
	for i := range x.Report.Tables {
		t, def := &x.Report.Tables[i], &reportTables[i]
		if !def.counted || !x.Report.Closed {
			continue
		}
		for j := range t.Rows {
			sum, known := int64(0), true
			for c := range def.columns {
				v, ok := value(&t.Rows[j].Cells[c])
				if def.columns[c].sign != 0 {
					sum, known = sum+int64(def.columns[c].sign)*v, known && ok
				}
			}
			if known && sum != 0 {
				return Fail(FailReport, "table %s, row %d does not add up, with the hidden counts", t.ID, j+1)
			}
		}
		for c := range def.columns {
			if def.columns[c].kind == columnStat {
				continue
			}
			sum, known := int64(0), true
			for j := range t.Rows {
				v, ok := value(&t.Rows[j].Cells[c])
				if t.Rows[j].Kind == RowTotal {
					v = -v
				}
				sum, known = sum+v, known && ok
			}
			if known && sum != 0 {
				return Fail(FailReport, "table %s: the total of %s is not the sum of its rows, with the hidden counts", t.ID, def.columns[c].name)
			}
		}
	}
	return nil
}

// Sentences says in plain English what the check has shown, one sentence a line.
func (x *ReportCheck) Sentences() []string {
	r, s := x.Report, fmt.Sprintf
	lines := []string{
		s("Report of cell %s for %s over the first %d entries of ledger %q.", r.Cell, r.Period.Name, r.LogSize, r.LogOrigin),
		s("%d cells of open rows were recounted from the opened entries; %d sums hold.", x.Open, x.Sums),
	}
	if x.Aside > 0 {
		lines = append(lines, s("%d cases of which entries are public by now are counted as closed, as the operator says they were then.", x.Aside))
	}
	switch {
	case !r.Closed:
		lines = append(lines, "Closed cases are not counted in it: its totals are from below.")
	case x.all:
		lines = append(lines, s("%d cells of closed cases and totals were recounted; %d leaves of cases are opened by nobody here: covers, or entries kept back.", x.Closed, x.Unopened))
	default:
		lines = append(lines, "Rows of closed cases are as the operator says, in bands; totals follow from them.")
	}
	if x.Committed > 0 || x.Hidden == 0 {
		lines = append(lines, s("All %d hidden counts are what they were committed to, and add up.", x.Committed))
	} else {
		lines = append(lines, s("%d hidden counts are committed to; without their salts they were not checked.", x.Hidden))
	}
	ops := r.Table(tableOperations)
	switch {
	case len(ops.Rows) == 0:
		lines = append(lines, "It does not say how many keys were released.")
	case x.Operations:
		lines = append(lines, "Openings by vault operation were recounted from both books; 0 keys were released without an entry.")
	default:
		lines = append(lines, "Openings by vault operation: asserted by the operator, not checked.")
	}
	if !x.Custody && len(r.Table(tableCustody).Rows) > 0 {
		lines = append(lines, "Custody: asserted by the operator, not checked.")
	}
	if x.Audited {
		return append(lines, "It is signed by the operator and by the auditor.")
	}
	return append(lines, "It is signed by the operator; no auditor's key was given to check.")
}
