package keyholder

import (
	"hash/maphash"
	"time"
)

// recentLeaves remembers the row leaves of the last releases and anchored
// segments, so that no row is released twice: for at least twice the
// freshness limit, or the last maxRecent of them if they are more. What it
// has forgotten still needs another place in the ledger, see strike. It keeps
// no leaves but keyed hashes of them, in two generations.
type recentLeaves struct {
	young, aged map[uint64]struct{}
	since       int64 // milliseconds; when young was begun
}

// maxRecent is how many leaves a generation holds, some 40 MB.
const maxRecent = 1 << 21

var leafSeed = maphash.MakeSeed()

func (r *recentLeaves) add(leaf [32]byte, at int64, freshness time.Duration) {
	if r.young == nil || len(r.young) >= maxRecent || at-r.since >= 2*freshness.Milliseconds() {
		r.aged, r.young, r.since = r.young, map[uint64]struct{}{}, at
	}
	r.young[maphash.Bytes(leafSeed, leaf[:])] = struct{}{}
}

func (r *recentLeaves) has(leaf [32]byte) bool {
	h := maphash.Bytes(leafSeed, leaf[:])
	if _, ok := r.young[h]; ok {
		return true
	}
	_, ok := r.aged[h]
	return ok
}
