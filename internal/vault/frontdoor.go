package vault

import (
	"context"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/handover"
	"bonded/internal/wire"
	"bonded/verify"
)

// Purposes under which the front door asks.
const (
	purposeFrontDoor bonded.Purpose = "front_door"
	purposeNotice    bonded.Purpose = "notice"
)

// A Contact says which fields of which collection tell a person something. The
// language may be absent.
type Contact struct {
	Collection string
	Address    string
	Language   string
}

// checkContact holds the contact against the schema: who is told must be told
// without a case.
func (v *Vault) checkContact() error {
	k := v.cfg.Contact
	if k == (Contact{}) {
		return nil
	}
	c := v.cfg.Schema.Collections[k.Collection]
	if c == nil {
		return configError("contact.collection", "no such collection in the schema", "")
	}
	for _, name := range []string{k.Address, k.Language} {
		f := c.Fields[name]
		switch {
		case name == "" && name != k.Address:
		case f == nil:
			return configError("contact", "the collection has no such field", "name fields of the schema")
		case f.Custody == CustodyQuorum:
			return configError("contact", "a field in custody of a quorum tells nobody", "name a field in two-lock custody")
		}
	}
	return nil
}

// Records returns what the front door may ask of the vault. Everything is
// entered under the grant of the front door, with the case as its basis.
func (v *Vault) Records() handover.Records { return caseRecords{v} }

// caseRecords is the vault as the front door sees it. Its methods are in
// caserecords.go, caserelease.go, casereseal.go and freeze.go.
type caseRecords struct{ v *Vault }

// isFrontDoor reports whether a call is one that the vault itself makes for a
// case: nobody can authenticate by the grant of the front door.
func (v *Vault) isFrontDoor(call *Call) bool {
	return v.cfg.FrontDoorGrant != "" && call.Grant != nil && call.Grant.ID == v.cfg.FrontDoorGrant
}

func (v *Vault) frontDoorGrant() (*grant.Grant, error) {
	g := v.principals.Load().byID[v.cfg.FrontDoorGrant]
	now := v.now()
	if g == nil || now.Before(g.NotBefore) || !now.Before(g.NotAfter) {
		return nil, bonded.Errorf(bonded.CodeConfig, "the vault has no grant in force for the front door")
	}
	return g, nil
}

// caseCall returns a call in the name of the front door. The zero case is none.
func (v *Vault) caseCall(id bonded.CaseID, purpose bonded.Purpose) (*Call, error) {
	if id != (bonded.CaseID{}) && id.Cell != v.cfg.Cell {
		return nil, v.sameCell(id.Cell, "case")
	}
	g, err := v.frontDoorGrant()
	if err != nil {
		return nil, err
	}
	c := &Call{Grant: g, Assurance: verify.AssuranceVault, RequestID: bonded.NewID()}
	c.Why = apitype.Why{Purpose: purpose}
	if id != (bonded.CaseID{}) {
		c.Why.Basis = id.String()
	}
	return c, nil
}

// enterCase enters what a case looked at without opening it: one row for each
// part of items, of one collection.
func (v *Vault) enterCase(ctx context.Context, call *Call, op verify.Operation, collection, reason string, items []wire.Item, change func(Tx) error) error {
	c := *call
	c.Why.Reason = reason
	for first := true; first || len(items) > 0; first = false {
		n := min(len(items), verify.MaxRowItems/4)
		a := &ask{call: &c, op: op, collection: collection, items: items[:n], resolved: true}
		p := v.policy.Load()
		a.policy = p.Set().Digest()
		items = items[n:]
		with := change
		if len(items) > 0 {
			with = nil // with the last row
		}
		if _, err := v.enter(ctx, a, with); err != nil {
			return err
		}
	}
	return nil
}
