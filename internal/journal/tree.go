package journal

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// A tree is the RFC 6962 root of a growing list of leaves, in one hash for
// each full subtree at its right edge. It is a value: a copy is a snapshot.
type tree struct {
	size  uint64
	edges [24]tlog.Hash // of the subtrees, largest first; enough for MaxSegmentRows
}

// add appends a leaf hash.
func (t *tree) add(leaf tlog.Hash) {
	n := bits.OnesCount64(t.size)
	for full := t.size; full&1 == 1; full >>= 1 {
		n--
		leaf = tlog.NodeHash(t.edges[n], leaf)
	}
	t.edges[n] = leaf
	t.size++
}

// root returns the root over all leaves; there is at least one.
func (t *tree) root() tlog.Hash {
	n := bits.OnesCount64(t.size) - 1
	root := t.edges[n]
	for n--; n >= 0; n-- {
		root = tlog.NodeHash(t.edges[n], root)
	}
	return root
}
