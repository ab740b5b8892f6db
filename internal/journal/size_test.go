package journal_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"bonded"
	"bonded/internal/sqldb"
)

func checkReadOnly(t *testing.T, dir string) {
	t.Helper()
	_, err := sqldb.Open(t.Context(), sqldb.Config{Path: filepath.Join(dir, "vault.db")})
	if bonded.CodeOf(err) != bonded.CodeNotWritable {
		t.Fatal(err)
	}
}

func TestRowTakesAtMost400Bytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.db")
	db := openDB(t, path)
	j := openJournal(t, db, nil)
	size := func() int64 {
		if err := db.Update(t.Context(), func(_ context.Context, _ *sqldb.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		var pages, free, page int64
		for q, dst := range map[string]*int64{"PRAGMA page_count": &pages, "PRAGMA freelist_count": &free, "PRAGMA page_size": &page} {
			if err := db.Read().QueryRow(q).Scan(dst); err != nil {
				t.Fatal(err)
			}
		}
		return (pages - free) * page
	}
	empty := size()
	const n = 40_000
	for i := range n / 100 {
		enter(t, j, make1(100)...)
		if i%20 == 19 {
			if err := j.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	grown := float64(size()-empty) / n
	t.Logf("%.0f bytes a row, with its index by subject, its number and its leaf", grown)
	if grown > 400 {
		t.Errorf("%.0f bytes a row", grown)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if onDisk := float64(fi.Size()) / n; onDisk > 410 {
		t.Errorf("%.0f bytes a row in the closed file", onDisk)
	}
}
