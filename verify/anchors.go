package verify

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
)

// More codes of failures, of chains and books.
const (
	FailMissingSegment = "missing_segment" // a segment is not in the journal
	FailAnchorChain    = "anchor_chain"    // an anchor does not follow the one before
	FailLeaf           = "leaf"            // an entry of the ledger is not a leaf of the cell
	FailHead           = "head"            // a signed head of the keyholder contradicts another, or the book
	FailTombstones     = "tombstones"      // tombstones were forgotten
)

// A leafChain checks the leaves of a ledger one after the other: each is well
// formed, of the cell, and names the leaf of its kind before it.
type leafChain struct {
	cell bonded.CellID
	prev [leafKindEnd]tlog.Hash
	n    [leafKindEnd]int64
	seen []anchorSeen
	slot slotChain // of case leaves
	last uint64    // time of the newest anchor, seconds
}

// anchorSeen is an anchor leaf found in the ledger.
type anchorSeen struct {
	index int64
	hash  tlog.Hash
}

// add checks one entry of the ledger. After a failure it goes on from the
// entry as it is, so that one fault is told once.
func (c *leafChain) add(index int64, data []byte, hash tlog.Hash) *Failure {
	l, err := DecodeLeaf(data)
	if err != nil {
		return Fail(FailLeaf, "entry %d of the ledger is not a leaf", index)
	}
	if l.Kind == LeafCase && l.Cell == c.cell {
		_, equal, f := c.slot.add(index, l, hash)
		if !equal {
			c.n[LeafCase]++
		}
		return f
	}
	prev := c.prev[l.Kind]
	if l.Cell == c.cell && c.n[l.Kind] > 0 && hash == prev { // appended again because an answer was lost: it counts once
		switch l.Kind {
		case LeafAnchor:
			c.seen[len(c.seen)-1].index = index // at its last place
			return nil
		case LeafControl:
			return nil
		case LeafDirectory, LeafCase: // case leaves are above
		}
	}
	c.prev[l.Kind] = hash
	c.n[l.Kind]++
	if l.Kind == LeafAnchor {
		c.seen = append(c.seen, anchorSeen{index, hash})
		c.last = l.Time
	}
	switch {
	case l.Cell != c.cell:
		return Fail(FailLeaf, "entry %d of the ledger is of cell %s, not %s", index, l.Cell, c.cell)
	case l.Prev != prev && l.Kind == LeafAnchor:
		return Fail(FailAnchorChain, "the anchor chain is broken: the anchor at entry %d does not name the anchor before it", index)
	case l.Prev != prev && l.Kind == LeafDirectory:
		return Fail(FailLeaf, "the directory leaf at entry %d does not name the one before it", index)
	case l.Prev != prev && l.Kind == LeafControl:
		return Fail(FailLeaf, "the announcement at entry %d does not name the one before it", index)
	}
	return nil
}

// A CellLedgerReport is what [CheckCellLedger] has checked.
type CellLedgerReport struct {
	LogReport
	Anchors     int64
	Directories int64
	Controls    int64 // announcements of grant sets, policies and versions of the directory
	Cases       CaseSlots

	anchors []anchorSeen
}

// CheckCellLedger checks the whole ledger of a cell: [CheckLog] under the keys
// of the directory, and the chains of its leaves. The report is never nil; the
// error is a [Failure], or what opts.Entry returned.
func CheckCellLedger(fetch func(path string) ([]byte, error), cell *DirectoryCell, opts LogOptions) (*CellLedgerReport, error) {
	rep := new(CellLedgerReport)
	vkey, policy, err := cellLog(cell)
	if err != nil {
		return rep, err
	}
	chain := leafChain{cell: cell.ID}
	var first *Failure
	tell := opts.Entry
	opts.hashed = func(index int64, data []byte, hash tlog.Hash) error {
		if f := chain.add(index, data, hash); f != nil && first == nil {
			first = f
		}
		if tell != nil {
			return tell(index, data)
		}
		return nil
	}
	lr, err := CheckLog(fetch, vkey, policy, opts)
	rep.LogReport = *lr
	rep.Anchors, rep.Directories, rep.Controls, rep.anchors = chain.n[LeafAnchor], chain.n[LeafDirectory], chain.n[LeafControl], chain.seen
	rep.Cases = chain.slot.out
	switch {
	case err != nil && (first == nil || VerdictOf(err) == DoesNotHold):
		return rep, err
	case first != nil:
		return rep, first
	}
	return rep, nil
}

// Anchored is what the fields of an anchor say.
type anchorContent struct {
	segments   tlog.Hash
	last       []byte
	head       *Head // nil if the keyholder did not answer
	tombstones uint64
	tombChain  [32]byte
}

// openAnchor checks that fields are those of leaf, in their one order, and
// reads them.
func openAnchor(leaf *Leaf, fields []byte) (*anchorContent, *Failure) {
	fs, err := DecodeFields(fields)
	if err != nil || len(fs) != len(anchorFields) {
		return nil, Fail(FailAnchor, "its fields are not in the format")
	}
	for i := range fs {
		if fs[i].Name != anchorFields[i] {
			return nil, Fail(FailAnchor, "its fields are not those of an anchor")
		}
	}
	if CommitFields(fs) != leaf.Root {
		return nil, Fail(FailAnchor, "its fields are not those the ledger leaf commits to")
	}
	c := new(anchorContent)
	if len(fs[0].Value) != 32 || len(fs[3].Value) != 40 || len(fs[4].Value) != 32 || len(fs[5].Value) != 32 {
		return nil, Fail(FailAnchor, "a field has the wrong length")
	}
	c.segments, c.last = tlog.Hash(fs[0].Value), fs[1].Value
	if len(fs[2].Value) > 0 {
		if c.head, err = DecodeHead(fs[2].Value); err != nil {
			return nil, Fail(FailAnchor, "its head of the keyholder is not in the format")
		}
	}
	c.tombstones = binary.BigEndian.Uint64(fs[3].Value)
	copy(c.tombChain[:], fs[3].Value[8:])
	return c, nil
}

// An anchorChain checks the anchors of a journal one after the other.
type anchorChain struct {
	cell      bonded.CellID
	key       ed25519.PublicKey // of the keyholder
	vkey      string
	policy    *WitnessPolicy
	ledger    []anchorSeen // the anchors of the ledger, if it was given
	hasLedger bool
	treeSize  int64 // size of the ledger, if it was given

	n         int64
	index     uint64
	prev      tlog.Hash
	head      *Head
	tombs     uint64
	tombChain [32]byte
	proven    int64                // anchors shown to be in the ledger
	onHead    func(*Head) *Failure // holds a head against the book
}

// add checks one anchor against the chain; hashes are those of the segments it
// covers and lastSegment the bytes of the node's newest one. It reports every
// fault it finds.
func (c *anchorChain) add(a *JournalAnchor, hashes []tlog.Hash, lastSegment []byte, report func(*Failure)) {
	fail := func(code, format string, args ...any) {
		report(Fail(code, "the anchor at entry %d: %s", a.Index, fmt.Sprintf(format, args...)))
	}

	// 1. The leaf and its place in the chain.
	leaf, err := DecodeLeaf(a.Leaf)
	if err != nil || leaf.Kind != LeafAnchor || leaf.Cell != c.cell {
		fail(FailAnchor, "not an anchor leaf of the cell")
		return
	}
	hash := tlog.RecordHash(a.Leaf)
	if leaf.Prev != c.prev || c.n > 0 && a.Index <= c.index {
		fail(FailAnchorChain, "the anchor chain is broken: it does not follow the anchor before it in the journal")
	}
	c.checkLedger(a, hash, fail, report)
	c.prev, c.index = hash, a.Index
	c.n++

	// 2. What it commits to.
	content, f := openAnchor(leaf, a.Fields)
	if f != nil {
		fail(f.Code, "%s", f.Message)
		return
	}
	if content.segments != TreeRoot(hashes) {
		fail(FailSegment, "its segments are not segments %d to %d of the journal", a.First, a.Last)
	}
	if string(content.last) != string(lastSegment) {
		fail(FailSegment, "its newest segment is not the newest of the journal")
	}

	// 3. The keyholder's head and tombstones only ever grow.
	if content.tombstones < c.tombs || content.tombstones == c.tombs && content.tombChain != c.tombChain {
		fail(FailTombstones, "it has %d tombstones, an anchor before it had %d, or others", content.tombstones, c.tombs)
	}
	c.tombs, c.tombChain = content.tombstones, content.tombChain
	if h := content.head; h != nil {
		switch {
		case h.Cell != c.cell || !h.Verify(c.key):
			fail(FailHead, "its head is not signed by the keyholder of the cell")
			return
		case c.head != nil && (h.Seq < c.head.Seq || h.Seq == c.head.Seq && h.Chain != c.head.Chain):
			fail(FailHead, "its head of the keyholder does not extend the one in an anchor before it")
		}
		if c.onHead != nil {
			if f := c.onHead(h); f != nil {
				fail(f.Code, "%s", f.Message)
			}
		}
		c.head = h
	}
}

// checkLedger holds an anchor against the ledger or, without it, against its
// own proof.
func (c *anchorChain) checkLedger(a *JournalAnchor, hash tlog.Hash, fail func(string, string, ...any), report func(*Failure)) {
	if !c.hasLedger {
		if a.Proof == "" {
			return
		}
		in, err := CheckInclusion(a.Leaf, []byte(a.Proof), c.vkey, c.policy)
		switch {
		case err != nil:
			report(FailureOf(err))
		case uint64(in.Index) != a.Index: //nolint:gosec // an index is never negative
			fail(FailAnchor, "its proof is of entry %d", in.Index)
		default:
			c.proven++
		}
		return
	}
	if c.n >= int64(len(c.ledger)) {
		if a.Index < uint64(c.treeSize) { //nolint:gosec // a size is never negative
			fail(FailAnchor, "the ledger has no such anchor")
		}
		return // newer than the ledger's checkpoint
	}
	switch seen := c.ledger[c.n]; {
	case uint64(seen.index) < a.Index: //nolint:gosec // an index is never negative
		fail(FailAnchorChain, "the anchor chain is broken: the journal lacks the anchor at entry %d of the ledger", seen.index)
		for c.n < int64(len(c.ledger)) && uint64(c.ledger[c.n].index) < a.Index { //nolint:gosec // as above
			c.n++
		}
		if c.n < int64(len(c.ledger)) && c.ledger[c.n].hash == hash {
			c.proven++
		}
	case uint64(seen.index) != a.Index || seen.hash != hash: //nolint:gosec // as above
		fail(FailAnchor, "the ledger has another leaf there")
	default:
		c.proven++
	}
}
