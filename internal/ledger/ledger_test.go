//go:build unix

package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/internal/ledger"
	"bonded/verify"
)

func TestReceiptsHoldOffline(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	const n = 40
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int64]bool{}
	for i := range n {
		wg.Go(func() {
			leaf := fmt.Appendf(nil, "leaf %d", i)
			r, err := l.Append(t.Context(), leaf)
			if err != nil {
				t.Error(err)
				return
			}
			in, err := verify.CheckInclusion(leaf, r.Proof(), c.vkey, c.verifyPolicy())
			if err != nil || in.Index != r.Index() || in.LeafHash != r.LeafHash() || !r.Valid() {
				t.Errorf("receipt of entry %d: %v", r.Index(), err)
			}
			got, err := l.ReadEntry(t.Context(), r.Index())
			if err != nil || !bytes.Equal(got, leaf) {
				t.Errorf("entry %d: %q, %v", r.Index(), got, err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[r.Index()] = true
		})
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("%d indices for %d entries", len(seen), n)
	}
	cp, err := l.Latest()
	if err != nil || cp.Size != n || time.Since(cp.WitnessTime()) > time.Minute {
		t.Errorf("latest %+v, %v", cp, err)
	}
}

func TestProofsOfEntriesAlreadyInTheLog(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	older := mustAppend(t, l, "a").Checkpoint()
	mustAppend(t, l, "b")
	newer := mustAppend(t, l, "c").Checkpoint()
	r, err := l.Prove(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.CheckInclusion([]byte("b"), r.Proof(), c.vkey, c.verifyPolicy()); err != nil {
		t.Error(err)
	}
	if _, err := l.Prove(t.Context(), newer.Size); bonded.CodeOf(err) != bonded.CodeWithheld {
		t.Errorf("an entry that is not there: %v", err)
	}
	proof, err := l.ProveConsistency(t.Context(), older.Size, newer)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.CheckConsistency(older, newer, proof); err != nil {
		t.Error(err)
	}
}

func TestConfigAndLedgerPrintWithoutTheKey(t *testing.T) {
	c := newTestCell(t)
	cfg := c.config(c.dir)
	secret := c.skey[len(c.skey)-20:]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		if s := fmt.Sprintf(verb+verb+verb, cfg, &cfg, struct{ C ledger.Config }{cfg}); strings.Contains(s, secret) {
			t.Errorf("%s shows the key of a config: %s", verb, s)
		}
	}
}

// A witness that answers with what is not its own cosignature has not answered.
func TestForeignAnswersOfAWitnessDoNotCount(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	r := mustAppend(t, l, "a")
	closeLedger(t, l)
	unsigned, _, _ := bytes.Cut(r.Checkpoint().Raw, []byte("\n— w"))
	for name, answer := range map[string][]byte{
		"the log's signature alone": append(unsigned, '\n'),
		"garbage":                   []byte("garbage"),
		"too much":                  bytes.Repeat([]byte("x"), 1<<20),
	} {
		c.witnesses[0].latest.Store(&answer)
		c.witnesses[1].down.Store(true)
		cfg := c.config(c.dir)
		cfg.StartTimeout = 200 * time.Millisecond
		if _, err := ledger.Open(t.Context(), cfg); bonded.CodeOf(err) != bonded.CodeStale {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestZeroReceiptIsNotValid(t *testing.T) {
	var r ledger.Receipt
	if r.Valid() || r.Checkpoint() != nil || r.Proof() != nil {
		t.Error("the zero receipt is valid")
	}
}

func TestAppendWorksWithOneWitnessDown(t *testing.T) {
	c := newTestCell(t)
	c.witnesses[1].down.Store(true)
	l := c.open(t, c.dir)
	mustAppend(t, l, "a")
	c.witnesses[1].down.Store(false)
	c.witnesses[2].down.Store(true)
	mustAppend(t, l, "b") // the one that was down catches up
}

func TestAppendFailsClosedWithoutAQuorumAndRecovers(t *testing.T) {
	c := newTestCell(t)
	cfg := c.config(c.dir)
	cfg.Deadline = time.Second
	l := c.openWith(t, cfg)
	mustAppend(t, l, "before")
	c.witnesses[0].down.Store(true)
	c.witnesses[2].down.Store(true)
	r, err := l.Append(t.Context(), []byte("during"))
	if bonded.CodeOf(err) != bonded.CodeStale || r.Valid() {
		t.Fatalf("got %v, receipt %v", err, r.Valid())
	}
	if cp, err := l.Latest(); err != nil || cp.Size != 1 {
		t.Errorf("latest moved without a quorum: %+v, %v", cp, err)
	}
	c.witnesses[0].down.Store(false)
	until(t, "the entry that waited", func() bool { cp, err := l.Latest(); return err == nil && cp.Size == 2 })
	mustAppend(t, l, "after")
}

func TestAppendIsBounded(t *testing.T) {
	c := newTestCell(t)
	cfg := c.config(c.dir)
	cfg.MaxInFlight = 1
	cfg.BatchAge = time.Second // holds the first entry long enough
	l := c.openWith(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := l.Append(ctx, []byte("first")); done <- err }()
	until(t, "a busy answer", func() bool {
		small, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		_, err := l.Append(small, []byte("second"))
		return bonded.CodeOf(err) == bonded.CodeBusy
	})
	cancel()
	if err := <-done; err == nil {
		t.Error("a cancelled append succeeded")
	}
	for leaf, code := range map[string]bonded.Code{"": bonded.CodeInvalid, strings.Repeat("x", verify.MaxEntrySize+1): bonded.CodeTooLarge} {
		if _, err := l.Append(t.Context(), []byte(leaf)); bonded.CodeOf(err) != code {
			t.Errorf("%d bytes: %v", len(leaf), err)
		}
	}
}

func TestIdleLogStaysFresh(t *testing.T) {
	c := newTestCell(t)
	cfg := c.config(c.dir)
	cfg.Republish = 200 * time.Millisecond
	l := c.openWith(t, cfg)
	mustAppend(t, l, "only")
	cp, err := l.Latest()
	if err != nil {
		t.Fatal(err)
	}
	until(t, "a fresher checkpoint of the same tree", func() bool {
		now, err := l.Latest()
		return err == nil && now.Size == cp.Size && now.WitnessTime().After(cp.WitnessTime())
	})
}

func TestReopenGoesOnWhereItStopped(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	mustAppend(t, l, "a")
	if _, err := ledger.Open(t.Context(), c.config(c.dir)); bonded.CodeOf(err) != bonded.CodeBusy {
		t.Errorf("second writer: %v", err)
	}
	closeLedger(t, l)
	if _, err := l.Append(t.Context(), []byte("x")); bonded.CodeOf(err) != bonded.CodeNotWritable {
		t.Errorf("append after close: %v", err)
	}
	l = c.open(t, c.dir)
	if r := mustAppend(t, l, "b"); r.Index() != 1 {
		t.Errorf("index %d", r.Index())
	}
}

func TestRestoredFolderRefusesToOpen(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	mustAppend(t, l, "a")
	closeLedger(t, l)
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	l = c.open(t, c.dir)
	mustAppend(t, l, "b")
	closeLedger(t, l)

	for name, dir := range map[string]string{"an old copy": old, "an empty folder": t.TempDir()} {
		if _, err := ledger.Open(t.Context(), c.config(dir)); bonded.CodeOf(err) != bonded.CodeRestored {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One witness is enough to know, if the others were wiped or are behind.
	c.witnesses[0].down.Store(true)
	if _, err := ledger.Open(t.Context(), c.config(old)); bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("with one witness down: %v", err)
	}
	c.witnesses[1].down.Store(true)
	if _, err := ledger.Open(t.Context(), c.config(old)); bonded.CodeOf(err) == "" {
		t.Error("opened with two witnesses down")
	}
}

// Witnesses that speak C2SP tlog-witness and nothing more tell the size.
func TestRestoredFolderIsFoundByAnyC2SPWitness(t *testing.T) {
	c := newTestCell(t)
	for _, w := range c.witnesses {
		w.bare.Store(true)
	}
	l := c.open(t, c.dir)
	mustAppend(t, l, "a")
	closeLedger(t, l)
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	l = c.open(t, c.dir)
	mustAppend(t, l, "b")
	closeLedger(t, l)
	for name, dir := range map[string]string{"an old copy": old, "an empty folder": t.TempDir()} {
		if _, err := ledger.Open(t.Context(), c.config(dir)); bonded.CodeOf(err) != bonded.CodeRestored {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustAppend(t, c.open(t, c.dir), "c")
}

func TestForkedFolderRefusesToOpen(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	mustAppend(t, l, "a")
	closeLedger(t, l)
	// Another history of the same length under the same key, witnessed elsewhere.
	other := newTestCellOf(t, c.skey, c.vkey)
	forked := t.TempDir()
	fl := other.open(t, forked)
	mustAppend(t, fl, "something else")
	closeLedger(t, fl)
	if _, err := ledger.Open(t.Context(), c.config(forked)); bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("got %v", err)
	}
}

func TestOpenNeedsEnoughWitnessesToAnswer(t *testing.T) {
	c := newTestCell(t)
	c.witnesses[0].down.Store(true)
	c.witnesses[1].down.Store(true)
	cfg := c.config(c.dir)
	cfg.StartTimeout = 300 * time.Millisecond
	if _, err := ledger.Open(t.Context(), cfg); bonded.CodeOf(err) != bonded.CodeStale {
		t.Fatalf("got %v", err)
	}
	c.witnesses[1].down.Store(false)
	mustAppend(t, c.openWith(t, cfg), "a")
}

func TestOpenRefusesAWrongConfig(t *testing.T) {
	c := newTestCell(t)
	w := strings.Split(c.policy, "\n")
	for name, change := range map[string]func(*ledger.Config){
		"another origin":   func(cfg *ledger.Config) { cfg.Origin = "log.example/eu" },
		"no key":           func(cfg *ledger.Config) { cfg.SignerKey = "" },
		"a public key":     func(cfg *ledger.Config) { cfg.SignerKey = c.vkey },
		"quorum none":      func(cfg *ledger.Config) { cfg.Policy = []byte("quorum none\n") },
		"a witness no URL": func(cfg *ledger.Config) { cfg.Policy = []byte(w[0][:strings.LastIndex(w[0], " ")] + "\nquorum w1\n") },
		"two of one URL": func(cfg *ledger.Config) {
			cfg.Policy = []byte(strings.ReplaceAll(c.policy, c.witnesses[1].srv.URL, c.witnesses[0].srv.URL))
		},
		"no policy":               func(cfg *ledger.Config) { cfg.Policy = nil },
		"a log line of a witness": func(cfg *ledger.Config) { cfg.Policy = []byte("log " + c.witnesses[0].VKey() + "\n" + c.policy) },
	} {
		cfg := c.config(t.TempDir())
		change(&cfg)
		if _, err := ledger.Open(t.Context(), cfg); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fetchFrom reads a log through a ledger's handler, as a verifier does.
func fetchFrom(t *testing.T, l *ledger.Ledger) func(string) ([]byte, error) {
	t.Helper()
	srv := httptest.NewServer(l.Handler())
	t.Cleanup(srv.Close)
	return func(path string) ([]byte, error) {
		resp, err := srv.Client().Get(srv.URL + "/" + path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != 200 {
			return nil, errors.New(resp.Status)
		}
		return io.ReadAll(resp.Body)
	}
}

func fetchDir(dir string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, path)) }
}

func TestCheckLogOverServedAndStoredFiles(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	var wg sync.WaitGroup
	for i := range 600 {
		wg.Go(func() {
			if _, err := l.Append(t.Context(), fmt.Appendf(nil, "leaf %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	rep, err := verify.CheckLog(fetchFrom(t, l), c.vkey, c.verifyPolicy(), verify.LogOptions{})
	if err != nil || rep.Entries != 600 {
		t.Fatalf("%v %+v", err, rep)
	}
	if _, err := fetchFrom(t, l)(".state/treeState"); err == nil {
		t.Error("the handler serves the state folder")
	}
	closeLedger(t, l)

	if _, err := verify.CheckLog(fetchDir(c.dir), c.vkey, c.verifyPolicy(), verify.LogOptions{Previous: rep.Checkpoint}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"tile/0/001", "tile/entries/001", "tile/1/000.p/2"} {
		t.Run(path, func(t *testing.T) {
			full := filepath.Join(c.dir, path)
			good, err := os.ReadFile(full)
			if err != nil {
				t.Fatal(err)
			}
			bad := bytes.Clone(good)
			bad[len(bad)/2] ^= 4
			replaceFile(t, full, bad)
			_, err = verify.CheckLog(fetchDir(c.dir), c.vkey, c.verifyPolicy(), verify.LogOptions{})
			if verify.VerdictOf(err) != verify.DoesNotHold || !strings.Contains(err.Error(), "tile/") {
				t.Errorf("altered: %v", err)
			}
			if err := os.Remove(full); err != nil {
				t.Fatal(err)
			}
			_, err = verify.CheckLog(fetchDir(c.dir), c.vkey, c.verifyPolicy(), verify.LogOptions{})
			if verify.VerdictOf(err) != verify.CannotTell || !strings.Contains(err.Error(), path) {
				t.Errorf("missing: %v", err)
			}
			replaceFile(t, full, good)
		})
	}
}

func TestAlteredFilesAreNotServedAsProofs(t *testing.T) {
	c := newTestCell(t)
	l := c.open(t, c.dir)
	r := mustAppend(t, l, "the entry")
	full := filepath.Join(c.dir, "tile/entries/000.p/1")
	good, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[4] ^= 1
	replaceFile(t, full, bad)
	if _, err := l.ReadEntry(t.Context(), r.Index()); bonded.CodeOf(err) != bonded.CodeAltered {
		t.Errorf("got %v", err)
	}
}

func replaceFile(t *testing.T, path string, data []byte) {
	t.Helper()
	_ = os.Remove(path)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
