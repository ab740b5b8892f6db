package journal_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func TestEveryReplyOfManyWritersHasItsOneRow(t *testing.T) {
	j, db := newJournal(t)
	const writers, each = 32, 40
	replies := make(map[verify.RowRef][32]byte)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				e, err := j.Commit(t.Context(), []journal.Prepared{j.Prepare(readRow())}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				replies[e[0].Ref()] = e[0].Leaf()
				mu.Unlock()
			}
		})
	}
	wg.Wait()

	rows := allRows(t, j)
	if len(rows) != writers*each || len(replies) != len(rows) {
		t.Fatalf("%d rows for %d replies of %d calls", len(rows), len(replies), writers*each)
	}
	for i, r := range rows {
		if r.Position != uint64(i+1) {
			t.Fatalf("row %d is at position %d", i+1, r.Position)
		}
		if leaf, ok := replies[r.Row.RowRef]; !ok || leaf != verify.RowLeaf(r.Row, r.Salt) {
			t.Fatalf("row %s was not replied with its leaf", r.Row.RowRef)
		}
	}
	if s := db.Stats(); s.Commits > s.Jobs/2 {
		t.Errorf("%d commits for %d jobs", s.Commits, s.Jobs)
	}
}

func make1(n int) (rows []*verify.Row) {
	for range n {
		rows = append(rows, readRow())
	}
	return rows
}

func TestConflictKeepsTheRowsAndUndoesTheChange(t *testing.T) {
	j, db := newJournal(t)
	if err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		return tx.Script("CREATE TABLE data (id INTEGER PRIMARY KEY) STRICT")
	}); err != nil {
		t.Fatal(err)
	}
	conflict := bonded.Errorf(bonded.CodeConflict, "the version named is not the current one")
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			e, err := j.Commit(t.Context(), []journal.Prepared{j.Prepare(readRow())}, func(_ context.Context, tx *sqldb.Tx) error {
				if _, err := tx.Exec("INSERT INTO data (id) VALUES (?)", i); err != nil {
					return err
				}
				if i%4 == 0 {
					return conflict
				}
				return nil
			})
			if (i%4 == 0) != errors.Is(err, conflict) || len(e) != 1 || e[0].Check() != nil {
				t.Errorf("call %d: %v, %d entered", i, err, len(e))
			}
		})
	}
	wg.Wait()
	var data int
	if err := db.Read().QueryRow("SELECT count(*) FROM data").Scan(&data); err != nil || data != 30 {
		t.Errorf("%d changes, %v", data, err)
	}
	if rows := allRows(t, j); len(rows) != 40 {
		t.Errorf("%d rows", len(rows))
	}
}

func TestZeroEnteredIsRefused(t *testing.T) {
	var e journal.Entered
	if e.Check() == nil || e.Promise() != nil {
		t.Fatal("the zero Entered passes")
	}
	j, _ := newJournal(t)
	if _, err := j.Commit(t.Context(), []journal.Prepared{{Row: readRow()}}, nil); err == nil {
		t.Fatal("a row nobody prepared was committed")
	}
}

func TestPrepareRefusesWhatCouldNotBeReadAgain(t *testing.T) {
	j, _ := newJournal(t)
	for name, spoil := range map[string]func(*verify.Row){
		"reason too long":   func(r *verify.Row) { r.Reason = strings.Repeat("a", verify.MaxReason+1) },
		"reason not UTF-8":  func(r *verify.Row) { r.Reason = "\xff" },
		"no outcome":        func(r *verify.Row) { r.Outcome = 0 },
		"unknown operation": func(r *verify.Row) { r.Operation = 200 },
		"too many items":    func(r *verify.Row) { r.Items = make([]verify.RowItem, verify.MaxRowItems+1) },
		"field too long":    func(r *verify.Row) { r.Items[0].Fields = []string{strings.Repeat("a", 65)} },
	} {
		t.Run(name, func(t *testing.T) {
			row := readRow()
			spoil(row)
			p := j.Prepare(row)
			if bonded.CodeOf(p.Err()) != bonded.CodeInvalid {
				t.Fatal(p.Err())
			}
			if _, err := j.Commit(t.Context(), []journal.Prepared{p}, nil); err == nil {
				t.Fatal("committed")
			}
		})
	}
}

func TestRowsCannotBeChangedDeletedOrReplaced(t *testing.T) {
	j, db := newJournal(t)
	enter(t, j, readRow(), readRow())
	if err := j.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"UPDATE journal SET row = x'00'", "DELETE FROM journal", "UPDATE journal SET position = position + 10",
		"INSERT OR REPLACE INTO journal (position, seq, row, salt) SELECT position, seq, x'00', salt FROM journal WHERE position = 1",
		"UPDATE journal_segments SET segment = x'00'", "DELETE FROM journal_segments",
		"INSERT OR REPLACE INTO journal_segments (number, first, count, segment, leaves) SELECT number, first, count, x'00', leaves FROM journal_segments",
	} {
		err := db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error { _, err := tx.Exec(q); return err })
		if !sqldb.IsConstraint(err) {
			t.Errorf("%s: %v", q, err)
		}
	}
	if rows := allRows(t, j); len(rows) != 2 {
		t.Errorf("%d rows left", len(rows))
	}
}

func TestOpenRefusesAnotherNodesJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.db")
	db := openDB(t, path)
	openJournal(t, db, nil)
	_, err := journal.Open(t.Context(), journal.Config{DB: db, Cell: "eu", Node: 2, PromiseKey: promiseKey})
	if bonded.CodeOf(err) != bonded.CodeConfig {
		t.Fatal(err)
	}
}

// TestJournalOrder does random commits, seals and restarts and holds the
// journal against a plain list of what was entered.
func TestJournalOrder(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, "vault"+strings.Repeat("x", n%7)+string(rune('a'+n%26))+bonded.NewID().Hex()+".db")
		db, err := sqldb.Open(t.Context(), sqldb.Config{Path: path})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		j := openJournal(t, db, nil)
		var leaves []tlog.Hash
		var lastSeq, lastIncarnation uint64
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				for _, e := range enter(t, j, make1(rapid.IntRange(1, 5).Draw(rt, "rows"))...) {
					if e.Ref().Seq <= lastSeq || e.Ref().Incarnation < lastIncarnation {
						rt.Fatalf("row %s after sequence %d", e.Ref(), lastSeq)
					}
					lastSeq, lastIncarnation = e.Ref().Seq, e.Ref().Incarnation
					leaves = append(leaves, e.Leaf())
				}
			case 2:
				if err := j.Seal(t.Context()); err != nil {
					rt.Fatal(err)
				}
			case 3:
				if err := db.Close(); err != nil {
					rt.Fatal(err)
				}
				if db, err = sqldb.Open(t.Context(), sqldb.Config{Path: path}); err != nil {
					rt.Fatal(err)
				}
				j = openJournal(t, db, nil)
				if j.Incarnation() <= lastIncarnation {
					rt.Fatalf("incarnation %d after %d", j.Incarnation(), lastIncarnation)
				}
			}
		}
		if err := j.Seal(t.Context()); err != nil {
			rt.Fatal(err)
		}
		checkJournal(t.Context(), rt, j, leaves)
	})
}

type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// checkJournal checks that rows have contiguous positions, that segments
// cover them, chain and have their roots, and that leaves, if not nil, are
// those of the rows in order.
func checkJournal(ctx context.Context, t failer, j *journal.Journal, leaves []tlog.Hash) {
	var got []tlog.Hash
	for {
		page, err := j.Rows(ctx, uint64(len(got)), journal.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if r.Position != uint64(len(got)+1) {
				t.Fatalf("position %d after %d rows", r.Position, len(got))
			}
			got = append(got, verify.RowLeaf(r.Row, r.Salt))
		}
	}
	if leaves != nil && len(got) != len(leaves) {
		t.Fatalf("%d rows, want %d", len(got), len(leaves))
	}
	for i := range leaves {
		if got[i] != leaves[i] {
			t.Fatalf("row %d has another leaf", i+1)
		}
	}
	segs, err := j.Segments(ctx, 0, journal.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	next, prev := uint64(1), [32]byte{}
	for i, s := range segs {
		if s.Number != uint64(i+1) || s.First != next || s.Prev != prev || s.Count == 0 {
			t.Fatalf("segment %d: number %d, first %d, want %d", i+1, s.Number, s.First, next)
		}
		if s.Root != verify.TreeRoot(got[s.First-1:s.First-1+s.Count]) {
			t.Fatalf("segment %d has another root than its rows", s.Number)
		}
		if _, err := j.SegmentLeaves(ctx, s.Number); err != nil {
			t.Fatal(err)
		}
		next, prev = s.First+s.Count, s.Hash()
	}
	if next != uint64(len(got)+1) {
		t.Fatalf("segments end before row %d of %d", next, len(got))
	}
}
