package verify

import (
	"cmp"
	"slices"
	"strings"

	"bonded"
)

// A countedRow is one row of a table with its true counts.
type countedRow struct {
	key  []string // empty for the row of closed cases and the total
	vals []int64  // -1 where a figure has nothing to be made of
}

// A countedTable is a table with its true counts, rows by key.
type countedTable struct {
	def  *reportTable
	rows []*countedRow
}

// A counter counts the cases of a period.
type counter struct {
	cell   bonded.CellID
	period ReportPeriod
	tables map[string]*countedTable
	lists  map[*countedRow]map[string][]int64 // what medians are taken over
}

// countCases counts cases into rows by key, or, with merged, all of them into
// one row without a key.
func countCases(cell bonded.CellID, period ReportPeriod, cases []*reportCase, merged bool) map[string]*countedTable {
	x := &counter{cell: cell, period: period, tables: map[string]*countedTable{}, lists: map[*countedRow]map[string][]int64{}}
	for i := range reportTables {
		if reportTables[i].counted {
			x.tables[reportTables[i].id] = &countedTable{def: &reportTables[i]}
		}
	}
	for _, c := range cases {
		x.count(c, merged)
	}
	for _, t := range x.tables {
		if merged && len(t.rows) == 0 {
			t.rows = []*countedRow{{vals: make([]int64, len(t.def.columns))}}
		}
		x.figures(t)
		t.rows = slices.DeleteFunc(t.rows, func(r *countedRow) bool { return !merged && !r.counts(t.def) })
		slices.SortFunc(t.rows, func(a, b *countedRow) int { return slices.Compare(a.key, b.key) })
	}
	return x.tables
}

// counts reports whether anything of the row counts.
func (r *countedRow) counts(def *reportTable) bool {
	for i, v := range r.vals {
		if def.columns[i].kind != columnStat && v > 0 {
			return true
		}
	}
	return false
}

// row returns the row of a table with that key.
func (x *counter) row(table string, merged bool, key ...string) (t *countedTable, r *countedRow) {
	t = x.tables[table]
	if merged {
		key = nil
	}
	for _, r := range t.rows {
		if slices.Equal(r.key, key) {
			return t, r
		}
	}
	r = &countedRow{key: key, vals: make([]int64, len(t.def.columns))}
	t.rows = append(t.rows, r)
	return t, r
}

// adder returns a function that adds to the columns of one row.
func (x *counter) adder(table string, merged bool, key ...string) func(column string, n uint64) {
	t, r := x.row(table, merged, key...)
	return func(column string, n uint64) {
		r.vals[t.def.column(column)] += int64(min(n, 1<<53)) //nolint:gosec // bounded
	}
}

// list notes a value for the median of a row.
func (x *counter) list(table, name string, v int64, merged bool, key ...string) {
	_, r := x.row(table, merged, key...)
	if x.lists[r] == nil {
		x.lists[r] = map[string][]int64{}
	}
	x.lists[r][name] = append(x.lists[r][name], v)
}

func (x *counter) count(c *reportCase, merged bool) {
	p, e := x.period, c.first()
	country, process := dim(e.Jurisdiction), dim(e.Process)
	x.requests(c, merged)

	// Narrowing and challenge.
	add := x.adder("narrowing_and_challenge", merged, country, process)
	add("narrowed", c.count(p, func(e *reportEvent) bool { return e.to(stateNarrowed) }))
	add("challenged_by_firm", c.count(p, func(e *reportEvent) bool { return e.to(stateChallenged) && e.Actor != actorSubject }))
	add("challenged_by_subject", c.count(p, func(e *reportEvent) bool { return e.to(stateChallenged) && e.Actor == actorSubject }))
	add("challenges_won", c.count(p, func(e *reportEvent) bool { return e.From == stateChallenged && e.to(stateRejected) }))
	add("challenges_lost", c.count(p, func(e *reportEvent) bool { return e.From == stateChallenged && e.to(stateQuorum) }))
	open := false
	for i := range c.events {
		open = c.events[i].to(stateChallenged) || open && (c.events[i].State == "" || c.events[i].State == stateChallenged)
	}
	if open {
		add("challenges_open", 1)
	}

	// Emergency.
	if c.emergency() {
		add := x.adder("emergency", merged, country)
		add("received", within01(p, c.first()))
		for column, state := range map[string]string{"opened": stateEmergency, "refused": stateRejected, "ratified": stateRatified, "unratified": stateUnratified} {
			add(column, within01(p, c.find(func(e *reportEvent) bool { return e.to(state) })))
		}
		add("found_fraudulent", within01(p, c.find(func(e *reportEvent) bool { return e.is(EventAlarm, DetailFraud) })))
		if d := c.find(func(e *reportEvent) bool { return e.to(stateEmergency) || e.to(stateRejected) }); d != nil && p.in(d.at) {
			x.list("emergency", "minutes", int64(max(d.Time, e.Time)-e.Time)/60, merged, country) //nolint:gosec // seconds
		}
	}

	// Preservation.
	add = x.adder("preservation", merged, country)
	freeze := func(detail string) func(*reportEvent) bool {
		return func(e *reportEvent) bool { return e.is(EventFreeze, detail) }
	}
	if h := c.find(freeze(DetailHoldBegun)); h != nil && p.in(h.at) {
		add("received", 1)
		add("subjects_held", c.subjects())
	}
	add("extended", c.count(p, freeze(DetailHoldExtended)))
	add("turned_into_production", within01(p, c.find(freeze(DetailHoldProduced))))
	add("released", within01(p, c.find(freeze(DetailHoldReleased))))

	// Notice: a case counts once in each column.
	add = x.adder("notice", merged, country)
	for column, detail := range map[string]string{
		"told_before": DetailNoticeBefore, "told_after": DetailNoticeAfter, "deferred_by_secrecy": DetailNoticeDeferred,
		"authority_informs": DetailNoticeAuthority, "not_told_other": DetailNoticeFailed,
	} {
		add(column, within01(p, c.find(func(e *reportEvent) bool { return e.is(EventNotice, detail) })))
	}

	x.secrecy(c, merged, country)

	// Cross-border.
	if _, route := c.submitted(); slices.Contains(crossBorderRoutes, route) {
		add := x.adder("cross_border", merged, country, route)
		add("count", within01(p, c.first()))
		if o, column := c.outcome(); strings.HasPrefix(column, "requests_opened") {
			add("opened", within01(p, o))
		}
	}
}

// requests counts a case in the tables requests and refusals.
func (x *counter) requests(c *reportCase, merged bool) {
	p, e := x.period, c.first()
	add := x.adder("requests", merged, dim(e.Jurisdiction), string(x.cell), dim(e.Requester), dim(e.Process), dim(e.Class))
	o, column := c.outcome()
	done := o != nil && p.before(o.at)
	if p.in(e.at) {
		add("requests_received", 1)
		add("targets_named", e.Targets)
	} else if !done {
		add("carried_in", 1)
	}
	if done {
		return
	}
	add(column, 1)
	if o != nil && strings.HasPrefix(column, "requests_opened") {
		add("subjects_affected", o.Subjects)
	}
	if o != nil && column == "requests_refused" {
		x.adder("refusals", merged, dim(e.Jurisdiction), dim(e.Process), dim(o.Detail))("count", 1)
	}
}

func (x *counter) secrecy(c *reportCase, merged bool, country string) {
	begun, ended := c.gag()
	if begun == 0 {
		return
	}
	p := x.period
	add := x.adder("secrecy", merged, country)
	switch {
	case p.in(begun):
		add("new", 1)
	case ended == 0 || !p.before(ended):
		add("active_at_start", 1)
	}
	if ended != 0 && p.in(ended) {
		add("ended", 1)
	}
	if ended == 0 {
		add("active_at_end", 1)
		x.list("secrecy", "days", (p.To.Unix()-int64(begun))/86400, merged, country) //nolint:gosec // seconds
	}
	for column, detail := range map[string]string{"reviewed": DetailSecrecyReview, "extended": DetailSecrecyExtended, "challenged": DetailSecrecyChallenged} {
		add(column, c.count(p, func(e *reportEvent) bool { return e.is(EventSecrecy, detail) }))
	}
}

// figures computes what is no count: medians, and shares in percent.
func (x *counter) figures(t *countedTable) {
	for _, r := range t.rows {
		set := func(column string, v int64) { r.vals[t.def.column(column)] = v }
		val := func(column string) int64 { return r.vals[t.def.column(column)] }
		switch t.def.id {
		case "requests":
			some := val("requests_opened_full") + val("requests_opened_part")
			all := some + val("requests_refused") + val("requests_withdrawn") + val("requests_lapsed") + val("requests_no_data")
			if all == 0 {
				set("percent_some_data", -1)
			} else {
				set("percent_some_data", (200*some+all)/(2*all)) // rounded, halves up
			}
		case "emergency":
			set("median_minutes_to_decision", median(x.lists[r]["minutes"]))
		case "secrecy":
			days := x.lists[r]["days"]
			set("median_age_days", median(days))
			if len(days) > 0 {
				set("oldest_age_days", slices.Max(days))
			} else {
				set("oldest_age_days", -1)
			}
		}
	}
}

// median returns the lower of the middle values, -1 for none.
func median(vs []int64) int64 {
	if len(vs) == 0 {
		return -1
	}
	sorted := slices.Clone(vs)
	slices.SortFunc(sorted, cmp.Compare)
	return sorted[(len(sorted)-1)/2]
}

// dim is a value of a dimension: never empty.
func dim(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// within01 is 1 for an event in the period.
func within01(p ReportPeriod, e *reportEvent) uint64 {
	if e != nil && p.in(e.at) {
		return 1
	}
	return 0
}
