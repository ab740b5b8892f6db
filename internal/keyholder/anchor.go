package keyholder

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// freshness is what the ledger has shown since this process was unsealed, and
// where its newest accepted anchor stands.
type freshness struct {
	start     time.Time // of this unsealing
	witnessed time.Time // of the newest checkpoint accepted
	checked   bool      // the start check has passed
	named     bool      // the newest anchor shown in its place since the start names a head

	index int64 // of the newest entry up to which every one was shown; any may be passed over once the start check is
	size  int64
	leaf  [32]byte
}

// tombstonesDue says how long accepted anchors have been silent about an
// erasure.
type tombstonesDue struct {
	seen  uint64 // most tombstones that an anchor accepted since the start names
	since int64  // milliseconds; of the first tombstone beyond them, 0 if there is none
}

// next returns the place of the first entry that was not shown yet.
func (f *freshness) next() int64 { return nextPlace(f.index, f.leaf) }

// witnessed returns why nothing may be unlocked because of the ledger, or
// nothing. The caller holds mu.
func (k *Keyholder) witnessed(now time.Time) (bonded.Code, string) {
	limit := k.cfg.Limits.Freshness
	switch oldest := k.state.unanch.oldest(); {
	case k.restored != "":
		return bonded.CodeRestored, "keyholder.restored"
	case !k.fresh.checked:
		return bonded.CodeStale, "keyholder.start-check"
	case now.Sub(k.fresh.witnessed) > limit || k.fresh.witnessed.Sub(now) > maxSkew:
		return bonded.CodeStale, "keyholder.checkpoint-age"
	case oldest != 0 && now.UnixMilli()-oldest > limit.Milliseconds():
		return bonded.CodeStale, "keyholder.release-unanchored"
	case k.due.since != 0 && now.UnixMilli()-k.due.since > limit.Milliseconds():
		return bonded.CodeStale, "keyholder.tombstone-unanchored"
	case len(k.state.unanch.rows) >= maxUnanchored:
		return bonded.CodeStale, "keyholder.unanchored-many"
	}
	return "", ""
}

// Anchor takes up an anchor leaf under a cosigned checkpoint: it checks
// everything the vault shows, strikes out the releases its segments hold, and
// holds its own book and tombstones against those the anchor names. A book
// that is older than the anchor's is that of a restored database: nothing
// unlocks then, and the error has code restored_old. Evidence that does not
// hold has code not_witnessed.
//
// The first unlock after a start waits until every entry of a checkpoint
// cosigned after the start was shown, from the one accepted last on, and the
// newest anchor among them names a head: an old anchor cannot vouch for an old
// database, nor one that is silent about the book. What any anchor since then
// has said of the book and the tombstones counts, and not what the vault chose
// to show. Entries that are no anchors are shown by [Keyholder.CatchUp].
func (k *Keyholder) Anchor(_ context.Context, a *wire.Anchor) func() (*wire.AnchorResult, error) {
	fail := func(err error) func() (*wire.AnchorResult, error) {
		return func() (*wire.AnchorResult, error) { return nil, err }
	}
	k.mu.Lock()
	t, err := k.trust, k.ready()
	k.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	// 1. The evidence, by itself.
	seen, err := openAnchor(a, t)
	if err != nil {
		return fail(bonded.Wrap(bonded.CodeStale, err, "the anchor shown does not hold"))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return fail(err)
	}
	// 2. Against this book.
	now := k.now()
	if at := seen.in.Checkpoint.WitnessTime(); at.Sub(now) > maxSkew {
		return fail(bonded.Errorf(bonded.CodeStale, "the witnesses' clocks are ahead of this one by %s", at.Sub(now).Round(time.Second)))
	}
	if err := k.notOlder(seen); err != nil {
		return fail(err)
	}
	if seen.in.Index == k.fresh.index && k.fresh.leaf != ([32]byte{}) && k.fresh.leaf != [32]byte(seen.in.LeafHash) {
		return fail(bonded.Errorf(bonded.CodeStale, "another leaf was accepted at this place of the ledger: it is forked"))
	}
	// 3. What it covers.
	p := k.begin()
	k.strike(p, a, seen.in.Index)
	before, due := k.fresh, k.due
	p.undo = append(p.undo, func() { k.fresh, k.due = before, due })
	k.tombstonesSeen(seen.tombs, now)
	walked := seen.in.Index <= k.fresh.next()
	if seen.in.Index >= k.fresh.index && (walked || k.fresh.checked) { // an older one still covers its segments
		k.fresh.index, k.fresh.leaf = seen.in.Index, [32]byte(seen.in.LeafHash)
		k.fresh.named = seen.head != nil
	}
	k.fresh.size = max(k.fresh.size, seen.in.Checkpoint.Size)
	if at := seen.in.Checkpoint.WitnessTime(); at.After(k.fresh.witnessed) {
		k.fresh.witnessed = at
	}
	if walked {
		k.startCheck(seen.in.Checkpoint)
	}
	p.commit.Anchor = k.acceptedAnchor()
	k.enqueue(p)
	result := &wire.AnchorResult{
		Accepted: true, Missing: k.state.unanch.olderThan(now.Add(-k.cfg.Limits.Freshness).UnixMilli(), 4096),
	}
	ks, progress := k.keys, k.progress(p)
	return func() (*wire.AnchorResult, error) {
		if err := p.wait(); err != nil {
			return nil, err
		}
		_ = k.keep(progress, false) // logged; the next anchor tries again
		k.inUse.RLock()
		defer k.inUse.RUnlock()
		if *ks.wiped {
			return nil, errLocked
		}
		result.Head = ks.signHead(p.head)
		return result, nil
	}
}

// startCheck passes the start check if a checkpoint, cosigned after the start,
// has no entry that was not shown. The caller holds mu.
func (k *Keyholder) startCheck(cp *verify.Checkpoint) {
	f := &k.fresh
	if f.checked || !f.named || f.next() != cp.Size || cp.WitnessTime().Before(f.start.Truncate(time.Second)) {
		return
	}
	f.checked = true
	k.log.LogAttrs(context.Background(), slog.LevelInfo, "start check passed", slog.Int64("ledger_size", cp.Size))
}

// tombstonesSeen takes note of how many tombstones an anchor names. The caller
// holds mu.
func (k *Keyholder) tombstonesSeen(n uint64, now time.Time) {
	k.due.seen = max(k.due.seen, n)
	if k.due.seen >= k.state.tombs {
		k.due.since = 0
		return
	}
	ts, err := k.cfg.Store.Tombstones(context.Background(), k.due.seen+1, 1)
	switch {
	case err == nil && len(ts) == 1:
		k.due.since = int64(ts[0].Time) //nolint:gosec // milliseconds
	case k.due.since == 0: // it is being written
		k.due.since = now.UnixMilli()
	}
}

// anchorSeen is an anchor whose evidence holds.
type anchorSeen struct {
	in        *verify.Inclusion
	head      *verify.Head // nil if the keyholder had not answered
	tombs     uint64
	tombChain [32]byte
}

// openAnchor checks inclusion, fields and segments.
func openAnchor(a *wire.Anchor, t *trust) (*anchorSeen, error) {
	in, err := verify.CheckInclusion(a.Leaf, a.Proof, t.cell.LedgerKey, t.witness)
	if err != nil {
		return nil, err
	}
	leaf, err := verify.DecodeLeaf(a.Leaf)
	if err != nil || leaf.Kind != verify.LeafAnchor || leaf.Cell != t.cell.ID {
		return nil, verify.Fail(verify.FailAnchor, "not an anchor leaf of the cell")
	}
	fields, err := verify.DecodeFields(a.Fields)
	if err != nil || verify.CommitFields(fields) != leaf.Root {
		return nil, verify.Fail(verify.FailAnchor, "its fields are not those the leaf commits to")
	}
	names := []string{verify.AnchorSegments, verify.AnchorLast, verify.AnchorHead, verify.AnchorTombstones, verify.AnchorPolicy, verify.AnchorDirectory}
	if len(fields) != len(names) {
		return nil, verify.Fail(verify.FailAnchor, "its fields are not those of an anchor")
	}
	for i := range fields {
		if fields[i].Name != names[i] {
			return nil, verify.Fail(verify.FailAnchor, "its fields are not those of an anchor")
		}
	}
	seen := &anchorSeen{in: in}
	if v := fields[2].Value; len(v) > 0 {
		if seen.head, err = verify.DecodeHead(v); err != nil {
			return nil, verify.Fail(verify.FailHead, "its head is not in the format")
		}
	}
	if len(fields[3].Value) != 40 {
		return nil, verify.Fail(verify.FailTombstones, "its tombstones are not in the format")
	}
	seen.tombs = binary.BigEndian.Uint64(fields[3].Value)
	copy(seen.tombChain[:], fields[3].Value[8:])
	return seen, checkSegments(a, fields[0].Value, fields[1].Value, t.cell.ID)
}

// checkSegments checks that the segments shown are all that the anchor covers,
// and hold exactly the row leaves shown.
func checkSegments(a *wire.Anchor, root, last []byte, cell bonded.CellID) error {
	hashes := make([]tlog.Hash, len(a.Segments))
	for i := range a.Segments {
		s := &a.Segments[i]
		seg, err := verify.DecodeSegment(s.Segment)
		if err != nil || seg.Cell != cell {
			return verify.Fail(verify.FailSegment, "a segment is not in the format or of another cell")
		}
		leaves := make([]tlog.Hash, len(s.Leaves))
		for j := range s.Leaves {
			leaves[j] = s.Leaves[j]
		}
		if seg.Count != uint64(len(leaves)) || seg.Root != [32]byte(verify.TreeRoot(leaves)) {
			return verify.Fail(verify.FailRow, "the row leaves are not those of segment %d", seg.Number)
		}
		hashes[i] = seg.Hash()
		if i == len(a.Segments)-1 && string(last) != string(s.Segment) {
			return verify.Fail(verify.FailSegment, "the newest segment is not the one the anchor names")
		}
		if err := checkOrphans(s); err != nil {
			return err
		}
	}
	if want := verify.TreeRoot(hashes); string(root) != string(want[:]) {
		return verify.Fail(verify.FailSegment, "the segments are not those the anchor covers")
	}
	return nil
}

func checkOrphans(s *wire.AnchoredSegment) error {
	if len(s.Orphans) == 0 {
		return nil
	}
	in := make(map[[32]byte]bool, len(s.Leaves))
	for i := range s.Leaves {
		in[s.Leaves[i]] = true
	}
	for i := range s.Orphans {
		if !in[s.Orphans[i][0]] {
			return verify.Fail(verify.FailRow, "an orphan is not in its segment")
		}
	}
	return nil
}

// notOlder checks that the book extends the head in an anchor and has its
// tombstones. The caller holds mu.
func (k *Keyholder) notOlder(seen *anchorSeen) error {
	if h := seen.head; h != nil {
		if h.Cell != k.cfg.Cell || !h.Verify(k.keys.public()) {
			return bonded.Errorf(bonded.CodeStale, "the head in the anchor is not signed by this keyholder")
		}
		if err := k.extends(h); err != nil {
			return err
		}
	}
	return k.hasTombstones(seen.tombs, seen.tombChain, true)
}

// extends checks that this book extends a head that this keyholder signed. If
// not, this database is older than one that was in use, and it unlocks nothing
// any more. The caller holds mu.
func (k *Keyholder) extends(h *verify.Head) error {
	if h.Seq == 0 {
		return nil
	}
	if h.Seq > k.state.seq {
		return k.isRestored(fmt.Sprintf("the book ends at row %d and the ledger has seen row %d", k.state.seq, h.Seq))
	}
	chain := k.state.chain
	if h.Seq < k.state.seq {
		var ok bool
		if chain, ok = k.chainAt(h.Seq); !ok {
			return bonded.Errorf(bonded.CodeBusy, "row %d is being written", h.Seq)
		}
	}
	if chain != h.Chain {
		return k.isRestored(fmt.Sprintf("the book differs from the one the ledger has seen at row %d", h.Seq))
	}
	return nil
}

// chainAt returns the chain hash after a row, from the queue or the store.
func (k *Keyholder) chainAt(seq uint64) (chain [32]byte, ok bool) {
	for _, p := range k.queue {
		for i := range p.commit.Rows {
			if p.commit.Rows[i].Seq == seq {
				return p.commit.Rows[i].Chain, true
			}
		}
	}
	rows, err := k.cfg.Store.Rows(context.Background(), seq-1, 1)
	if err != nil || len(rows) != 1 || rows[0].Seq != seq {
		return chain, false
	}
	return rows[0].Chain, true
}

// hasTombstones checks that the first n tombstones are those with the chain
// hash given. Latch says that a lack is proven, not only claimed.
func (k *Keyholder) hasTombstones(n uint64, chain [32]byte, latch bool) error {
	s := k.state
	have := s.tombChain
	switch {
	case n == 0:
		return nil
	case n > s.tombs:
		why := fmt.Sprintf("there are %d tombstones and the other side has seen %d", s.tombs, n)
		if latch {
			return k.isRestored(why)
		}
		return restoredError(why)
	case n < s.tombs:
		ts, err := k.cfg.Store.Tombstones(context.Background(), n, 1)
		if err != nil {
			return fmt.Errorf("read tombstone: %w", err)
		}
		if len(ts) != 1 {
			return bonded.Errorf(bonded.CodeBusy, "tombstone %d is being written", n)
		}
		have = ts[0].Chain
	}
	if have != chain {
		why := fmt.Sprintf("the first %d tombstones differ", n)
		if latch {
			return k.isRestored(why)
		}
		return restoredError(why)
	}
	return nil
}

func (k *Keyholder) isRestored(why string) error {
	if k.restored == "" {
		k.log.LogAttrs(context.Background(), slog.LevelError, "this database is older than what the ledger has seen: nothing unlocks", slog.String("why", why))
	}
	k.restored = why
	return restoredError(why)
}

func restoredError(why string) error {
	return &bonded.Error{
		Code: bonded.CodeRestored, Message: "the keyholder's database is older than what the ledger has seen: " + why,
		Hint: "restore the newest copy; if none is left, a declared loss is the only way on",
	}
}

// strike takes out the releases that the anchored segments hold. An anchor
// that was accepted before a release, or stands before one that was, cannot
// hold it: each release needs a place of its own in the ledger.
func (k *Keyholder) strike(p *pending, a *wire.Anchor, index int64) {
	u := &k.state.unanch
	var gone []unanchoredRow
	now := k.now().UnixMilli()
	out := func(leaf [32]byte) {
		k.recent.add(leaf, now, k.cfg.Limits.Freshness)
		if r, ok := u.rows[leaf]; ok && index >= r.from {
			delete(u.rows, leaf)
			gone = append(gone, r)
		}
	}
	defer func() {
		p.undo = append(p.undo, func() {
			for _, r := range gone {
				u.rows[r.leaf] = r
			}
			u.order = append(gone, u.order...) // some of it may have been trimmed; twice does no harm
		})
	}()
	for i := range a.Segments {
		for j := range a.Segments[i].Leaves {
			out(a.Segments[i].Leaves[j])
		}
		for j := range a.Segments[i].Orphans {
			out(a.Segments[i].Orphans[j][1])
		}
	}
}
