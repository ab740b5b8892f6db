package keyholder

import (
	"context"
	"fmt"
	"strconv"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/succession"
	"bonded/internal/wire"
	"bonded/verify"
)

// custodians are the custodians in force.
type custodians struct {
	keySet *quorum.KeySet
	people *verify.Custodians
}

func newCustodians(ks *quorum.KeySet) *custodians { return &custodians{ks, ks.Custodians()} }

// of returns the key set of c, nil if there are no custodians.
func (c *custodians) of() *quorum.KeySet {
	if c == nil {
		return nil
	}
	return c.keySet
}

// Custody takes up the custodians' key sets that the vault shows, see
// [succession.Trust.Follow]: it checks the whole chain from the one in force on,
// and never goes back an epoch. Without links it says which one is in force.
// A chain that does not hold has code bad_proof and changes nothing.
func (k *Keyholder) Custody(_ context.Context, c *wire.Custody) func() (*wire.CustodyResult, error) {
	fail := func(err error) func() (*wire.CustodyResult, error) {
		return func() (*wire.CustodyResult, error) { return nil, err }
	}
	links := make([]succession.Link, len(c.Links))
	for i := range c.Links {
		links[i] = succession.Link(c.Links[i])
	}
	for {
		k.mu.Lock()
		t, have, err := k.trust, k.custody, k.ready()
		k.mu.Unlock()
		if err != nil {
			return fail(err)
		}
		// 1. The chain, by itself.
		trust := &succession.Trust{Cell: k.cfg.Cell, Admin: t.admin, LedgerKey: t.cell.LedgerKey, Witness: t.witness}
		newest, err := trust.Follow(have.of(), links)
		if err != nil {
			return fail(err)
		}
		// 2. In force at once, undone if it cannot be booked.
		k.mu.Lock()
		if err := k.ready(); err != nil {
			k.mu.Unlock()
			return fail(err)
		}
		if k.trust != t || k.custody != have { // changed meanwhile: look again
			k.mu.Unlock()
			continue
		}
		var p *pending
		if newest == have.of() {
			p = k.barrier()
		} else {
			p = k.putCustodians(newest)
		}
		k.mu.Unlock()
		result := new(wire.CustodyResult)
		if newest != nil {
			result.Epoch, result.KeySet, result.Key = newest.Epoch(), newest.Digest(), newest.ReleaseKey()
		}
		return func() (*wire.CustodyResult, error) { return result, p.wait() }
	}
}

// putCustodians puts a key set in force and books it. The caller holds mu.
func (k *Keyholder) putCustodians(ks *quorum.KeySet) *pending {
	row := k.newRow(verify.BookCustody)
	row.Detail, row.Digest = "epoch "+strconv.FormatUint(ks.Epoch(), 10), ks.Digest()
	if ks.Dealt() {
		row.Detail += " dealt"
	}
	old, digest, s := k.custody, k.state.custody, k.state
	p := k.begin()
	p.undo = append(p.undo, func() { k.custody, s.custody = old, digest })
	k.append(p, row)
	p.commit.Custody = ks.Bytes()
	if v := k.control.waiting[verify.ControlDirectory]; old == nil && v != nil {
		// Announced when nobody had to approve it. Now somebody has to: it can be
		// announced again under its number.
		c := k.control.clone()
		delete(c.waiting, verify.ControlDirectory)
		c.accepted[verify.ControlDirectory] = k.trust.Directory.Version
		k.setControl(p, c)
	}
	k.custody, s.custody = newCustodians(ks), row.Digest
	k.enqueue(p)
	return p
}

// loadCustodians reads the key set accepted last, which must be the one the
// book names. The caller holds mu.
func (k *Keyholder) loadCustodians(ctx context.Context, booked [32]byte) error {
	b, err := k.cfg.Store.Custody(ctx)
	if err != nil {
		return fmt.Errorf("read custodians: %w", err)
	}
	k.custody = nil
	if b == nil && booked == ([32]byte{}) {
		return nil
	}
	ks, err := quorum.ParseKeySet(b)
	if err != nil || ks.Digest() != booked || ks.Cell() != k.cfg.Cell {
		return bonded.Wrap(bonded.CodeAltered, err, "the custodians' key set is not the one the book names")
	}
	k.custody = newCustodians(ks)
	return nil
}
