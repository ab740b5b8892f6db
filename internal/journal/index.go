package journal

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// The index by subject is written in sorted runs of many rows each. An entry a
// row in one big tree would touch a page of its own for every row and so write
// four kilobytes for twelve bytes. A search looks into each run; what no run
// covers yet is looked through.
const (
	runRows  = 1 << 14  // rows of a run, unless
	runBytes = 16 << 20 // the rows not covered yet are large

	entrySize     = 12
	entriesOfPage = 75  // entries of one row of journal_subjects, so that four fit a page of SQLite
	pagesOfCommit = 256 // rows of journal_subjects written in one commit: about a millisecond
)

// index adds runs as long as enough sealed rows wait for one.
func (j *Journal) index(ctx context.Context) error {
	j.indexMu.Lock()
	defer j.indexMu.Unlock()
	for {
		h := j.head.Load()
		sealed := h.Rows - h.Unsealed
		var indexed uint64
		if err := j.db.Read().QueryRowContext(ctx, "SELECT COALESCE(MAX(last), 0) FROM journal_runs").Scan(&indexed); err != nil {
			return fmt.Errorf("index journal: %w", err)
		}
		if sealed < indexed+j.runRows && (sealed <= indexed || j.unindexed.Load() < runBytes) {
			return nil
		}
		if err := j.addRun(ctx, indexed+1, min(sealed, indexed+j.runRows)); err != nil {
			return fmt.Errorf("index journal: %w", err)
		}
	}
}

// An entry of the index. Two subjects may share their first eight bytes: who
// searches looks at the rows themselves.
type entry [entrySize]byte

func newEntry(subject bonded.ID, offset uint32) (e entry) {
	copy(e[:8], subject[:])
	binary.BigEndian.PutUint32(e[8:], offset)
	return e
}

func (e *entry) offset() uint64 { return uint64(binary.BigEndian.Uint32(e[8:])) }

// addRun indexes the rows from one position to another.
func (j *Journal) addRun(ctx context.Context, first, last uint64) error {
	// 1. Read and sort.
	var entries []entry
	var size int64
	step := uint64(1024)
	if j.unindexed.Load() >= runBytes {
		step = 32 // large batches
	}
	for after := first - 1; after < last; {
		rows, err := j.Rows(ctx, after, int(min(last-after, step))) //nolint:gosec // at most 1024
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return bonded.Errorf(bonded.CodeAltered, "row %d of the journal is missing", after+1)
		}
		for i := range rows {
			size += int64(len(rows[i].Bytes))
			for k := range rows[i].Row.Items {
				if s := rows[i].Row.Items[k].Subject; !s.IsZero() {
					entries = append(entries, newEntry(s, uint32(rows[i].Position-first))) //nolint:gosec // less than runRows
				}
			}
		}
		after = rows[len(rows)-1].Position
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a[:], b[:]) })
	entries = slices.Compact(entries)

	// 2. Write in pieces, after what a crash may have left of the same run.
	err := j.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM journal_subjects WHERE run = ?", int64(first)) //nolint:gosec // a count of rows
		return err
	})
	if err != nil {
		return err
	}
	var args []any
	flush := func() error {
		err := j.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
			return tx.Insert("INSERT INTO journal_subjects (run, low, entries) VALUES", 3, args)
		})
		args = args[:0]
		return err
	}
	for page := range slices.Chunk(entries, entriesOfPage) {
		b := make([]byte, 0, entrySize*len(page))
		for i := range page {
			b = append(b, page[i][:]...)
		}
		if args = append(args, int64(first), b[:entrySize], b); len(args) == 3*pagesOfCommit { //nolint:gosec // a count of rows
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}

	// 3. From now on it counts.
	err = j.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO journal_runs (run, last) VALUES (?, ?)", int64(first), int64(last)) //nolint:gosec // counts of rows
		return err
	})
	if err == nil {
		j.unindexed.Add(-size)
	}
	return err
}

// History returns up to limit rows that touched the person, newest first:
// those before the given position, 0 for the newest. It sees every durable
// row.
func (j *Journal) History(ctx context.Context, subject bonded.ID, before uint64, limit int) ([]StoredRow, error) {
	limit = clampPage(limit)
	if before == 0 || before > 1<<62 {
		before = 1 << 62
	}
	tx, err := j.db.Read().BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // one view of index and rows
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // only read from
	s := &search{tx: tx, subject: subject, before: before, limit: limit}
	if err := s.run(ctx); err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return s.found, nil
}

// A search is one look for the rows of a person.
type search struct {
	tx      *sql.Tx
	subject bonded.ID
	before  uint64
	limit   int
	found   []StoredRow
}

func (s *search) run(ctx context.Context) error {
	runs, err := s.runs(ctx)
	if err != nil {
		return err
	}

	// 1. The tail, newest first. The search for the bytes of the id is only a
	// sieve: they may stand elsewhere in a row by chance.
	indexed := uint64(0)
	if len(runs) > 0 {
		indexed = runs[0][1]
	}
	if s.before > indexed+1 {
		err := s.take(s.tx.QueryContext(ctx,
			selectRows+"WHERE position > ? AND position < ? AND instr(row, ?) > 0 ORDER BY position DESC", int64(indexed), int64(s.before), s.subject[:])) //nolint:gosec // at most 2^62
		if err != nil {
			return err
		}
	}

	// 2. The runs, newest first.
	lookup, err := s.tx.PrepareContext(ctx, "SELECT entries FROM journal_subjects WHERE run = ? AND low <= ? ORDER BY low DESC")
	if err != nil {
		return err
	}
	defer lookup.Close() //nolint:errcheck // only read from
	for _, r := range runs {
		if len(s.found) >= s.limit {
			break
		}
		if r[0] >= s.before {
			continue
		}
		positions, err := s.positions(ctx, lookup, r[0])
		if err != nil {
			return err
		}
		for i := 0; i < len(positions) && len(s.found) < s.limit; i++ {
			if err := s.take(s.tx.QueryContext(ctx, selectRows+"WHERE position = ?", int64(positions[i]))); err != nil { //nolint:gosec // a count of rows
				return err
			}
		}
	}
	return nil
}

// runs returns first and last positions of all runs, newest first.
func (s *search) runs(ctx context.Context) (runs [][2]uint64, err error) {
	rows, err := s.tx.QueryContext(ctx, "SELECT run, last FROM journal_runs ORDER BY run DESC")
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	for rows.Next() {
		var r [2]uint64
		if err := rows.Scan(&r[0], &r[1]); err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// positions returns the positions before s.before that a run has for the
// person, newest first.
func (s *search) positions(ctx context.Context, lookup *sql.Stmt, run uint64) (out []uint64, err error) {
	low, high := newEntry(s.subject, 0), newEntry(s.subject, 1<<32-1)
	rows, err := lookup.QueryContext(ctx, int64(run), high[:]) //nolint:gosec // a count of rows
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	for more := true; more && rows.Next(); {
		var page sql.RawBytes
		if err := rows.Scan(&page); err != nil {
			return nil, err
		}
		if len(page) == 0 || len(page)%entrySize != 0 {
			return nil, bonded.Errorf(bonded.CodeAltered, "the journal's index cannot be read")
		}
		more = bytes.Compare(page[:entrySize], low[:]) > 0 // else the person's entries begin here
		for at := len(page) - entrySize; at >= 0; at -= entrySize {
			e := entry(page[at : at+entrySize])
			if bytes.Equal(e[:8], low[:8]) && run+e.offset() < s.before {
				out = append(out, run+e.offset())
			}
		}
	}
	return out, rows.Err()
}

// take adds the rows that do touch the person.
func (s *search) take(rows *sql.Rows, err error) error {
	got, err := scanRows(rows, err)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	for i := range got {
		if len(s.found) < s.limit && touches(got[i].Row, s.subject) {
			s.found = append(s.found, got[i])
		}
	}
	return nil
}

func touches(r *verify.Row, subject bonded.ID) bool {
	return slices.ContainsFunc(r.Items, func(it verify.RowItem) bool { return it.Subject == subject })
}
