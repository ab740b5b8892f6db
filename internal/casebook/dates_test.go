//go:build unix

package casebook_test

import (
	"context"
	"testing"
	"time"

	"bonded"
	"bonded/internal/casebook"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

const grace = 10 * time.Minute

// monitored gives a monitor the whole ledger and the openings that keep keeps,
// and returns what it reports now.
func (d *desk) monitored(keep func(o *verify.OpenedCase) bool) *verify.CaseReport {
	d.t.Helper()
	m := verify.NewCaseMonitor(d.cfg.Cell, grace)
	for i, e := range d.entries() {
		m.Entry(int64(i), e)
	}
	var opened []*verify.OpenedCase
	if keep != nil {
		opened = d.feed()
	}
	for i, raw := range d.feedJSON() {
		if keep == nil || keep(opened[i]) {
			m.Opening(raw)
		}
	}
	return m.Report(time.Unix(d.clock.seconds(), 0))
}

// holds fails the test unless the monitor finds neither faults nor alarms.
func (d *desk) holds() *verify.CaseReport {
	d.t.Helper()
	r := d.monitored(nil)
	for _, f := range r.Faults {
		d.t.Error(f)
	}
	if len(r.Alarms) > 0 {
		d.t.Errorf("alarms %v", r.Alarms)
	}
	return r
}

func noExtensions(c *casebook.Config) { c.ExtendCovers, c.ExtendAgain = -1, -1 }

// toDate jumps to a slot's date less n slots, as if the vault had been down.
func (d *desk) toDate(slotTime int64, less int) {
	d.t.Helper()
	d.clock.at.Store(slotTime + int64(horizon/time.Second) - int64(less)*60)
	d.tick()
}

func TestEverythingOpensAtItsDate(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	entries := []int64{d.add(event(1, "submitted")), d.add(&verify.CaseEntry{Type: verify.EntryRegistry, Content: [32]byte{7}})}
	d.slots(1)
	first := d.clock.seconds()
	d.toDate(first, 1)
	if n := len(d.feed()); n != 0 {
		t.Fatalf("%d openings before the date", n)
	}
	d.slots(1)
	d.slots(1) // what is open stays one opening
	kinds := map[string]int{}
	for _, o := range d.feed() {
		kinds[o.Entry.Type]++
		if len(o.Closed) != 1 || !o.Shut(verify.FieldPerson) {
			t.Errorf("entry %d keeps %v closed", o.Index, o.Closed)
		}
	}
	if len(d.feed()) != perSlot || kinds[verify.EntryCover] != 2 || kinds[verify.EntryCase] != 1 || kinds[verify.EntryRegistry] != 1 {
		t.Errorf("opened %v", kinds)
	}
	if o, err := d.book.Opening(t.Context(), entries[0]); err != nil || o.Index != d.receipt(entries[0]).Index {
		t.Errorf("opening of an entry: %v", err)
	}
	r := d.holds()
	if r.Opened != perSlot || r.Entries != 2 || r.Cases != 1 || r.PerSlot != perSlot {
		t.Errorf("the monitor counts %+v", r)
	}
}

func TestHeldEntriesAreExtendedAndOpenWhenTheHoldEnds(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	entries := []int64{d.add(event(1, "submitted")), d.add(event(1, "take"))}
	open := d.add(event(2, "submitted"))
	d.slots(1)
	first := d.clock.seconds()
	ends := first + int64(horizon/time.Second)*2 - 300
	d.update(func(tx *sqldb.Tx) error { return d.book.Hold(tx, id(1), time.Unix(ends, 0)) })

	// 1. Before the date the extensions are in slots, and look like all leaves.
	d.toDate(first, 4)
	d.slots(3)
	if n := len(d.feed()); n != 0 {
		t.Fatalf("%d openings before the date", n)
	}

	// 2. At the date they are opened in part, in place of what they extend.
	d.slots(1)
	extends := map[tlog.Hash]bool{}
	for _, o := range d.feed() {
		if o.Entry.Type != verify.EntryExtension {
			continue
		}
		if len(o.Closed) != len(verify.CaseFields)-3 || o.Entry.Until != uint64(first+2*int64(horizon/time.Second)) {
			t.Errorf("an extension shows %+v, closed %v", o.Entry, o.Closed)
		}
		extends[o.Entry.Extends] = true
	}
	for _, e := range entries {
		if !extends[d.receipt(e).Hash] {
			t.Errorf("entry %d is not extended", e)
		}
		if _, err := d.book.Opening(t.Context(), e); bonded.CodeOf(err) != bonded.CodeWithheld {
			t.Errorf("entry %d is open under the hold: %v", e, err)
		}
	}
	if _, err := d.book.Opening(t.Context(), open); err != nil || len(d.feed()) != perSlot {
		t.Errorf("an entry of another case: %v; %d openings", err, len(d.feed()))
	}

	// 3. An extension is no alarm; when the hold ends all of it opens.
	d.clock.pass(2 * grace)
	d.tick()
	d.restart()
	if r := d.holds(); r.Extensions != 2 {
		t.Errorf("the monitor knows %d extensions", r.Extensions)
	}
	d.clock.at.Store(ends)
	d.tick()
	for _, e := range entries {
		o, err := d.book.Opening(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		// The reveal verifies against the commitment made at the beginning.
		c, err := o.Check()
		if r := d.receipt(e); err != nil || c.Hash != r.Hash || c.Entry.Case != id(1) {
			t.Errorf("the reveal of entry %d: %v", e, err)
		}
	}

	// 4. The extensions open in full at their own dates, and the rest as well.
	d.clock.at.Store(first + 2*int64(horizon/time.Second) + 1200)
	d.tick()
	full := 0
	for _, o := range d.feed() {
		if o.Entry.Type == verify.EntryExtension && len(o.Closed) == 1 {
			full++
		}
	}
	if full != 2 {
		t.Errorf("%d extensions are open in full", full)
	}
	d.holds()
}

func TestHoldThatComesLateIsExtendedAllTheSame(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	entry := d.add(event(1, "submitted"))
	d.slots(1)
	first := d.clock.seconds()
	d.toDate(first, 2) // planned without a hold
	d.update(func(tx *sqldb.Tx) error { return d.book.Hold(tx, id(1), d.clock.now().Add(2*horizon)) })
	d.slots(2)
	if _, err := d.book.Opening(t.Context(), entry); bonded.CodeOf(err) != bonded.CodeWithheld {
		t.Errorf("open under the hold: %v", err)
	}
	if r := d.holds(); r.Extensions != 1 {
		t.Errorf("%d extensions", r.Extensions)
	}
	// The hold is lifted: what was held beyond its date opens at once.
	d.update(func(tx *sqldb.Tx) error { return d.book.Hold(tx, id(1), time.Time{}) })
	d.slots(1)
	if _, err := d.book.Opening(t.Context(), entry); err != nil {
		t.Error(err)
	}
	d.holds()
}

func TestUnopenedLeavesRaiseTheAlarm(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(func(c *casebook.Config) { c.ExtendCovers, c.ExtendAgain = 0.5, -1 })
	secret := d.add(event(1, "submitted"))
	d.slots(1)
	first := d.clock.seconds()
	d.update(func(tx *sqldb.Tx) error { return d.book.Hold(tx, id(1), d.clock.now().Add(horizon+4*grace)) })
	d.toDate(first, 4)
	d.slots(6)
	hash, index := d.receipt(secret).Hash, d.receipt(secret).Index
	skip := func(o *verify.OpenedCase) bool { return o.Hash != hash }
	due := time.Unix(first, 0).Add(horizon).UTC()

	// 1. Extended to a later date: no alarm.
	d.clock.pass(2 * grace)
	d.tick()
	d.holds()

	// 2. The extension is not shown: the leaf is overdue.
	r := d.monitored(func(o *verify.OpenedCase) bool {
		return o.Entry.Type != verify.EntryExtension || o.Entry.Extends != hash
	})
	if len(r.Alarms) != 1 || r.Alarms[0] != (verify.CaseAlarm{Index: index, Due: due, Why: verify.AlarmUnopened}) {
		t.Errorf("without the extension: %v", r.Alarms)
	}

	// 3. The extension's own date passes, and nothing opens.
	d.clock.at.Store(first + 2*int64(horizon/time.Second) + int64(2*grace/time.Second))
	d.tick()
	d.holds()
	r = d.monitored(skip)
	if len(r.Alarms) != 1 || r.Alarms[0] != (verify.CaseAlarm{Index: index, Due: due.Add(horizon), Why: verify.AlarmExtended}) {
		t.Errorf("extended and not opened: %v", r.Alarms)
	}

	// 4. A cover that never opens is one as well.
	var cover *verify.OpenedCase
	for _, o := range d.feed() {
		if o.Entry.Type == verify.EntryCover {
			cover = o
			break
		}
	}
	r = d.monitored(func(o *verify.OpenedCase) bool { return o.Hash != cover.Hash })
	if len(r.Alarms) != 1 || r.Alarms[0].Index != cover.Index {
		t.Errorf("a cover not opened: %v", r.Alarms)
	}
}

func TestRevealOpensBeforeTheDate(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	waiting := d.add(&verify.CaseEntry{Type: verify.EntryRegistry, Content: [32]byte{9}})
	secret := d.add(event(1, "submitted"))
	reveal := func(entry int64, withhold ...string) error {
		return d.db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error { return d.book.Reveal(tx, entry, withhold...) })
	}
	// 1. Not witnessed yet: it opens as soon as it is.
	if err := reveal(waiting); err != nil {
		t.Fatal(err)
	}
	d.slots(1)
	if _, err := d.book.Opening(t.Context(), waiting); err != nil || len(d.feed()) != 1 {
		t.Fatalf("%v; %d openings", err, len(d.feed()))
	}

	// 2. In part, then in full, each once.
	for range 2 {
		if err := reveal(secret, verify.FieldDetail, verify.FieldActor); err != nil {
			t.Fatal(err)
		}
	}
	if f := d.feed(); len(f) != 2 || len(f[1].Closed) != 3 {
		t.Fatalf("%d openings", len(f))
	}
	for range 2 {
		d.update(func(tx *sqldb.Tx) error { return d.book.RevealCase(tx, id(1)) })
	}
	if f := d.feed(); len(f) != 3 || len(f[2].Closed) != 1 {
		t.Fatalf("%d openings", len(f))
	}

	// 3. Not what is held, what is not there, or a field no entry has.
	held := d.add(event(2, "submitted"))
	d.update(func(tx *sqldb.Tx) error { return d.book.Hold(tx, id(2), d.clock.now().Add(horizon)) })
	for name, c := range map[string]struct {
		err  error
		want bonded.Code
	}{
		"held":      {reveal(held), bonded.CodeForbidden},
		"not there": {reveal(1000), bonded.CodeWithheld},
		"no field":  {reveal(waiting, "name"), bonded.CodeInvalid},
	} {
		if bonded.CodeOf(c.err) != c.want {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	d.slots(1)
	d.holds()
}

func TestErasedPersonCanNeverBeOpened(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	before := d.add(event(1, "submitted"))
	d.slots(1)
	after := d.add(event(1, "take")) // erased while it waits for its leaf
	var several int64
	d.update(func(tx *sqldb.Tx) (err error) {
		several, err = d.book.Add(tx, &verify.CaseEntry{Type: verify.EntryCase, Case: id(1), Event: "quorum", Person: []byte("digest")}, []byte("subject b"), []byte("subject x"))
		return err
	})
	other := d.add(event(2, "submitted"))
	if err := d.book.ErasePerson(t.Context(), []byte("subject b")); err != nil {
		t.Fatal(err)
	}
	d.slots(1)
	for _, e := range []int64{before, after, several} {
		r := d.receipt(e)
		o, err := r.Open(true).Check()
		if err != nil || !o.Shut(verify.FieldPerson) || o.Entry.Case != id(1) || r.Fields.Value(verify.FieldPerson) != nil {
			t.Errorf("entry %d opens as %+v, %v", e, o, err)
		}
	}
	if o, err := d.receipt(other).Open(true).Check(); err != nil || string(o.Entry.Person) != "subject c" {
		t.Errorf("another person's entry: %+v, %v", o, err)
	}
	var n int
	if err := d.db.Read().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM casebook_entries WHERE person IS NOT NULL").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d persons are stored, %v", n, err)
	}
}

func TestEscrowOpensAnEntryWithoutTheBook(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	entry := d.add(event(1, "submitted"))
	if _, err := d.book.EscrowBlob(t.Context(), entry); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("before it is witnessed: %v", err)
	}
	d.slots(1)
	blob, err := d.book.EscrowBlob(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	e, err := verify.ParseCaseEscrow(blob)
	if err != nil {
		t.Fatal(err)
	}
	o, err := e.Opening().Check()
	if err != nil || o.Hash != d.receipt(entry).Hash || o.Index != d.receipt(entry).Index || o.Entry.Event != "submitted" || !o.Shut(verify.FieldPerson) {
		t.Errorf("%+v, %v", o, err)
	}
}
