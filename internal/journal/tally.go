package journal

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// Units of a tally.
const (
	TallyHour = time.Hour
	TallyDay  = 24 * time.Hour
)

// tallyEvery is how often counts are written; what a crash loses of them is
// counted again from the rows.
const tallyEvery = 5 * time.Second

// A Tally is how many rows of one kind have times in an hour or a day.
type Tally struct {
	Start     time.Time
	Operation verify.Operation
	Outcome   verify.Outcome
	Purpose   bonded.Purpose
	Rows      uint64
}

type tallyKey struct {
	start     int64
	operation verify.Operation
	outcome   verify.Outcome
	purpose   bonded.Purpose
}

// tallies are counts by hour that no table has yet.
type tallies struct {
	mu      sync.Mutex
	counts  map[tallyKey]uint64
	writes  uint64    // rises with every write of the table
	written time.Time // of the writer goroutine only
}

// keyOf returns what a row counts as. Of a row that was not allowed the purpose
// is left out: it may be any word that somebody sent.
func keyOf(r *verify.Row) tallyKey {
	purpose := r.Purpose
	if r.Outcome != verify.OutcomeAllowed {
		purpose = ""
	}
	return tallyKey{int64(r.Time/1000) / 3600 * 3600, r.Operation, r.Outcome, purpose} //nolint:gosec // milliseconds
}

// add puts counts of a commit that succeeded beside the others, or, when the
// commit wrote them, in place of them.
func (t *tallies) add(counts map[tallyKey]uint64, wrote bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wrote {
		clear(t.counts)
		t.writes++
		return
	}
	for k, n := range counts {
		t.counts[k] += n
	}
}

// writeTallies writes what was counted until now and in this commit, if it is
// time to. It runs on the writer goroutine.
func (j *Journal) writeTallies(tx *sqldb.Tx, st *staged) error {
	t := &j.tallies
	now := j.now()
	if d := now.Sub(t.written); d >= 0 && d < tallyEvery {
		return nil
	}
	t.written = now
	t.mu.Lock()
	all := maps.Clone(t.counts)
	t.mu.Unlock()
	for k, n := range st.counts {
		all[k] += n
	}
	for k, n := range all {
		for _, unit := range []int64{3600, 86400} {
			_, err := tx.Exec("INSERT INTO journal_tally (unit, start, operation, outcome, purpose, rows) VALUES (?, ?, ?, ?, ?, ?) "+
				"ON CONFLICT (unit, start, operation, outcome, purpose) DO UPDATE SET rows = rows + excluded.rows",
				unit, k.start/unit*unit, int64(k.operation), int64(k.outcome), string(k.purpose), int64(n)) //nolint:gosec // counts of rows
			if err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec("UPDATE journal_tallied SET position = ?", int64(st.state.next-1)) //nolint:gosec // a count of rows
	st.wrote = err == nil
	return err
}

// loadTallies counts the rows that no table counts yet.
func (j *Journal) loadTallies(ctx context.Context) error {
	j.tallies.counts = map[tallyKey]uint64{}
	var position int64
	if err := j.db.Read().QueryRowContext(ctx, "SELECT position FROM journal_tallied").Scan(&position); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	for after := uint64(position); ; { //nolint:gosec // a count of rows
		rows, err := j.Rows(ctx, after, exportPage)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		for i := range rows {
			j.tallies.counts[keyOf(rows[i].Row)]++
		}
		after = rows[len(rows)-1].Position
	}
}

// Tallies returns how many rows have times from a time on, in hours or days
// that begin in UTC, oldest first. Rows of about the last moment may be
// missing.
func (j *Journal) Tallies(ctx context.Context, unit time.Duration, from time.Time) ([]Tally, error) {
	seconds := int64(unit / time.Second)
	if unit != TallyHour && unit != TallyDay {
		return nil, bonded.Errorf(bonded.CodeInvalid, "rows are counted by hour and by day")
	}
	start := from.Unix() / seconds * seconds
	for range 3 { // a write in between would count twice or not at all
		j.tallies.mu.Lock()
		writes, fresh := j.tallies.writes, maps.Clone(j.tallies.counts)
		j.tallies.mu.Unlock()
		sums, err := j.storedTallies(ctx, seconds, start)
		if err != nil {
			return nil, err
		}
		j.tallies.mu.Lock()
		same := writes == j.tallies.writes
		j.tallies.mu.Unlock()
		if !same {
			continue
		}
		for k, n := range fresh {
			if k.start = k.start / seconds * seconds; k.start >= start {
				sums[k] += n
			}
		}
		return sortedTallies(sums), nil
	}
	return nil, bonded.Errorf(bonded.CodeBusy, "the counts change too fast to be read")
}

func (j *Journal) storedTallies(ctx context.Context, unit, start int64) (map[tallyKey]uint64, error) {
	rows, err := j.db.Read().QueryContext(ctx,
		"SELECT start, operation, outcome, purpose, rows FROM journal_tally WHERE unit = ? AND start >= ?", unit, start)
	if err != nil {
		return nil, fmt.Errorf("count rows: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	sums := map[tallyKey]uint64{}
	for rows.Next() {
		var k tallyKey
		var n uint64
		if err := rows.Scan(&k.start, &k.operation, &k.outcome, &k.purpose, &n); err != nil {
			return nil, fmt.Errorf("count rows: %w", err)
		}
		sums[k] = n
	}
	return sums, rows.Err()
}

func sortedTallies(sums map[tallyKey]uint64) []Tally {
	out := make([]Tally, 0, len(sums))
	for k, n := range sums {
		out = append(out, Tally{time.Unix(k.start, 0).UTC(), k.operation, k.outcome, k.purpose, n})
	}
	slices.SortFunc(out, func(a, b Tally) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Purpose, b.Purpose))
	})
	return out
}

// Newest returns up to limit rows before a position, 0 for the newest, newest
// first.
func (j *Journal) Newest(ctx context.Context, before uint64, limit int) ([]StoredRow, error) {
	if before == 0 || before > 1<<62 {
		before = 1 << 62
	}
	return scanRows(j.db.Read().QueryContext(ctx, selectRows+"WHERE position < ? ORDER BY position DESC LIMIT ?", int64(before), clampPage(limit))) //nolint:gosec // at most 2^62
}

// Before returns the first position whose row has a time at or after t, about:
// times are of the vault's clock, which may have been set back. It is one more
// than the newest position if there is none.
func (j *Journal) Before(ctx context.Context, t time.Time) (uint64, error) {
	want := uint64(max(t.UnixMilli(), 0)) //nolint:gosec // not negative
	low, high := uint64(1), j.head.Load().Rows+1
	for low < high {
		mid := low + (high-low)/2
		rows, err := j.Rows(ctx, mid-1, 1)
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 || rows[0].Row.Time >= want {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low, nil
}
