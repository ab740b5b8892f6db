//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"bonded/internal/apitype"
)

// readBody names one field of one random person, by subject and record.
func (b *bench) readBody() any {
	r := b.refs[rand.IntN(len(b.refs))] //nolint:gosec // no secret
	return apitype.GetRequest{
		Collection: "users", Why: apitype.Why{Purpose: "service"},
		GetItem: apitype.GetItem{Subject: &r.Subject, Record: &r.Record, Fields: []string{"email"}},
	}
}

// benchRead compares single reads with the baseline.
func benchRead(ctx context.Context, b *bench, t *table) error {
	if err := b.fill(ctx, b.o.people); err != nil {
		return err
	}
	path, err := b.bodies("read.jsonl", 20_000, func(int) any { return b.readBody() })
	if err != nil {
		return err
	}
	for _, c := range []struct {
		conns int
		bar   float64
	}{{32, 15}, {256, 25}} {
		base := &load{url: b.echo, bodies: path, conns: c.conns}
		read := &load{url: b.api + "/v1/get", headers: b.headers(), bodies: path, conns: c.conns}
		pair, err := b.compare(ctx, base, read)
		if err != nil {
			return err
		}
		t.figure(fmt.Sprintf("single read, %d connections, share of echo", c.conns), 100*pair.ratio, c.bar, " %")
		t.plain("  echo", pair.base, "/s")
		t.plain("  read", pair.subject, "/s")
		t.printf("  read p50 %s, p99 %s, failed %d\n", pair.last.p50, pair.last.p99, pair.failed)
		for _, name := range []string{"vault", "keyholder", "witness-1"} {
			t.plain("  CPU per read, "+name, pair.cpu[name], " µs")
		}
	}
	return nil
}

// A pair is a load held against its baseline.
type pair struct {
	base, subject, ratio float64 // medians; ratio is the median of the rounds' ratios
	last                 rate
	failed               int
	cpu                  map[string]float64 // microseconds a request, by process
}

// compare runs both in turn, round by round.
func (b *bench) compare(ctx context.Context, base, subject *load) (*pair, error) {
	var bases, subjects, ratios []float64
	p := &pair{cpu: map[string]float64{}}
	cpu := map[string][]float64{}
	if err := b.warm(ctx, base, subject); err != nil {
		return nil, err
	}
	for range b.o.rounds {
		e, err := base.drive(ctx, b.dir, b.o.duration)
		if err != nil {
			return nil, err
		}
		before := map[string]time.Duration{}
		for name, pid := range b.pids() {
			before[name] = cpuOf(pid)
		}
		r, err := subject.drive(ctx, b.dir, b.o.duration)
		if err != nil {
			return nil, err
		}
		for name, pid := range b.pids() {
			used := cpuOf(pid) - before[name]
			cpu[name] = append(cpu[name], float64(used.Microseconds())/(r.perSecond*b.o.duration.Seconds()))
		}
		bases, subjects = append(bases, e.perSecond), append(subjects, r.perSecond)
		ratios = append(ratios, r.perSecond/e.perSecond)
		p.last, p.failed = r, p.failed+r.failed
	}
	p.base, p.subject, p.ratio = median(bases), median(subjects), median(ratios)
	for name, v := range cpu {
		p.cpu[name] = median(v)
	}
	return p, nil
}

// warm drives both for a while that does not count: caches fill, heaps grow to
// their size, connections are made. Loads of which each body is sent once are
// not warmed; they would run out of bodies.
func (b *bench) warm(ctx context.Context, base, subject *load) error {
	for _, l := range []*load{base, subject} {
		if l.once {
			continue
		}
		if _, err := l.drive(ctx, b.dir, max(b.warming, min(3*time.Second, b.o.duration))); err != nil {
			return err
		}
	}
	return nil
}
