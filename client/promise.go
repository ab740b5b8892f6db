package client

import (
	"crypto/ed25519"
	"sync"

	"bonded"
	"bonded/verify"
)

// keepPromises is how many commits' promises a client keeps: at most some 6 MB.
const keepPromises = 4096

// promises checks and keeps the batch promises of a cell.
type promises struct {
	cell bonded.CellID
	key  ed25519.PublicKey

	mu   sync.Mutex
	kept map[place]*verify.Promise
	ring []place // in the order they came
	next int     // of the ring, once it is full: the oldest
}

// A place is one commit: the state of an open segment.
type place struct {
	node    uint16
	segment uint64
	size    uint64
}

func broken(message string) error {
	return &bonded.Error{
		Code: bonded.CodeAltered, Field: "Bonded-Receipt", Message: message,
		Hint: "keep the answer: it is evidence against the vault, or something on the way altered it",
	}
}

// check holds the header of an answer against the key of the cell and the
// promises before it. It returns nil, nil if there is no header.
func (ps *promises) check(header string) (*verify.Promise, error) {
	if header == "" {
		return nil, nil //nolint:nilnil // none is an answer: refusals of strangers carry no promise
	}
	p, err := verify.ParsePromise(header)
	if err != nil {
		return nil, broken("the batch promise is malformed")
	}
	if p.Cell != ps.cell {
		return nil, broken("the batch promise is of another cell")
	}
	if !p.Covers() {
		return nil, broken("the batch promise is not for the row it names")
	}
	at := place{p.Ref.Node, p.Segment, p.Size}
	ps.mu.Lock()
	old := ps.kept[at]
	ps.mu.Unlock()
	// All answers of one group commit carry one signature: check it once.
	if old != nil && sameState(old, p) && old.Sig == p.Sig {
		return p, nil
	}
	if !p.Verify(ps.key) {
		return nil, broken("the batch promise is not signed by the cell's vault")
	}
	if old = ps.keep(at, p); !sameState(old, p) {
		return nil, broken("the vault promised two different states of one segment")
	}
	return p, nil
}

// sameState reports whether two promises of one place say the same of it.
func sameState(a, b *verify.Promise) bool {
	return a.Begin == b.Begin && a.Root == b.Root && a.Batch == b.Batch
}

// keep keeps the first promise of a commit, letting go of the oldest, and
// returns the one that is kept.
func (ps *promises) keep(at place, p *verify.Promise) *verify.Promise {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if old := ps.kept[at]; old != nil {
		return old
	}
	if ps.kept == nil {
		ps.kept = map[place]*verify.Promise{}
	}
	ps.kept[at] = p
	if len(ps.ring) < keepPromises {
		ps.ring = append(ps.ring, at)
		return p
	}
	delete(ps.kept, ps.ring[ps.next])
	ps.ring[ps.next] = at
	ps.next = (ps.next + 1) % keepPromises
	return p
}

// Promises returns one batch promise of each commit that c got an answer from,
// oldest first, of the last 4,096. The row of every such answer is under the
// signature of its commit's promise. Hold them against an exported journal
// with [verify.CheckPromises]: a vault that dropped or exchanged one of the
// rows is then found out. To prove it of one row by name, keep the header of
// its answer.
func (c *Client) Promises() []*verify.Promise {
	ps := &c.promises
	ps.mu.Lock()
	defer ps.mu.Unlock()
	out := make([]*verify.Promise, 0, len(ps.ring))
	for i := range ps.ring {
		out = append(out, ps.kept[ps.ring[(ps.next+i)%len(ps.ring)]])
	}
	return out
}
