package keyholder_test

import (
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// limitFiles makes every write beyond size bytes of a file fail, as a full
// disk does, until the function returned is called.
func limitFiles(t *testing.T, size uint64) func() {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDiskReleasesNothingAndRecovers(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.anchor()
	n := len(w.book())
	info, err := os.Stat(filepath.Join(w.dir, "keyholder.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	lift := limitFiles(t, uint64(info.Size()))
	defer lift()

	// Many at once: those in flight behind the one that fails fail as well.
	ghost := person{subject: bonded.NewID(), record: bonded.NewID()}
	var wg sync.WaitGroup
	finish := make([]func() (*wire.UnlockResult, error), 8)
	for i := range finish {
		e := w.entry(verify.OpRead, p.read("name"))
		if i == 3 {
			e = w.entry(verify.OpCreate, wire.Item{Create: true, Subject: ghost.subject, Record: ghost.record, Fields: []wire.FieldVersion{{Name: "name"}}})
		}
		finish[i] = w.k.Unlock(&wire.Unlock{Node: 1, Incarnation: 1, Entries: []wire.Entry{e}})
		wg.Go(func() {
			if res, err := finish[i](); bonded.CodeOf(err) != bonded.CodeNotWritable || res != nil {
				t.Errorf("batch %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if _, err := w.tryUnlock(w.entry(verify.OpRead, p.read("name"))); bonded.CodeOf(err) != bonded.CodeNotWritable {
		t.Errorf("with a full disk: %v", err)
	}
	w.open = nil
	lift()

	res := w.unlock(w.entry(verify.OpRead, p.read("name")))
	if res.Entries[0].Code != "" || res.Entries[0].Items[0].N != 2 {
		t.Errorf("after space came back: %+v", res.Entries[0])
	}
	if got := len(w.book()); got != n+1 {
		t.Errorf("book has %d rows, want %d", got, n+1)
	}
	if st := w.status(); st.Subjects != 1 || st.Unanchored != 1 {
		t.Errorf("%d subjects, %d unanchored", st.Subjects, st.Unanchored)
	}
	again := w.unlock(w.entry(verify.OpCreate, wire.Item{Create: true, Subject: ghost.subject, Record: ghost.record, Fields: []wire.FieldVersion{{Name: "name"}}}))
	if again.Entries[0].Items[0].Code != "" {
		t.Errorf("creating again what was never created: %q", again.Entries[0].Items[0].Code)
	}
	w.anchor()
	w.restart()
	w.anchor()
}
