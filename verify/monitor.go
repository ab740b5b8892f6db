package verify

import (
	"encoding/json"
	"time"
)

// Defaults of [MonitorOptions].
const (
	DefaultAnchorAge     = 5 * time.Minute
	DefaultCheckpointAge = 15 * time.Minute
)

// More reasons for alarms, of the ledger as a whole.
const (
	AlarmAnchor     = "anchor"     // the newest anchor is too old, or there is none
	AlarmCheckpoint = "checkpoint" // the newest checkpoint is too old: no quorum of witnesses has seen a newer one
)

// MonitorOptions say what a [Monitor] accepts. A zero value means the default.
type MonitorOptions struct {
	Previous      *Checkpoint   // seen earlier; the ledger must extend it
	Grace         time.Duration // see [DefaultGrace]; negative means none
	AnchorAge     time.Duration // how old the newest anchor may be
	CheckpointAge time.Duration // how old the newest checkpoint may be, by the clock given to Report
}

// A Monitor follows the ledger of a cell and the feed of its openings: that the
// log only grows, that its leaves are chained, that anchors keep coming, and
// that what is due is opened. It is for one goroutine.
type Monitor struct {
	opts  MonitorOptions
	log   *LogFollower
	chain leafChain
	cases *CaseMonitor
	next  uint64 // of the feed
	first []*Failure
}

// NewMonitor returns a monitor that has read nothing. The error is a
// [Failure]: the directory's keys for the cell cannot be used.
func NewMonitor(cell *DirectoryCell, opts MonitorOptions) (*Monitor, error) {
	switch {
	case opts.Grace == 0:
		opts.Grace = DefaultGrace
	case opts.Grace < 0:
		opts.Grace = 0
	}
	if opts.AnchorAge == 0 {
		opts.AnchorAge = DefaultAnchorAge
	}
	if opts.CheckpointAge == 0 {
		opts.CheckpointAge = DefaultCheckpointAge
	}
	m := &Monitor{opts: opts, chain: leafChain{cell: cell.ID}, cases: NewCaseMonitor(cell.ID, opts.Grace), next: 1}
	var err error
	m.log, err = NewLogFollower(cell, LogOptions{Previous: opts.Previous, Entry: m.entry})
	return m, err
}

func (m *Monitor) entry(index int64, data []byte) error {
	l, err := DecodeLeaf(data)
	if err == nil && l.Kind == LeafCase && l.Cell == m.chain.cell { // the monitor of cases has its own chain of them
		m.cases.Entry(index, data)
		return nil
	}
	m.cases.size = index + 1
	f := m.chain.add(index, data, recordHash(data))
	if n := len(m.chain.seen); n > 1 {
		m.chain.seen = m.chain.seen[n-1:] // only the newest is needed
	}
	if f != nil && len(m.first) < maxMonitorFaults {
		m.first = append(m.first, f)
	}
	return nil
}

// Follow reads what is new in the ledger, see [LogFollower.Follow].
func (m *Monitor) Follow(fetch func(path string) ([]byte, error)) error { return m.log.Follow(fetch) }

// Openings reads what is new in the feed, of which page returns the openings
// from a number on, and the number to ask from next; an empty page is the end
// for now. Read the ledger first. An error of page is a [Failure] with verdict
// [CannotTell].
func (m *Monitor) Openings(page func(from uint64) (openings []json.RawMessage, next uint64, err error)) error {
	for {
		openings, next, err := page(m.next)
		if err != nil {
			return Unknown(FailMissing, err, "the openings from number %d on cannot be read", m.next)
		}
		if len(openings) == 0 {
			return nil
		}
		if next != m.next+uint64(len(openings)) {
			return Fail(FailOpening, "the feed names %d as the number after openings %d to %d", next, m.next, m.next+uint64(len(openings))-1)
		}
		for _, raw := range openings {
			m.cases.Opening(raw)
		}
		m.next = next
	}
}

// A MonitorReport is what a [Monitor] has found so far.
type MonitorReport struct {
	Checkpoint *Checkpoint
	Witnessed  time.Time // witness time of the checkpoint: dates are judged by it
	Anchors    int64
	LastAnchor time.Time // zero if there is none
	Openings   uint64    // read from the feed
	Cases      *CaseReport
	Alarms     []CaseAlarm // of the ledger as a whole, then those of Cases
	Faults     []*Failure  // what does not hold
}

// Report returns what was found. Now is the reader's clock, for the age of the
// newest checkpoint alone. Before Follow has succeeded it returns nil.
func (m *Monitor) Report(now time.Time) *MonitorReport {
	cp := m.log.Checkpoint()
	if cp == nil {
		return nil
	}
	t := cp.WitnessTime()
	r := &MonitorReport{Checkpoint: cp, Witnessed: t, Anchors: m.chain.n[LeafAnchor], Openings: m.next - 1, Cases: m.cases.Report(t)}
	if m.chain.last > 0 {
		r.LastAnchor = seconds(m.chain.last)
	}
	if now.Sub(t) > m.opts.CheckpointAge {
		r.Alarms = append(r.Alarms, CaseAlarm{cp.Size - 1, t.Add(m.opts.CheckpointAge), AlarmCheckpoint})
	}
	if t.Sub(r.LastAnchor) > m.opts.AnchorAge {
		a := CaseAlarm{Index: -1, Due: r.LastAnchor.Add(m.opts.AnchorAge), Why: AlarmAnchor}
		if n := len(m.chain.seen); n > 0 {
			a.Index = m.chain.seen[n-1].index
		}
		r.Alarms = append(r.Alarms, a)
	}
	r.Alarms = append(r.Alarms, r.Cases.Alarms...)
	r.Faults = append(append(r.Faults, m.first...), r.Cases.Faults...)
	return r
}

// Verdict returns [Holds] if there is neither fault nor alarm. An alarm does
// not hold: the cell owes something.
func (r *MonitorReport) Verdict() Verdict {
	v := Holds
	for _, f := range r.Faults {
		if f.Verdict == DoesNotHold || v == Holds {
			v = f.Verdict
		}
	}
	if len(r.Alarms) > 0 {
		return DoesNotHold
	}
	return v
}
