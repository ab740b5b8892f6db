package regulation

import (
	"slices"
	"time"

	"bonded"
	"bonded/internal/nearest"
)

// A Status is where a rule stands in its life.
type Status string

// Statuses. See [Status.Binding] for which of them bind.
const (
	Proposed        Status = "proposed"
	Adopted         Status = "adopted"
	InForce         Status = "in_force"
	PartlyInForce   Status = "partly_in_force"
	Suspended       Status = "suspended"
	ReportedResumed Status = "reported_resumed"
	Amended         Status = "amended"
	Superseded      Status = "superseded"
	Lapsed          Status = "lapsed"
	Withdrawn       Status = "withdrawn"
	Reported        Status = "reported" // known from reports, never published
)

var statuses = []string{
	"proposed", "adopted", "in_force", "partly_in_force", "suspended", "reported_resumed",
	"amended", "superseded", "lapsed", "withdrawn", "reported",
}

// Binding reports whether a rule of this status is enforced.
func (s Status) Binding() bool { return s == InForce || s == PartlyInForce || s == Amended }

// Advisory reports whether a rule of this status is shown and not enforced.
// A status that neither binds nor is advisory is off.
func (s Status) Advisory() bool {
	return s == Proposed || s == Adopted || s == Reported || s == ReportedResumed
}

// UnmarshalText reads one of the statuses.
func (s *Status) UnmarshalText(b []byte) error {
	if !slices.Contains(statuses, string(b)) {
		return &bonded.Error{Code: bonded.CodeConfig, Message: "unknown status", Hint: nearest.Hint(string(b), statuses)}
	}
	*s = Status(b)
	return nil
}

// A Date is a day, a month or a year, as exact as its source: "2026-01-01",
// "2026-01" or "2026". Anything happens on the first day of its date, in UTC.
type Date struct {
	text  string
	first time.Time
}

// UnmarshalText reads a date of one of the three precisions.
func (d *Date) UnmarshalText(b []byte) error {
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(layout, string(b)); err == nil {
			*d = Date{text: string(b), first: t}
			return nil
		}
	}
	return &bonded.Error{Code: bonded.CodeConfig, Message: "not a date", Hint: "write 2026-01-31, 2026-01 or 2026"}
}

// String returns the date as it was written.
func (d Date) String() string { return d.text }

// First returns midnight UTC of its first day.
func (d Date) First() time.Time { return d.first }

// An Entry says what a rule's status became, and when.
type Entry struct {
	Date       Date     `yaml:"date" required:"true"`
	Status     Status   `yaml:"status" required:"true"`
	Note       string   `yaml:"note"`
	Cite       []string `yaml:"cite" required:"true"`
	Unverified bool     `yaml:"unverified"` // true exactly when memory is the only citation
}

// Validate checks that the entry says where it comes from.
func (e *Entry) Validate() error { return unverified(e.Cite, e.Unverified, true) }

// A Lifecycle is a rule's entries in order of date. Entries may lie in the
// future.
type Lifecycle []Entry

// Validate checks the order.
func (l *Lifecycle) Validate() error {
	for i := 1; i < len(*l); i++ {
		if (*l)[i].Date.first.Before((*l)[i-1].Date.first) {
			return wrong("", "lifecycle entries are in order of date", "move "+(*l)[i].Date.text+" up")
		}
	}
	return nil
}

// On returns the entry that holds at the given time: the last that has begun,
// by the calendar day in UTC. It reports false before the first.
func (l Lifecycle) On(at time.Time) (Entry, bool) {
	at = at.UTC()
	for _, v := range slices.Backward(l) {
		if !at.Before(v.Date.first) {
			return v, true
		}
	}
	return Entry{}, false
}
