package journal

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// insertSecond notes that the row at position is about another row.
func insertSecond(tx *sqldb.Tx, row *verify.Row, position int64, lostLeaf []byte) error {
	var lost any // NULL unless an orphan
	if lostLeaf != nil {
		lost = lostLeaf
	}
	_, err := tx.Exec("INSERT INTO journal_seconds (seq, position, outcome, lost_leaf) VALUES (?, ?, ?, ?)",
		int64(row.Refers.Seq), position, int64(row.Outcome), lost) //nolint:gosec // a count
	return err
}

// Lost returns those releases and destructions of the keyholder's book whose
// own row this journal lacks and for which it has no orphan row either. Rows of
// other vault nodes and rows that released nothing are passed over. A row of the same name
// with another leaf is [bonded.CodeAltered].
func (j *Journal) Lost(ctx context.Context, book []verify.BookRow) ([]verify.BookRow, error) {
	var lost []verify.BookRow
	for i := range book {
		b := &book[i]
		if b.Kind != verify.BookUnlock && b.Kind != verify.BookDestroy || b.Outcome != verify.OutcomeAllowed || b.Row.Node != j.node {
			continue
		}
		row, err := j.RowByRef(ctx, b.Row)
		if err != nil && bonded.CodeOf(err) != bonded.CodeWithheld {
			return nil, err
		}
		if err == nil {
			if verify.RowLeaf(row.Row, row.Salt) != b.RowLeaf {
				return nil, bonded.Errorf(bonded.CodeAltered, "the keyholder's book has another leaf for row %s", b.Row)
			}
			continue
		}
		known, err := j.hasOrphan(ctx, b)
		if err != nil {
			return nil, err
		}
		if !known {
			lost = append(lost, *b)
		}
	}
	return lost, nil
}

func (j *Journal) hasOrphan(ctx context.Context, b *verify.BookRow) (bool, error) {
	var leaf []byte
	err := j.db.Read().QueryRowContext(ctx,
		"SELECT lost_leaf FROM journal_seconds WHERE seq = ? AND lost_leaf IS NOT NULL", int64(b.Row.Seq)).Scan(&leaf) //nolint:gosec // any number not there is not found
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for orphan: %w", err)
	}
	return bytes.Equal(leaf, b.RowLeaf[:]), nil
}

// RecoverOrphans makes an orphan row durable for each release of book that is
// lost (see [Journal.Lost]): it copies the keyholder's row, names the lost one
// and counts as an opening. Giving the same book rows twice is harmless. The
// vault unlocks nothing until this has returned without error.
func (j *Journal) RecoverOrphans(ctx context.Context, book []verify.BookRow) ([]Entered, error) {
	lost, err := j.Lost(ctx, book)
	if err != nil {
		return nil, fmt.Errorf("recover orphans: %w", err)
	}
	var entered []Entered
	for len(lost) > 0 {
		n := min(len(lost), 256)
		e, err := j.enterOrphans(ctx, lost[:n])
		if err != nil {
			return entered, fmt.Errorf("recover orphans: %w", err)
		}
		entered, lost = append(entered, e...), lost[n:]
	}
	return entered, nil
}

func (j *Journal) enterOrphans(ctx context.Context, lost []verify.BookRow) ([]Entered, error) {
	rows := make([]Prepared, len(lost))
	for i := range lost {
		rows[i] = j.Prepare(orphanOf(&lost[i]))
		rows[i].lost = &lost[i].RowLeaf
	}
	return j.Commit(ctx, rows, nil)
}

// orphanOf copies what the keyholder's row says, with all its items: the two
// books must say the same, and the keyholder's says which items it refused.
func orphanOf(b *verify.BookRow) *verify.Row {
	r := &verify.Row{
		Operation: b.Operation, Outcome: verify.OutcomeOrphan, Principal: b.Principal, Assurance: b.Assurance, Resolved: b.Resolved,
		Collection: b.Collection, Purpose: b.Purpose, Reason: b.Reason, Basis: b.Basis, Digest: b.Digest, Policy: b.Policy, Refers: b.Row,
	}
	for i := range b.Items {
		it := &b.Items[i]
		item := verify.RowItem{Subject: it.Subject, Record: it.Record, Index: it.Index}
		for _, f := range it.Fields {
			item.Fields = append(item.Fields, f.Name)
		}
		r.Items = append(r.Items, item)
	}
	return r
}

// Unanswered makes a second row durable for each of the named rows that
// allowed an unlocking operation, has no second row yet, and got no release
// from the keyholder, which the caller has found out by its book.
func (j *Journal) Unanswered(ctx context.Context, refs []verify.RowRef) ([]Entered, error) {
	var rows []Prepared
	for _, ref := range refs {
		first, err := j.RowByRef(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("unanswered row %s: %w", ref, err)
		}
		seconds, err := j.Seconds(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("unanswered row %s: %w", ref, err)
		}
		if r := first.Row; len(seconds) == 0 && r.Outcome == verify.OutcomeAllowed && r.Operation.Unlocks() {
			rows = append(rows, j.Prepare(&verify.Row{
				Operation: r.Operation, Outcome: verify.OutcomeUnanswered, Principal: r.Principal, Assurance: r.Assurance, Resolved: r.Resolved,
				Collection: r.Collection, Purpose: r.Purpose, RequestID: r.RequestID, Policy: r.Policy, Refers: r.RowRef,
			}))
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return j.Commit(ctx, rows, nil)
}

// CheckLedger holds the journal against the newest anchor leaf that the
// ledger has under a cosigned checkpoint, nil if it has none: the journal must
// know that anchor, have no newer one that the ledger lacks, and its segments
// must extend those the anchor names. Otherwise one of the two was restored
// from an older copy: [bonded.CodeRestored], and the vault serves nothing.
func (j *Journal) CheckLedger(ctx context.Context, newest []byte) error {
	restored := func(format string, args ...any) error {
		e := bonded.Errorf(bonded.CodeRestored, format, args...)
		e.Hint = "restore the newest copies of vault and ledger; a loss that cannot be mended must be declared"
		return e
	}
	last := j.last.Load()

	// 1. The ledger is not older than the journal.
	if newest == nil {
		if last != nil {
			return restored("the ledger lacks anchor %d of the journal", last.Number)
		}
		return nil
	}
	if last != nil && bytes.Equal(last.Leaf, newest) {
		return j.checkSegments(ctx, last.Fields, restored)
	}

	// 2. The journal is not older than the ledger: the only newer anchor it may
	// know is the one that was begun.
	pending, err := j.pendingAnchor(ctx)
	if err != nil {
		return fmt.Errorf("check ledger: %w", err)
	}
	if pending == nil || !bytes.Equal(pending.Leaf, newest) {
		var n uint64
		err := j.db.Read().QueryRowContext(ctx, "SELECT number FROM journal_anchors WHERE leaf = ?", newest).Scan(&n)
		switch {
		case err == nil:
			return restored("the newest anchor of the ledger is %d; the journal has %d", n, last.Number)
		case errors.Is(err, sql.ErrNoRows):
			return restored("the journal does not know the newest anchor of the ledger")
		default:
			return fmt.Errorf("check ledger: %w", err)
		}
	}
	return j.checkSegments(ctx, pending.Fields, restored)
}

// checkSegments checks that the newest segment an anchor names is here, and
// that the chain goes on from it to the newest.
func (j *Journal) checkSegments(ctx context.Context, encoded []byte, restored func(string, ...any) error) error {
	fields, err := verify.DecodeFields(encoded)
	if err != nil || len(fields) < 2 || fields[1].Name != verify.AnchorLast {
		return bonded.Wrap(bonded.CodeAltered, err, "the fields of an anchor cannot be read")
	}
	if len(fields[1].Value) == 0 {
		return nil
	}
	named, err := verify.DecodeSegment(fields[1].Value)
	if err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "the segment an anchor names cannot be read")
	}
	at, err := j.segments(ctx, "WHERE number = ?", int64(named.Number)) //nolint:gosec // a count
	if err != nil {
		return fmt.Errorf("check ledger: %w", err)
	}
	if len(at) == 0 || !bytes.Equal(at[0].Bytes, fields[1].Value) {
		return restored("the journal does not have segment %d as the ledger has seen it", named.Number)
	}
	prev := at[0].Segment
	for {
		segs, err := j.Segments(ctx, prev.Number, MaxPage)
		if err != nil {
			return fmt.Errorf("check ledger: %w", err)
		}
		if len(segs) == 0 {
			return nil
		}
		for _, s := range segs {
			if s.Number != prev.Number+1 || s.Prev != prev.Hash() || s.First != prev.First+prev.Count {
				return bonded.Errorf(bonded.CodeAltered, "segment %d of the journal does not follow segment %d", s.Number, prev.Number)
			}
			prev = s.Segment
		}
	}
}
