package vaultsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/sqldb"
	"bonded/internal/vault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Store is a [vault.Store] in one SQL database, which also holds the
// journal.
type Store struct {
	db      *sqldb.DB
	journal *journal.Journal
	read    statements
	cache   cache

	loads   chan *load
	loading atomic.Int32
	closed  chan struct{}
	close   func()

	mu      sync.Mutex
	tallies map[uint16]tally  // by collection; 0 for the whole cell
	next    map[uint16]uint64 // of the writer alone: last number given in each collection
}

type tally struct{ subjects, records int64 }

// Open runs the migrations of the vault in db and returns its store. Rows go
// to j, which must use the same db.
func Open(ctx context.Context, db *sqldb.DB, j *journal.Journal) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("open vault store: %w", err)
	}
	if err := db.Migrate(ctx, "vault", files); err != nil {
		return nil, fmt.Errorf("open vault store: %w", err)
	}
	s := &Store{db: db, journal: j, tallies: make(map[uint16]tally), next: make(map[uint16]uint64), loads: make(chan *load, 1024), closed: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	if err := s.read.prepare(ctx, db.Read()); err != nil {
		return nil, fmt.Errorf("open vault store: %w", err)
	}
	if err := s.count(ctx); err != nil {
		return nil, fmt.Errorf("open vault store: %w", err)
	}
	for range loaders {
		go s.loader() //nolint:gosec // G118: it serves every caller, not this one; Close ends it
	}
	return s, nil
}

// Close ends what the store runs in the background. The database stays open:
// it belongs to the caller, who closes it after the last call has ended.
func (s *Store) Close() { s.close() }

// The number of a record: its collection in the upper bits, its place among
// the records ever made in the lower.
const placeBits = 40

func collectionRange(collection uint16) (first, last uint64) {
	return uint64(collection) << placeBits, uint64(collection)<<placeBits | (1<<placeBits - 1)
}

func collectionOf(n uint64) uint16 { return uint16(n >> placeBits) } //nolint:gosec // n < 2^56

// count fills the tallies, which are then kept in memory: counting a million
// rows takes longer than a caller should wait.
func (s *Store) count(ctx context.Context) (err error) {
	rows, err := s.db.Read().QueryContext(ctx, `
		SELECT n >> 40, COUNT(DISTINCT subject), COUNT(*), MAX(n)
		FROM record
		GROUP BY n >> 40`)
	if err != nil {
		return fmt.Errorf("count records: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all tally
	for rows.Next() {
		var id uint16
		var t tally
		var last uint64
		if err := rows.Scan(&id, &t.subjects, &t.records, &last); err != nil {
			return fmt.Errorf("count records: %w", err)
		}
		s.tallies[id], s.next[id] = t, last
		all.records += t.records
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("count records: %w", err)
	}
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM subject`).Scan(&all.subjects); err != nil {
		return fmt.Errorf("count subjects: %w", err)
	}
	s.tallies[0] = all
	return nil
}

// Count implements [vault.Store].
func (s *Store) Count(collection uint16) (subjects, records uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tallies[collection]
	return uint64(max(t.subjects, 0)), uint64(max(t.records, 0)) //nolint:gosec // not negative
}

func (s *Store) apply(deltas map[uint16]tally) {
	if len(deltas) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, d := range deltas {
		t := s.tallies[c]
		s.tallies[c] = tally{t.subjects + d.subjects, t.records + d.records}
	}
}

// Commit implements [vault.Store].
func (s *Store) Commit(ctx context.Context, rows []journal.Prepared, change func(vault.Tx) error) ([]journal.Entered, error) {
	var with func(context.Context, *sqldb.Tx) error
	t := tx{store: s}
	if change != nil {
		with = func(_ context.Context, q *sqldb.Tx) error {
			t.q = q
			return change(&t)
		}
	}
	defer func() { s.cache.changed(t.changes) }()
	var entered []journal.Entered
	var err error
	if len(rows) == 0 {
		if with == nil {
			return nil, nil
		}
		err = s.db.Update(ctx, with)
	} else {
		entered, err = s.journal.Commit(ctx, rows, with)
	}
	if err == nil {
		s.apply(t.deltas)
	}
	return entered, err
}

// KeepSchema implements [vault.Store].
func (s *Store) KeepSchema(ctx context.Context, schema *vault.Schema, versions []vault.SchemaVersion, rows []journal.Prepared) error {
	_, err := s.Commit(ctx, rows, func(vt vault.Tx) error {
		t := vt.(*tx) //nolint:forcetypeassert,errcheck // made by Commit above
		for i := range versions {
			if err := t.keepVersion(schema, &versions[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep schema: %w", err)
	}
	for name, c := range schema.Collections {
		if err := s.db.Read().QueryRowContext(ctx, `SELECT id FROM collection WHERE name = ?`, name).Scan(&c.ID); err != nil {
			return fmt.Errorf("number of collection %s: %w", name, err)
		}
		for fn, f := range c.Fields {
			if err := s.db.Read().QueryRowContext(ctx, `SELECT id FROM field WHERE collection = ? AND name = ?`, c.ID, fn).Scan(&f.ID); err != nil {
				return fmt.Errorf("number of field %s.%s: %w", name, fn, err)
			}
		}
	}
	schema.Finish()
	return nil
}

func (t *tx) keepVersion(schema *vault.Schema, v *vault.SchemaVersion) error {
	if _, err := t.q.Exec(`INSERT INTO collection (name) VALUES (?) ON CONFLICT (name) DO NOTHING`, v.Name); err != nil {
		return fmt.Errorf("add collection %s: %w", v.Name, err)
	}
	var id uint16
	if err := t.q.QueryRow(`SELECT id FROM collection WHERE name = ?`, v.Name).Scan(&id); err != nil {
		return fmt.Errorf("add collection %s: %w", v.Name, err)
	}
	if _, err := t.q.Exec(`INSERT INTO collection_version (collection, version, body) VALUES (?, ?, ?)`, id, v.Version, v.Body); err != nil {
		return fmt.Errorf("add version of collection %s: %w", v.Name, err)
	}
	for _, f := range vault.FieldNames(schema.Collections[v.Name]) {
		if _, err := t.q.Exec(`INSERT INTO field (collection, name) VALUES (?, ?) ON CONFLICT (collection, name) DO NOTHING`, id, f); err != nil {
			return fmt.Errorf("add field %s.%s: %w", v.Name, f, err)
		}
	}
	return nil
}

// Schemas implements [vault.Store].
func (s *Store) Schemas(ctx context.Context) (versions []vault.SchemaVersion, err error) {
	rows, err := s.db.Read().QueryContext(ctx, `
		SELECT c.name, v.version, v.body
		FROM collection c
		JOIN collection_version v ON v.collection = c.id
		WHERE v.version = (SELECT MAX(version) FROM collection_version WHERE collection = c.id)
		ORDER BY c.id`)
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (v vault.SchemaVersion, err error) {
		return v, r.Scan(&v.Name, &v.Version, &v.Body)
	})
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) (all []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func toID(b []byte) (id bonded.ID, err error) {
	if len(b) != bonded.IDSize {
		return id, &bonded.Error{Code: bonded.CodeAltered, Message: "an id in the database has the wrong length"}
	}
	return bonded.ID(b), nil
}
