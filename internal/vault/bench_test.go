//go:build unix

package vault_test

import (
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"bonded/internal/apitype"
)

// cpu reports the processor time of the whole process for each operation,
// which a busy machine does not change as it does the time on the clock.
func cpu(b *testing.B) {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") })
}

// BenchmarkGet reads one field of a random person at 256 at a time, both books
// durable, the keyholder in the same process.
func BenchmarkGet(b *testing.B) {
	c := newCell(b)
	value := `"` + strings.Repeat("x", 180) + `"`
	var people []*apitype.PutResult
	for range 20 {
		items := make([]apitype.PutItem, 100)
		for i := range items {
			items[i] = apitype.PutItem{Values: values("name", `"Anna"`, "extra", value), Facts: germany}
		}
		r, err := c.v.BatchPut(b.Context(), c.call("app"), &apitype.BatchPutRequest{Collection: "users", Items: items})
		must(b, err)
		for i := range r.Items {
			people = append(people, r.Items[i].Result)
		}
	}
	var failed atomic.Int64
	b.SetParallelism(128)
	b.ReportAllocs()
	b.ResetTimer()
	cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.get(people[rand.IntN(len(people))], "extra"); err != nil {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d reads failed", n)
	}
}

// BenchmarkCreate makes people with two indexed fields at 256 at a time.
func BenchmarkCreate(b *testing.B) {
	c := newCell(b)
	var failed atomic.Int64
	b.SetParallelism(128)
	b.ReportAllocs()
	b.ResetTimer()
	cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := c.v.Put(b.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("name", `"Anna Weiß"`, "email", `"a@example.com"`, "age", "30"), Facts: germany}})
			if err != nil {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d writes failed", n)
	}
}

// BenchmarkBatchGet reads one field of 100 people under one entry.
func BenchmarkBatchGet(b *testing.B) {
	c := newCell(b)
	items := make([]apitype.PutItem, 100)
	for i := range items {
		items[i] = apitype.PutItem{Values: values("name", `"Anna"`), Facts: germany}
	}
	r, err := c.v.BatchPut(b.Context(), c.call("app"), &apitype.BatchPutRequest{Collection: "users", Items: items})
	must(b, err)
	q := &apitype.BatchGetRequest{Collection: "users", Items: make([]apitype.GetItem, 100)}
	for i := range q.Items {
		q.Items[i] = apitype.GetItem{Subject: &r.Items[i].Result.Subject, Record: &r.Items[i].Result.Record, Fields: []string{"name"}}
	}
	b.SetParallelism(8)
	b.ReportAllocs()
	b.ResetTimer()
	cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.v.BatchGet(b.Context(), c.call("app"), q); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N*100)/b.Elapsed().Seconds(), "fields/s")
}

// BenchmarkRecord loads one record as a read does.
func BenchmarkRecord(b *testing.B) {
	c := newCell(b)
	items := make([]apitype.PutItem, 500)
	for i := range items {
		items[i] = apitype.PutItem{Values: values("name", `"Anna"`, "extra", `"`+strings.Repeat("x", 180)+`"`), Facts: germany}
	}
	r, err := c.v.BatchPut(b.Context(), c.call("app"), &apitype.BatchPutRequest{Collection: "users", Items: items})
	must(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	cpu(b)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p := r.Items[rand.IntN(len(items))].Result
			if rec, err := c.store.Record(b.Context(), 1, p.Subject.ID, p.Record.ID); err != nil || rec == nil {
				b.Error(err)
			}
		}
	})
}
