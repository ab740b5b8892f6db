package vaultsql

import (
	"database/sql"
	"errors"
	"fmt"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/internal/vault"
)

// A tx makes the changes of one caller inside a group commit.
type tx struct {
	q      *sqldb.Tx
	store  *Store
	deltas map[uint16]tally
	fresh  bonded.ID // the subject this tx made last: it has no records yet

	changes []bonded.ID // subjects taken out of the cache until the commit has ended
}

// change is called before a stored record of a subject, or its state, changes.
func (t *tx) change(subject bonded.ID) {
	t.changes = append(t.changes, subject)
	t.store.cache.change(subject)
}

func (t *tx) tally(collection uint16, subjects, records int64) {
	if t.deltas == nil {
		t.deltas = make(map[uint16]tally, 2)
	}
	d := t.deltas[collection]
	t.deltas[collection] = tally{d.subjects + subjects, d.records + records}
}

// Record implements [vault.Tx].
func (t *tx) Record(collection uint16, subject, record bonded.ID) (*vault.Record, error) {
	first, last := collectionRange(collection)
	r, err := scanRecord(t.q.QueryRow(recordColumns+`WHERE r.subject = ? AND r.id = ? AND r.n BETWEEN ? AND ?`, subject[:], record[:], first, last))
	return one(r, err, "read record")
}

// Subject implements [vault.Tx].
func (t *tx) Subject(id bonded.ID) (*vault.Subject, error) {
	s, err := scanSubject(t.q.QueryRow(`SELECT id, state, created, rule FROM subject WHERE id = ?`, id[:]))
	return one(s, err, "read subject")
}

// Replay implements [vault.Tx].
func (t *tx) Replay(principal, key string) (*vault.Replay, error) {
	v, err := scanReplay(t.q.QueryRow(`SELECT body_hash, answer, expires FROM replay WHERE principal = ? AND key = ?`, principal, key), principal, key)
	return one(v, err, "read replay")
}

// exec runs a statement that must succeed.
func (t *tx) exec(what, query string, args ...any) (bool, error) {
	n, err := t.q.Exec(query, args...)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	return n > 0, nil
}

func (t *tx) do(what, query string, args ...any) error {
	_, err := t.exec(what, query, args...)
	return err
}

// InsertSubject implements [vault.Tx].
func (t *tx) InsertSubject(s *vault.Subject) error {
	t.fresh = s.ID
	t.tally(0, 1, 0)
	return t.do("insert subject", `INSERT INTO subject (id, state, created, rule) VALUES (?, ?, ?, ?)`, s.ID[:], string(s.State), s.Created, s.Rule)
}

// SetState implements [vault.Tx].
func (t *tx) SetState(subject bonded.ID, from, to vault.State) (bool, error) {
	t.change(subject)
	return t.exec("set state", `UPDATE subject SET state = ? WHERE id = ? AND state = ?`, string(to), subject[:], string(from))
}

// DeleteSubject implements [vault.Tx].
func (t *tx) DeleteSubject(subject bonded.ID) error {
	t.change(subject)
	rows, err := t.q.Query(recordColumns+`WHERE r.subject = ?`, subject[:])
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	records, err := collect(rows, func(r *sql.Rows) (*vault.Record, error) {
		rec, err := scanRecord(r)
		if bonded.CodeOf(err) == bonded.CodeAltered {
			return nil, nil //nolint:nilnil // its row goes with the subject; index values that nobody can name stay behind
		}
		return rec, err
	})
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	for _, r := range records {
		if r != nil {
			if err := t.DeleteRecord(r); err != nil {
				return err
			}
		}
	}
	for _, text := range []string{
		`DELETE FROM token WHERE subject = ?`,
		`DELETE FROM basis WHERE subject = ?`,
		`DELETE FROM erasure WHERE subject = ?`,
		`DELETE FROM hold WHERE subject = ?`,
		`DELETE FROM record WHERE subject = ?`,
	} {
		if err := t.do("delete what a subject has", text, subject[:]); err != nil {
			return err
		}
	}
	gone, err := t.exec("delete subject", `DELETE FROM subject WHERE id = ?`, subject[:])
	if gone {
		t.tally(0, -1, 0)
	}
	return err
}

func nullable(due int64) any {
	if due == 0 {
		return nil
	}
	return due
}

// InsertRecord implements [vault.Tx].
func (t *tx) InsertRecord(r *vault.Record) error {
	first, _ := collectionRange(r.Collection)
	newSubject := int64(1)
	if r.Subject != t.fresh {
		has, err := t.hasRecord(r)
		if err != nil {
			return err
		}
		if has {
			newSubject = 0
		}
	}
	t.fresh = bonded.ID{}
	r.N = max(t.store.next[r.Collection], first) + 1
	t.store.next[r.Collection] = r.N
	err := t.do("insert record", `INSERT INTO record (n, id, subject, version, created, due, fields) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.N, r.ID[:], r.Subject[:], r.Version, r.Created, nullable(r.Due), vault.EncodeFields(r.Fields))
	if err != nil {
		return err
	}
	t.tally(r.Collection, newSubject, 1)
	t.tally(0, 0, 1)
	return t.insertIndex(r, nil)
}

// hasRecord reports whether the subject has another record in the collection.
func (t *tx) hasRecord(r *vault.Record) (bool, error) {
	first, last := collectionRange(r.Collection)
	var n int
	err := t.q.QueryRow(`SELECT 1 FROM record WHERE subject = ? AND n BETWEEN ? AND ? AND n <> ? LIMIT 1`, r.Subject[:], first, last, r.N).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for records: %w", err)
	}
	return true, nil
}

// HasRecords implements [vault.Tx].
func (t *tx) HasRecords(subject bonded.ID) (bool, error) {
	var n int
	err := t.q.QueryRow(`SELECT EXISTS (SELECT 1 FROM record WHERE subject = ?)`, subject[:]).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for records: %w", err)
	}
	return n == 1, nil
}

// insertIndex adds the index values of r that skip does not have.
func (t *tx) insertIndex(r *vault.Record, skip map[indexKey]bool) error {
	var args []any
	for i := range r.Fields {
		f := &r.Fields[i]
		if len(f.Index) == 16 && !skip[indexKey{f.Field, [16]byte(f.Index)}] {
			args = append(args, f.Field, f.Index, r.N)
		}
	}
	if len(args) == 0 {
		return nil
	}
	if err := t.q.Insert(`INSERT INTO field_index (field, value, n) VALUES`, 3, args); err != nil {
		return fmt.Errorf("insert index values: %w", err)
	}
	return nil
}

type indexKey struct {
	field uint16
	value [16]byte
}

func indexKeys(r *vault.Record) map[indexKey]bool {
	keys := make(map[indexKey]bool)
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Index) == 16 {
			keys[indexKey{f.Field, [16]byte(f.Index)}] = true
		}
	}
	return keys
}

// UpdateRecord implements [vault.Tx].
func (t *tx) UpdateRecord(r, was *vault.Record) error {
	t.change(was.Subject)
	ok, err := t.exec("update record", `UPDATE record SET version = ?, due = ?, fields = ? WHERE n = ? AND version = ?`,
		r.Version, nullable(r.Due), vault.EncodeFields(r.Fields), was.N, was.Version)
	if err != nil {
		return err
	}
	if !ok {
		return &bonded.Error{Code: bonded.CodeConflict, Message: "the record was changed meanwhile"}
	}
	before, after := indexKeys(was), indexKeys(r)
	for k := range before {
		if !after[k] {
			if err := t.do("delete index value", `DELETE FROM field_index WHERE field = ? AND value = ? AND n = ?`, k.field, k.value[:], was.N); err != nil {
				return err
			}
		}
	}
	return t.insertIndex(r, before)
}

// DeleteRecord implements [vault.Tx].
func (t *tx) DeleteRecord(r *vault.Record) error {
	t.change(r.Subject)
	for k := range indexKeys(r) {
		if err := t.do("delete index value", `DELETE FROM field_index WHERE field = ? AND value = ? AND n = ?`, k.field, k.value[:], r.N); err != nil {
			return err
		}
	}
	if err := t.do("delete tokens", `DELETE FROM token WHERE subject = ? AND record = ?`, r.Subject[:], r.ID[:]); err != nil {
		return err
	}
	gone, err := t.exec("delete record", `DELETE FROM record WHERE n = ?`, r.N)
	if err != nil || !gone {
		return err
	}
	has, err := t.hasRecord(r)
	if err != nil {
		return err
	}
	lost := int64(-1)
	if has {
		lost = 0
	}
	t.tally(r.Collection, lost, -1)
	t.tally(0, 0, -1)
	return nil
}

// InsertToken implements [vault.Tx].
func (t *tx) InsertToken(k *vault.TokenRow) error {
	return t.do("insert token", `INSERT INTO token (id, subject, record, collection, field) VALUES (?, ?, ?, ?, ?)`,
		k.ID[:], k.Subject[:], k.Record[:], k.Collection, k.Field)
}

// DeleteToken implements [vault.Tx].
func (t *tx) DeleteToken(id bonded.ID) (bool, error) {
	return t.exec("delete token", `DELETE FROM token WHERE id = ?`, id[:])
}

// PutBasis implements [vault.Tx].
func (t *tx) PutBasis(b *vault.BasisRow) error {
	return t.do("put basis", `
		INSERT INTO basis (id, subject, body)
		VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET body = excluded.body`, b.ID[:], b.Subject[:], b.Body)
}

// PutReplay implements [vault.Tx].
func (t *tx) PutReplay(r *vault.Replay) error {
	return t.do("put replay", `
		INSERT INTO replay (principal, key, body_hash, answer, expires)
		VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (principal, key) DO UPDATE SET body_hash = excluded.body_hash, answer = excluded.answer, expires = excluded.expires`,
		r.Principal, r.Key, r.BodyHash[:], r.Answer, r.Expires)
}

// DropReplays implements [vault.Tx].
func (t *tx) DropReplays(before int64) error {
	return t.do("drop replays", `DELETE FROM replay WHERE expires < ?`, before)
}

// PutErasure implements [vault.Tx].
func (t *tx) PutErasure(e *vault.Erasure) error {
	return t.do("put erasure", `INSERT INTO erasure (subject, asked, due, body) VALUES (?, ?, ?, ?)`, e.Subject[:], e.Asked, e.Due, e.Body)
}

// DeleteErasure implements [vault.Tx].
func (t *tx) DeleteErasure(subject bonded.ID) (bool, error) {
	return t.exec("delete erasure", `DELETE FROM erasure WHERE subject = ?`, subject[:])
}

// ClaimErasures implements [vault.Tx].
func (t *tx) ClaimErasures(now, until int64, limit int) ([]*vault.Erasure, error) {
	rows, err := t.q.Query(`
		UPDATE erasure SET claimed = ?
		WHERE subject IN (
			SELECT e.subject
			FROM erasure e
			WHERE e.due <= ? AND e.claimed <= ? AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.subject = e.subject)
			ORDER BY e.due
			LIMIT ?)
		RETURNING subject, asked, due, body`, until, now, now, limit)
	if err != nil {
		return nil, fmt.Errorf("claim erasures: %w", err)
	}
	return collect(rows, func(r *sql.Rows) (*vault.Erasure, error) { return scanErasure(r) })
}

// InsertTombstone implements [vault.Tx].
func (t *tx) InsertTombstone(s *vault.TombstoneRow) error {
	return t.do("insert tombstone", `INSERT INTO tombstone (n, mark, body) VALUES (?, ?, ?)`, s.N, s.Mark[:], s.Body)
}

// PutJob implements [vault.Tx].
func (t *tx) PutJob(j *vault.JobRow) error {
	return t.do("put job", `
		INSERT INTO job (id, open, body)
		VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body`, j.ID[:], j.Open, j.Body)
}

// SetValue implements [vault.Tx].
func (t *tx) SetValue(name string, value []byte) error {
	return t.do("set value", `
		INSERT INTO vault_value (name, value)
		VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
}
