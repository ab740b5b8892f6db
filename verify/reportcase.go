package verify

import (
	"cmp"
	"slices"

	"bonded"

	"golang.org/x/mod/sumdb/tlog"
)

// A reportEvent is one entry of a case, with the slot time of its leaf.
type reportEvent struct {
	*CaseEntry
	index int64
	at    uint64
}

// A reportCase is the entries of one case in their order.
type reportCase struct {
	id     bonded.ID
	events []reportEvent
}

// chronicle sorts openings into cases. Of each case only what is before the end
// of the period stays; a case of which an entry before that is missing, or has a
// field closed other than the person, is named in broken.
func chronicle(openings []*OpenedCase, period ReportPeriod) (cases []*reportCase, broken map[bonded.ID]string) {
	// 1. By case, by number; the same entry twice counts once.
	byCase := map[bonded.ID][]*OpenedCase{}
	broken = map[bonded.ID]string{}
	for _, o := range openings {
		if o.Entry.Type == EntryCase {
			byCase[o.Entry.Case] = append(byCase[o.Entry.Case], o)
		}
	}
	for id, list := range byCase {
		slices.SortFunc(list, func(a, b *OpenedCase) int {
			return cmp.Or(cmp.Compare(a.Entry.Number, b.Entry.Number), cmp.Compare(a.Index, b.Index))
		})
		list = slices.CompactFunc(list, func(a, b *OpenedCase) bool { return a.Index == b.Index })

		// 2. Each follows the one before.
		c := &reportCase{id: id}
		var last tlog.Hash
		for i, o := range list {
			if period.after(o.Leaf.Time) {
				break
			}
			switch {
			case o.Entry.Number != uint64(i)+1: //nolint:gosec // small
				broken[id] = "an entry is missing"
			case i > 0 && o.Entry.Previous != last:
				broken[id] = "an entry does not name the one before it"
			case !countable(o):
				broken[id] = "a field that counts is closed"
			}
			last = o.Hash
			c.events = append(c.events, reportEvent{o.Entry, o.Index, o.Leaf.Time})
		}
		if len(c.events) > 0 {
			cases = append(cases, c)
		}
	}
	slices.SortFunc(cases, func(a, b *reportCase) int { return cmp.Compare(a.events[0].index, b.events[0].index) })
	return cases, broken
}

// countable reports whether everything that counts is open.
func countable(o *OpenedCase) bool {
	for _, c := range o.Closed {
		if c != FieldPerson {
			return false
		}
	}
	return true
}

func (c *reportCase) first() *reportEvent { return &c.events[0] }

func (e *reportEvent) to(state string) bool { return e.State == state && e.From != e.State }

func (e *reportEvent) is(event, detail string) bool { return e.Event == event && e.Detail == detail }

// find returns the first event that f holds for.
func (c *reportCase) find(f func(*reportEvent) bool) *reportEvent {
	for i := range c.events {
		if f(&c.events[i]) {
			return &c.events[i]
		}
	}
	return nil
}

// count returns how many events within p f holds for.
func (c *reportCase) count(p ReportPeriod, f func(*reportEvent) bool) (n uint64) {
	for i := range c.events {
		if e := &c.events[i]; p.in(e.at) && f(e) {
			n++
		}
	}
	return n
}

// outcome returns the entry that says how the case came out, and the column of
// table requests it counts in: the first of a delivery and of the ends without
// one. Nil while it is pending.
func (c *reportCase) outcome() (*reportEvent, string) {
	for i := range c.events {
		e := &c.events[i]
		switch {
		case e.Event == EventDelivery && e.Detail == DetailDeliveredPart:
			return e, "requests_opened_part"
		case e.Event == EventDelivery && e.Detail == DetailDeliveredNone:
			return e, "requests_no_data"
		case e.Event == EventDelivery:
			return e, "requests_opened_full"
		case e.to(stateRejected):
			return e, "requests_refused"
		case e.to(stateWithdrawn):
			return e, "requests_withdrawn"
		case e.to(stateLapsed):
			return e, "requests_lapsed"
		case e.to(stateClosed):
			return e, "requests_no_data"
		}
	}
	return nil, "requests_pending"
}

// submitted returns the priority and the treaty route of the request.
func (c *reportCase) submitted() (priority, route string) {
	if e := c.find(func(e *reportEvent) bool { return e.to(stateSubmitted) }); e != nil {
		return parseSubmitted(e.Detail)
	}
	return "", ""
}

// emergency reports whether the request was made as an emergency.
func (c *reportCase) emergency() bool {
	if p, _ := c.submitted(); p == "emergency" {
		return true
	}
	return c.find(func(e *reportEvent) bool {
		return e.to(stateEmergency) || e.is(EventQuorum, DetailEmergency) || e.Detail == DetailCallBack
	}) != nil
}

// subjects returns how many people the case was last said to be about.
func (c *reportCase) subjects() (n uint64) {
	for i := range c.events {
		if c.events[i].Subjects > 0 {
			n = c.events[i].Subjects
		}
	}
	return n
}

// gag returns when secrecy of the case began and ended; zero for never.
func (c *reportCase) gag() (begun, ended uint64) {
	for i := range c.events {
		e := &c.events[i]
		switch {
		case e.Event != EventSecrecy:
		case e.Detail == DetailSecrecyEnded:
			if begun != 0 && ended == 0 {
				ended = e.at
			}
		case begun == 0 && e.Detail != DetailSecrecyNotified:
			begun = e.at
		}
	}
	return begun, ended
}
