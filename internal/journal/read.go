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
