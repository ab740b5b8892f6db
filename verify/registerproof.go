package verify

import (
	"crypto/ed25519"
	"slices"
	"time"

	"bonded"
)

// EventRegistered is the event of an entry of the register that puts a version
// in force; the other one is "suspended".
const EventRegistered = "registered"

// A RegisterProof is entries of a cell's register as far as they hold: each
// stands in the ledger, signed by the administrator or a registrar, and
// confirmed by a custodian of the independent role. It does not show that no
// later version took one of them back.
type RegisterProof struct {
	Agencies map[string]*Agency
	People   map[string]*Person
	Last     int64 // highest index in the ledger among them

	chain *CustodyChain
	keys  map[string]ed25519.PublicKey // of those who may sign
}

// NewRegisterProof begins without entries.
func NewRegisterProof(d *Directory, chain *CustodyChain) (*RegisterProof, error) {
	admin, err := DecodePublicKey(d.Admin)
	if err != nil {
		return nil, Unknown(FailKey, err, "the directory has no usable key of the administrator")
	}
	return &RegisterProof{
		Agencies: map[string]*Agency{}, People: map[string]*Person{}, Last: -1,
		chain: chain, keys: map[string]ed25519.PublicKey{SignerAdmin: admin},
	}, nil
}

// Add adds an entry; the registrar who signed it comes before it. The error is
// a [Failure].
func (p *RegisterProof) Add(g *PackageRegistry) error {
	in, err := p.chain.entry(&g.Entry)
	if err != nil {
		return err
	}
	label, kind := LabelPerson, "person"
	if g.Kind == RegistryAgency {
		label, kind = LabelAgency, "agency"
	}
	if in.Entry.Type != EntryRegistry || in.Entry.Content != ContentDigest(g.Statement.Digest(label)) {
		return Fail(FailEntry, "entry %d is not of the %s whose registration is shown", in.Index, kind)
	}
	// A suspension is an entry of the same statement: it registers nobody.
	if in.Entry.Event != EventRegistered {
		return Fail(FailRegistry, "entry %d of the register does not register the %s but is of event %q", in.Index, kind, in.Entry.Event)
	}
	signed := false
	for id, key := range p.keys {
		signed = signed || g.Statement.SignedBy(label, id, key)
	}
	if !signed {
		return Fail(FailRegistry, "an entry of the register for a %s is signed by no registrar", kind)
	}
	if !p.chain.independent(g.Statement, label) {
		return Fail(FailRegistry, "an entry of the register for a %s is confirmed by no independent custodian", kind)
	}
	p.Last = max(p.Last, in.Index)
	if g.Kind == RegistryAgency {
		return p.agency(g.Statement)
	}
	return p.person(g.Statement)
}

func (p *RegisterProof) agency(s *Statement) error {
	a := new(Agency)
	if err := s.DecodeBody(a); err != nil {
		return err
	}
	if a.Format != LabelAgency || a.Cell != p.chain.cell.ID || a.ID == "" || p.Agencies[a.ID] != nil {
		return Fail(FailRegistry, "an agency is not of the cell's register, or stands twice")
	}
	p.Agencies[a.ID] = a
	return nil
}

func (p *RegisterProof) person(s *Statement) error {
	n := new(Person)
	if err := s.DecodeBody(n); err != nil {
		return err
	}
	key, err := DecodePublicKey(n.Key)
	if err != nil || n.Format != LabelPerson || n.Cell != p.chain.cell.ID || n.ID == "" || n.ID == SignerAdmin || p.People[n.ID] != nil {
		return Fail(FailRegistry, "a person is not of the cell's register, or stands twice")
	}
	p.People[n.ID] = n
	if n.Role == "registrar" && !n.Suspended {
		p.keys[n.ID] = key
	}
	return nil
}

// Officer returns who made a request and for which agency, if both may: the
// officer is a requester of the agency, in force when the request was filed,
// and the agency has the power. Neither is suspended. The error is a
// [Failure].
func (p *RegisterProof) Officer(r *CaseRequest) (*Person, *Agency, error) {
	n, a := p.People[r.Officer], p.Agencies[r.Agency]
	switch {
	case n == nil:
		return nil, nil, Fail(FailRegistry, "the officer who asks does not stand in the register")
	case a == nil:
		return nil, nil, Fail(FailRegistry, "the agency that asks does not stand in the register")
	case n.Role != "requester" || n.Agency != a.ID:
		return nil, nil, Fail(FailRegistry, "the officer does not ask for that agency")
	case n.Suspended || a.Trust == "suspended":
		return nil, nil, Fail(FailRegistry, "the officer or the agency is suspended")
	case !within(r.Filed, n.NotBefore, n.NotAfter):
		return nil, nil, Fail(FailRegistry, "the officer's registration was not in force when the request was filed")
	case !slices.Contains(a.Powers, r.Authorisation.ProcessType):
		return nil, nil, Fail(FailRegistry, "the agency has no power of the kind that it uses")
	}
	return n, a, nil
}

func within(t, from, to time.Time) bool { return !t.Before(from) && !t.After(to) }

// CheckRequest reports whether s is a request for a case of the cell, signed
// by an officer who stands in the register, and returns it. The error is a
// [Failure].
func (p *RegisterProof) CheckRequest(s *Statement, cell bonded.CellID) (*CaseRequest, *Person, *Agency, error) {
	r := new(CaseRequest)
	if err := s.DecodeBody(r); err != nil {
		return nil, nil, nil, err
	}
	if r.Format != LabelRequest {
		return nil, nil, nil, Fail(FailMalformed, "the request is not in the format %s", LabelRequest)
	}
	if r.Cell != cell {
		return nil, nil, nil, Fail(FailCell, "the request is for another cell")
	}
	n, a, err := p.Officer(r)
	if err != nil {
		return nil, nil, nil, err
	}
	key, err := DecodePublicKey(n.Key)
	if err != nil || !s.SignedBy(LabelRequest, n.ID, key) {
		return nil, nil, nil, Fail(FailStatement, "the request is not signed by the officer it names")
	}
	return r, n, a, nil
}
