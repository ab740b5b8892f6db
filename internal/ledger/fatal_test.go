//go:build unix

package ledger_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"bonded"

	"k8s.io/klog/v2"
)

// The publisher of Tessera only logs what fails; a disk fault in it must still
// stop the process.
func TestDiskFaultOfThePublisherIsFatal(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	mustAppend(t, l, "a")
	klog.Warningf("publishCheckpoint: %v", fmt.Errorf("createOverwrite(checkpoint): %w", syscall.ENOSPC))
	select {
	case err := <-l.Fatal():
		t.Fatalf("a full disk is fatal: %v", err)
	default:
	}
	klog.Warningf("publishCheckpoint: %v", fmt.Errorf("createOverwrite(checkpoint): %w", syscall.EIO))
	select {
	case err := <-l.Fatal():
		if bonded.CodeOf(err) != bonded.CodeNotWritable {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("a disk fault was not reported")
	}
}
