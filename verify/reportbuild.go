package verify

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"bonded"
)

// A ReportInput is what a report is made of.
type ReportInput struct {
	Cell       bonded.CellID
	Period     ReportPeriod
	Now        time.Time
	Ledger     *ReportLedger
	Public     []*OpenedCase      // entries that everybody has the openings of
	Closed     []*OpenedCase      // entries that only the operator has the openings of yet
	HasClosed  bool               // Closed is all of them; else closed cases are not counted
	Custody    []*CertifiedKeySet // oldest first
	Operations *ReportTally       // nil if the books were not reconciled
	K          uint64             // 0 means DefaultReportK
	Salt       func() Salt        // makes a fresh random salt
}

// A reportCount is a report before its cells are committed to.
type reportCount struct {
	entries [][2]int64
	tables  map[string]*shownTable
	aside   int // cases of which something is open that are counted as closed
}

// NewReport makes the report of a period, and the salts of its hidden cells.
//
// A case counts in the rows by key if all its entries before the end of the
// period are public; all others count in the rows of closed cases. The error is
// a [Failure]: entries of a case are missing, or contradict each other.
func NewReport(in ReportInput) (*Report, *ReportSalts, error) {
	if in.K == 0 {
		in.K = DefaultReportK
	}

	// 1. The counts.
	n, err := countReport(&in, nil)
	if err != nil {
		return nil, nil, err
	}

	// 2. The report, without what is hidden.
	query, policy := ReportQueryDigest(), ReportPolicyDigest(in.K)
	r := &Report{
		Format: ReportFormat, Cell: in.Cell, Period: in.Period, GeneratedAt: in.Now.UTC().Truncate(time.Second), License: ReportLicense,
		LogOrigin: in.Ledger.Checkpoint.Origin, LogSize: in.Ledger.Size, LogRoot: hex.EncodeToString(in.Ledger.Root[:]),
		Query: hex.EncodeToString(query[:]), Policy: hex.EncodeToString(policy[:]), K: in.K, Closed: in.HasClosed,
		Entries: n.entries,
	}
	salts := &ReportSalts{Format: ReportSaltsFormat, Cells: []ReportSalt{}}
	for i := range reportTables {
		def := &reportTables[i]
		t := ReportTable{ID: def.id, Dimensions: notNil(def.dims), Columns: def.columnNames(), Rows: []ReportRow{}, Note: def.note}
		add := func(kind string, row *shownRow) {
			t.Rows = append(t.Rows, seal(&t, kind, row, in.HasClosed || kind == RowOpen, in.Salt, salts))
		}
		switch {
		case def.counted:
			s := n.tables[def.id]
			for j := range s.open {
				add(RowOpen, &s.open[j])
			}
			add(RowClosed, s.rest)
			add(RowTotal, s.all)
		case def.id == tableCustody:
			if row := custodyRow(in.Custody, in.Public, in.Period); row != nil {
				add(RowOpen, row)
			}
		case def.id == tableOperations:
			if in.Operations != nil {
				add(RowOpen, in.Operations.row(int64(in.K))) //nolint:gosec // small
			}
		}
		r.Tables = append(r.Tables, t)
	}

	// 3. What ties the salts to it.
	digest := r.Statement().Digest(LabelReport)
	salts.Report = hex.EncodeToString(digest[:])
	if len(r.Encode()) > MaxReport {
		return nil, nil, Unknown(FailReport, nil, "the report is over 1 MiB: take a shorter period")
	}
	return r, salts, nil
}

// seal makes a row as it is published, and keeps the salts of its hidden cells.
// A count that is not known, since closed cases were not given, has none.
func seal(t *ReportTable, kind string, row *shownRow, known bool, salt func() Salt, salts *ReportSalts) ReportRow {
	out := ReportRow{Kind: kind, Key: row.key, Cells: make([]ReportCell, len(row.cells))}
	if kind != RowOpen {
		out.Key = nil
	}
	for i := range row.cells {
		c := &row.cells[i]
		out.Cells[i] = c.public()
		if !known || !c.committed() {
			continue
		}
		count := ""
		if c.v >= 0 {
			count = strconv.FormatInt(c.v, 10)
		}
		s := salt()
		h := ReportCommitment(s, t.ID, &out, t.Columns[i], count)
		out.Cells[i].Commitment = h[:]
		salts.Cells = append(salts.Cells, ReportSalt{Table: t.ID, Row: len(t.Rows), Column: t.Columns[i], Salt: s[:], Count: count})
	}
	return out
}

// committed reports whether a hidden cell has a commitment: whether its count
// is known, and there is something to hide.
func (s *shown) committed() bool { return s.hidden() && !s.least }

// public is the cell without its commitment.
func (s *shown) public() (c ReportCell) {
	num := func(n int64) *uint64 { u := uint64(n); return &u } //nolint:gosec // never negative
	switch {
	case s.none:
	case s.least:
		c.Low = num(s.lo)
	case s.width > 0:
		c.Low, c.High = num(s.lo), num(s.hi)
	default:
		c.Count = num(s.v)
	}
	return c
}

// countReport counts. With entries, these are what the open rows count, as a
// report says; else it is every case of which everything is public.
func countReport(in *ReportInput, entries [][2]int64) (*reportCount, error) {
	// 1. Which cases are open. A case stays closed with one entry that is.
	public, broken := chronicle(in.Public, in.Period)
	all, brokenAll := public, broken
	if in.HasClosed {
		all, brokenAll = chronicle(append(slices.Clone(in.Public), in.Closed...), in.Period)
	}
	for _, c := range all {
		if why := brokenAll[c.id]; why != "" && in.HasClosed {
			return nil, Unknown(FailMissing, nil, "of the case that begins at entry %d %s", c.first().index, why)
		}
	}
	length := map[bonded.ID]int{}
	for _, c := range all {
		length[c.id] = len(c.events)
	}
	var open, rest []*reportCase
	n := &reportCount{entries: entries}
	isOpen := map[bonded.ID]bool{}
	for _, c := range public {
		ok := broken[c.id] == "" && len(c.events) == length[c.id]
		if entries != nil {
			listed, err := c.listed(entries)
			if err != nil {
				return nil, err
			}
			if listed && !ok {
				return nil, Unknown(FailMissing, nil, "of the case that begins at entry %d not all openings are here", c.first().index)
			}
			ok = listed
		}
		if !ok {
			n.aside++
			continue
		}
		isOpen[c.id] = true
		open = append(open, c)
	}
	for _, c := range all {
		if !isOpen[c.id] {
			rest = append(rest, c)
		}
	}
	if entries == nil {
		n.entries = runs(open)
	}

	// 2. Their counts, as they are published.
	k := int64(in.K) //nolint:gosec // small
	count := func(p ReportPeriod) (map[string]*countedTable, map[string]*countedTable) {
		cut := func(cases []*reportCase) []*reportCase { return until(cases, p) }
		rows := countCases(in.Cell, p, cut(open), false)
		if !in.HasClosed {
			return rows, nil
		}
		return rows, countCases(in.Cell, p, cut(rest), true)
	}
	rows, closed := count(in.Period)
	if halves := in.Period.Halves(); halves == nil {
		mergeCodes(rows, func(_ []string, n int64) bool { return n >= k })
		n.tables = hide(rows, closed, k)
	} else {
		var shown []map[string]*shownTable
		for _, h := range halves {
			hr, hc := count(h)
			mergeCodes(hr, func(_ []string, n int64) bool { return n >= k })
			shown = append(shown, hide(hr, hc, k))
		}
		has := func(t *shownTable, key []string) bool {
			return slices.ContainsFunc(t.open, func(r shownRow) bool { return slices.Equal(r.key, key) })
		}
		mergeCodes(rows, func(key []string, _ int64) bool {
			return has(shown[0]["refusals"], key) && has(shown[1]["refusals"], key)
		})
		n.tables = ofHalves(rows, closed, shown)
	}

	// 3. The totals.
	for id, t := range n.tables {
		var v []int64
		if in.HasClosed {
			v = countCases(in.Cell, in.Period, all, true)[id].rows[0].vals
		}
		t.total(v)
	}
	return n, nil
}

// until returns cases as they stood at the end of a period.
func until(cases []*reportCase, p ReportPeriod) (out []*reportCase) {
	for _, c := range cases {
		n := len(c.events)
		for n > 0 && p.after(c.events[n-1].at) {
			n--
		}
		if n > 0 {
			out = append(out, &reportCase{c.id, c.events[:n]})
		}
	}
	return out
}

// runs returns the runs of indices of the entries of cases.
func runs(cases []*reportCase) [][2]int64 {
	var all []int64
	for _, c := range cases {
		for i := range c.events {
			all = append(all, c.events[i].index)
		}
	}
	slices.SortFunc(all, cmp.Compare)
	out := [][2]int64{}
	for _, i := range all {
		if n := len(out); n > 0 && out[n-1][1] == i-1 {
			out[n-1][1] = i
			continue
		}
		out = append(out, [2]int64{i, i})
	}
	return out
}

// listed reports whether the entries of a case are in runs: all or none.
func (c *reportCase) listed(runs [][2]int64) (bool, error) {
	in := 0
	for i := range c.events {
		at, found := slices.BinarySearchFunc(runs, c.events[i].index, func(r [2]int64, x int64) int {
			switch {
			case r[1] < x:
				return -1
			case r[0] > x:
				return 1
			}
			return 0
		})
		if _ = at; found {
			in++
		}
	}
	if in != 0 && in != len(c.events) {
		return false, Fail(FailReport, "the report counts some entries of the case that begins at entry %d and leaves others out", c.first().index)
	}
	return in > 0, nil
}
