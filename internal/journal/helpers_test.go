package journal_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// promiseKey is the same in every test; it protects nothing.
var promiseKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func openDB(t testing.TB, path string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func openJournal(t testing.TB, db *sqldb.DB, change func(*journal.Config)) *journal.Journal {
	t.Helper()
	cfg := journal.Config{DB: db, Cell: "eu", Node: 1, PromiseKey: promiseKey}
	if change != nil {
		change(&cfg)
	}
	j, err := journal.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func newJournal(t testing.TB) (*journal.Journal, *sqldb.DB) {
	t.Helper()
	db := openDB(t, filepath.Join(t.TempDir(), "vault.db"))
	return openJournal(t, db, nil), db
}

// readRow is a row as a daily read of one record makes it.
func readRow() *verify.Row {
	return &verify.Row{
		Operation: verify.OpRead, Outcome: verify.OutcomeAllowed, Principal: "svc-support-desk", Assurance: verify.AssuranceProven,
		Collection: "users", Purpose: "support", Reason: "ticket 4711", Rules: []string{"grant/svc-support-desk"},
		RequestID: bonded.NewID(), Digest: [32]byte{1}, Policy: [32]byte{2},
		Items: []verify.RowItem{{Subject: bonded.NewID(), Record: bonded.NewID(), Fields: []string{"email", "name"}}},
	}
}

func enter(t testing.TB, j *journal.Journal, rows ...*verify.Row) []journal.Entered {
	t.Helper()
	prepared := make([]journal.Prepared, len(rows))
	for i := range rows {
		prepared[i] = j.Prepare(rows[i])
	}
	entered, err := j.Commit(t.Context(), prepared, nil)
	if err != nil {
		t.Fatal(err)
	}
	return entered
}

func allRows(t testing.TB, j *journal.Journal) (rows []journal.StoredRow) {
	t.Helper()
	for {
		var after uint64
		if len(rows) > 0 {
			after = rows[len(rows)-1].Position
		}
		page, err := j.Rows(t.Context(), after, journal.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return rows
		}
		rows = append(rows, page...)
	}
}

func copyFile(t testing.TB, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
