package keyholder

import (
	"context"
	"log/slog"
	"slices"

	"bonded"
	"bonded/verify"
)

// pending is what one request wants to be durable. Requests change the state
// in memory at once and in order, under mu; the committer makes many of them
// durable together. If that fails, everything not yet durable is undone,
// newest first, and refused: nothing is answered before its rows are durable.
type pending struct {
	commit Commit
	undo   []func()
	done   chan struct{}
	err    error
	head   verify.Head // after it, not yet signed
}

// maxGroup bounds the rows of one group commit.
const maxGroup = 4096

// begin returns an empty pending. The caller holds mu from here to enqueue.
func (k *Keyholder) begin() *pending { return &pending{done: make(chan struct{})} }

// newRow returns a book row of the given kind with cell and time set.
func (k *Keyholder) newRow(kind verify.BookKind) *verify.BookRow {
	return &verify.BookRow{Kind: kind, Cell: k.cfg.Cell, Time: millis(k.now()), Outcome: verify.OutcomeAllowed}
}

// append gives row its number and adds it to p.
func (k *Keyholder) append(p *pending, row *verify.BookRow) {
	s := k.state
	row.Seq = s.seq + 1
	b := verify.EncodeBookRow(row)
	seq, chain, at := s.seq, s.chain, s.time
	if len(p.commit.Rows) == 0 {
		p.undo = append(p.undo, func() { s.seq, s.chain, s.time = seq, chain, at })
	}
	s.seq, s.chain, s.time = row.Seq, verify.BookChain(s.chain, b), int64(row.Time) //nolint:gosec // milliseconds
	p.commit.Rows = append(p.commit.Rows, StoredRow{row.Seq, b, s.chain})
}

// enqueue hands p to the committer, in order.
func (k *Keyholder) enqueue(p *pending) {
	p.head = verify.Head{Cell: k.cfg.Cell, Seq: k.state.seq, Chain: k.state.chain, Time: millis(k.now())}
	k.queue = append(k.queue, p)
	k.signal(k.wake)
}

// wait returns when p is durable, or why it is not.
func (p *pending) wait() error {
	<-p.done
	return p.err
}

// barrier returns a pending without changes: when it is done, everything
// before it is durable and its head may be signed.
func (k *Keyholder) barrier() *pending {
	p := k.begin()
	if len(k.queue) == 0 && !k.busy {
		p.head = verify.Head{Cell: k.cfg.Cell, Seq: k.state.seq, Chain: k.state.chain, Time: millis(k.now())}
		close(p.done)
		return p
	}
	k.enqueue(p)
	return p
}

// committer makes the queue durable, group by group, until ctx ends and
// nothing is left.
func (k *Keyholder) committer(ctx context.Context) {
	for {
		group := k.takeGroup()
		if group == nil {
			select {
			case <-k.wake:
				continue
			case <-ctx.Done():
				if k.idle() {
					return
				}
				continue
			}
		}
		err := k.commitGroup(group)
		k.mu.Lock()
		k.busy = false
		if err != nil {
			group = k.undoAll(group, err)
		}
		k.mu.Unlock()
		for _, p := range group {
			p.err = err
			close(p.done)
		}
	}
}

func (k *Keyholder) idle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.queue) == 0
}

func (k *Keyholder) takeGroup() []*pending {
	k.mu.Lock()
	defer k.mu.Unlock()
	rows, n := 0, 0
	for n < len(k.queue) && (n == 0 || rows < maxGroup) {
		rows += len(k.queue[n].commit.Rows)
		n++
	}
	if n == 0 {
		return nil
	}
	k.busy = true
	group := k.queue[:n:n]
	k.queue = append([]*pending(nil), k.queue[n:]...)
	return group
}

func (k *Keyholder) commitGroup(group []*pending) error {
	var c Commit
	for _, p := range group {
		c.Rows = append(c.Rows, p.commit.Rows...)
		c.New = append(c.New, p.commit.New...)
		c.Rewrapped = append(c.Rewrapped, p.commit.Rewrapped...)
		c.Destroyed = append(c.Destroyed, p.commit.Destroyed...)
		c.Tombstones = append(c.Tombstones, p.commit.Tombstones...)
		if p.commit.Grants != nil {
			c.Grants = p.commit.Grants
		}
		if p.commit.Custody != nil {
			c.Custody = p.commit.Custody
		}
		if p.commit.Control != nil {
			c.Control = p.commit.Control
		}
		if p.commit.Anchor != nil {
			c.Anchor = p.commit.Anchor
		}
	}
	if len(c.Rows) == 0 && len(c.Rewrapped) == 0 && c.Anchor == nil && c.Control == nil {
		return nil // barriers only
	}
	if err := k.cfg.Store.Commit(context.Background(), &c); err != nil {
		if bonded.CodeOf(err) == bonded.CodeInternal {
			return bonded.Wrap(bonded.CodeNotWritable, err, "the key-use book cannot be written")
		}
		return err
	}
	return nil
}

// undoAll undoes group and everything queued behind it, newest first, and
// returns all of them. The caller holds mu.
func (k *Keyholder) undoAll(group []*pending, cause error) []*pending {
	group = append(group, k.queue...)
	k.queue = nil
	for _, g := range slices.Backward(group) {
		undo := g.undo
		for _, u := range slices.Backward(undo) {
			u()
		}
	}
	k.log.LogAttrs(context.Background(), slog.LevelError, "key-use book not written: nothing was released", slog.Int("requests", len(group)), slog.Any("error", cause))
	// A commit that failed may still have happened.
	seq, chain, err := k.cfg.Store.Last(context.Background())
	if err == nil && (seq != k.state.seq || chain != k.state.chain) {
		err = k.rebuild(context.Background())
	}
	k.broken = err
	return group
}

// drain waits until nothing is queued or being committed; the caller holds mu,
// which is given up meanwhile.
func (k *Keyholder) drain() {
	for len(k.queue) > 0 || k.busy {
		p := k.begin()
		k.enqueue(p)
		k.mu.Unlock()
		<-p.done
		k.mu.Lock()
	}
}
