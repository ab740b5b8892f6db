//go:build linux

package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bonded"
)

// An opened is what one case took, from the custodians' first look to the
// package open on the officer's machine.
type opened struct {
	approve   time.Duration    // the three custodians' programs, one after the other
	deliver   time.Duration    // from the third approval to the package
	open      ran              // bonded request open
	peak      map[string]int64 // bytes resident at most, by process
	cpu       map[string]time.Duration
	packageMB float64
}

func (c *opened) total() time.Duration { return c.approve + c.deliver }

// benchFrontDoor measures a case of many people, and one of a single person
// beside it, over real processes.
func benchFrontDoor(ctx context.Context, b *bench, t *table) error {
	const people = 1000
	d, err := startDoor(ctx, b, people)
	if err != nil {
		return err
	}
	d.born = true
	if err := d.fill(ctx, b.o.rounds*(people+1)); err != nil {
		return err
	}
	var one, many []*opened
	for round := range b.o.rounds {
		// Everybody is asked for once: what follows a delivery, as notices and
		// new versions of the records, is over before the next case.
		first := round * (people + 1)
		for i, n := range []int{1, people} {
			from := first + i
			c, err := d.openCase(ctx, fmt.Sprintf("case-%d-%d", round, n), from, n)
			if err != nil {
				return err
			}
			if n == 1 {
				one = append(one, c)
			} else {
				many = append(many, c)
			}
		}
	}
	d.printCases(t, people, one, many)
	return nil
}

// openCase leads one case about n people, counted from one, to its end.
func (d *door) openCase(ctx context.Context, name string, from, n int) (*opened, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var emails []string
	for i := range n {
		emails = append(emails, email(from+i))
	}
	began := time.Now()
	v, err := d.ask(ctx, name, emails)
	if err != nil {
		return nil, err
	}
	d.logf("case of %d: before the custodians in %s", n, time.Since(began).Round(time.Millisecond))
	if err := d.settle(ctx); err != nil {
		return nil, err
	}
	return d.measureCase(ctx, name, v.Case, v.Scope, n)
}

func (d *door) measureCase(ctx context.Context, name string, id bonded.CaseID, scope string, n int) (*opened, error) {
	// 1. Approved by three.
	c := &opened{peak: map[string]int64{}, cpu: map[string]time.Duration{}}
	before := d.cpu()
	for _, pid := range d.pids() {
		if err := forgetPeak(pid); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	for _, who := range approvers {
		r, err := d.approve(ctx, who, id, scope)
		if err != nil {
			return nil, err
		}
		c.peak["approve"] = max(c.peak["approve"], r.peak)
	}
	c.approve = time.Since(began)

	// 2. Delivered.
	if err := d.awaitDelivery(ctx, id); err != nil {
		return nil, err
	}
	c.deliver = time.Since(began) - c.approve
	for process, pid := range d.pids() {
		c.peak[process] = peakOf(pid)
		c.cpu[process] = cpuOf(pid) - before[process]
	}

	// 3. Open at the officer's, with everybody in it.
	pkg, out := filepath.Join(d.dir, name+".bonded"), filepath.Join(d.dir, name+".csv")
	if _, err := d.bonded(ctx, nil, "request", "fetch", id.String(), "--as", officerID, "--key", d.key(), "-f", pkg); err != nil {
		return nil, err
	}
	fi, err := os.Stat(pkg)
	if err != nil {
		return nil, err
	}
	c.packageMB = float64(fi.Size()) / (1 << 20)
	if c.open, err = d.bonded(ctx, nil, "request", "open", pkg, "--key", d.key(), "--format", "csv", "-f", out); err != nil {
		return nil, err
	}
	d.logf("case of %d: approved in %s, delivered %s later", n, c.approve.Round(time.Millisecond), c.deliver.Round(time.Millisecond))
	return c, holds(out, n)
}

// awaitDelivery looks four times a second: more often would be load of its own.
func (d *door) awaitDelivery(ctx context.Context, id bonded.CaseID) error {
	legal, _, err := d.f.As("legal-1")
	if err != nil {
		return err
	}
	for {
		v, err := legal.Case(ctx, id)
		if err != nil {
			return err
		}
		if v.State == "delivered" || v.State == "closed" {
			return nil
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("case %s is %s: %w", id, v.State, ctx.Err())
		}
	}
}

// holds reports whether n people's sealed field is in what was opened.
func holds(path string, n int) error {
	f, err := os.Open(path) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.FieldsPerRecord = -1
	rows, err := in.ReadAll()
	if err != nil {
		return err
	}
	got := 0
	for _, row := range rows {
		if slices.ContainsFunc(row, func(v string) bool { return strings.HasPrefix(v, bornYear) }) {
			got++
		}
	}
	if got != n {
		return bonded.Errorf(bonded.CodeAltered, "the package opens the field in custody of %d people, not of %d", got, n)
	}
	return nil
}

// settle waits until the vault does no more than it does at rest, so that what
// a case leaves behind does not count for the next: for at most half a minute,
// since a busy machine never rests.
func (d *door) settle(ctx context.Context) error {
	const look = time.Second
	quiet := 0
	for range 30 {
		before := d.cpu()["vault"]
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return fmt.Errorf("the vault comes to no rest: %w", ctx.Err())
		}
		quiet++
		if d.cpu()["vault"]-before > look/5 {
			quiet = 0
		}
		if quiet == 2 {
			break
		}
	}
	return nil
}

func (d *door) printCases(t *table, people int, one, many []*opened) {
	seconds := func(of func(*opened) time.Duration, all []*opened) float64 {
		var v []float64
		for _, c := range all {
			v = append(v, of(c).Seconds())
		}
		return median(v)
	}
	t.most(fmt.Sprintf("case of %d people, first look to delivered", people), seconds((*opened).total, many), 10, " s")
	approve, deliver := func(c *opened) time.Duration { return c.approve }, func(c *opened) time.Duration { return c.deliver }
	t.plain("  three custodians verify and approve, in turn", seconds(approve, many), " s")
	t.plain("  from the third approval to delivered", seconds(deliver, many), " s")
	t.plain("  bonded request open", seconds(func(c *opened) time.Duration { return c.open.took }, many), " s")
	t.plain("  package", many[0].packageMB, " MiB")
	t.plain("case of one person, first look to delivered", seconds((*opened).total, one), " s")
	t.plain("  three custodians verify and approve, in turn", seconds(approve, one), " s")
	t.plain("  from the third approval to delivered", seconds(deliver, one), " s")
	t.plain("  bonded request open", seconds(func(c *opened) time.Duration { return c.open.took }, one), " s")
	mib := func(all []*opened, process string) float64 {
		var v []float64
		for _, c := range all {
			v = append(v, float64(c.peak[process])/(1<<20))
		}
		return median(v)
	}
	for _, process := range append([]string{"vault", "keyholder", "approve"}, custodianNames()...) {
		t.printf("%-52s %10s   %s with one person\n", "  peak memory, "+process, number(mib(many, process))+" MiB", number(mib(one, process))+" MiB")
	}
	for _, process := range slices.Sorted(maps.Keys(many[0].cpu)) {
		if process == "vault" || process == "keyholder" || slices.Contains(custodianNames(), process) {
			t.plain("  CPU to the delivery, "+process, seconds(func(c *opened) time.Duration { return c.cpu[process] }, many), " s")
		}
	}
}

// custodianNames are those of the processes of the approvers.
func custodianNames() []string {
	var names []string
	for _, a := range approvers {
		names = append(names, "custodian-"+a)
	}
	return names
}
