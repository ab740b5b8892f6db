//go:build unix

package frontdoor_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"bonded"
	"bonded/internal/frontdoor"
	"bonded/internal/sqldb"
	"bonded/verify"
)

var errPower = errors.New("the power went off")

// flaky fails one entry, as a commit does that is lost.
type flaky struct {
	frontdoor.Book

	left *int
}

func (f flaky) Add(tx *sqldb.Tx, e *verify.CaseEntry, persons ...[]byte) (int64, error) {
	if e.Type == verify.EntryCase {
		if *f.left--; *f.left == 0 {
			return 0, errPower
		}
	}
	return f.Book.Add(tx, e, persons...)
}

// drive takes a case to its delivery from wherever it is, as people would who
// come back after a crash.
func (w *world) drive(id bonded.CaseID) {
	w.t.Helper()
	for range 30 {
		v, err := w.door.Case(w.ctx, w.call("guardian"), id)
		if bonded.CodeOf(err) == bonded.CodeWithheld {
			_, _ = w.door.PutDocument(w.ctx, w.call("officer"), id, sum(instrument), instrument)
			continue
		}
		if err == nil {
			switch v.State {
			case "submitted":
				_ = w.decide(id, "intake", "intake", "take")
			case "verifying", "preserved":
				_ = w.decide(id, "intake", "intake", "forward")
			case "under_review":
				_ = w.decide(id, "legal-1", "legal", "approve", w.details(id))
				_ = w.decide(id, "legal-2", "legal", "approve", w.details(id))
			case "notice_pending":
				_ = w.decide(id, "legal-1", "legal", "proceed")
			case "awaiting_quorum":
				for _, c := range w.quorum() {
					_ = w.approve(id, c, true)
				}
			case "opening":
				for _, c := range w.quorum() {
					_ = w.partials(id, c, nil)
				}
			case "delivered":
				if w.records.resealed[id] > 0 {
					return
				}
			}
		}
		_ = w.tryTick()
	}
	w.t.Fatalf("the case does not come to its delivery: %s", w.story(id))
}

const wholeStory = "transition>submitted:routine eu_epo transition>verifying transition>preserved freeze:held transition>under_review transition>notice_pending transition>awaiting_quorum quorum opening>opening delivery>delivered:full notice:authority"

// TestCaseGoesOnAfterAFaultInAnyStep lets each step fail once, what the vault
// does and what is committed, restarts, and wants the same entries as if
// nothing had happened.
func TestCaseGoesOnAfterAFaultInAnyStep(t *testing.T) {
	failing := 0
	w := staffed(t, func(c *frontdoor.Config) { c.Book = flaky{c.Book, &failing} })
	ada(w)
	check := func(t *testing.T, id bonded.CaseID) {
		t.Helper()
		if s := w.story(id); s != wholeStory {
			t.Errorf("the entries are\n%s\nwant\n%s", s, wholeStory)
		}
		if got := w.opened(id, w.fetch(id)); got["passport"] != "C01X00T47" || got["name"] != "Ada Beispiel" {
			t.Errorf("opened %v", got)
		}
		if left, err := filepath.Glob(filepath.Join(w.dir, "packages", "*.tmp")); err != nil || len(left) > 0 {
			t.Errorf("a half-written package is left: %v %v", left, err)
		}
		w.must(w.decide(id, "legal-1", "legal", "close"))
	}
	start := func() bonded.CaseID {
		res, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(w.request(), "officer"))
		w.must(err)
		return res.Case
	}
	for _, op := range []string{"freeze", "resolve", "snapshot", "envelopes", "release", "released", "receipt", "reseal"} {
		t.Run("vault fails to "+op, func(t *testing.T) {
			w.records.fail = func(name string) error {
				if name != op {
					return nil
				}
				w.records.fail = nil
				return errPower
			}
			id := start()
			w.drive2(id, func() bool { return w.records.fail == nil })
			check(t, id)
		})
	}
	for n := 1; n <= 10; n++ {
		t.Run(fmt.Sprintf("commit of entry %d is lost", n), func(t *testing.T) {
			id := start()
			failing = n
			w.drive2(id, func() bool { return failing <= 0 })
			check(t, id)
		})
	}
}

// drive2 drives a case, and restarts the vault right after the fault.
func (w *world) drive2(id bonded.CaseID, failed func() bool) {
	w.t.Helper()
	w.once = func() {
		if failed() {
			w.once = nil
			w.restart()
		}
	}
	w.drive(id)
	w.once = nil
}

func TestDeadlinesFireOnceAcrossRestarts(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	for range 4 {
		w.pass(5 * 24 * 3600 * 1e9)
		w.restart()
		w.must(w.door.Turn(w.ctx))
	}
	w.state(id, "lapsed")
	n := 0
	for _, e := range w.view(id, "legal-1").Entries {
		if e.State == "lapsed" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the case lapsed %d times", n)
	}
}
