package vaultsql

import (
	"sync"

	"bonded"
	"bonded/internal/vault"
)

// CacheBytes bounds the memory of records kept after they were read, in
// bytes, about. They are kept as they are stored: sealed.
const CacheBytes = 128 << 20

// A cache keeps records that were read lately. What it returns is what a read
// begun at the same time would find: a change takes its subject out before it
// is committed, and no record read before the end of the commit comes in
// after.
//
// Subjects are spread over shards, so that callers seldom meet.
type cache struct {
	shards [64]shard
}

// A shard holds two generations, which approximate least recently used: when
// the young one is full it becomes the aged one, which is dropped.
type shard struct {
	mu          sync.Mutex
	young, aged map[bonded.ID][]*vault.Record // by subject; never changed in place
	bytes       int                           // of young
	changing    map[bonded.ID]int             // commits under way that change a subject
	stamp       uint64                        // rises when a change begins and when it ends
}

func (c *cache) of(subject bonded.ID) *shard { return &c.shards[subject[len(subject)-1]%64] }

// get returns a record, nil if it is not kept. The caller must not change it.
func (c *cache) get(subject, record bonded.ID) *vault.Record {
	s := c.of(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.young[subject] {
		if r.ID == record {
			return r
		}
	}
	for _, r := range s.aged[subject] {
		if r.ID == record {
			s.add(r)
			return r
		}
	}
	return nil
}

// before returns the stamp to take before a record is read.
func (c *cache) before(subject bonded.ID) uint64 {
	s := c.of(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stamp
}

// put keeps a record that was read after stamp was taken, unless it may have
// been changed since.
func (c *cache) put(r *vault.Record, stamp uint64) {
	s := c.of(r.Subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stamp == stamp && s.changing[r.Subject] == 0 {
		s.add(r)
	}
}

// add puts r into the young generation.
func (s *shard) add(r *vault.Record) {
	size := sizeOf(r)
	if s.young == nil || s.bytes+size > CacheBytes/2/64 {
		s.young, s.aged, s.bytes = make(map[bonded.ID][]*vault.Record), s.young, 0
	}
	kept := make([]*vault.Record, 0, 1)
	for _, k := range s.young[r.Subject] {
		if k.ID != r.ID {
			kept = append(kept, k)
		}
	}
	s.young[r.Subject] = append(kept, r)
	s.bytes += size
}

// sizeOf returns the memory of a record, with what holds it.
func sizeOf(r *vault.Record) int {
	n := 256
	for i := range r.Fields {
		n += 96 + len(r.Fields[i].Sealed)
	}
	return n
}

// change takes a subject out before its change is committed. Each change ends
// with changed.
func (c *cache) change(subject bonded.ID) {
	s := c.of(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changing == nil {
		s.changing = make(map[bonded.ID]int)
	}
	s.changing[subject]++
	s.stamp++
	delete(s.young, subject)
	delete(s.aged, subject)
}

// changed says that the commits of changes have ended, well or not.
func (c *cache) changed(subjects []bonded.ID) {
	for _, subject := range subjects {
		s := c.of(subject)
		s.mu.Lock()
		s.stamp++
		if s.changing[subject]--; s.changing[subject] == 0 {
			delete(s.changing, subject)
		}
		s.mu.Unlock()
	}
}
