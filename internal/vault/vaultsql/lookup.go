package vaultsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"bonded"
	"bonded/internal/vault"
)

// Records are looked up together where several callers wait: the price of a
// statement, its locks and its rows is then paid once for all of them.
const (
	loaders   = 2  // batches of look-ups at once
	loadBatch = 32 // look-ups of one statement; a power of two
)

// A load is one caller's look-up.
type load struct {
	key  vault.Key
	out  vault.Loaded
	done chan struct{}
}

// Record implements [vault.Store].
func (s *Store) Record(ctx context.Context, collection uint16, subject, record bonded.ID) (*vault.Record, error) {
	key := vault.Key{Collection: collection, Subject: subject, Record: record}
	// 1. Read lately.
	if r := s.cached(&key); r != nil {
		return r, nil
	}

	// 2. Alone: no need to wait for company.
	if s.loading.Add(1) <= loaders {
		defer s.loading.Add(-1)
		l := s.Lookup(ctx, []vault.Key{key})
		return l[0].Record, l[0].Err
	}
	s.loading.Add(-1)

	// 3. With those who wait.
	l := &load{key: key, done: make(chan struct{})}
	select {
	case s.loads <- l:
	case <-ctx.Done():
		return nil, fmt.Errorf("read record: %w", ctx.Err())
	}
	select {
	case <-l.done:
		return l.out.Record, l.out.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("read record: %w", ctx.Err())
	}
}

// cached returns a record that is in memory. The newest of a person is looked
// up each time.
func (s *Store) cached(key *vault.Key) *vault.Record {
	if key.Record.IsZero() {
		return nil
	}
	if r := s.cache.get(key.Subject, key.Record); r != nil && r.Collection == key.Collection {
		return r
	}
	return nil
}

// loader serves waiting look-ups until the store is closed.
func (s *Store) loader() {
	batch := make([]*load, 0, loadBatch)
	keys := make([]vault.Key, 0, loadBatch)
	for {
		select {
		case l := <-s.loads:
			batch = append(batch[:0], l)
		case <-s.closed:
			return
		}
	more:
		for len(batch) < loadBatch {
			select {
			case l := <-s.loads:
				batch = append(batch, l)
			default:
				break more
			}
		}
		keys = keys[:0]
		for _, l := range batch {
			keys = append(keys, l.key)
		}
		for i, out := range s.Lookup(context.Background(), keys) {
			batch[i].out = out
			close(batch[i].done)
		}
		clear(batch)
	}
}

// Lookup implements [vault.Store].
func (s *Store) Lookup(ctx context.Context, keys []vault.Key) []vault.Loaded {
	out := make([]vault.Loaded, len(keys))
	at := make([]int, 0, min(len(keys), loadBatch)) // places of the keys of one statement
	for i := range keys {
		if keys[i].Record.IsZero() {
			first, last := collectionRange(keys[i].Collection)
			r, err := scanRecord(s.read.newest.QueryRowContext(ctx, keys[i].Subject[:], first, last))
			out[i].Record, out[i].Err = one(r, err, "read record")
			continue
		}
		if out[i].Record = s.cached(&keys[i]); out[i].Record != nil {
			continue
		}
		if at = append(at, i); len(at) == loadBatch {
			s.lookup(ctx, keys, at, out)
			at = at[:0]
		}
	}
	for len(at) > 0 { // the rest in the largest powers of two
		n := 1
		for 2*n <= len(at) {
			n *= 2
		}
		s.lookup(ctx, keys, at[:n], out)
		at = at[n:]
	}
	return out
}

// lookup runs one statement for the keys at some places.
func (s *Store) lookup(ctx context.Context, keys []vault.Key, at []int, out []vault.Loaded) {
	args := make([]any, 0, 2*len(at))
	var stamps [loadBatch]uint64
	for n, i := range at {
		stamps[n] = s.cache.before(keys[i].Subject)
		args = append(args, keys[i].Subject[:], keys[i].Record[:])
	}
	rows, err := s.read.lookup[len(at)].QueryContext(ctx, args...)
	if err == nil {
		err = scanLookup(rows, keys, at, out)
	}
	if err != nil {
		for _, i := range at {
			out[i] = vault.Loaded{Err: fmt.Errorf("read record: %w", err)}
		}
		return
	}
	for n, i := range at {
		if r := out[i].Record; r != nil {
			s.cache.put(r, stamps[n])
		}
	}
}

func scanLookup(rows *sql.Rows, keys []vault.Key, at []int, out []vault.Loaded) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	var fields sql.RawBytes
	var erasing bool
	for rows.Next() {
		r := new(vault.Record)
		var k int
		if err := rows.Scan(&k, &r.N, &r.Version, &r.Created, &r.Due, &fields, &erasing); err != nil {
			return err
		}
		i := at[k]
		if r.Collection = collectionOf(r.N); r.Collection != keys[i].Collection {
			continue
		}
		r.Subject, r.ID, r.State = keys[i].Subject, keys[i].Record, vault.StateActive
		if erasing {
			r.State = vault.StateErasing
		}
		r.Fields, err = vault.DecodeFields(append([]byte(nil), fields...))
		if out[i] = (vault.Loaded{Record: r, Err: err}); err != nil {
			out[i].Record = nil
		}
	}
	return rows.Err()
}

// lookupText returns the statement for n keys.
func lookupText(n int) string {
	var b strings.Builder
	b.WriteString(`WITH w (k, subject, id) AS (VALUES `)
	for k := range n {
		if k > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d,?,?)", k)
	}
	b.WriteString(`)
		SELECT w.k, r.n, r.version, r.created, COALESCE(r.due, 0), r.fields, s.state <> 'active'
		FROM w
		CROSS JOIN record r ON r.subject = w.subject AND r.id = w.id
		CROSS JOIN subject s ON s.id = w.subject`)
	return b.String()
}
