//go:build unix

package casebook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/internal/casebook"
	"bonded/internal/ledger"
	"bonded/internal/sqldb"
	"bonded/internal/witness"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	origin  = "log.example/eu"
	cell    = bonded.CellID("eu")
	slot    = time.Minute
	perSlot = 4
	horizon = 32 * slot
)

// A clock is set by hand; the vault and the witnesses read the same one.
type clock struct {
	at   atomic.Int64
	real atomic.Bool // it is the machine's
}

func newClock() *clock {
	c := new(clock)
	c.at.Store(1_800_000_000 / 60 * 60)
	return c
}

func (c *clock) now() time.Time {
	if c.real.Load() {
		return time.Now()
	}
	return time.Unix(c.at.Load(), 0)
}

func (c *clock) pass(d time.Duration) { c.at.Add(int64(d / time.Second)) }
func (c *clock) seconds() int64       { return c.at.Load() }

// A rig is a log with three real witnesses (2 of 3) behind TLS sockets that
// can be cut off, and a ledger that writes it.
type rig struct {
	t          testing.TB
	clock      *clock
	dir        string
	skey, vkey string
	policy     string
	http       *http.Client
	down       atomic.Bool // all witnesses
	deadline   time.Duration
	ledger     *ledger.Ledger

	mu   sync.Mutex
	read [][]byte // entries of the ledger
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigOf(t, newClock(), 10*time.Second)
}

// newRigOf takes the clock, and how long an append waits for the witnesses.
func newRigOf(t testing.TB, c *clock, deadline time.Duration) *rig {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	r := &rig{t: t, clock: c, dir: t.TempDir(), deadline: deadline}
	var err error
	if r.skey, r.vkey, err = ledger.GenerateKey(origin); err != nil {
		t.Fatal(err)
	}
	var policy strings.Builder
	for i := 1; i <= 3; i++ {
		dir := t.TempDir()
		key, err := witness.LoadOrCreateKey(filepath.Join(dir, "key"), fmt.Sprintf("w%d.example", i))
		if err != nil {
			t.Fatal(err)
		}
		w, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: r.vkey}, Now: r.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		h := w.Handler()
		srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if r.down.Load() {
				panic(http.ErrAbortHandler) // cuts the connection
			}
			h.ServeHTTP(rw, req)
		}))
		t.Cleanup(func() { srv.Close(); _ = w.Close() })
		r.http = srv.Client()
		fmt.Fprintf(&policy, "witness w%d %s %s\n", i, w.VKey(), srv.URL)
	}
	policy.WriteString("group q 2 w1 w2 w3\nquorum q\n")
	r.policy = policy.String()
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	l, err := ledger.Open(r.t.Context(), ledger.Config{
		Dir: r.dir, Origin: origin, SignerKey: r.skey, Policy: []byte(r.policy), HTTPClient: r.http, Deadline: r.deadline,
		CheckpointInterval: 100 * time.Millisecond, BatchAge: 5 * time.Millisecond, Republish: 100 * time.Millisecond,
		WitnessTimeout: time.Second, StartTimeout: 5 * time.Second,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.ledger = l
	r.t.Cleanup(func() { r.close(l) })
}

func (r *rig) close(l *ledger.Ledger) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = l.Close(ctx)
}

// seen waits until the newest checkpoint is of the clock's time.
func (r *rig) seen() {
	r.t.Helper()
	until(r.t, "a checkpoint of this time", func() bool {
		cp, err := r.ledger.Latest()
		return err == nil && cp.WitnessTime().Unix() >= r.clock.seconds()
	})
}

func (r *rig) verifyPolicy() *verify.WitnessPolicy {
	r.t.Helper()
	p, err := verify.ParseWitnessPolicy([]byte(r.policy))
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// entries returns the ledger's entries in order.
func (r *rig) entries() [][]byte {
	r.t.Helper()
	cp, err := r.ledger.Latest()
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if int64(len(r.read)) < cp.Size {
		r.read = nil
		_, err := verify.CheckLog(func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(r.dir, path)) }, r.vkey, r.verifyPolicy(), verify.LogOptions{
			Entry: func(_ int64, data []byte) error { r.read = append(r.read, bytes.Clone(data)); return nil },
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return r.read[:cp.Size]
}

// A desk is a book on a database of its own.
type desk struct {
	*rig
	path string
	db   *sqldb.DB
	book *casebook.Book
	cfg  casebook.Config
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	return newRig(t).desk(func(*casebook.Config) {})
}

func (r *rig) desk(change func(*casebook.Config)) *desk {
	r.t.Helper()
	d := &desk{rig: r, path: filepath.Join(r.t.TempDir(), "cases.db")}
	d.cfg = casebook.Config{Cell: cell, Slot: slot, PerSlot: perSlot, Horizon: horizon, Now: r.clock.now}
	change(&d.cfg)
	d.openBook()
	return d
}

func (d *desk) openBook() {
	d.t.Helper()
	db, err := sqldb.Open(d.t.Context(), sqldb.Config{Path: d.path})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = db.Close() })
	cfg := d.cfg
	cfg.DB = db
	if cfg.Ledger == nil {
		cfg.Ledger = d.ledger
	}
	book, err := casebook.Open(d.t.Context(), cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	d.db, d.book = db, book
}

// restart closes the database and opens it again, as after a crash: nothing in
// memory stays.
func (d *desk) restart() {
	d.t.Helper()
	if err := d.db.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.openBook()
}

func (d *desk) update(do func(tx *sqldb.Tx) error) {
	d.t.Helper()
	if err := d.db.Update(d.t.Context(), func(_ context.Context, tx *sqldb.Tx) error { return do(tx) }); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) add(e *verify.CaseEntry) (id int64) {
	d.t.Helper()
	d.update(func(tx *sqldb.Tx) (err error) {
		id, err = d.book.Add(tx, e)
		return err
	})
	return id
}

// tick does what is due at the clock's time, once the witnesses know it.
func (d *desk) tick() {
	d.t.Helper()
	d.seen()
	if err := d.book.Tick(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// slots lets n slots pass.
func (d *desk) slots(n int) {
	d.t.Helper()
	for range n {
		d.clock.pass(slot)
		d.tick()
	}
}

func (d *desk) receipt(id int64) *casebook.Receipt {
	d.t.Helper()
	r, err := d.book.Receipt(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// feed returns all openings, each checked.
func (d *desk) feed() []*verify.OpenedCase {
	d.t.Helper()
	var out []*verify.OpenedCase
	for _, raw := range d.feedJSON() {
		o, err := verify.ParseCaseOpening(raw)
		if err != nil {
			d.t.Fatal(err)
		}
		c, err := o.Check()
		if err != nil {
			d.t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func (d *desk) feedJSON() []json.RawMessage {
	d.t.Helper()
	var all []json.RawMessage
	for from := uint64(1); ; {
		page, next, err := d.book.Feed(d.t.Context(), from, 100)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		for _, o := range page {
			b, err := json.Marshal(o)
			if err != nil {
				d.t.Fatal(err)
			}
			all = append(all, b)
		}
		from = next
	}
}

// caseLeaves returns the case leaves of the ledger in order, with duplicates.
func (d *desk) caseLeaves() (leaves []*verify.Leaf, hashes []tlog.Hash) {
	d.t.Helper()
	for _, e := range d.entries() {
		l, err := verify.DecodeLeaf(e)
		if err != nil {
			d.t.Fatal(err)
		}
		if l.Kind == verify.LeafCase && l.Cell == d.cfg.Cell {
			leaves, hashes = append(leaves, l), append(hashes, tlog.RecordHash(e))
		}
	}
	return leaves, hashes
}

func id(n byte) bonded.ID { return bonded.ID{1, 2, 3, 15: n} }

func event(kase byte, event string) *verify.CaseEntry {
	return &verify.CaseEntry{Type: verify.EntryCase, Case: id(kase), Event: event, Jurisdiction: "de", Time: 1_800_000_000, Person: []byte("subject " + string('a'+kase))}
}

// until polls f until it is true, at most ten seconds: the ledger's publisher
// runs by the machine's own clock.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			t.Fatal("waited in vain for " + what)
		case <-tick.C:
		}
	}
}
