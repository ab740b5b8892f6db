package keyholder_test

import (
	"testing"
	"time"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

func (w *world) catchUp(c *wire.CatchUp) (uint64, error) {
	res, err := w.k.CatchUp(w.t.Context(), c)()
	if err != nil {
		return 0, err
	}
	return res.Next, nil
}

// TestVaultCannotPassOverWhatAnchorsSaid puts an old database back and lets a
// vault lie about it: its newest anchors name an old head and no tombstones.
// Nothing but the ledger knows better.
func TestVaultCannotPassOverWhatAnchorsSaid(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	oldHead := w.status().Head
	w.anchor()
	copied := copyNow(t, w)
	w.erase(p)
	honest := w.anchor()

	putBack(t, w, copied)
	w.open = nil
	w.pass(time.Second)
	read := func() *wire.UnlockResult { return w.unlock(w.entry(verify.OpRead, p.read("name"))) }
	next, err := w.catchUp(&wire.CatchUp{})
	if err != nil || next >= uint64(len(w.entries)) {
		t.Fatalf("next entry %d of %d: %v", next, len(w.entries), err)
	}
	// 1. The newest alone, as often as it likes, and over a restart.
	for range 3 {
		a := w.makeAnchor(&oldHead, 0, [32]byte{})
		if _, err := w.k.Anchor(t.Context(), &a.Anchor)(); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, read(), bonded.CodeStale, "keyholder.start-check")
		w.open = nil
		w.restart()
	}
	// 2. The honest ones as if they were none.
	for i := next; i < uint64(len(w.entries)); i++ {
		if _, err := w.catchUp(&wire.CatchUp{Entry: w.entries[i], Proof: w.proof(int64(i), w.now())}); bonded.CodeOf(err) != bonded.CodeStale {
			t.Fatalf("an anchor shown without its fields: %v", err)
		}
	}
	if now, err := w.catchUp(&wire.CatchUp{}); err != nil || now != next {
		t.Errorf("next entry %d, want %d: %v", now, next, err)
	}
	// 3. What they said is the end of it.
	if _, err := w.k.Anchor(t.Context(), &honest.Anchor)(); bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("Anchor = %v", err)
	}
	wantRefused(t, read(), bonded.CodeRestored, "keyholder.restored")
}

func TestKeyholderIsShownTheWholeLedger(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.anchor()
	missed := []*anchored{}
	for range 2 {
		st, h := w.status(), w.hello()
		missed = append(missed, w.makeAnchor(&st.Head, h.Tombstones, h.Chain, w.sealSegment()))
	}
	other := []byte("an entry of another kind")
	proof := w.publish(other)
	w.pass(time.Second)
	w.restart()
	ok := func() bool {
		res := w.unlock(w.entry(verify.OpRead, p.read("name")))
		w.open = w.open[:len(w.open)-1]
		return res.Entries[0].Code == ""
	}
	w.anchor()
	if ok() {
		t.Fatal("unlocks although three entries were not shown")
	}
	if _, err := w.catchUp(&wire.CatchUp{Entry: other, Proof: proof}); err != nil {
		t.Fatal(err)
	}
	if w.anchor(); ok() {
		t.Fatal("unlocks although two entries were not shown in their place")
	}
	for _, a := range missed {
		if _, err := w.k.Anchor(t.Context(), &a.Anchor)(); err != nil {
			t.Fatal(err)
		}
	}
	at, err := w.catchUp(&wire.CatchUp{Entry: other, Proof: proof})
	if err != nil || w.entries[at-1][0] != other[0] {
		t.Fatalf("next entry %d: %v", at, err)
	}
	for i := int(at); i < len(w.entries); i++ {
		if _, err := w.k.Anchor(t.Context(), &w.shown[i].Anchor)(); err != nil {
			t.Fatal(err)
		}
	}
	if w.anchor(); !ok() {
		t.Errorf("after the whole ledger: %q", w.status().Reason)
	}
}

func TestErasureThatNoAnchorNamesStopsUnlocking(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.erase(w.create())
	silent := func() {
		st := w.status()
		a := w.makeAnchor(&st.Head, 0, [32]byte{}, w.sealSegment())
		if _, err := w.k.Anchor(t.Context(), &a.Anchor)(); err != nil {
			t.Fatal(err)
		}
	}
	read := func() *wire.UnlockResult { return w.unlock(w.entry(verify.OpRead, p.read("name"))) }
	silent()
	if res := read(); res.Entries[0].Code != "" {
		t.Fatalf("at once: %q", res.Entries[0].Rule)
	}
	w.pass(w.limits.Freshness + time.Second)
	silent()
	wantRefused(t, read(), bonded.CodeStale, "keyholder.tombstone-unanchored")
	w.restart()
	silent()
	wantRefused(t, read(), bonded.CodeStale, "keyholder.tombstone-unanchored")
	w.anchor()
	if res := read(); res.Entries[0].Code != "" {
		t.Errorf("after an anchor that names it: %q", res.Entries[0].Rule)
	}
}
