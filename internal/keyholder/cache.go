package keyholder

import (
	"sync"

	"bonded"
)

// wrappedCache holds wrapped subject keys that were used lately, at most about
// limit of them. They stay wrapped. Two generations approximate least recently
// used: when the young one is full it becomes the old one, which is dropped.
type wrappedCache struct {
	limit int

	mu    sync.Mutex
	young map[bonded.ID]wrappedEntry
	aged  map[bonded.ID]wrappedEntry
}

// wrappedSize is the length of a wrapped subject key, see [seal.SubjectKey.Wrap].
const wrappedSize = 61

type wrappedEntry struct {
	version uint32
	bytes   [wrappedSize]byte
}

func (c *wrappedCache) get(id bonded.ID) (wrappedEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[id]
	if ok {
		return e, true
	}
	if e, ok = c.aged[id]; ok {
		c.putLocked(id, e)
	}
	return e, ok
}

func (c *wrappedCache) put(w *WrappedKey) {
	if len(w.Wrapped) != wrappedSize {
		return // another suite's length would be read from the store each time
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(w.Subject, wrappedEntry{w.Version, [wrappedSize]byte(w.Wrapped)})
}

func (c *wrappedCache) putLocked(id bonded.ID, e wrappedEntry) {
	if c.young == nil || len(c.young) >= max(c.limit/2, 1) {
		c.aged, c.young = c.young, map[bonded.ID]wrappedEntry{}
	}
	c.young[id] = e
}

func (c *wrappedCache) drop(id bonded.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, id)
	delete(c.aged, id)
}

func (c *wrappedCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.aged = nil, nil
}
