//go:build unix

package casebook_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded/internal/sqldb"
	"bonded/verify"
)

// A stranger's monitor follows a growing ledger and feed, and finds out a log
// that shows another past.
func TestMonitorFollowsLedgerAndFeed(t *testing.T) {
	t.Parallel()
	d := newRig(t).desk(noExtensions)
	entry := d.add(event(1, "submitted"))
	m, err := verify.NewMonitor(&verify.DirectoryCell{ID: cell, LedgerKey: d.vkey, WitnessPolicy: d.policy}, verify.MonitorOptions{Grace: grace})
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(d.dir, path)) }
	page := func(from uint64) ([]json.RawMessage, uint64, error) {
		all := d.feedJSON()
		return all[min(from-1, uint64(len(all))):], uint64(len(all)) + 1, nil
	}
	look := func() *verify.MonitorReport {
		t.Helper()
		if err := m.Follow(fetch); err != nil {
			t.Fatal(err)
		}
		if err := m.Openings(page); err != nil {
			t.Fatal(err)
		}
		return m.Report(d.clock.now())
	}
	for n := range 3 {
		d.slots(1)
		r := look()
		if r.Cases.Leaves != int64((n+1)*perSlot) || len(r.Faults) > 0 {
			t.Fatalf("%+v", r.Cases)
		}
		// This log has no anchors at all, which is the one thing to tell.
		if len(r.Alarms) != 1 || r.Alarms[0].Why != verify.AlarmAnchor || r.Verdict() != verify.DoesNotHold {
			t.Errorf("alarms %v", r.Alarms)
		}
	}
	d.update(func(tx *sqldb.Tx) error { return d.book.Reveal(tx, entry) })
	if r := look(); r.Openings != 1 || r.Cases.Entries != 1 {
		t.Errorf("%d openings, %+v", r.Openings, r.Cases)
	}
	if r := m.Report(d.clock.now().Add(time.Hour)); r.Alarms[0].Why != verify.AlarmCheckpoint {
		t.Errorf("an hour without a checkpoint: %v", r.Alarms)
	}

	// The whole ledger checks as well, and says how case leaves came.
	rep, err := verify.CheckCellLedger(fetch, &verify.DirectoryCell{ID: cell, LedgerKey: d.vkey, WitnessPolicy: d.policy}, verify.LogOptions{})
	if err != nil || rep.Cases.Slots != 3 || rep.Cases.PerSlot != perSlot {
		t.Errorf("%+v, %v", rep.Cases, err)
	}

	// Another past: the first bundle is replaced by what was never there.
	good := fetch
	d.slots(1)
	fetch = func(path string) ([]byte, error) {
		b, err := good(path)
		if err == nil && filepath.Dir(filepath.Dir(path)) == "tile/entries" {
			b[len(b)-1-verify.LeafSize] ^= 1
		}
		return b, err
	}
	if err := m.Follow(fetch); verify.VerdictOf(err) == verify.Holds {
		t.Error("entries that do not make the root were taken")
	}
}
