//go:build unix

package frontdoor_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/quorum"
	"bonded/internal/seal"
	"bonded/verify"
)

func ada(w *world) *row {
	return w.records.add(map[string]string{"name": "Ada Beispiel", "email": "ada@example.org", "passport": "C01X00T47", "city": "Mainz"})
}

// opened opens every item of a package as its requester does, and returns the
// values by field.
func (w *world) opened(id bonded.CaseID, b []byte) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	var digest [32]byte
	p := verify.NewPackageReader(bytes.NewReader(b))
	for {
		kind, section, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		w.must(err)
		switch kind {
		case verify.SectionOpening:
			e, err := verify.ParsePackageEntry(section)
			w.must(err)
			o, err := e.Opening.Check()
			w.must(err)
			digest = o.Entry.Scope
		case verify.SectionItem:
			it, item, err := verify.ParsePackageItem(section)
			w.must(err)
			if it.Code != "" {
				out["code"] = string(it.Code)
				continue
			}
			hash := verify.ScopeItemHash(it.Item)
			keys, err := seal.OpenFrom(w.private.Seal, verify.ReleaseInfo(id, digest), hash[:], it.Sealed)
			w.must(err)
			for i, f := range item.Fields {
				c := seal.Context{Cell: cell, Subject: item.Subject, Record: item.Record, Collection: item.Collection, Field: f.Name, Version: f.Version}
				k, err := seal.KeyFromBytes(keys[i*seal.KeySize : (i+1)*seal.KeySize])
				w.must(err)
				value, err := k.Open(it.Ciphertexts[i], c)
				w.must(err)
				if f.Custody == verify.CustodyQuorum {
					e, err := quorum.ParseEnvelope(it.Envelope)
					w.must(err)
					comb, err := quorum.ParseCombined(it.Combined)
					w.must(err)
					qk, err := w.private.Quorum.Open(e, verify.EnvelopeLabel(cell, item.Collection, item.Record, w.keys.ReleaseKey()), comb)
					w.must(err)
					c.Version = verify.EnvelopeVersion(item.Envelope)
					inner, err := seal.KeyFromBytes(qk.Field(f.Name))
					w.must(err)
					value, err = inner.Open(value, c)
					w.must(err)
				}
				out[f.Name] = string(value)
			}
		}
	}
}

func (w *world) fetch(id bonded.CaseID) []byte {
	w.t.Helper()
	body, size, err := w.door.Package(w.ctx, w.call("officer"), id)
	w.must(err)
	b, err := io.ReadAll(body)
	w.must(errors.Join(err, body.Close()))
	if int64(len(b)) != size {
		w.t.Fatalf("the package has %d bytes, announced were %d", len(b), size)
	}
	return b
}

func events(v []string) string { return strings.Join(v, " ") }

func (w *world) story(id bonded.CaseID) string {
	w.t.Helper()
	var out []string
	for _, e := range w.view(id, "legal-1").Entries {
		s := e.Event
		if e.State != "" {
			s += ">" + e.State
		}
		if e.Detail != "" {
			s += ":" + e.Detail
		}
		out = append(out, s)
	}
	return events(out)
}

func TestCaseGoesFromRequestToReleasedFieldsAndNoOthers(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	w.state(id, "awaiting_quorum")
	w.open(id)
	w.state(id, "delivered")
	got := w.opened(id, w.fetch(id))
	if len(got) != 3 || got["name"] != "Ada Beispiel" || got["passport"] != "C01X00T47" || got["email"] != "ada@example.org" {
		t.Fatalf("opened %v", got)
	}
	want := "transition>submitted:routine eu_epo transition>verifying transition>preserved freeze:held transition>under_review transition>notice_pending transition>awaiting_quorum quorum opening>opening delivery>delivered:full notice:authority"
	if s := w.story(id); s != want {
		t.Errorf("the entries are\n%s\nwant\n%s", s, want)
	}
	if n := w.records.resealed[id]; n != 1 {
		t.Errorf("%d records were resealed after delivery", n)
	}
	w.act(id, "legal-1", "legal", "close")
	w.must(w.door.Turn(w.ctx))
	w.state(id, "closed")
	if len(w.records.frozen) != 0 {
		t.Error("the freeze outlives the case")
	}

	// Once it is over its entries open, but for the person.
	w.tick()
	w.tick()
	feed, err := w.door.Openings(w.ctx, 1)
	w.must(err)
	n := 0
	for _, o := range feed.Openings {
		c, err := o.Check()
		w.must(err)
		if c.Entry.Case == id.ID {
			n++
			if !c.Shut(verify.FieldPerson) {
				t.Error("an opening shows the person")
			}
		}
	}
	if n != len(w.view(id, "legal-1").Entries) {
		t.Errorf("%d of %d entries of a case that is over are open", n, len(w.view(id, "legal-1").Entries))
	}
}

func TestNothingIsReleasedBeforeItsOpeningIsWitnessed(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	for _, c := range w.quorum() {
		w.must(w.approve(id, c, true))
	}
	w.must(w.door.Turn(w.ctx))
	w.clock.pass(10 * time.Second)
	w.must(w.door.Turn(w.ctx))
	if w.records.released[id] != 0 {
		t.Fatal("released before a slot of the ledger passed")
	}
	refusal(t, w.partials(id, w.custodians[0], nil), bonded.CodeStale, "")
	w.state(id, "opening")
}

func TestFirstRequestersOwnTwoPeopleAndCustodians(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(id, "intake", "intake", "forward")
	refusal(t, w.decide(id, "legal-1", "legal", "proceed"), bonded.CodeConflict, "")
	w.act(id, "legal-1", "legal", "approve", w.tasks(id))
	w.state(id, "under_review")
	refusal(t, w.decide(id, "legal-1", "legal", "approve", w.tasks(id)), bonded.CodeForbidden, "guard.two_people")
	w.act(id, "legal-2", "legal", "approve", w.tasks(id))
	w.state(id, "notice_pending")
}

func TestNarrowedScopeReleasesLess(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(id, "intake", "intake", "forward")
	w.act(id, "legal-1", "legal", "narrow", func(d *verify.CaseDecision) {
		d.Tasks = []verify.TaskChange{{Task: 0, FieldsWanted: []string{"name"}}}
	})
	if v := w.view(id, "officer"); v.Extra["offered"] == "" || v.Warnings != nil {
		t.Errorf("the officer sees %+v", v)
	}
	w.act(id, "officer", "requester", "accept")
	refusal(t, w.decide(id, "legal-1", "legal", "approve", w.tasks(id)), bonded.CodeForbidden, "separation.narrow_approve")
	w.act(id, "legal-2", "legal", "approve", w.tasks(id))
	w.act(id, "legal-3", "legal", "approve", w.tasks(id))
	w.act(id, "legal-2", "legal", "proceed")
	w.must(w.door.Turn(w.ctx))
	w.tick()
	w.open2(id)
	if got := w.opened(id, w.fetch(id)); len(got) != 2 || got["name"] == "" || got["email"] == "" {
		t.Fatalf("opened %v", got)
	}
}

// open2 opens a case without quorum fields.
func (w *world) open2(id bonded.CaseID) {
	w.t.Helper()
	for _, c := range w.quorum() {
		w.must(w.approve(id, c, true))
	}
	w.must(w.door.Turn(w.ctx))
	w.tick()
	w.clock.pass(2 * time.Second)
	w.must(w.door.Turn(w.ctx))
}

func TestEmergencyNeedsCallBackAndIsRatifiedOrPublished(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	r.Authorisation.ProcessType, r.Authorisation.Priority, r.Authorisation.Flags = "eu_epoc", "emergency", []string{"emergency"}
	r.Tasks[0].FieldsWanted = []string{"name"}
	id := w.file(r)
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	refusal(t, w.decide(id, "intake", "intake", "forward"), bonded.CodeForbidden, "guard.call_back_if_emergency")
	refusal(t, w.decide(id, "intake", "intake", "forward", func(d *verify.CaseDecision) { d.Detail = "+49 30 123456" }), bonded.CodeForbidden, "guard.call_back_if_emergency")
	w.act(id, "intake", "intake", "forward", func(d *verify.CaseDecision) { d.Detail = "+49 (611) 550" })
	w.act(id, "legal-1", "legal", "emergency")
	w.must(w.door.Turn(w.ctx))
	w.tick()
	w.state(id, "under_review")
	w.open2(id)
	w.state(id, "emergency_opened")
	if got := w.opened(id, w.fetch(id)); got["name"] != "Ada Beispiel" {
		t.Fatalf("opened %v", got)
	}
	w.pass(73 * time.Hour)
	w.state(id, "unratified")
	list, err := w.door.Register(w.ctx, w.call("admin"))
	w.must(err)
	for _, e := range list.Entries {
		if e.Kind == "agency" && e.State != "suspended" {
			t.Errorf("the agency is %s after an emergency without paper", e.State)
		}
	}
	if s := w.story(id); !strings.Contains(s, "opening>emergency_opened delivery:full transition>unratified") {
		t.Error(s)
	}
}

func TestGagHoldsEntriesAndNoticeAndEndsByItself(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	until := w.clock.Now().Add(4 * time.Hour)
	r.Authorisation.ProcessType, r.Authorisation.TreatyRoute = "mlat", "domestic"
	r.Authorisation.Approvals = append(r.Authorisation.Approvals, verify.LegalApproval{Kind: "issuing", Reference: "x", Approver: "BfJ", Role: "central_authority", Time: w.clock.Now()})
	r.Authorisation.Flags = []string{"secrecy_order"}
	r.Authorisation.Secrecy = &verify.Secrecy{Basis: verify.LegalBasis{Law: "StPO", Article: "101"}, From: w.clock.Now(), Until: &until, Scope: "subject"}
	id := w.file(r)
	w.act(id, "intake", "intake", "take")
	w.act(id, "intake", "intake", "forward")
	w.act(id, "legal-1", "legal", "approve", w.tasks(id))
	w.act(id, "legal-2", "legal", "approve", w.tasks(id))
	w.act(id, "legal-1", "legal", "proceed")
	w.must(w.door.Turn(w.ctx))
	w.tick()
	w.open(id)
	w.state(id, "delivered")
	w.fetch(id)
	w.act(id, "legal-1", "legal", "close")
	w.tick()
	count := func(read func(from uint64) (*apitype.OpeningFeed, error)) (n int) {
		for from := uint64(1); ; {
			feed, err := read(from)
			w.must(err)
			for _, o := range feed.Openings {
				c, err := o.Check()
				w.must(err)
				if c.Entry.Case == id.ID {
					n++
				}
				if !c.Shut(verify.FieldPerson) {
					t.Error("an opening shows the person")
				}
			}
			if len(feed.Openings) == 0 {
				return n
			}
			from = feed.Next
		}
	}
	open := func() int {
		return count(func(from uint64) (*apitype.OpeningFeed, error) { return w.door.Openings(w.ctx, from) })
	}
	closed := func() int {
		return count(func(from uint64) (*apitype.OpeningFeed, error) {
			return w.door.ClosedOpenings(w.ctx, w.call("legal-1"), from)
		})
	}
	entries := len(w.view(id, "legal-1").Entries)
	if n := closed(); n != entries {
		t.Errorf("counsel reads %d closed entries of a case of %d", n, entries)
	}
	for _, other := range []string{"intake", "guardian", "officer", "admin", "nobody"} {
		if _, err := w.door.ClosedOpenings(w.ctx, w.call(other), 1); bonded.CodeOf(err) != bonded.CodeForbidden {
			t.Errorf("%s reads closed entries: %v", other, err)
		}
	}
	if n := open(); n != 0 || len(w.outbox()) != 0 {
		t.Fatalf("%d entries are open and %d notices are out while the gag holds", n, len(w.outbox()))
	}
	w.pass(5 * time.Hour)
	w.tick()
	w.tick()
	if v := w.view(id, "legal-1"); v.Secrecy.State != "notified" || v.State != "closed" {
		t.Errorf("after its end the gag is %s, the case %s", v.Secrecy.State, v.State)
	}
	if n := open(); n == 0 || closed() != 0 {
		t.Errorf("%d entries are open after the end of the gag, and %d closed", n, closed())
	}
	if len(w.outbox()) == 0 {
		t.Error("nobody was told after the end of the gag")
	}
}

func TestPersonIsToldBeforeAndMayObject(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	r.Authorisation.ProcessType, r.Authorisation.TreatyRoute = "civil_subpoena", "domestic"
	r.Tasks[0].FieldsWanted = []string{"name"}
	id := w.file(r)
	w.act(id, "intake", "intake", "take")
	w.act(id, "intake", "intake", "forward")
	w.act(id, "legal-1", "legal", "approve", w.tasks(id))
	w.act(id, "legal-2", "legal", "approve", w.tasks(id))
	refusal(t, w.decide(id, "legal-1", "legal", "proceed"), bonded.CodeForbidden, "guard.no_notice_due")
	w.tick()
	w.tick()
	w.state(id, "challenge_window")
	if len(w.outbox()) == 0 {
		t.Fatal("the window began and nobody was told")
	}
	w.act(id, "guardian", "subject", "challenge")
	w.state(id, "challenged")
	refusal(t, w.decide(id, "legal-1", "court", "rule"), bonded.CodeInvalid, "guard.court_document")
	order := []byte("%PDF-1.7 the court's order")
	_, err := w.door.PutDocument(w.ctx, w.call("legal-1"), id, sum(order), order)
	w.must(err)
	w.act(id, "legal-1", "court", "rule", func(d *verify.CaseDecision) { d.Digest = sum(order) })
	w.state(id, "awaiting_quorum")
	w.must(w.door.Turn(w.ctx))
	w.tick()
	w.open2(id)
	w.state(id, "delivered")
	w.tick()
	if s := w.story(id); !strings.Contains(s, "notice:before transition>challenge_window transition>challenged transition>awaiting_quorum quorum opening>opening delivery>delivered:full notice:after") {
		t.Error(s)
	}
}

func TestPreservationFreezesExtendsOnceAndOpensNothing(t *testing.T) {
	w := staffed(t)
	p := ada(w)
	r := w.request()
	until := w.clock.Now().AddDate(0, 0, 59)
	r.Authorisation.ProcessType = "eu_epoc_pr"
	r.Tasks[0].Kind, r.Tasks[0].HoldUntil, r.Tasks[0].FieldsWanted = "preserve", &until, nil
	id := w.file(r)
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.state(id, "preserved")
	if got := w.records.frozen[id]; len(got) != 1 || got[0] != p.subject {
		t.Fatalf("frozen: %v", got)
	}
	w.act(id, "intake", "intake", "forward")
	w.act(id, "legal-1", "legal", "approve", w.tasks(id))
	w.state(id, "preserved")
	later := until.AddDate(0, 0, 30)
	w.act(id, "legal-1", "legal", "hold_extend", func(d *verify.CaseDecision) { d.Until = &later })
	again := later.AddDate(0, 0, 30)
	refusal(t, w.decide(id, "legal-1", "legal", "hold_extend", func(d *verify.CaseDecision) { d.Until = &again }), bonded.CodeForbidden, "hold.extend_times")
	w.pass(60 * 24 * time.Hour)
	w.state(id, "preserved")
	w.pass(30 * 24 * time.Hour)
	w.state(id, "lapsed")
	if len(w.records.frozen) != 0 || w.records.released[id] != 0 {
		t.Error("the freeze outlives its end, or something opened")
	}
	if s := w.story(id); strings.Count(s, "freeze:released") != 1 {
		t.Error(s)
	}
}

func TestReshareVoidsApprovalsOfTheOldKeySet(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	old := w.custodians
	w.must(w.approve(id, old[0], true))
	late, err := w.approval(id, old[2], true)
	w.must(err)
	w.ceremony(quorum.KindReshare, "b")
	_, err = w.door.Approve(w.ctx, w.call("custodian:"+old[2].id), id, late)
	refusal(t, err, bonded.CodeStaleShare, "")
	w.hireCustodians()
	w.settleRegister()
	if s := w.story(id); strings.Count(s, "quorum") != 3 { // two quorum events, one in awaiting_quorum
		t.Error(s)
	}
	w.open(id)
	w.state(id, "delivered")
	if got := w.opened(id, w.fetch(id)); got["passport"] != "C01X00T47" {
		t.Fatalf("opened %v", got)
	}
	if w.chains != 2 {
		t.Errorf("the chain was handed on %d times", w.chains)
	}
}

func TestCustodiansWhoNeverComputeDoNotHoldACaseForEver(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	for _, c := range w.quorum() {
		w.must(w.approve(id, c, true))
	}
	w.must(w.door.Turn(w.ctx))
	w.tick()
	w.must(w.partials(id, w.quorum()[0], nil)) // one of them
	w.pass(14 * 24 * time.Hour)
	w.state(id, "opening")
	w.pass(2 * 24 * time.Hour)
	w.state(id, "delivered")
	pkg := w.fetch(id)
	if s := w.story(id); !strings.Contains(s, "delivery>delivered:none") {
		t.Error(s)
	}
	if got := w.opened(id, pkg); len(got) != 1 || got["code"] != string(bonded.CodeBelowQuorum) {
		t.Errorf("the package gives %v", got)
	}
}

func TestLyingCustodianIsNamedAndTheCaseGoesOn(t *testing.T) {
	w := staffed(t)
	ada(w)
	id := w.file(w.request())
	w.reviewed(id)
	for _, c := range w.quorum() {
		w.must(w.approve(id, c, true))
	}
	w.tick()
	liar := w.custodians[0]
	for range 3 { // named once: lies do not fill the ledger
		err := w.partials(id, liar, func(_ int, raw []byte) []byte {
			forged := bytes.Clone(raw)
			forged[len(forged)-32] ^= 1 // the proof, still in its form
			return forged
		})
		refusal(t, err, bonded.CodeAtFault, "")
	}
	if s := w.story(id); strings.Count(s, "alarm:partial_refused: custodian firm-1") != 1 {
		t.Error(s)
	}
	for _, c := range []*custodian{w.custodians[1], w.custodians[2], w.custodians[4]} {
		w.must(w.partials(id, c, nil))
	}
	w.clock.pass(2 * time.Second)
	w.must(w.door.Turn(w.ctx))
	w.state(id, "delivered")
}
