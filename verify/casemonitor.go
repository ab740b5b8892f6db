package verify

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
)

// FailOpening is the code of an opening, or of several together, that
// contradicts the ledger or another opening.
const FailOpening = "opening"

// DefaultGrace is how long after its date a leaf may be opened before a
// monitor alarms: for clocks, and for witnesses that were away.
const DefaultGrace = time.Hour

const (
	maxMonitorFaults = 100     // told; others are counted
	maxEarly         = 1 << 16 // openings kept because the ledger was read before they came
)

// Why a [CaseAlarm] is raised.
const (
	AlarmUnopened = "unopened" // its date is past and nothing of it was opened
	AlarmPartly   = "partly"   // its date is past and only a part of it was opened
	AlarmExtended = "extended" // it was extended, and the new date is past as well
	AlarmHole     = "hole"     // a later entry of its case is open and past its own first date
)

// A CaseAlarm is a leaf that should be open and is not.
type CaseAlarm struct {
	Index int64     `json:"index"` // of the leaf in the ledger
	Due   time.Time `json:"due"`
	Why   string    `json:"why"`
}

// A CaseReport is what a [CaseMonitor] has found.
type CaseReport struct {
	CaseSlots

	Opened     int64 // leaves open in full
	Covers     int64 // of those
	Entries    int64 // of those: of cases, the register and custody
	Cases      int64 // cases with an open entry
	Extensions int64 // in force at some time
	Early      int64 // openings of leaves that the ledger, as it was read, does not have yet

	Alarms []CaseAlarm // by index
	Faults []*Failure  // at most 100
	More   int64       // faults beyond those
}

// A CaseMonitor holds a cell to the dates of its case leaves. Give it every
// entry of the ledger in order, every opening of the feed in order, and ask
// for its report: spec/casebook.md, section 5. It keeps about 150 bytes for each
// case leaf.
type CaseMonitor struct {
	grace  uint64
	cell   bonded.CellID
	slots  slotChain
	size   int64 // entries of the ledger so far
	leaves []monitoredLeaf
	times  []uint64 // of slots, rising
	byHash map[tlog.Hash]int32
	at     map[int64]int32 // by ledger index
	cases  map[bonded.ID]map[uint64]int32
	early  [][]byte
	report CaseReport
}

// A monitoredLeaf is one case leaf as the monitor knows it.
type monitoredLeaf struct {
	hash     tlog.Hash
	previous tlog.Hash // as opened
	index    int64
	time     uint64
	openBy   uint64
	date     uint64 // open-by date, or what extensions made of it
	opened   bool   // in full
	partly   bool
	extended bool
	moves    bool // it is an extension, taken into account
}

// NewCaseMonitor returns a monitor of a cell's ledger that has seen nothing.
// Grace is in whole seconds; a negative one means [DefaultGrace].
func NewCaseMonitor(cell bonded.CellID, grace time.Duration) *CaseMonitor {
	if grace < 0 {
		grace = DefaultGrace
	}
	return &CaseMonitor{
		grace: uint64(grace / time.Second), cell: cell, byHash: map[tlog.Hash]int32{}, at: map[int64]int32{}, cases: map[bonded.ID]map[uint64]int32{},
	}
}

// Entry takes the next entry of the ledger, whatever it is.
func (m *CaseMonitor) Entry(index int64, data []byte) {
	m.size = index + 1
	l, err := DecodeLeaf(data)
	if err != nil || l.Kind != LeafCase || l.Cell != m.cell {
		return // what is wrong with the ledger is told by those who check it
	}
	hash := tlog.RecordHash(data)
	first, equal, f := m.slots.add(index, l, hash)
	if f != nil {
		m.fault(f)
	}
	if equal {
		m.at[index] = m.at[first]
		return
	}
	if k := len(m.times); k == 0 || l.Time > m.times[k-1] {
		m.times = append(m.times, l.Time)
	}
	n := int32(len(m.leaves)) //nolint:gosec // memory ends far below
	m.leaves = append(m.leaves, monitoredLeaf{hash: hash, index: index, time: l.Time, openBy: l.OpenBy, date: l.OpenBy})
	m.byHash[hash], m.at[index] = n, n
}

// Opening takes the next opening of the feed, in the JSON of [CaseOpening].
func (m *CaseMonitor) Opening(raw []byte) {
	if f := m.opening(raw); f != nil {
		m.fault(f)
	}
}

func (m *CaseMonitor) opening(raw []byte) *Failure {
	// 1. What it says, and whether its leaf is in the ledger.
	o, err := ParseCaseOpening(raw)
	if err != nil {
		return FailureOf(err)
	}
	c, err := o.Check()
	if err != nil {
		return FailureOf(err)
	}
	if c.Index >= m.size {
		if len(m.early) >= maxEarly {
			return Unknown(FailOpening, nil, "over %d openings are of leaves the ledger does not have", maxEarly)
		}
		m.early = append(m.early, slices.Clone(raw))
		return nil
	}
	n, ok := m.at[c.Index]
	if !ok || m.leaves[n].hash != c.Hash {
		return Fail(FailOpening, "the opening of entry %d is not of the leaf that the ledger has there", c.Index)
	}
	l := &m.leaves[n]

	// 2. How much of it is open.
	full := len(c.Closed) == 0 || len(c.Closed) == 1 && c.Closed[0] == FieldPerson
	l.partly = true
	if full && !l.opened {
		l.opened = true
		m.count(c.Entry)
	}

	// 3. What follows from it.
	e := c.Entry
	switch {
	case e.Type == EntryExtension:
		return m.extension(l, c)
	case e.Type == EntryCase && !c.Shut(FieldCase) && !c.Shut(FieldNumber):
		return m.entryOf(n, c)
	}
	return nil
}

func (m *CaseMonitor) count(e *CaseEntry) {
	m.report.Opened++
	switch e.Type {
	case EntryCover:
		m.report.Covers++
	case EntryCase, EntryRegistry, EntryCustody:
		m.report.Entries++
	}
}

// extension moves the date of the leaf that an extension names, once.
func (m *CaseMonitor) extension(l *monitoredLeaf, c *OpenedCase) *Failure {
	if l.moves || c.Shut(FieldExtends) || c.Shut(FieldUntil) {
		return nil
	}
	l.moves = true
	n, ok := m.byHash[c.Entry.Extends]
	if !ok {
		return Fail(FailOpening, "the extension at entry %d names a leaf that the ledger does not have", c.Index)
	}
	target := &m.leaves[n]
	horizon := target.openBy - target.time
	switch {
	case target == l || target.moves:
		return Fail(FailOpening, "the extension at entry %d names entry %d, which is an extension itself", c.Index, target.index)
	case target.opened:
		return nil // opened before its date: there is nothing to extend
	case l.time > m.slotAfter(target.date)+m.grace:
		return Fail(FailOpening, "the extension at entry %d came after the date of entry %d, which it moves", c.Index, target.index)
	case c.Entry.Until <= target.date || c.Entry.Until > max(target.date, l.time)+horizon+m.grace:
		return Fail(FailOpening, "the extension at entry %d moves the date of entry %d back, or further than the horizon", c.Index, target.index)
	}
	target.date, target.extended = c.Entry.Until, true
	m.report.Extensions++
	return nil
}

// slotAfter returns the time of the first slot at or after a date: while the
// vault stands still it can extend nothing.
func (m *CaseMonitor) slotAfter(date uint64) uint64 {
	i, _ := slices.BinarySearch(m.times, date)
	if i == len(m.times) {
		return date
	}
	return m.times[i]
}

// entryOf checks an opened entry against those of its case that are open.
func (m *CaseMonitor) entryOf(n int32, c *OpenedCase) *Failure {
	e, l := c.Entry, &m.leaves[n]
	of := m.cases[e.Case]
	if of == nil {
		of = map[uint64]int32{}
		m.cases[e.Case] = of
		m.report.Cases++
	}
	if other, ok := of[e.Number]; ok && other != n {
		return Fail(FailOpening, "entries %d and %d both say that they are entry %d of one case", m.leaves[other].index, c.Index, e.Number)
	}
	of[e.Number] = n
	if c.Shut(FieldPrevious) {
		return nil
	}
	l.previous = e.Previous
	before, known := m.byHash[e.Previous]
	switch {
	case e.Number == 0:
		return Fail(FailOpening, "entry %d is of a case and has no number in it", c.Index)
	case (e.Number == 1) != (e.Previous == [32]byte{}):
		return Fail(FailOpening, "entry %d is entry %d of its case and names the one before it wrongly", c.Index, e.Number)
	case e.Number > 1 && (!known || m.leaves[before].time > l.time):
		return Fail(FailOpening, "entry %d names an entry of its case that the ledger does not have before it", c.Index)
	}
	if open, ok := of[e.Number-1]; ok && m.leaves[open].hash != e.Previous {
		return Fail(FailOpening, "entry %d does not name the open entry before it in its case", c.Index)
	}
	if after, ok := of[e.Number+1]; ok && m.leaves[after].previous != (tlog.Hash{}) && m.leaves[after].previous != l.hash {
		return Fail(FailOpening, "the open entry after entry %d in its case does not name it", c.Index)
	}
	return nil
}

func (m *CaseMonitor) fault(f *Failure) {
	if len(m.report.Faults) >= maxMonitorFaults {
		m.report.More++
		return
	}
	m.report.Faults = append(m.report.Faults, f)
}

// Report returns what was found, with the alarms at a witness time.
func (m *CaseMonitor) Report(at time.Time) *CaseReport {
	early := m.early
	m.early = nil
	for _, raw := range early {
		m.Opening(raw)
	}
	r := m.report
	r.CaseSlots, r.Early, r.Faults = m.slots.out, int64(len(m.early)), slices.Clone(r.Faults)
	t := uint64(max(at.Unix(), 0)) //nolint:gosec // not negative
	overdue := map[int64]bool{}
	for i := range m.leaves {
		l := &m.leaves[i]
		if l.opened || l.date+m.grace >= t {
			continue
		}
		why := AlarmUnopened
		switch {
		case l.extended:
			why = AlarmExtended
		case l.partly:
			why = AlarmPartly
		}
		overdue[l.index] = true
		r.Alarms = append(r.Alarms, CaseAlarm{l.index, seconds(l.date), why})
	}
	r.Alarms = append(r.Alarms, m.holes(t, overdue)...)
	slices.SortFunc(r.Alarms, func(a, b CaseAlarm) int { return cmp.Compare(a.Index, b.Index) })
	return &r
}

// holes finds entries that are closed although a later one of their case is
// open and past its own first date. Those that alarm anyway are left out.
func (m *CaseMonitor) holes(t uint64, overdue map[int64]bool) []CaseAlarm {
	var out []CaseAlarm
	for _, of := range m.cases {
		for _, n := range of {
			l := &m.leaves[n]
			before, ok := m.byHash[l.previous]
			if !ok || l.openBy+m.grace >= t || m.leaves[before].partly || overdue[m.leaves[before].index] {
				continue
			}
			out = append(out, CaseAlarm{m.leaves[before].index, seconds(l.openBy), AlarmHole})
		}
	}
	return out
}

func seconds(s uint64) time.Time { return time.Unix(int64(min(s, 1<<40)), 0).UTC() } //nolint:gosec // bounded

// Sentences says in plain English how case leaves come, one sentence a line.
func (s *CaseSlots) Sentences() []string {
	if s.Leaves == 0 {
		return nil
	}
	line := fmt.Sprintf("%s for cases and their covers came in %s", count64(s.Leaves, "entry"), count64(s.Slots, "slot"))
	if s.PerSlot > 0 {
		line += fmt.Sprintf(" of %d, %s apart, with %s missed", s.PerSlot, countU(s.Seconds, "second"), count64(s.Missed, "slot"))
	}
	return []string{line + "; which are which does not show."}
}
