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

// statements are the prepared statements of the hot reads.
type statements struct {
	newest, records, subject, token, replay *sql.Stmt

	lookup map[int]*sql.Stmt // by number of keys
}

const recordColumns = `
	SELECT r.n, r.id, r.subject, r.version, r.created, COALESCE(r.due, 0), r.fields, s.state
	FROM record r
	JOIN subject s ON s.id = r.subject
`

func (s *statements) prepare(ctx context.Context, db *sql.DB) error {
	for dst, text := range map[**sql.Stmt]string{
		&s.newest:  recordColumns + `WHERE r.subject = ? AND r.n BETWEEN ? AND ? ORDER BY r.n DESC LIMIT 1`,
		&s.records: recordColumns + `WHERE r.subject = ? ORDER BY r.n LIMIT 4001`,
		&s.subject: `SELECT id, state, created, rule FROM subject WHERE id = ?`,
		&s.token:   `SELECT id, subject, record, collection, field FROM token WHERE id = ?`,
		&s.replay:  `SELECT body_hash, answer, expires FROM replay WHERE principal = ? AND key = ?`,
	} {
		st, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // kept as long as the database
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		*dst = st
	}
	s.lookup = make(map[int]*sql.Stmt)
	for n := 1; n <= loadBatch; n *= 2 {
		st, err := db.PrepareContext(ctx, lookupText(n)) //nolint:sqlclosecheck // kept as long as the database
		if err != nil {
			return fmt.Errorf("prepare look-up: %w", err)
		}
		s.lookup[n] = st
	}
	return nil
}

type scanner interface{ Scan(dst ...any) error }

func scanRecord(row scanner) (*vault.Record, error) {
	r := new(vault.Record)
	var id, subject, fields []byte
	var state string
	if err := row.Scan(&r.N, &id, &subject, &r.Version, &r.Created, &r.Due, &fields, &state); err != nil {
		return nil, err
	}
	var err, err2 error
	r.ID, err = toID(id)
	r.Subject, err2 = toID(subject)
	if err = errors.Join(err, err2); err != nil {
		return nil, err
	}
	r.Collection, r.State = collectionOf(r.N), vault.State(state)
	if r.Fields, err = vault.DecodeFields(fields); err != nil {
		return nil, err
	}
	return r, nil
}

// one turns "no rows" into nil.
func one[T any](v *T, err error, what string) (*T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // nothing there, see [vault.Store]
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// Records implements [vault.Store].
func (s *Store) Records(ctx context.Context, subject bonded.ID) ([]*vault.Record, error) {
	rows, err := s.read.records.QueryContext(ctx, subject[:])
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (*vault.Record, error) { return scanRecord(r) })
}

// Page implements [vault.Store].
func (s *Store) Page(ctx context.Context, collection uint16, after uint64, limit int) ([]*vault.Record, error) {
	first, last := collectionRange(collection)
	rows, err := s.db.Read().QueryContext(ctx, recordColumns+`WHERE r.n > ? AND r.n <= ? ORDER BY r.n LIMIT ?`, max(first, after), last, limit)
	if err != nil {
		return nil, fmt.Errorf("page records: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (*vault.Record, error) { return scanRecord(r) })
}

// Due implements [vault.Store].
func (s *Store) Due(ctx context.Context, now int64, limit int) ([]*vault.Record, error) {
	rows, err := s.db.Read().QueryContext(ctx, recordColumns+`WHERE r.due <= ? AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.subject = r.subject) ORDER BY r.due LIMIT ?`, now, limit)
	if err != nil {
		return nil, fmt.Errorf("read due records: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (*vault.Record, error) { return scanRecord(r) })
}

func scanPlace(r *sql.Rows) (p vault.Place, err error) {
	var id, subject []byte
	if err := r.Scan(&p.N, &id, &subject); err != nil {
		return p, err
	}
	if p.Record, err = toID(id); err != nil {
		return p, err
	}
	p.Subject, err = toID(subject)
	return p, err
}

// Find implements [vault.Store].
func (s *Store) Find(ctx context.Context, conditions []vault.Condition, after uint64, limit int) ([]vault.Place, error) {
	text, args := findText(`s.state = 'active'`, conditions)
	rows, err := s.db.Read().QueryContext(ctx, text, append(args, after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("find: %w", err)
	}
	return collect(rows, scanPlace)
}

// findText returns the statement of a search among people of whom a condition
// holds, and its arguments but for the place to begin after and the limit.
func findText(people string, conditions []vault.Condition) (string, []any) {
	var text strings.Builder
	args := make([]any, 0, 2*len(conditions)+2)
	text.WriteString(`
		SELECT r.n, r.id, r.subject
		FROM field_index i0
		JOIN record r ON r.n = i0.n
		JOIN subject s ON s.id = r.subject
		WHERE ` + people + ` AND i0.field = ? AND i0.value = ?`)
	for i := range conditions {
		if i > 0 {
			text.WriteString(`
			AND EXISTS (SELECT 1 FROM field_index i WHERE i.field = ? AND i.value = ? AND i.n = r.n)`)
		}
		args = append(args, conditions[i].Field, conditions[i].Value[:])
	}
	text.WriteString(` AND i0.n > ? ORDER BY i0.n LIMIT ?`)
	return text.String(), args
}

// List implements [vault.Store].
func (s *Store) List(ctx context.Context, collection uint16, after uint64, limit int) ([]vault.Place, error) {
	first, last := collectionRange(collection)
	rows, err := s.db.Read().QueryContext(ctx, `
		SELECT r.n, r.id, r.subject
		FROM record r
		JOIN subject s ON s.id = r.subject
		WHERE s.state = 'active' AND r.n > ? AND r.n <= ?
		ORDER BY r.n
		LIMIT ?`, max(first, after), last, limit)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return collect(rows, scanPlace)
}

func scanSubject(row scanner) (*vault.Subject, error) {
	var id []byte
	var state string
	s := new(vault.Subject)
	if err := row.Scan(&id, &state, &s.Created, &s.Rule); err != nil {
		return nil, err
	}
	s.State = vault.State(state)
	var err error
	s.ID, err = toID(id)
	return s, err
}

// Subject implements [vault.Store].
func (s *Store) Subject(ctx context.Context, id bonded.ID) (*vault.Subject, error) {
	v, err := scanSubject(s.read.subject.QueryRowContext(ctx, id[:]))
	return one(v, err, "read subject")
}

// Token implements [vault.Store].
func (s *Store) Token(ctx context.Context, id bonded.ID) (*vault.TokenRow, error) {
	t := new(vault.TokenRow)
	var tid, subject, record []byte
	err := s.read.token.QueryRowContext(ctx, id[:]).Scan(&tid, &subject, &record, &t.Collection, &t.Field)
	if err == nil {
		var e1, e2, e3 error
		t.ID, e1 = toID(tid)
		t.Subject, e2 = toID(subject)
		t.Record, e3 = toID(record)
		err = errors.Join(e1, e2, e3)
	}
	return one(t, err, "read token")
}

func scanBasis(row scanner) (*vault.BasisRow, error) {
	var id, subject []byte
	b := new(vault.BasisRow)
	if err := row.Scan(&id, &subject, &b.Body); err != nil {
		return nil, err
	}
	var e1, e2 error
	b.ID, e1 = toID(id)
	b.Subject, e2 = toID(subject)
	return b, errors.Join(e1, e2)
}

// Basis implements [vault.Store].
func (s *Store) Basis(ctx context.Context, id bonded.ID) (*vault.BasisRow, error) {
	b, err := scanBasis(s.db.Read().QueryRowContext(ctx, `SELECT id, subject, body FROM basis WHERE id = ?`, id[:]))
	return one(b, err, "read basis")
}

// BasisOf implements [vault.Store].
func (s *Store) BasisOf(ctx context.Context, subject bonded.ID) ([]*vault.BasisRow, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id, subject, body FROM basis WHERE subject = ? ORDER BY id`, subject[:])
	if err != nil {
		return nil, fmt.Errorf("read basis records: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (*vault.BasisRow, error) { return scanBasis(r) })
}

func scanReplay(row scanner, principal, key string) (*vault.Replay, error) {
	v := &vault.Replay{Principal: principal, Key: key}
	var hash []byte
	if err := row.Scan(&hash, &v.Answer, &v.Expires); err != nil {
		return nil, err
	}
	copy(v.BodyHash[:], hash)
	return v, nil
}

// Replay implements [vault.Store].
func (s *Store) Replay(ctx context.Context, principal, key string) (*vault.Replay, error) {
	v, err := scanReplay(s.read.replay.QueryRowContext(ctx, principal, key), principal, key)
	return one(v, err, "read replay")
}

const erasureColumns = `SELECT subject, asked, due, body FROM erasure `

func scanErasure(row scanner) (*vault.Erasure, error) {
	e := new(vault.Erasure)
	var subject []byte
	if err := row.Scan(&subject, &e.Asked, &e.Due, &e.Body); err != nil {
		return nil, err
	}
	var err error
	e.Subject, err = toID(subject)
	return e, err
}

// Erasure implements [vault.Store].
func (s *Store) Erasure(ctx context.Context, subject bonded.ID) (*vault.Erasure, error) {
	e, err := scanErasure(s.db.Read().QueryRowContext(ctx, erasureColumns+`WHERE subject = ?`, subject[:]))
	return one(e, err, "read erasure")
}

// Erasures implements [vault.Store].
func (s *Store) Erasures(ctx context.Context) ([]*vault.Erasure, error) {
	rows, err := s.db.Read().QueryContext(ctx, erasureColumns+`ORDER BY due`)
	if err != nil {
		return nil, fmt.Errorf("read erasures: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (*vault.Erasure, error) { return scanErasure(r) })
}

// Tombstoned implements [vault.Store].
func (s *Store) Tombstoned(ctx context.Context, mark [32]byte) (uint64, error) {
	var n uint64
	err := s.db.Read().QueryRowContext(ctx, `SELECT n FROM tombstone WHERE mark = ?`, mark[:]).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read tombstone: %w", err)
	}
	return n, nil
}

// LastTombstone implements [vault.Store].
func (s *Store) LastTombstone(ctx context.Context) (*vault.TombstoneRow, error) {
	t := new(vault.TombstoneRow)
	var mark []byte
	err := s.db.Read().QueryRowContext(ctx, `SELECT n, mark, body FROM tombstone ORDER BY n DESC LIMIT 1`).Scan(&t.N, &mark, &t.Body)
	copy(t.Mark[:], mark)
	return one(t, err, "read last tombstone")
}

func scanJob(row scanner) (*vault.JobRow, error) {
	j := new(vault.JobRow)
	var id []byte
	if err := row.Scan(&id, &j.Open, &j.Body); err != nil {
		return nil, err
	}
	var err error
	j.ID, err = toID(id)
	return j, err
}

// Job implements [vault.Store].
func (s *Store) Job(ctx context.Context, id bonded.ID) (*vault.JobRow, error) {
	j, err := scanJob(s.db.Read().QueryRowContext(ctx, `SELECT id, open, body FROM job WHERE id = ?`, id[:]))
	return one(j, err, "read job")
}

// OpenJobs implements [vault.Store].
func (s *Store) OpenJobs(ctx context.Context) ([]*vault.JobRow, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id, open, body FROM job WHERE open = 1 ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read open jobs: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (*vault.JobRow, error) { return scanJob(r) })
}

// Value implements [vault.Store].
func (s *Store) Value(ctx context.Context, name string) ([]byte, error) {
	var b []byte
	err := s.db.Read().QueryRowContext(ctx, `SELECT value FROM vault_value WHERE name = ?`, name).Scan(&b)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read value %s: %w", name, err)
	}
	return b, nil
}
