//go:build unix

package ledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"bonded/internal/ledger"
)

// BenchmarkAppend measures entries that are cosigned by two of three witnesses
// on loopback, with the default intervals and 64 callers.
func BenchmarkAppend(b *testing.B) {
	c := newTestCell(b)
	cfg := c.config(c.dir)
	cfg.CheckpointInterval, cfg.BatchAge = ledger.DefaultCheckpointInterval, ledger.DefaultBatchAge
	l := c.openWith(b, cfg)
	var n, waited atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			start := time.Now()
			if _, err := l.Append(b.Context(), fmt.Appendf(nil, "entry %d", n.Add(1))); err != nil {
				b.Error(err)
			}
			waited.Add(int64(time.Since(start)))
		}
	})
	b.ReportMetric(float64(waited.Load())/float64(b.N)/1e6, "ms/wait")
}
