package frontdoor

import (
	"context"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/verify"
)

// Dossier returns all that a custodian verifies before signing: statements as
// they were signed, the register with its proofs, the scope, and the witnessed
// entry that put it before them. People of the cell read it from the first day,
// without scope while there is none: whoever approves tasks computes their
// digest from the statements. Errors, for custodians: conflict while no scope
// is before them, not_witnessed while its entry is not in a cosigned checkpoint.
func (s *Service) Dossier(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID) (*apitype.CaseDossier, error) {
	now := s.now()
	if err := s.settle(ctx, id, now); err != nil {
		return nil, err
	}
	q, c, r, err := s.read(ctx, call, id, now)
	if err != nil {
		return nil, err
	}
	if r.kind == readRequester {
		return nil, withheld()
	}
	v, err := s.view(q, c, r, now)
	if err != nil {
		return nil, err
	}
	if err := s.viewEntries(ctx, q, c, r, v); err != nil {
		return nil, err
	}
	f, err := s.file(q, c)
	if err != nil {
		return nil, err
	}
	d := &apitype.CaseDossier{
		Case: *v, Request: f.statement, Decisions: f.signed, Rules: c.Rules, Documents: v.Documents, People: []*verify.Statement{},
		ScopeHead: []byte{}, Registry: []apitype.RegistryProof{},
	}
	if err := s.dossierScope(ctx, c, d); err != nil && (r.kind == readCustodian || !notYet(err)) {
		return nil, err
	}
	if err := s.dossierRegister(ctx, q, c, f, d); err != nil {
		return nil, err
	}
	return d, nil
}

// dossierScope adds the scope that is before the custodians, with the
// witnessed entry that put it there.
func (s *Service) dossierScope(ctx context.Context, c *kase, d *apitype.CaseDossier) error {
	if c.Scope == nil {
		return conflict("no scope of this case is before the custodians", "wait for it")
	}
	placed, err := s.placed(ctx, c.Scope.Entry, notWitnessed("the scope is entered and not witnessed yet"))
	if err != nil {
		return err
	}
	d.ScopeHead, d.Items, d.Opening, d.Proof = c.Scope.Head, c.Scope.Items, placed.Opening, string(placed.Proof)
	return nil
}

// notYet reports whether err says that there is no scope to show yet.
func notYet(err error) bool {
	code := bonded.CodeOf(err)
	return code == bonded.CodeConflict || code == bonded.CodeStale
}

// dossierRegister adds the agency, the officer and everybody who decided, each
// as of the version that counted then, with their registrars.
func (s *Service) dossierRegister(ctx context.Context, q frontdoorsql.Q, c *kase, f *file, d *apitype.CaseDossier) error {
	refs := []registryRef{{verify.RegistryAgency, c.row.Agency, c.AgencyV}, {verify.RegistryPerson, c.row.Officer, c.OfficerV}}
	for i := range f.rows {
		if f.rows[i].Label == verify.LabelDecision {
			refs = append(refs, registryRef{verify.RegistryPerson, f.rows[i].Person, f.rows[i].Version})
		}
	}
	entries, err := s.registryOf(ctx, q, refs)
	if err != nil {
		if isLater(err) {
			return notWitnessed("an entry of the register is not witnessed yet")
		}
		return err
	}
	for i := range entries {
		e := &entries[i]
		proof := apitype.RegistryProof{Opening: e.Entry.Opening, Proof: string(e.Entry.Proof)}
		if e.Kind == verify.RegistryAgency {
			a, err := verify.ParseAgency(e.Statement)
			if err != nil {
				return altered("register", err)
			}
			proof.ID, proof.Version, d.Agency = a.ID, a.Version, e.Statement
		} else {
			p, err := verify.ParsePerson(e.Statement)
			if err != nil {
				return altered("register", err)
			}
			proof.ID, proof.Version = p.ID, p.Version
			if p.ID == c.row.Officer && p.Version == c.OfficerV {
				d.Officer = e.Statement
			} else {
				d.People = append(d.People, e.Statement)
			}
		}
		d.Registry = append(d.Registry, proof)
	}
	return nil
}

// ScopePage returns canonical items of the scope that is before the custodians
// or was opened, from an index on, with their quorum envelopes.
func (s *Service) ScopePage(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID, from int) (*apitype.ScopePage, error) {
	q, c, r, err := s.read(ctx, call, id, s.now())
	if err != nil {
		return nil, err
	}
	if r.kind == readRequester {
		return nil, withheld()
	}
	if c.Scope == nil {
		return nil, conflict("no scope of this case is before the custodians", "wait for it")
	}
	if from < 0 || from > c.Scope.Items {
		return nil, invalid("from", "the scope has fewer items", "")
	}
	out := &apitype.ScopePage{From: from, Items: [][]byte{}}
	n := min(scopePage, c.Scope.Items-from)
	if n == 0 {
		return out, nil
	}
	envelopes, items, err := s.envelopes(ctx, q, c, from, n)
	if err != nil {
		return nil, err
	}
	for i := range items {
		out.Items = append(out.Items, verify.EncodeScopeItem(&items[i]))
	}
	if c.Scope.Sealed > 0 {
		out.Envelopes = envelopes
	}
	if from+n < c.Scope.Items {
		out.Next = from + n
	}
	return out, nil
}
