package verify

import "golang.org/x/mod/sumdb/tlog"

// FailSlots is the code of case leaves that do not come in slots of one
// number, one rhythm and one chain.
const FailSlots = "slots"

const (
	slotWindow  = 1024 // equal leaves among so many in a row are one
	slotsToTell = 16   // slots from which on their rhythm can be judged
)

// CaseSlots say how the case leaves of a ledger come. Which of them are cases
// and which are covers does not show.
type CaseSlots struct {
	Leaves  int64  // equal ones once
	Slots   int64  // begun
	PerSlot int64  // leaves of every slot; 0 while the first one is not full
	Seconds uint64 // from slot to slot; 0 while there is one at most
	Missed  int64  // slots that were left out, in pauses
	Horizon uint64 // seconds from a slot to its open-by date
	Last    uint64 // time of the last slot, seconds since 1970-01-01 UTC
}

// A slotChain checks case leaves one after the other.
type slotChain struct {
	out    CaseSlots
	first  uint64 // time of the first slot
	step   uint64 // greatest common divisor of the steps between slots
	least  uint64 // the smallest step
	prev   [32]byte
	slot   []tlog.Hash // of the last slot
	odd    bool        // its rhythm was told
	recent map[tlog.Hash]int64
	ring   []tlog.Hash
}

// add checks one leaf. Equal reports that it is the leaf at the index first
// once more, which is no fault. After a failure it goes on from the leaf as it
// is.
func (s *slotChain) add(index int64, l *Leaf, hash tlog.Hash) (first int64, equal bool, f *Failure) {
	// 1. Appended again because an answer was lost?
	if first, ok := s.recent[hash]; ok {
		return first, true, nil
	}
	if s.recent == nil {
		s.recent, s.ring = make(map[tlog.Hash]int64, slotWindow), make([]tlog.Hash, slotWindow)
	}
	at := s.out.Leaves % slotWindow
	delete(s.recent, s.ring[at])
	s.ring[at], s.recent[hash] = hash, index
	s.out.Leaves++

	// 2. The first of a slot, or one more.
	switch {
	case s.out.Slots == 0:
		s.first, s.out.Horizon = l.Time, l.OpenBy-l.Time
		s.begin(l)
	case l.Time > s.out.Last:
		f = s.next(index, l)
	case l.Time < s.out.Last:
		return 0, false, Fail(FailSlots, "the case leaf at entry %d is of a slot before the one that has begun", index)
	}
	s.slot = append(s.slot, hash)
	switch {
	case f != nil:
	case s.out.PerSlot > 0 && int64(len(s.slot)) > s.out.PerSlot:
		f = Fail(FailSlots, "the slot at entry %d has more than %d leaves", index, s.out.PerSlot)
	case l.Prev != s.prev:
		f = Fail(FailSlots, "the case leaf at entry %d does not name the slot before it", index)
	case l.OpenBy < l.Time || l.OpenBy-l.Time != s.out.Horizon:
		f = Fail(FailSlots, "the case leaf at entry %d has another time to its open-by date than the ones before", index)
	}
	return 0, false, f
}

func (s *slotChain) begin(l *Leaf) {
	s.out.Slots++
	s.out.Last, s.slot = l.Time, s.slot[:0]
}

// next closes the slot before and begins one with l.
func (s *slotChain) next(index int64, l *Leaf) (f *Failure) {
	n := int64(len(s.slot))
	switch {
	case s.out.PerSlot == 0:
		s.out.PerSlot = n
	case n < s.out.PerSlot: // more were told
		f = Fail(FailSlots, "the slot before entry %d has %d leaves, not %d", index, n, s.out.PerSlot)
	}
	step := l.Time - s.out.Last
	if s.least == 0 || step < s.least {
		s.least = step
	}
	s.step = gcd(s.step, step)
	s.prev = SlotRoot(s.slot)
	s.begin(l)
	s.out.Seconds = s.step
	s.out.Missed = int64((l.Time-s.first)/s.step) + 1 - s.out.Slots //nolint:gosec // fewer than seconds
	if f == nil && !s.odd && s.out.Slots >= slotsToTell && s.least != s.step {
		s.odd = true
		f = Fail(FailSlots, "slots up to entry %d are not a whole number of steps apart: the smallest step is %d s, but they only share %d s", index, s.least, s.step)
	}
	return f
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
