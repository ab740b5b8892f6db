package verify

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
)

// A segmentChain checks the rows and segments of one node as they come.
type segmentChain struct {
	cell   bonded.CellID
	node   uint16
	report func(*Failure)

	leaves []tlog.Hash // of rows not yet in a segment
	first  uint64      // position of leaves[0]
	next   uint64      // position of the next row; 0 before the first

	number, end  uint64 // of the last segment, and the position after its rows
	prev         [32]byte
	incarnation  uint64
	pending      []pendingSegment // since the last anchor
	covers       uint64           // number of the last segment that an anchor covers
	lastAnchored []byte           // its bytes
	anchoredRows uint64
}

// A pendingSegment waits for the anchor that covers it.
type pendingSegment struct {
	number, end uint64
	hash        tlog.Hash
	bytes       []byte
}

// row takes the leaf of the row at a position; a zero leaf is not known. After
// a gap it begins anew: the segment over the gap cannot be checked.
func (s *segmentChain) row(pos uint64, leaf [32]byte) {
	if s.next == 0 {
		s.first, s.next = 1, 1
	}
	switch {
	case pos < s.next:
		s.report(Fail(FailMissingRow, "the row at position %d comes after the one at %d", pos, s.next-1))
		return
	case pos > s.next:
		s.report(Fail(FailMissingRow, "%s missing from the journal", span("row", s.next, pos-1)))
		s.leaves, s.first, s.next = nil, pos, pos
	}
	s.leaves = append(s.leaves, leaf)
	s.next++
}

func span(what string, a, b uint64) string {
	if a == b {
		return fmt.Sprintf("%s %d is", what, a)
	}
	return fmt.Sprintf("%ss %d to %d are", what, a, b)
}

// add takes the next segment.
func (s *segmentChain) add(raw []byte) {
	seg, err := DecodeSegment(raw)
	if err != nil || seg.Cell != s.cell || seg.Node != s.node || seg.Count == 0 || seg.First == 0 || seg.Count > maxTreeSize || seg.First > maxTreeSize {
		s.report(Fail(FailSegment, "the segment after segment %d is not one of this cell and node", s.number))
		return
	}
	hash := seg.Hash()
	switch {
	case seg.Number > s.number+1:
		s.report(Fail(FailMissingSegment, "%s missing from the journal", span("segment", s.number+1, seg.Number-1)))
	case seg.Number <= s.number:
		s.report(Fail(FailSegment, "segment %d comes after segment %d", seg.Number, s.number))
		return
	case seg.Prev != s.prev:
		s.report(Fail(FailSegment, "segment %d does not name segment %d as the one before it", seg.Number, s.number))
	case seg.First != max(s.end, 1):
		s.report(Fail(FailSegment, "segment %d begins at position %d, not %d", seg.Number, seg.First, max(s.end, 1)))
	case seg.Incarnation < s.incarnation:
		s.report(Fail(FailSegment, "segment %d is of an earlier run than segment %d", seg.Number, s.number))
	}
	s.takeRows(seg)
	s.number, s.end, s.prev, s.incarnation = seg.Number, seg.First+seg.Count, hash, seg.Incarnation
	s.pending = append(s.pending, pendingSegment{seg.Number, s.end, hash, raw})
}

// takeRows compares the root of a segment with its rows, and lets go of them.
func (s *segmentChain) takeRows(seg *Segment) {
	s.drop(seg.First) // rows of a missing segment
	switch {
	case s.first != seg.First || uint64(len(s.leaves)) < seg.Count:
		s.report(Fail(FailMissingRow, "rows of segment %d are missing from the journal: it holds positions %d to %d", seg.Number, seg.First, seg.First+seg.Count-1))
	case slices.Contains(s.leaves[:seg.Count], tlog.Hash{}): // told when it was read
	case TreeRoot(s.leaves[:seg.Count]) != seg.Root:
		s.report(Fail(FailRootOfSegment, "segment %d is not made of the rows at positions %d to %d: a row was altered or swapped", seg.Number, seg.First, seg.First+seg.Count-1))
	}
	s.drop(seg.First + seg.Count)
}

// drop lets go of the leaves before a position.
func (s *segmentChain) drop(pos uint64) {
	if pos <= s.first {
		return
	}
	n := min(pos-s.first, uint64(len(s.leaves)))
	s.leaves, s.first = s.leaves[n:], s.first+n
}

// covered returns the hashes of the segments an anchor says it covers, and the
// bytes of the newest segment then.
func (s *segmentChain) covered(a *JournalAnchor) ([]tlog.Hash, []byte) {
	if a.First != s.covers+1 || a.Last+1 < a.First {
		s.report(Fail(FailMissingSegment, "the anchor at entry %d covers segments %d to %d, but the one before it ended at %d", a.Index, a.First, a.Last, s.covers))
	}
	var hashes []tlog.Hash
	for len(s.pending) > 0 && s.pending[0].number <= a.Last {
		p := s.pending[0]
		hashes = append(hashes, p.hash)
		s.anchoredRows, s.lastAnchored = p.end-1, p.bytes
		s.pending = s.pending[1:]
	}
	if a.Last > s.number {
		s.report(Fail(FailMissingSegment, "%s missing from the journal: the anchor at entry %d covers up to %d", span("segment", s.number+1, a.Last), a.Index, a.Last))
	}
	s.covers = max(s.covers, a.Last)
	return hashes, s.lastAnchored
}
