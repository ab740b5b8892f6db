package operator

import (
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/custody"
	"bonded/internal/quorum"
	"bonded/verify"
)

// A RoleOf is one role of a ceremony in the making.
type RoleOf struct {
	Name      string
	Threshold int // how many open
	Members   []*Member
	Handover  []string // resharing: ids of old members that hand on; empty: those that stay
}

// A Ceremony is what somebody wants the custodians to hold.
type Ceremony struct {
	Kind   quorum.Kind
	Cell   bonded.CellID
	ID     bonded.ID // fresh
	Roles  []RoleOf
	Dealer *Member // for [quorum.KindDealer]
}

// Params returns the parameters of the ceremony, checked. Previous is the key
// set in force, which a resharing hands on; it is nil for a first ceremony.
// Errors have code invalid, or conflict where a ceremony of this kind makes no
// sense now.
func (c *Ceremony) Params(previous *quorum.KeySet) (*quorum.Params, error) {
	// 1. The kind fits what is in force.
	switch {
	case c.Kind == quorum.KindReshare && previous == nil:
		return nil, &bonded.Error{Code: bonded.CodeConflict, Field: "--kind", Message: "there is no key set to hand on", Hint: "hold the first ceremony with --kind dkg"}
	case c.Kind != quorum.KindReshare && previous != nil:
		return nil, &bonded.Error{
			Code: bonded.CodeConflict, Field: "--kind", Message: "the cell has a release key already: a second one would leave behind what is sealed under it",
			Hint: "hand it on with --kind reshare",
		}
	}

	// 2. Roles in the order they were named; a resharing keeps the old order.
	p := &quorum.Params{Cell: c.Cell, Ceremony: c.ID, Kind: c.Kind, Epoch: 1}
	roles := slices.Clone(c.Roles)
	if previous != nil {
		p.Epoch, p.Previous = previous.Epoch()+1, previous.Digest()
		if err := inOrder(roles, previous.Roles()); err != nil {
			return nil, err
		}
	}
	for i := range roles {
		r, err := c.role(&roles[i])
		if err != nil {
			return nil, err
		}
		p.Roles = append(p.Roles, *r)
	}

	// 3. Who deals.
	if c.Dealer != nil {
		d, err := c.Dealer.custody()
		if err != nil {
			return nil, err
		}
		p.Dealer = quorum.Dealer{ID: d.ID, Approval: d.Approval}
	}
	if previous != nil {
		for i, old := range previous.Roles() {
			h, err := handover(&old, &roles[i])
			if err != nil {
				return nil, err
			}
			p.Handover = append(p.Handover, h)
		}
	}
	return p, p.Check(previous)
}

func (c *Ceremony) role(r *RoleOf) (*quorum.Role, error) {
	out := &quorum.Role{Name: r.Name, Threshold: r.Threshold}
	if r.Threshold < 1 || r.Threshold > len(r.Members) {
		return nil, &bonded.Error{
			Code: bonded.CodeInvalid, Field: "--threshold", Message: "role " + r.Name + " has " + itoa(len(r.Members)) + " members and a threshold of " + itoa(r.Threshold),
			Hint: "name --threshold " + r.Name + "=M and at least M members",
		}
	}
	for _, m := range r.Members {
		if m.Cell != c.Cell {
			return nil, &bonded.Error{Code: bonded.CodeWrongCell, Field: "--member", Message: "custodian " + m.ID + " is of cell " + string(m.Cell) + ", and the ceremony of cell " + string(c.Cell)}
		}
		cust, err := m.custody()
		if err != nil {
			return nil, err
		}
		out.Members = append(out.Members, cust)
	}
	return out, nil
}

// inOrder puts roles in the order of the key set that is handed on.
func inOrder(roles []RoleOf, old []quorum.Role) error {
	place := func(name string) int {
		return slices.IndexFunc(old, func(r quorum.Role) bool { return r.Name == name })
	}
	for i := range roles {
		if place(roles[i].Name) < 0 {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "--member", Message: "the key set in force has no role " + roles[i].Name, Hint: "a resharing keeps the roles: the release key is their sum"}
		}
	}
	if len(roles) != len(old) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--member", Message: "a resharing names members of every role", Hint: "bonded custodians show lists the roles in force"}
	}
	slices.SortStableFunc(roles, func(a, b RoleOf) int { return place(a.Name) - place(b.Name) })
	return nil
}

// handover returns the indices of the old members that hand a role on.
func handover(old *quorum.Role, next *RoleOf) ([]uint8, error) {
	want := next.Handover
	if len(want) == 0 {
		for _, m := range next.Members {
			want = append(want, m.ID)
		}
	} else if i := slices.IndexFunc(want, func(id string) bool {
		return !slices.ContainsFunc(old.Members, func(m quorum.Custody) bool { return m.ID == id })
	}); i >= 0 {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "--handover", Message: "role " + old.Name + " has no member " + want[i], Hint: "bonded custodians show lists them"}
	}
	var out []uint8
	for i, m := range old.Members {
		if slices.Contains(want, m.ID) {
			out = append(out, uint8(i+1)) //nolint:gosec // at most 32 members
		}
	}
	if len(out) < old.Threshold {
		return nil, &bonded.Error{
			Code: bonded.CodeInvalid, Field: "--handover", Message: "role " + old.Name + " is handed on by " + itoa(len(out)) + " old members, and needs " + itoa(old.Threshold),
			Hint: "name old members who will take part with --handover " + old.Name + "=ID",
		}
	}
	return out, nil
}

// A History is the key sets of a cell, each verified.
type History struct {
	Sets    []*quorum.KeySet // oldest first
	Entries []int64          // places of their certificates in the ledger
}

// Current returns the key set in force, nil if there is none.
func (h *History) Current() *quorum.KeySet {
	if len(h.Sets) == 0 {
		return nil
	}
	return h.Sets[len(h.Sets)-1]
}

// CheckHistory verifies the certificates that a front door shows: that the
// administrator ordered the first ceremony, that each key set follows from the
// one before, and that each certificate stands in the ledger under the witness
// policy of the cell. Errors have code altered.
func CheckHistory(d *verify.Directory, cell bonded.CellID, c *apitype.CustodyChain) (*History, error) {
	h := new(History)
	if len(c.Certificates) == 0 {
		return h, nil
	}
	if c.Certificates[0].Order == nil {
		return nil, broken(verify.Fail(verify.FailCustody, "the first key set is shown without the order of its ceremony"))
	}
	chain, err := verify.NewCustodyChain(d, cell, c.Certificates[0].Order)
	if err != nil {
		return nil, broken(err)
	}
	var group custody.Chain
	for i := range c.Certificates {
		l := &c.Certificates[i]
		set, err := group.Certificate(l.Certificate)
		if err != nil {
			return nil, broken(err)
		}
		if l.Opening == nil {
			return nil, broken(verify.Fail(verify.FailEntry, "a key set is shown without its entry in the ledger"))
		}
		if err := chain.Add(set, &verify.PackageEntry{Opening: l.Opening, Proof: []byte(l.Proof)}); err != nil {
			return nil, broken(err)
		}
		h.Sets, h.Entries = append(h.Sets, group.Current()), append(h.Entries, chain.Index)
	}
	return h, nil
}

// broken words what a check found for the command line.
func broken(err error) error {
	e := &bonded.Error{Code: bonded.CodeAltered, Message: "the custodians' certificates do not hold", Err: err, Hint: "tell the custodians and the auditor; order no ceremony"}
	if f := verify.FailureOf(err); f != nil {
		e.Message += ": " + f.Message + " (" + f.Code + ")"
	}
	return e
}
