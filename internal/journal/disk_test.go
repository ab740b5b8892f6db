//go:build linux

package journal_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bonded"
	"bonded/internal/journal"
	"bonded/verify"
)

func TestFullDiskRefusesRowsAndRecovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	db := openDB(t, filepath.Join(dir, "vault.db"))
	j := openJournal(t, db, nil)

	// 1. Fill what is left, so that rows stop fitting soon.
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	entered, refused := 0, 0
	var lost verify.RowRef
	for range 20_000 {
		p := j.Prepare(readRow())
		if _, err := j.Commit(t.Context(), []journal.Prepared{p}, nil); err == nil {
			entered++
			continue
		} else if bonded.CodeOf(err) != bonded.CodeNotWritable {
			t.Fatal(err)
		}
		lost = p.Row.RowRef
		if refused++; refused == 3 {
			break
		}
	}
	if refused == 0 || j.Failures() != uint64(refused) {
		t.Fatalf("%d refusals, %d failures counted", refused, j.Failures())
	}

	// 2. With room again rows are entered again, and no refused one is there.
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		enter(t, j, readRow())
		entered++
	}
	if rows := allRows(t, j); len(rows) != entered {
		t.Fatalf("%d rows, entered %d", len(rows), entered)
	}
	if _, err := j.RowByRef(t.Context(), lost); bonded.CodeOf(err) != bonded.CodeWithheld {
		t.Fatalf("a refused row: %v", err)
	}
	if err := j.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkJournal(t.Context(), t, j, nil)
}

func TestFileSizeLimitRefusesRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.db")
	db := openDB(t, path)
	j := openJournal(t, db, nil)
	enter(t, j, readRow())

	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Skip(err)
	}
	limit := old
	limit.Cur = 200 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip(err)
	}
	restore := func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }
	defer restore()
	var err error
	for range 5000 {
		if _, err = j.Commit(t.Context(), []journal.Prepared{j.Prepare(readRow())}, nil); err != nil {
			break
		}
	}
	restore()
	if bonded.CodeOf(err) != bonded.CodeNotWritable {
		t.Fatalf("past the limit: %v", err)
	}
	enter(t, j, readRow())
	if err := j.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkJournal(t.Context(), t, j, nil)
}

func TestReadOnlyFolderCannotBeOpened(t *testing.T) {
	if os.Geteuid() == 0 {
		dir := t.TempDir()
		if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("no read-only mount can be made here: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Skipf("no read-only mount can be made here: %v", err)
		}
		checkReadOnly(t, dir)
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // taking rights away
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) //nolint:gosec // a folder of the test
	checkReadOnly(t, dir)
}
