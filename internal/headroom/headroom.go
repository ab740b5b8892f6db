// Package headroom spaces out the garbage collections of a small heap.
//
// By default a collection begins when the heap has doubled. The heaps of a
// vault and a keyholder are some ten MiB and they allocate hundreds of MiB a
// second under load, so that collecting would cost more than the work between.
// [Keep] lets them grow by a fixed amount instead, and returns to doubling as
// the heap grows. It sets no limit on memory.
package headroom

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// maxPercent bounds growth where the heap is tiny, or was when it was last
// looked at.
const maxPercent = 800

// Keep lets the heap grow by bytes, or to double its size if that is more,
// between two collections, until ctx ends. It does nothing if the environment
// has GOGC: then the operator has chosen.
func Keep(ctx context.Context, bytes uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	before := 0
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		metrics.Read(live)
		if p := Percent(live[0].Value.Uint64(), bytes); p != before {
			debug.SetGCPercent(p)
			before = p
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Percent returns the value of GOGC that lets a heap of live bytes grow by
// bytes, in steps of 25: at least 100, at most 800.
func Percent(live, bytes uint64) int {
	p := maxPercent
	if live > 0 && bytes/live < maxPercent/100 {
		p = int(100 * bytes / live) //nolint:gosec // below 800
	}
	return max(100, p/25*25)
}
