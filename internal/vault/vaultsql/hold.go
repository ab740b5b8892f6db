package vaultsql

import (
	"context"
	"database/sql"
	"fmt"

	"bonded"
	"bonded/internal/vault"
)

// PlacesOf implements [vault.Store]. No index leads from a record to its
// person: a case that names a record alone is rare, and a write is not.
func (s *Store) PlacesOf(ctx context.Context, collection uint16, record bonded.ID) ([]vault.Place, error) {
	first, last := collectionRange(collection)
	rows, err := s.db.Read().QueryContext(ctx, `
		SELECT r.n, r.id, r.subject
		FROM record r
		WHERE r.n BETWEEN ? AND ? AND r.id = ?`, first, last, record[:])
	if err != nil {
		return nil, fmt.Errorf("look for record: %w", err)
	}
	return collect(rows, scanPlace)
}

// FindHeld implements [vault.Store].
func (s *Store) FindHeld(ctx context.Context, conditions []vault.Condition, limit int) ([]vault.Place, error) {
	text, args := findText(`s.state = 'erasing' AND EXISTS (SELECT 1 FROM hold h WHERE h.subject = s.id)`, conditions)
	rows, err := s.db.Read().QueryContext(ctx, text, append(args, 0, limit)...)
	if err != nil {
		return nil, fmt.Errorf("find held: %w", err)
	}
	return collect(rows, scanPlace)
}

const heldText = `SELECT EXISTS (SELECT 1 FROM hold WHERE subject = ?)`

// Held implements [vault.Store].
func (s *Store) Held(ctx context.Context, subject bonded.ID) (held bool, err error) {
	if err := s.db.Read().QueryRowContext(ctx, heldText, subject[:]).Scan(&held); err != nil {
		return false, fmt.Errorf("look for hold: %w", err)
	}
	return held, nil
}

// HeldBy implements [vault.Store].
func (s *Store) HeldBy(ctx context.Context, id bonded.ID) ([]bonded.ID, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT subject FROM hold WHERE case_id = ? ORDER BY subject`, id[:])
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (bonded.ID, error) {
		var b []byte
		if err := r.Scan(&b); err != nil {
			return bonded.ID{}, err
		}
		return toID(b)
	})
}

// PutHold implements [vault.Tx].
func (t *tx) PutHold(id, subject bonded.ID) error {
	return t.do("put hold", `INSERT INTO hold (case_id, subject) VALUES (?, ?) ON CONFLICT (case_id, subject) DO NOTHING`, id[:], subject[:])
}

// DropHolds implements [vault.Tx].
func (t *tx) DropHolds(id bonded.ID) error {
	return t.do("drop holds", `DELETE FROM hold WHERE case_id = ?`, id[:])
}

// Held implements [vault.Tx].
func (t *tx) Held(subject bonded.ID) (held bool, err error) {
	if err := t.q.QueryRow(heldText, subject[:]).Scan(&held); err != nil {
		return false, fmt.Errorf("look for hold: %w", err)
	}
	return held, nil
}
