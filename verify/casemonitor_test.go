package verify_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// A docket is a ledger of case leaves and its feed on paper.
type docket struct {
	t       testing.TB
	entries [][]byte
	hashes  []tlog.Hash
	fields  [][]verify.LeafField
	feed    [][]byte
	prev    [32]byte
	at      uint64
}

const (
	docketSlot    = 60
	docketHorizon = 3600
	docketGrace   = 5 * time.Minute
)

func newDocket(t testing.TB) *docket { return &docket{t: t, at: 1_800_000_000} }

func caseID(n byte) bonded.ID { return bonded.ID{9, 15: n} }

// slot adds a slot of four: the entries given, then covers.
func (d *docket) slot(entries ...*verify.CaseEntry) *docket {
	d.at += docketSlot
	var hashes []tlog.Hash
	for i := range 4 {
		e := &verify.CaseEntry{Type: verify.EntryCover}
		if i < len(entries) {
			e = entries[i]
		}
		d.leaf(e, func(*verify.Leaf) {})
		hashes = append(hashes, d.hashes[len(d.hashes)-1])
	}
	d.prev = verify.SlotRoot(hashes)
	return d
}

func (d *docket) leaf(e *verify.CaseEntry, change func(*verify.Leaf)) {
	n := 0
	fields := e.Fields(func() verify.Salt { n++; return salt(fmt.Sprint("docket ", len(d.entries), " ", n)) })
	l := &verify.Leaf{Kind: verify.LeafCase, Cell: historyCell, Time: d.at, OpenBy: d.at + docketHorizon, Prev: d.prev, Root: verify.CommitFields(fields)}
	change(l)
	b := l.Encode()
	d.entries, d.hashes, d.fields = append(d.entries, b), append(d.hashes, tlog.RecordHash(b)), append(d.fields, fields)
}

func (d *docket) opening(i int, withhold ...string) []byte {
	b, err := json.Marshal(verify.OpenCase(int64(i), d.entries[i], d.fields[i], append(withhold, verify.FieldPerson)...))
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *docket) open(is ...int) *docket {
	for _, i := range is {
		d.feed = append(d.feed, d.opening(i))
	}
	return d
}

// openPart opens what an extension shows at the date it moves.
func (d *docket) openPart(i int) *docket {
	var withhold []string
	for _, n := range verify.CaseFields {
		if n != verify.FieldType && n != verify.FieldExtends && n != verify.FieldUntil {
			withhold = append(withhold, n)
		}
	}
	d.feed = append(d.feed, d.opening(i, withhold...))
	return d
}

func (d *docket) report(at uint64) *verify.CaseReport {
	m := verify.NewCaseMonitor(historyCell, docketGrace)
	for i, e := range d.entries {
		m.Entry(int64(i), e)
	}
	for _, o := range d.feed {
		m.Opening(o)
	}
	return m.Report(time.Unix(int64(at), 0))
}

func (d *docket) entry(kase byte, number uint64, before int) *verify.CaseEntry {
	e := &verify.CaseEntry{Type: verify.EntryCase, Case: caseID(kase), Number: number, Event: "take"}
	if before >= 0 {
		e.Previous = d.hashes[before]
	}
	return e
}

func (d *docket) extension(of int, until uint64) *verify.CaseEntry {
	return &verify.CaseEntry{Type: verify.EntryExtension, Extends: d.hashes[of], Until: until}
}

const docketStart = 1_800_000_060 // time of the first slot

func TestCaseMonitorSaysWhatIsOverdue(t *testing.T) {
	due := uint64(docketStart + docketHorizon)
	late := due + uint64(docketGrace/time.Second) + 1
	for name, c := range map[string]struct {
		make func(d *docket)
		at   uint64
		want string // alarms, then codes of faults
	}{
		"nothing is due": {func(d *docket) { d.slot().slot() }, due, ""},
		"within grace":   {func(d *docket) { d.slot() }, late - 1, ""},
		"all unopened":   {func(d *docket) { d.slot() }, late, "0 unopened, 1 unopened, 2 unopened, 3 unopened"},
		"all opened":     {func(d *docket) { d.slot().open(3, 1, 0, 2) }, late, ""},
		"one unopened":   {func(d *docket) { d.slot().open(3, 1, 0) }, late, "2 unopened"},
		"one opened in part": {func(d *docket) {
			d.slot(d.entry(1, 1, -1)).open(1, 2, 3)
			d.feed = append(d.feed, d.opening(0, verify.FieldDetail))
		}, late, "0 partly"},
		"extended": {func(d *docket) { d.slot(); d.slot(d.extension(0, due+docketHorizon)).open(1, 2, 3).openPart(4) }, late, ""},
		"extended, and the new date passes": {func(d *docket) {
			d.slot()
			d.slot(d.extension(0, due+docketHorizon)).open(1, 2, 3).openPart(4).open(4, 5, 6, 7)
		}, late + docketHorizon, "0 extended"},
		"an extension that itself stays closed": {func(d *docket) {
			d.slot()
			d.slot(d.extension(0, due+docketHorizon)).open(1, 2, 3).openPart(4).open(5, 6, 7)
		}, late + docketSlot, "4 partly"},
		"an extension back": {func(d *docket) { d.slot(); d.slot(d.extension(0, due)).open(1, 2, 3).openPart(4) }, late, "0 unopened; opening"},
		"an extension for a hundred years": {func(d *docket) {
			d.slot()
			d.slot(d.extension(0, due+100*365*86400)).open(1, 2, 3).openPart(4)
		}, late, "0 unopened; opening"},
		"an extension after the date": {func(d *docket) {
			d.slot()
			for range docketHorizon/docketSlot + 6 {
				d.slot()
			}
			d.slot(d.extension(0, due+docketHorizon)).open(1, 2, 3).openPart(len(d.entries) - 4)
		}, due + 59, "; opening"},
		"an extension right after a standstill": {func(d *docket) {
			d.slot()
			d.at += docketHorizon + 1200
			d.slot(d.extension(0, due+docketHorizon)).open(1, 2, 3).openPart(4)
		}, late + 1200, ""},
		"an extension of nothing": {func(d *docket) {
			d.slot(&verify.CaseEntry{Type: verify.EntryExtension, Extends: hash("none"), Until: due + 1}).openPart(0)
		}, due, "; opening"},
		"an extension of an extension": {func(d *docket) {
			d.slot()
			d.slot(d.extension(0, due+docketHorizon))
			d.slot(d.extension(4, due+60+docketHorizon)).openPart(4).openPart(8)
		}, due, "; opening"},
		"a case in order": {func(d *docket) { d.slot(d.entry(1, 1, -1)); d.slot(d.entry(1, 2, 0)).open(4, 0) }, due, ""},
		"a hole in a case": {func(d *docket) {
			d.slot(d.entry(1, 1, -1))
			d.slot(d.extension(0, due+docketHorizon), d.entry(1, 2, 0)).open(1, 2, 3).openPart(4).open(4, 5, 6, 7)
		}, late + docketSlot, "0 hole"},
		"two entries of one number": {func(d *docket) { d.slot(d.entry(1, 1, -1), d.entry(1, 1, -1)).open(0, 1) }, due, "; opening"},
		"the wrong entry before": {func(d *docket) {
			d.slot(d.entry(1, 1, -1))
			d.slot(d.entry(1, 2, 1)).open(0, 4)
		}, due, "; opening"},
		"the wrong entry before, opened first": {func(d *docket) {
			d.slot(d.entry(1, 1, -1))
			d.slot(d.entry(1, 2, 1)).open(4, 0)
		}, due, "; opening"},
		"an entry before that is not there": {func(d *docket) {
			e := d.entry(1, 2, -1)
			e.Previous = hash("none")
			d.slot(e).open(0)
		}, due, "; opening"},
		"a first entry with one before": {func(d *docket) { d.slot(); d.slot(d.entry(1, 1, 0)).open(4) }, due, "; opening"},
		"an entry without a number":     {func(d *docket) { d.slot(d.entry(1, 0, -1)).open(0) }, due, "; opening"},
		"an opening of another place": {func(d *docket) {
			d.slot()
			d.feed = append(d.feed, bytes.Replace(d.opening(2), []byte(`"index":2`), []byte(`"index":1`), 1))
		}, due, "; opening"},
		"an altered value": {func(d *docket) {
			d.slot(d.entry(1, 1, -1))
			d.feed = append(d.feed, bytes.Replace(d.opening(0), []byte(`"dGFrZQ=="`), []byte(`"dGFrZA=="`), 1))
		}, due, "; leaf"},
		"no opening": {func(d *docket) { d.slot(); d.feed = append(d.feed, []byte(`{}`)) }, due, "; malformed"},
		"a leaf appended again": {func(d *docket) {
			d.slot()
			d.entries, d.hashes, d.fields = append(d.entries, d.entries[2]), append(d.hashes, d.hashes[2]), append(d.fields, d.fields[2])
			d.slot().open(0, 1, 4, 3)
		}, late, ""},
		"three leaves in a slot": {func(d *docket) {
			d.slot()
			d.at += docketSlot
			for range 3 {
				d.leaf(d.entry(1, 1, -1), func(*verify.Leaf) {})
			}
			d.prev = verify.SlotRoot(d.hashes[4:])
			d.slot()
		}, due, "; slots"},
		"five leaves in a slot": {func(d *docket) {
			d.slot()
			prev := d.prev
			d.slot()
			d.prev = prev
			d.leaf(d.entry(1, 1, -1), func(*verify.Leaf) {})
		}, due, "; slots"},
		"another chain":        {func(d *docket) { d.slot(); d.prev = hash("other"); d.slot() }, due, "; slots slots slots slots"},
		"another open-by date": {func(d *docket) { d.slot(); d.at += 60; d.leaf(d.entry(1, 1, -1), func(l *verify.Leaf) { l.OpenBy++ }) }, due, "; slots"},
		"a slot of the past": {func(d *docket) {
			d.slot()
			d.leaf(d.entry(1, 1, -1), func(l *verify.Leaf) { l.Time -= 60; l.OpenBy -= 60 })
		}, due, "; slots"},
		"another rhythm": {func(d *docket) {
			for i := range 20 {
				d.at += uint64(i % 2)
				d.slot()
			}
		}, docketStart, "; slots"},
		"pauses": {func(d *docket) {
			for i := range 20 {
				d.at += uint64(60 * (i % 3))
				d.slot()
			}
		}, docketStart, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDocket(t)
			c.make(d)
			r := d.report(c.at)
			var alarms, faults []string
			for _, a := range r.Alarms {
				alarms = append(alarms, fmt.Sprint(a.Index, " ", a.Why))
			}
			for _, f := range r.Faults {
				faults = append(faults, f.Code)
			}
			got := strings.Join(alarms, ", ")
			if len(faults) > 0 {
				got += "; " + strings.Join(faults, " ")
			}
			if got != c.want {
				t.Errorf("got %q, want %q\n%v", got, c.want, r.Faults)
			}
		})
	}
}

func TestCaseMonitorWaitsForLeavesThatComeAfterTheirOpenings(t *testing.T) {
	d := newDocket(t).slot().open(1)
	m := verify.NewCaseMonitor(historyCell, docketGrace)
	for _, o := range d.feed {
		m.Opening(o)
	}
	if r := m.Report(time.Unix(docketStart, 0)); r.Early != 1 || len(r.Faults) > 0 {
		t.Errorf("before the leaf: %+v", r)
	}
	for i, e := range d.entries {
		m.Entry(int64(i), e)
	}
	if r := m.Report(time.Unix(docketStart, 0)); r.Early != 0 || r.Opened != 1 {
		t.Errorf("after it: %+v", r)
	}
}

func TestCaseMonitorCountsSlots(t *testing.T) {
	d := newDocket(t).slot(&verify.CaseEntry{Type: verify.EntryRegistry}).slot()
	d.at += 120
	r := d.slot().open(0, 1, 2).report(docketStart)
	want := verify.CaseSlots{Leaves: 12, Slots: 3, PerSlot: 4, Seconds: 60, Missed: 2, Horizon: docketHorizon, Last: docketStart + 240}
	if r.CaseSlots != want || r.Opened != 3 || r.Covers != 2 || r.Entries != 1 {
		t.Errorf("got %+v", r)
	}
	const says = "12 entries for cases and their covers came in 3 slots of 4, 60 seconds apart, with 2 slots missed; which are which does not show."
	if s := r.Sentences(); len(s) != 1 || s[0] != says {
		t.Errorf("%q", s)
	}
}

// Every flipped bit of an opening or of an escrow is refused.
func TestFlippedBitsOfOpeningsAndEscrowsDoNotHold(t *testing.T) {
	d := newDocket(t).slot(&verify.CaseEntry{Type: verify.EntryCase, Case: caseID(1), Number: 1, Detail: "x", Targets: 3, Person: []byte("p")})
	o := d.opening(0, verify.FieldDetail)
	check := func(b []byte) error {
		o, err := verify.ParseCaseOpening(b)
		if err != nil {
			return err
		}
		c, err := o.Check()
		if err == nil && (c.Index != 0 || c.Hash != d.hashes[0]) { // a monitor compares it with the ledger
			return verify.Fail(verify.FailOpening, "another place")
		}
		return err
	}
	if err := check(o); err != nil {
		t.Fatal(err)
	}
	flipAll(t, o, check)

	commitment := d.fields[0][21].Commitment()
	e := (&verify.CaseEscrow{Index: 0, Leaf: d.entries[0], Fields: d.fields[0][:21], Person: commitment}).Encode()
	parse := func(b []byte) error {
		e, err := verify.ParseCaseEscrow(b)
		if err == nil && (e.Index != 0 || !bytes.Equal(e.Leaf, d.entries[0])) {
			return verify.Fail(verify.FailOpening, "another leaf")
		}
		return err
	}
	if err := parse(e); err != nil {
		t.Fatal(err)
	}
	flipAll(t, e, parse)
}

func flipAll(t *testing.T, good []byte, check func([]byte) error) {
	t.Helper()
	for i := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			if check(b) == nil {
				t.Fatalf("holds with bit %d of byte %d flipped", bit, i)
			}
		}
	}
}

func TestCasebookVectors(t *testing.T) {
	d := newDocket(t).slot(d1())
	d.slot(d.extension(2, docketStart+2*docketHorizon))
	d.open(0, 2).openPart(4)
	type field struct {
		Name       string `json:"name"`
		Salt       string `json:"salt"`
		Value      string `json:"value"`
		Commitment string `json:"commitment"`
	}
	type leaf struct {
		Fields []field `json:"fields,omitempty"`
		Leaf   string  `json:"leaf"`
		Hash   string  `json:"hash"`
	}
	x := func(b []byte) string { return hex.EncodeToString(b) }
	var v struct {
		Comment   string            `json:"comment"`
		Leaves    []leaf            `json:"leaves"`
		SlotRoots []string          `json:"slot_roots"`
		Openings  []json.RawMessage `json:"openings"`
		Escrow    string            `json:"escrow"`
		Monitor   map[string]any    `json:"monitor"`
	}
	v.Comment = "two slots of four leaves: entry 0 is of a case, entry 4 extends entry 2, the others are covers; the feed opens 0 and 2 in full and 4 in part. " +
		"Commitments are RFC 6962 leaf hashes of the commitments. Monitor: what is to be said 3,000 s after the date of the first slot with a grace of 300 s."
	for i := range d.entries {
		l := leaf{Leaf: x(d.entries[i]), Hash: x(d.hashes[i][:])}
		for j := range d.fields[i] {
			if f := &d.fields[i][j]; i == 0 || i == 4 {
				c := f.Commitment()
				l.Fields = append(l.Fields, field{f.Name, x(f.Salt[:]), x(f.Value), x(c[:])})
			}
		}
		v.Leaves = append(v.Leaves, l)
	}
	for s := range 2 {
		r := verify.SlotRoot(d.hashes[4*s : 4*s+4])
		v.SlotRoots = append(v.SlotRoots, x(r[:]))
	}
	for _, o := range d.feed {
		v.Openings = append(v.Openings, o)
	}
	v.Escrow = x((&verify.CaseEscrow{Index: 0, Leaf: d.entries[0], Fields: d.fields[0][:21], Person: d.fields[0][21].Commitment()}).Encode())
	r := d.report(docketStart + docketHorizon + 3000)
	alarms := []string{}
	for _, a := range r.Alarms {
		alarms = append(alarms, fmt.Sprint(a.Index, " ", a.Why))
	}
	v.Monitor = map[string]any{"alarms": alarms, "faults": len(r.Faults), "opened": r.Opened, "extensions": r.Extensions, "slots": r.Slots, "per_slot": r.PerSlot}
	goldenJSON(t, "casebook.json", &v)
}

func FuzzCaseOpening(f *testing.F) {
	d := newDocket(f).slot(d1())
	f.Add(d.opening(0))
	f.Add(d.opening(1))
	f.Add(d.openPart(0).feed[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := verify.ParseCaseOpening(b)
		if err != nil {
			return
		}
		c, err := o.Check()
		if err != nil {
			return
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		o2, err := verify.ParseCaseOpening(again)
		if err != nil {
			t.Fatal(err)
		}
		if c2, err := o2.Check(); err != nil || c2.Hash != c.Hash || len(c2.Closed) != len(c.Closed) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzCaseEscrow(f *testing.F) {
	d := newDocket(f).slot(d1())
	f.Add((&verify.CaseEscrow{Index: 5, Leaf: d.entries[0], Fields: d.fields[0][:21], Person: d.fields[0][21].Commitment()}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := verify.ParseCaseEscrow(b); err == nil && !bytes.Equal(e.Encode(), b) {
			t.Error("two spellings")
		}
	})
}

func FuzzCaseMonitor(f *testing.F) {
	d := newDocket(f).slot(d1())
	f.Add(d.opening(0), d.opening(1))
	f.Fuzz(func(_ *testing.T, a, b []byte) {
		m := verify.NewCaseMonitor(historyCell, 0)
		for i, e := range d.entries {
			m.Entry(int64(i), e)
		}
		m.Opening(a)
		m.Entry(int64(len(d.entries)), b)
		m.Report(time.Unix(docketStart+docketHorizon, 0))
	})
}

func d1() *verify.CaseEntry {
	return &verify.CaseEntry{
		Type: verify.EntryCase, Case: caseID(1), Number: 2, Previous: hash("before"), Jurisdiction: "de", Requester: "police", Process: "eu_epoc",
		Basis: "Regulation (EU) 2023/1543 art. 5", Class: "subscriber", Event: "quorum", From: "notice_pending", State: "awaiting_quorum", Actor: "legal",
		Detail: "Prüfung", Targets: 1, Subjects: 1, Scope: hash("scope"), Content: hash("content"), Time: 1_800_000_000, Person: []byte("sub_eu_x"),
	}
}
