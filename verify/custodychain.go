package verify

import (
	"bonded"

	"golang.org/x/mod/sumdb/tlog"
)

// RoleIndependent is the name of the role of custodians who are not of the
// firm: one of them confirms every entry of the register.
const RoleIndependent = "independent"

// Kinds of entries of the register.
const (
	RegistryAgency = "agency"
	RegistryPerson = "person"
)

// SignerCustodian stands before the id of a custodian where one signs a
// statement of the register.
const SignerCustodian = "custodian:"

// A CertifiedKeySet is what a certificate of the custodians says, as far as
// checks without the group of the quorum need it.
type CertifiedKeySet struct {
	Custodians *Custodians
	Content    [32]byte // digest of the certificate: field content of its entry of the ledger
	Ceremony   [32]byte // digest of the parameters of the ceremony
	Dealt      bool     // one dealer once knew the release key
}

// A CustodyChain is the certificates of a cell's custodians, from the first
// on, as far as they hold.
type CustodyChain struct {
	Sets  []*CertifiedKeySet // oldest first
	Index int64              // in the ledger, of the newest

	cell  *DirectoryCell
	order *Statement
	roots map[int64]tlog.Hash // of the checkpoints met, by size
}

// NewCustodyChain begins a chain of the cell with the order of its first
// ceremony, which the administrator of the directory must have signed. The
// error is a [Failure].
func NewCustodyChain(d *Directory, cell bonded.CellID, order *Statement) (*CustodyChain, error) {
	c, ok := d.Cell(cell)
	if !ok {
		return nil, Unknown(FailCell, nil, "the directory has no cell %s", cell)
	}
	admin, err := DecodePublicKey(d.Admin)
	if err != nil {
		return nil, Unknown(FailKey, err, "the directory has no usable key of the administrator")
	}
	if !order.SignedBy(LabelCeremony, SignerAdmin, admin) {
		return nil, Fail(FailCustody, "the first ceremony was not ordered by the administrator whom the directory names")
	}
	return &CustodyChain{Index: -1, cell: c, order: order, roots: map[int64]tlog.Hash{}}, nil
}

// Add adds the next certificate: set is what it says, checked to follow from
// the one before by whoever knows the group of the quorum, and e its entry in
// the ledger. The error is a [Failure].
func (c *CustodyChain) Add(set *CertifiedKeySet, e *PackageEntry) error {
	in, err := c.entry(e)
	if err != nil {
		return err
	}
	n := len(c.Sets)
	switch {
	case in.Entry.Type != EntryCustody || in.Entry.Content != set.Content:
		return Fail(FailEntry, "entry %d is not of certificate %d of the custodians", in.Index, n+1)
	case in.Index <= c.Index:
		return Fail(FailEntry, "certificate %d of the custodians was entered before the one it follows", n+1)
	case set.Custodians == nil || set.Custodians.Cell != c.cell.ID:
		return Fail(FailCustody, "certificate %d is of custodians of another cell", n+1)
	}
	if n == 0 {
		if err := CheckCeremonyOrder(c.order, c.cell.ID, set.Ceremony); err != nil {
			return err
		}
	}
	c.Sets, c.Index = append(c.Sets, set), in.Index
	return nil
}

// entry checks an entry, and that its checkpoint is none of a fork met before.
func (c *CustodyChain) entry(e *PackageEntry) (*WitnessedEntry, error) {
	in, err := e.Check(c.cell)
	if err != nil {
		return nil, err
	}
	return in, c.same(in.Checkpoint)
}

// same reports whether a checkpoint has the root of another one of its size.
// That is all that can be told without proofs of consistency, which monitors
// and witnesses ask for.
func (c *CustodyChain) same(cp *Checkpoint) error {
	if r, ok := c.roots[cp.Size]; ok && r != cp.Root {
		return Fail(FailForked, "two checkpoints of %d entries have different roots", cp.Size)
	}
	c.roots[cp.Size] = cp.Root
	return nil
}

// Current returns the custodians in force, nil while the chain is empty.
func (c *CustodyChain) Current() *CertifiedKeySet {
	if len(c.Sets) == 0 {
		return nil
	}
	return c.Sets[len(c.Sets)-1]
}

// independent reports whether a custodian of the independent role of any key
// set of the chain has signed s.
func (c *CustodyChain) independent(s *Statement, label string) bool {
	for _, set := range c.Sets {
		for i := range set.Custodians.Roles {
			r := &set.Custodians.Roles[i]
			if r.Name != RoleIndependent {
				continue
			}
			for j := range r.Members {
				if s.SignedBy(label, SignerCustodian+r.Members[j].ID, r.Members[j].Key) {
					return true
				}
			}
		}
	}
	return false
}

// A WitnessedEntry is an entry of a case that is opened and stands in a ledger
// under the witness policy of its cell.
type WitnessedEntry struct {
	*OpenedCase
	Checkpoint *Checkpoint
}

// Check reports whether e stands in the ledger of the cell. The error is a
// [Failure].
func (e *PackageEntry) Check(cell *DirectoryCell) (*WitnessedEntry, error) {
	vkey, policy, err := cellLog(cell)
	if err != nil {
		return nil, err
	}
	o, in, err := e.Opening.CheckWitnessed(cell.ID, e.Proof, vkey, policy)
	if err != nil {
		return nil, err
	}
	if len(in.Extra) != 0 {
		return nil, Fail(FailMalformed, "the proof of entry %d carries data that nothing vouches for", in.Index)
	}
	return &WitnessedEntry{o, in.Checkpoint}, nil
}
