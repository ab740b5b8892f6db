package custodian

import (
	"context"
	"crypto/ed25519"
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
	label := labelOf(e.Kind)
	var err error
	if e.Kind == verify.RegistryPerson {
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
	keys, err := f.registrars(list)
	if err != nil {
		return nil, err
	}
	for id, key := range keys {
		if e.Statement.SignedBy(label, id, key) {
			p.SignedBy = id
			return p, nil
		}
	}
	return nil, refuse("register", "entry %s is signed by no registrar in force", e.ID)
}

// registrars returns the keys of the administrator and of the registrars in
// force, by id. The front door is not believed: a registrar's own entry is
// signed by another, and confirmed by an independent custodian.
func (f *Folder) registrars(list *apitype.RegistryList) (map[string]ed25519.PublicKey, error) {
	admin, err := verify.DecodePublicKey(f.all.Admin)
	if err != nil {
		return nil, err
	}
	keys := map[string]ed25519.PublicKey{verify.SignerAdmin: admin}
	for more := true; more; {
		more = false
		for i := range list.Entries {
			r := &list.Entries[i]
			if r.Kind != verify.RegistryPerson || r.State != "in_force" || keys[r.ID] != nil {
				continue
			}
			n, err := verify.ParsePerson(r.Statement)
			if err != nil || n.ID != r.ID || n.Cell != f.conf.Cell || n.Role != "registrar" || n.Suspended || f.now().Before(n.NotBefore) || f.now().After(n.NotAfter) {
				continue
			}
			key, err := verify.DecodePublicKey(n.Key)
			if err == nil && signedByAny(r.Statement, keys) && f.confirmed(r.Statement) {
				keys[r.ID], more = key, true
			}
		}
	}
	return keys, nil
}

func signedByAny(s *verify.Statement, keys map[string]ed25519.PublicKey) bool {
	for id, key := range keys {
		if s.SignedBy(verify.LabelPerson, id, key) {
			return true
		}
	}
	return false
}

// confirmed reports whether an independent custodian of an accepted key set
// has signed the entry of a person.
func (f *Folder) confirmed(s *verify.Statement) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.chain {
		for _, r := range a.set.Roles() {
			for i := range r.Members {
				if m := &r.Members[i]; r.Name == verify.RoleIndependent && s.SignedBy(verify.LabelPerson, verify.SignerCustodian+m.ID, m.Approval) {
					return true
				}
			}
		}
	}
	return false
}

func labelOf(kind string) string {
	if kind == verify.RegistryPerson {
		return verify.LabelPerson
	}
	return verify.LabelAgency
}

// Digest names what is to be confirmed: another wording has another digest.
func (p *Proposal) Digest() [32]byte { return p.Entry.Statement.Digest(labelOf(p.Entry.Kind)) }

// Confirm signs a proposed entry of the register, which the operator has
// looked at and verified out of band, and hands the signature in. Agreed is the
// digest of the proposal that was looked at: the list is asked anew, and
// another entry under the same id is refused with code conflict. Only
// custodians of the independent role may.
func (f *Folder) Confirm(ctx context.Context, door Door, kind, id string, agreed [32]byte) (*apitype.RegistryEntry, error) {
	if _, err := f.Refresh(ctx, door); err != nil {
		return nil, err
	}
	me := publicOf(f.Key().Seed())
	set := f.KeySet()
	if set == nil {
		return nil, &bonded.Error{Code: bonded.CodeConflict, Message: "there are no custodians in force yet", Hint: "take part in the ceremony first"}
	}
	if role, _, ok := set.Find(me); !ok || role != verify.RoleIndependent {
		return nil, &bonded.Error{
			Code: bonded.CodeForbidden, Message: "only a custodian of the role " + verify.RoleIndependent + " confirms entries of the register",
			Rules: []string{"custodian.role"}, Hint: "a custodian of that role confirms it: bonded custodians show lists them",
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
		if p := list[i].Person; p != nil && (p.ID == f.conf.ID || p.Key == verify.EncodePublicKey(me)) {
			return nil, refuse("self", "nobody confirms their own entry: another independent custodian does")
		}
		if list[i].Digest() != agreed {
			return nil, &bonded.Error{Code: bonded.CodeConflict, Field: "digest", Message: "the register shows another entry under this id than the one you agreed to", Hint: "run bonded-custodian proposals and verify it again"}
		}
		label := labelOf(kind)
		s := &verify.Statement{Body: e.Statement.Body}
		s.Sign(label, f.Person(), f.Key())
		if err := f.note(Decision{Time: f.now().UTC(), What: "confirmed", Reason: strings.Join([]string{kind, id}, " ")}); err != nil {
			return nil, err
		}
		return door.Confirm(ctx, &apitype.RegistryConfirm{Kind: kind, ID: id, Version: e.Version, Signature: s.Signatures[0]})
	}
	return nil, &bonded.Error{Code: bonded.CodeWithheld, Field: id, Message: "no such entry of the register waits for confirmation", Hint: "bonded-custodian proposals lists them"}
}
