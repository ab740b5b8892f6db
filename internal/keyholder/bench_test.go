//go:build unix

package keyholder_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"bonded"
	"bonded/internal/keyholder"
	"bonded/internal/wire"
	"bonded/verify"
)

func BenchmarkUnlock32(b *testing.B)  { benchmarkUnlock(b, 32) }
func BenchmarkUnlock256(b *testing.B) { benchmarkUnlock(b, 256) }

// benchmarkUnlock measures single-item bearer reads of random people, through
// the bytes of both messages, with two batches in flight; one operation is one
// read.
func benchmarkUnlock(b *testing.B, size int) {
	for _, proven := range []bool{false, true} {
		b.Run(fmt.Sprintf("proven=%t", proven), func(b *testing.B) { runUnlock(b, size, proven) })
	}
}

func runUnlock(b *testing.B, size int, proven bool) {
	w := newWorld(b, func(w *world) { w.limits.Freshness = keyholder.MaxFreshness })
	people := make([]person, 0, 4096)
	for len(people) < 4096 {
		var items []wire.Item
		for range 256 {
			items = append(items, wire.Item{Create: true, Subject: bonded.NewID(), Record: bonded.NewID(), Fields: []wire.FieldVersion{{Name: "name"}}})
		}
		res := w.unlock(w.entry(verify.OpCreate, items...))
		for i, it := range res.Entries[0].Items {
			people = append(people, person{subject: items[i].Subject, record: items[i].Record, version: it.Version})
		}
	}
	w.anchor()
	session, key, _ := openSession(b, w, "app")
	batches := make([][]byte, 0, b.N/size+1)
	var counter uint64
	for n := 0; n < b.N; n += size {
		u := &wire.Unlock{Node: 1, Incarnation: 1}
		for i := range min(size, b.N-n) {
			e := w.entry(verify.OpRead, people[(n+i*7)%len(people)].read("name"))
			if proven {
				counter++
				prove(&e, session, key, counter, nil)
				e.Auth.Named = nil
			}
			_, _ = rand.Read(e.Leaf[:8])
			u.Entries = append(u.Entries, e)
		}
		batches = append(batches, wire.EncodeUnlock(u))
	}
	b.ReportAllocs()
	b.ResetTimer()
	start := cpuTime()
	inFlight := make(chan struct{}, 2)
	for _, m := range batches {
		inFlight <- struct{}{}
		finish := w.k.Handle(b.Context(), wire.MsgUnlock, m)
		go func() {
			defer func() { <-inFlight }()
			if _, err := finish(); err != nil {
				b.Error(err)
			}
		}()
	}
	inFlight <- struct{}{}
	inFlight <- struct{}{}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N)/1000, "µs-cpu/op")
	if st := w.status(); b.N > size && st.Refused > 0 {
		b.Errorf("%d refused", st.Refused)
	}
}
