package journal_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bonded"
	"bonded/internal/journal"
	"bonded/verify"
)

// A book is a keyholder's key-use book as far as these tests need one.
type book struct {
	key  ed25519.PrivateKey
	rows []verify.BookRow
	n    map[bonded.ID]uint64
}

func newBook() *book {
	return &book{key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize)), n: make(map[bonded.ID]uint64)}
}

// release books that keys were released for a row.
func (b *book) release(r *verify.Row, leaf [32]byte) {
	row := verify.BookRow{
		Seq: uint64(len(b.rows) + 1), Kind: verify.BookUnlock, Cell: r.Cell, Row: r.RowRef, RowLeaf: leaf, Operation: r.Operation,
		Outcome: verify.OutcomeAllowed, Principal: r.Principal, Assurance: r.Assurance, Resolved: r.Resolved, Collection: r.Collection,
		Purpose: r.Purpose, Reason: r.Reason, Basis: r.Basis, Digest: r.Digest, Policy: r.Policy,
	}
	for _, it := range r.Items {
		b.n[it.Subject]++
		item := verify.BookItem{Subject: it.Subject, Record: it.Record, Index: it.Index, N: b.n[it.Subject]}
		for _, f := range it.Fields {
			item.Fields = append(item.Fields, verify.BookField{Name: f, Version: bonded.ID{1}})
		}
		row.Items = append(row.Items, item)
	}
	b.rows = append(b.rows, row)
}

func (b *book) export(t *testing.T) *verify.BookReader {
	t.Helper()
	var buf bytes.Buffer
	w, err := verify.NewBookWriter(&buf, "eu")
	if err != nil {
		t.Fatal(err)
	}
	head := &verify.Head{Cell: "eu"}
	for i := range b.rows {
		raw := verify.EncodeBookRow(&b.rows[i])
		head.Chain = verify.BookChain(head.Chain, raw)
		head.Seq++
		if err := w.WriteRow(raw); err != nil {
			t.Fatal(err)
		}
	}
	copy(head.Sig[:], ed25519.Sign(b.key, head.Message()))
	if err := w.Close(head); err != nil {
		t.Fatal(err)
	}
	r, err := verify.NewBookReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBooksReconcileAfterLostRows(t *testing.T) {
	l := newLedger(t)
	j := anchored(t, openDB(t, filepath.Join(t.TempDir(), "vault.db")), l, nil)
	b := newBook()
	if err := j.Tick(t.Context()); err != nil { // an anchor before the first segment
		t.Fatal(err)
	}

	// 1. Rows that were released and entered; released and lost; entered and
	// not released.
	var prepared []journal.Prepared
	var unanswered []verify.RowRef
	for i := range 30 {
		p := j.Prepare(readRow())
		if i%5 != 1 {
			b.release(p.Row, p.Leaf)
		} else {
			unanswered = append(unanswered, p.Row.RowRef)
		}
		if i%5 != 0 {
			prepared = append(prepared, p)
		}
	}
	if _, err := j.Commit(t.Context(), prepared, nil); err != nil {
		t.Fatal(err)
	}

	// 2. The lost ones become orphans, once, however often they are given.
	for round := range 2 {
		e, err := j.RecoverOrphans(t.Context(), b.rows)
		if err != nil || len(e) != []int{6, 0}[round] {
			t.Fatalf("round %d: %d orphans, %v", round, len(e), err)
		}
		e, err = j.Unanswered(t.Context(), unanswered)
		if err != nil || len(e) != []int{6, 0}[round] {
			t.Fatalf("round %d: %d unanswered, %v", round, len(e), err)
		}
	}
	seconds, err := j.Seconds(t.Context(), unanswered[0])
	if err != nil || len(seconds) != 1 || seconds[0].Row.Outcome != verify.OutcomeUnanswered {
		t.Fatalf("%d second rows, %v", len(seconds), err)
	}
	if err := j.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := j.AnchorMessage(t.Context(), j.LastAnchor().Number)
	if err != nil || len(m.Segments) != 1 || len(m.Segments[0].Orphans) != 6 {
		t.Fatalf("%d segments in the message, %v", len(m.Segments), err)
	}
	for i, o := range m.Segments[0].Orphans {
		if o[1] != b.rows[slices.IndexFunc(b.rows, func(r verify.BookRow) bool { return r.RowLeaf == o[1] })].RowLeaf || !slices.Contains(m.Segments[0].Leaves, o[0]) {
			t.Fatalf("orphan %d names leaves nobody knows", i)
		}
	}

	// 3. Whoever holds both books finds nothing released without an entry.
	var export bytes.Buffer
	if err := j.Export(t.Context(), &export, nil); err != nil {
		t.Fatal(err)
	}
	r, err := verify.NewJournalReader(&export)
	if err != nil {
		t.Fatal(err)
	}
	cell := l.cell()
	cell.KeyholderKey = base64.StdEncoding.EncodeToString(b.key[32:])
	rep, err := verify.Reconcile(r, b.export(t), &cell, verify.ReconcileOptions{Ledger: l.fetch, Anchored: true})
	if err != nil {
		t.Fatal(err)
	}
	if rep.ReleasedWithoutEntry != 0 || rep.Orphans != 6 || rep.Unanswered != 6 || rep.Matched != 18 || rep.Anchors != 2 {
		t.Fatalf("%+v", rep)
	}

	// 4. A release under a known name with another leaf is no orphan.
	forged := b.rows[2]
	forged.RowLeaf[0] ^= 1
	if _, err := j.RecoverOrphans(t.Context(), []verify.BookRow{forged}); bonded.CodeOf(err) != bonded.CodeAltered {
		t.Fatalf("another leaf: %v", err)
	}
}

func TestHistorySeesIndexedRowsAndTheTail(t *testing.T) {
	j, db := newJournal(t)
	j.SetRunRows(17)
	who := bonded.NewID()
	var want []uint64
	for i := range 60 {
		row := readRow()
		if i%3 == 0 {
			row.Items = append(row.Items, verify.RowItem{Subject: who, Fields: []string{"email"}}, verify.RowItem{Subject: who})
			want = append(want, uint64(i+1))
		}
		if i%3 == 1 {
			row.RequestID = who // the same bytes elsewhere in the row
		}
		enter(t, j, row)
		if i%25 == 24 {
			if err := j.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Reverse(want)
	var runs int
	if err := db.Read().QueryRow("SELECT count(*) FROM journal_runs").Scan(&runs); err != nil || runs != 2 {
		t.Fatalf("%d runs, %v", runs, err)
	}
	for _, limit := range []int{1, 3, 7, 100} {
		var got []uint64
		for before := uint64(0); ; {
			rows, err := j.History(t.Context(), who, before, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				got = append(got, r.Position)
			}
			if len(rows) < limit {
				break
			}
			before = rows[len(rows)-1].Position
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pages of %d: rows %v, want %v", limit, got, want)
		}
	}
}

func TestUnauthenticatedRefusalsShareARow(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	db := openDB(t, filepath.Join(t.TempDir(), "vault.db"))
	j := openJournal(t, db, func(c *journal.Config) { c.Now = func() time.Time { return now } })
	for range 1000 {
		j.CountUnauthenticated()
	}
	if err := j.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := allRows(t, j); len(rows) != 0 {
		t.Fatalf("%d rows before the minute is over", len(rows))
	}
	now = now.Add(time.Minute)
	for range 2 {
		if err := j.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows := allRows(t, j)
	if len(rows) != 1 || rows[0].Row.Count != 1000 || rows[0].Row.Outcome != verify.OutcomeAggregate || rows[0].Row.Time != uint64(now.UnixMilli()) {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
}

func TestCountedRefusalsShareARowOfTheirRuleAndPerson(t *testing.T) {
	j, _ := newJournal(t)
	for range 3 {
		j.CountRefused("console.passkey", "")
		j.CountRefused("console.form", "legal-1")
	}
	j.CountUnauthenticated()
	for i := range 2 * journal.MaxCounted { // somebody tries under many names
		j.CountRefused("cases.withheld", "person-"+strconv.Itoa(i))
	}
	for range 2 {
		if err := j.Aggregate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows := allRows(t, j)
	if len(rows) > journal.MaxCounted+1 {
		t.Errorf("%d rows", len(rows))
	}
	counts := map[string]uint64{}
	all := uint64(0)
	for _, r := range rows {
		if r.Row.Outcome != verify.OutcomeAggregate || len(r.Row.Rules) > 1 || (r.Row.Principal == "") != (r.Row.Code == bonded.CodeUnauthenticated) {
			t.Errorf("row %+v", r.Row)
		}
		counts[strings.Join(r.Row.Rules, "")+" "+r.Row.Principal] += r.Row.Count
		all += r.Row.Count
	}
	if counts["console.passkey "] != 3 || counts["console.form legal-1"] != 3 || all != 7+2*journal.MaxCounted {
		t.Errorf("%d refusals: %v", all, counts)
	}
}

func TestRefuseEntersARowWithItsCode(t *testing.T) {
	j, _ := newJournal(t)
	row := readRow()
	row.Code = bonded.CodeForbidden
	e, err := j.Refuse(t.Context(), row)
	if err != nil || e.Check() != nil {
		t.Fatal(err)
	}
	r, err := j.RowByRef(t.Context(), e.Ref())
	if err != nil || r.Row.Outcome != verify.OutcomeRefused || r.Row.Code != bonded.CodeForbidden {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := j.Refuse(t.Context(), readRow()); err == nil {
		t.Fatal("a refusal without a code was entered")
	}
}

func TestRunSealsInItsIntervalsAndAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.db")
	synctest.Test(t, func(t *testing.T) {
		db := openDB(t, path)
		j := openJournal(t, db, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- j.Run(ctx) }()
		enter(t, j, readRow())
		time.Sleep(journal.DefaultSealEvery + time.Millisecond) // on the bubble's clock
		synctest.Wait()
		if h := j.Head(); h.Segments != 1 || h.Unsealed != 0 || h.Rows != 1 {
			t.Errorf("after an interval: %+v", h)
		}
		enter(t, j, readRow())
		j.CountUnauthenticated()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if h := j.Head(); h.Segments != 2 || h.Unsealed != 0 || h.Rows != 3 {
			t.Errorf("after the end: %+v", h)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}
