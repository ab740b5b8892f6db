//go:build unix

package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bonded/internal/ledger"
	"bonded/internal/witness"
	"bonded/verify"
)

const origin = "log.example/cn"

// A testWitness is a real witness behind a real TLS socket that can be cut off.
type testWitness struct {
	*witness.Witness
	dir    string
	srv    *httptest.Server
	down   atomic.Bool
	latest atomic.Pointer[[]byte] // answered instead of its own
	bare   atomic.Bool            // knows nothing but the C2SP call
}

// A testCell is a log's key, three witnesses and the policy 2 of 3.
type testCell struct {
	t          testing.TB
	dir        string
	skey, vkey string
	witnesses  []*testWitness
	policy     string
}

func newTestCell(t testing.TB) *testCell {
	t.Helper()
	skey, vkey, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return newTestCellOf(t, skey, vkey)
}

// newTestCellOf makes new witnesses for a log's key.
func newTestCellOf(t testing.TB, skey, vkey string) *testCell {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	c := &testCell{t: t, dir: t.TempDir(), skey: skey, vkey: vkey}
	var policy strings.Builder
	for i := 1; i <= 3; i++ {
		dir := t.TempDir()
		key, err := witness.LoadOrCreateKey(filepath.Join(dir, "key"), fmt.Sprintf("w%d.example", i))
		if err != nil {
			t.Fatal(err)
		}
		w := &testWitness{dir: dir}
		w.Witness, err = witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: vkey}})
		if err != nil {
			t.Fatal(err)
		}
		h := w.Handler()
		w.srv = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if w.down.Load() {
				panic(http.ErrAbortHandler) // cuts the connection
			}
			if p := w.latest.Load(); p != nil && r.URL.Path == "/latest" {
				_, _ = rw.Write(*p)
				return
			}
			if w.bare.Load() && r.URL.Path != "/add-checkpoint" {
				http.NotFound(rw, r)
				return
			}
			h.ServeHTTP(rw, r)
		}))
		t.Cleanup(func() { w.srv.Close(); _ = w.Close() })
		c.witnesses = append(c.witnesses, w)
		fmt.Fprintf(&policy, "witness w%d %s %s\n", i, w.VKey(), w.srv.URL)
	}
	policy.WriteString("group q 2 w1 w2 w3\nquorum q\n")
	c.policy = policy.String()
	return c
}

func (c *testCell) config(dir string) ledger.Config {
	return ledger.Config{
		Dir: dir, Origin: origin, SignerKey: c.skey, Policy: []byte(c.policy), HTTPClient: c.witnesses[0].srv.Client(),
		CheckpointInterval: 100 * time.Millisecond, BatchAge: 10 * time.Millisecond, WitnessTimeout: time.Second, StartTimeout: 2 * time.Second,
	}
}

func (c *testCell) open(t testing.TB, dir string) *ledger.Ledger {
	t.Helper()
	return c.openWith(t, c.config(dir))
}

func (c *testCell) openWith(t testing.TB, cfg ledger.Config) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = l.Close(ctx)
	})
	return l
}

func (c *testCell) verifyPolicy() *verify.WitnessPolicy {
	c.t.Helper()
	p, err := verify.ParseWitnessPolicy([]byte(c.policy))
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func mustAppend(t testing.TB, l *ledger.Ledger, leaf string) ledger.Receipt {
	t.Helper()
	r, err := l.Append(t.Context(), []byte(leaf))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func closeLedger(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// until polls f until it is true, at most ten seconds.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			t.Fatal(errors.New("waited in vain for " + what))
		case <-tick.C:
		}
	}
}
