//go:build unix

package frontdoor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor"
	"bonded/verify"
)

// TestEachBadRequestIsRefusedWithItsCodeAndPlace is the table of what is
// refused at the door.
func TestEachBadRequestIsRefusedWithItsCodeAndPlace(t *testing.T) {
	w := staffed(t, func(c *frontdoor.Config) { c.DoorRefusal = 1000 })
	ada(w)
	now := w.clock.Now()
	at := func(d time.Duration) *time.Time { v := now.Add(d); return &v }
	const day = 24 * time.Hour
	table := map[string]struct {
		code, field string
		change      func(*verify.CaseRequest)
	}{
		"no task":                  {"bulk", "tasks", func(r *verify.CaseRequest) { r.Tasks = nil }},
		"no target":                {"bulk", "tasks[0].targets", func(r *verify.CaseRequest) { r.Tasks[0].Targets = nil }},
		"an empty target":          {"bulk", "tasks[0].targets[0].value", func(r *verify.CaseRequest) { r.Tasks[0].Targets[0].Value = " " }},
		"a pattern as target":      {"bulk", "tasks[0].targets[0].value", func(r *verify.CaseRequest) { r.Tasks[0].Targets[0].Value = "*@example.org" }},
		"more people than allowed": {"bulk", "tasks[0].max_subjects", func(r *verify.CaseRequest) { r.Tasks[0].MaxSubjects = 1001 }},
		"a star in the fields":     {"too_broad", "tasks[0].fields_wanted[1]", func(r *verify.CaseRequest) { r.Tasks[0].FieldsWanted = []string{"name", "*"} }},
		"more targets than people": {"too_broad", "tasks[0].targets", func(r *verify.CaseRequest) {
			r.Tasks[0].Targets = append(r.Tasks[0].Targets, verify.CaseTarget{Format: "email", Value: "b@example.org"})
		}},
		"no field":                  {"incomplete", "tasks[0].fields_wanted", func(r *verify.CaseRequest) { r.Tasks[0].FieldsWanted = nil }},
		"a field that is not there": {"not_held_by_us", "tasks[0].fields_wanted[0]", func(r *verify.CaseRequest) { r.Tasks[0].FieldsWanted = []string{"nmae"} }},
		"a field twice":             {"manifest_error", "tasks[0].fields_wanted[1]", func(r *verify.CaseRequest) { r.Tasks[0].FieldsWanted = []string{"name", "name"} }},
		"a field of another class":  {"no_legal_basis", "tasks[0].fields_wanted[0]", func(r *verify.CaseRequest) { r.Tasks[0].FieldsWanted = []string{"health"} }},
		"a collection that is not":  {"not_held_by_us", "tasks[0].collection", func(r *verify.CaseRequest) { r.Tasks[0].Collection = "payments" }},
		"a class that is not opened": {"no_legal_basis", "tasks[0].data_class", func(r *verify.CaseRequest) {
			r.Authorisation.ProcessType, r.Tasks[0].DataClass = "civil_subpoena", "traffic"
		}},
		"an unknown class":            {"incomplete", "tasks[0].data_class", func(r *verify.CaseRequest) { r.Tasks[0].DataClass = "everything" }},
		"an unknown process type":     {"no_legal_basis", "authorisation.process_type", func(r *verify.CaseRequest) { r.Authorisation.ProcessType = "eu_epco" }},
		"no process type":             {"incomplete", "authorisation.process_type", func(r *verify.CaseRequest) { r.Authorisation.ProcessType = "" }},
		"a power the agency lacks":    {"wrong_authority", "authorisation.process_type", func(r *verify.CaseRequest) { r.Authorisation.ProcessType = "dpa_audit" }},
		"a process type of elsewhere": {"wrong_authority", "authorisation.process_type", func(r *verify.CaseRequest) { r.Authorisation.ProcessType = "us_emergency_2702" }},
		"another jurisdiction":        {"manifest_error", "authorisation.jurisdiction", func(r *verify.CaseRequest) { r.Authorisation.Jurisdiction = "FR" }},
		"another cell":                {"wrong_cell", "cell", func(r *verify.CaseRequest) { r.Cell = "cn" }},
		"a target of another cell": {"wrong_cell", "tasks[0].targets[0].value", func(r *verify.CaseRequest) {
			r.Tasks[0].Targets[0] = verify.CaseTarget{Format: "subject", Value: (bonded.SubjectID{Cell: "cn", ID: bonded.NewID()}).String()}
		}},
		"a mistyped id": {"not_enough_to_identify", "tasks[0].targets[0].value", func(r *verify.CaseRequest) {
			r.Tasks[0].Targets[0] = verify.CaseTarget{Format: "subject", Value: "sub_eu_1"}
		}},
		"a field without index":  {"not_enough_to_identify", "tasks[0].targets[0].format", func(r *verify.CaseRequest) { r.Tasks[0].Targets[0].Format = "name" }},
		"no kind":                {"incomplete", "kind", func(r *verify.CaseRequest) { r.Kind = "" }},
		"an unknown kind":        {"manifest_error", "kind", func(r *verify.CaseRequest) { r.Kind = "disclosures" }},
		"a review room":          {"impossible_in_fact", "kind", func(r *verify.CaseRequest) { r.Kind = "source-review" }},
		"a short nonce":          {"incomplete", "nonce", func(r *verify.CaseRequest) { r.Nonce = "1" }},
		"filed tomorrow":         {"manifest_error", "filed", func(r *verify.CaseRequest) { r.Filed = now.Add(day) }},
		"filed last week":        {"manifest_error", "filed", func(r *verify.CaseRequest) { r.Filed = now.Add(-7 * day) }},
		"no reference":           {"incomplete", "authorisation.reference", func(r *verify.CaseRequest) { r.Authorisation.Reference = "" }},
		"no legal basis":         {"incomplete", "authorisation.legal_basis", func(r *verify.CaseRequest) { r.Authorisation.LegalBasis = nil }},
		"a law without article":  {"incomplete", "authorisation.legal_basis[0]", func(r *verify.CaseRequest) { r.Authorisation.LegalBasis[0].Article = "" }},
		"an open end":            {"incomplete", "authorisation.valid_to", func(r *verify.CaseRequest) { r.Authorisation.ValidTo = time.Time{} }},
		"an end as good as none": {"too_broad", "authorisation.valid_to", func(r *verify.CaseRequest) { r.Authorisation.ValidTo = now.AddDate(50, 0, 0) }},
		"an instrument that is over": {"expired", "authorisation.valid_to", func(r *verify.CaseRequest) {
			r.Authorisation.ValidFrom, r.Authorisation.ValidTo = now.Add(-2*day), now.Add(-day)
		}},
		"an instrument not yet valid": {"manifest_error", "authorisation.valid_from", func(r *verify.CaseRequest) { r.Authorisation.ValidFrom = now.Add(day) }},
		"ends before it begins":       {"manifest_error", "authorisation.valid_to", func(r *verify.CaseRequest) { r.Authorisation.ValidTo = r.Authorisation.ValidFrom }},
		"no offence":                  {"incomplete", "authorisation.offence", func(r *verify.CaseRequest) { r.Authorisation.Offence = nil }},
		"no necessity":                {"incomplete", "authorisation.necessity", func(r *verify.CaseRequest) { r.Authorisation.Necessity = "" }},
		"too little necessity": {"incomplete", "authorisation.necessity", func(r *verify.CaseRequest) {
			r.Authorisation.Necessity = "We want it."
			r.Tasks = append(r.Tasks, r.Tasks[0])
		}},
		"nobody approved":            {"incomplete", "authorisation.approvals", func(r *verify.CaseRequest) { r.Authorisation.Approvals = nil }},
		"the wrong people approved":  {"incomplete", "authorisation.approvals", func(r *verify.CaseRequest) { r.Authorisation.Approvals[0].Role = "minister" }},
		"an approval without a name": {"incomplete", "authorisation.approvals[0]", func(r *verify.CaseRequest) { r.Authorisation.Approvals[0].Approver = "" }},
		"an approval of tomorrow":    {"manifest_error", "authorisation.approvals[0].time", func(r *verify.CaseRequest) { r.Authorisation.Approvals[0].Time = now.Add(day) }},
		"no document":                {"incomplete", "authorisation.documents", func(r *verify.CaseRequest) { r.Authorisation.Documents = nil }},
		"a document without hash":    {"incomplete", "authorisation.documents[0].sha256", func(r *verify.CaseRequest) { r.Authorisation.Documents[0].SHA256 = "AB" }},
		"a document nobody can read": {"incomplete", "authorisation.documents[0].media_type", func(r *verify.CaseRequest) { r.Authorisation.Documents[0].MediaType = "application/x-dosexec" }},
		"a document too large":       {"incomplete", "authorisation.documents[0].size", func(r *verify.CaseRequest) { r.Authorisation.Documents[0].Size = apitype.MaxDocument + 1 }},
		"a document twice": {"manifest_error", "authorisation.documents[1].sha256", func(r *verify.CaseRequest) {
			r.Authorisation.Documents = append(r.Authorisation.Documents, r.Authorisation.Documents[0])
		}},
		"no treaty route":            {"incomplete", "authorisation.treaty_route", func(r *verify.CaseRequest) { r.Authorisation.TreatyRoute = "" }},
		"an unknown priority":        {"manifest_error", "authorisation.priority", func(r *verify.CaseRequest) { r.Authorisation.Priority = "now" }},
		"an unknown flag":            {"manifest_error", "authorisation.flags[0]", func(r *verify.CaseRequest) { r.Authorisation.Flags = []string{"privileged"} }},
		"an emergency by flag alone": {"manifest_error", "authorisation.flags", func(r *verify.CaseRequest) { r.Authorisation.Flags = []string{"emergency"} }},
		"secrecy by flag alone":      {"manifest_error", "authorisation.flags", func(r *verify.CaseRequest) { r.Authorisation.Flags = []string{"secrecy_order"} }},
		"secrecy that is over":       {"expired", "authorisation.secrecy.until", func(r *verify.CaseRequest) { secrecy(r, now.Add(-day), at(-time.Hour)) }},
		"secrecy without law":        {"incomplete", "authorisation.secrecy.basis", func(r *verify.CaseRequest) { secrecy(r, now, at(day)); r.Authorisation.Secrecy.Basis.Law = "" }},
		"a window without end":       {"incomplete", "tasks[0].to", func(r *verify.CaseRequest) { r.Tasks[0].DataClass, r.Tasks[0].From = "traffic", at(-day) }},
		"a window that is too long": {"too_broad", "tasks[0].to", func(r *verify.CaseRequest) {
			r.Tasks[0].DataClass, r.Tasks[0].From, r.Tasks[0].To = "traffic", at(-400*day), at(0)
		}},
		"a window upside down":         {"manifest_error", "tasks[0].to", func(r *verify.CaseRequest) { r.Tasks[0].From, r.Tasks[0].To = at(0), at(-day) }},
		"a freeze by an order to show": {"no_legal_basis", "tasks[0].kind", func(r *verify.CaseRequest) { r.Tasks[0].Kind = "preserve" }},
		"a hold without end":           {"incomplete", "tasks[0].hold_until", func(r *verify.CaseRequest) { r.Authorisation.ProcessType, r.Tasks[0].Kind = "eu_epoc_pr", "preserve" }},
		"a hold that is too long": {"too_broad", "tasks[0].hold_until", func(r *verify.CaseRequest) {
			r.Authorisation.ProcessType, r.Tasks[0].Kind, r.Tasks[0].HoldUntil = "eu_epoc_pr", "preserve", at(61*day)
		}},
		"an emergency for many": {"too_broad", "tasks[0].max_subjects", func(r *verify.CaseRequest) { emergency(r); r.Tasks[0].MaxSubjects = 2 }},
		"an emergency for money": {"too_broad", "tasks[0].data_class", func(r *verify.CaseRequest) {
			emergency(r)
			r.Tasks[0].DataClass, r.Tasks[0].From, r.Tasks[0].To = "financial", at(-day), at(0)
		}},
		"no recipient key":              {"incomplete", "body", func(r *verify.CaseRequest) { r.Recipient = nil }},
		"not a recipient key":           {"incomplete", "recipient", func(r *verify.CaseRequest) { r.Recipient = []byte("key") }},
		"a recipient key without proof": {"not_authenticated", "recipient", func(r *verify.CaseRequest) { r.Recipient[len(r.Recipient)-32] ^= 1 }},
		"a link to another's case": {"manifest_error", "authorisation.linked", func(r *verify.CaseRequest) {
			r.Authorisation.Linked = []verify.LinkedCase{{Relation: "extends", Case: bonded.CaseID{Cell: cell, ID: bonded.NewID()}}}
		}},
		"another agency": {"not_authenticated", "officer", func(r *verify.CaseRequest) { r.Agency = "fbi" }},
	}
	for name, c := range table {
		t.Run(name, func(t *testing.T) {
			r := w.request()
			r.Recipient = w.recipient.Bytes()
			c.change(r)
			_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "officer"))
			if e := refusal(t, err, bonded.CodeRefusedRequest, c.code); e.Field != c.field {
				t.Errorf("field %s, not %s: %s", e.Field, c.field, e.Message)
			}
		})
	}
}

func secrecy(r *verify.CaseRequest, from time.Time, until *time.Time) {
	r.Authorisation.Flags = []string{"secrecy_order"}
	r.Authorisation.Secrecy = &verify.Secrecy{Basis: verify.LegalBasis{Law: "StPO", Article: "101"}, From: from, Until: until, Scope: "both"}
}

func emergency(r *verify.CaseRequest) {
	r.Authorisation.Priority, r.Authorisation.Flags = "emergency", []string{"emergency"}
}

func TestWhoCannotBeToldIsCountedAndNotEntered(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "somebody else"))
	refusal(t, err, bonded.CodeRefusedRequest, "not_authenticated")
	r.Officer = "nobody"
	_, err = w.door.FileCase(w.ctx, w.call("nobody"), w.sign(r, "nobody"))
	refusal(t, err, bonded.CodeRefusedRequest, "not_authenticated")
	list, err := w.door.ListCases(w.ctx, w.call("intake"), "", "")
	w.must(err)
	if len(list.Cases) != 0 {
		t.Errorf("%d cases are entered", len(list.Cases))
	}
	m, err := w.door.Metrics(w.ctx)
	w.must(err)
	if m.Refused["not_authenticated"] != 2 {
		t.Errorf("counted: %v", m.Refused)
	}
}

func TestRefusedAtTheDoorIsOneCaseWithOneEntry(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	r.Tasks[0].FieldsWanted = []string{"*"}
	for range 2 {
		_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "officer"))
		refusal(t, err, bonded.CodeRefusedRequest, "too_broad")
	}
	list, err := w.door.ListCases(w.ctx, w.call("officer"), "rejected", "")
	w.must(err)
	if len(list.Cases) != 1 || list.Cases[0].RejectCode != "too_broad" {
		t.Fatalf("cases: %+v", list.Cases)
	}
	if s := w.story(list.Cases[0].Case); s != "transition>rejected:too_broad" {
		t.Error(s)
	}
}

func TestRefusalsOfOneOfficerAreBounded(t *testing.T) {
	w := staffed(t)
	for i := range 21 {
		r := w.request()
		r.Tasks = nil
		_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "officer"))
		want := bonded.CodeRefusedRequest
		if i == 20 {
			want = bonded.CodeRateLimited
		}
		refusal(t, err, want, "")
	}
}

func TestSameRequestNonceOrTaskIsADuplicate(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	w.file(r)
	file := func(r *verify.CaseRequest) error {
		_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "officer"))
		return err
	}
	refusal(t, file(r), bonded.CodeRefusedRequest, "duplicate")
	other := w.request()
	other.Nonce = r.Nonce
	refusal(t, file(other), bonded.CodeRefusedRequest, "duplicate")
	same := w.request()
	same.Authorisation.Reference = r.Authorisation.Reference
	refusal(t, file(same), bonded.CodeRefusedRequest, "duplicate")
}

func TestLadderSaysWhatAnOfficerMayAsk(t *testing.T) {
	w := staffed(t)
	ada(w)
	day := w.clock.Now().AddDate(0, 0, -1)
	now := w.clock.Now()
	kinds := map[string]func(*verify.CaseRequest){
		"normal": func(*verify.CaseRequest) {},
		"content": func(r *verify.CaseRequest) {
			r.Tasks[0].DataClass, r.Tasks[0].From, r.Tasks[0].To = "content", &day, &now
		},
		"emergency": emergency,
	}
	allowed := map[int]string{0: "", 1: "", 2: "normal", 3: "normal content emergency"}
	for level := range 4 {
		p := w.person("officer", "requester", "bka")
		p.Version, p.Level = uint64(level+2), level
		w.hire(p)
		w.settleRegister()
		for kind, change := range kinds {
			r := w.request()
			change(r)
			_, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "officer"))
			switch ok := contains(allowed[level], kind); {
			case ok && err != nil:
				t.Errorf("level %d, %s: %v", level, kind, err)
			case !ok:
				if e := refusal(t, err, bonded.CodeRefusedRequest, "not_authenticated"); e.Field != "officer" {
					t.Errorf("level %d, %s: field %s", level, kind, e.Field)
				}
			}
		}
	}
}

func TestEndlessSecrecyIsChallengedAndTheCaseGoesOn(t *testing.T) {
	w := staffed(t)
	ada(w)
	r := w.request()
	secrecy(r, w.clock.Now(), nil)
	id := w.file(r)
	v := w.view(id, "legal-1")
	if v.State != "submitted" || v.Secrecy.State != "challenged" || v.Secrecy.ReviewAt == nil {
		t.Fatalf("%s, %+v", v.State, v.Secrecy)
	}
	if !contains(events(v.Warnings), "secrecy_without_end") {
		t.Errorf("warnings: %v", v.Warnings)
	}
	w.pass(91 * 24 * time.Hour)
	if v := w.view(id, "legal-1"); v.Secrecy.State != "ended" {
		t.Errorf("after the review date the gag is %s", v.Secrecy.State)
	}
}

func TestDocumentsMustBeWhatTheRequestSays(t *testing.T) {
	w := staffed(t)
	r := w.request()
	fake := []byte("no pdf at all")
	r.Authorisation.Documents[0].SHA256, r.Authorisation.Documents[0].Size = sum(fake), int64(len(fake))
	res, err := w.door.FileCase(w.ctx, w.call("officer"), w.sign(r, "officer"))
	w.must(err)
	_, err = w.door.PutDocument(w.ctx, w.call("officer"), res.Case, sum(fake), fake)
	refusal(t, err, bonded.CodeRefusedRequest, "incomplete")
	_, err = w.door.PutDocument(w.ctx, w.call("officer"), res.Case, sum(instrument), fake)
	refusal(t, err, bonded.CodeInvalid, "")
	_, err = w.door.PutDocument(w.ctx, w.call("officer"), res.Case, sum(instrument), instrument)
	refusal(t, err, bonded.CodeInvalid, "") // the request names no such document
	w.pass(25 * time.Hour)
	_, err = w.door.Case(w.ctx, w.call("officer"), res.Case)
	refusal(t, err, bonded.CodeWithheld, "") // the draft is forgotten
}

func contains(words, word string) bool { return slices.Contains(strings.Fields(words), word) }
