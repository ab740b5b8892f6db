package keyholdersql_test

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"

	"bonded"
	"bonded/internal/keyholder"
	"bonded/internal/keyholder/keyholdersql"
	"bonded/verify"
)

func open(t *testing.T, path string) *keyholdersql.Store {
	t.Helper()
	s, err := keyholdersql.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func row(seq uint64) keyholder.StoredRow {
	return keyholder.StoredRow{Seq: seq, Row: []byte{byte(seq)}, Chain: [32]byte{byte(seq)}}
}

func TestCommitIsAllOrNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "k.db"))
	ctx := t.Context()
	a, b := bonded.NewID(), bonded.NewID()
	key := func(id bonded.ID) keyholder.WrappedKey {
		return keyholder.WrappedKey{Subject: id, Version: 1, Wrapped: []byte("wrapped")}
	}
	if err := s.Commit(ctx, &keyholder.Commit{Rows: []keyholder.StoredRow{row(1), row(2)}, New: []keyholder.WrappedKey{key(a)}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*keyholder.Commit{
		"rows with a gap":         {Rows: []keyholder.StoredRow{row(4)}, New: []keyholder.WrappedKey{key(b)}},
		"rows again":              {Rows: []keyholder.StoredRow{row(2)}, New: []keyholder.WrappedKey{key(b)}},
		"a subject that is there": {Rows: []keyholder.StoredRow{row(3)}, New: []keyholder.WrappedKey{key(b), key(a)}},
		"destroying nobody":       {Rows: []keyholder.StoredRow{row(3)}, New: []keyholder.WrappedKey{key(b)}, Destroyed: []bonded.ID{bonded.NewID()}},
	} {
		if err := s.Commit(ctx, c); err == nil {
			t.Errorf("%s: accepted", name)
		}
		seq, chain, err := s.Last(ctx)
		if err != nil || seq != 2 || chain != row(2).Chain {
			t.Errorf("%s: last row %d, %v", name, seq, err)
		}
		if _, ok, err := s.Subject(ctx, b); ok || err != nil {
			t.Errorf("%s: half of it is there, %v", name, err)
		}
	}
}

func TestStoreKeepsWhatItIsGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s := open(t, path)
	ctx := t.Context()
	var ids []bonded.ID
	c := &keyholder.Commit{
		Rows: []keyholder.StoredRow{row(1), row(2), row(3)}, Grants: []byte("grants"),
		Anchor:     &keyholder.AcceptedAnchor{Index: 7, Size: 9, Leaf: [32]byte{1}, Seq: 3, Pending: []keyholder.SeqSpan{{First: 1, Last: 1}, {First: 3, Last: 3}}},
		Tombstones: []*verify.Tombstone{{Cell: "eu", N: 1, Mark: [32]byte{5}}},
	}
	for range 5 {
		ids = append(ids, bonded.NewID())
		c.New = append(c.New, keyholder.WrappedKey{Subject: ids[len(ids)-1], Version: 1, Wrapped: []byte("one")})
	}
	if err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, &keyholder.Commit{Rewrapped: []keyholder.WrappedKey{
		{Subject: ids[0], Version: 2, Wrapped: []byte("two")}, {Subject: bonded.NewID(), Version: 2, Wrapped: []byte("two")},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if w, ok, err := s.Subject(ctx, ids[0]); err != nil || !ok || w.Version != 2 || string(w.Wrapped) != "two" {
		t.Errorf("Subject = %+v, %v, %v", w, ok, err)
	}
	if all, old, err := s.CountSubjects(ctx, 2); err != nil || all != 5 || old != 4 {
		t.Errorf("CountSubjects = %d, %d, %v: a subject that was not there must not appear", all, old, err)
	}
	var after bonded.ID
	seen := 0
	for {
		ws, err := s.WrappedUnder(ctx, 2, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(ws) == 0 {
			break
		}
		seen, after = seen+len(ws), ws[len(ws)-1].Subject
	}
	if seen != 4 {
		t.Errorf("%d keys under the old version, want 4", seen)
	}
	if b, err := s.Grants(ctx); err != nil || string(b) != "grants" {
		t.Errorf("Grants = %q, %v", b, err)
	}
	a, err := s.Anchor(ctx)
	if err != nil || a.Index != 7 || a.Size != 9 || a.Seq != 3 || len(a.Pending) != 2 || a.Pending[1].First != 3 {
		t.Errorf("Anchor = %+v, %v", a, err)
	}
	if ts, err := s.Tombstones(ctx, 1, 10); err != nil || len(ts) != 1 || ts[0].Mark != [32]byte{5} {
		t.Errorf("Tombstones = %v, %v", ts, err)
	}
	if rows, err := s.Rows(ctx, 1, 10); err != nil || len(rows) != 2 || rows[0].Seq != 2 || rows[0].Chain != row(2).Chain {
		t.Errorf("Rows = %v, %v", rows, err)
	}
}

func TestBookAndTombstonesCannotBeChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s := open(t, path)
	if err := s.Commit(t.Context(), &keyholder.Commit{Rows: []keyholder.StoredRow{row(1)}, Tombstones: []*verify.Tombstone{{Cell: "eu", N: 1}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=recursive_triggers(1)") // as package sqldb sets it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, q := range []string{
		"UPDATE book SET row = x'00'", "DELETE FROM book", "REPLACE INTO book (seq, row, chain) VALUES (1, x'00', zeroblob(32))",
		"UPDATE tombstone SET bytes = x'00'", "DELETE FROM tombstone", "REPLACE INTO tombstone (n, mark, bytes) VALUES (1, zeroblob(32), x'00')",
	} {
		if _, err := db.ExecContext(t.Context(), q); err == nil {
			t.Errorf("%s: done", q)
		}
	}
}
