package verify

import (
	"crypto/sha256"
	"errors"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// TreeRoot returns the RFC 6962 (section 2.1) Merkle tree hash over leaf
// hashes. The root of no leaves is SHA-256 of nothing.
func TreeRoot(leaves []tlog.Hash) tlog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := splitPoint(len(leaves))
	left, right := TreeRoot(leaves[:k]), TreeRoot(leaves[k:])
	return nodeHash(&left, &right)
}

// TreePath returns the RFC 6962 audit path of leaf i, lowest sibling first.
// It panics if i is out of range.
func TreePath(leaves []tlog.Hash, i int) []tlog.Hash {
	if len(leaves) == 1 && i == 0 {
		return nil
	}
	k := splitPoint(len(leaves))
	if i < k {
		return append(TreePath(leaves[:k], i), TreeRoot(leaves[k:]))
	}
	return append(TreePath(leaves[k:], i-k), TreeRoot(leaves[:k]))
}

// errPath is why a path does not lead from a leaf to a root.
var errPath = errors.New("path does not lead from this leaf to this root")

// CheckPath reports whether path leads from leaf i of count to root. Counts
// over 2^56 are refused: no tree is that large, and arithmetic on them would
// overflow.
func CheckPath(root tlog.Hash, path []tlog.Hash, i, count int64, leaf tlog.Hash) error {
	if i < 0 || i >= count || count > maxTreeSize || len(path) > maxProofHashes {
		return errPath
	}
	if err := tlog.CheckRecord(path, count, root, i, leaf); err != nil {
		return errPath
	}
	return nil
}

// recordHash is [tlog.RecordHash] without garbage for what is no longer than a
// leaf: whole ledgers are hashed in browsers.
func recordHash(data []byte) tlog.Hash {
	var b [1 + LeafSize]byte
	if len(data) > LeafSize {
		return tlog.RecordHash(data)
	}
	n := copy(b[1:], data)
	return sha256.Sum256(b[:1+n])
}

// nodeHash is [tlog.NodeHash] without garbage.
func nodeHash(left, right *tlog.Hash) tlog.Hash {
	var b [1 + 2*tlog.HashSize]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+tlog.HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// splitPoint returns the largest power of two smaller than n, for n > 1.
func splitPoint(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) } //nolint:gosec // n > 1
