package release_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"bonded/internal/release"
	"bonded/verify"
)

// heapWatch is a sink that measures the heap every few hundred rows.
type heapWatch struct {
	rows int
	peak uint64
}

func (h *heapWatch) Begin(*verify.PackageReport) error { h.measure(); return nil }
func (h *heapWatch) End() error                        { return nil }

func (h *heapWatch) Row(r *release.Row) error {
	if h.rows++; h.rows%500 == 0 {
		h.measure()
	}
	return nil
}

func (h *heapWatch) measure() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.peak = max(h.peak, m.HeapAlloc)
}

// A package of the most items there may be is opened with the memory of a few:
// what is kept of each item is a hash or two.
func TestOpeningTenThousandItemsKeepsMemoryFlat(t *testing.T) {
	open := func(n int) (peak uint64, size int64) {
		t.Helper()
		w := newWorld(t)
		path := filepath.Join(t.TempDir(), "case.bonded")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w.write(f, users(n))
		w.entries, w.hashes = nil, nil
		fi, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		sink := new(heapWatch)
		if _, err := release.Open(f, fi.Size(), w.directory, now, w.key, w.private, sink); err != nil {
			t.Fatal(err)
		}
		if sink.rows != n {
			t.Fatalf("%d rows of %d", sink.rows, n)
		}
		return sink.peak - min(before.HeapAlloc, sink.peak), fi.Size()
	}
	few, _ := open(100)
	many, size := open(verify.MaxScopeItems)
	t.Logf("heap beyond the start: %d KiB for 100 items, %d KiB for %d items of %d KiB", few>>10, many>>10, verify.MaxScopeItems, size>>10)
	if many > few+4<<20 {
		t.Errorf("heap grew from %d to %d bytes", few, many)
	}
}
