package journal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/sqldb"
	"bonded/internal/wire"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// AnchorInfo is one anchor that a cosigned checkpoint covers.
type AnchorInfo struct {
	Number       uint64    // from 1, without gaps
	LedgerIndex  uint64    // of its leaf
	FirstSegment uint64    // numbers of the segments it covers;
	LastSegment  uint64    // FirstSegment - 1 if none
	Witnessed    time.Time // when a quorum of witnesses still saw that checkpoint as the newest
	Leaf         []byte
	Fields       []byte // see [verify.EncodeFields]
	Proof        []byte // C2SP tlog-proof of the leaf
}

// LastAnchor returns the newest anchor that a cosigned checkpoint covers, nil
// if there is none yet.
func (j *Journal) LastAnchor() *AnchorInfo { return j.last.Load() }

// Freshness returns the witness time of the newest anchor, the zero time if
// there is none: the vault opens nothing when it is older than its limit.
func (j *Journal) Freshness() time.Time {
	if a := j.last.Load(); a != nil {
		return a.Witnessed
	}
	return time.Time{}
}

// Anchor covers the segments sealed since the last anchor with a leaf in the
// ledger, also if there are none, and returns when a cosigned checkpoint has
// it. More than maxAnchorRows rows take several anchors.
//
// An anchor is durable here before the ledger sees it. If the ledger does not
// answer, the error says why, and the next call appends the same leaf again
// before it makes another: each anchor names the one before it, and an answer
// that was lost leads to the same leaf twice, never to two different ones.
func (j *Journal) Anchor(ctx context.Context) error {
	j.anchorMu.Lock()
	defer j.anchorMu.Unlock()
	if j.cfg.Ledger == nil || j.cfg.Facts == nil {
		return bonded.Errorf(bonded.CodeConfig, "the journal was opened without a ledger")
	}

	// 1. One that was begun comes first.
	pending, err := j.pendingAnchor(ctx)
	if err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	if pending != nil {
		if err := j.complete(ctx, pending); err != nil {
			return fmt.Errorf("anchor %d: %w", pending.Number, err)
		}
	}

	// 2. Then new ones, until all sealed segments are covered.
	for {
		a, more, err := j.beginAnchor(ctx)
		if err != nil {
			return fmt.Errorf("anchor: %w", err)
		}
		if err := j.complete(ctx, a); err != nil {
			return fmt.Errorf("anchor %d: %w", a.Number, err)
		}
		if !more {
			return nil
		}
	}
}

// beginAnchor makes the next anchor durable and reports whether it leaves
// sealed segments to another one.
func (j *Journal) beginAnchor(ctx context.Context) (a *AnchorInfo, more bool, err error) {
	facts, err := j.cfg.Facts(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("facts: %w", err)
	}
	a = &AnchorInfo{Number: 1, FirstSegment: 1}
	var prev, lastBytes []byte
	if l := j.last.Load(); l != nil {
		a.Number, a.FirstSegment, prev = l.Number+1, l.LastSegment+1, l.Leaf
	}

	// 1. The segments, as many as one message holds.
	segs, err := j.Segments(ctx, a.FirstSegment-1, MaxPage)
	if err != nil {
		return nil, false, err
	}
	var hashes []tlog.Hash
	var rows uint64
	for _, s := range segs {
		if rows += s.Count; rows > maxAnchorRows && len(hashes) > 0 {
			more = true
			break
		}
		hashes = append(hashes, s.Hash())
		lastBytes = s.Bytes
	}
	more = more || len(segs) == MaxPage
	a.LastSegment = a.FirstSegment + uint64(len(hashes)) - 1
	if lastBytes == nil {
		if lastBytes, err = j.segmentBytes(ctx, a.LastSegment); err != nil {
			return nil, false, err
		}
	}

	// 2. The leaf.
	root := verify.TreeRoot(hashes)
	fields := []verify.LeafField{
		{Name: verify.AnchorSegments, Value: root[:]},
		{Name: verify.AnchorLast, Value: lastBytes},
		{Name: verify.AnchorHead, Value: facts.Head},
		{Name: verify.AnchorTombstones, Value: append(canon.U64(facts.Tombstones), facts.TombstoneChain[:]...)},
		{Name: verify.AnchorPolicy, Value: facts.Policy[:]},
		{Name: verify.AnchorDirectory, Value: facts.Directory[:]},
	}
	for i := range fields {
		_, _ = rand.Read(fields[i].Salt[:]) // never fails since Go 1.24
	}
	leaf := &verify.Leaf{Kind: verify.LeafAnchor, Cell: j.cell, Time: uint64(j.now().Unix()), Root: verify.CommitFields(fields)} //nolint:gosec // after 1970
	if prev != nil {
		leaf.Prev = tlog.RecordHash(prev)
	}
	a.Leaf, a.Fields = leaf.Encode(), verify.EncodeFields(fields)

	// 3. Durable before the ledger sees it.
	err = j.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO journal_anchors (number, first_segment, last_segment, leaf, fields) VALUES (?, ?, ?, ?, ?)",
			int64(a.Number), int64(a.FirstSegment), int64(a.LastSegment), a.Leaf, a.Fields) //nolint:gosec // counts
		return err
	})
	return a, more, err
}

// complete puts an anchor into the ledger and makes its proof durable.
func (j *Journal) complete(ctx context.Context, a *AnchorInfo) error {
	r, err := j.cfg.Ledger.Append(ctx, a.Leaf)
	if err != nil {
		return err
	}
	if !r.Valid() || r.LeafHash() != tlog.RecordHash(a.Leaf) {
		return bonded.Errorf(bonded.CodeInternal, "the ledger answered for another leaf")
	}
	cp := r.Checkpoint()
	a.LedgerIndex, a.Proof, a.Witnessed = uint64(r.Index()), r.Proof(), cp.WitnessTime() //nolint:gosec // an index is never negative
	err = j.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO journal_anchored (number, ledger_index, witnessed, proof) VALUES (?, ?, ?, ?)",
			int64(a.Number), int64(a.LedgerIndex), a.Witnessed.Unix(), a.Proof) //nolint:gosec // counts
		return err
	})
	if err != nil {
		return err
	}
	j.SawCheckpoint(cp.Raw)
	j.last.Store(a)
	if j.cfg.OnAnchor == nil {
		return nil
	}
	msg, err := j.anchorMessage(ctx, a)
	if err == nil {
		err = j.cfg.OnAnchor(ctx, a.Number, msg)
	}
	if err != nil {
		j.log.WarnContext(ctx, "an anchor was not taken on; it is offered again when asked for", slog.Uint64("anchor", a.Number), slog.Any("err", err))
	}
	return nil
}

// AnchorMessage returns what [Config.OnAnchor] was given for the anchor of
// that number, with [bonded.CodeWithheld] if no cosigned checkpoint covers
// such an anchor yet.
func (j *Journal) AnchorMessage(ctx context.Context, number uint64) (*wire.Anchor, error) {
	as, err := j.anchors(ctx, "WHERE a.number = ?", int64(number)) //nolint:gosec // any number not there is not found
	if err != nil {
		return nil, err
	}
	if len(as) == 0 {
		return nil, bonded.Errorf(bonded.CodeWithheld, "the journal has no anchor %d under a cosigned checkpoint", number)
	}
	return j.anchorMessage(ctx, &as[0])
}

func (j *Journal) anchorMessage(ctx context.Context, a *AnchorInfo) (*wire.Anchor, error) {
	msg := &wire.Anchor{Leaf: a.Leaf, Fields: a.Fields, Proof: a.Proof}
	if a.LastSegment < a.FirstSegment {
		return msg, nil
	}
	segs, err := j.segments(ctx, "WHERE number BETWEEN ? AND ? ORDER BY number", int64(a.FirstSegment), int64(a.LastSegment)) //nolint:gosec // counts
	if err != nil {
		return nil, err
	}
	for _, s := range segs {
		leaves, err := j.SegmentLeaves(ctx, s.Number)
		if err != nil {
			return nil, err
		}
		as := wire.AnchoredSegment{Segment: s.Bytes, Leaves: make([][32]byte, len(leaves))}
		for i := range leaves {
			as.Leaves[i] = leaves[i]
		}
		if as.Orphans, err = j.orphansIn(ctx, s.Segment, leaves); err != nil {
			return nil, err
		}
		msg.Segments = append(msg.Segments, as)
	}
	return msg, nil
}

// orphansIn returns, for each orphan row of a segment, its row leaf and that
// of the lost row.
func (j *Journal) orphansIn(ctx context.Context, seg *verify.Segment, leaves []tlog.Hash) ([][2][32]byte, error) {
	rows, err := j.db.Read().QueryContext(ctx,
		"SELECT position, lost_leaf FROM journal_seconds WHERE lost_leaf IS NOT NULL AND position >= ? AND position < ? ORDER BY position",
		int64(seg.First), int64(seg.First+seg.Count)) //nolint:gosec // counts
	if err != nil {
		return nil, fmt.Errorf("read orphans: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out [][2][32]byte
	for rows.Next() {
		var position uint64
		var lost []byte
		if err := rows.Scan(&position, &lost); err != nil {
			return nil, fmt.Errorf("read orphans: %w", err)
		}
		if i := position - seg.First; i < uint64(len(leaves)) && len(lost) == 32 {
			out = append(out, [2][32]byte{leaves[i], [32]byte(lost)})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read orphans: %w", err)
	}
	return out, nil
}

// Anchors returns up to limit anchors after a number, 0 for the first, that
// cosigned checkpoints cover.
func (j *Journal) Anchors(ctx context.Context, after uint64, limit int) ([]AnchorInfo, error) {
	return j.anchors(ctx, "WHERE a.number > ? ORDER BY a.number LIMIT ?", int64(after), clampPage(limit)) //nolint:gosec // a count
}

func (j *Journal) anchors(ctx context.Context, where string, args ...any) ([]AnchorInfo, error) {
	rows, err := j.db.Read().QueryContext(ctx,
		"SELECT a.number, d.ledger_index, a.first_segment, a.last_segment, d.witnessed, a.leaf, a.fields, d.proof "+
			"FROM journal_anchors a JOIN journal_anchored d ON d.number = a.number "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read anchors: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []AnchorInfo
	for rows.Next() {
		var a AnchorInfo
		var witnessed int64
		if err := rows.Scan(&a.Number, &a.LedgerIndex, &a.FirstSegment, &a.LastSegment, &witnessed, &a.Leaf, &a.Fields, &a.Proof); err != nil {
			return nil, fmt.Errorf("read anchors: %w", err)
		}
		a.Witnessed = time.Unix(witnessed, 0).UTC()
		out = append(out, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read anchors: %w", err)
	}
	return out, nil
}

// pendingAnchor returns the anchor that was begun and whose proof is not here.
func (j *Journal) pendingAnchor(ctx context.Context) (*AnchorInfo, error) {
	var a AnchorInfo
	err := j.db.Read().QueryRowContext(ctx,
		"SELECT number, first_segment, last_segment, leaf, fields FROM journal_anchors "+
			"WHERE number > (SELECT COALESCE(MAX(number), 0) FROM journal_anchored)").Scan(&a.Number, &a.FirstSegment, &a.LastSegment, &a.Leaf, &a.Fields)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // none is the usual case
	}
	return &a, err
}

func (j *Journal) loadLastAnchor(ctx context.Context) error {
	as, err := j.anchors(ctx, "ORDER BY a.number DESC LIMIT 1")
	if err != nil || len(as) == 0 {
		return err
	}
	p, err := verify.ParseTlogProof(as[0].Proof)
	if err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "the proof of the newest anchor cannot be read")
	}
	h := sha256.Sum256(p.Checkpoint)
	j.checkpoint.Store(&h)
	j.last.Store(&as[0])
	return nil
}

func (j *Journal) segmentBytes(ctx context.Context, number uint64) ([]byte, error) {
	if number == 0 {
		return nil, nil
	}
	segs, err := j.segments(ctx, "WHERE number = ?", int64(number)) //nolint:gosec // a count
	if err != nil || len(segs) == 0 {
		return nil, errors.Join(err, bonded.Errorf(bonded.CodeAltered, "segment %d of the journal is missing", number))
	}
	return segs[0].Bytes, nil
}
