package journal_test

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"bonded/internal/journal"
	"bonded/verify"
)

func BenchmarkPrepare(b *testing.B) {
	j, _ := newJournal(b)
	row := readRow()
	b.ReportAllocs()
	for b.Loop() {
		p := j.Prepare(row)
		if p.Leaf == ([32]byte{}) {
			b.Fatal(p.Err())
		}
	}
}

func BenchmarkCommit1(b *testing.B)   { benchmarkCommit(b, 1) }
func BenchmarkCommit32(b *testing.B)  { benchmarkCommit(b, 32) }
func BenchmarkCommit256(b *testing.B) { benchmarkCommit(b, 256) }

// benchmarkCommit has so many callers commit one row of one item at a time.
func benchmarkCommit(b *testing.B, callers int) {
	j, db := newJournal(b)
	before, start, commits := cpu(b), time.Now(), db.Stats().Commits
	left := make(chan struct{}, b.N)
	for range b.N {
		left <- struct{}{}
	}
	close(left)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range left {
				if _, err := j.Commit(b.Context(), []journal.Prepared{j.Prepare(readRow())}, nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(n/time.Since(start).Seconds(), "rows/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/n, "cpu-µs/row")
	b.ReportMetric(n/float64(db.Stats().Commits-commits), "rows/commit")
}

// BenchmarkPromise is the header of one row of a commit of 256.
func BenchmarkPromise(b *testing.B) {
	j, _ := newJournal(b)
	rows := make([]journal.Prepared, 256)
	for i := range rows {
		rows[i] = j.Prepare(readRow())
	}
	entered, err := j.Commit(b.Context(), rows, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if len(entered[n%256].Promise().String()) > verify.MaxPromise {
			b.Fatal("too long")
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkSeal seals segments of 4,096 rows and indexes them.
func BenchmarkSeal(b *testing.B) {
	j, _ := newJournal(b)
	for b.Loop() {
		b.StopTimer()
		for range 16 {
			enter(b, j, make1(256)...)
		}
		b.StartTimer()
		if err := j.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/4096, "µs/row")
}

// BenchmarkHistory looks for a person in 30,000 rows that no run covers yet.
func BenchmarkHistory(b *testing.B) {
	j, _ := newJournal(b)
	who := readRow()
	enter(b, j, who)
	for range 30_000 / 250 {
		enter(b, j, make1(250)...)
	}
	for b.Loop() {
		if rows, err := j.History(b.Context(), who.Items[0].Subject, 0, 100); err != nil || len(rows) != 1 {
			b.Fatal(len(rows), err)
		}
	}
}
