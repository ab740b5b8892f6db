package policy

import (
	"encoding/binary"
	"sync"
)

// DefaultCacheSize is a bound for [NewCache] that suits a busy cell: some
// megabytes.
const DefaultCacheSize = 8192

// maxKey bounds what one caller can make the cache hold, in bytes; larger
// requests are decided each time.
const maxKey = 4096

// A Cache remembers decisions of one [Set]. Decisions are pure, so it never
// goes stale; a new set needs a new cache. Many goroutines may use it.
type Cache struct {
	set  *Set
	size int

	mu       sync.RWMutex
	now, old map[string]Decision // two generations: the old one goes when the new one is full
}

// NewCache returns a cache that keeps at most 2 × size decisions.
func NewCache(set *Set, size int) *Cache {
	return &Cache{set: set, size: max(1, size), now: map[string]Decision{}}
}

// Set returns the set whose decisions the cache keeps.
func (c *Cache) Set() *Set { return c.set }

// Decide returns what [Set.Decide] returns.
func (c *Cache) Decide(r *Request) Decision {
	var space [512]byte
	key := appendKey(space[:0], r)
	c.mu.RLock()
	d, ok := c.now[string(key)]
	if ok {
		c.mu.RUnlock()
		return d
	}
	d, ok = c.old[string(key)]
	c.mu.RUnlock()
	if !ok {
		d = c.set.Decide(r)
	}
	if len(key) > maxKey {
		return d
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.now) >= c.size {
		c.old, c.now = c.now, map[string]Decision{}
	}
	c.now[string(key)] = d
	return d
}

// Len returns how many decisions the cache holds.
func (c *Cache) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.now) + len(c.old)
}

// appendKey writes every field of r, each with its length, so that two
// different requests never share a key.
func appendKey(b []byte, r *Request) []byte {
	b = one(b, r.Principal.ID)
	b = one(b, r.Principal.Cell)
	b = one(b, r.Principal.Jurisdiction)
	b = many(b, r.Principal.Roles)
	b = many(b, r.Principal.Purposes)
	if r.Principal.Proven {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = one(b, r.Operation)
	b = one(b, r.Cell)
	b = one(b, r.CellJurisdiction)
	b = one(b, r.Collection)
	b = many(b, r.Fields)
	b = many(b, r.Classes)
	b = many(b, r.BarredFields)
	b = one(b, r.Purpose)
	return one(b, r.Basis)
}

func one[T ~string](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func many[T ~string](b []byte, list []T) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = one(b, s)
	}
	return b
}
