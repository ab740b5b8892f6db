package console

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/ui"
	"bonded/verify"
)

// An overview is what the first page shows.
type overview struct {
	cell      *verify.DirectoryCell
	directory *verify.Directory
	health    *apitype.StatusResult
	cases     *apitype.CaseOverview
	keys      *verify.Custodians // nil: no ceremony yet
	release   [32]byte
	head      *ledgerHead
	monthly   bool
	openings  int64
	chart     *ui.Chart
}

// openingOperations are those that show somebody what is stored.
var openingOperations = []verify.Operation{verify.OpRead, verify.OpMask, verify.OpExport, verify.OpTokenRead, verify.OpDisclose}

// maxSeries is how many purposes a chart tells apart; the others are one.
const maxSeries = 5

func (x *visit) overviewPage() error {
	ctx := x.r.Context()
	o := &overview{directory: x.c.cfg.Directory(), monthly: x.r.URL.Query().Get("period") == "month"}
	cell, ok := o.directory.Cell(x.c.cfg.Cell)
	if !ok {
		return bonded.Errorf(bonded.CodeConfig, "the directory has no cell %s", x.c.cfg.Cell)
	}
	o.cell = cell
	o.health = x.c.cfg.Vault.Health(ctx)
	var err error
	if o.cases, err = x.c.cfg.Cases.Overview(ctx, &x.call); err != nil {
		return err
	}
	sets, err := x.keySets()
	if err != nil {
		return err
	}
	if n := len(sets); n > 0 {
		o.keys, o.release = sets[n-1].custodians, sets[n-1].release
	}
	if o.head, err = x.ledgerHead(); err != nil {
		return err
	}
	if o.chart, o.openings, err = x.openingsChart(o.monthly); err != nil {
		return err
	}
	return x.show(x.T("overview.title"), overviewView(x, o))
}

// openingsChart counts openings by purpose over the last day or month.
func (x *visit) openingsChart(monthly bool) (*ui.Chart, int64, error) {
	unit, n, layout := time.Hour, 24, "15"
	if monthly {
		unit, n, layout = 24*time.Hour, 30, "01-02"
	}
	first := x.c.cfg.Now().UTC().Truncate(unit).Add(-time.Duration(n-1) * unit)
	list, err := x.c.cfg.Vault.Tallies(x.r.Context(), monthly, first)
	if err != nil {
		return nil, 0, err
	}
	total := int64(0)
	by := map[bonded.Purpose][]int64{}
	for i := range list {
		t := &list[i]
		at := int(t.Start.Sub(first) / unit)
		if at < 0 || at >= n || !slices.Contains(openingOperations, t.Operation) || t.Outcome != verify.OutcomeAllowed && t.Outcome != verify.OutcomeOrphan {
			continue
		}
		if by[t.Purpose] == nil {
			by[t.Purpose] = make([]int64, n)
		}
		by[t.Purpose][at] += int64(t.Rows) //nolint:gosec // a count of rows
		total += int64(t.Rows)             //nolint:gosec // likewise
	}
	names := slices.SortedFunc(maps.Keys(by), func(a, b bonded.Purpose) int {
		return cmp.Or(cmp.Compare(sum(by[b]), sum(by[a])), cmp.Compare(a, b))
	})
	c := &ui.Chart{Title: x.T("overview.chart_day")}
	if monthly {
		c.Title = x.T("overview.chart_month")
	}
	for i := range n {
		c.Labels = append(c.Labels, first.Add(time.Duration(i)*unit).Format(layout))
	}
	for i, p := range names {
		if i < maxSeries {
			c.Series = append(c.Series, ui.Series{Name: x.purpose(p), Values: by[p]})
			continue
		}
		if i == maxSeries {
			c.Series = append(c.Series, ui.Series{Name: x.T("overview.other_purposes"), Values: make([]int64, n)})
		}
		for k, v := range by[p] {
			c.Series[maxSeries].Values[k] += v
		}
	}
	return c, total, nil
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}

// purpose names a purpose: operators make their own.
func (x *visit) purpose(p bonded.Purpose) string {
	if p == "" {
		return x.T("page.no_purpose")
	}
	return x.Or("purpose."+string(p), string(p))
}

// A stateTally is how many cases are in a state.
type stateTally struct {
	state string
	n     int64
}

// states returns the states that have cases, most first.
func (o *overview) states() (out []stateTally) {
	for s, n := range o.cases.States {
		if n > 0 {
			out = append(out, stateTally{s, n})
		}
	}
	slices.SortFunc(out, func(a, b stateTally) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.state, b.state)) })
	return out
}

// shut are states in which a case asks for nothing more.
var shut = []string{"delivered", "ratified", "unratified", "closed", "rejected", "withdrawn", "lapsed"}

func (o *overview) open() (n int64) {
	for s, k := range o.cases.States {
		if !slices.Contains(shut, s) {
			n += k
		}
	}
	return n
}

// quorum says in words how many of each role must agree.
func (x *visit) quorum(c *verify.Custodians) (out []string) {
	for _, r := range c.Roles {
		out = append(out, x.T("custody.of_role", "m", r.Threshold, "n", len(r.Members), "role", x.custodyRole(r.Name)))
	}
	return out
}

func (x *visit) custodyRole(name string) string { return x.Or("custodyrole."+name, name) }

// jurisdictions of the cell as text.
func (o *overview) jurisdictions() string {
	s := ""
	for _, j := range o.cell.Jurisdictions {
		if s != "" {
			s += ", "
		}
		s += string(j)
	}
	return s
}

// due is the mark of a deadline, and its kind.
func (x *visit) due(t time.Time) (kind, words string) {
	switch d := t.Sub(x.c.cfg.Now()); {
	case d < 0:
		return ui.Bad, x.T("overview.over")
	case d < 24*time.Hour:
		return ui.Warn, x.N("overview.hours_left", int(d/time.Hour))
	default:
		return ui.Plain, x.N("overview.days_left", int(d/(24*time.Hour)))
	}
}

// overdue is a count that ends somewhere.
func (x *visit) overdue(n int64) string {
	if n >= apitype.MaxOverdue {
		return x.Number(n) + "+"
	}
	return x.Number(n)
}
