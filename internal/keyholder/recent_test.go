package keyholder_test

import (
	"testing"
	"time"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

func TestAnchoredRowIsNotReleasedAgain(t *testing.T) {
	w := newWorld(t)
	p, q := w.create(), w.create()
	e := w.entry(verify.OpRead, p.read("name"))
	unread := w.entry(verify.OpRead, p.read("name")) // a row that was anchored without a release
	w.open = append(w.open, unread.Leaf)
	w.unlock(e)
	old := w.anchor()
	reuse := func(leaf [32]byte) *wire.UnlockResult {
		x := w.entry(verify.OpRead, q.read("name"))
		x.Leaf = leaf
		res := w.unlock(x)
		w.open = nil
		return res
	}
	wantRefused(t, reuse(e.Leaf), bonded.CodeKeyholderRefused, "keyholder.row-reused")
	wantRefused(t, reuse(unread.Leaf), bonded.CodeKeyholderRefused, "keyholder.row-reused")
	w.restart()
	w.anchor()
	wantRefused(t, reuse(e.Leaf), bonded.CodeKeyholderRefused, "keyholder.row-reused")

	// What is forgotten after a while still needs a place of its own: the
	// anchor accepted before strikes out nothing.
	for range 6 {
		w.pass(w.limits.Freshness)
		w.unlock(w.entry(verify.OpRead, q.read("name")))
		w.anchor()
	}
	if res := reuse(e.Leaf); res.Entries[0].Code != "" {
		t.Fatalf("after an hour and a half: %q", res.Entries[0].Rule)
	}
	for range 2 {
		if _, err := w.k.Anchor(t.Context(), &old.Anchor)(); err != nil {
			t.Fatal(err)
		}
		if st := w.status(); st.Unanchored != 1 {
			t.Errorf("%d releases unanchored after an old anchor, want 1", st.Unanchored)
		}
		w.restart()
		w.anchor()
	}
	w.pass(w.limits.Freshness + time.Second)
	w.anchor()
	wantRefused(t, w.unlock(w.entry(verify.OpRead, q.read("name"))), bonded.CodeStale, "keyholder.release-unanchored")
}
