//go:build unix

package bondedtest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/verify"
)

const (
	crashWorkers = 8
	crashBefore  = 120 // acknowledged calls before the kill, at most
	crashAfter   = 40  // acknowledged calls after the restart
	crashBatch   = 5   // people of one batch call
)

// crashRounds is BONDED_CRASH_ROUNDS; 20 if it is not set, 3 of a short run.
func crashRounds(t *testing.T) int {
	t.Helper()
	s := os.Getenv("BONDED_CRASH_ROUNDS")
	switch {
	case s == "" && testing.Short():
		return 3
	case s == "":
		return 20
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("BONDED_CRASH_ROUNDS is not a number above 0")
	}
	return n
}

// TestCrashLosesNothingAcknowledged kills parties at random points during
// load, as a power cut would, and starts them again. What was acknowledged is
// then there; what was not is there at most once.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell())
	l := &load{t: t, d: d, acked: map[string]*client.PutResult{}, reads: map[string]*client.PutResult{}, unsure: map[string]int{}}
	l.clients = []*client.Client{d.Client(bondedtest.App, "eu", "service"), d.Bearer(bondedtest.App, "eu", "service")}
	victims := [][]string{
		{"eu/vault"},
		{"eu/keyholder"},
		{"witness-1"},
		{"eu/vault", "eu/keyholder"},
		{"eu/vault", "eu/keyholder", "witness-1", "witness-2", "witness-3"},
		{"witness-1", "witness-2"},
		{"eu/keyholder", "witness-3"},
	}
	at := rand.IntN(len(victims)) // every kind comes in turn
	rounds := crashRounds(t)
	for round := range rounds {
		victim := victims[(at+round)%len(victims)]
		seen := checkpoint(t, d)
		l.round(round, victim)
		if t.Failed() {
			t.Fatalf("round %d, killed %v", round, victim)
		}
		l.settle()
		wantLedgerHolds(t, d, seen)
		if t.Failed() {
			t.Fatalf("round %d, killed %v", round, victim)
		}
	}
	l.check()
	wantBooksHold(t, d, "")
	t.Logf("%d rounds: %d writes and %d reads acknowledged, %d calls failed", rounds, len(l.acked), len(l.reads), l.failed.Load())
}

// A load writes and reads until it is told to stop.
type load struct {
	t       *testing.T
	d       *bondedtest.Deployment
	clients []*client.Client // proven, bearer
	done    atomic.Int64     // acknowledged calls
	failed  atomic.Int64
	next    atomic.Int64

	mu     sync.Mutex
	acked  map[string]*client.PutResult // by person_id, which is the idempotency key as well
	reads  map[string]*client.PutResult // what an acknowledged read opened, by its entry
	unsure map[string]int               // writes that were not acknowledged, with how many people each
}

// round runs the load, kills the victims at a random point of it, starts them
// again, and lets the load go on for a while.
func (l *load) round(n int, victims []string) {
	t := l.t
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range crashWorkers {
		wg.Go(func() {
			for ctx.Err() == nil {
				l.one(ctx, l.clients[w%len(l.clients)])
			}
		})
	}
	defer wg.Wait()
	defer cancel()
	l.await(l.done.Load() + 1 + rand.Int64N(crashBefore))
	// Signals first, so that all fall at one point of the load.
	var killed sync.WaitGroup
	for _, v := range victims {
		killed.Go(func() {
			if err := l.d.Process(v).Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	killed.Wait()
	restart(t, l.d, victims...)
	ready(t, l.d)
	l.await(l.done.Load() + crashAfter)
}

// await waits until so many calls were acknowledged.
func (l *load) await(n int64) {
	l.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); l.done.Load() < n; <-tick.C {
		if time.Now().After(deadline) {
			l.t.Fatalf("only %d of %d calls were acknowledged within %s", l.done.Load(), n, patience)
		}
	}
}

// one writes or reads once.
func (l *load) one(ctx context.Context, c *client.Client) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if p := l.any(); p != nil && rand.IntN(2) == 0 {
		name, entry, err := nameOf(ctx, c, p)
		if err != nil {
			l.fail(err)
			return
		}
		l.mu.Lock()
		l.reads[entry] = p
		l.mu.Unlock()
		if want := l.nameOfSubject(p); name != want {
			l.t.Errorf("an acknowledged write reads %q, want %q", name, want)
		}
		l.done.Add(1)
		return
	}
	id, n := fmt.Sprintf("crash-%d", l.next.Add(1)), 1
	if rand.IntN(4) == 0 {
		n = crashBatch
	}
	rs, err := write(ctx, c, id, n)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.unsure[id] = n
		l.fail(err)
		return
	}
	maps.Copy(l.acked, rs)
	l.done.Add(1)
}

// write creates n people under one idempotency key, in one call. It returns
// what was written by person_id, and an error unless all of it was.
func write(ctx context.Context, c *client.Client, id string, n int) (map[string]*client.PutResult, error) {
	ctx = client.WithIdempotencyKey(ctx, id)
	if n == 1 {
		r, err := c.Put(ctx, person(id, "Name of "+id))
		return map[string]*client.PutResult{id: r}, err
	}
	q := client.BatchPutRequest{Collection: "users"}
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s-%d", id, i))
		q.Items = append(q.Items, person(ids[i], "Name of "+ids[i]).PutItem)
	}
	b, err := c.BatchPut(ctx, q)
	if err != nil {
		return nil, err
	}
	rs := map[string]*client.PutResult{}
	for i := range b.Items {
		if p := b.Items[i].Error; p != nil {
			return nil, &bonded.Error{Code: p.Code, Message: p.Message}
		}
		rs[ids[i]] = b.Items[i].Result
	}
	return rs, nil
}

// fail counts a call that was not acknowledged. Faults have codes; none says
// that data was lost or altered.
func (l *load) fail(err error) {
	l.failed.Add(1)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	switch bonded.CodeOf(err) {
	case bonded.CodeKeyholder, bonded.CodeSealed, bonded.CodeStale, bonded.CodeBusy, bonded.CodeNotWritable, bonded.CodeProof:
	case bonded.CodeInternal: // the line to the cell broke
	default:
		l.t.Errorf("a call failed with %v", err)
	}
}

func (l *load) any() *client.PutResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.acked { // in no order
		return p
	}
	return nil
}

func (l *load) nameOfSubject(p *client.PutResult) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, q := range l.acked {
		if q == p {
			return "Name of " + id
		}
	}
	return ""
}

// settle repeats every write that was not acknowledged under its key: it is
// then there once.
func (l *load) settle() {
	t := l.t
	for id, n := range l.unsure {
		// The key belongs to a principal, so either client may repeat it. What
		// is busy is being written by the call that was given up.
		poll(t, "the repetition of "+id, func() error {
			rs, err := write(t.Context(), l.clients[0], id, n)
			if err == nil {
				maps.Copy(l.acked, rs)
			} else if bonded.CodeOf(err) != bonded.CodeBusy {
				t.Fatalf("repeat %s: %v", id, err)
			}
			return err
		})
		delete(l.unsure, id)
		if n > 1 {
			id += "-0"
		}
		f, err := l.clients[0].Find(t.Context(), client.FindRequest{Collection: "users", Where: map[string]string{"person_id": id}})
		if err != nil || len(f.Records) != 1 {
			t.Errorf("%s is there %d times after it was repeated: %v", id, len(f.Records), err)
		}
	}
}

// check holds all that was acknowledged against the cell.
func (l *load) check() {
	t := l.t
	// 1. Every write, with its value; nobody else, and nobody twice.
	n, err := l.clients[0].Count(t.Context(), client.CountRequest{Collection: "users"})
	if err != nil || n.Subjects != uint64(len(l.acked)) || n.Records != n.Subjects {
		t.Errorf("the cell counts %+v, %v, and %d people were acknowledged", n, err, len(l.acked))
	}
	q := client.BatchGetRequest{Collection: "users"}
	var ids []string
	ask := func() {
		r, err := l.clients[0].BatchGet(t.Context(), q)
		if err != nil {
			t.Fatalf("read all: %v", err)
		}
		for i := range r.Items {
			if r.Items[i].Result == nil {
				t.Errorf("%s is not readable: %+v", ids[i], r.Items[i].Error)
			} else if v := r.Items[i].Result.Values; text(v["name"]) != "Name of "+ids[i] || text(v["person_id"]) != ids[i] {
				t.Errorf("%s reads otherwise than it was written", ids[i])
			}
		}
		q.Items, ids = nil, nil
	}
	for id, p := range l.acked {
		ids = append(ids, id)
		q.Items = append(q.Items, client.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"name", "person_id"}})
		if len(ids) == 500 {
			ask()
		}
	}
	if len(ids) > 0 {
		ask()
	}
	// 2. Every reply has its row.
	rows := map[string]*verify.Row{}
	for _, r := range journal(t, l.d) {
		if rows[r.RowRef.String()] != nil {
			t.Errorf("row %s stands twice in the journal", r.RowRef)
		}
		rows[r.RowRef.String()] = r
	}
	holds := func(entry string, p *client.PutResult, ops ...verify.Operation) {
		r := rows[entry]
		if r == nil || r.Outcome != verify.OutcomeAllowed || !slices.Contains(ops, r.Operation) ||
			!slices.ContainsFunc(r.Items, func(it verify.RowItem) bool { return it.Subject == p.Subject.ID }) {
			t.Errorf("%s was acknowledged and its row is %+v", entry, r)
		}
	}
	for _, p := range l.acked {
		holds(p.Entry, p, verify.OpCreate, verify.OpWrite) // batches are writes
	}
	for entry, p := range l.reads {
		holds(entry, p, verify.OpRead)
	}
}
