package journal

import (
	"context"
	"fmt"

	"bonded/internal/sqldb"
	"bonded/verify"
)

// sealing asks the writer to close the open segment.
type sealing struct{}

// Seal closes the open segment if it has rows: it becomes one row of
// journal_segments that names the segment before, and the next row opens a
// new one. Then it brings the index by subject up to date.
func (j *Journal) Seal(ctx context.Context) error {
	if j.head.Load().Unsealed > 0 {
		if err := j.db.Do(ctx, sqldb.Job{Payload: &sealing{}}); err != nil {
			return fmt.Errorf("seal segment: %w", err)
		}
	}
	return j.index(ctx)
}

// sealOpen closes the open segment of st, on the writer goroutine.
func (j *Journal) sealOpen(tx *sqldb.Tx, st *staged) error {
	s := &st.state
	if s.tree.size == 0 {
		return nil
	}
	st.closeBatch()
	seg := &verify.Segment{
		Cell: j.cell, Node: j.node, Incarnation: j.incarnation, Number: s.segment,
		First: s.first, Count: s.tree.size, Root: s.tree.root(), Prev: s.prev,
	}
	if h := j.checkpoint.Load(); h != nil {
		seg.PrevCheckpoint = *h
	}
	leaves := make([]byte, 0, 32*len(s.leaves))
	for i := range s.leaves {
		leaves = append(leaves, s.leaves[i][:]...)
	}
	_, err := tx.Exec("INSERT INTO journal_segments (number, first, count, segment, leaves) VALUES (?, ?, ?, ?, ?)",
		int64(seg.Number), int64(seg.First), int64(seg.Count), verify.EncodeSegment(seg), leaves) //nolint:gosec // counts of rows
	if err != nil {
		return err
	}
	*s = state{next: s.next, segment: s.segment + 1, first: s.next, prev: seg.Hash()}
	return nil
}

// indexChunk is how many rows are indexed in one commit: about a millisecond.
const indexChunk = 512

// index brings journal_subjects up to the newest sealed segment.
func (j *Journal) index(ctx context.Context) error {
	j.indexMu.Lock()
	defer j.indexMu.Unlock()
	for {
		var indexed, sealed int64
		err := j.db.Read().QueryRowContext(ctx,
			"SELECT indexed, (SELECT COALESCE(MAX(first + count - 1), 0) FROM journal_segments WHERE number = (SELECT MAX(number) FROM journal_segments)) FROM journal_node").Scan(&indexed, &sealed)
		if err != nil {
			return fmt.Errorf("index journal: %w", err)
		}
		if indexed >= sealed {
			return nil
		}
		if err := j.indexAfter(ctx, indexed, min(sealed-indexed, indexChunk)); err != nil {
			return fmt.Errorf("index journal: %w", err)
		}
	}
}

func (j *Journal) indexAfter(ctx context.Context, after, n int64) error {
	rows, err := j.Rows(ctx, uint64(after), int(n)) //nolint:gosec // never negative
	if err != nil {
		return err
	}
	args := make([]any, 0, 2*len(rows))
	for i := range rows {
		items := rows[i].Row.Items
		for k := range items {
			if !items[k].Subject.IsZero() {
				args = append(args, items[k].Subject[:], int64(rows[i].Position)) //nolint:gosec // count of rows
			}
		}
	}
	return j.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		if err := tx.Insert("INSERT OR IGNORE INTO journal_subjects (subject, position) VALUES", 2, args); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE journal_node SET indexed = ?", after+n)
		return err
	})
}
