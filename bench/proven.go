//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
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
	for range b.o.rounds {
		x, err := b.driveClient(ctx, bearer)
		if err != nil {
			return fmt.Errorf("bearer: %w", err)
		}
		y, err := b.driveClient(ctx, proven)
		if err != nil {
			return fmt.Errorf("proven: %w", err)
		}
		bearers, provens, ratios = append(bearers, x), append(provens, y), append(ratios, y/x)
	}
	t.figure("proven reads, share of bearer reads by the same client", 100*median(ratios), 80, " %")
	t.plain("  bearer", median(bearers), "/s")
	t.plain("  proven", median(provens), "/s")
	return nil
}

// driveClient reads with 32 goroutines for one round.
func (b *bench) driveClient(ctx context.Context, c *client.Client) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.duration)
	defer cancel()
	var n atomic.Int64
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for ctx.Err() == nil {
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
	began := time.Now()
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds(), failed
}
