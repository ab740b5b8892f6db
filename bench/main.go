//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"bonded"
)

type options struct {
	bin      string
	large    bool
	most     int
	rounds   int
	duration time.Duration
	people   int
	only     string
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.bin, "bin", "bin", "folder of the built programs")
	fs.BoolVar(&o.large, "large", false, "measure with 10,000, 100,000 and 1,000,000 people instead")
	fs.IntVar(&o.most, "most", 1_000_000, "with -large: stop at this many people")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of each measurement; the median counts")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "length of one round, at most 1m")
	fs.IntVar(&o.people, "people", 10_000, "people in the cell")
	fs.StringVar(&o.only, "only", "", "one part: read, create, batch, import, proven, size, frontdoor")
	short := fs.Bool("short", false, "one round of everything")
	echo := fs.String("serve-echo", "", "serve the baseline at this address (used by bench itself)")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if *echo != "" {
		fmt.Fprintln(stderr, serveEcho(*echo))
		return 1
	}
	if *short {
		o.rounds = 1
	}
	if o.duration > time.Minute || o.rounds < 1 || o.rounds > 20 {
		fmt.Fprintln(stderr, "bench: rounds are 1 to 20, a round is at most one minute")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := measure(ctx, &o, stdout, stderr)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "bench:", err)
		if e, ok := errors.AsType[*bonded.Error](err); ok && e.Hint != "" {
			fmt.Fprintln(stderr, "bench: hint:", e.Hint)
		}
		return 1
	}
	return 0
}

func measure(ctx context.Context, o *options, out, log io.Writer) error {
	if o.large {
		return measureLarge(ctx, o, out, log)
	}
	t := newTable(out)
	t.printf("machine: %s, load %s; %d rounds of %s, medians; %d people\n\n", machine(), loadAverage(), o.rounds, o.duration, o.people)
	if o.only != "frontdoor" {
		if err := measureCell(ctx, o, t, log); err != nil {
			return err
		}
	}
	if o.only == "" || o.only == "frontdoor" {
		if err := measureFrontDoor(ctx, o, t, log); err != nil {
			return fmt.Errorf("frontdoor: %w", err)
		}
	}
	t.summary()
	return nil
}

// measureFrontDoor measures a cell of its own, with custodians.
func measureFrontDoor(ctx context.Context, o *options, t *table, log io.Writer) error {
	if err := benchQuorum(o, t); err != nil {
		return err
	}
	b, err := newBench(o, log)
	if err != nil {
		return err
	}
	defer b.stop()
	return benchFrontDoor(ctx, b, t)
}

// measureCell measures the daily path of a cell beside the baseline.
func measureCell(ctx context.Context, o *options, t *table, log io.Writer) error {
	b, err := start(ctx, o, log)
	if err != nil {
		return err
	}
	defer b.stop()
	parts := []struct {
		name string
		run  func(context.Context, *bench, *table) error
	}{
		{"read", benchRead},
		{"proven", benchProven},
		{"batch", benchBatch},
		{"create", benchCreate},
		{"import", benchImport},
		{"size", benchSize},
	}
	for _, p := range parts {
		if o.only != "" && o.only != p.name {
			continue
		}
		if err := p.run(ctx, b, t); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}
