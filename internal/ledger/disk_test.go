//go:build linux

package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"bonded"
	"bonded/verify"
)

// A full disk stops the ledger with a code, loses nothing that was
// acknowledged, and does not need a restart once there is space.
func TestFullDiskRefusesAndRecovers(t *testing.T) {
	c := newTestCell(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("skipped: mounting a small tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	cfg := c.config(dir)
	cfg.Deadline = 2 * time.Second
	l := c.openWith(t, cfg)

	acked := map[int64][]byte{}
	add := func() error {
		leaf := bytes.Repeat([]byte{byte(len(acked) + 1)}, 200)
		r, err := l.Append(t.Context(), leaf)
		if err == nil {
			acked[r.Index()] = leaf
		}
		return err
	}
	if err := add(); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	if err := add(); bonded.CodeOf(err) != bonded.CodeNotWritable && bonded.CodeOf(err) != bonded.CodeStale {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	until(t, "the ledger to take entries again", func() bool { return add() == nil })

	for i, leaf := range acked {
		if got, err := l.ReadEntry(t.Context(), i); err != nil || !bytes.Equal(got, leaf) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	select {
	case err := <-l.Fatal():
		t.Errorf("a full disk is not fatal: %v", err)
	default:
	}
	closeLedger(t, l)
	if _, err := verify.CheckLog(fetchDir(dir), c.vkey, c.verifyPolicy(), verify.LogOptions{}); err != nil {
		t.Error(err)
	}
}

// fill writes until the disk has no space left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}
