//go:build linux

package witness_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFullDiskSignsNothingAndRecovers(t *testing.T) {
	l := newTestLog(t, 40)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("skipped: mounting a small tmpfs needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	w := startWitness(t, l, dir, nil)
	w.mustSign(t, l, 0, 10)

	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	_ = f.Close()
	if status, _, answer := w.post(t, l.request(t, 10, 20)); status != 503 || strings.Contains(answer, "—") {
		t.Fatalf("status %d %q", status, answer)
	}
	if status, _, answer := w.post(t, l.request(t, 0, 20)); status != 409 || answer != "10\n" {
		t.Errorf("after the failed write: status %d %q", status, answer)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.mustSign(t, l, 10, 20)
	w.stop()
	w = startWitness(t, l, dir, nil)
	w.mustSign(t, l, 20, 30)
}
