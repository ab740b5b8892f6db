package journal_test

import (
	"path/filepath"
	"testing"
	"time"

	"bonded/internal/journal"
	"bonded/verify"
)

// Tallies are the rows, counted: at once, after a restart, and after a crash
// that lost what no table had yet.
func TestTalliesCountEveryRowOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vault.db")
	db := openDB(t, path)
	at := time.Date(2026, 11, 28, 22, 30, 0, 0, time.UTC)
	clock := func(c *journal.Config) { c.Now = func() time.Time { return at } }
	j := openJournal(t, db, clock)
	row := func(op verify.Operation, outcome verify.Outcome) *verify.Row {
		r := readRow()
		r.Operation, r.Outcome = op, outcome
		return r
	}
	for range 3 {
		enter(t, j, row(verify.OpRead, verify.OutcomeAllowed), row(verify.OpExport, verify.OutcomeAllowed), row(verify.OpRead, verify.OutcomeRefused))
		at = at.Add(time.Hour)
	}
	check := func(j *journal.Journal, unit time.Duration, want int) {
		t.Helper()
		list, err := j.Tallies(t.Context(), unit, at.Add(-48*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		sum, reads := uint64(0), uint64(0)
		for i := range list {
			sum += list[i].Rows
			if list[i].Operation == verify.OpRead && list[i].Outcome == verify.OutcomeAllowed {
				reads += list[i].Rows
			}
		}
		if len(list) != want || sum != 9 || reads != 3 {
			t.Errorf("%d tallies of %d rows, %d of them reads, by %v: %+v", len(list), sum, reads, unit, list)
		}
	}
	check(j, journal.TallyHour, 9)
	check(j, journal.TallyDay, 6)
	crashed := openJournal(t, openDB(t, copyFile(t, path, filepath.Join(dir, "copy.db"))), clock)
	rows := allRows(t, crashed)
	list, err := crashed.Tallies(t.Context(), journal.TallyDay, at.Add(-48*time.Hour))
	sum := uint64(0)
	for i := range list {
		sum += list[i].Rows
	}
	if err != nil || int(sum) != len(rows) {
		t.Errorf("after a crash %d of %d rows are counted: %v", sum, len(rows), err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, openDB(t, path), clock)
	check(j, journal.TallyHour, 9)
	check(j, journal.TallyDay, 6)

	// The newest come first, and a time is found among them.
	newest, err := j.Newest(t.Context(), 0, 2)
	if err != nil || len(newest) != 2 || newest[0].Position != 9 || newest[1].Position != 8 {
		t.Errorf("the newest rows are %+v, %v", newest, err)
	}
	if n, err := j.Before(t.Context(), at.Add(-2*time.Hour)); err != nil || n != 4 {
		t.Errorf("the second hour begins at row %d: %v", n, err)
	}
	if n, err := j.Before(t.Context(), at.Add(time.Hour)); err != nil || n != 10 {
		t.Errorf("rows to come begin at %d: %v", n, err)
	}
}
