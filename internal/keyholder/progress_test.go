package keyholder_test

import (
	"bytes"
	"testing"
	"time"

	"bonded"
	"bonded/verify"
)

// copyNow returns a copy of the database as it is, made between two runs.
func copyNow(t *testing.T, w *world) string {
	t.Helper()
	copied := t.TempDir()
	w.k.Close()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	copyDatabase(t, w.dir, copied)
	w.openStore()
	w.start()
	w.anchor()
	return copied
}

// TestOldDatabaseIsKnownWithoutTheVault puts an old database back under a
// vault that lies: it anchors neither head nor tombstones.
func TestOldDatabaseIsKnownWithoutTheVault(t *testing.T) {
	w := newWorld(t, func(w *world) { w.beside = &memoryRing{} })
	p := w.create()
	w.anchor()
	copied := copyNow(t, w)
	w.erase(p)

	putBack(t, w, copied)
	w.open = nil
	a := w.makeAnchor(nil, 0, [32]byte{})
	if _, err := w.k.Anchor(t.Context(), &a.Anchor)(); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeRestored, "keyholder.restored")
	if st := w.status(); st.Reason == "" {
		t.Error("the status does not say why")
	}
}

func TestNewestDatabaseComesBackWithItsProgress(t *testing.T) {
	w := newWorld(t, func(w *world) { w.beside = &memoryRing{} })
	p, erased := w.create(), w.create()
	w.erase(erased)
	w.pass(time.Minute)
	w.anchor()
	w.restart()
	w.anchor()
	if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Errorf("after a restart: %q %q", res.Entries[0].Code, res.Entries[0].Rule)
	}
}

func TestAlteredProgressIsNotUnsealed(t *testing.T) {
	ring := &memoryRing{}
	w := newWorld(t, func(w *world) { w.beside = ring })
	w.erase(w.create())
	ring.file = bytes.Replace(ring.file, []byte(`"tombstones":1`), []byte(`"tombstones":0`), 1)
	w.k.Close()
	if err := w.tryStart(); bonded.CodeOf(err) != bonded.CodeAltered {
		t.Errorf("Unseal = %v", err)
	}
}

func TestAnchorWithoutHeadPassesNoStartCheck(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.anchor()
	w.restart()
	a := w.makeAnchor(nil, 0, [32]byte{})
	if _, err := w.k.Anchor(t.Context(), &a.Anchor)(); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeStale, "keyholder.start-check")
	w.anchor()
	if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Errorf("after an anchor with a head: %q", res.Entries[0].Rule)
	}
}
