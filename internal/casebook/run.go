//go:build unix

package casebook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bonded"
	"bonded/internal/ledger"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// Run calls [Book.Tick] at every slot until ctx ends, and then returns nil. A
// tick that fails is logged and the next one goes on where it stopped. Run
// returns early, with an error, only when going on would be wrong: with
// [bonded.CodeRestored] if the database is older than the ledger.
func (b *Book) Run(ctx context.Context) error {
	failing := false
	for {
		err := b.Tick(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was asked to end
		case bonded.CodeOf(err) == bonded.CodeRestored:
			return err
		case err != nil && !failing:
			b.log.WarnContext(ctx, "a slot of the ledger of cases waits", slog.Any("err", err))
		case err == nil && failing:
			b.log.InfoContext(ctx, "slots of the ledger of cases go on")
		}
		failing = err != nil
		now := b.cfg.Now()
		timer := time.NewTimer(time.Unix(b.slotAt(now)+b.slot, 0).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// slotAt returns the time of the slot that now falls into, in seconds.
func (b *Book) slotAt(now time.Time) int64 { return now.Unix() - now.Unix()%b.slot }

// Tick does what is due now: it finishes the slot that was begun, opens and
// extends what has reached its date by witness time, and begins and finishes
// the slot of this time if there is none yet. It is safe to call at any time,
// and after any error.
//
// Errors are those of the ledger and the database; the slot that was begun
// stays begun, and no other is made before it is in the ledger: while
// witnesses are away, slots are missed and never made up for.
func (b *Book) Tick(ctx context.Context) error {
	b.tick.Lock()
	defer b.tick.Unlock()

	// 1. What was begun, which needs to be known first.
	if err := b.finish(ctx); err != nil {
		return err
	}

	// 2. What is due by the clocks of the witnesses.
	if err := b.dates(ctx); err != nil {
		return fmt.Errorf("dates of the ledger of cases: %w", err)
	}

	// 3. The slot of this time.
	cp, err := b.cfg.Ledger.Latest()
	if err != nil {
		return err
	}
	if err := b.makeSlot(ctx, b.slotAt(b.cfg.Now()), cp.Size); err != nil {
		return err
	}
	return b.finish(ctx)
}

// A begun leaf is durable here and not known to be in the ledger.
type begun struct {
	id    int64
	leaf  []byte
	hash  tlog.Hash
	entry int64 // 0 for a cover
}

// finish brings the leaves of the slot that was begun into the ledger.
//
// An answer that was lost leads to the same leaf twice at most, and two equal
// leaves are one entry. What an append left behind shows in the next
// checkpoint, so after a failure nothing is appended before there is one.
func (b *Book) finish(ctx context.Context) error {
	// 1. Is there one? After a start the ledger is looked at in any case.
	leaves, err := b.begunLeaves(ctx)
	if err != nil {
		return fmt.Errorf("finish slot: %w", err)
	}
	if len(leaves) == 0 && b.checked {
		return nil
	}

	// 2. What of it is there already.
	if !b.checked || b.refused != "" {
		cp, err := b.cfg.Ledger.Latest()
		if err != nil {
			return err
		}
		if string(cp.Raw) == b.refused {
			e := bonded.Errorf(bonded.CodeStale, "the ledger has no newer checkpoint since it did not take a slot")
			e.Hint = "see whether the witnesses can be reached; the slot goes on when they are back"
			return e
		}
		if err := b.catchUp(ctx, cp.Size); err != nil {
			return err
		}
		b.checked, b.refused = true, ""
		if leaves, err = b.begunLeaves(ctx); err != nil {
			return fmt.Errorf("finish slot: %w", err)
		}
	}

	// 3. The rest, all at once and in no order.
	if len(leaves) == 0 {
		return nil
	}
	return b.appendAll(ctx, leaves)
}

func (b *Book) begunLeaves(ctx context.Context) ([]begun, error) {
	rows, err := b.db.Read().QueryContext(ctx,
		"SELECT l.id, l.leaf, l.hash, COALESCE(e.id, 0) FROM casebook_slots s JOIN casebook_leaves l ON l.slot = s.number "+
			"LEFT JOIN casebook_entries e ON e.leaf = l.id WHERE s.done = 0 AND l.ledger_index IS NULL")
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []begun
	for rows.Next() {
		var l begun
		var hash []byte
		if err := rows.Scan(&l.id, &l.leaf, &hash, &l.entry); err != nil {
			return nil, err
		}
		if l.hash, err = asHash(hash); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

func (b *Book) appendAll(ctx context.Context, leaves []begun) error {
	shuffle(leaves)
	receipts, errs := make([]ledger.Receipt, len(leaves)), make([]error, len(leaves))
	var wg sync.WaitGroup
	for i := range leaves {
		wg.Go(func() { receipts[i], errs[i] = b.cfg.Ledger.Append(ctx, leaves[i].leaf) })
	}
	wg.Wait()
	var first error
	var in []landed
	for i := range leaves {
		switch {
		case errs[i] == nil:
			in = append(in, landed{leaves[i], receipts[i]})
		case first == nil:
			first = errs[i]
		}
	}
	err := b.witnessed(ctx, in)
	if first != nil {
		b.refused = "none"
		if cp, err := b.cfg.Ledger.Latest(); err == nil {
			b.refused = string(cp.Raw)
		}
		return fmt.Errorf("append slot: %w", errors.Join(first, err))
	}
	return err
}

// catchUp looks at the entries of the ledger that were never held against the
// book: leaves of the slot that was begun are taken on, and a leaf of the cell
// that the book does not know means that the book is an old copy.
func (b *Book) catchUp(ctx context.Context, size int64) error {
	if !b.checked {
		err := b.db.Read().QueryRowContext(ctx, "SELECT base FROM casebook_slots ORDER BY number DESC LIMIT 1").Scan(&b.known)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("catch up with the ledger: %w", err)
		}
	}
	for ; b.known < size; b.known++ {
		data, err := b.cfg.Ledger.ReadEntry(ctx, b.known)
		if err != nil {
			return fmt.Errorf("catch up with the ledger: %w", err)
		}
		leaf, err := verify.DecodeLeaf(data)
		if err != nil || leaf.Kind != verify.LeafCase || leaf.Cell != b.cfg.Cell {
			continue
		}
		if err := b.takeOn(ctx, b.known, tlog.RecordHash(data)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) takeOn(ctx context.Context, index int64, hash tlog.Hash) error {
	l := begun{hash: hash}
	var known sql.NullInt64
	err := b.db.Read().QueryRowContext(ctx,
		"SELECT l.id, l.ledger_index, COALESCE(e.id, 0) FROM casebook_leaves l LEFT JOIN casebook_entries e ON e.leaf = l.id WHERE l.hash = ?", hash[:]).Scan(&l.id, &known, &l.entry)
	if errors.Is(err, sql.ErrNoRows) {
		return &bonded.Error{
			Code: bonded.CodeRestored, Message: fmt.Sprintf("the ledger has a case leaf at entry %d that the ledger of cases does not know: the database is an old copy", index),
			Hint: "restore the newest copy of the database",
		}
	}
	if err != nil {
		return fmt.Errorf("catch up with the ledger: %w", err)
	}
	if known.Valid {
		return nil // known, or appended twice
	}
	r, err := b.cfg.Ledger.Prove(ctx, index)
	if err != nil {
		return fmt.Errorf("catch up with the ledger: %w", err)
	}
	return b.witnessed(ctx, []landed{{l, r}})
}

// A landed leaf is in the ledger.
type landed struct {
	begun
	receipt ledger.Receipt
}

// witnessed makes durable where leaves are, and opens those of which that was
// asked.
func (b *Book) witnessed(ctx context.Context, leaves []landed) error {
	for i := range leaves {
		if l := &leaves[i]; !l.receipt.Valid() || l.receipt.LeafHash() != l.hash {
			return bonded.Errorf(bonded.CodeInternal, "the ledger answered for another leaf")
		}
	}
	err := b.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		for i := range leaves {
			if err := b.setWitnessed(tx, &leaves[i]); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE casebook_slots SET done = 1 WHERE done = 0 AND NOT EXISTS " +
			"(SELECT 1 FROM casebook_leaves l WHERE l.slot = casebook_slots.number AND l.ledger_index IS NULL)")
		return err
	})
	if err != nil {
		return fmt.Errorf("receipts of case leaves: %w", err)
	}
	for i := range leaves {
		if l := &leaves[i]; l.entry != 0 {
			b.keepReceipt(l.entry, l.receipt)
		}
	}
	b.wake()
	return nil
}

func (b *Book) setWitnessed(tx *sqldb.Tx, l *landed) error {
	var proof any
	if l.entry != 0 {
		proof = l.receipt.Proof()
	}
	n, err := tx.Exec("UPDATE casebook_leaves SET ledger_index = ?, witnessed = ?, proof = ? WHERE id = ? AND ledger_index IS NULL",
		l.receipt.Index(), l.receipt.Checkpoint().WitnessTime().Unix(), proof, l.id)
	if err != nil || n == 0 || l.entry == 0 {
		return err
	}
	return b.revealWitnessed(tx, l)
}

// revealWitnessed opens an entry that was to be opened as soon as it is
// witnessed, unless it has become secret since.
func (b *Book) revealWitnessed(tx *sqldb.Tx, l *landed) error {
	var closed sql.NullString
	var kase []byte
	if err := tx.QueryRow("SELECT reveal, case_id FROM casebook_entries WHERE id = ?", l.entry).Scan(&closed, &kase); err != nil || !closed.Valid {
		return err
	}
	held, err := b.heldAt(tx, kase, b.witnessTime())
	if err != nil || held {
		return err
	}
	return b.publish(tx, l.id, closed.String)
}

// witnessTime returns the newest witness time in seconds, 0 if there is none.
func (b *Book) witnessTime() int64 {
	cp, err := b.cfg.Ledger.Latest()
	if err != nil {
		return 0
	}
	return cp.WitnessTime().Unix()
}
