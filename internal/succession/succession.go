// Package succession says which custodians are in force: it follows the chain of
// certified key sets from the first ceremony, which the administrator of the
// directory ordered, each through a witnessed leaf of the ledger. Every party
// that acts on a quorum follows it by itself.
//
// It decides by its arguments alone: it reads no clock, no file and no network,
// and keeps nothing. What a key set is, and what makes one follow from another,
// is the business of package quorum.
//
// Start at [Trust.Follow].
package succession

import (
	"crypto/ed25519"
	"fmt"

	"bonded"
	"bonded/internal/quorum"
	"bonded/verify"
)

// MaxEpochs is how many key sets one chain may have.
const MaxEpochs = 256

// A Trust is what a chain is held against, all of it from the directory.
type Trust struct {
	Cell      bonded.CellID
	Admin     ed25519.PublicKey // of the directory
	LedgerKey string            // verifier key of the cell's ledger
	Witness   *verify.WitnessPolicy
}

// TrustOf returns what a directory says of a cell. It returns an error with code
// bad_config if it says nothing usable.
func TrustOf(d *verify.Directory, cell bonded.CellID) (*Trust, error) {
	c, ok := d.Cell(cell)
	if !ok {
		return nil, bonded.Errorf(bonded.CodeConfig, "the directory does not name cell %s", cell)
	}
	admin, err := verify.DecodePublicKey(d.Admin)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the directory's administrator key is not usable")
	}
	w, err := verify.ParseWitnessPolicy([]byte(c.WitnessPolicy))
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the directory's witness policy is not usable")
	}
	return &Trust{cell, admin, c.LedgerKey, w}, nil
}

// A Link is one certified key set and where it stands in the ledger.
type Link struct {
	Certificate []byte // canonical, see package quorum
	Order       []byte // JSON of the [verify.Statement] with the [verify.CeremonyOrder] of a first ceremony; empty when resharing
	Opening     []byte // JSON of the [verify.CaseOpening] of its entry
	Proof       []byte // C2SP tlog-proof of that entry
}

// Follow returns the newest key set of a chain, which goes on from have: the one
// accepted last, nil before the first. Links of epochs before it are passed
// over, and the one of its own epoch must be the same. Epochs have no gap. A
// chain that brings nothing newer returns have.
//
// Errors have code bad_proof and say which epoch does not hold; nothing of the
// chain counts then.
func (t *Trust) Follow(have *quorum.KeySet, links []Link) (*quorum.KeySet, error) {
	if len(links) > MaxEpochs {
		return nil, bonded.Errorf(bonded.CodeTooLarge, "a chain has at most %d key sets", MaxEpochs)
	}
	last := uint64(0)
	for i := range links {
		c, err := quorum.ParseCertificate(links[i].Certificate)
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeProof, err, fmt.Sprintf("certificate %d of the custodians is malformed", i+1))
		}
		ks := c.KeySet()
		switch {
		case i > 0 && ks.Epoch() != last+1:
			return nil, bonded.Errorf(bonded.CodeProof, "the custodians' epoch %d stands after epoch %d", ks.Epoch(), last)
		case have != nil && ks.Epoch() == have.Epoch() && ks.Digest() != have.Digest():
			return nil, bonded.Errorf(bonded.CodeProof, "another key set of epoch %d was accepted before", ks.Epoch())
		case have == nil || ks.Epoch() > have.Epoch():
			if err := t.check(&links[i], c, have); err != nil {
				return nil, bonded.Wrap(bonded.CodeProof, err, fmt.Sprintf("the custodians' key set of epoch %d does not hold", ks.Epoch()))
			}
			have = ks
		}
		last = ks.Epoch()
	}
	return have, nil
}

// check holds one link against the key set before it.
func (t *Trust) check(l *Link, c *quorum.Certificate, before *quorum.KeySet) error {
	ks := c.KeySet()
	if ks.Cell() != t.Cell {
		return verify.Fail(verify.FailCell, "the key set is of cell %s", ks.Cell())
	}
	// 1. Who certified it; the first has nobody before it but the administrator.
	if err := quorum.CheckCertificate(c, before); err != nil {
		return err
	}
	if before == nil {
		if err := t.ordered(l.Order, ks); err != nil {
			return err
		}
	} else if len(l.Order) != 0 {
		return verify.Fail(verify.FailStatement, "a resharing is ordered by the custodians before it, not by a statement")
	}
	// 2. The ledger shows it to everybody.
	o, err := verify.ParseCaseOpening(l.Opening)
	if err != nil {
		return err
	}
	opened, _, err := o.CheckWitnessed(t.Cell, l.Proof, t.LedgerKey, t.Witness)
	if err != nil {
		return err
	}
	if opened.Entry.Type != verify.EntryCustody || opened.Entry.Content != c.Digest() {
		return verify.Fail(verify.FailCustody, "the entry shown is not of this certificate")
	}
	return nil
}

// ordered checks that the administrator ordered the first ceremony.
func (t *Trust) ordered(order []byte, ks *quorum.KeySet) error {
	s, err := verify.ParseStatement(order)
	if err != nil {
		return err
	}
	if err := verify.CheckCeremonyOrder(s, t.Cell, ks.Ceremony()); err != nil {
		return err
	}
	if !s.SignedBy(verify.LabelCeremony, verify.SignerAdmin, t.Admin) {
		return verify.Fail(verify.FailStatement, "the administrator of the directory did not order the ceremony")
	}
	return nil
}
