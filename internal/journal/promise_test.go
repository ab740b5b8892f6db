package journal_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"bonded/internal/journal"
	"bonded/verify"
)

// checkPromises holds promises against the journal as it exports itself.
func checkPromises(t *testing.T, j *journal.Journal, promises []*verify.Promise) {
	t.Helper()
	var export bytes.Buffer
	if err := j.Export(t.Context(), &export, nil); err != nil {
		t.Fatal(err)
	}
	r, err := verify.NewJournalReader(&export)
	if err != nil {
		t.Fatal(err)
	}
	cell := &verify.DirectoryCell{ID: "eu", PromiseKey: base64.StdEncoding.EncodeToString(j.PromiseKey())}
	verdicts, err := verify.CheckPromises(promises, cell, r)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range verdicts {
		if v != nil {
			t.Errorf("%s: %v", promises[i], v)
		}
	}
}

func TestPromiseHoldsAgainstTheExportedJournal(t *testing.T) {
	j, _ := newJournal(t)
	var promises []*verify.Promise
	for n, rows := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 301} {
		for _, e := range enter(t, j, make1(rows)...) {
			p, err := verify.ParsePromise(e.Promise().String())
			if err != nil {
				t.Fatal(err)
			}
			promises = append(promises, p)
		}
		if n%4 == 3 {
			if err := j.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	checkPromises(t, j, promises) // the last segment is open
	if err := j.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkPromises(t, j, promises)
}

// One commit that fills a segment promises its rows in two.
func TestPromisesOfOneCommitGoOverTheEndOfASegment(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a segment")
	}
	j, _ := newJournal(t)
	enter(t, j, make1(3)...)
	rows := make([]journal.Prepared, journal.MaxSegmentRows)
	for i := range rows {
		rows[i] = j.Prepare(readRow())
	}
	entered, err := j.Commit(t.Context(), rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	var promises []*verify.Promise
	for _, i := range []int{0, 1, 40_000, journal.MaxSegmentRows - 4, journal.MaxSegmentRows - 3, journal.MaxSegmentRows - 1} {
		p, err := verify.ParsePromise(entered[i].Promise().String())
		if err != nil {
			t.Fatal(err)
		}
		promises = append(promises, p)
	}
	if a, b := promises[3], promises[4]; a.Segment != 1 || a.Begin != 3 || a.Size != journal.MaxSegmentRows || b.Segment != 2 || b.Begin != 0 || b.Size != 3 {
		t.Errorf("promised %s and %s", a, b)
	}
	checkPromises(t, j, promises)
}
