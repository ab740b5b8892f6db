package verify

import (
	"strings"
	"time"
)

// FailReport is the code of a report that is not what its ledger makes.
const FailReport = "report"

// A ReportPeriod is a stretch of time, from From up to but not including To, in
// UTC. What counts is the slot time of an entry's leaf.
type ReportPeriod struct {
	Name string    `json:"name"` // YYYY-H1, YYYY-H2, YYYY, or YYYY-MM-DD/YYYY-MM-DD with the day after the last
	From time.Time `json:"start"`
	To   time.Time `json:"end"`
}

// ParseReportPeriod reads the name of a period. The error is a [Failure].
func ParseReportPeriod(name string) (ReportPeriod, error) {
	bad := func() (ReportPeriod, error) {
		return ReportPeriod{}, Fail(FailMalformed, "a period is YYYY, YYYY-H1, YYYY-H2, or two dates as YYYY-MM-DD/YYYY-MM-DD, the second after the first")
	}
	if from, to, ok := strings.Cut(name, "/"); ok {
		a, err := time.Parse(time.DateOnly, from)
		b, err2 := time.Parse(time.DateOnly, to)
		if err != nil || err2 != nil || !b.After(a) || a.Year() < 1970 {
			return bad()
		}
		return ReportPeriod{name, a, b}, nil
	}
	year, half, _ := strings.Cut(name, "-")
	y, err := time.Parse("2006", year)
	if err != nil || y.Year() < 1970 {
		return bad()
	}
	mid, end := y.AddDate(0, 6, 0), y.AddDate(1, 0, 0)
	switch {
	case half == "H1":
		return ReportPeriod{name, y, mid}, nil
	case half == "H2":
		return ReportPeriod{name, mid, end}, nil
	case name == year:
		return ReportPeriod{name, y, end}, nil
	}
	return bad()
}

// Halves returns the two half-years of a year; none for any other period.
func (p ReportPeriod) Halves() []ReportPeriod {
	if len(p.Name) != 4 {
		return nil
	}
	h1, err1 := ParseReportPeriod(p.Name + "-H1")
	h2, err2 := ParseReportPeriod(p.Name + "-H2")
	if err1 != nil || err2 != nil {
		return nil
	}
	return []ReportPeriod{h1, h2}
}

func (p ReportPeriod) in(t uint64) bool { return !p.before(t) && !p.after(t) }

// before reports whether t is before the period, after whether it is past it.
func (p ReportPeriod) before(t uint64) bool { return t < uint64(p.From.Unix()) } //nolint:gosec // after 1970
func (p ReportPeriod) after(t uint64) bool  { return t >= uint64(p.To.Unix()) }  //nolint:gosec // as above
