//go:build unix

package bondedtest_test

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"bonded"
)

// storyPatience is what a step may take that waits for other people's programs.
const storyPatience = 2 * time.Minute

// TestE2EStory tells the whole story of the front door by clicking, with
// BONDED_E2E in each language that ships: people of the cell enrol, look somebody up, an officer
// files, they review and narrow, custodians approve on their own pages, the
// officer opens what came, the person is told, the report is published, and
// anybody verifies; then a byte of the ledger is changed on disk.
func TestE2EStory(t *testing.T) {
	officerProgram(t)
	serving := []string{"firm-1", "firm-3", "independent-2"}
	o := openDoor(t, serving...)
	wasm := wasmOf(t)
	langs := []string{"en"}
	if os.Getenv("BONDED_E2E") != "" { // make e2e: the rest takes minutes
		langs = append(langs, "zh-Hans")
	}
	for _, lang := range langs {
		t.Run(lang, func(t *testing.T) {
			s := &told{door: o.on(t), lang: lang, shots: lang + "-"}
			s.officer = openTab(t, lang)
			s.enrolEverybody()
			s.lookSomebodyUp()
			id := s.file()
			s.review(id)
			s.approve(id, serving...)
			s.openPackage()
			s.close(id)
			s.publish(wasm)
			s.erase()
		})
	}
}

// told is the story in one language.
type told struct {
	*door

	lang  string
	shots string

	officer                          *tab
	intake, legal, counsel, guardian *tab
	who                              named
}

// passkeys gives a browser an authenticator of its own that says yes.
func (b *tab) passkeys() {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"))
	_, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{})
	must(b.t, err)
	(&browser{t: b.t, ctx: b.ctx}).authenticator("internal")
}

// enrolled is a browser in which somebody has enrolled and signed in.
func (s *told) enrolled(person string) *tab {
	s.t.Helper()
	b := openTab(s.t, s.lang)
	b.passkeys()
	b.open(s.invite(person))
	if person == "legal-1" {
		b.shoot(s.shots + "enrol")
	}
	b.choose("#key-file", s.d.Layout.Person(s.Cell, person))
	b.write("#passkey-name", "Laptop "+s.lang)
	b.click("#enrol button[type=submit]:enabled")
	b.see("#enrolled [data-state=ready]")
	b.open(s.origin() + "/console/sign-in")
	if person == "legal-1" {
		b.shoot(s.shots + "sign-in")
	}
	b.click("#sign-in button[type=submit]:enabled")
	b.see(".shell .menu")
	return b
}

func (s *told) enrolEverybody() {
	s.intake, s.legal, s.counsel, s.guardian = s.enrolled("intake-1"), s.enrolled("legal-1"), s.enrolled("legal-2"), s.enrolled("guardian-1")
	for _, page := range []string{"", "register", "custody", "ledger", "settings"} {
		s.guardian.open(s.origin() + "/console/" + page)
		s.guardian.see("main h1")
		s.guardian.shoot(s.shots + cmp.Or(page, "overview"))
	}
	for page, name := range map[string]string{"register?show=people": "register-people", "register/agency/lka-cyber": "agency", "ledger/entry/2": "ledger-entry"} {
		s.guardian.open(s.origin() + "/console/" + page)
		s.guardian.see("main h1")
		s.guardian.shoot(s.shots + name)
	}
}

// lookSomebodyUp finds a person by what is known of them, and opens one field.
func (s *told) lookSomebodyUp() {
	s.who = s.named()
	b := s.guardian
	s.search()
	b.shoot(s.shots + "people-found")
	if got := b.text("main"); strings.Contains(got, s.who.name) || strings.Contains(got, s.who.phone) {
		s.t.Error("the list shows more than masks")
	}
	b.click("main form[action^='/console/people/'] button")
	b.see("details:has(form[action$='/reveal']) > summary")
	b.shoot(s.shots + "person")
	b.click("details:has(form[action$='/reveal']) > summary")
	b.see("form[action$='/reveal']")
	b.set("form[action$='/reveal'] select[name=field]", "phone")
	b.set("form[action$='/reveal'] input[name=reason]", "asked by telephone")
	b.click("form[action$='/reveal'] button")
	b.see("#revealed")
	b.shoot(s.shots + "revealed")
	if got := b.text("#revealed"); !strings.Contains(got, s.who.phone) {
		s.t.Errorf("revealed: %q, want %s", got, s.who.phone)
	}
	for _, view := range []string{"openings", "basis", "copy", "erase"} {
		b.click("button[name=view][value=" + view + "]")
		b.see("button[name=view][value=" + view + "][aria-current]")
		b.shoot(s.shots + "person-" + view)
	}
}

// search finds the person by the identifier that the authority has, too.
func (s *told) search() {
	b := s.guardian
	b.open(s.origin() + "/console/people")
	b.see("#field")
	b.set("#field", eval[string](b, `[...document.querySelectorAll("#field option")].map((o) => o.value).find((v) => v.endsWith("person_id"))`))
	b.write("#value", s.who.id)
	b.set("#purpose", "support")
	b.write("#reason", "asked by telephone")
	b.shoot(s.shots + "people")
	b.click("main form[role=search] button.primary")
	b.see("#h-found")
}

// erase has a passkey confirm that the person is erased.
func (s *told) erase() {
	b := s.guardian
	s.search()
	b.click("main form[action^='/console/people/'] button")
	b.see("details:has(form[action$='/reveal']) > summary")
	b.click("button[name=view][value=erase]")
	b.see("form[action$='/erase']")
	b.write("#erase-reason", "asked by letter")
	b.write("#erase-confirm", b.text("form[action$='/erase'] code"))
	b.click("form[action$='/erase'] button[type=submit]:enabled")
	b.see("#erased")
	b.shoot(s.shots + "person-erased")
}

// file is the officer's part until the case is submitted.
func (s *told) file() bonded.CaseID {
	b := s.officer
	b.open(s.origin() + "/officers/?lang=" + s.lang)
	b.see("#view-start")
	b.choose("#f-key_file", s.key(doorOfficer))
	b.write("#f-officer", doorOfficer)
	b.click("#open-key")
	b.see("#cases-list > *")
	b.click(`[data-tab="file"]`)
	b.see("#file-form")
	order := filepath.Join(b.saved, "order.txt")
	must(s.t, os.WriteFile(order, []byte("Order of the court, file 4711\n"), 0o600))
	fillRequest(b, s.who, order)
	b.set("#f-tasks-0-fields_wanted", "phone, email, "+quorumField)
	b.shoot(s.shots + "file")
	b.click("#file-send")
	b.see(`#case-asked[data-state="submitted"]`)
	b.shoot(s.shots + "filed")
	id, err := bonded.ParseCaseID(strings.TrimPrefix(eval[string](b, "location.hash"), "#/case/"))
	must(s.t, err)
	return id
}

// act decides on a case by clicking. Fill completes the form.
func (s *told) act(b *tab, id bonded.CaseID, action string, fill func()) {
	s.t.Helper()
	b.open(s.origin() + "/console/cases/" + id.String())
	form := "#act-" + action
	b.click(form + " > summary")
	if fill != nil {
		fill()
	}
	b.click(form + " button[type=submit]:enabled")
	b.see("#confirm-sign")
	if action == "narrow" {
		b.shoot(s.shots + "confirm")
	}
	b.click("#confirm-sign")
	b.see(".notice.good")
}

func (s *told) review(id bonded.CaseID) {
	s.intake.open(s.origin() + "/console/cases")
	s.intake.see("#cases")
	s.intake.shoot(s.shots + "board")
	s.act(s.intake, id, "take", nil)
	s.act(s.intake, id, "forward", func() { s.intake.write("#reason-forward", "Agency and officer are known.") })
	s.legal.open(s.origin() + "/console/cases/" + id.String())
	s.legal.shoot(s.shots + "case")
	s.act(s.legal, id, "narrow", func() {
		s.legal.click("#act-narrow input[name=fields_0][value=email]")
		s.legal.write("#reason-narrow", "The address is not needed.")
	})
	s.officer.click("#case-refresh")
	s.officer.see("#accept")
	s.officer.shoot(s.shots + "offer")
	s.officer.click("#accept")
	s.officer.see(`#case-asked[data-state="under_review"]`)
	// Whoever drafted a narrowing does not approve it: two others do.
	third := s.enrolled("legal-3")
	s.act(s.counsel, id, "approve", nil)
	s.act(third, id, "approve", nil)
	_, err := s.AwaitScope(s.ctx(), "legal-1", id)
	must(s.t, err)
	s.legal.open(s.origin() + "/console/cases/" + id.String())
	s.legal.shoot(s.shots + "case-before-custodians")
}

// approve has custodians approve on their own pages.
func (s *told) approve(id bonded.CaseID, custodians ...string) {
	for i, c := range custodians {
		b := openTab(s.t, s.lang)
		link := s.custodianPage(c)
		b.open(link)
		b.see("#cases")
		if i == 0 {
			b.shoot(s.shots + "custodian")
		}
		b.open(link + "case/" + id.String() + "?lang=" + s.lang)
		b.see("#approve")
		if i == 0 {
			b.shoot(s.shots + "custodian-case")
		}
		b.click("#approve")
		b.within(storyPatience, "the approval is handed in", chromedp.WaitNotPresent(chromedp.CSS("#approve")))
	}
	_, err := s.Await(s.ctx(), "legal-1", id, "delivered", "closed")
	must(s.t, err)
}

// openPackage is the officer's part after the delivery.
func (s *told) openPackage() {
	b := s.officer
	b.click("#case-refresh")
	b.see("#package-open")
	b.click("#package-open")
	b.see("#package-table")
	b.shoot(s.shots + "package")
	if got := b.texts(`#package-table [data-value="phone"]`); len(got) != 1 || got[0] != s.who.phone {
		s.t.Errorf("phone: %q", got)
	}
	if got := b.texts(`#package-table [data-value="` + quorumField + `"]`); len(got) != 1 || got[0] != s.who.born {
		s.t.Errorf("%s: %q", quorumField, got)
	}
	if got := b.texts(`#package-table [data-value="email"]`); len(got) != 0 {
		s.t.Errorf("what was narrowed away is there: %q", got)
	}
}

// close ends the case, and shows that the person was told.
func (s *told) close(id bonded.CaseID) {
	s.act(s.legal, id, "close", nil)
	s.legal.open(s.origin() + "/console/cases/" + id.String())
	s.legal.shoot(s.shots + "closed")
	auditor := s.enrolled("auditor-1")
	auditor.open(s.origin() + "/console/journal")
	auditor.see("main table")
	auditor.shoot(s.shots + "journal")
	auditor.click("main table tbody tr a")
	auditor.see("main .crumbs")
	auditor.shoot(s.shots + "journal-row")
	s.guardian.open(s.origin() + "/console/")
	s.guardian.see("main svg")
	s.guardian.shoot(s.shots + "overview-after")
	poll(s.t, "the person is told", func() error {
		if s.outbox() == 0 {
			return bonded.Errorf(bonded.CodeStale, "the outbox is empty")
		}
		return nil
	})
}

// publish makes the report and the portal, and verifies them in a browser: as
// they are, and with a byte of the ledger changed.
func (s *told) publish(wasm string) {
	admin, work := filepath.Join(s.d.Layout.Admin(), "admin.key"), s.t.TempDir()
	report, statement, closed := filepath.Join(work, "report"), filepath.Join(work, "statement.json"), filepath.Join(work, "closed.jsonl")
	today := time.Now().UTC().Format(time.DateOnly)
	s.bonded("report", "closed", "--directory", s.d.Layout.Directory(), "--cell", string(s.Cell), "--person", s.d.Layout.Person(s.Cell, "legal-1"), "--out", closed)
	s.bonded("report", "make", "--admin", admin, "--from", today, "--to", today, "--closed", closed, "--out", report)
	s.bonded(stating(admin, statement)...)

	dir := filepath.Join(s.d.Layout.Vault(s.Cell), "portal")
	must(s.t, os.RemoveAll(dir))
	s.bonded("portal", "build", "--admin", admin, "--out", dir, "--wasm", wasm, "--report", report, "--statement", statement)
	announced(s.t, dir)
	site := served(s.t, dir)
	w := openTab(s.t, s.lang)
	w.open(site + "/" + s.lang + "/index.html")
	w.shoot(s.shots + "portal")
	w.open(site + "/" + s.lang + "/report.html")
	eval[bool](w, `(document.querySelector("#report-check").click(), true)`)
	w.await(`document.querySelector("#report-result .badge.good") !== null`)
	w.shoot(s.shots + "portal-report")
	w.open(site + "/" + s.lang + "/verify.html")
	if v := verdictOf(w); v != "holds" {
		s.t.Errorf("%s\n%s", v, w.text("main"))
	}
	w.shoot(s.shots + "portal-verified")
	words := map[string][]string{"en": {"Wrong at entry 2", "cannot be hidden"}, "zh-Hans": {"第 2 个条目有误"}}
	portalTampered(s.t, w, s.d, wasm, s.lang, s.shots+"portal-tampered", words[s.lang]...)
}
