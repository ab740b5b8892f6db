//go:build unix

package witness_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/internal/witness"
	"bonded/verify"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "log.example/cn"

// A testLog is a log in memory that can sign any of its sizes.
type testLog struct {
	signer note.Signer
	vkey   string
	hashes []tlog.Hash
	label  string
}

func newTestLog(t testing.TB, size int64) *testLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l := &testLog{signer: s, vkey: vkey}
	l.grow(t, 0, size)
	return l
}

// fork returns a log under the same key whose entries differ from entry at on.
func (l *testLog) fork(t testing.TB, at, size int64) *testLog {
	t.Helper()
	f := &testLog{signer: l.signer, vkey: l.vkey}
	f.grow(t, 0, at)
	f.label = "forked"
	f.grow(t, at, size)
	return f
}

func (l *testLog) grow(t testing.TB, from, to int64) {
	t.Helper()
	for i := from; i < to; i++ {
		hs, err := tlog.StoredHashes(i, fmt.Appendf(nil, "%s entry %d", l.label, i), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, hs...)
	}
}

func (l *testLog) ReadHashes(ix []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ix))
	for i, x := range ix {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *testLog) checkpoint(t testing.TB, size int64) []byte {
	t.Helper()
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name(), size, root)}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// request returns an add-checkpoint body from old to size.
func (l *testLog) request(t testing.TB, old, size int64) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", old)
	if old > 0 && old < size {
		proof, err := tlog.ProveTree(size, old, l)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range proof {
			b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
		}
	}
	return b.String() + "\n" + string(l.checkpoint(t, size))
}

// A testWitness is a witness behind a real TLS socket.
type testWitness struct {
	*witness.Witness
	srv *httptest.Server
	dir string
	now func() time.Time
	log *testLog
}

func startWitness(t testing.TB, l *testLog, dir string, now func() time.Time) *testWitness {
	t.Helper()
	key, err := witness.LoadOrCreateKey(filepath.Join(dir, "key"), "w1.example")
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: l.vkey}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(w.Handler())
	tw := &testWitness{Witness: w, srv: srv, dir: dir, now: now, log: l}
	t.Cleanup(tw.stop)
	return tw
}

func (w *testWitness) stop() {
	w.srv.Close()
	_ = w.Close()
}

func (w *testWitness) post(t testing.TB, body string) (status int, contentType, answer string) {
	t.Helper()
	resp, err := w.srv.Client().Post(w.srv.URL+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}

// mustSign submits and returns the timestamp of the verified cosignature.
func (w *testWitness) mustSign(t testing.TB, l *testLog, old, size int64) int64 {
	t.Helper()
	status, _, line := w.post(t, l.request(t, old, size))
	if status != http.StatusOK {
		t.Fatalf("%d to %d: status %d: %s", old, size, status, line)
	}
	policy, err := verify.ParseWitnessPolicy([]byte("witness w1 " + w.VKey() + "\nquorum w1\n"))
	if err != nil {
		t.Fatal(err)
	}
	cp, err := verify.OpenCheckpoint(append(l.checkpoint(t, size), line...), l.vkey, policy)
	if err != nil {
		t.Fatal(err)
	}
	return cp.WitnessTime().Unix()
}

func TestWitnessCosignsAGrowingLog(t *testing.T) {
	l := newTestLog(t, 40)
	w := startWitness(t, l, t.TempDir(), nil)
	for _, step := range [][2]int64{{0, 0}, {0, 3}, {3, 3}, {3, 20}, {20, 40}} {
		w.mustSign(t, l, step[0], step[1])
	}
	resp, err := w.srv.Client().Get(w.srv.URL + "/latest?origin=" + origin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(resp.Body)
	if !bytes.HasPrefix(raw, []byte(origin+"\n40\n")) || bytes.Count(raw, []byte("\n— ")) != 2 {
		t.Errorf("latest: %q", raw)
	}
}

func TestWitnessRefuses(t *testing.T) {
	l := newTestLog(t, 40)
	w := startWitness(t, l, t.TempDir(), nil)
	w.mustSign(t, l, 0, 10)
	stranger := newTestLog(t, 40)
	fork := l.fork(t, 5, 40)
	elsewhere := newTestLog(t, 1)
	good := l.request(t, 10, 20)

	cases := []struct {
		name, body  string
		status      int
		contentType string
		answer      string
	}{
		{"a stale old size", l.request(t, 5, 20), 409, "text/x.tlog.size", "10\n"},
		{"an unknown old size", l.request(t, 0, 20), 409, "text/x.tlog.size", "10\n"},
		{"a going back to zero", l.request(t, 0, 0), 409, "text/x.tlog.size", "10\n"},
		{"an old size over the new", strings.Replace(l.request(t, 0, 5), "old 0", "old 10", 1), 400, "", ""},
		{"a fork that is larger", fork.request(t, 10, 20), 422, "", ""},
		{"a fork of the same size", fork.request(t, 10, 10), 409, "text/plain; charset=utf-8", ""},
		{"a missing proof", strings.Replace(l.request(t, 0, 20), "old 0", "old 10", 1), 422, "", ""},
		{"a proof where none belongs", strings.Replace(l.request(t, 10, 10), "old 10\n", "old 10\n"+strings.Repeat("A", 43)+"=\n", 1), 422, "", ""},
		{"another key of that origin", stranger.request(t, 10, 20), 403, "", ""},
		{"an unknown log", strings.ReplaceAll(elsewhere.request(t, 0, 1), origin, "log.example/eu"), 404, "", ""},
		{"a negative size", strings.Replace(good, "old 10", "old -1", 1), 400, "", ""},
		{"a leading zero", strings.Replace(good, "old 10", "old 010", 1), 400, "", ""},
		{"no empty line", strings.ReplaceAll(good, "\n\n", "\n"), 400, "", ""},
		{"64 lines of proof", strings.Replace(good, "old 10\n", "old 10\n"+strings.Repeat(strings.Repeat("A", 43)+"=\n", 64), 1), 400, "", ""},
		{"no checkpoint", "old 10\n\n", 400, "", ""},
		{"nothing", "", 400, "", ""},
		{"a body that is too large", good + strings.Repeat("x", 1<<16), 400, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, ct, answer := w.post(t, c.body)
			if status != c.status || c.contentType != "" && ct != c.contentType || c.answer != "" && answer != c.answer {
				t.Errorf("status %d, %s, %q; want %d", status, ct, answer, c.status)
			}
		})
	}
	w.mustSign(t, l, 10, 20) // and it was not disturbed
}

func TestWitnessKeepsItsStateAcrossARestart(t *testing.T) {
	l := newTestLog(t, 40)
	dir := t.TempDir()
	w := startWitness(t, l, dir, nil)
	w.mustSign(t, l, 0, 30)
	key := w.VKey()
	w.stop()

	w = startWitness(t, l, dir, nil)
	if w.VKey() != key {
		t.Error("the key changed")
	}
	if status, _, answer := w.post(t, l.request(t, 0, 40)); status != 409 || answer != "30\n" {
		t.Errorf("status %d %q", status, answer)
	}
	if status, _, _ := w.post(t, l.fork(t, 5, 40).request(t, 30, 40)); status != 422 {
		t.Errorf("fork after a restart: status %d", status)
	}
	w.mustSign(t, l, 30, 40)
}

func TestWitnessRefusesAnAlteredRecord(t *testing.T) {
	l := newTestLog(t, 40)
	dir := t.TempDir()
	w := startWitness(t, l, dir, nil)
	w.mustSign(t, l, 0, 30)
	w.stop()
	files, _ := filepath.Glob(filepath.Join(dir, "*.checkpoint"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	b, _ := os.ReadFile(files[0])
	if err := os.WriteFile(files[0], bytes.Replace(b, []byte("\n30\n"), []byte("\n20\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := witness.LoadKey(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: l.vkey}}); bonded.CodeOf(err) != bonded.CodeAltered {
		t.Fatalf("got %v", err)
	}
}

func TestOneProcessAtATimeUsesTheFolder(t *testing.T) {
	l := newTestLog(t, 1)
	dir := t.TempDir()
	startWitness(t, l, dir, nil)
	key, err := witness.LoadKey(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: l.vkey}}); bonded.CodeOf(err) != bonded.CodeBusy {
		t.Fatalf("got %v", err)
	}
}

func TestTimestampsNeverGoBack(t *testing.T) {
	l := newTestLog(t, 40)
	dir := t.TempDir()
	start := time.Unix(1_800_000_000, 0)
	var mu sync.Mutex
	now := start
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	set := func(d time.Duration) { mu.Lock(); now = start.Add(d); mu.Unlock() }

	w := startWitness(t, l, dir, clock)
	if got := w.mustSign(t, l, 0, 10); got != start.Unix() {
		t.Errorf("signed at %d", got)
	}
	set(-30 * time.Second) // a correction: the last timestamp again
	if got := w.mustSign(t, l, 10, 20); got != start.Unix() {
		t.Errorf("signed at %d", got)
	}
	w.stop()
	set(-time.Hour) // set back, and restarted: refused
	w = startWitness(t, l, dir, clock)
	if status, _, answer := w.post(t, l.request(t, 20, 30)); status != 503 || !strings.Contains(answer, "clock") {
		t.Errorf("status %d %q", status, answer)
	}
	set(time.Second)
	if got := w.mustSign(t, l, 20, 30); got != start.Unix()+1 {
		t.Errorf("signed at %d", got)
	}
}

// However submissions race, each size is cosigned from the one before it, and
// the record ends at the largest.
func TestRacingSubmissionsNeverRollBack(t *testing.T) {
	l := newTestLog(t, 32)
	w := startWitness(t, l, t.TempDir(), nil)
	bodies := make([]string, 0, 32)
	for size := int64(1); size <= 32; size++ {
		bodies = append(bodies, l.request(t, 0, size))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	signed := 0
	for _, b := range bodies {
		wg.Go(func() {
			status, _, _ := w.post(t, b)
			mu.Lock()
			defer mu.Unlock()
			if status == 200 {
				signed++
			} else if status != 409 {
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
	if signed != 1 {
		t.Errorf("%d submissions from size 0 were cosigned", signed)
	}
}

func TestKeyFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "key")
	k, err := witness.LoadOrCreateKey(path, "w1.example")
	if err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	if s := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); s != "[key] [key] [key] [key]" {
		t.Errorf("printed %s", s)
	}
	if _, err := witness.LoadOrCreateKey(path, "w2.example"); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("another name: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var e *bonded.Error
	if _, err := witness.LoadKey(path); !errors.As(err, &e) || e.Code != bonded.CodeConfig {
		t.Errorf("readable key: %v", err)
	}
}

func FuzzAddCheckpoint(f *testing.F) {
	l := newTestLog(f, 40)
	w := startWitness(f, l, f.TempDir(), nil)
	w.mustSign(f, l, 0, 10)
	for _, seed := range []string{l.request(f, 5, 20), l.request(f, 10, 10), l.fork(f, 5, 40).request(f, 10, 20), "old 0\n\nx\n0\n\n"} {
		f.Add([]byte(seed))
	}
	h := w.Handler()
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
		switch rec.Code {
		case 400, 403, 404, 409, 422:
		case 200:
			if !bytes.Contains(body, []byte("\n\n"+origin+"\n10\n")) {
				t.Fatalf("cosigned %q", body)
			}
		default:
			t.Fatalf("status %d", rec.Code)
		}
	})
}
