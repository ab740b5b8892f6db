package keyholdersql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/keyholder"
	"bonded/internal/sqldb"
	"bonded/internal/wire"
	"bonded/verify"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Store is a [keyholder.Store] in one SQLite database.
type Store struct {
	db      *sqldb.DB
	subject *sql.Stmt // prepared: it is on the way of a read that misses the cache
}

var _ keyholder.Store = (*Store)(nil)

// Open opens or makes the database at path. Errors as [sqldb.Open].
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open keyholder database: %w", err)
	}
	db, err := sqldb.Open(ctx, sqldb.Config{Path: path, Migrations: files, Logger: log})
	if err != nil {
		return nil, err
	}
	subject, err := db.Read().PrepareContext(ctx, "SELECT version, wrapped FROM subject WHERE id = ?")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open keyholder database: %w", err), db.Close())
	}
	return &Store{db, subject}, nil
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.subject.Close(), s.db.Close()) }

// Fatal is [sqldb.DB.Fatal].
func (s *Store) Fatal() <-chan error { return s.db.Fatal() }

// errGap is a defect of the caller: rows that do not continue the book.
var errGap = errors.New("rows do not continue the book")

// Commit implements [keyholder.Store].
func (s *Store) Commit(ctx context.Context, c *keyholder.Commit) error {
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		if err := appendBook(tx, c.Rows); err != nil {
			return fmt.Errorf("append to book: %w", err)
		}
		if err := insertSubjects(tx, c.New); err != nil {
			return fmt.Errorf("insert subjects: %w", err)
		}
		for i := range c.Rewrapped {
			w := &c.Rewrapped[i]
			if _, err := tx.Exec("UPDATE subject SET version = ?, wrapped = ? WHERE id = ? AND version < ?", w.Version, w.Wrapped, w.Subject[:], w.Version); err != nil {
				return fmt.Errorf("re-wrap subject: %w", err)
			}
		}
		for i := range c.Destroyed {
			if n, err := tx.Exec("DELETE FROM subject WHERE id = ?", c.Destroyed[i][:]); err != nil || n != 1 {
				return fmt.Errorf("destroy subject key: %d rows: %w", n, err)
			}
		}
		for _, t := range c.Tombstones {
			if _, err := tx.Exec("INSERT INTO tombstone (n, mark, bytes) VALUES (?, ?, ?)", t.N, t.Mark[:], wire.EncodeTombstone(t)); err != nil {
				return fmt.Errorf("insert tombstone: %w", err)
			}
		}
		if c.Grants != nil {
			if err := keep(tx, "grants", c.Grants); err != nil {
				return err
			}
		}
		if c.Custody != nil {
			const q = `INSERT INTO custody (id, key_set) VALUES (1, ?)
				ON CONFLICT (id) DO UPDATE SET key_set = excluded.key_set`
			if _, err := tx.Exec(q, c.Custody); err != nil {
				return fmt.Errorf("keep custodians: %w", err)
			}
		}
		if c.Control != nil {
			const q = `INSERT INTO control (id, value) VALUES (1, ?)
				ON CONFLICT (id) DO UPDATE SET value = excluded.value`
			if _, err := tx.Exec(q, c.Control); err != nil {
				return fmt.Errorf("keep what is in force: %w", err)
			}
		}
		if c.Anchor != nil {
			return keep(tx, "anchor", encodeAnchor(c.Anchor))
		}
		return nil
	})
}

func appendBook(tx *sqldb.Tx, rows []keyholder.StoredRow) error {
	if len(rows) == 0 {
		return nil
	}
	var last uint64
	if err := tx.QueryRow("SELECT coalesce(max(seq), 0) FROM book").Scan(&last); err != nil {
		return err
	}
	args := make([]any, 0, 3*len(rows))
	for i := range rows {
		if last++; rows[i].Seq != last {
			return errGap
		}
		args = append(args, int64(rows[i].Seq), rows[i].Row, rows[i].Chain[:]) //nolint:gosec // row numbers
	}
	return tx.Insert("INSERT INTO book (seq, row, chain) VALUES", 3, args)
}

func insertSubjects(tx *sqldb.Tx, keys []keyholder.WrappedKey) error {
	args := make([]any, 0, 3*len(keys))
	for i := range keys {
		args = append(args, keys[i].Subject[:], int64(keys[i].Version), keys[i].Wrapped)
	}
	return tx.Insert("INSERT INTO subject (id, version, wrapped) VALUES", 3, args)
}

func keep(tx *sqldb.Tx, name string, value []byte) error {
	const q = `INSERT INTO kept (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
	if _, err := tx.Exec(q, name, value); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// Last implements [keyholder.Store].
func (s *Store) Last(ctx context.Context) (seq uint64, chain [32]byte, err error) {
	var b []byte
	err = s.db.Read().QueryRowContext(ctx, "SELECT seq, chain FROM book ORDER BY seq DESC LIMIT 1").Scan(&seq, &b)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, chain, nil
	}
	if err != nil {
		return 0, chain, fmt.Errorf("last book row: %w", err)
	}
	return seq, [32]byte(b), nil
}

// pageBytes is about how many bytes of rows one page holds.
const pageBytes = 8 << 20

// Rows implements [keyholder.Store].
func (s *Store) Rows(ctx context.Context, after uint64, limit int) ([]keyholder.StoredRow, error) {
	rows, err := s.db.Read().QueryContext(ctx, "SELECT seq, row, chain FROM book WHERE seq > ? ORDER BY seq LIMIT ?", int64(after), limit) //nolint:gosec // row numbers
	if err != nil {
		return nil, fmt.Errorf("book rows: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var list []keyholder.StoredRow
	size := 0
	for size < pageBytes && rows.Next() {
		var r keyholder.StoredRow
		var chain []byte
		if err := rows.Scan(&r.Seq, &r.Row, &chain); err != nil {
			return nil, fmt.Errorf("book rows: %w", err)
		}
		r.Chain, size = [32]byte(chain), size+len(r.Row)
		list = append(list, r)
	}
	return list, rows.Err()
}

// Subject implements [keyholder.Store].
func (s *Store) Subject(ctx context.Context, subject bonded.ID) (keyholder.WrappedKey, bool, error) {
	w := keyholder.WrappedKey{Subject: subject}
	err := s.subject.QueryRowContext(ctx, subject[:]).Scan(&w.Version, &w.Wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return w, false, nil
	}
	if err != nil {
		return w, false, fmt.Errorf("subject key: %w", err)
	}
	return w, true, nil
}

// WrappedUnder implements [keyholder.Store].
func (s *Store) WrappedUnder(ctx context.Context, below uint32, after bonded.ID, limit int) ([]keyholder.WrappedKey, error) {
	rows, err := s.db.Read().QueryContext(ctx, "SELECT id, version, wrapped FROM subject WHERE id > ? AND version < ? ORDER BY id LIMIT ?", after[:], below, limit)
	if err != nil {
		return nil, fmt.Errorf("old subject keys: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var list []keyholder.WrappedKey
	for rows.Next() {
		var w keyholder.WrappedKey
		var id []byte
		if err := rows.Scan(&id, &w.Version, &w.Wrapped); err != nil {
			return nil, fmt.Errorf("old subject keys: %w", err)
		}
		w.Subject = bonded.ID(id)
		list = append(list, w)
	}
	return list, rows.Err()
}

// CountSubjects implements [keyholder.Store].
func (s *Store) CountSubjects(ctx context.Context, below uint32) (all, old uint64, err error) {
	err = s.db.Read().QueryRowContext(ctx, "SELECT count(*), count(*) FILTER (WHERE version < ?) FROM subject", below).Scan(&all, &old)
	if err != nil {
		return 0, 0, fmt.Errorf("count subjects: %w", err)
	}
	return all, old, nil
}

// Tombstones implements [keyholder.Store].
func (s *Store) Tombstones(ctx context.Context, from uint64, limit int) ([]*verify.Tombstone, error) {
	rows, err := s.db.Read().QueryContext(ctx, "SELECT bytes FROM tombstone WHERE n >= ? ORDER BY n LIMIT ?", int64(from), limit) //nolint:gosec // numbers of tombstones
	if err != nil {
		return nil, fmt.Errorf("tombstones: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var list []*verify.Tombstone
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, fmt.Errorf("tombstones: %w", err)
		}
		t, err := wire.DecodeTombstone(b)
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeAltered, err, "a tombstone is altered")
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// Grants implements [keyholder.Store].
func (s *Store) Grants(ctx context.Context) ([]byte, error) { return s.kept(ctx, "grants") }

// Custody implements [keyholder.Store].
func (s *Store) Custody(ctx context.Context) (b []byte, err error) {
	err = s.db.Read().QueryRowContext(ctx, "SELECT key_set FROM custody WHERE id = 1").Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read custodians: %w", err)
	}
	return b, nil
}

// Control implements [keyholder.Store].
func (s *Store) Control(ctx context.Context) (b []byte, err error) {
	err = s.db.Read().QueryRowContext(ctx, "SELECT value FROM control WHERE id = 1").Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is in force: %w", err)
	}
	return b, nil
}

// Anchor implements [keyholder.Store].
func (s *Store) Anchor(ctx context.Context) (*keyholder.AcceptedAnchor, error) {
	b, err := s.kept(ctx, "anchor")
	if err != nil || b == nil {
		return nil, err
	}
	return decodeAnchor(b)
}

func (s *Store) kept(ctx context.Context, name string) (b []byte, err error) {
	err = s.db.Read().QueryRowContext(ctx, "SELECT value FROM kept WHERE name = ?", name).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

func encodeAnchor(a *keyholder.AcceptedAnchor) []byte {
	var w canon.Writer
	w.Uint(uint64(a.Index)) //nolint:gosec // never negative
	w.Uint(uint64(a.Size))  //nolint:gosec // never negative
	w.Fixed(a.Leaf[:])
	w.Uint(a.Seq)
	w.Uint(uint64(len(a.Pending)))
	for _, p := range a.Pending {
		w.Uint(p.First)
		w.Uint(p.Last - p.First)
	}
	for _, p := range a.Pending {
		w.Uint(uint64(p.From)) //nolint:gosec // never negative
	}
	return w.B
}

func decodeAnchor(b []byte) (*keyholder.AcceptedAnchor, error) {
	r := canon.NewReader(b)
	a := new(keyholder.AcceptedAnchor)
	a.Index, a.Size = int64(r.Uint()), int64(r.Uint()) //nolint:gosec // written from int64
	r.Fixed(a.Leaf[:])
	a.Seq = r.Uint()
	for range r.Count(1 << 22) {
		first := r.Uint()
		a.Pending = append(a.Pending, keyholder.SeqSpan{First: first, Last: first + r.Uint()})
		if r.Bad() {
			break
		}
	}
	for i := range a.Pending {
		a.Pending[i].From = int64(r.Uint()) //nolint:gosec // written from int64
	}
	if err := r.Done(); err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "the accepted anchor is altered")
	}
	return a, nil
}
