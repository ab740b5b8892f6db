package keyholder

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bonded"
	"bonded/verify"
)

// state is what the book says, held in memory and rebuilt from it.
type state struct {
	seq   uint64
	chain [32]byte
	time  int64 // of the last row, milliseconds

	subjects   map[bonded.ID]subjectState
	live       uint64 // subjects that have a key
	old        uint64 // of them, wrapped under an old cell key
	streams    map[uint16]position
	unanch     unanchored
	budgets    budgets
	marks      map[[32]byte]struct{}
	tombs      uint64
	tombChain  [32]byte
	keyVersion uint32   // of the last rotation, 0 if there was none
	firstTomb  int64    // milliseconds; of the first erasure since the last rotation, 0 if none
	custody    [32]byte // digest of the custodians' key set accepted last, zero if none was

	asserted, resolved, proven, cases uint64
}

// subjectState is what the book says of one person.
type subjectState struct {
	n     uint32 // releases; the top bit says that the key is destroyed
	chain [32]byte
}

const destroyedBit = 1 << 31

func (s subjectState) count() uint64   { return uint64(s.n &^ destroyedBit) }
func (s subjectState) destroyed() bool { return s.n&destroyedBit != 0 }

// position is how far the rows of a vault node have come.
type position struct{ incarnation, seq uint64 }

func (p position) before(o position) bool {
	return p.incarnation < o.incarnation || p.incarnation == o.incarnation && p.seq < o.seq
}

// mark returns the mark of a subject's tombstone.
func (k *keys) mark(subject bonded.ID) [32]byte {
	m := hmac.New(sha256.New, k.tombstone[:])
	m.Write(subject[:])
	return [32]byte(m.Sum(nil))
}

// rebuild reads the whole book and checks its chain. The caller holds mu.
func (k *Keyholder) rebuild(ctx context.Context) error {
	s := &state{
		subjects: map[bonded.ID]subjectState{}, streams: map[uint16]position{}, marks: map[[32]byte]struct{}{},
		budgets: budgets{}, unanch: newUnanchored(),
	}
	// 1. What the ledger had covered.
	anchor, err := k.cfg.Store.Anchor(ctx)
	if err != nil {
		return fmt.Errorf("read accepted anchor: %w", err)
	}
	if anchor == nil {
		anchor = &AcceptedAnchor{}
	}
	k.recent = recentLeaves{}
	reuse := k.cfg.Now().Add(-2 * k.cfg.Limits.Freshness).UnixMilli()
	// 2. Every row, in order.
	for {
		rows, err := k.cfg.Store.Rows(ctx, s.seq, 1024)
		if err != nil {
			return fmt.Errorf("read book: %w", err)
		}
		if len(rows) == 0 {
			break
		}
		for i := range rows {
			row, err := s.take(&rows[i], anchor)
			if err != nil {
				return err
			}
			if row.Kind == verify.BookUnlock && row.Outcome == verify.OutcomeAllowed && int64(row.Time) >= reuse { //nolint:gosec // milliseconds
				k.recent.add(row.RowLeaf, int64(row.Time), k.cfg.Limits.Freshness) //nolint:gosec // milliseconds
			}
		}
	}
	if anchor.Seq > s.seq {
		return bonded.Errorf(bonded.CodeRestored, "the book ends before the anchor it has accepted")
	}
	// 3. Tombstones and counts.
	if err := k.readTombstones(ctx, s); err != nil {
		return err
	}
	if s.live, s.old, err = k.cfg.Store.CountSubjects(ctx, k.keys.current); err != nil {
		return fmt.Errorf("count subjects: %w", err)
	}
	if s.keyVersion > k.keys.current {
		return bonded.Errorf(bonded.CodeRestored, "the keyring is older than the book: it lacks version %d of the cell key", s.keyVersion)
	}
	if made := k.keys.created().UnixMilli(); s.firstTomb < made {
		s.firstTomb = 0
	}
	// 4. What is in force.
	if err := k.loadControl(ctx); err != nil {
		return err
	}
	if err := k.loadGrants(ctx); err != nil {
		return err
	}
	if err := k.loadCustodians(ctx, s.custody); err != nil {
		return err
	}
	k.fresh.index, k.fresh.size, k.fresh.leaf = anchor.Index, anchor.Size, anchor.Leaf
	k.state = s
	k.cache.clear()
	return nil
}

// take adds one stored row to the state.
func (s *state) take(r *StoredRow, anchor *AcceptedAnchor) (*verify.BookRow, error) {
	row, err := verify.DecodeBookRow(r.Row)
	if err != nil || r.Seq != s.seq+1 || row.Seq != r.Seq || verify.BookChain(s.chain, r.Row) != r.Chain {
		return nil, &bonded.Error{Code: bonded.CodeAltered, Message: fmt.Sprintf("the key-use book is altered at row %d", s.seq+1), Hint: "restore the database; the ledger says how much of the book is witnessed"}
	}
	s.seq, s.chain, s.time = r.Seq, r.Chain, max(s.time, int64(row.Time)) //nolint:gosec // milliseconds
	switch row.Kind {
	case verify.BookUnlock:
		if row.Row.Node != 0 {
			if at := (position{row.Row.Incarnation, row.Row.Seq}); s.streams[row.Row.Node].before(at) {
				s.streams[row.Row.Node] = at
			}
		}
		if s.released(row, nil) {
			if from, open := anchor.open(row.Seq); open {
				s.unanch.add(row.RowLeaf, row.Seq, int64(row.Time), from) //nolint:gosec // milliseconds
			}
		}
	case verify.BookDestroy:
		if row.Outcome == verify.OutcomeAllowed && len(row.Items) == 1 {
			st := s.subjects[row.Items[0].Subject]
			st.n |= destroyedBit
			s.subjects[row.Items[0].Subject] = st
			s.budgets.destroyed(row.Principal, row.Time)
			if s.firstTomb == 0 {
				s.firstTomb = int64(row.Time) //nolint:gosec // milliseconds
			}
		}
	case verify.BookRotate:
		if v, ok := strings.CutPrefix(row.Detail, rotatedTo); ok {
			n, _ := strconv.ParseUint(v, 10, 32) // our own writing
			s.firstTomb, s.keyVersion = 0, uint32(n)
		}
	case verify.BookCustody:
		s.custody = row.Digest
	case verify.BookSession, verify.BookGrants, verify.BookStart, verify.BookControl:
	}
	return row, nil
}

// released counts the releases of a row: per subject, per kind of assurance
// and against the budget. It reports whether there were any. undo, if not nil,
// gets what takes it back; budgets are not given back.
func (s *state) released(row *verify.BookRow, undo *[]func()) bool {
	if row.Outcome != verify.OutcomeAllowed {
		return false
	}
	any := false
	for i := range row.Items {
		it := &row.Items[i]
		if it.Code != "" {
			continue
		}
		any = true
		if it.Subject.IsZero() {
			continue
		}
		before, known := s.subjects[it.Subject]
		after := subjectState{before.n + 1, verify.SubjectChain(before.chain, before.count()+1, row.RowLeaf)}
		s.subjects[it.Subject] = after
		it.N = after.count()
		if undo != nil {
			id := it.Subject
			*undo = append(*undo, func() {
				if known {
					s.subjects[id] = before
				} else {
					delete(s.subjects, id)
				}
			})
		}
	}
	if !any {
		return false
	}
	if undo == nil {
		s.budgets.recount(row)
	}
	for _, c := range []struct {
		n  *uint64
		is bool
	}{{&s.asserted, row.Assurance == verify.AssuranceVault}, {&s.proven, row.Assurance == verify.AssuranceProven}, {&s.resolved, row.Resolved}, {&s.cases, row.Assurance == verify.AssuranceCase}} {
		if c.is {
			*c.n++
			if undo != nil {
				*undo = append(*undo, func() { *c.n-- })
			}
		}
	}
	return true
}

func (k *Keyholder) readTombstones(ctx context.Context, s *state) error {
	for {
		ts, err := k.cfg.Store.Tombstones(ctx, s.tombs+1, 1024)
		if err != nil {
			return fmt.Errorf("read tombstones: %w", err)
		}
		for _, t := range ts {
			if t.N != s.tombs+1 || t.Chain != verify.TombstoneChain(s.tombChain, t.Mark) || !t.Verify(k.keys.public()) {
				return bonded.Errorf(bonded.CodeAltered, "tombstone %d is altered", s.tombs+1)
			}
			s.tombs, s.tombChain = t.N, t.Chain
			s.marks[t.Mark] = struct{}{}
		}
		if len(ts) < 1024 {
			break
		}
	}
	gone := uint64(0)
	for id, st := range s.subjects {
		if st.destroyed() {
			gone++
			if _, ok := s.marks[k.keys.mark(id)]; !ok {
				return bonded.Errorf(bonded.CodeAltered, "the tombstone of an erased person is missing")
			}
		}
	}
	if gone != s.tombs {
		return bonded.Errorf(bonded.CodeAltered, "the book has %d erasures and there are %d tombstones", gone, s.tombs)
	}
	return nil
}

// open reports whether a release in row seq had not been anchored yet, and
// from which place of the ledger on an anchor can hold it.
func (a *AcceptedAnchor) open(seq uint64) (from int64, open bool) {
	if seq > a.Seq {
		return a.next(), true
	}
	i, _ := slices.BinarySearchFunc(a.Pending, seq, func(s SeqSpan, seq uint64) int {
		switch {
		case s.Last < seq:
			return -1
		case s.First > seq:
			return 1
		}
		return 0
	})
	if i == len(a.Pending) || seq < a.Pending[i].First || seq > a.Pending[i].Last {
		return 0, false
	}
	return a.Pending[i].From, true
}

// next returns the place in the ledger after the newest accepted anchor.
func (a *AcceptedAnchor) next() int64 { return nextPlace(a.Index, a.Leaf) }

func nextPlace(index int64, leaf [32]byte) int64 {
	if leaf == ([32]byte{}) {
		return 0 // none was accepted
	}
	return index + 1
}

// unanchored are the releases that no anchored segment is known to hold.
type unanchored struct {
	rows  map[[32]byte]unanchoredRow
	order []unanchoredRow // by time; entries that are anchored meanwhile are skipped
}

type unanchoredRow struct {
	leaf [32]byte
	seq  uint64
	at   int64 // milliseconds
	from int64 // an anchor before this place of the ledger cannot hold it
}

func newUnanchored() unanchored { return unanchored{rows: map[[32]byte]unanchoredRow{}} }

func (u *unanchored) add(leaf [32]byte, seq uint64, at, from int64) {
	r := unanchoredRow{leaf, seq, at, from}
	u.rows[leaf] = r
	u.order = append(u.order, r)
}

func (u *unanchored) remove(leaf [32]byte) { delete(u.rows, leaf) }

// oldest returns the time of the oldest of them, or 0.
func (u *unanchored) oldest() int64 {
	for len(u.order) > 0 {
		first := u.order[0]
		if r, ok := u.rows[first.leaf]; ok && r.seq == first.seq {
			return first.at
		}
		u.order = u.order[1:]
	}
	return 0
}

// olderThan returns at most limit row leaves released before at.
func (u *unanchored) olderThan(at int64, limit int) (leaves [][32]byte) {
	for _, r := range u.order {
		if r.at >= at || len(leaves) >= limit {
			break
		}
		if have, ok := u.rows[r.leaf]; ok && have.seq == r.seq {
			leaves = append(leaves, r.leaf)
		}
	}
	return leaves
}

// spans returns the rows as runs of numbers up to seq.
func (u *unanchored) spans(seq uint64) []SeqSpan {
	rows := make([]SeqSpan, 0, len(u.rows))
	for _, r := range u.rows {
		if r.seq <= seq {
			rows = append(rows, SeqSpan{r.seq, r.seq, r.from})
		}
	}
	slices.SortFunc(rows, func(a, b SeqSpan) int { return cmp.Compare(a.First, b.First) })
	var spans []SeqSpan
	for _, r := range rows {
		if l := len(spans); l > 0 && spans[l-1].Last+1 == r.First && spans[l-1].From == r.From {
			spans[l-1].Last = r.Last
			continue
		}
		spans = append(spans, r)
	}
	return spans
}
