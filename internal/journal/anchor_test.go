package journal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/ledger"
	"bonded/internal/sqldb"
	"bonded/internal/wire"
	"bonded/internal/witness"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// A testLedger is a real ledger with one real witness that can be cut off.
type testLedger struct {
	*ledger.Ledger
	down   atomic.Bool
	policy string
}

func newLedger(t testing.TB) *testLedger {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	const origin = "log.example/eu"
	skey, vkey, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key, err := witness.LoadOrCreateKey(filepath.Join(dir, "key"), "w1.example")
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: vkey}})
	if err != nil {
		t.Fatal(err)
	}
	l := &testLedger{}
	h := w.Handler()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if l.down.Load() {
			panic(http.ErrAbortHandler) // cuts the connection
		}
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { srv.Close(); _ = w.Close() })
	l.policy = fmt.Sprintf("witness w1 %s %s\nquorum w1\n", w.VKey(), srv.URL)
	l.Ledger, err = ledger.Open(t.Context(), ledger.Config{
		Dir: filepath.Join(dir, "log"), Origin: origin, SignerKey: skey, Policy: []byte(l.policy), HTTPClient: srv.Client(),
		CheckpointInterval: 100 * time.Millisecond, BatchAge: 10 * time.Millisecond, WitnessTimeout: 2 * time.Second,
		StartTimeout: 20 * time.Second, Deadline: 3 * time.Second,
	})
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

// cell is the entry of the directory that the ledger is checked under.
func (l *testLedger) cell() verify.DirectoryCell {
	return verify.DirectoryCell{
		ID: "eu", LedgerKey: l.VKey(), WitnessPolicy: l.policy,
		PromiseKey: base64.StdEncoding.EncodeToString(promiseKey[32:]),
	}
}

func (l *testLedger) fetch(path string) ([]byte, error) {
	rec := httptest.NewRecorder()
	l.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/"+path, nil))
	if rec.Code != http.StatusOK {
		return nil, errors.New("not there")
	}
	return io.ReadAll(rec.Body)
}

// anchored opens a journal over l.
func anchored(t testing.TB, db *sqldb.DB, l *testLedger, on func(context.Context, uint64, *wire.Anchor) error) *journal.Journal {
	t.Helper()
	return openJournal(t, db, func(c *journal.Config) {
		c.Ledger, c.OnAnchor = l, on
		c.Facts = func(context.Context) (journal.AnchorFacts, error) {
			return journal.AnchorFacts{Policy: [32]byte{7}}, nil
		}
	})
}

func TestReceiptOfEveryRowChecksOffline(t *testing.T) {
	l := newLedger(t)
	db := openDB(t, filepath.Join(t.TempDir(), "vault.db"))
	var messages []*wire.Anchor
	j := anchored(t, db, l, func(_ context.Context, n uint64, a *wire.Anchor) error {
		if n != uint64(len(messages)+1) {
			t.Errorf("anchor %d after %d", n, len(messages))
		}
		messages = append(messages, a)
		return nil
	})
	batch := readRow()
	for range 4 {
		batch.Items = append(batch.Items, verify.RowItem{Subject: bonded.NewID(), Fields: []string{"email"}})
	}
	var entered []journal.Entered
	for round := range 3 {
		entered = append(entered, enter(t, j, make1(round*3+1)...)...)
		if round == 1 {
			entered = append(entered, enter(t, j, batch)...)
		}
		for range round {
			entered = append(entered, enter(t, j, readRow())...)
			if err := j.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		late := enter(t, j, readRow())[0]
		entered = append(entered, late)
		if _, err := j.Receipt(t.Context(), late.Ref(), nil); bonded.CodeOf(err) != bonded.CodeBusy {
			t.Fatalf("receipt before its anchor: %v", err)
		}
		if err := j.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	dir := &verify.Directory{Format: verify.DirectoryFormat, Cells: []verify.DirectoryCell{l.cell()}}
	check := func(ref verify.RowRef, items []int) *verify.ReceiptReport {
		t.Helper()
		r, err := j.Receipt(t.Context(), ref, items)
		if err != nil {
			t.Fatal(err)
		}
		rep, err := verify.CheckReceipt(r, dir)
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	for i, e := range entered {
		if rep := check(e.Ref(), nil); rep.Leaf != e.Leaf() || rep.Position != uint64(i+1) || len(rep.Items) != rep.ItemCount {
			t.Fatalf("receipt of %s is of row %d with leaf %x", e.Ref(), rep.Position, rep.Leaf)
		}
	}
	if rep := check(batch.RowRef, []int{1, 3}); rep.ItemCount != 5 || len(rep.Items) != 2 || rep.Items[1].Place != 3 {
		t.Fatalf("%d of %d items shown", len(rep.Items), rep.ItemCount)
	}
	for _, items := range [][]int{{5}, {-1}, {2, 1}, {1, 1}} {
		if _, err := j.Receipt(t.Context(), batch.RowRef, items); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("items %v: %v", items, err)
		}
	}
	if _, err := j.Receipt(t.Context(), verify.RowRef{Node: 1, Incarnation: 1, Seq: 9999}, nil); bonded.CodeOf(err) != bonded.CodeWithheld {
		t.Errorf("no such row: %v", err)
	}

	// What the keyholder is shown covers every row once, in order.
	var leaves [][32]byte
	for _, m := range messages {
		b, err := wire.DecodeAnchor(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Segments {
			leaves = append(leaves, s.Leaves...)
		}
	}
	for i, e := range entered {
		if i >= len(leaves) || leaves[i] != e.Leaf() {
			t.Fatalf("row %d of %d is not in the messages", i+1, len(entered))
		}
	}
}

func TestAnchorTicksWhenIdleAndSurvivesALostAnswer(t *testing.T) {
	l := newLedger(t)
	path := filepath.Join(t.TempDir(), "vault.db")
	db := openDB(t, path)
	j := anchored(t, db, l, nil)
	for range 2 { // idle
		if err := j.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fresh := j.Freshness()
	if fresh.IsZero() || j.LastAnchor().Number != 2 || j.LastAnchor().LastSegment != 0 {
		t.Fatalf("after two idle ticks: %+v", j.LastAnchor())
	}

	// 1. No witness: the anchor does not count, and its age shows.
	enter(t, j, readRow())
	l.down.Store(true)
	if err := j.Tick(t.Context()); bonded.CodeOf(err) != bonded.CodeStale {
		t.Fatalf("without a witness: %v", err)
	}
	if j.LastAnchor().Number != 2 || !j.Freshness().Equal(fresh) {
		t.Fatalf("an anchor nobody cosigned counts: %+v", j.LastAnchor())
	}
	ref := allRows(t, j)[0].Row.RowRef
	if _, err := j.Receipt(t.Context(), ref, nil); bonded.CodeOf(err) != bonded.CodeBusy {
		t.Fatal(err)
	}

	// 2. The process ends there. The next one finishes the same anchor.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l.down.Store(false)
	j = anchored(t, openDB(t, path), l, nil)
	enter(t, j, readRow())
	if err := j.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	as, err := j.Anchors(t.Context(), 0, 100)
	if err != nil || len(as) != 4 {
		t.Fatalf("%d anchors, %v", len(as), err)
	}
	for i, a := range as[1:] {
		leaf, err := verify.DecodeLeaf(a.Leaf)
		if err != nil || leaf.Prev != tlog.RecordHash(as[i].Leaf) || a.FirstSegment != as[i].LastSegment+1 {
			t.Fatalf("anchor %d does not follow: %v", a.Number, err)
		}
	}
	cell := l.cell()
	rep, err := verify.CheckCellLedger(l.fetch, &cell, verify.LogOptions{})
	if err != nil || rep.Anchors != 4 {
		t.Fatalf("%d anchors in %d entries of the ledger: %v", rep.Anchors, rep.Entries, err)
	}

	t.Logf("%d entries of the ledger hold %d anchors", rep.Entries, rep.Anchors)

	// 3. The row that waited has its receipt.
	if _, err := j.Receipt(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
}

func TestCheckLedgerRefusesRestoredJournalAndRestoredLedger(t *testing.T) {
	l := newLedger(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "vault.db")
	db := openDB(t, path)
	j := anchored(t, db, l, nil)
	if err := j.CheckLedger(t.Context(), nil); err != nil {
		t.Fatalf("both empty: %v", err)
	}
	enter(t, j, readRow())
	if err := j.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := j.LastAnchor().Leaf
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	backup := copyFile(t, path, filepath.Join(dir, "backup.db"))

	// 1. The true course of things.
	db = openDB(t, path)
	j = anchored(t, db, l, nil)
	enter(t, j, readRow())
	if err := j.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := j.LastAnchor().Leaf
	if err := j.CheckLedger(t.Context(), second); err != nil {
		t.Fatalf("true journal: %v", err)
	}

	// 2. A ledger that is older, or empty.
	for name, leaf := range map[string][]byte{"older": first, "empty": nil, "other": bytes.Repeat([]byte{1}, verify.LeafSize)} {
		if err := j.CheckLedger(t.Context(), leaf); bonded.CodeOf(err) != bonded.CodeRestored {
			t.Errorf("%s ledger: %v", name, err)
		}
	}

	// 3. A journal that is older.
	old := anchored(t, openDB(t, backup), l, nil)
	if err := old.CheckLedger(t.Context(), second); bonded.CodeOf(err) != bonded.CodeRestored {
		t.Errorf("older journal: %v", err)
	}

	// 4. An anchor that was begun and reached the ledger, its answer lost.
	l.down.Store(true)
	enter(t, j, readRow())
	if err := j.Tick(t.Context()); err == nil {
		t.Fatal("anchored without a witness")
	}
	var begun []byte
	if err := db.Read().QueryRow("SELECT leaf FROM journal_anchors ORDER BY number DESC LIMIT 1").Scan(&begun); err != nil {
		t.Fatal(err)
	}
	for name, leaf := range map[string][]byte{"begun": begun, "before it": second} {
		if err := j.CheckLedger(t.Context(), leaf); err != nil {
			t.Errorf("anchor %s: %v", name, err)
		}
	}
}
