//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/deploy"
)

// benchProven compares reads that the client proves to the keyholder with
// bearer reads by the same client.
func benchProven(ctx context.Context, b *bench, t *table) error {
	if err := b.fill(ctx, b.o.people); err != nil {
		return err
	}
	conf := client.Config{
		Directory: b.d.Directory, Cell: "eu", Why: client.Why{Purpose: "service"},
		Credential: client.Credential{Bearer: b.cred.Bearer},
	}
	bearer, err := client.New(conf)
	if err != nil {
		return err
	}
	conf.Grant, conf.GrantKey = deploy.PrincipalApp, b.cred.Key()
	proven, err := client.New(conf)
	if err != nil {
		return err
	}
	var bearers, provens, ratios []float64
	cpu := map[string][2]float64{} // microseconds of bearer and proven reads, by process
	for round := range b.o.rounds + 1 {
		// Both in turn in short slices, so that what else the machine does
		// falls on both.
		const slices = 8
		var reads [2]float64
		used := map[string][2]time.Duration{}
		for range slices {
			for i, c := range []*client.Client{bearer, proven} {
				before := b.cpu()
				n, err := b.driveClient(ctx, c, b.o.duration/slices)
				if err != nil {
					return fmt.Errorf("read with client %d: %w", i, err)
				}
				reads[i] += n / slices
				for name, now := range b.cpu() {
					u := used[name]
					u[i] += now - before[name]
					used[name] = u
				}
			}
		}
		if round == 0 {
			continue // it warms up
		}
		bearers, provens, ratios = append(bearers, reads[0]), append(provens, reads[1]), append(ratios, reads[1]/reads[0])
		for name, u := range used {
			at := cpu[name]
			for i := range u {
				at[i] += float64(u[i].Microseconds()) / (reads[i] * b.o.duration.Seconds()) / float64(b.o.rounds)
			}
			cpu[name] = at
		}
	}
	t.figure("proven reads, share of bearer reads by the same client", 100*median(ratios), 80, " %")
	t.plain("  bearer", median(bearers), "/s")
	t.plain("  proven", median(provens), "/s")
	for _, name := range []string{"vault", "keyholder", "client"} {
		t.plain("  CPU per bearer read, "+name, cpu[name][0], " µs")
		t.plain("  CPU per proven read, "+name, cpu[name][1], " µs")
	}
	return nil
}

// cpu returns the CPU time used so far by the processes of the cell, and by
// this one as the client.
func (b *bench) cpu() map[string]time.Duration {
	used := map[string]time.Duration{"client": cpuOf(os.Getpid())}
	for name, pid := range b.pids() {
		used[name] = cpuOf(pid)
	}
	return used
}

// driveClient reads with 32 goroutines for d and returns the reads of a second.
func (b *bench) driveClient(ctx context.Context, c *client.Client, d time.Duration) (float64, error) {
	began := time.Now()
	var n atomic.Int64
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for time.Since(began) < d && ctx.Err() == nil {
				req, ok := b.readBody().(apitype.GetRequest)
				if !ok {
					return
				}
				if _, err := c.Get(ctx, req); err != nil {
					if ctx.Err() == nil {
						mu.Lock()
						failed = errors.Join(failed, err)
						mu.Unlock()
					}
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds(), failed
}
