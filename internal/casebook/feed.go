//go:build unix

package casebook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// MaxFeedPage is the most openings that [Book.Feed] returns at once.
const MaxFeedPage = 256

// onlyPerson is what an opening in full keeps closed.
const onlyPerson = verify.FieldPerson

// publish adds an opening of a leaf to the feed, once. What was opened in full
// is never opened in part afterwards.
func (b *Book) publish(tx *sqldb.Tx, leaf int64, closed string) error {
	n, err := tx.Exec("INSERT INTO casebook_openings (number, leaf, closed) "+
		"SELECT COALESCE((SELECT MAX(number) FROM casebook_openings), 0) + 1, id, ? FROM casebook_leaves WHERE id = ? AND opened = 0 ON CONFLICT (leaf, closed) DO NOTHING",
		closed, leaf)
	if err != nil || n == 0 || closed != onlyPerson {
		return err
	}
	_, err = tx.Exec("UPDATE casebook_leaves SET opened = 1, extend_at = NULL WHERE id = ?", leaf)
	return err
}

// Feed returns up to limit openings from number from on, which counts from 1,
// and the number to ask from next. Anyone may read them.
func (b *Book) Feed(ctx context.Context, from uint64, limit int) (openings []*verify.CaseOpening, next uint64, err error) {
	from = max(from, 1)
	rows, err := b.db.Read().QueryContext(ctx,
		"SELECT o.number, o.closed, l.leaf, l.ledger_index, l.seed, e.fields, e.commitment FROM casebook_openings o JOIN casebook_leaves l ON l.id = o.leaf "+
			"LEFT JOIN casebook_entries e ON e.leaf = l.id WHERE o.number >= ? ORDER BY o.number LIMIT ?",
		int64(min(from, 1<<62)), min(max(limit, 1), MaxFeedPage)) //nolint:gosec // bounded
	if err != nil {
		return nil, 0, fmt.Errorf("read openings: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	for rows.Next() {
		var number uint64
		var closed string
		var s stored
		if err := rows.Scan(&number, &closed, &s.leaf, &s.index, &s.seed, &s.fields, &s.commitment); err != nil {
			return nil, 0, fmt.Errorf("read openings: %w", err)
		}
		f, err := s.open()
		if err != nil {
			return nil, 0, fmt.Errorf("opening %d: %w", number, err)
		}
		openings, from = append(openings, f.opening(s.index, s.leaf, false, strings.Fields(closed))), number+1
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("read openings: %w", err)
	}
	return openings, from, nil
}

// Closed returns up to limit openings of entries that stand in the ledger and
// are not public in full, covers aside, from a place on that counts from 1, and
// the place to ask from next. They are for whoever may know of every case: a
// report counts closed cases by them. The person stays closed in them.
func (b *Book) Closed(ctx context.Context, from uint64, limit int) (openings []*verify.CaseOpening, next uint64, err error) {
	from = max(from, 1)
	rows, err := b.db.Read().QueryContext(ctx,
		"SELECT l.id, l.leaf, l.ledger_index, e.fields, e.commitment FROM casebook_entries e JOIN casebook_leaves l ON l.id = e.leaf "+
			"WHERE l.opened = 0 AND l.ledger_index IS NOT NULL AND l.id >= ? ORDER BY l.id LIMIT ?",
		int64(min(from, 1<<62)), min(max(limit, 1), MaxFeedPage)) //nolint:gosec // bounded
	if err != nil {
		return nil, 0, fmt.Errorf("read closed entries: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	for rows.Next() {
		var id uint64
		var s stored
		if err := rows.Scan(&id, &s.leaf, &s.index, &s.fields, &s.commitment); err != nil {
			return nil, 0, fmt.Errorf("read closed entries: %w", err)
		}
		f, err := s.open()
		if err != nil {
			return nil, 0, fmt.Errorf("closed entry at leaf %d: %w", id, err)
		}
		openings, from = append(openings, f.opening(s.index, s.leaf, false, []string{onlyPerson})), id+1
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("read closed entries: %w", err)
	}
	return openings, from, nil
}

// stored is a leaf and what it commits to, as the database has it.
type stored struct {
	leaf, seed, fields, commitment []byte
	index                          int64
}

func (s *stored) open() (*Fields, error) {
	if s.seed == nil {
		return decodeFields(s.fields, nil, s.commitment)
	}
	all := coverFields(s.seed)
	return &Fields{open: all[:personAt], commitment: all[personAt].Commitment()}, nil
}

// Opening returns the opening of an entry in full, the person aside, if it was
// published; [bonded.CodeWithheld] if not.
func (b *Book) Opening(ctx context.Context, entry int64) (*verify.CaseOpening, error) {
	var opened bool
	err := b.db.Read().QueryRowContext(ctx, "SELECT l.opened FROM casebook_entries e JOIN casebook_leaves l ON l.id = e.leaf WHERE e.id = ?", entry).Scan(&opened)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("opening of an entry: %w", err)
	}
	if !opened {
		return nil, bonded.Errorf(bonded.CodeWithheld, "entry %d is not open", entry)
	}
	r, err := b.Receipt(ctx, entry)
	if err != nil {
		return nil, err
	}
	return r.Open(false), nil
}

// OpeningsAt returns the openings that were published of leaves from one index
// of the ledger up to another, that one not included: of each leaf the one that
// shows most.
func (b *Book) OpeningsAt(ctx context.Context, from, to int64) ([]*verify.CaseOpening, error) {
	rows, err := b.db.Read().QueryContext(ctx,
		"SELECT o.closed, l.leaf, l.ledger_index, l.seed, e.fields, e.commitment FROM casebook_leaves l JOIN casebook_openings o ON o.leaf = l.id "+
			"LEFT JOIN casebook_entries e ON e.leaf = l.id WHERE l.ledger_index >= ? AND l.ledger_index < ? ORDER BY l.ledger_index, length(o.closed) LIMIT ?",
		from, to, 4*MaxFeedPage)
	if err != nil {
		return nil, fmt.Errorf("read openings: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []*verify.CaseOpening
	for rows.Next() {
		var closed string
		var s stored
		if err := rows.Scan(&closed, &s.leaf, &s.index, &s.seed, &s.fields, &s.commitment); err != nil {
			return nil, fmt.Errorf("read openings: %w", err)
		}
		if n := len(out); n > 0 && out[n-1].Index == s.index {
			continue
		}
		f, err := s.open()
		if err != nil {
			return nil, fmt.Errorf("opening of leaf %d: %w", s.index, err)
		}
		out = append(out, f.opening(s.index, s.leaf, false, strings.Fields(closed)))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read openings: %w", err)
	}
	return out, nil
}
