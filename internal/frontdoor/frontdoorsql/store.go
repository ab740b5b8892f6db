package frontdoorsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"bonded/internal/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Store keeps the tables in one database. It is safe for concurrent use.
type Store struct{ db *sqldb.DB }

// Open runs the migrations of the front door in db and returns its store. The
// database stays the caller's to close.
func Open(ctx context.Context, db *sqldb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open front door: %w", err)
	}
	if err := db.Migrate(ctx, "frontdoor", files); err != nil {
		return nil, fmt.Errorf("open front door: %w", err)
	}
	if err := migrateOverview(ctx, db); err != nil {
		return nil, fmt.Errorf("open front door: %w", err)
	}
	return &Store{db}, nil
}

// A Q runs statements: inside one commit if it came from [Store.Update], and
// reads only if from [Store.Read].
type Q struct {
	ctx  context.Context //nolint:containedctx // of the one call that Q lives for
	read *sql.DB
	tx   *sqldb.Tx
}

// Read returns a Q that sees everything committed before.
func (s *Store) Read(ctx context.Context) Q { return Q{ctx: ctx, read: s.db.Read()} }

// Update runs change in one commit, which is durable when Update returns nil.
// It runs on the database's writer goroutine: change must not wait.
func (s *Store) Update(ctx context.Context, change func(Q) error) error {
	return s.db.Update(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return change(Q{ctx: ctx, tx: tx}) })
}

// Tx returns the transaction of the commit, nil outside of one.
func (q Q) Tx() *sqldb.Tx { return q.tx }

var errReadOnly = errors.New("a change outside of a commit")

func (q Q) exec(query string, args ...any) (int64, error) {
	if q.tx == nil {
		return 0, errReadOnly
	}
	return q.tx.Exec(query, args...)
}

func (q Q) row(query string, args ...any) *sql.Row {
	if q.tx != nil {
		return q.tx.QueryRow(query, args...)
	}
	return q.read.QueryRowContext(q.ctx, query, args...)
}

func (q Q) rows(query string, args ...any) (*sql.Rows, error) {
	if q.tx != nil {
		return q.tx.Query(query, args...)
	}
	return q.read.QueryContext(q.ctx, query, args...)
}

// list returns all rows of a query.
func list[T any](q Q, scan func(scanner) (T, error), query string, args ...any) (out []T, err error) {
	rows, err := q.rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one returns the row of a query, nil if there is none.
func one[T any](q Q, scan func(scanner) (T, error), query string, args ...any) (*T, error) {
	v, err := scan(q.row(query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // absent is no error here, as in package vaultsql
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}

type scanner interface{ Scan(dest ...any) error }

func blob(s scanner) (v []byte, err error)  { return v, s.Scan(&v) }
func number(s scanner) (v int64, err error) { return v, s.Scan(&v) }

// Value returns what [Q.SetValue] kept under a name, nil if nothing.
func (q Q) Value(name string) ([]byte, error) {
	v, err := one(q, blob, `SELECT value FROM front_value WHERE name = ?`, name)
	if v == nil {
		return nil, err
	}
	return *v, err
}

// SetValue keeps a value under a name.
func (q Q) SetValue(name string, value []byte) error {
	_, err := q.exec(`
		INSERT INTO front_value (name, value)
		VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}
