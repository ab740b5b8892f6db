package keyholder_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded"
	"bonded/internal/keyholder"
	"bonded/internal/wire"
	"bonded/verify"
)

func TestNothingUnlocksBeforeAFreshAnchor(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	old := w.anchor()
	w.pass(time.Second)
	w.restart()
	read := func() *wire.UnlockResult { return w.unlock(w.entry(verify.OpRead, p.read("name"))) }
	wantRefused(t, read(), bonded.CodeStale, "keyholder.start-check")

	// The old anchor, even under a checkpoint of now, is not the newest entry
	// once another is there; under its own checkpoint it is of before the start.
	if _, err := w.k.Anchor(t.Context(), &old.Anchor)(); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, read(), bonded.CodeStale, "keyholder.start-check")
	st := w.status()
	fresh := w.makeAnchor(&st.Head, 0, [32]byte{}, w.sealSegment())
	renewed := old.Anchor
	renewed.Proof = w.proof(int64(len(w.entries)-2), w.now())
	if _, err := w.k.Anchor(t.Context(), &renewed)(); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, read(), bonded.CodeStale, "keyholder.start-check")
	if _, err := w.k.Anchor(t.Context(), &fresh.Anchor)(); err != nil {
		t.Fatal(err)
	}
	if res := read(); res.Entries[0].Code != "" {
		t.Errorf("after a fresh anchor: %q", res.Entries[0].Rule)
	}
	if st := w.status(); st.Reason != "" {
		t.Errorf("Reason = %q", st.Reason)
	}
}

func TestUnlockingStopsWithoutFreshCheckpoints(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.anchor()
	w.pass(15*time.Minute + time.Second)
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeStale, "keyholder.checkpoint-age")
	w.anchor()
	if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Errorf("after an anchor: %q", res.Entries[0].Rule)
	}
}

func TestVaultThatSkipsARowIsFoundOut(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	skipped := w.entry(verify.OpRead, p.read("name"))
	w.unlock(skipped)
	w.open = w.open[:len(w.open)-1]
	w.anchor()
	if st := w.status(); st.Unanchored != 1 {
		t.Fatalf("%d releases unanchored, want 1", st.Unanchored)
	}
	w.pass(16 * time.Minute)
	st := w.status()
	a := w.makeAnchor(&st.Head, 0, [32]byte{})
	res, err := w.k.Anchor(t.Context(), &a.Anchor)()
	if err != nil || len(res.Missing) != 1 || res.Missing[0] != skipped.Leaf {
		t.Fatalf("Anchor: %v, %+v", err, res)
	}
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeStale, "keyholder.release-unanchored")
	w.restart() // forgets nothing
	w.open = w.open[:0]
	w.anchor()
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeStale, "keyholder.release-unanchored")
	w.open = w.open[:0]

	// An orphan that names it is as good as the row.
	orphan := [32]byte{7}
	w.open, w.orphans = [][32]byte{orphan}, [][2][32]byte{{orphan, skipped.Leaf}}
	w.anchor()
	if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Errorf("after the orphan: %q", res.Entries[0].Rule)
	}
}

func TestUnanchoredReleasesSurviveARestart(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.anchor()
	w.unlock(w.entry(verify.OpRead, p.read("name")))
	kept := w.open
	w.open = nil
	w.anchor() // does not hold the row
	w.unlock(w.entry(verify.OpRead, p.read("name")))
	kept = append(kept, w.open...)
	w.open = nil
	w.restart()
	if st := w.status(); st.Unanchored != 2 {
		t.Fatalf("%d unanchored after a restart, want 2", st.Unanchored)
	}
	w.open = kept
	w.anchor()
	w.restart()
	if st := w.status(); st.Unanchored != 0 {
		t.Errorf("%d unanchored, want 0", st.Unanchored)
	}
}

func TestAnchorsThatDoNotHoldAreRefused(t *testing.T) {
	w := newWorld(t)
	w.create()
	st := w.status()
	seg := w.sealSegment()
	good := w.makeAnchor(&st.Head, 0, [32]byte{}, seg)
	for name, change := range map[string]func(*wire.Anchor){
		"other leaf":        func(a *wire.Anchor) { a.Leaf = bytes.Clone(a.Leaf); a.Leaf[40] ^= 1 },
		"other field":       func(a *wire.Anchor) { a.Fields = bytes.Clone(a.Fields); a.Fields[60] ^= 1 },
		"no segments":       func(a *wire.Anchor) { a.Segments = nil },
		"other row":         func(a *wire.Anchor) { a.Segments[0].Leaves = [][32]byte{{1}} },
		"orphan not inside": func(a *wire.Anchor) { a.Segments[0].Orphans = [][2][32]byte{{{1}, {2}}} },
		"too few witnesses": func(a *wire.Anchor) {
			lines := bytes.SplitAfter(a.Proof, []byte("\n"))
			a.Proof = bytes.Join(lines[:len(lines)-2], nil)
		},
		"no proof": func(a *wire.Anchor) { a.Proof = nil },
	} {
		t.Run(name, func(t *testing.T) {
			a, err := wire.DecodeAnchor(good.Encode())
			if err != nil {
				t.Fatal(err)
			}
			change(a)
			if _, err := w.k.Anchor(t.Context(), a)(); bonded.CodeOf(err) != bonded.CodeStale {
				t.Errorf("Anchor = %v", err)
			}
		})
	}
	if res, err := w.k.Anchor(t.Context(), &good.Anchor)(); err != nil || !res.Accepted {
		t.Errorf("the good one: %v", err)
	}
	good.Proof = w.proof(int64(len(w.entries)-1), w.now().Add(10*time.Minute))
	if _, err := w.k.Anchor(t.Context(), &good.Anchor)(); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("witnesses ahead of this clock: %v", err)
	}
}

// putBack restores the database files of a copy.
func putBack(t *testing.T, w *world, copied string) {
	t.Helper()
	w.k.Close()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	copyDatabase(t, copied, w.dir)
	w.openStore()
	w.start()
}

func TestOlderDatabasePutBackUnlocksNothing(t *testing.T) {
	w := newWorld(t)
	p, erased := w.create(), w.create()
	w.anchor()
	copied := t.TempDir()
	w.k.Close()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	copyDatabase(t, w.dir, copied)
	w.openStore()
	w.start()
	w.anchor()
	w.erase(erased)
	newest := w.status()
	h := w.hello()
	a := w.anchor()

	putBack(t, w, copied)
	w.pass(time.Second)
	wantRefused(t, w.unlock(w.entry(verify.OpRead, erased.read("name"))), bonded.CodeStale, "keyholder.start-check")
	a.Proof = w.proof(int64(len(w.entries)-1), w.now())
	if _, err := w.k.Anchor(t.Context(), &a.Anchor)(); bonded.CodeOf(err) != bonded.CodeRestored {
		t.Fatalf("the newest anchor: %v", err)
	}
	for _, who := range []person{p, erased} {
		wantRefused(t, w.unlock(w.entry(verify.OpRead, who.read("name"))), bonded.CodeRestored, "keyholder.restored")
	}
	if st := w.status(); st.Reason == "" {
		t.Error("the status does not say why")
	}

	putBack(t, w, copied)
	_, err := w.k.Hello(t.Context(), &wire.Hello{Cell: "eu", Node: 1, Head: newest.Head})()
	if bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("a vault that has seen more: %v", err)
	}
	putBack(t, w, copied)
	_, err = w.k.Hello(t.Context(), &wire.Hello{Cell: "eu", Node: 1, Tombstones: h.Tombstones, Chain: h.Chain})()
	if bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("a vault that has more tombstones: %v", err)
	}
}

func TestAlteredBookIsNotRead(t *testing.T) {
	w := newWorld(t)
	w.create()
	rows, err := w.store.Rows(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	w.k.Close()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	last := rows[len(rows)-1].Row
	found := false
	for _, name := range []string{"keyholder.db", "keyholder.db-wal"} {
		path := filepath.Join(w.dir, name)
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.LastIndex(b, last); at >= 0 {
			found = true
			b[at+len(last)-20] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !found {
		t.Fatal("row not found in the files")
	}
	w.openStore()
	if err := w.tryStart(); bonded.CodeOf(err) != bonded.CodeAltered {
		t.Errorf("Unseal = %v", err)
	}
	if !w.k.Sealed() {
		t.Error("it is unsealed")
	}
}

func TestLimitsOfTheOperatorAreChecked(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*keyholder.Limits){
		"freshness of days":    func(l *keyholder.Limits) { l.Freshness = 48 * time.Hour },
		"no freshness":         func(l *keyholder.Limits) { l.Freshness = 0 },
		"old keys for a year":  func(l *keyholder.Limits) { l.OldCellKey = 365 * 24 * time.Hour },
		"no ceiling of budget": func(l *keyholder.Limits) { l.MaxBudget = 0 },
	} {
		l := w.limits
		change(&l)
		if _, err := keyholder.New(keyholder.Config{Cell: "eu", Store: w.store, Driver: w.driver, Keyring: w.ring, Limits: l}); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}
