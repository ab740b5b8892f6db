//go:build unix

package frontdoor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/frontdoor"
	"bonded/verify"
)

func TestNobodyHasTwoPartsInACase(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(id, "intake", "intake", "forward")

	// Whoever was intake becomes legal in the register, and is still intake here.
	p := w.person("intake", "legal", "")
	p.Version = 2
	w.hire(p)
	w.settleRegister()
	refusal(t, w.decide(id, "intake", "legal", "clarify"), bonded.CodeForbidden, "separation.one_of")

	// The role of a decision is the one in the register.
	refusal(t, w.decide(id, "legal-1", "intake", "take"), bonded.CodeForbidden, "role.take")
	refusal(t, w.decide(id, "guardian", "guardian", "approve"), bonded.CodeForbidden, "role.approve")
}

func TestAdministratorAndRegistrarsHaveNoPart(t *testing.T) {
	w := staffed(t)
	id := w.file(w.request())
	_, err := w.door.Case(w.ctx, w.call("admin"), id)
	refusal(t, err, bonded.CodeWithheld, "")
	w.hire(w.person("registrar", "registrar", ""))
	w.settleRegister()
	_, err = w.door.Case(w.ctx, w.call("registrar"), id)
	refusal(t, err, bonded.CodeWithheld, "")
}

func TestOutsidersCannotTellAbsentFromForbidden(t *testing.T) {
	w := staffed(t)
	w.hire(w.person("officer-2", "requester", "bka"))
	w.settleRegister()
	id := w.file(w.request())
	_, mine := w.door.Case(w.ctx, w.call("officer-2"), id)
	_, absent := w.door.Case(w.ctx, w.call("officer-2"), bonded.CaseID{Cell: cell, ID: bonded.NewID()})
	a, b := refusal(t, mine, bonded.CodeWithheld, ""), refusal(t, absent, bonded.CodeWithheld, "")
	if a.Error() != b.Error() || a.Hint != b.Hint {
		t.Errorf("%v and %v differ", a, b)
	}
	for _, err := range []error{
		second(w.door.Document(w.ctx, w.call("officer-2"), id, sum(instrument))),
		second(w.door.Dossier(w.ctx, w.call("officer-2"), id)),
		second(w.door.Dossier(w.ctx, w.call("custodian:firm-1"), id)), // nothing is before them yet
		second(w.door.OpeningProof(w.ctx, w.call("officer-2"), id)),
		w.decide(id, "officer-2", "requester", "withdraw"),
	} {
		refusal(t, err, bonded.CodeWithheld, "")
	}
	if v := w.view(id, "officer"); v.Warnings != nil || v.Extra["tasks"] != "" {
		t.Errorf("the officer sees %+v", v)
	}
}

func second[T any](_ T, err error) error { return err }

func TestCustodianOfTheRequesterOrItsGovernmentDoesNotDecide(t *testing.T) {
	w := staffed(t)
	ada(w)
	lka := w.agency()
	lka.ID, lka.Name = "lka", "Landeskriminalamt"
	w.register(verify.RegistryAgency, verify.LabelAgency, "lka", 1, lka)
	same := w.person("firm-1", "custodian", "bka")
	same.Version = 2
	chain := w.person("firm-2", "custodian", "lka")
	chain.Version = 2
	w.hire(same, chain)
	w.settleRegister()
	id := w.file(w.request())
	w.reviewed(id)
	refusal(t, w.approve(id, w.custodians[0], true), bonded.CodeForbidden, "separation.custodian_not_of_requester")
	refusal(t, w.approve(id, w.custodians[1], true), bonded.CodeForbidden, "separation.custodian_not_of_requester")
	w.must(w.approve(id, w.custodians[2], true))
	refusal(t, w.approve(id, w.custodians[2], true), bonded.CodeConflict, "")
}

func TestCustodianOfUnknownOrganisationDoesNotDecide(t *testing.T) {
	w := newWorld(t)
	w.ceremony(1, "")
	w.register(verify.RegistryAgency, verify.LabelAgency, "bka", 1, w.agency())
	w.hire(w.person("officer", "requester", "bka"), w.person("intake", "intake", ""), w.person("legal-1", "legal", ""), w.person("legal-2", "legal", ""))
	w.settleRegister()
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	refusal(t, w.approve(id, w.custodians[0], true), bonded.CodeForbidden, "separation.custodian_organisation")
}

func TestRefusalsThatLeaveNoQuorumEndTheCase(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	w.must(w.approve(id, w.custodians[0], false))
	w.state(id, "awaiting_quorum")
	w.must(w.approve(id, w.custodians[1], false))
	w.state(id, "lapsed")
	if s := w.story(id); !strings.HasSuffix(s, "refusal:firm refusal:firm transition>lapsed:quorum_refused freeze:released") {
		t.Error(s)
	}
	if v := w.view(id, "legal-1"); len(v.Approvals) != 2 || v.Approvals[0].Reason == "" {
		t.Errorf("operators see %+v", v.Approvals)
	}
	if v := w.view(id, "officer"); len(v.Approvals) != 0 {
		t.Error("the officer sees who refused")
	}
}

func TestVaultThatShowsMoreThanAskedIsRefused(t *testing.T) {
	for name, change := range map[string]func(items []verify.ScopeItem) []verify.ScopeItem{
		"another field": func(items []verify.ScopeItem) []verify.ScopeItem {
			items[0].Fields = append(items[0].Fields, verify.ScopeField{Name: "city", Version: bonded.NewID(), Custody: verify.CustodyTwoLock})
			return items
		},
		"another person": func(items []verify.ScopeItem) []verify.ScopeItem {
			it := items[0]
			it.Subject, it.Record = bonded.NewID(), bonded.NewID()
			return append(items, it)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := staffed(t)
			ada(w)
			w.records.extra = change
			id := w.file(w.request())
			w.reviewed(id)
			if v := w.view(id, "legal-1"); v.Scope != "" || v.State != "awaiting_quorum" {
				t.Errorf("a scope with %s is before the custodians", name)
			}
			w.records.extra = nil
			w.clock.pass(time.Hour)
			w.tick()
			if v := w.view(id, "legal-1"); v.Scope == "" {
				t.Error("and the case did not go on once the vault was honest")
			}
		})
	}
}

func TestTargetThatNamesSeveralPeopleNamesNone(t *testing.T) {
	w := staffed(t)
	ada(w)
	w.records.add(map[string]string{"name": "Otto", "email": "otto@example.org", "city": "Mainz"})
	r := w.request()
	r.Tasks[0].Targets[0] = verify.CaseTarget{Format: "city", Value: "Mainz"}
	r.Tasks[0].MaxSubjects = 5
	id := w.file(r)
	w.reviewed(id)
	w.state(id, "lapsed")
	if v := w.view(id, "legal-1"); v.RejectCode != "not_enough_to_identify" || w.records.released[id] != 0 {
		t.Errorf("%s, released %d", v.RejectCode, w.records.released[id])
	}
}

func TestNobodyFoundIsDeliveredAsNothing(t *testing.T) {
	w := staffed(t)
	id := w.file(w.request())
	w.reviewed(id)
	w.open2(id)
	w.state(id, "delivered")
	if v := w.view(id, "officer"); v.Extra["outcome"] != "none" {
		t.Errorf("outcome %s", v.Extra["outcome"])
	}
	if got := w.opened(id, w.fetch(id)); len(got) != 0 {
		t.Errorf("opened %v", got)
	}
}

func TestDecisionOnAnOldStateIsAConflict(t *testing.T) {
	w := staffed(t)
	id := w.file(w.request())
	v := w.view(id, "intake")
	w.act(id, "intake", "intake", "take")
	old := func(d *verify.CaseDecision) { d.State, d.Number = v.State, v.Number }
	refusal(t, w.decide(id, "intake", "intake", "take", old), bonded.CodeConflict, "")
	refusal(t, w.decide(id, "intake", "intake", "take", func(d *verify.CaseDecision) { d.Time = d.Time.Add(-time.Hour) }), bonded.CodeInvalid, "")
	refusal(t, w.decide(id, "intake", "intake", "shred"), bonded.CodeInvalid, "")
}

func TestForgedEmergencyIsMarkedAndItsAgencySuspendedAtOnce(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	emergency(r)
	id := w.file(r)
	w.act(id, "intake", "intake", "take")
	w.act(id, "intake", "intake", "fraud")
	w.act(id, "intake", "intake", "reject", func(d *verify.CaseDecision) { d.Code = "not_authenticated" })
	w.state(id, "rejected")
	_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(w.request(), "officer"))
	refusal(t, err, bonded.CodeRefusedRequest, "not_authenticated")
	if s := w.story(id); !strings.Contains(s, "alarm:fraud") || !strings.Contains(s, "transition>rejected:not_authenticated") {
		t.Error(s)
	}
}

// suspendAgency has the administrator suspend the agency of the requests.
func (w *world) suspendAgency() {
	w.t.Helper()
	a := w.agency()
	a.Version, a.Trust = 2, "suspended"
	st, err := verify.NewStatement(a)
	w.must(err)
	st.Sign(verify.LabelAgency, verify.SignerAdmin, testKey("admin"))
	_, err = w.door.ProposeAgency(w.ctx, w.call("admin"), st)
	w.must(err)
}

func TestForgeryFoundWhileCustodiansDecideOpensNothing(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	emergency(r)
	r.Tasks[0].FieldsWanted = []string{"name"}
	id := w.file(r)
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(id, "intake", "intake", "forward", func(d *verify.CaseDecision) { d.Detail = "+49 (611) 550" })
	w.act(id, "legal-1", "legal", "emergency")
	w.must(w.door.Turn(w.ctx))
	w.tick()
	w.act(id, "intake", "intake", "fraud")
	w.tick()
	var last error
	for _, c := range w.quorum() {
		last = w.approve(id, c, true)
	}
	refusal(t, last, bonded.CodeForbidden, "case.forged")
	w.must(w.door.Turn(w.ctx))
	w.state(id, "under_review")
	if n := w.records.released[id]; n != 0 {
		t.Errorf("released %d", n)
	}
}

func TestAgencySuspendedAfterReviewGetsNothing(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	w.suspendAgency()
	var last error
	for _, c := range w.quorum() {
		last = w.approve(id, c, true)
	}
	refusal(t, last, bonded.CodeForbidden, "guard.agency_verified")
	w.state(id, "awaiting_quorum")
	if n := w.records.released[id]; n != 0 {
		t.Errorf("released %d", n)
	}
}

func TestAgencySuspendedUnderReviewGoesNoFurther(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(id, "intake", "intake", "forward")
	if v := w.view(id, "legal-1"); len(v.Warnings) != 0 {
		t.Errorf("warnings of an agency in force: %v", v.Warnings)
	}
	w.act(id, "legal-1", "legal", "approve", w.tasks(id))
	w.suspendAgency()
	refusal(t, w.decide(id, "legal-2", "legal", "approve", w.tasks(id)), bonded.CodeForbidden, "guard.agency_verified")
	w.state(id, "under_review")
	if v := w.view(id, "legal-1"); !slices.Contains(v.Warnings, "guard.agency_verified") {
		t.Errorf("counsel is warned of %v", v.Warnings)
	}
	_, err := w.door.ListCases(w.ctx, w.call("legal-1"), "under_reviw", "")
	if e := refusal(t, err, bonded.CodeInvalid, ""); !strings.Contains(e.Hint, "under_review") {
		t.Errorf("hint %q", e.Hint)
	}
}

func TestAgencySuspendedAfterDeliveryFetchesNothing(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	r.Tasks[0].FieldsWanted = []string{"name"}
	id := w.file(r)
	w.reviewed(id)
	w.open2(id)
	w.state(id, "delivered")
	w.suspendAgency()
	_, _, err := w.door.Package(w.ctx, w.call("officer"), id)
	refusal(t, err, bonded.CodeForbidden, "guard.agency_verified")
}

func TestOfficerWhoHasLeftTheAgencyReadsNoCaseOfIt(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	r.Tasks[0].FieldsWanted = []string{"name"}
	id := w.file(r)
	w.reviewed(id)
	w.open2(id)
	w.state(id, "delivered")
	other := w.agency()
	other.ID, other.Name = "lka", "Landeskriminalamt"
	w.register(verify.RegistryAgency, verify.LabelAgency, "lka", 1, other)
	p := w.person("officer", "requester", "lka")
	p.Version = 2
	w.hire(p)
	w.settleRegister()
	_, _, err := w.door.Package(w.ctx, w.call("officer"), id)
	refusal(t, err, bonded.CodeWithheld, "")
	_, err = w.door.Case(w.ctx, w.call("officer"), id)
	refusal(t, err, bonded.CodeWithheld, "")
	_, err = w.door.Document(w.ctx, w.call("officer"), id, sum(instrument))
	refusal(t, err, bonded.CodeWithheld, "")
	if l, err := w.door.ListCases(w.ctx, w.call("officer"), "", ""); err != nil || len(l.Cases) != 0 {
		t.Errorf("they are listed %v, %v", l, err)
	}
}

func TestOfficersDocumentsLeaveRoomForTheOrderOfACourt(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	put := func(as, body string) error {
		_, err := w.door.PutDocument(w.ctx, w.call(as), id, sum([]byte(body)), []byte(body))
		return err
	}
	for i := 1; i < frontdoor.MaxDocuments; i++ {
		w.must(put("officer", fmt.Sprint("chaff ", i)))
	}
	refusal(t, put("officer", "one more"), bonded.CodeTooLarge, "")
	w.must(put("officer", "chaff 1"))
	w.must(put("legal-1", "an order of the court"))
	refusal(t, put("officer", "one more"), bonded.CodeTooLarge, "")
}

func TestNobodyIsRegisteredUnderTheIdOfAGrant(t *testing.T) {
	w := staffed(t)
	propose := func(p *verify.Person) error {
		st, err := verify.NewStatement(p)
		w.must(err)
		st.Sign(verify.LabelPerson, verify.SignerAdmin, testKey("admin"))
		_, err = w.door.ProposePerson(w.ctx, w.call("admin"), st)
		return err
	}
	refusal(t, propose(w.person("shop", "auditor", "")), bonded.CodeConflict, "")
	// Who stands there already may have a grant, and a new version.
	w.granted = true
	p := w.person("legal-1", "legal", "")
	p.Version = 2
	w.must(propose(p))
}

func TestDraftsOfOneOfficerAreBounded(t *testing.T) {
	w := staffed(t)
	for i := range frontdoor.MaxDrafts + 1 {
		r := w.request()
		r.Authorisation.Reference = fmt.Sprint("case ", i)
		_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "officer"))
		if i < frontdoor.MaxDrafts {
			w.must(err)
			continue
		}
		refusal(t, err, bonded.CodeRateLimited, "")
	}
}

func TestRegisterNeedsTwoHandsAndSuspendsByOne(t *testing.T) {
	w := staffed(t)
	p := w.person("legal-9", "legal", "")
	st, err := verify.NewStatement(p)
	w.must(err)
	st.Sign(verify.LabelPerson, "legal-1", testKey("legal-1"))
	_, err = w.door.ProposePerson(w.ctx, w.call("legal-1"), st)
	refusal(t, err, bonded.CodeForbidden, "role.register")
	st.Sign(verify.LabelPerson, verify.SignerAdmin, testKey("admin"))
	_, err = w.door.ProposePerson(w.ctx, w.call("admin"), st)
	w.must(err)
	refusal(t, w.confirm(verify.RegistryPerson, verify.LabelPerson, "legal-9", 1, st, "firm-1"), bonded.CodeForbidden, "role.confirm")
	_, err = w.door.AuthenticatePerson(w.ctx, "legal-9")
	refusal(t, err, bonded.CodeUnauthenticated, "")
	w.must(w.confirm(verify.RegistryPerson, verify.LabelPerson, "legal-9", 1, st, "independent-2"))
	_, err = w.door.AuthenticatePerson(w.ctx, "legal-9")
	refusal(t, err, bonded.CodeUnauthenticated, "") // not witnessed yet
	w.settleRegister()
	key, err := w.door.AuthenticatePerson(w.ctx, "legal-9")
	w.must(err)
	if !key.Equal(public("legal-9")) {
		t.Error("another key")
	}
	p.Version, p.Suspended = 2, true
	st, err = verify.NewStatement(p)
	w.must(err)
	st.Sign(verify.LabelPerson, verify.SignerAdmin, testKey("admin"))
	_, err = w.door.ProposePerson(w.ctx, w.call("admin"), st)
	w.must(err)
	_, err = w.door.AuthenticatePerson(w.ctx, "legal-9")
	refusal(t, err, bonded.CodeUnauthenticated, "")

	// Nobody takes another's key.
	q := w.person("legal-10", "legal", "")
	q.Key = verify.EncodePublicKey(public("legal-1"))
	st, err = verify.NewStatement(q)
	w.must(err)
	st.Sign(verify.LabelPerson, verify.SignerAdmin, testKey("admin"))
	_, err = w.door.ProposePerson(w.ctx, w.call("admin"), st)
	if e := refusal(t, err, bonded.CodeInvalid, ""); e.Field != "key" {
		t.Errorf("field %s", e.Field)
	}
}

func TestCustodianNoLongerInForceDoesNotReadTheRegister(t *testing.T) {
	w := staffed(t)
	_, err := w.door.Register(w.ctx, w.call("custodian:firm-1"))
	w.must(err)
	_, err = w.door.Register(w.ctx, w.call("custodian:firm-9"))
	refusal(t, err, bonded.CodeWithheld, "")
}

func TestNonceOfAPersonCountsOnce(t *testing.T) {
	w := newWorld(t)
	n := [16]byte{1}
	w.must(w.door.TakeNonce(w.ctx, "officer", n, w.clock.Now()))
	w.must(w.door.TakeNonce(w.ctx, "legal", n, w.clock.Now()))
	refusal(t, w.door.TakeNonce(w.ctx, "officer", n, w.clock.Now()), bonded.CodeUnauthenticated, "")
}

func TestForeignAgencyNeedsATreatyRoute(t *testing.T) {
	w := staffed(t)
	ada(w)
	a := w.agency()
	a.ID, a.Name, a.Country, a.Powers = "doj", "Department of Justice", "US", []string{"mlat"}
	w.register(verify.RegistryAgency, verify.LabelAgency, "doj", 1, a)
	w.hire(w.person("officer-us", "requester", "doj"))
	w.settleRegister()
	for route, want := range map[string]string{"direct_foreign": "wrong_cell", "domestic": "manifest_error", "mlat": ""} {
		r := w.request()
		r.Officer, r.Agency = "officer-us", "doj"
		r.Authorisation.ProcessType, r.Authorisation.Jurisdiction, r.Authorisation.TreatyRoute = "mlat", "US", route
		r.Authorisation.Approvals = append(r.Authorisation.Approvals, verify.LegalApproval{Kind: "issuing", Reference: "x", Approver: "BfJ", Role: "central_authority", Time: w.clock.Now()})
		_, err := w.door.FileCase(w.ctx, w.call("officer-us"), w.sign(r, "officer-us"))
		if want == "" {
			w.must(err)
			continue
		}
		refusal(t, err, bonded.CodeRefusedRequest, want)
	}
}
