package custodian

import (
	"context"
	"strings"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// A Proposal is an entry of the register that waits for a custodian of the
// independent role.
type Proposal struct {
	Entry    apitype.RegistryEntry
	Agency   *verify.Agency // nil for a person
	Person   *verify.Person // nil for an agency
	SignedBy string         // registrar
}

// Proposals returns the entries of the register that wait for confirmation and
// are signed by a registrar in force.
func (f *Folder) Proposals(ctx context.Context, door Door) ([]Proposal, error) {
	list, err := door.Register(ctx)
	if err != nil {
		return nil, err
	}
	var out []Proposal
	for _, e := range list.Entries {
		if e.State != "proposed" {
			continue
		}
		p, err := f.proposal(list, e)
		if err != nil {
			return nil, err
		}
		out = append(out, *p)
	}
	return out, nil
}

func (f *Folder) proposal(list *apitype.RegistryList, e apitype.RegistryEntry) (*Proposal, error) {
	p := &Proposal{Entry: e}
	label := verify.LabelAgency
	var err error
	if e.Kind == verify.RegistryPerson {
		label = verify.LabelPerson
		p.Person, err = verify.ParsePerson(e.Statement)
	} else {
		p.Agency, err = verify.ParseAgency(e.Statement)
	}
	if err != nil {
		return nil, notHeld(err)
	}
	if p.Person != nil && (p.Person.ID != e.ID || p.Person.Cell != f.conf.Cell) || p.Agency != nil && (p.Agency.ID != e.ID || p.Agency.Cell != f.conf.Cell) {
		return nil, refuse("register", "the register shows entry %s under another name or of another cell", e.ID)
	}
	admin, err := verify.DecodePublicKey(f.all.Admin)
	if err != nil {
		return nil, err
	}
	if e.Statement.SignedBy(label, verify.SignerAdmin, admin) {
		p.SignedBy = verify.SignerAdmin
		return p, nil
	}
	for i := range list.Entries {
		r := &list.Entries[i]
		if r.Kind != verify.RegistryPerson || r.State != "in_force" {
			continue
		}
		n, err := verify.ParsePerson(r.Statement)
		if err != nil || n.Role != "registrar" || n.Suspended {
			continue
		}
		if key, err := verify.DecodePublicKey(n.Key); err == nil && e.Statement.SignedBy(label, n.ID, key) {
			p.SignedBy = n.ID
			return p, nil
		}
	}
	return nil, refuse("register", "entry %s is signed by no registrar in force", e.ID)
}

// Confirm signs a proposed entry of the register, which the operator has
// looked at and verified out of band, and hands the signature in. Only
// custodians of the independent role may.
func (f *Folder) Confirm(ctx context.Context, door Door, kind, id string) (*apitype.RegistryEntry, error) {
	if _, err := f.Refresh(ctx, door); err != nil {
		return nil, err
	}
	if set := f.KeySet(); set != nil {
		if role, _, ok := set.Find(publicOf(f.Key().Seed())); !ok || role != verify.RoleIndependent {
			return nil, refuse("role", "only a custodian of the role %s confirms entries of the register", verify.RoleIndependent)
		}
	}
	list, err := f.Proposals(ctx, door)
	if err != nil {
		return nil, err
	}
	for i := range list {
		e := &list[i].Entry
		if e.Kind != kind || e.ID != id {
			continue
		}
		label := verify.LabelAgency
		if kind == verify.RegistryPerson {
			label = verify.LabelPerson
		}
		s := &verify.Statement{Body: e.Statement.Body}
		s.Sign(label, f.Person(), f.Key())
		if err := f.note(Decision{Time: f.now().UTC(), What: "confirmed", Reason: strings.Join([]string{kind, id}, " ")}); err != nil {
			return nil, err
		}
		return door.Confirm(ctx, &apitype.RegistryConfirm{Kind: kind, ID: id, Version: e.Version, Signature: s.Signatures[0]})
	}
	return nil, &bonded.Error{Code: bonded.CodeWithheld, Field: id, Message: "no such entry of the register waits for confirmation", Hint: "bonded-custodian proposals lists them"}
}
