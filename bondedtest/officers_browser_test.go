//go:build unix

package bondedtest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/recipient"
	"bonded/verify"
)

const pagePassphrase = "correct horse battery staple"

// TestE2EOfficerFilesAndOpensByClicking leads an officer through the pages:
// keys, request, case, package.
func TestE2EOfficerFilesAndOpensByClicking(t *testing.T) {
	b := openTab(t, "en")
	officerProgram(t)
	o := openDoor(t)
	c, _ := o.d.Directory.Cell("eu")
	pages := strings.Replace(c.API, "127.0.0.1", "localhost", 1) + "/officers/"

	// 1. Keys, made in the browser; the harness registers the public side.
	b.open(pages)
	b.see("#view-start")
	b.shoot("officers-start")
	b.click("#to-keys")
	b.write("#f-new_passphrase", "short")
	b.click("#make-keys")
	b.see("#f-new_passphrase-error")
	b.set("#f-new_passphrase", pagePassphrase)
	b.set("#f-again", pagePassphrase)
	b.click("#make-keys")
	b.see("#keys-made")
	b.shoot("officers-keys")
	b.click("#download-key")
	key := b.file("officer.key")
	b.click("#download-public")
	public, err := recipient.ParseOfficerPublic(b.file("officer.json"))
	must(t, err)
	if strings.Contains(string(key), `"secret"`) {
		t.Error("the key file is not sealed")
	}
	who := o.clicker(public)
	path := filepath.Join(b.saved, "officer.key")

	// 2. A wrong passphrase, then the right one.
	b.click(`#view-keys a[href="#/start"]`)
	b.choose("#f-key_file", path)
	b.write("#f-passphrase", "wrong")
	b.write("#f-officer", who)
	b.click("#open-key")
	b.see("#open-problem")
	b.set("#f-passphrase", pagePassphrase)
	b.click("#open-key")
	b.see("#cases-list .empty")
	if got := b.text("#who"); !strings.Contains(got, "Agency "+doorAgency) {
		t.Errorf("who: %s", got)
	}

	// 3. The request, with something missing at first.
	s := o.hostile()
	order := filepath.Join(b.saved, "order.txt")
	must(t, os.WriteFile(order, []byte("Order of the court, file 4711\n"), 0o600))
	b.click(`[data-tab="file"]`)
	b.see("#file-form")
	b.click("#file-send")
	b.see("#file-errors")
	b.shoot("officers-file-missing")
	fillRequest(b, s, order)
	b.shoot("officers-file")
	b.set("#f-tasks-0-fields_wanted", "phone, "+quorumField+", no_such_field")
	b.expect("status of 4") // the browser says so of every refusal
	b.click("#file-send")
	b.see("#f-tasks-0-fields_wanted-error")
	if got := b.text("#file-errors"); !strings.Contains(got, "not held here") || !strings.Contains(got, "refused_request") {
		t.Errorf("a field that is not there: %s", got)
	}
	b.shoot("officers-file-refused")
	b.set("#f-tasks-0-fields_wanted", "phone, "+quorumField)
	b.click("#file-send")
	b.see(`#case-asked[data-state="submitted"]`)
	b.shoot("officers-case")
	id, err := bonded.ParseCaseID(strings.TrimPrefix(eval[string](b, "location.hash"), "#/case/"))
	must(t, err)

	// 4. People and custodians of the cell, each by their own program.
	o.approved(id)
	_, err = o.AwaitScope(o.ctx(), "legal-1", id)
	must(t, err)
	b.click("#case-refresh")
	b.see(`#case-asked[data-state="awaiting_quorum"]`)
	o.approve(id, "firm-1", "firm-2", "independent-1")
	o.work(id, "firm-1", "firm-2", "independent-1")

	// 5. The package: every check, exactly the values, the same in the files.
	b.click("#case-refresh")
	b.see("#package-open")
	b.click("#package-open")
	b.see("#package-table")
	b.shoot("officers-package")
	if n := len(b.texts("#package-checks .badge.good")); n != 8 {
		t.Errorf("%d checks hold", n)
	}
	if got := b.texts("#package-table [data-value]"); len(got) != 3 || b.texts(`#package-table [data-value="phone"]`)[0] != s.phone || b.texts(`#package-table [data-value="` + quorumField + `"]`)[0] != s.born || b.texts(`#package-table [data-value="person_id"]`)[0] != s.id {
		t.Errorf("the page shows %q, not %s, %s and what they were found by", got, s.phone, s.born)
	}
	b.click("#package-csv")
	b.click("#package-json")
	csv := string(b.file(id.String() + ".csv"))
	var object struct {
		Items []struct {
			Fields []struct{ Name, Value string }
		}
	}
	must(t, json.Unmarshal(b.file(id.String()+".json"), &object))
	if !strings.Contains(csv, s.phone) || !strings.Contains(csv, strings.ReplaceAll(s.born, `"`, `""`)) || strings.Contains(csv, s.name) || len(object.Items) != 1 || len(object.Items[0].Fields) != 3 {
		t.Errorf("the files hold\n%s\n%+v", csv, object)
	}

	// 6. A directory of another deployment opens nothing.
	other := filepath.Join(b.saved, "cells.json")
	must(t, os.WriteFile(other, []byte(`{"format":"bonded/directory/1"}`), 0o600))
	eval[any](b, `document.querySelector('#package-directory').closest('details').open = true`)
	b.choose("#package-directory", other)
	b.click("#package-open")
	b.see("#package-refused")
	if n := len(b.texts("#package-table")); n != 0 {
		t.Error("a package that does not hold is shown")
	}

	// 7. Leaving forgets everything, and nothing was stored.
	if n := eval[int](b, "localStorage.length + sessionStorage.length + document.cookie.length"); n != 0 {
		t.Errorf("%d things are stored", n)
	}
	b.open(pages + "?lang=zh-Hans")
	b.see("#view-start")
	if got := b.text("body"); strings.Contains(got, s.phone) || !strings.Contains(got, "打开您的密钥文件") {
		t.Errorf("after leaving: %s", got)
	}
	b.shoot("officers-start-zh")
	b.choose("#f-key_file", path)
	b.write("#f-passphrase", pagePassphrase)
	b.write("#f-officer", who)
	b.click("#open-key")
	b.see("#cases-list table")
	b.shoot("officers-cases-zh")
	b.click(`#cases-list a[href="#/case/` + id.String() + `"]`)
	b.see("#package-open")
	b.click("#package-open")
	b.see("#package-table")
	b.shoot("officers-package-zh")
	b.click(`[data-tab="file"]`)
	b.see("#file-form")
	b.set("#f-authorisation-priority", "emergency")
	b.set("#f-authorisation-process_type", "mlat")
	b.shoot("officers-file-zh")
	if eval[bool](b, "'evil' in window") {
		t.Error("a value ran")
	}

	// 8. What else an officer does.
	b.click(`[data-tab="cases"]`)
	b.click("#forget")
	b.see("#view-start")
	if got := b.text("main"); strings.Contains(got, id.String()) {
		t.Errorf("forgotten, and still shown: %s", got)
	}
	officerActs(b, o, pages)
}

// officerActs uploads, answers, accepts and withdraws by clicking.
func officerActs(b *tab, o *door, pages string) {
	t := o.t
	b.open(pages + "?lang=en")
	b.see("#view-start")
	b.choose("#f-key_file", o.key(doorOfficer))
	b.write("#f-officer", doorOfficer)
	b.click("#open-key")
	b.see("#cases-list .empty")

	// 1. A document that is owed: another one is not taken.
	r := o.made(doorOfficer, o.text(doorOfficer, doorAgency, o.named(), ""))
	st, err := verify.NewStatement(r)
	must(t, err)
	st.Sign(verify.LabelRequest, doorOfficer, o.keys(doorOfficer).Signing)
	res, err := o.asOfficer(doorOfficer).FileCase(o.ctx(), st)
	must(t, err)
	b.click("#cases-refresh")
	b.click(`#cases-list a[href="#/case/` + res.Case.String() + `"]`)
	b.see("#document-0")
	b.choose("#document-0", o.key(doorOfficer))
	b.click("#case-body form:has(#document-0) button")
	b.see("#case-body .notice.bad")
	b.shoot("officers-draft")
	b.choose("#document-0", filepath.Join(o.dir, "order.txt"))
	b.click("#case-body form:has(#document-0) button")
	b.see(`#case-asked[data-state="submitted"]`)

	// 2. A question, whose text is text.
	o.decide("intake-1", res.Case, "take", nil)
	o.decide("intake-1", res.Case, "forward", nil)
	o.decide("legal-2", res.Case, "clarify", func(_ *apitype.CaseView, d *verify.CaseDecision) { d.Reason = "Which <b>account</b>?" })
	b.click("#case-refresh")
	b.see("#answer-text")
	b.shoot("officers-question")
	if got := b.text("#case-body blockquote"); got != "Which <b>account</b>?" {
		t.Errorf("the question is %q", got)
	}
	b.write("#answer-text", "The one in the order.")
	b.click("#answer")
	b.see(`#case-asked[data-state="under_review"]`)

	// 3. A narrower scope.
	o.decide("legal-2", res.Case, "narrow", func(_ *apitype.CaseView, d *verify.CaseDecision) {
		d.Reason, d.Tasks = "The birth date is not needed.", []verify.TaskChange{{Task: 0, FieldsWanted: []string{"phone"}}}
	})
	b.click("#case-refresh")
	b.see("#accept")
	if got := b.text("#offered"); !strings.Contains(got, "only these fields: phone") {
		t.Errorf("offered: %q", got)
	}
	b.shoot("officers-offer")
	// The case moved on meanwhile: what was signed is of another state.
	must(t, answerAs(o, doorOfficer, res.Case, "By telephone: yes."))
	b.click("#accept")
	b.see("#case-body .notice.bad")
	b.click("#case-refresh")
	b.see(`#case-asked[data-state="under_review"]`)

	// 4. Withdrawn.
	eval[any](b, `document.querySelector('#withdraw-text').closest('details').open = true`)
	b.write("#withdraw-text", "Solved otherwise.")
	b.click("#withdraw")
	b.see(`#case-asked[data-state="withdrawn"]`)

	// 5. Left alone, even by a machine that slept: forgotten.
	eval[any](b, `{ const now = Date.now; Date.now = () => now() + 16 * 60 * 1000; document.dispatchEvent(new Event('visibilitychange')); true }`)
	b.see("#locked-note")
	b.see("#view-start")
	if got := b.text("main"); strings.Contains(got, res.Case.String()) || eval[string](b, "document.querySelector('#case-body').textContent") != "" {
		t.Errorf("left alone, and still shown: %s", got)
	}
}

// answerAs answers as an officer by another program.
func answerAs(o *door, officer string, id bonded.CaseID, reason string) error {
	p := o.asOfficer(officer)
	v, err := p.Case(o.ctx(), id)
	if err != nil {
		return err
	}
	st, err := verify.NewStatement(&verify.CaseDecision{
		Format: verify.LabelDecision, Case: id, Person: officer, Role: "requester", Action: verify.ActionAnswer, Reason: reason, State: v.State, Number: v.Number, Time: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	st.Sign(verify.LabelDecision, officer, o.keys(officer).Signing)
	_, err = p.Decide(o.ctx(), id, st)
	return err
}

// hostile writes somebody with a value that pages and spreadsheets might run.
func (o *door) hostile() named {
	o.t.Helper()
	s := named{id: "hostile-1", name: "Pat <b>Hostile</b>", phone: "+49 170 1234567", born: `=1+1 <img src=x onerror="window.evil=1">`}
	in := person(s.id, s.name)
	in.Values["phone"], in.Values["email"], in.Values[quorumField] = client.Text(s.phone), client.Text("pat@example.org"), client.Text(s.born)
	poll(o.t, "a record with a field in custody", func() error {
		_, err := o.app.Put(o.t.Context(), in)
		return err
	})
	return s
}

// clicker brings an officer into the register whose keys a page made.
func (o *door) clicker(p *recipient.OfficerPublic) string {
	o.t.Helper()
	const id = "officer-click"
	now := time.Now().UTC().Truncate(time.Second)
	must(o.t, o.Register(o.ctx(), o.admin(), verify.RegistryPerson, id, &verify.Person{
		Format: verify.LabelPerson, Cell: o.Cell, ID: id, Version: 1, Role: "requester", Agency: doorAgency, Organisation: "Agency " + doorAgency,
		Name: "Chris Click", Phone: "+49 30 5550 118", Key: p.Key, Level: 3, NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(1, 0, 0),
	}))
	return id
}

// fillRequest fills in the form of a request for phone and birth date of
// somebody.
func fillRequest(b *tab, s named, document string) {
	b.t.Helper()
	at := func(d time.Duration) string { return time.Now().UTC().Add(d).Format("2006-01-02T15:04") }
	b.set("#f-authorisation-process_type", "mlat")
	for id, text := range map[string]string{
		"authorisation-reference": "LKA-2026-4711", "authorisation-legal_basis-0-law": "Convention on Mutual Assistance in Criminal Matters",
		"authorisation-legal_basis-0-article": "6",
		"authorisation-necessity":             "The account was used for the fraud under investigation, and these fields tell its holder apart.",
		"authorisation-approvals-0-approver":  "Central authority", "authorisation-approvals-0-reference": "ZK 12/26",
		"authorisation-documents-0-language": "en", "tasks-0-collection": "users", "tasks-0-fields_wanted": "phone, " + quorumField,
		"authorisation-offence-category": "fraud", "authorisation-offence-provision": "Section 263 StGB",
		"tasks-0-targets-0-format": "person_id", "tasks-0-targets-0-value": s.id,
	} {
		b.set("#f-"+id, text)
	}
	b.click(`[data-rows="authorisation.approvals"] > [data-add]`)
	b.set("#f-authorisation-approvals-1-approver", "Local court")
	b.set("#f-authorisation-approvals-1-reference", "6 Gs 12/26")
	for id, value := range map[string]string{
		"authorisation-treaty_route": "mlat", "authorisation-valid_from": at(-time.Hour), "authorisation-valid_to": at(30 * 24 * time.Hour),
		"authorisation-approvals-0-kind": "issuing", "authorisation-approvals-0-role": "central_authority", "authorisation-approvals-0-time": at(-2 * time.Hour),
		"authorisation-approvals-1-kind": "judicial", "authorisation-approvals-1-role": "court", "authorisation-approvals-1-time": at(-2 * time.Hour),
		"tasks-0-kind": "disclose", "tasks-0-data_class": "subscriber",
	} {
		b.set("#f-"+id, value)
	}
	b.choose("#f-authorisation-documents-0-file", document)
	b.set("#f-authorisation-documents-0-media_type", "text/plain")
}
