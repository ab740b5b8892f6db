//go:build unix

package casebook_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/internal/casebook"
	"bonded/internal/ledger"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

var errDead = errors.New("the process was killed here")

// A reaper kills a vault at one point: before or after a commit or an append.
// From there on nothing that it does has an effect.
type reaper struct {
	left atomic.Int64 // points to go
	dead atomic.Bool
}

// point is one place at which the process can die.
func (r *reaper) point() error {
	if r.left.Add(-1) == 0 {
		r.dead.Store(true)
	}
	if r.dead.Load() {
		return errDead
	}
	return nil
}

// BeforeCommit implements [sqldb.Hook].
func (r *reaper) BeforeCommit(*sqldb.Tx, []*sqldb.Job) error { return r.point() }

// AfterCommit implements [sqldb.Hook].
func (r *reaper) AfterCommit([]*sqldb.Job, error) { _ = r.point() }

// A mortalLedger is a real ledger whose caller can die.
type mortalLedger struct {
	*ledger.Ledger
	reaper *reaper
}

// Append implements [casebook.Ledger].
func (l *mortalLedger) Append(ctx context.Context, leaf []byte) (ledger.Receipt, error) {
	if err := l.reaper.point(); err != nil {
		return ledger.Receipt{}, err
	}
	r, err := l.Ledger.Append(ctx, leaf)
	if dead := l.reaper.point(); dead != nil {
		return ledger.Receipt{}, dead
	}
	return r, err
}

// Many vaults, each killed at another step of the same story and started
// again: everything is in the ledger once, opens once, and the monitor finds
// nothing.
func TestKilledAtAnyStepGoesOnExactlyOnce(t *testing.T) {
	t.Parallel()
	const points = 84
	r := newRig(t)
	type vault struct {
		*desk
		reaper  *reaper
		entries []int64
	}
	var vaults []*vault
	for k := range points {
		v := &vault{reaper: new(reaper)}
		v.desk = r.desk(func(c *casebook.Config) {
			noExtensions(c)
			c.Cell, c.PerSlot = bonded.CellID(fmt.Sprintf("v%d", k)), 2
			c.Ledger = &mortalLedger{r.ledger, v.reaper}
		})
		v.entries = []int64{v.add(event(1, "submitted")), v.add(event(1, "take")), v.add(event(2, "submitted"))}
		registry := v.add(&verify.CaseEntry{Type: verify.EntryRegistry, Content: [32]byte{1}})
		v.entries = append(v.entries, registry)
		v.update(func(tx *sqldb.Tx) error {
			return errors.Join(v.book.Reveal(tx, registry), v.book.Hold(tx, id(1), v.clock.now().Add(horizon+20*slot)))
		})
		v.reaper.left.Store(int64(k + 1))
		v.db.SetHook(v.reaper)
		vaults = append(vaults, v)
	}
	all := func() {
		t.Helper()
		r.seen()
		var wg sync.WaitGroup
		for _, v := range vaults {
			wg.Go(func() {
				err := v.book.Tick(t.Context())
				if err != nil && !v.reaper.dead.Load() {
					t.Errorf("cell %s: %v", v.cfg.Cell, err)
				}
				if v.reaper.dead.Load() && v.cfg.Ledger != nil { // once more, without the reaper
					v.cfg.Ledger = nil
					v.restart()
					if err := v.book.Tick(t.Context()); err != nil {
						t.Errorf("cell %s after its death: %v", v.cfg.Cell, err)
					}
				}
			})
		}
		wg.Wait()
	}
	first := r.clock.seconds() + 60
	for _, at := range []int64{0, 1, 29, 30, 31, 32, 33, 53} { // slots after the first
		r.clock.at.Store(first + at*60)
		all()
	}
	t.Log(points-1-int(vaults[points-1].reaper.left.Load()), "steps")
	if vaults[points-1].reaper.dead.Load() {
		t.Errorf("the story has more than %d steps: the last were not tried", points)
	}
	for _, v := range vaults {
		v.checkStory(t, v.entries)
	}
}

// checkStory holds ledger, feed and receipts against one another at the end.
func (d *desk) checkStory(t *testing.T, entries []int64) {
	t.Helper()
	rep := d.monitored(nil)
	if len(rep.Faults) > 0 || rep.Entries != int64(len(entries)) || rep.Extensions != 2 {
		t.Errorf("cell %s: %d entries, %d extensions, faults %v", d.cfg.Cell, rep.Entries, rep.Extensions, rep.Faults)
	}
	for _, a := range rep.Alarms {
		if a.Why != verify.AlarmUnopened || a.Due.Unix() <= d.clock.seconds()-int64(grace/time.Second)-int64(slot/time.Second) {
			t.Errorf("cell %s: alarm %v", d.cfg.Cell, a)
		}
	}
	seen := map[string]bool{}
	for _, o := range d.feed() {
		key := fmt.Sprint(o.Index, o.Closed)
		if seen[key] {
			t.Errorf("cell %s: entry %d was opened twice", d.cfg.Cell, o.Index)
		}
		seen[key] = true
	}
	places := map[tlog.Hash]bool{}
	for _, e := range entries {
		r, err := d.book.Receipt(t.Context(), e)
		if err != nil {
			t.Errorf("cell %s: %v", d.cfg.Cell, err)
			continue
		}
		if _, err := verify.CheckInclusion(r.Leaf, r.Proof, d.vkey, d.verifyPolicy()); err != nil || places[r.Hash] {
			t.Errorf("cell %s: receipt of entry %d: %v", d.cfg.Cell, e, err)
		}
		places[r.Hash] = true
	}
}

func TestSlotsAreMissedWhileWitnessesAreAway(t *testing.T) {
	t.Parallel()
	d := newRigOf(t, newClock(), 2*time.Second).desk(noExtensions)
	d.slots(2)
	d.down.Store(true)
	var entries []int64
	for i := range 2*perSlot + 1 {
		entries = append(entries, d.add(event(byte(i), "submitted")))
	}
	for range 4 {
		d.clock.pass(slot)
		if err := d.book.Tick(t.Context()); bonded.CodeOf(err) != bonded.CodeStale {
			t.Fatalf("without witnesses: %v", err)
		}
	}
	if leaves, _ := d.caseLeaves(); len(leaves) != 2*perSlot {
		t.Fatalf("%d leaves are witnessed without witnesses", len(leaves))
	}
	d.down.Store(false)
	d.slots(3)
	leaves, hashes := d.caseLeaves()
	perTime, distinct := map[uint64]int{}, map[tlog.Hash]bool{}
	for i, l := range leaves {
		perTime[l.Time]++
		distinct[hashes[i]] = true
	}
	for at, n := range perTime {
		if n != perSlot {
			t.Errorf("the slot at %d has %d leaves", at, n)
		}
	}
	// Two before, the one that was begun, and three afterwards, the first of
	// which comes in the same tick in which the begun one is finished.
	if len(perTime) != 6 || len(distinct) != len(leaves) {
		t.Errorf("%d slots, %d leaves, %d of them distinct", len(perTime), len(leaves), len(distinct))
	}
	for _, e := range entries {
		d.receipt(e)
	}
	if r := d.holds(); r.Missed != 3 {
		t.Errorf("%d slots were missed", r.Missed)
	}
}

func TestLeafAppendedTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	entry := d.add(event(1, "submitted"))
	d.slots(1)
	r := d.receipt(entry)
	again, err := d.ledger.Append(t.Context(), r.Leaf) // an append that was given up and came through later
	if err != nil {
		t.Fatal(err)
	}
	d.slots(1)
	if r, err := d.ledger.Append(t.Context(), r.Leaf); err != nil || r.Index() <= again.Index() {
		t.Fatal(err)
	}
	d.restart()
	d.slots(1)
	d.update(func(tx *sqldb.Tx) error { return d.book.Reveal(tx, entry) })
	if rep := d.holds(); rep.Leaves != 3*perSlot || rep.Opened != 1 {
		t.Errorf("the monitor counts %d leaves, %d open", rep.Leaves, rep.Opened)
	}
	if same := d.receipt(entry); same.Index != r.Index {
		t.Errorf("the entry moved from %d to %d", r.Index, same.Index)
	}
}

func TestOldCopyOfTheDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	d.slots(1)
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.openBook()
	d.slots(1)
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	d.path = filepath.Join(t.TempDir(), "old.db")
	if err := os.WriteFile(d.path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	d.openBook()
	if err := d.book.Run(t.Context()); bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("got %v", err)
	}
}

func TestRunMakesASlotASecond(t *testing.T) {
	t.Parallel()
	c := newClock()
	c.real.Store(true)
	d := newRigOf(t, c, 10*time.Second).desk(func(c *casebook.Config) { c.Slot, c.Horizon = time.Second, 32*time.Second })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.book.Run(ctx) }()
	for i := range 3 {
		wait, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if _, err := d.book.Await(wait, d.add(event(byte(i), "submitted"))); err != nil {
			t.Error(err)
		}
		cancel()
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	leaves, _ := d.caseLeaves()
	for _, l := range leaves {
		if l.OpenBy != l.Time+32 {
			t.Errorf("%+v", l)
		}
	}
}
