package verify_test

import (
	"encoding/binary"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// reportWorld makes entries of cases as a cell enters them.
type reportWorld struct {
	pick   func(n int) int // a number below n
	index  int64
	public []*verify.OpenedCase
	closed []*verify.OpenedCase
	cases  []*toldCase
}

// A toldCase is what a test remembers of a case, to count it again.
type toldCase struct {
	id                               bonded.ID
	country, kind, process, class    string
	priority, route                  string
	received, decided, gagged, freed int64 // seconds; 0 for never
	outcome, code                    string
	targets, subjects                uint64
	open                             bool
	entries                          []*verify.OpenedCase
}

func newReportWorld(pick func(int) int) *reportWorld { return &reportWorld{pick: pick} }

func (w *reportWorld) of(list ...string) string { return list[w.pick(len(list))] }

// enter makes one entry of a case at a time.
func (w *reportWorld) enter(c *toldCase, at int64, e verify.CaseEntry) {
	e.Type, e.Case, e.Number = verify.EntryCase, c.id, uint64(len(c.entries)+1)
	e.Jurisdiction, e.Requester, e.Process, e.Class = c.country, c.kind, c.process, c.class
	e.Targets, e.Time = c.targets, uint64(at)
	if n := len(c.entries); n > 0 {
		e.Previous = c.entries[n-1].Hash
	}
	w.index += int64(1 + w.pick(3)) // covers between
	leaf := &verify.Leaf{Kind: verify.LeafCase, Cell: "eu", Time: uint64(at), Root: verify.CommitFields(e.Fields(func() verify.Salt { return verify.Salt{byte(w.index)} }))}
	o := &verify.OpenedCase{Index: w.index, Hash: tlog.RecordHash(leaf.Encode()), Leaf: leaf, Entry: &e}
	c.entries = append(c.entries, o)
	if c.open {
		w.public = append(w.public, o)
	} else {
		w.closed = append(w.closed, o)
	}
}

// add makes a case that begins at a time, with a course picked at random.
func (w *reportWorld) add(start int64) *toldCase {
	c := &toldCase{
		country: w.of("DE", "US", "FR"), kind: w.of("police", "court"), process: w.of("eu_epoc", "us_warrant"), class: w.of("subscriber", "content"),
		priority: w.of("routine", "emergency"), route: w.of("domestic", "mlat", "eu_epo"), received: start, targets: uint64(1 + w.pick(3)), open: w.pick(5) > 0,
	}
	binary.BigEndian.PutUint64(c.id[8:], uint64(len(w.cases)+1))
	w.cases = append(w.cases, c)
	at := start
	later := func() int64 { at += int64(3600 * (1 + w.pick(24*20))); return at }

	if w.pick(8) == 0 {
		c.outcome, c.code, c.decided, c.priority, c.route = "requests_refused", w.of("incomplete", "bulk"), at, "", ""
		w.enter(c, at, verify.CaseEntry{Event: verify.EventTransition, From: "draft", State: "rejected", Actor: "clock", Detail: c.code})
		return c
	}
	w.enter(c, at, verify.CaseEntry{Event: verify.EventTransition, From: "draft", State: "submitted", Actor: "requester", Detail: verify.SubmittedDetail(c.priority, c.route)})
	if w.pick(4) == 0 {
		c.gagged = at
		w.enter(c, at, verify.CaseEntry{Event: verify.EventSecrecy, Detail: w.of("active", "challenged"), Actor: "requester"})
	}
	if w.pick(4) == 0 {
		return c
	}
	t := later()
	w.enter(c, t, verify.CaseEntry{Event: verify.EventTransition, From: "submitted", State: "under_review", Actor: "intake"})
	switch w.pick(6) {
	case 0:
		c.outcome, c.code, c.decided = "requests_refused", w.of("too_broad", "bulk", "expired"), later()
		w.enter(c, c.decided, verify.CaseEntry{Event: verify.EventTransition, From: "under_review", State: "rejected", Actor: "legal", Detail: c.code})
	case 1:
		c.outcome, c.decided = "requests_withdrawn", later()
		w.enter(c, c.decided, verify.CaseEntry{Event: verify.EventTransition, From: "under_review", State: "withdrawn", Actor: "requester"})
	case 2:
		c.outcome, c.decided = "requests_lapsed", later()
		w.enter(c, c.decided, verify.CaseEntry{Event: verify.EventTransition, From: "under_review", State: "lapsed", Actor: "clock"})
	case 3, 4:
		detail := w.of("full", "part", "none")
		c.outcome = map[string]string{"full": "requests_opened_full", "part": "requests_opened_part", "none": "requests_no_data"}[detail]
		c.decided = later()
		if detail != "none" {
			c.subjects = uint64(w.pick(200))
		}
		w.enter(c, c.decided, verify.CaseEntry{Event: verify.EventDelivery, Detail: detail, Subjects: c.subjects, Actor: "keyholder"})
		w.enter(c, later(), verify.CaseEntry{Event: verify.EventNotice, Detail: "after", Actor: "clock"})
		w.enter(c, later(), verify.CaseEntry{Event: verify.EventTransition, From: "delivered", State: "closed", Actor: "clock"})
	}
	if c.gagged != 0 && w.pick(2) == 0 {
		c.freed = later()
		w.enter(c, c.freed, verify.CaseEntry{Event: verify.EventSecrecy, Detail: "ended", Actor: "clock"})
	}
	return c
}

// saltsInOrder makes salts that are told apart.
func saltsInOrder() func() verify.Salt {
	n := uint64(0)
	return func() (s verify.Salt) {
		n++
		binary.BigEndian.PutUint64(s[24:], n)
		return s
	}
}

func (w *reportWorld) ledger() *verify.ReportLedger {
	return &verify.ReportLedger{Checkpoint: &verify.Checkpoint{Origin: "example.org/eu"}, Size: w.index + 1, Root: tlog.Hash{1}, Leaves: w.index + 1}
}

func (w *reportWorld) input(period verify.ReportPeriod) verify.ReportInput {
	return verify.ReportInput{
		Cell: "eu", Period: period, Now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), Ledger: w.ledger(),
		Public: w.public, Closed: w.closed, HasClosed: true, Salt: saltsInOrder(),
	}
}
