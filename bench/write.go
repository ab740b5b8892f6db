//go:build linux

package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"bonded/internal/apitype"
)

// benchCreate compares creates (a new person, key included) with the baseline.
func benchCreate(ctx context.Context, b *bench, t *table) error {
	const n = 50_000
	path, err := b.bodies("create.jsonl", n, func(i int) any {
		return apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: person(10_000_000 + i), Facts: facts()}}
	})
	if err != nil {
		return err
	}
	base := &load{url: b.echo, bodies: path, conns: 32}
	create := &load{url: b.api + "/v1/put", headers: b.headers(), bodies: path, conns: 32, once: true}
	p, err := b.compare(ctx, base, create)
	if err != nil {
		return err
	}
	t.figure("create a person, 32 connections, share of echo", 100*p.ratio, 6, " %")
	t.plain("  create", p.subject, "/s")
	t.printf("  create p50 %s, p99 %s, failed %d\n", p.last.p50, p.last.p99, p.failed)
	for _, name := range []string{"vault", "keyholder"} {
		t.plain("  CPU per create, "+name, p.cpu[name], " µs")
	}
	return nil
}

// benchBatch reads 100 people × 1 field a call.
func benchBatch(ctx context.Context, b *bench, t *table) error {
	if err := b.fill(ctx, b.o.people); err != nil {
		return err
	}
	const people, callers = 100, 8
	var figures []float64
	for range b.o.rounds {
		ctx, cancel := context.WithTimeout(ctx, b.o.duration)
		var fields atomic.Int64
		var failed error
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for ctx.Err() == nil {
					n, err := b.readBatch(ctx, people)
					if err != nil && ctx.Err() == nil {
						mu.Lock()
						failed = errors.Join(failed, err)
						mu.Unlock()
						return
					}
					fields.Add(int64(n))
				}
			})
		}
		wg.Wait()
		cancel()
		if failed != nil {
			return failed
		}
		figures = append(figures, float64(fields.Load())/b.o.duration.Seconds())
	}
	t.figure("batch read, 100 people × 1 field a call", median(figures), 30_000, " fields/s")
	return nil
}

func (b *bench) readBatch(ctx context.Context, n int) (int, error) {
	req := apitype.BatchGetRequest{Collection: "users"}
	for range n {
		r, ok := b.readBody().(apitype.GetRequest)
		if !ok {
			return 0, errors.New("not a read")
		}
		req.Items = append(req.Items, r.GetItem)
	}
	var res apitype.BatchGetResult
	if err := b.call(ctx, "/v1/batch/get", &req, &res); err != nil {
		return 0, err
	}
	for _, it := range res.Items {
		if it.Error != nil {
			return 0, fmt.Errorf("%s: %s", it.Error.Code, it.Error.Message)
		}
	}
	return len(res.Items), nil
}

// benchImport runs bonded import on a file of new people.
func benchImport(ctx context.Context, b *bench, t *table) error {
	const people = 20_000
	var figures []float64
	for round := range b.o.rounds {
		path := filepath.Join(b.dir, fmt.Sprintf("import-%d.csv", round))
		if err := writeImport(path, people, round); err != nil {
			return err
		}
		mapping := filepath.Join(b.dir, "map.yaml")
		if err := os.WriteFile(mapping, []byte(importMap), 0o600); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, filepath.Join(b.o.bin, "bonded"), "import", "users", path, "--map", mapping, "--dir", b.d.Layout.Dir) //nolint:gosec // our own program
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		figures = append(figures, people/time.Since(began).Seconds())
	}
	t.figure("import, people of one CSV file", median(figures), 4000, "/s")
	return nil
}

const importMap = `collection: users
purpose: onboarding
id: id
fields: {person_id: id, name: name, email: email, phone: phone, postal_address: address}
facts: {residence: {column: country}, citizenship: {column: country}}
`

func writeImport(path string, n, round int) error {
	f, err := os.Create(path) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	_ = w.Write([]string{"id", "name", "email", "phone", "address", "country"})
	for i := range n {
		k := round*n + i
		_ = w.Write([]string{
			fmt.Sprintf("import-%09d", k), fmt.Sprintf("Person Number %d", k), fmt.Sprintf("import.%d@bench.example", k),
			fmt.Sprintf("+33 1 %08d", k), fmt.Sprintf("%d Rue du Long Nom, 75001 Paris, France", k%977), "FR",
		})
	}
	w.Flush()
	return errors.Join(w.Error(), f.Close())
}
