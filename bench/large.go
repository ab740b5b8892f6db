//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// measureLarge shows that the cost of a read stays flat as people grow.
func measureLarge(ctx context.Context, o *options, out, log io.Writer) error {
	b, err := start(ctx, o, log)
	if err != nil {
		return err
	}
	defer b.stop()
	t := newTable(out)
	t.printf("machine: %s; %d rounds of %s, medians\n\n", machine(), o.rounds, o.duration)
	first := 0.0
	const most = 500_000 // bodies; wrk holds them in memory, once a thread
	for _, step := range []struct {
		people int
		bar    float64 // share of the figure at 10,000
	}{{10_000, 100}, {100_000, 85}, {1_000_000, 80}} {
		if step.people > o.most {
			break
		}
		if err := b.fill(ctx, step.people); err != nil {
			return err
		}
		path, err := b.bodies("large.jsonl", min(step.people, most), func(int) any { return b.readBody() })
		if err != nil {
			return err
		}
		// So long that most people were read once, as in a cell that is in use.
		b.warming = min(time.Duration(step.people/4000)*time.Second, 45*time.Second)
		p, err := b.compare(ctx, &load{url: b.echo, bodies: path, conns: 32},
			&load{url: b.api + "/v1/get", headers: b.headers(), bodies: path, conns: 32})
		if err != nil {
			return err
		}
		if first == 0 {
			first = p.ratio
		}
		t.figure(fmt.Sprintf("read at %d people, share of the figure at 10,000", step.people), 100*p.ratio/first, step.bar, " %")
		t.plain("  read", p.subject, "/s")
		for _, name := range []string{"vault", "keyholder"} {
			t.plain("  CPU per read, "+name, p.cpu[name], " µs")
			t.plain("  resident memory, "+name, float64(rssOf(b.pids()[name]))/(1<<20), " MiB")
		}
	}
	t.summary()
	return nil
}
