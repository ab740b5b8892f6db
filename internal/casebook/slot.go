//go:build unix

package casebook

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// A queued entry waits for its leaf.
type queued struct {
	id         int64
	kind       string
	kase       []byte
	fields     []byte
	commitment []byte
}

// makeSlot takes entries from the queue, fills up with covers, makes the
// leaves of the slot at a time and makes all of it durable. Base is the number
// of entries the ledger has before any of them.
func (b *Book) makeSlot(ctx context.Context, at, base int64) error {
	err := b.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error { return b.insertSlot(tx, at, base) })
	if err != nil {
		return fmt.Errorf("make slot: %w", err)
	}
	return nil
}

func (b *Book) insertSlot(tx *sqldb.Tx, at, base int64) error {
	// 1. The slot before.
	number, prev := int64(1), []byte(nil)
	var lastTime int64
	err := tx.QueryRow("SELECT number + 1, root, time FROM casebook_slots ORDER BY number DESC LIMIT 1").Scan(&number, &prev, &lastTime)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if at <= lastTime {
		return nil // the clock went back
	}
	if _, err := tx.Exec("INSERT INTO casebook_slots (number, time, root, base) VALUES (?, ?, zeroblob(32), ?)", number, at, base); err != nil {
		return err
	}

	// 2. Leaves of entries, in the order of entries: each can name the one before.
	var leaves []newLeaf
	entries, err := b.takeQueued(tx)
	if err != nil {
		return err
	}
	before := map[string][]byte{} // leaf hashes of cases that have entries in this slot
	for i := range entries {
		l, err := b.entryLeaf(tx, &entries[i], before, at, prev)
		if err != nil {
			return err
		}
		leaves = append(leaves, l)
	}

	// 3. Covers.
	for len(leaves) < b.cfg.PerSlot {
		seed := make([]byte, 32)
		_, _ = rand.Read(seed) // never fails since Go 1.24
		l := b.newLeaf(at, prev, verify.CommitFields(coverFields(seed)))
		l.seed = seed
		leaves = append(leaves, l)
	}

	// 4. All of it, in an order that says nothing.
	hashes := make([]tlog.Hash, len(leaves))
	shuffle(leaves)
	for i := range leaves {
		l := &leaves[i]
		hashes[i] = l.hash
		var id int64
		var seed any
		if l.entry == 0 {
			seed = l.seed
		}
		err := tx.QueryRow("INSERT INTO casebook_leaves (slot, leaf, hash, seed, due) VALUES (?, ?, ?, ?, ?) RETURNING id", number, l.bytes, l.hash[:], seed, at+b.horizon).Scan(&id)
		if err != nil {
			return err
		}
		if l.entry == 0 {
			continue
		}
		if _, err := tx.Exec("UPDATE casebook_entries SET leaf = ?, fields = ? WHERE id = ?", id, l.fields, l.entry); err != nil {
			return err
		}
	}
	root := verify.SlotRoot(hashes)
	_, err = tx.Exec("UPDATE casebook_slots SET root = ? WHERE number = ?", root[:], number)
	return err
}

// A newLeaf is a leaf on its way into the database: of an entry, or with the
// seed of a cover.
type newLeaf struct {
	bytes  []byte
	hash   tlog.Hash
	seed   []byte
	entry  int64
	fields []byte
}

func (b *Book) newLeaf(at int64, prev []byte, root [32]byte) newLeaf {
	leaf := &verify.Leaf{Kind: verify.LeafCase, Cell: b.cfg.Cell, Time: uint64(at), OpenBy: uint64(at + b.horizon), Root: root} //nolint:gosec // after 1970
	copy(leaf.Prev[:], prev)
	l := newLeaf{bytes: leaf.Encode()}
	l.hash = tlog.RecordHash(l.bytes)
	return l
}

// takeQueued returns the entries of the next slot in their order. One place is
// for an extension if any waits, so that a busy day cannot make them late; what
// entries leave over is for further extensions.
func (b *Book) takeQueued(tx *sqldb.Tx) ([]queued, error) {
	const columns = "SELECT id, type, case_id, fields, commitment FROM casebook_entries WHERE leaf IS NULL AND "
	extensions, err := queryQueued(tx, columns+"type = 'extension' ORDER BY id LIMIT ?", b.cfg.PerSlot)
	if err != nil {
		return nil, err
	}
	entries, err := queryQueued(tx, columns+"type != 'extension' ORDER BY id LIMIT ?", b.cfg.PerSlot-min(1, len(extensions)))
	if err != nil {
		return nil, err
	}
	return append(entries, extensions[:min(len(extensions), b.cfg.PerSlot-len(entries))]...), nil
}

func queryQueued(tx *sqldb.Tx, query string, args ...any) ([]queued, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []queued
	for rows.Next() {
		var q queued
		if err := rows.Scan(&q.id, &q.kind, &q.kase, &q.fields, &q.commitment); err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, rows.Err()
}

// entryLeaf makes the leaf of an entry; before has the leaf hashes of this
// slot's cases.
func (b *Book) entryLeaf(tx *sqldb.Tx, q *queued, before map[string][]byte, at int64, prev []byte) (newLeaf, error) {
	fields, err := verify.DecodeFields(q.fields)
	if err != nil || len(fields) != personAt {
		return newLeaf{}, bonded.Errorf(bonded.CodeAltered, "the fields of entry %d cannot be read", q.id)
	}
	if number := numberOf(fields); number > 1 {
		hash, ok := before[string(q.kase)]
		if !ok {
			err := tx.QueryRow("SELECT l.hash FROM casebook_entries e JOIN casebook_leaves l ON l.id = e.leaf WHERE e.case_id = ? AND e.number = ?",
				q.kase, int64(number-1)).Scan(&hash) //nolint:gosec // a count
			if err != nil {
				return newLeaf{}, fmt.Errorf("entry %d: the one before it in its case: %w", q.id, err)
			}
		}
		setPrevious(fields, hash)
	}
	root, err := rootOf(fields, q.commitment)
	if err != nil {
		return newLeaf{}, err
	}
	l := b.newLeaf(at, prev, root)
	l.entry, l.fields = q.id, verify.EncodeFields(fields)
	before[string(q.kase)] = l.hash[:]
	return l, nil
}

// rootOf returns the root over all fields but the person, and the person's
// commitment.
func rootOf(fields []verify.LeafField, person []byte) ([32]byte, error) {
	hashes := make([]tlog.Hash, 0, len(verify.CaseFields))
	for i := range fields {
		hashes = append(hashes, fields[i].Commitment())
	}
	h, err := asHash(person)
	return verify.TreeRoot(append(hashes, h)), err
}
