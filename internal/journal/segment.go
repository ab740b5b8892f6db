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
// new one. Then it indexes by subject what has piled up.
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
