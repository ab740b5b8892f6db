package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"bonded"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxPage is how many rows one call returns at most.
const MaxPage = 4096

// A StoredRow is a durable row.
type StoredRow struct {
	Position uint64 // order in which rows became durable, from 1, without gaps
	Bytes    []byte // canonical bytes of the row
	Salt     verify.Salt
	Row      *verify.Row
}

const selectRows = "SELECT position, row, salt FROM journal "

// Rows returns up to limit rows after a position, 0 for the first, in order.
func (j *Journal) Rows(ctx context.Context, after uint64, limit int) ([]StoredRow, error) {
	return scanRows(j.db.Read().QueryContext(ctx, selectRows+"WHERE position > ? ORDER BY position LIMIT ?", int64(after), clampPage(limit))) //nolint:gosec // a count of rows
}

func clampPage(limit int) int { return max(1, min(limit, MaxPage)) }

func scanRows(rows *sql.Rows, err error) ([]StoredRow, error) {
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []StoredRow
	for rows.Next() {
		var r StoredRow
		var salt []byte
		if err := rows.Scan(&r.Position, &r.Bytes, &salt); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		if r.Row, err = verify.DecodeRow(r.Bytes); err != nil || len(salt) != len(r.Salt) {
			return nil, bonded.Errorf(bonded.CodeAltered, "row %d of the journal cannot be read", r.Position)
		}
		copy(r.Salt[:], salt)
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return out, nil
}

// RowByRef returns the row of that name, with [bonded.CodeWithheld] if the
// journal has none.
func (j *Journal) RowByRef(ctx context.Context, ref verify.RowRef) (*StoredRow, error) {
	rows, err := scanRows(j.db.Read().QueryContext(ctx, selectRows+"WHERE seq = ?", int64(ref.Seq))) //nolint:gosec // any number not there is not found
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Row.RowRef != ref {
		return nil, bonded.Errorf(bonded.CodeWithheld, "the journal has no such row")
	}
	return &rows[0], nil
}

// Seconds returns the rows that are about the row of that name, such as its
// conflict or the keyholder's refusal, in order.
func (j *Journal) Seconds(ctx context.Context, ref verify.RowRef) ([]StoredRow, error) {
	rows, err := scanRows(j.db.Read().QueryContext(ctx,
		selectRows+"WHERE position IN (SELECT position FROM journal_seconds WHERE seq = ?) ORDER BY position", int64(ref.Seq))) //nolint:gosec // as above
	return slices.DeleteFunc(rows, func(r StoredRow) bool { return r.Row.Refers != ref }), err
}

// History returns up to limit rows that touched the person, newest first:
// those before the given position, 0 for the newest. It sees every durable
// row: the index covers sealed segments, the rest is looked through.
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
	var indexed int64
	if err := tx.QueryRowContext(ctx, "SELECT indexed FROM journal_node").Scan(&indexed); err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}

	// 1. The tail, newest first. The search for the bytes of the id is only a
	// sieve: they may stand elsewhere in a row by chance.
	var out []StoredRow
	tail, err := scanRows(tx.QueryContext(ctx,
		selectRows+"WHERE position > ? AND position < ? AND instr(row, ?) > 0 ORDER BY position DESC", indexed, int64(before), subject[:])) //nolint:gosec // at most 2^62
	if err != nil {
		return nil, err
	}
	for i := range tail {
		if len(out) < limit && touches(tail[i].Row, subject) {
			out = append(out, tail[i])
		}
	}

	// 2. What is indexed.
	if len(out) < limit {
		rows, err := scanRows(tx.QueryContext(ctx,
			selectRows+"WHERE position IN (SELECT position FROM journal_subjects WHERE subject = ? AND position < ? ORDER BY position DESC LIMIT ?) ORDER BY position DESC",
			subject[:], min(int64(before), indexed+1), limit-len(out))) //nolint:gosec // at most 2^62
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

func touches(r *verify.Row, subject bonded.ID) bool {
	return slices.ContainsFunc(r.Items, func(it verify.RowItem) bool { return it.Subject == subject })
}

// A StoredSegment is a sealed segment.
type StoredSegment struct {
	*verify.Segment
	Bytes []byte // canonical bytes
}

// Segments returns up to limit segments after a number, 0 for the first.
func (j *Journal) Segments(ctx context.Context, after uint64, limit int) ([]StoredSegment, error) {
	return j.segments(ctx, "WHERE number > ? ORDER BY number LIMIT ?", int64(after), clampPage(limit)) //nolint:gosec // a count of segments
}

// SegmentsEndingIn returns the segments whose last row is after one position
// and not after another, for a page of an export.
func (j *Journal) SegmentsEndingIn(ctx context.Context, after, upTo uint64) ([]StoredSegment, error) {
	return j.segments(ctx, "WHERE first > ? AND first <= ? AND first + count - 1 > ? AND first + count - 1 <= ? ORDER BY number",
		int64(after)-MaxSegmentRows, int64(upTo), int64(after), int64(upTo)) //nolint:gosec // counts of rows
}

func (j *Journal) segments(ctx context.Context, where string, args ...any) ([]StoredSegment, error) {
	rows, err := j.db.Read().QueryContext(ctx, "SELECT segment FROM journal_segments "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read segments: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []StoredSegment
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, fmt.Errorf("read segments: %w", err)
		}
		seg, err := verify.DecodeSegment(b)
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeAltered, err, "a segment of the journal cannot be read")
		}
		out = append(out, StoredSegment{seg, b})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read segments: %w", err)
	}
	return out, nil
}

// SegmentLeaves returns the row leaves of a sealed segment, in order, with
// [bonded.CodeWithheld] if there is none of that number and
// [bonded.CodeAltered] if they do not make its root.
func (j *Journal) SegmentLeaves(ctx context.Context, number uint64) ([]tlog.Hash, error) {
	var encoded, leaves []byte
	err := j.db.Read().QueryRowContext(ctx, "SELECT segment, leaves FROM journal_segments WHERE number = ?", int64(number)).Scan(&encoded, &leaves) //nolint:gosec // any number not there is not found
	if errors.Is(err, sql.ErrNoRows) {
		return nil, bonded.Errorf(bonded.CodeWithheld, "the journal has no segment %d", number)
	}
	if err != nil {
		return nil, fmt.Errorf("read segment %d: %w", number, err)
	}
	hashes := make([]tlog.Hash, len(leaves)/32)
	for i := range hashes {
		copy(hashes[i][:], leaves[32*i:])
	}
	seg, err := verify.DecodeSegment(encoded)
	if err != nil || verify.TreeRoot(hashes) != seg.Root {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "the leaves of a segment do not make its root")
	}
	return hashes, nil
}
