package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// Names of values kept by [Tx.SetValue].
const (
	valueHead   = "keyholder_head"   // the newest head whose releases are all in our journal
	valueNewest = "keyholder_newest" // the newest head seen
)

// A link says how the two books stand to one another: what the keyholder has
// released, and up to where our journal holds a row for it.
type link struct {
	mu      sync.Mutex
	ok      bool  // both books agree; set by recovery alone
	why     error // why not
	flights []*flight
	durable verify.Head // every release up to here has its row
	kept    verify.Head // as durable, and stored
	newest  verify.Head // newest head seen, signed
	stored  uint64      // sequence number of newest, as stored
	tombs   uint64
	chain   [32]byte
	key     [32]byte // tombstone key of the cell, zero before the first hello
}

// A flight is a batch on its way. Heads count in the order of departure.
type flight struct {
	landed bool
	head   verify.Head
}

func (l *link) depart() *flight {
	f := new(flight)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flights = append(l.flights, f)
	return f
}

// headOf returns the head of an answer, nil if there is none.
func headOf(result *wire.UnlockResult) *verify.Head {
	if result == nil {
		return nil
	}
	return &result.Head
}

// arrived says that every row of a batch is durable; head is that of its
// answer, nil if there was none.
func (l *link) arrived(f *flight, head *verify.Head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.landed = true
	if head != nil {
		f.head = *head
		if head.Seq > l.newest.Seq {
			l.newest = *head
		}
	}
	if !l.ok {
		return // what went down with the line is for recovery to clear up
	}
	for len(l.flights) > 0 && l.flights[0].landed {
		if h := l.flights[0].head; h.Seq > l.durable.Seq {
			l.durable = h
		}
		l.flights = l.flights[1:]
	}
}

// break_ says that it is unknown what the keyholder released.
func (l *link) break_(why error) { //nolint:revive // break is a keyword
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ok || l.why == nil {
		l.why = why
	}
	l.ok, l.flights = false, nil
}

func (l *link) state() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ok, l.why
}

func (l *link) durableHead() verify.Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.durable.Seq == l.kept.Seq {
		return verify.Head{}
	}
	return l.durable
}

// keepHead returns a change that stores a head beside rows, nil for none.
func (v *Vault) keepHead(head verify.Head) func(Tx) error {
	if head.Seq == 0 {
		return nil
	}
	return func(tx Tx) error { return tx.SetValue(valueHead, head.Encode()) }
}

func (v *Vault) headKept(head verify.Head, err error) {
	if head.Seq == 0 || err != nil {
		return
	}
	v.link.mu.Lock()
	defer v.link.mu.Unlock()
	if head.Seq > v.link.kept.Seq {
		v.link.kept = head
	}
}

// lost says that rows were not committed for which keys may have been
// released.
func (v *Vault) lost(err error) {
	v.link.break_(notWritable(err))
	v.kick()
}

// kick wakes the background work.
func (v *Vault) kick() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// loadLink reads what was known of the keyholder's book.
func (v *Vault) loadLink(ctx context.Context) error {
	l := &v.link
	l.why = &bonded.Error{Code: bonded.CodeKeyholder, Message: "the vault has not yet compared its book with the keyholder's", Hint: "try again in a moment"}
	for name, dst := range map[string]*verify.Head{valueHead: &l.kept, valueNewest: &l.newest} {
		b, err := v.store.Value(ctx, name)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		h, err := verify.DecodeHead(b)
		if err != nil || !h.Verify(v.cfg.KeyholderKey) {
			return bonded.Wrap(bonded.CodeAltered, err, "the stored head of the keyholder's book does not verify")
		}
		*dst = *h
	}
	if l.kept.Seq > l.newest.Seq {
		l.newest = l.kept
	}
	l.durable, l.stored = l.kept, l.newest.Seq
	last, err := v.store.LastTombstone(ctx)
	if err != nil || last == nil {
		return err
	}
	t, err := wire.DecodeTombstone(last.Body)
	if err != nil || !t.Verify(v.cfg.KeyholderKey) || t.N != last.N || t.Mark != last.Mark {
		return bonded.Wrap(bonded.CodeAltered, err, "the newest tombstone does not verify")
	}
	l.tombs, l.chain = t.N, t.Chain
	return nil
}

// mayOpen returns nil if keys may be asked for, else why not.
func (v *Vault) mayOpen() error {
	if ok, why := v.link.state(); !ok {
		return why
	}
	return v.fresh()
}

// Recover compares the two books: it asks the keyholder for its book since the
// last head it knows, makes an orphan row durable for each release whose row
// was lost, and compares tombstones. Until it has succeeded nothing opens.
//
// Errors: restored_old if either database is older than what the other has
// seen; sealed or keyholder_down if the keyholder does not answer;
// book_not_writable if the orphans cannot be entered.
func (v *Vault) Recover(ctx context.Context) error {
	v.gate.Lock() // waits for every batch under way
	defer v.gate.Unlock()
	if err := v.recoverLocked(ctx); err != nil {
		err = v.lineError(err)
		v.link.mu.Lock()
		v.link.ok, v.link.why, v.link.flights = false, err, nil
		v.link.mu.Unlock()
		return err
	}
	return nil
}

func (v *Vault) recoverLocked(ctx context.Context) error {
	l := &v.link

	// 1. Who is there, and where do its books stand?
	p := v.policy.Load()
	hello, err := v.cfg.Keys.Hello(ctx, &wire.Hello{
		Cell: v.cfg.Cell, Node: v.journal.Node(), Incarnation: v.journal.Incarnation(),
		Head: l.kept, Tombstones: l.tombs, Chain: l.chain, Policy: p.Set().Digest(),
	})
	if err != nil {
		return fmt.Errorf("greet keyholder: %w", err)
	}
	switch {
	case hello.Cell != v.cfg.Cell:
		return bonded.Errorf(bonded.CodeConfig, "the keyholder belongs to cell %s", hello.Cell)
	case hello.Sealed:
		return &bonded.Error{Code: bonded.CodeSealed, Message: "the keyholder is sealed", Hint: "unseal it"}
	case !hello.Head.Verify(v.cfg.KeyholderKey):
		return bonded.Errorf(bonded.CodeConfig, "the keyholder's head is not signed by the key of the directory")
	case hello.Head.Seq < l.newest.Seq:
		return restoredKeyholder("its book is shorter than what this vault has seen")
	}

	// 2. What it released and our journal does not hold becomes orphans.
	if err := v.account(ctx, hello); err != nil {
		return err
	}

	// 3. Does each remember the dead of the other?
	l.mu.Lock()
	l.key = hello.Key
	l.mu.Unlock()
	if err := v.compareTombstones(ctx, hello); err != nil {
		return err
	}

	// 4. From here on.
	if _, err := v.store.Commit(ctx, nil, func(tx Tx) error {
		if err := tx.SetValue(valueNewest, hello.Head.Encode()); err != nil {
			return err
		}
		return tx.SetValue(valueHead, hello.Head.Encode())
	}); err != nil {
		return notWritable(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durable, l.kept, l.newest, l.stored, l.flights = hello.Head, hello.Head, hello.Head, hello.Head.Seq, nil
	l.ok, l.why = true, nil
	return nil
}

func restoredKeyholder(why string) error {
	return &bonded.Error{Code: bonded.CodeRestored, Message: "the keyholder's database is older than it was: " + why, Hint: "put its newest database back; see docs/operations.md"}
}

func restoredVault(why string) error {
	return &bonded.Error{Code: bonded.CodeRestored, Message: "this vault's database is older than it was: " + why, Hint: "put its newest database back; see docs/operations.md"}
}

// bookPage is how many rows of the keyholder's book are asked for at once.
const bookPage = 1024

// account reads the keyholder's book from the last head of which we know that
// all is entered, checks that it extends what we have seen, and makes an
// orphan row durable for each release whose row was lost.
func (v *Vault) account(ctx context.Context, hello *wire.Hello) error {
	l := &v.link
	seq, chain := l.kept.Seq, l.kept.Chain
	for seq < hello.Head.Seq {
		page, err := v.cfg.Keys.Book(ctx, seq, min(bookPage, hello.Head.Seq-seq))
		if err != nil {
			return fmt.Errorf("read book after %d: %w", seq, err)
		}
		if len(page) == 0 {
			return restoredKeyholder("its book ends before its own head")
		}
		rows := make([]verify.BookRow, 0, len(page))
		for _, b := range page {
			if seq == hello.Head.Seq {
				break
			}
			row, err := verify.DecodeBookRow(b)
			if err != nil || row.Seq != seq+1 || row.Cell != v.cfg.Cell {
				return bonded.Wrap(bonded.CodeAltered, err, "a row of the keyholder's book cannot be read or is out of order")
			}
			seq, chain = row.Seq, verify.BookChain(chain, b)
			if seq == l.newest.Seq && chain != l.newest.Chain {
				return restoredKeyholder("its book is another than the one this vault has seen")
			}
			rows = append(rows, *row)
		}
		orphans, err := v.journal.RecoverOrphans(ctx, rows)
		if err != nil {
			return fmt.Errorf("account for the keyholder's book: %w", err)
		}
		if len(orphans) > 0 {
			v.log.LogAttrs(ctx, slog.LevelWarn, "releases without a row became orphans", slog.Int("count", len(orphans)))
		}
	}
	if chain != hello.Head.Chain {
		return restoredKeyholder("its book does not extend the one this vault has seen")
	}
	return nil
}

// compareTombstones holds the keyholder's tombstones against ours. One that we
// lack is finished here if its erasure was under way; else our database has
// forgotten it.
func (v *Vault) compareTombstones(ctx context.Context, hello *wire.Hello) error {
	l := &v.link
	switch {
	case hello.Tombstones < l.tombs:
		return restoredKeyholder("it has forgotten an erasure")
	case hello.Tombstones == l.tombs:
		if hello.Chain != l.chain {
			return restoredKeyholder("its erasures are others than those this vault has seen")
		}
		return nil
	}
	pending, err := v.store.Erasures(ctx)
	if err != nil {
		return err
	}
	byMark := make(map[[32]byte]*Erasure, len(pending))
	for _, e := range pending {
		byMark[v.mark(e.Subject)] = e
	}
	for l.tombs < hello.Tombstones {
		ts, err := v.cfg.Keys.Tombstones(ctx, l.tombs+1)
		if err != nil {
			return fmt.Errorf("read tombstones: %w", err)
		}
		if len(ts) == 0 {
			return restoredKeyholder("it lacks tombstones that it counts")
		}
		for _, t := range ts {
			e := byMark[t.Mark]
			if e == nil {
				return restoredVault("the keyholder has a tombstone that it lacks")
			}
			if err := v.bury(ctx, e, t); err != nil {
				return err
			}
		}
	}
	if l.tombs != hello.Tombstones || l.chain != hello.Chain {
		return restoredKeyholder("its tombstones do not make the chain it states")
	}
	return nil
}

// mark returns what a tombstone says of a subject: HMAC-SHA-256 of its id
// under the cell's tombstone key.
func (v *Vault) mark(subject bonded.ID) [32]byte {
	v.link.mu.Lock()
	key := v.link.key
	v.link.mu.Unlock()
	m := hmac.New(sha256.New, key[:])
	m.Write(subject[:])
	return [32]byte(m.Sum(nil))
}

// checkTombstone checks that t is the next one of the chain.
func (v *Vault) checkTombstone(t *verify.Tombstone) error {
	v.link.mu.Lock()
	defer v.link.mu.Unlock()
	if t.Cell != v.cfg.Cell || !t.Verify(v.cfg.KeyholderKey) {
		return bonded.Errorf(bonded.CodeKeyholderRefused, "a tombstone is not signed by the key of the directory")
	}
	if t.N != v.link.tombs+1 || t.Chain != verify.TombstoneChain(v.link.chain, t.Mark) {
		return errTombstoneOrder
	}
	return nil
}

var errTombstoneOrder = errors.New("tombstone is not the next one of the chain")
