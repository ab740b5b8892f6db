package client

import (
	"crypto/ed25519"
	"slices"
	"sync"

	"bonded"
	"bonded/verify"
)

// keepPromises is how many segments' promises a client keeps: about as many
// seconds of traffic.
const keepPromises = 256

// promises checks and keeps the batch promises of a cell.
type promises struct {
	cell bonded.CellID
	key  ed25519.PublicKey

	mu     sync.Mutex
	latest map[place]*verify.Promise
	order  []place // oldest first
}

type place struct {
	node    uint16
	segment uint64
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
	if p.Index >= p.Size {
		return nil, broken("the batch promise names a row beyond its size")
	}
	at := place{p.Ref.Node, p.Segment}
	ps.mu.Lock()
	old := ps.latest[at]
	ps.mu.Unlock()
	// All answers of one group commit carry one signature: check it once.
	same := old != nil && old.Size == p.Size && old.Root == p.Root && old.Sig == p.Sig
	if !same && !p.Verify(ps.key) {
		return nil, broken("the batch promise is not signed by the cell's vault")
	}
	if old != nil && old.Size == p.Size && old.Root != p.Root {
		return nil, broken("the vault promised two different states of one segment")
	}
	if same || old != nil && old.Size > p.Size {
		return p, nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.latest == nil {
		ps.latest = map[place]*verify.Promise{}
	}
	if now := ps.latest[at]; now == nil {
		ps.order = append(ps.order, at)
		if len(ps.order) > keepPromises {
			delete(ps.latest, ps.order[0])
			ps.order = slices.Delete(ps.order, 0, 1)
		}
	} else if now.Size > p.Size {
		return p, nil
	}
	ps.latest[at] = p
	return p, nil
}

// Promises returns the newest batch promise of each segment that c has seen,
// oldest first, of the last 256. Hold them against an exported journal with
// [verify.CheckPromises]: a vault that dropped a row is then found out.
func (c *Client) Promises() []*verify.Promise {
	c.promises.mu.Lock()
	defer c.promises.mu.Unlock()
	out := make([]*verify.Promise, 0, len(c.promises.order))
	for _, at := range c.promises.order {
		out = append(out, c.promises.latest[at])
	}
	return out
}
