//go:build unix

package frontdoor_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	program "bonded/internal/custodian"
	"bonded/verify"
)

// signed returns a statement by somebody of the cell, whom a front door that
// lies may have on its side.
func signed(label, signer string, body any) *verify.Statement {
	st := must(verify.NewStatement(body))
	st.Sign(label, signer, testKey(signer))
	return st
}

// rule returns the rule by which a custodian refused.
func rule(err error) string {
	var e *bonded.Error
	if errors.As(err, &e) && e.Code == bonded.CodeForbidden && len(e.Rules) == 1 {
		return e.Rules[0]
	}
	return "none: " + string(bonded.CodeOf(err))
}

// TestCustodianRefusesADossierAlteredInOnePlace has the front door lie in one
// answer at a time, with the help of people of the cell where it needs theirs.
func TestCustodianRefusesADossierAlteredInOnePlace(t *testing.T) {
	c := founded(t)
	id := c.before()
	f := c.folders["firm-1"]
	door := c.client(f)
	checked, err := f.Check(c.ctx, door, id)
	c.must(err)
	if checked.People != 1 || checked.Records != 1 || checked.Envelopes != 1 || strings.Join(checked.Fields, " ") != "name passport email" {
		t.Errorf("checked: %d people, %d records, %d envelopes, fields %v", checked.People, checked.Records, checked.Envelopes, checked.Fields)
	}
	d := must(door.Dossier(c.ctx, id))
	decisions := func(st *verify.Statement) *verify.CaseDecision { return must(verify.ParseCaseDecision(st)) }
	action := func(d *apitype.CaseDossier, action, who string) int {
		return slices.IndexFunc(d.Decisions, func(s *verify.Statement) bool {
			x := decisions(s)
			return x.Action == action && (who == "" || x.Person == who)
		})
	}
	head := func(change func(*verify.Scope)) func(*apitype.CaseDossier) {
		return func(d *apitype.CaseDossier) {
			s := must(verify.DecodeScopeHead(d.ScopeHead))
			change(s)
			d.ScopeHead = verify.EncodeScopeHead(s)
		}
	}
	again := func(d *apitype.CaseDossier, i int, change func(*verify.CaseDecision)) {
		x := decisions(d.Decisions[i])
		change(x)
		d.Decisions[i] = signed(verify.LabelDecision, x.Person, x)
	}
	dossiers := map[string]struct {
		rule   string
		change func(*apitype.CaseDossier)
	}{
		"of another case":              {"custodian.dossier", func(d *apitype.CaseDossier) { d.Case.Case.ID = bonded.NewID() }},
		"without its entry":            {"custodian.dossier", func(d *apitype.CaseDossier) { d.Opening = nil }},
		"with an altered request":      {"custodian.verify.", func(d *apitype.CaseDossier) { d.Request.Body[len(d.Request.Body)/2] ^= 1 }},
		"with an unregistered officer": {"custodian.verify.", func(d *apitype.CaseDossier) { d.Registry = drop(d.Registry, "officer") }},
		"with an entry nobody confirmed": {"custodian.verify.", func(d *apitype.CaseDossier) {
			d.Officer.Signatures = slices.DeleteFunc(d.Officer.Signatures, func(s verify.Signature) bool { return s.Signer != verify.SignerAdmin })
		}},
		"with an entry no registrar signed": {"custodian.verify.", func(d *apitype.CaseDossier) {
			d.Officer.Signatures = slices.DeleteFunc(d.Officer.Signatures, func(s verify.Signature) bool { return s.Signer == verify.SignerAdmin })
		}},
		"with the proof of another entry": {"custodian.verify.", func(d *apitype.CaseDossier) {
			d.Registry[0].Opening, d.Registry[0].Proof = d.Registry[1].Opening, d.Registry[1].Proof
		}},
		"with a proof of nobody":           {"custodian.register", func(d *apitype.CaseDossier) { d.Registry[0].ID = "nobody" }},
		"whose entry is not in the ledger": {"custodian.verify.", func(d *apitype.CaseDossier) { d.Proof = d.Registry[0].Proof }},
		"whose entry is another event": {"custodian.entry", func(d *apitype.CaseDossier) {
			d.Opening, d.Proof = d.Registry[0].Opening, d.Registry[0].Proof
		}},
		"without a second approval": {"custodian.two-people", func(d *apitype.CaseDossier) {
			i := action(d, "approve", "legal-2")
			d.Decisions = slices.Delete(d.Decisions, i, i+1)
		}},
		"approved for other tasks": {"custodian.two-people", func(d *apitype.CaseDossier) {
			again(d, action(d, "approve", "legal-2"), func(x *verify.CaseDecision) { x.Digest = hex.EncodeToString(make([]byte, 32)) })
		}},
		"approved by the intake": {"custodian.decision", func(d *apitype.CaseDossier) {
			again(d, action(d, "approve", "legal-2"), func(x *verify.CaseDecision) { x.Person, x.Role = "intake", "intake" })
		}},
		"approved by the officer": {"custodian.decision", func(d *apitype.CaseDossier) {
			again(d, action(d, "approve", "legal-2"), func(x *verify.CaseDecision) { x.Person, x.Role = "officer", "requester" })
		}},
		"approved in a role that is not theirs": {"custodian.decision", func(d *apitype.CaseDossier) {
			again(d, action(d, "take", ""), func(x *verify.CaseDecision) { x.Role = "legal" })
		}},
		"approved before their time": {"custodian.decision", func(d *apitype.CaseDossier) {
			again(d, action(d, "approve", "legal-2"), func(x *verify.CaseDecision) { x.Time = x.Time.AddDate(-1, 0, 0) })
		}},
		"with a decision of another case": {"custodian.decision", func(d *apitype.CaseDossier) {
			again(d, action(d, "take", ""), func(x *verify.CaseDecision) { x.Case.ID = bonded.NewID() })
		}},
		"with a decision by another's key": {"custodian.decision", func(d *apitype.CaseDossier) {
			i := action(d, "approve", "legal-2")
			x := decisions(d.Decisions[i])
			st := must(verify.NewStatement(x))
			st.Sign(verify.LabelDecision, "legal-2", testKey("legal-1"))
			d.Decisions[i] = st
		}},
		"with a decision by a stranger": {"custodian.decision", func(d *apitype.CaseDossier) {
			again(d, action(d, "approve", "legal-2"), func(x *verify.CaseDecision) { x.Person = "legal-9" })
		}},
		"that is no emergency": {"custodian.emergency", func(d *apitype.CaseDossier) {
			again(d, action(d, "proceed", ""), func(x *verify.CaseDecision) { x.Action = "emergency" })
		}},
		"narrowed by who approves": {"custodian.two-people", func(d *apitype.CaseDossier) {
			x := *decisions(d.Decisions[action(d, "approve", "legal-1")])
			x.Action, x.Digest, x.Tasks = verify.ActionNarrow, "", []verify.TaskChange{{Task: 0, FieldsWanted: []string{"name"}}}
			d.Decisions = slices.Insert(d.Decisions, 0, signed(verify.LabelDecision, "legal-1", &x))
		}},
		"for other custodians":  {"custodian.key-set", head(func(s *verify.Scope) { s.KeySet[0] ^= 1 })},
		"for another epoch":     {"custodian.key-set", head(func(s *verify.Scope) { s.Epoch++ })},
		"for another recipient": {"custodian.recipient", head(func(s *verify.Scope) { s.Recipient[0] ^= 1 })},
		"for another request":   {"custodian.scope", head(func(s *verify.Scope) { s.Request[0] ^= 1 })},
		"of another kind":       {"custodian.scope", head(func(s *verify.Scope) { s.Kind = "export" })},
		"that lives too long":   {"custodian.life", head(func(s *verify.Scope) { s.Expires += 100 * 24 * 3600 })},
		"that lives for ever":   {"custodian.life", head(func(s *verify.Scope) { s.Expires = 1 << 63 })},
		"that expires later":    {"custodian.scope", head(func(s *verify.Scope) { s.Expires++ })},
		"with a scope of noise": {"custodian.scope", func(d *apitype.CaseDossier) { d.ScopeHead = []byte("scope") }},
		"with fewer items":      {"custodian.scope", func(d *apitype.CaseDossier) { d.Items = 0 }},
	}
	for name, x := range dossiers {
		t.Run("dossier "+name, func(t *testing.T) {
			tell(c, "/dossier", x.change)
			defer c.lies.Store(nil)
			got, err := f.Check(c.ctx, door, id)
			if got != nil || !strings.HasPrefix(rule(err), x.rule) {
				t.Errorf("%s, not %s: %v", rule(err), x.rule, err)
			}
		})
	}
	item := func(change func(*verify.ScopeItem)) func(*apitype.ScopePage) {
		return func(p *apitype.ScopePage) {
			it := must(verify.DecodeScopeItem(p.Items[0]))
			change(it)
			p.Items[0] = verify.EncodeScopeItem(it)
		}
	}
	other := c.records.add(map[string]string{"name": "Eve", "email": "eve@example.org", "passport": "X"})
	pages := map[string]struct {
		rule   string
		change func(*apitype.ScopePage)
	}{
		"with another record":       {"custodian.envelope", item(func(it *verify.ScopeItem) { it.Record = other.record })},
		"with another person":       {"custodian.scope", item(func(it *verify.ScopeItem) { it.Subject = other.subject })},
		"with another version":      {"custodian.scope", item(func(it *verify.ScopeItem) { it.Fields[0].Version = bonded.NewID() })},
		"of another collection":     {"custodian.scope", item(func(it *verify.ScopeItem) { it.Collection = "payments" })},
		"of a task nobody asked":    {"custodian.scope", item(func(it *verify.ScopeItem) { it.Task = 7 })},
		"with a field not approved": {"custodian.scope", item(func(it *verify.ScopeItem) { it.Fields[0].Name = "health" })},
		"with a field as a match that matches nothing": {"custodian.scope", item(func(it *verify.ScopeItem) {
			it.Fields = append(it.Fields, verify.ScopeField{Name: "city", Version: bonded.NewID(), Custody: verify.CustodyTwoLock, Match: true})
		})},
		"with more people": {"custodian.too-many", func(p *apitype.ScopePage) {
			it := must(verify.DecodeScopeItem(p.Items[0]))
			it.Subject = other.subject
			p.Items, p.Envelopes = append(p.Items, verify.EncodeScopeItem(it)), append(p.Envelopes, p.Envelopes[0])
		}},
		"with an item left out": {"custodian.scope", func(p *apitype.ScopePage) { p.Items, p.Envelopes = nil, nil }},
		"with an item twice": {"custodian.scope", func(p *apitype.ScopePage) {
			p.Items, p.Envelopes = append(p.Items, p.Items[0]), append(p.Envelopes, p.Envelopes[0])
		}},
		"with noise":                   {"custodian.scope", func(p *apitype.ScopePage) { p.Items[0] = []byte("item") }},
		"out of order":                 {"custodian.scope", func(p *apitype.ScopePage) { p.From = 1 }},
		"without end":                  {"custodian.scope", func(p *apitype.ScopePage) { p.Next = 5 }},
		"with envelopes left out":      {"custodian.envelope", func(p *apitype.ScopePage) { p.Envelopes = nil }},
		"with an altered envelope":     {"custodian.envelope", func(p *apitype.ScopePage) { p.Envelopes[0][40] ^= 1 }},
		"with the envelope of another": {"custodian.envelope", func(p *apitype.ScopePage) { p.Envelopes[0] = other.envelope }},
		"that names another's envelope": {"custodian.envelope", func(p *apitype.ScopePage) {
			it := must(verify.DecodeScopeItem(p.Items[0]))
			it.Envelope = verify.EnvelopeHash(other.envelope)
			p.Items[0], p.Envelopes[0] = verify.EncodeScopeItem(it), other.envelope
		}},
		"with an envelope too many": {"custodian.envelope", item(func(it *verify.ScopeItem) {
			it.Envelope, it.Fields = [32]byte{}, it.Fields[:1]
		})},
	}
	for name, x := range pages {
		t.Run("scope "+name, func(t *testing.T) {
			tell(c, "/scope", func(p *apitype.ScopePage) {
				if p.From == 0 {
					x.change(p)
				}
			})
			defer c.lies.Store(nil)
			got, err := f.Check(c.ctx, door, id)
			if got != nil || rule(err) != x.rule {
				t.Errorf("%s, not %s: %v", rule(err), x.rule, err)
			}
		})
	}
	if n := must(door.Dossier(c.ctx, id)); len(n.Decisions) != len(d.Decisions) {
		t.Error("a lie stayed")
	}
	approvesAndComputes(t, c, id)
	refusesByWhoItIs(t, c)
	refusesAnEmergencyWithoutACall(t, c)
	c.clock.pass(200 * 24 * time.Hour)
	if _, err := f.Check(c.ctx, door, id); rule(err) != "custodian.expired" {
		t.Errorf("after the instrument's end: %v", err)
	}
}

func drop(proofs []apitype.RegistryProof, id string) []apitype.RegistryProof {
	return slices.DeleteFunc(proofs, func(p apitype.RegistryProof) bool { return p.ID == id })
}

// approvesAndComputes leads a case to its end: nothing is computed without the
// custodian's own approval, nor before the opening is witnessed.
func approvesAndComputes(t *testing.T, c *chamber, id bonded.CaseID) {
	t.Helper()
	compute := func(who string) (bool, error) {
		f := c.folders[who]
		return f.Compute(c.ctx, c.client(f), id)
	}
	if done, err := compute("firm-1"); done || err != nil {
		t.Errorf("computed before the approval: %t, %v", done, err)
	}
	for _, who := range []string{"firm-1", "firm-3", "independent-1"} {
		f := c.folders[who]
		door := c.client(f)
		checked := must(f.Check(c.ctx, door, id))
		must(f.Approve(c.ctx, door, checked))
		if done, err := compute(who); done || err != nil {
			t.Errorf("%s computed before the opening: %t, %v", who, done, err)
		}
	}
	c.must(c.door.Turn(c.ctx))
	if done, err := compute("firm-1"); done || err != nil {
		t.Errorf("computed before the opening is witnessed: %t, %v", done, err)
	}
	c.tick()
	// Whoever did not approve does not compute, though the quorum stands.
	if _, err := compute("firm-2"); rule(err) != "custodian.not-approved" {
		t.Errorf("computed without an own approval: %v", err)
	}
	for name, change := range map[string]func(*apitype.OpeningProof){
		"without a quorum":     func(p *apitype.OpeningProof) { p.Approvals = p.Approvals[:2] },
		"without an entry":     func(p *apitype.OpeningProof) { p.Opening = nil },
		"with another's proof": func(p *apitype.OpeningProof) { p.Proof = must(c.client(c.folders["firm-1"]).Dossier(c.ctx, id)).Proof },
		"with an approval of noise": func(p *apitype.OpeningProof) {
			p.Approvals[0] = []byte("approved")
		},
	} {
		tell(c, "/opening", change)
		if done, err := compute("firm-1"); done || !strings.HasPrefix(rule(err), "custodian.verify.") {
			t.Errorf("computed for an opening %s: %v", name, err)
		}
	}
	c.lies.Store(nil)
	for _, who := range []string{"firm-1", "firm-3", "independent-1"} {
		if done, err := compute(who); !done || err != nil {
			t.Errorf("%s: %t, %v", who, done, err)
		}
	}
	c.clock.pass(2 * time.Second)
	c.must(c.door.Turn(c.ctx))
	c.state(id, "delivered")
	if got := c.opened(id, c.fetch(id)); got["passport"] != "C01X00T47" {
		t.Errorf("opened %v", got)
	}
	var book []string
	c.must(c.folders["firm-1"].Decisions(func(d program.Decision) error { book = append(book, d.What); return nil }))
	if strings.Join(book, " ") != "approved computed" {
		t.Errorf("the book says %v", book)
	}
}

// refusesByWhoItIs has custodians that belong to who asks look at a case.
func refusesByWhoItIs(t *testing.T, c *chamber) {
	t.Helper()
	id := c.before()
	if _, err := c.folders["firm-2"].Check(c.ctx, c.client(c.folders["firm-2"]), id); err != nil {
		t.Fatal(err)
	}
	for name, conf := range map[string]program.Config{
		"the agency":         {Organisation: " bundeskriminalamt"},
		"the state":          {Organisation: "Ministry", Government: "DE"},
		"a part by their id": {ID: "legal-1", Organisation: "Else"},
	} {
		if conf.ID == "" {
			conf.ID = "somebody"
		}
		conf.Cell, conf.URL = cell, c.url
		f, err := program.Init(c.dir+"/"+bonded.NewID().Hex(), conf, c.directory, verify.SignDirectory(testKey("admin"), c.directory), program.Options{Passphrase: passphrase, Now: c.clock.Now})
		c.must(err)
		// It may read, as firm-2 does: what counts is what it finds.
		if _, err := f.Check(c.ctx, c.client(c.folders["firm-2"]), id); rule(err) != "custodian.conflict" {
			t.Errorf("a custodian with %s: %v", name, err)
		}
	}
}

func refusesAnEmergencyWithoutACall(t *testing.T, c *chamber) {
	t.Helper()
	r := c.request()
	emergency(r)
	r.Authorisation.ProcessType, r.Authorisation.TreatyRoute = "us_emergency_2702", "domestic"
	r.Authorisation.ProcessType = "eu_epoc"
	id := c.file(r)
	c.act(id, "intake", "intake", "take")
	c.must(c.door.Turn(c.ctx))
	c.act(id, "intake", "intake", "forward", func(d *verify.CaseDecision) { d.Detail = c.agency().Switchboard })
	c.act(id, "legal-1", "legal", "emergency")
	c.must(c.door.Turn(c.ctx))
	c.tick()
	f := c.folders["firm-1"]
	door := c.client(f)
	if _, err := f.Check(c.ctx, door, id); err != nil {
		t.Fatalf("an emergency with a call back: %v", err)
	}
	tell(c, "/dossier", func(d *apitype.CaseDossier) {
		for i, s := range d.Decisions {
			if x := must(verify.ParseCaseDecision(s)); x.Action == "forward" {
				x.Detail = "+1 900 555 0100"
				d.Decisions[i] = signed(verify.LabelDecision, x.Person, x)
			}
		}
	})
	if _, err := f.Check(c.ctx, door, id); rule(err) != "custodian.call-back" {
		t.Errorf("called back at a number of the request: %v", err)
	}
	c.lies.Store(nil)
}
