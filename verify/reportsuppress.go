package verify

import "slices"

// DefaultReportK is the smallest count that a report shows.
const DefaultReportK = 5

// A shown is a count as it is published: itself, or a band that it lies in.
type shown struct {
	v      int64 // the true count; -1 for a figure of nothing
	lo, hi int64 // the band; both are v for a cell that is shown
	width  int64 // of the band; 0 for a cell that is shown
	none   bool  // there is nothing to show: a figure that is hidden or of nothing
	least  bool  // only lo is known
}

func (s *shown) hidden() bool { return s.width > 0 || s.none || s.least }

// band hides s in the band of that width, aligned at multiples of it.
func (s *shown) band(width int64) {
	s.width, s.lo = width, s.v/width*width
	s.hi = s.lo + width - 1
}

// peopleBand hides a count of people in the narrowest band that begins at 0,
// or, above the widest, in an aligned one.
func (s *shown) peopleBand() {
	for _, w := range []int64{100, 250, 500, 1000} {
		if s.v < w || w == 1000 {
			s.band(w)
			return
		}
	}
}

// A shownTable is a table as it is published: rows by key, then the row of
// closed cases, then the total.
type shownTable struct {
	def  *reportTable
	open []shownRow
	rest *shownRow // of closed cases; nil for tables without
	all  *shownRow // total
}

type shownRow struct {
	key   []string
	cells []shown
}

// An equation is cells whose sum by sign is 0.
type equation []term

type term struct {
	cell *shown
	sign int64
}

// hide publishes true counts: rows by key, and the merged row of closed
// cases, nil where these are not known.
//
// A count below k lies in the band from 0 to k-1: no count is an exception. Of
// each system of sums that the tables show, further cells are hidden until no
// hidden cell can be narrowed below k values. Cells of closed cases are always
// hidden. Totals are sums of what is shown, so they narrow nothing.
func hide(open, closed map[string]*countedTable, k int64) map[string]*shownTable {
	out := map[string]*shownTable{}
	for i := range reportTables {
		def := &reportTables[i]
		if !def.counted {
			continue
		}
		t := &shownTable{def: def}
		for _, r := range open[def.id].rows {
			t.open = append(t.open, hideOpen(def, r, k))
		}
		if closed != nil {
			t.rest = hideClosed(def, closed[def.id].rows[0], k)
		}
		out[def.id] = t
	}
	for _, eqs := range systems(out) {
		protect(eqs, k)
	}
	for _, t := range out {
		for i := range t.open {
			t.figures(&t.open[i], false)
		}
		if t.rest == nil {
			t.rest = &shownRow{cells: make([]shown, len(t.def.columns))}
			for j := range t.rest.cells {
				t.rest.cells[j] = shown{least: true, none: t.def.columns[j].kind == columnStat}
			}
			continue
		}
		t.figures(t.rest, true)
	}
	return out
}

func hideOpen(def *reportTable, r *countedRow, k int64) shownRow {
	row := shownRow{key: r.key, cells: make([]shown, len(r.vals))}
	for i, v := range r.vals {
		c := &row.cells[i]
		*c = shown{v: v, lo: v, hi: v}
		switch def.columns[i].kind {
		case columnPeople:
			if v < k || r.vals[def.column(def.columns[i].of)] < k {
				c.peopleBand()
			}
		case columnStat:
		case columnFlow, columnStart, columnEnd, columnPlain:
			if v < k {
				c.band(k)
			}
		}
	}
	return row
}

func hideClosed(def *reportTable, r *countedRow, k int64) *shownRow {
	row := &shownRow{cells: make([]shown, len(r.vals))}
	for i, v := range r.vals {
		c := &row.cells[i]
		*c = shown{v: v, lo: v, hi: v}
		switch def.columns[i].kind {
		case columnPeople:
			c.peopleBand()
		case columnStat:
		case columnFlow, columnStart, columnEnd, columnPlain:
			c.band(k)
		}
	}
	return row
}

// figures hides the figures of a row with what they are made of.
func (t *shownTable) figures(r *shownRow, always bool) {
	for i := range t.def.columns {
		if t.def.columns[i].kind != columnStat {
			continue
		}
		r.cells[i].none = always || r.cells[i].v < 0 || slices.ContainsFunc(t.def.parts(i), func(j int) bool { return r.cells[j].hidden() })
	}
}

// systems returns the systems of sums that the tables show. Each is a forest:
// two of its equations share one cell at most, and there is no ring of them.
func systems(tables map[string]*shownTable) (out [][]equation) {
	requests, refusals, secrecy := tables["requests"], tables["refusals"], tables["secrecy"]
	process, refused := 3, requests.def.column("requests_refused") // jurisdiction is dimension 0 of both

	// 1. Requests of one jurisdiction and process type: the sum of each row, and
	// the refusals by code.
	seen := map[[2]string]bool{}
	for i := range requests.open {
		group := [2]string{requests.open[i].key[0], requests.open[i].key[process]}
		if seen[group] {
			continue
		}
		seen[group] = true
		var eqs []equation
		var codes equation
		for j := range requests.open {
			if r := &requests.open[j]; r.key[0] == group[0] && r.key[process] == group[1] {
				eqs = append(eqs, requests.def.equation(r))
				codes = append(codes, term{&r.cells[refused], 1})
			}
		}
		for j := range refusals.open {
			if r := &refusals.open[j]; r.key[0] == group[0] && r.key[1] == group[1] {
				codes = append(codes, term{&r.cells[0], -1})
			}
		}
		out = append(out, append(eqs, codes))
	}
	if requests.rest != nil {
		out = append(out, []equation{
			requests.def.equation(requests.rest),
			{{&requests.rest.cells[refused], 1}, {&refusals.rest.cells[0], -1}},
		})
		out = append(out, []equation{secrecy.def.equation(secrecy.rest)})
	}

	// 2. Secrecy: the sum of each row.
	for i := range secrecy.open {
		out = append(out, []equation{secrecy.def.equation(&secrecy.open[i])})
	}
	return out
}

// equation returns the sum of a row.
func (t *reportTable) equation(r *shownRow) (eq equation) {
	for i := range t.columns {
		if s := t.columns[i].sign; s != 0 {
			eq = append(eq, term{&r.cells[i], int64(s)})
		}
	}
	return eq
}

// A stretch is what a cell can be.
type stretch struct{ lo, hi int64 }

func (s stretch) values() int64 { return s.hi - s.lo + 1 }

// canBe returns what each cell can be, given all equations. On a forest it is
// exact: every value that it leaves occurs in some solution.
func canBe(eqs []equation) map[*shown]stretch {
	can := map[*shown]stretch{}
	for _, eq := range eqs {
		for _, t := range eq {
			can[t.cell] = stretch{t.cell.lo, t.cell.hi}
		}
	}
	for changed := true; changed; {
		changed = false
		for _, eq := range eqs {
			for _, t := range eq {
				now, by := can[t.cell], eq.implies(t.cell, can)
				next := stretch{max(now.lo, by.lo), min(now.hi, by.hi)}
				if next != now {
					can[t.cell], changed = next, true
				}
			}
		}
	}
	return can
}

// implies returns what one cell of the equation can be when the others are
// what they can be.
func (eq equation) implies(cell *shown, can map[*shown]stretch) stretch {
	var lo, hi, sign int64 // of the sum of the others
	for _, t := range eq {
		s := can[t.cell]
		switch {
		case t.cell == cell:
			sign = t.sign
		case t.sign > 0:
			lo, hi = lo+s.lo, hi+s.hi
		default:
			lo, hi = lo-s.hi, hi-s.lo
		}
	}
	if sign > 0 {
		return stretch{-hi, -lo}
	}
	return stretch{lo, hi}
}

// protect hides further cells of a system until every hidden one can be k
// values or more. Of the equation that says most about the first cell that can
// be too few, it hides the smallest count that is still shown; if none is, it
// doubles the narrowest band of a count of k or more, then of any, the smallest
// count first; of several, the first in the equation. The cell itself is not
// taken.
func protect(eqs []equation, k int64) {
	for {
		can := canBe(eqs)
		cell, eq := weakest(eqs, can, k)
		if cell == nil {
			return
		}
		var pick *shown
		for _, t := range eq {
			switch c := t.cell; {
			case c == cell:
			case pick == nil || before(c, pick, k):
				pick = c
			}
		}
		pick.band(max(k, 2*pick.width))
	}
}

// before reports whether protect takes a rather than b.
func before(a, b *shown, k int64) bool {
	if (a.v < k) != (b.v < k) {
		return b.v < k
	}
	return a.width < b.width || a.width == b.width && a.v < b.v
}

// weakest returns the first hidden cell that can be less than k values, and the
// equation that says most about it.
func weakest(eqs []equation, can map[*shown]stretch, k int64) (*shown, equation) {
	for _, eq := range eqs {
		for _, t := range eq {
			if t.cell.width == 0 || can[t.cell].values() >= k {
				continue
			}
			best, most := equation(nil), int64(0)
			for _, other := range eqs {
				if !other.holds(t.cell) {
					continue
				}
				if n := other.implies(t.cell, can).values(); best == nil || n < most {
					best, most = other, n
				}
			}
			return t.cell, best
		}
	}
	return nil, nil
}

func (eq equation) holds(cell *shown) bool {
	return slices.ContainsFunc(eq, func(t term) bool { return t.cell == cell })
}

// total adds the row of totals: v are the true counts over all cases, nil where
// closed cases are not known.
func (t *shownTable) total(v []int64) {
	t.all = &shownRow{cells: make([]shown, len(t.def.columns))}
	for i := range t.all.cells {
		c := &t.all.cells[i]
		if v != nil {
			c.v = v[i]
		}
		if t.def.columns[i].kind == columnStat {
			c.none = true
			continue
		}
		for _, r := range append(slices.Clip(t.open), *t.rest) {
			p := &r.cells[i]
			c.lo, c.hi = c.lo+p.lo, c.hi+p.hi
			c.least = c.least || p.least || p.none
		}
		c.width = c.hi - c.lo
		if c.width > 0 {
			c.width++
		}
	}
}

// ofHalves publishes a year by what its two halves publish, so that the year
// says nothing about them that they do not say. year has the true counts.
func ofHalves(year, closed map[string]*countedTable, halves []map[string]*shownTable) map[string]*shownTable {
	out := map[string]*shownTable{}
	for id, counted := range year {
		t := &shownTable{def: counted.def}
		for _, r := range counted.rows {
			row := shownRow{key: r.key, cells: make([]shown, len(r.vals))}
			for i, v := range r.vals {
				row.cells[i] = joined(t.def.columns[i].kind, v, halves[0][id].cell(r.key, i, counted.rows), halves[1][id].cell(r.key, i, counted.rows))
			}
			t.figures(&row, false)
			t.open = append(t.open, row)
		}
		t.rest = &shownRow{cells: make([]shown, len(t.def.columns))}
		for i := range t.rest.cells {
			v := int64(0)
			if closed != nil {
				v = closed[id].rows[0].vals[i]
			}
			t.rest.cells[i] = joined(t.def.columns[i].kind, v, halves[0][id].rest.cells[i], halves[1][id].rest.cells[i])
		}
		t.figures(t.rest, true)
		out[id] = t
	}
	return out
}

// cell returns the cell of the row with that key; 0 where there is no row. The
// row of other codes takes in all codes that have no row of their own in kept.
func (t *shownTable) cell(key []string, column int, kept []*countedRow) (sum shown) {
	other := t.def.id == "refusals" && key[2] == codeOther
	for i := range t.open {
		k := t.open[i].key
		if slices.Equal(k, key) || other && k[0] == key[0] && k[1] == key[1] && !slices.ContainsFunc(kept, func(r *countedRow) bool { return slices.Equal(r.key, k) }) {
			sum = joined(columnFlow, 0, sum, t.open[i].cells[column])
			sum.none = t.open[i].cells[column].none
		}
	}
	return sum
}

// codeOther stands for the reject codes that have no row of their own.
const codeOther = "other"

// mergeCodes leaves the codes that keep holds for a row of their own and adds
// the others up in one row, which is there for all requests of a jurisdiction
// and process type, refused or not: that a row is there says nothing.
func mergeCodes(tables map[string]*countedTable, keep func(key []string, n int64) bool) {
	t := tables["refusals"]
	var rows []*countedRow
	other := func(country, process string) *countedRow {
		for _, r := range rows {
			if r.key[0] == country && r.key[1] == process && r.key[2] == codeOther {
				return r
			}
		}
		rows = append(rows, &countedRow{key: []string{country, process, codeOther}, vals: []int64{0}})
		return rows[len(rows)-1]
	}
	for _, r := range tables["requests"].rows {
		other(r.key[0], r.key[3])
	}
	for _, r := range t.rows {
		if r.key[2] != codeOther && keep(r.key, r.vals[0]) {
			rows = append(rows, r)
			continue
		}
		other(r.key[0], r.key[1]).vals[0] += r.vals[0]
	}
	slices.SortFunc(rows, func(a, b *countedRow) int { return slices.Compare(a.key, b.key) })
	t.rows = rows
}

func joined(kind columnKind, v int64, h1, h2 shown) shown {
	c := shown{v: v, lo: h1.lo + h2.lo, hi: h1.hi + h2.hi, least: h1.least || h2.least}
	switch {
	case kind == columnStat:
		return shown{v: v, lo: v, hi: v}
	case kind == columnStart:
		c = h1
	case kind == columnEnd:
		c = h2
	case !h1.hidden() && !h2.hidden():
		return shown{v: v, lo: v, hi: v}
	}
	c.v = v
	if c.least {
		return c
	}
	if c.width = c.hi - c.lo + 1; c.width == 1 {
		c.width = 0
	}
	if v < c.lo || v > c.hi { // somebody was found to belong to a case only in the second half
		c.none = true
	}
	return c
}
