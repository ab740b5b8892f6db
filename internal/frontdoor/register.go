package frontdoor

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/regulation"
	"bonded/verify"
)

// States of an entry of the register, as the tables have them. In force and
// superseded follow from time.
const (
	regProposed  = "proposed"
	regConfirmed = "confirmed"
	regSuspended = "suspended"

	trustSuspended = "suspended"
	roleRegistrar  = "registrar"
)

var (
	personRoles = []string{
		string(rules.RoleRequester), string(rules.RoleIntake), string(rules.RoleLegal), string(rules.RoleGuardian),
		string(rules.RoleCustodian), "auditor", string(rules.RoleCourt), roleRegistrar,
	}
	agencyTrusts = []string{"probation", "verified", trustSuspended}
	agencyLevels = []string{"national", "state", "local", "supranational"}
	agencyKinds  = []string{"police", "prosecutor", "court", "security_service", "regulator", "tax", "data_protection", "lender", "auditor", "private_party"}
)

// inForce returns the version of an entry that counts at a time: the newest
// one whose waiting time is over, nil if there is none. A suspension counts at
// once, and nothing before it does any more.
func (s *Service) inForce(q frontdoorsql.Q, kind, id string, at time.Time) (*frontdoorsql.Registered, error) {
	versions, err := q.Versions(kind, id)
	if err != nil {
		return nil, err
	}
	for i := range versions {
		v := &versions[i]
		if v.State == regSuspended || v.State == regConfirmed && v.InForce > 0 && v.InForce <= at.Unix() {
			return v, nil
		}
	}
	return nil, nil //nolint:nilnil // absent is no error here
}

// agency returns an agency in force, suspended ones with that trust; nil if
// there is none.
func (s *Service) agency(q frontdoorsql.Q, id string, at time.Time) (*verify.Agency, error) {
	v, err := s.inForce(q, verify.RegistryAgency, id, at)
	if v == nil || err != nil {
		return nil, err
	}
	st, err := verify.ParseStatement(v.Body)
	if err != nil {
		return nil, altered("register", err)
	}
	a, err := verify.ParseAgency(st)
	if err != nil {
		return nil, altered("register", err)
	}
	if v.State == regSuspended {
		a.Trust = trustSuspended
	}
	return a, nil
}

// person returns a person in force who is not suspended; nil if there is none.
func (s *Service) person(q frontdoorsql.Q, id string, at time.Time) (*verify.Person, error) {
	v, err := s.inForce(q, verify.RegistryPerson, id, at)
	if v == nil || err != nil || v.State == regSuspended {
		return nil, err
	}
	st, err := verify.ParseStatement(v.Body)
	if err != nil {
		return nil, altered("register", err)
	}
	p, err := verify.ParsePerson(st)
	if err != nil {
		return nil, altered("register", err)
	}
	if p.Suspended || at.Before(p.NotBefore) || at.After(p.NotAfter) {
		return nil, nil //nolint:nilnil // absent is no error here
	}
	return p, nil
}

// Person returns who somebody is by the register, as of now: code
// unauthenticated if nobody of that id is in force.
func (s *Service) Person(ctx context.Context, id string) (*verify.Person, error) {
	p, err := s.person(s.store.Read(ctx), id, s.now())
	if err == nil && p == nil {
		err = &bonded.Error{Code: bonded.CodeUnauthenticated, Field: "person", Message: "nobody of this name is in force in the register", Hint: "a registrar has the entry made; it counts once it is confirmed, witnessed and the waiting time is over"}
	}
	return p, err
}

// signer returns a person of the register with the key they act by. The
// administrator and registrars have no part in cases.
func (s *Service) signer(q frontdoorsql.Q, id string, at time.Time) (*verify.Person, ed25519.PublicKey, error) {
	if id == verify.SignerAdmin {
		return nil, nil, forbidden("separation.administrator_has_no_role", "the administrator has no part in cases", "")
	}
	p, err := s.person(q, id, at)
	if err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, nil, withheld()
	}
	if p.Role == roleRegistrar {
		return nil, nil, forbidden("separation.administrator_has_no_role", "a registrar has no part in cases", "")
	}
	key, err := verify.DecodePublicKey(p.Key)
	if err != nil {
		return nil, nil, altered("register", err)
	}
	return p, key, nil
}

// AuthenticatePerson returns the key by which somebody calls: a person in
// force, the administrator, or a custodian of the key set in force or of a
// ceremony that runs. It returns code unauthenticated for everybody else.
func (s *Service) AuthenticatePerson(ctx context.Context, id string) (ed25519.PublicKey, error) {
	q, now := s.store.Read(ctx), s.now()
	unknown := &bonded.Error{Code: bonded.CodeUnauthenticated, Message: "nobody of this name acts here", Hint: "people and custodians act once their entry in the register, or their key set, is in force"}
	if id == verify.SignerAdmin {
		return s.cfg.Admin, nil
	}
	if name, ok := strings.CutPrefix(id, verify.SignerCustodian); ok {
		if _, m, ok := s.custody.Load().custodian(name); ok {
			return m.Key, nil
		}
		key, err := s.ceremonyKey(q, name)
		if key == nil && err == nil {
			err = unknown
		}
		return key, err
	}
	p, err := s.person(q, id, now)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, unknown
	}
	key, err := verify.DecodePublicKey(p.Key)
	if err != nil {
		return nil, altered("register", err)
	}
	return key, nil
}

// TakeNonce accepts a nonce of a person once; code unauthenticated the second
// time.
func (s *Service) TakeNonce(ctx context.Context, person string, nonce [16]byte, at time.Time) error {
	fresh := false
	err := s.store.Update(ctx, func(q frontdoorsql.Q) (err error) {
		fresh, err = q.TakeNonce(person, nonce, at.Unix(), at.Add(-2*apitype.MaxPersonAge).Unix())
		return err
	})
	if err == nil && !fresh {
		err = &bonded.Error{Code: bonded.CodeUnauthenticated, Field: apitype.HeaderPerson, Message: "this proof was used before", Hint: "make one for each call"}
	}
	return err
}

// ProposeAgency enters an agency into the register, signed by a registrar. It
// counts once a custodian of the independent role has confirmed it, the entry
// is witnessed and the waiting time is over; a suspension counts at once.
func (s *Service) ProposeAgency(ctx context.Context, call *apitype.PersonCall, st *verify.Statement) (*apitype.RegistryEntry, error) {
	a, err := verify.ParseAgency(st)
	if err != nil {
		return nil, invalid("body", "not an agency in the format "+verify.LabelAgency, "")
	}
	if err := s.checkAgency(a); err != nil {
		return nil, err
	}
	return s.propose(ctx, call, st, verify.LabelAgency, &frontdoorsql.Registered{Kind: verify.RegistryAgency, ID: a.ID, Version: a.Version}, a.Trust == trustSuspended)
}

func (s *Service) checkAgency(a *verify.Agency) error {
	switch {
	case a.Cell != s.cfg.Cell:
		return &bonded.Error{Code: bonded.CodeWrongCell, Field: "cell", Message: "the entry is for another cell"}
	case !bonded.ValidName(a.ID) || a.Version == 0:
		return invalid("id", "an entry has an id of a–z, 0–9, '_', '-', '.' and a version from 1", "")
	case !visible(a.Name, 200) || !visible(a.DirectorySource, 500) || !visible(a.Switchboard, 64) || a.VerifiedAt.IsZero():
		return invalid("name", "name, directory_source, switchboard and verified_at are needed", "say where the agency was found, and by which number it is called back")
	case !regulation.KnownJurisdiction(a.Country):
		return invalid("country", "not a country code of ISO 3166-1, nor EU", "")
	case !slices.Contains(agencyLevels, a.Level) || !slices.Contains(agencyKinds, a.Kind) || !slices.Contains(agencyTrusts, a.Trust):
		return invalid("kind", "level, kind or trust is not a word of the register", "see spec/frontdoor.md")
	case a.Kind != strings.ToLower(a.Kind) || len(a.Kind) > 64:
		return invalid("kind", "not a kind of agency", "")
	}
	for _, p := range a.Powers {
		if _, ok := s.rules.Process(p); !ok {
			return invalid("powers", "the rules know no process type "+p, "")
		}
	}
	return nil
}

// ProposePerson enters a person likewise: an officer, somebody with a role at
// the cell, or the organisation of a custodian.
func (s *Service) ProposePerson(ctx context.Context, call *apitype.PersonCall, st *verify.Statement) (*apitype.RegistryEntry, error) {
	p, err := verify.ParsePerson(st)
	if err != nil {
		return nil, invalid("body", "not a person in the format "+verify.LabelPerson, "")
	}
	if err := s.checkPerson(p); err != nil {
		return nil, err
	}
	return s.propose(ctx, call, st, verify.LabelPerson, &frontdoorsql.Registered{Kind: verify.RegistryPerson, ID: p.ID, Version: p.Version}, p.Suspended)
}

func (s *Service) checkPerson(p *verify.Person) error {
	key, err := verify.DecodePublicKey(p.Key)
	switch {
	case p.Cell != s.cfg.Cell:
		return &bonded.Error{Code: bonded.CodeWrongCell, Field: "cell", Message: "the entry is for another cell"}
	case !bonded.ValidName(p.ID) || p.ID == verify.SignerAdmin || p.Version == 0:
		return invalid("id", "an entry has an id of a–z, 0–9, '_', '-', '.', other than admin, and a version from 1", "")
	case err != nil:
		return invalid("key", "not an Ed25519 public key in base64", "make it by bonded request keygen")
	case key.Equal(s.cfg.Admin):
		return invalid("key", "the administrator's key is nobody else's", "")
	case !slices.Contains(personRoles, p.Role):
		return invalid("role", "not a role of the register", "one of "+strings.Join(personRoles, ", "))
	case !visible(p.Name, 200) || !visible(p.Organisation, 200):
		return invalid("name", "name and organisation are needed", "")
	case (p.Role == string(rules.RoleRequester)) != (p.Agency != "") && p.Role != string(rules.RoleCustodian):
		return invalid("agency", "officers have an agency, and nobody else but custodians has", "")
	case p.Level < 0 || p.Level > 3:
		return invalid("level", "the ladder has levels 0 to 3", "")
	case p.NotBefore.IsZero() || !p.NotBefore.Before(p.NotAfter):
		return invalid("not_after", "an entry has a beginning and an end", "")
	}
	return nil
}

// propose keeps a new version of an entry. Whoever suspends needs no second
// hand and no waiting time; everything else does.
func (s *Service) propose(ctx context.Context, call *apitype.PersonCall, st *verify.Statement, label string, row *frontdoorsql.Registered, suspend bool) (*apitype.RegistryEntry, error) {
	now := s.now()
	var out *apitype.RegistryEntry
	err := s.store.Update(ctx, func(q frontdoorsql.Q) error {
		// 1. The caller is a registrar and signed it.
		key, err := s.registrar(q, call.Person, now)
		if err != nil {
			return err
		}
		if !st.SignedBy(label, call.Person, key) {
			return &bonded.Error{Code: bonded.CodeProof, Field: "signatures", Message: "the entry is not signed by whoever hands it in", Hint: "sign it with the registrar's key"}
		}

		// 2. It is the next version; the same one again changes nothing.
		versions, err := q.Versions(row.Kind, row.ID)
		if err != nil {
			return err
		}
		row.Digest = st.Digest(label)
		if len(versions) > 0 && versions[0].Version == row.Version && versions[0].Digest == row.Digest {
			out, err = s.registryEntry(&versions[0], now, versions)
			return err
		}
		if want := uint64(len(versions)) + 1; len(versions) > 0 && row.Version != versions[0].Version+1 || len(versions) == 0 && row.Version != want {
			return conflict("the entry has another version by now", "read the register and add one to the newest version")
		}
		if len(versions) == 0 && row.Kind == verify.RegistryPerson && s.cfg.Principal != nil && s.cfg.Principal(row.ID) {
			return conflict("something calls the vault under this id: whoever stood in the register under it would have its grant", "choose another id; a person's key is made after their entry")
		}
		if err := s.keyFree(q, st, row); err != nil {
			return err
		}

		// 3. The row, and of a suspension the entry in the ledger at once.
		row.Body, row.State, row.Proposed = st.Encode(), regProposed, now.Unix()
		if suspend {
			row.State = regSuspended
			if err := s.enterRegistry(q, row, now); err != nil {
				return err
			}
		}
		if err := q.AddRegistered(row); err != nil {
			return err
		}
		out, err = s.registryEntry(row, now, nil)
		return err
	})
	return out, err
}

// keyFree refuses a key that is somebody else's: two ids of one key would be
// two people where there is one.
func (s *Service) keyFree(q frontdoorsql.Q, st *verify.Statement, row *frontdoorsql.Registered) error {
	if row.Kind != verify.RegistryPerson {
		return nil
	}
	p, err := verify.ParsePerson(st)
	if err != nil {
		return err
	}
	all, err := s.registry(q)
	if err != nil {
		return err
	}
	taken := invalid("key", "the key is somebody else's", "everybody has a key of their own")
	for _, v := range all.versions {
		if v.person != nil && v.row.ID != row.ID && v.person.Key == p.Key {
			return taken
		}
	}
	if now := s.custody.Load(); now != nil {
		for _, r := range now.custodians.Roles {
			for _, m := range r.Members {
				if key, err := verify.DecodePublicKey(p.Key); err == nil && m.Key.Equal(key) && (m.ID != p.ID || p.Role != string(rules.RoleCustodian)) {
					return taken
				}
			}
		}
	}
	return nil
}

// registrar returns the key of somebody who may change the register.
func (s *Service) registrar(q frontdoorsql.Q, id string, now time.Time) (ed25519.PublicKey, error) {
	if id == verify.SignerAdmin {
		return s.cfg.Admin, nil
	}
	p, err := s.person(q, id, now)
	if err != nil {
		return nil, err
	}
	if p == nil || p.Role != roleRegistrar {
		return nil, forbidden("role.register", "only registrars change the register", "")
	}
	key, err := verify.DecodePublicKey(p.Key)
	if err != nil {
		return nil, altered("register", err)
	}
	return key, nil
}

// ConfirmEntry adds the signature of a custodian of the independent role to a
// proposed entry, and with it the entry in the ledger.
func (s *Service) ConfirmEntry(ctx context.Context, call *apitype.PersonCall, in *apitype.RegistryConfirm) (*apitype.RegistryEntry, error) {
	now := s.now()
	role, member, ok := s.custody.Load().custodian(custodianOf(call))
	if !ok || role != verify.RoleIndependent {
		return nil, forbidden("role.confirm", "only a custodian of the independent role confirms entries of the register", "")
	}
	label := verify.LabelPerson
	if in.Kind == verify.RegistryAgency {
		label = verify.LabelAgency
	}
	var out *apitype.RegistryEntry
	err := s.store.Update(ctx, func(q frontdoorsql.Q) error {
		row, err := q.Registered(in.Kind, in.ID, in.Version)
		if err != nil {
			return err
		}
		if row == nil {
			return withheld()
		}
		if row.State != regProposed {
			out, err = s.registryEntry(row, now, nil)
			return err
		}
		st, err := verify.ParseStatement(row.Body)
		if err != nil {
			return altered("register", err)
		}
		if in.Signature.Signer != call.Person {
			return invalid("signature", "the signature is another custodian's", "sign it yourself")
		}
		st.Signatures = append(st.Signatures, in.Signature)
		if !st.SignedBy(label, call.Person, member.Key) {
			return &bonded.Error{Code: bonded.CodeProof, Field: "signature", Message: "the signature does not hold over this entry"}
		}
		row.State, row.Body = regConfirmed, st.Encode()
		if err := s.enterRegistry(q, row, now); err != nil {
			return err
		}
		if err := q.PutRegistered(row); err != nil {
			return err
		}
		out, err = s.registryEntry(row, now, nil)
		return err
	})
	if err == nil {
		s.nudge()
	}
	return out, err
}

// enterRegistry makes the entry of a version in the ledger, open to everybody
// as soon as it is witnessed.
func (s *Service) enterRegistry(q frontdoorsql.Q, row *frontdoorsql.Registered, now time.Time) error {
	event := "registered"
	if row.State == regSuspended {
		event = "suspended"
	}
	id, err := s.cfg.Book.Add(q.Tx(), &verify.CaseEntry{
		Type: verify.EntryRegistry, Event: event, State: row.State, Detail: row.Kind, Content: verify.ContentDigest(row.Digest), Time: uint64(now.Unix()), //nolint:gosec // after 1970
	})
	if err != nil {
		return err
	}
	row.Book = id
	if err := s.cfg.Book.Reveal(q.Tx(), id); err != nil {
		return err
	}
	return q.AddWork(&frontdoorsql.Work{Kind: workRegister, Due: now.Unix()})
}

// runRegister learns when entries were witnessed: from then on their waiting
// time runs.
func (s *Service) runRegister(ctx context.Context, w *frontdoorsql.Work) error {
	rows, err := s.store.Read(ctx).Unplaced()
	if err != nil {
		return err
	}
	left := 0
	for i := range rows {
		placed, err := s.cfg.Book.Placed(ctx, rows[i].Book)
		if err != nil {
			return err
		}
		if placed == nil {
			left++
			continue
		}
		rows[i].InForce = ceil(placed.Witnessed.Add(max(0, s.cfg.Waiting)))
		if err := s.store.Update(ctx, func(q frontdoorsql.Q) error { return q.PutRegistered(&rows[i]) }); err != nil {
			return err
		}
	}
	if left > 0 {
		return errLater
	}
	return s.store.Update(ctx, func(q frontdoorsql.Q) error {
		again, err := q.Unplaced()
		if err != nil || len(again) > 0 {
			return err // one came meanwhile: the work stays
		}
		_, err = q.DropWork(w)
		return err
	})
}

// suspendAgency suspends an agency at once, by what the front door itself has
// found. Its version in force stands until a registrar registers it anew.
func (s *Service) suspendAgency(q frontdoorsql.Q, id string, now time.Time) error {
	v, err := s.inForce(q, verify.RegistryAgency, id, now)
	if err != nil || v == nil || v.State == regSuspended {
		return err
	}
	v.State = regSuspended
	if err := s.enterRegistry(q, v, now); err != nil {
		return err
	}
	v.InForce = 0
	return q.PutRegistered(v)
}

func (s *Service) registryEntry(row *frontdoorsql.Registered, now time.Time, all []frontdoorsql.Registered) (*apitype.RegistryEntry, error) {
	st, err := verify.ParseStatement(row.Body)
	if err != nil {
		return nil, altered("register", err)
	}
	return entryOf(row, st, now, all), nil
}

// entryOf is a version of an entry as it stands at a time, beside others of
// the same id.
func entryOf(row *frontdoorsql.Registered, st *verify.Statement, now time.Time, all []frontdoorsql.Registered) *apitype.RegistryEntry {
	e := &apitype.RegistryEntry{Kind: row.Kind, ID: row.ID, Version: row.Version, State: row.State, Statement: st}
	if row.InForce > 0 {
		at := time.Unix(row.InForce, 0).UTC()
		e.InForce = &at
		if row.State == regConfirmed && !now.Before(at) {
			e.State = "in_force"
		}
	}
	for i := range all {
		o := &all[i]
		if e.State == "in_force" && o.Kind == row.Kind && o.ID == row.ID && o.Version > row.Version &&
			(o.State == regSuspended || o.State == regConfirmed && o.InForce > 0 && o.InForce <= now.Unix()) {
			e.State = "superseded"
		}
	}
	return e
}

// A registryRef names a version of an entry.
type registryRef struct {
	kind, id string
	version  uint64
}

// registryOf returns entries with their proofs, each after the registrar who
// signed it.
func (s *Service) registryOf(ctx context.Context, q frontdoorsql.Q, refs []registryRef) ([]verify.PackageRegistry, error) {
	var out []verify.PackageRegistry
	seen := map[registryRef]bool{}
	var add func(ref registryRef) error
	add = func(ref registryRef) error {
		if seen[ref] {
			return nil
		}
		seen[ref] = true
		row, err := q.Registered(ref.kind, ref.id, ref.version)
		if err != nil {
			return err
		}
		if row == nil || row.Book == 0 {
			return altered("register", nil)
		}
		st, err := verify.ParseStatement(row.Body)
		if err != nil {
			return altered("register", err)
		}
		for _, sig := range st.Signatures {
			if sig.Signer == verify.SignerAdmin || strings.HasPrefix(sig.Signer, verify.SignerCustodian) {
				continue
			}
			v, err := s.inForce(q, verify.RegistryPerson, sig.Signer, time.Unix(row.Proposed, 0))
			if err != nil {
				return err
			}
			if v != nil {
				if err := add(registryRef{verify.RegistryPerson, v.ID, v.Version}); err != nil {
					return err
				}
			}
		}
		placed, err := s.placed(ctx, row.Book, errLater)
		if err != nil {
			return err
		}
		out = append(out, verify.PackageRegistry{Kind: row.Kind, Statement: st, Entry: verify.PackageEntry{Opening: placed.Opening, Proof: placed.Proof}})
		return nil
	}
	for _, ref := range refs {
		if err := add(ref); err != nil {
			return nil, err
		}
	}
	return out, nil
}
