package journal

import (
	"math/bits"
	"slices"

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

// A batchTree is the RFC 6962 tree over the rows of one commit with all its
// nodes: leaves first, then each level over the one before, an odd last node
// unchanged. So a path is read, not computed.
type batchTree struct {
	nodes []tlog.Hash
	size  int // leaves
}

// add appends a leaf hash; not after grow.
func (t *batchTree) add(leaf tlog.Hash) {
	t.nodes = append(t.nodes, leaf)
	t.size++
}

// grow computes the inner nodes, once. There is at least one leaf.
func (t *batchTree) grow() {
	t.nodes = slices.Grow(t.nodes, t.size+bits.Len(uint(t.size))) //nolint:gosec // a count of rows
	for from, width := 0, t.size; width > 1; from, width = from+width, (width+1)/2 {
		level := t.nodes[from : from+width]
		for ; len(level) > 1; level = level[2:] {
			t.nodes = append(t.nodes, tlog.NodeHash(level[0], level[1]))
		}
		t.nodes = append(t.nodes, level...)
	}
}

// root returns the root, after grow.
func (t *batchTree) root() tlog.Hash { return t.nodes[len(t.nodes)-1] }

// path returns the audit path of leaf i, after grow.
func (t *batchTree) path(i int) []tlog.Hash {
	path := make([]tlog.Hash, 0, bits.Len(uint(t.size))) //nolint:gosec // a count of rows
	for from, width := 0, t.size; width > 1; from, width, i = from+width, (width+1)/2, i/2 {
		if sibling := i ^ 1; sibling < width {
			path = append(path, t.nodes[from+sibling])
		}
	}
	return path
}
