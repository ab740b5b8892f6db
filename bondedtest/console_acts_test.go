//go:build unix

package bondedtest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/foundation"
	"bonded/internal/locale"
	"bonded/verify"
)

// TestE2EConsoleActs clicks every form by which people decide on a case and
// officers act on theirs, right and wrong, each person in a language.
func TestE2EConsoleActs(t *testing.T) {
	tab := openTab(t, "en")
	officerProgram(t)
	o := openDoor(t)
	o.empower(actsAgency, 1)
	o.officer(actsOfficer, actsAgency)
	o.empower(forgedAgency, 1)
	o.officer(forgedOfficer, forgedAgency)
	told, letters := o.challengeable()
	d := &desks{told: told, letters: letters, tab: tab}
	first := chromium(t, o.origin())
	for i, p := range []struct {
		id, lang string
		as       **clicker
	}{{"intake-1", "en", &d.intake}, {"legal-1", "zh-Hans", &d.legal}, {"legal-2", "en", &d.second}, {"guardian-1", "zh-Hans", &d.guardian}} {
		b := first
		if i > 0 {
			b = first.beside()
		}
		o.enrolIn(b, p.id)
		*p.as = o.clicking(b, p.lang)
	}
	for _, s := range []struct {
		name string
		run  func(*door, *desks)
	}{
		{"officers ask by clicking", asksByClicking},
		{"questions, scopes and gags", gagByClicking},
		{"a court lets a case go on", courtByClicking},
		{"tasks are refused", tasksByClicking},
		{"data is frozen", holdByClicking},
		{"an emergency is opened and ratified", emergencyByClicking},
		{"an emergency is forged", forgedByClicking},
		{"pages follow what others do", followed},
		{"a passkey without PRF reads", readsOnly},
		{"every form was clicked", everyForm},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(o.on(t), d.on(t)) })
		if t.Failed() && s.name == "officers ask by clicking" {
			t.FailNow() // nothing to decide on
		}
	}
}

// desks are the people before their screens, and the cases on them.
type desks struct {
	intake, legal, second, guardian *clicker
	tab                             *tab
	told, gagged, frozen, emergency bonded.CaseID
	letters                         int
}

// on returns them for a subtest.
func (d *desks) on(t *testing.T) *desks {
	for _, c := range []*clicker{d.intake, d.legal, d.second, d.guardian} {
		c.browser.t, c.o.t = t, t
	}
	d.tab.t = t
	return d
}

// A clicker is somebody before the console, who reads one language.
type clicker struct {
	*browser

	o       *door
	words   *locale.Printer
	clicked map[string]bool
}

func (o *door) clicking(b *browser, lang string) *clicker {
	o.t.Helper()
	all, err := locale.Shipped()
	must(o.t, err)
	b.visit("/console/cases?lang=" + lang)
	return &clicker{browser: b, o: o.on(o.t), words: all.Printer(lang), clicked: map[string]bool{}}
}

// form opens the form of an action.
func (c *clicker) form(id bonded.CaseID, action string) {
	c.t.Helper()
	c.visit("/console/cases/" + id.String())
	c.do("open "+action, chromedp.Click(chromedp.CSS("#act-"+action+" > summary")), chromedp.WaitVisible(chromedp.CSS("#act-"+action+" button[type=submit]:enabled")))
}

// send sends the form that is open.
func (c *clicker) send(action string, fill ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	if len(fill) > 0 {
		c.do("fill "+action, fill...)
	}
	c.do("send "+action, chromedp.Click(chromedp.CSS("#act-"+action+" button[type=submit]:enabled")))
}

// stops checks that the form does not go without a field.
func (c *clicker) stops(action, field string, fill ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	c.send(action, fill...)
	if !eval[bool](&tab{t: c.t, ctx: c.ctx}, "document.querySelector("+quote(field)+").matches(':invalid') && !document.querySelector("+quote("#act-"+action+" [aria-busy]")+")") {
		c.t.Errorf("%s goes on with %s as it is", action, field)
	}
}

// tells checks what the form says of its mistake, in the reader's words.
func (c *clicker) tells(action, words string, fill ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	c.send(action, fill...)
	c.problem(action, words)
}

// refused signs a decision that the front door refuses.
func (c *clicker) refused(action, words string, fill ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	c.send(action, fill...)
	c.do("sign "+action, chromedp.WaitVisible(chromedp.CSS("#confirm-sign")), chromedp.Click(chromedp.CSS("#confirm-sign")))
	c.problem(action, words)
}

// english is a sentence that a reader of Chinese would not expect.
var english = regexp.MustCompile(`[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}`)

func (c *clicker) problem(action, words string) {
	c.t.Helper()
	box := "#act-" + action + " form:not([aria-busy]) .problem"
	c.do("wait what "+action+" says", chromedp.WaitVisible(chromedp.CSS(box)))
	got := c.text(box)
	foot := c.text(box + " .small")
	if !strings.Contains(got, words) {
		c.t.Errorf("%s says %q, not %q", action, got, words)
	}
	if said := english.FindString(strings.TrimSuffix(got, foot)); said != "" && c.words.Lang != "en" {
		c.t.Errorf("%s says %q to a reader of %s", action, said, c.words.Lang)
	}
}

// signs sends the form, looks at what is signed, signs it, and returns the case.
func (c *clicker) signs(id bonded.CaseID, action string, fill ...chromedp.Action[chromedp.Void]) *apitype.CaseView {
	c.t.Helper()
	c.send(action, fill...)
	c.do("look at "+action, chromedp.WaitVisible(chromedp.CSS("#confirm-sign")))
	if got := c.text("#confirm-title"); got != c.words.T("caseact."+action) {
		c.t.Errorf("what is signed is called %q", got)
	}
	if got := c.text("#confirm dl"); !strings.Contains(got, c.words.T("caseact."+action+"_does")) || !strings.Contains(got, id.String()) {
		c.t.Errorf("what is signed is said to be %q", got)
	}
	c.do("sign "+action, chromedp.Click(chromedp.CSS("#confirm-sign")), chromedp.WaitVisible(chromedp.CSS(".notice.good")))
	c.clicked[action] = true
	c.looks()
	v := c.o.view(id)
	poll(c.t, "the decision in the dossier", func() error { // which waits for the register's entries to be witnessed
		people, _, err := c.o.As("legal-1")
		if err != nil {
			return err
		}
		all, err := people.Dossier(c.o.ctx(), id)
		if err != nil {
			return err
		}
		d, err := verify.ParseCaseDecision(all.Decisions[len(all.Decisions)-1])
		if err != nil || d.Action != action {
			c.t.Errorf("the newest decision is %+v, not %s: %v", d, action, err)
		}
		return nil
	})
	return v
}

// raw are words that programs use among themselves.
var raw = regexp.MustCompile(`\b(?:[a-z]+_[a-z_]+|(?:case[a-z]*|decide|officer|rule|guard|code)\.[a-z_.]+)\b`)

// looks checks that the page of a case has no word of programs outside of what
// is marked as one: names of fields and codes.
func (c *clicker) looks() {
	c.t.Helper()
	s := eval[string](&tab{t: c.t, ctx: c.ctx}, `(() => { const m = document.querySelector('main').cloneNode(true); for (const e of m.querySelectorAll('code, pre, input, select, dialog, noscript, #sign-words, [aria-labelledby=rules], [aria-labelledby=tasks], [aria-labelledby=documents], .narrowed')) e.remove(); return m.textContent; })()`)
	for _, w := range raw.FindAllString(s, -1) {
		if !strings.HasSuffix(w, quorumField) && !strings.Contains(s, "("+w+")") {
			c.t.Errorf("the page of the case says %q", w)
		}
	}
}

// audit has axe look at the page with every form open.
func (c *clicker) audit(name string) {
	c.t.Helper()
	a := &tab{t: c.t, ctx: c.ctx}
	eval[any](a, `document.querySelectorAll('details.action').forEach((d) => { d.open = true; }); true`)
	a.audit(name)
}

func value(field, text string) chromedp.Action[chromedp.Void] {
	return chromedp.SetValue(chromedp.CSS(field), text)
}

func pick(field string) chromedp.Action[chromedp.Void] { return chromedp.Click(chromedp.CSS(field)) }

func upload(field, path string) chromedp.Action[chromedp.Void] {
	return chromedp.SetUploadFiles(chromedp.CSS(field), []string{path})
}

func dayAt(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// wantState checks where a case is now.
func wantState(t *testing.T, v *apitype.CaseView, state string) {
	t.Helper()
	if v.State != state {
		t.Errorf("the case is %s, not %s", v.State, state)
	}
}

// challengeable leads a case until its person is about to be told.
func (o *door) challengeable() (bonded.CaseID, int) {
	o.t.Helper()
	letters := o.outbox()
	id := o.asks(o.named(), "", subpoena...)
	o.approved(id)
	return id, letters
}

// asksByClicking files three requests on the officers' pages: to freeze, under
// a gag, and in an emergency.
func asksByClicking(o *door, d *desks) {
	b := d.tab
	b.open(strings.Replace(d.intake.origin, "127.0.0.1", "localhost", 1) + "/officers/?lang=en")
	b.see("#view-start")
	b.choose("#f-key_file", o.key(actsOfficer))
	b.write("#f-officer", actsOfficer)
	b.click("#open-key")
	b.see("#cases-list")
	order := filepath.Join(o.dir, "order.txt")
	must(o.t, os.WriteFile(order, []byte("Order of the court, file 4711\n"), 0o600))
	at := func(d time.Duration) string { return time.Now().UTC().Add(d).Format("2006-01-02T15:04") }
	ask := func(state string, more func()) bonded.CaseID {
		b.click(`[data-tab="file"]`)
		b.see("#file-form")
		fillRequest(b, o.named(), order)
		more()
		b.click("#file-send")
		b.see(`#case-asked[data-state="` + state + `"]`)
		id, err := bonded.ParseCaseID(strings.TrimPrefix(eval[string](b, "location.hash"), "#/case/"))
		must(o.t, err)
		return id
	}

	// 1. To freeze: nothing is opened, so that no field is asked for.
	d.frozen = ask("submitted", func() {
		b.set("#f-authorisation-process_type", "eu_epoc_pr")
		b.set("#f-authorisation-treaty_route", "eu_epo")
		b.set("#f-authorisation-approvals-0-role", "judge")
		b.set("#f-authorisation-approvals-1-role", "court")
		b.set("#f-tasks-0-kind", "preserve")
		b.set("#f-tasks-0-data_class", "subscriber")
		b.set("#f-tasks-0-fields_wanted", "")
		b.set("#f-tasks-0-hold_until", at(50*24*time.Hour))
	})

	// 2. Under a gag: an end before its beginning is said beside the field.
	d.gagged = ask("submitted", func() {
		b.click("#part-secrecy")
		b.write("#f-authorisation-secrecy-basis-law", "StPO")
		b.write("#f-authorisation-secrecy-basis-article", "101a")
		b.set("#f-authorisation-secrecy-from", at(-time.Hour))
		b.set("#f-authorisation-secrecy-until", at(-2*time.Hour))
		b.set("#f-authorisation-secrecy-scope", "both")
		b.click("#file-send")
		b.see("#f-authorisation-secrecy-until-error")
		if got := b.text("#f-authorisation-secrecy-until-error"); got != "The end is not after the beginning." {
			o.t.Errorf("an end before its beginning is said to be %q", got)
		}
		b.set("#f-authorisation-secrecy-until", at(10*24*time.Hour))
	})
	if v := o.view(d.gagged); v.Secrecy == nil || v.Secrecy.Until == nil {
		o.t.Errorf("the gag is %+v", v.Secrecy)
	}

	// 3. In an emergency.
	d.emergency = ask("submitted", func() {
		b.set("#f-authorisation-priority", "emergency")
		b.see("#emergency-facts")
		b.shoot("officers-emergency")
	})
	if v := o.view(d.emergency); v.Priority != "emergency" {
		o.t.Errorf("the emergency is %s", v.Priority)
	}
}

// shows has the officer open one of their cases.
func (b *tab) shows(id bonded.CaseID, state string) {
	b.t.Helper()
	eval[any](b, `location.hash = '#/cases'; true`)
	b.see("#cases-list table")
	eval[any](b, `location.hash = '#/case/`+id.String()+`'; true`)
	b.see(`#case-asked[data-state="` + state + `"]`)
}

// gagByClicking leads a case under a gag through questions and a narrower scope
// to the custodians, and its gag to its end.
func gagByClicking(o *door, d *desks) {
	t, id := o.t, d.gagged
	d.intake.form(id, "take")
	wantState(t, d.intake.signs(id, "take"), "verifying")
	d.intake.form(id, "forward")
	v := d.intake.signs(id, "forward", value("#reason-forward", "Known to us."))
	wantEntry(t, v, verify.EventTransition, "forward", "intake", "")

	// 1. A question, and its answer.
	d.legal.form(id, "clarify")
	d.legal.audit("case-forms-zh")
	d.legal.stops("clarify", "#reason-clarify")
	d.legal.tells("clarify", d.legal.words.T("decide.why_missing"), value("#reason-clarify", "  "))
	v = d.legal.signs(id, "clarify", value("#reason-clarify", "Which account?"))
	wantEntry(t, v, verify.EventTransition, "clarify", "legal", "")
	wantState(t, v, "clarification")
	d.tab.shows(id, "clarification")
	d.tab.click("#answer")
	d.tab.see("#case-body .notice.bad")
	d.tab.write("#answer-text", "The one in the order.")
	d.tab.click("#answer")
	d.tab.see(`#case-asked[data-state="under_review"]`)

	// 2. Another authority, which lets it go on.
	d.legal.form(id, "refer")
	d.legal.stops("refer", "#reason-refer")
	d.legal.tells("refer", d.legal.words.T("decide.why_missing"), value("#reason-refer", " "))
	wantState(t, d.legal.signs(id, "refer", value("#reason-refer", "Article 8.")), "awaiting_other_authority")
	d.legal.form(id, "respond")
	d.legal.stops("respond", "#act-respond [name=answer]")
	d.legal.tells("respond", d.legal.words.T("decide.code_missing"), pick("#act-respond [value=end]"))
	v = d.legal.signs(id, "respond", pick("#act-respond [value=on]"))
	wantEntry(t, v, verify.EventTransition, "respond", "legal", "")
	wantState(t, v, "under_review")

	// 3. A narrower scope, which its author does not approve.
	d.legal.form(id, "narrow")
	d.legal.tells("narrow", d.legal.words.T("decide.nothing_narrowed", "n", 1))
	d.legal.stops("narrow", "#max-0", value("#max-0", "2"))
	fields := "#act-narrow input[name=fields_0]"
	d.legal.tells("narrow", d.legal.words.T("decide.fields_missing"), value("#max-0", "1"), pick(fields+"[value=phone]"), pick(fields+"[value="+quorumField+"]"))
	v = d.legal.signs(id, "narrow", pick(fields+"[value="+quorumField+"]"))
	wantState(t, v, "narrowed")
	d.tab.shows(id, "narrowed")
	d.tab.click("#accept")
	d.tab.see(`#case-asked[data-state="under_review"]`)
	if v = o.view(id); !slices.Equal(v.Tasks[0].FieldsWanted, []string{quorumField}) {
		t.Errorf("the task has the fields %v", v.Tasks[0].FieldsWanted)
	}
	d.legal.form(id, "approve")
	d.legal.refused("approve", d.legal.words.T("rule.separation.narrow_approve"))
	d.second.form(id, "approve")
	v = d.second.signs(id, "approve")
	if wantState(t, v, "under_review"); v.Extra["first_approval"] != "legal-2" {
		t.Errorf("the first approval is of %q", v.Extra["first_approval"])
	}
	d.second.visit("/console/cases/" + id.String())
	if said := d.second.text("main"); !strings.Contains(said, d.second.words.T("case.you_approved")) {
		t.Errorf("whoever approved is not told that another has to: %s", said)
	}
	d.second.do("find no form to approve again", chromedp.WaitNotPresent(chromedp.CSS("#act-approve")))
	o.decide("legal-3", id, "approve", foundation.ApproveTasks)

	// 4. To the custodians without a word to the person.
	d.second.form(id, "proceed")
	v = d.second.signs(id, "proceed")
	wantEntry(t, v, verify.EventNotice, "proceed", "legal", "deferred")
	wantState(t, v, "awaiting_quorum")

	// 5. The gag.
	renewal := o.paper("renewal.txt", "The secrecy is renewed\n")
	end := *v.Secrecy.Until
	d.second.form(id, "secrecy_extend")
	d.second.stops("secrecy_extend", "#until-secrecy_extend")
	d.second.stops("secrecy_extend", "#document-secrecy_extend", value("#until-secrecy_extend", dayAt(end)))
	d.second.tells("secrecy_extend", d.second.words.T("decide.until_early", "time", end), upload("#document-secrecy_extend", renewal))
	d.second.do("look for the mark", chromedp.WaitVisible(chromedp.CSS("#until-secrecy_extend[aria-invalid]")))
	d.second.tells("secrecy_extend", "An extension goes as far as", value("#until-secrecy_extend", dayAt(end.AddDate(2, 0, 0))))
	v = d.second.signs(id, "secrecy_extend", value("#until-secrecy_extend", dayAt(end.AddDate(0, 0, 20))))
	wantEntry(t, v, verify.EventSecrecy, "secrecy_extend", "legal", "extended")
	o.wantPaper(v, renewal)
	if v.Secrecy.Until == nil || dayAt(*v.Secrecy.Until) != dayAt(end.AddDate(0, 0, 20)) {
		t.Errorf("the gag is %+v", v.Secrecy)
	}
	d.guardian.form(id, "secrecy_challenge")
	d.guardian.stops("secrecy_challenge", "#reason-secrecy_challenge")
	d.guardian.tells("secrecy_challenge", d.guardian.words.T("decide.why_missing"), value("#reason-secrecy_challenge", " "))
	v = d.guardian.signs(id, "secrecy_challenge", value("#reason-secrecy_challenge", "No review."))
	wantEntry(t, v, verify.EventSecrecy, "secrecy_challenge", "guardian", "challenged")
	d.second.form(id, "secrecy_end")
	v = d.second.signs(id, "secrecy_end")
	if i := slices.IndexFunc(v.Entries, func(e apitype.CaseEntryView) bool { return e.Decision == "secrecy_end" }); i < 0 || v.Entries[i].Detail != "ended" {
		t.Errorf("no entry says that counsel ended the gag: %+v", v.Entries)
	}

	// 6. The officer takes it back.
	d.tab.shows(id, "awaiting_quorum")
	eval[any](d.tab, `document.querySelector('#withdraw-text').closest('details').open = true`)
	d.tab.click("#withdraw")
	d.tab.see("#case-body .notice.bad")
	d.tab.write("#withdraw-text", "Solved otherwise.")
	d.tab.click("#withdraw")
	d.tab.see(`#case-asked[data-state="withdrawn"]`)
	o.wantUnopened(id)
}

// courtByClicking brings the objection of a person before a court.
func courtByClicking(o *door, d *desks) {
	t, id := o.t, d.told
	o.awaits(id, "challenge_window")
	d.guardian.form(id, "challenge")
	d.guardian.stops("challenge", "#reason-challenge")
	d.guardian.tells("challenge", d.guardian.words.T("decide.why_missing"), value("#reason-challenge", " "))
	v := d.guardian.signs(id, "challenge", pick("#act-challenge [value=subject]"), value("#reason-challenge", "Objection received."))
	wantEntry(t, v, verify.EventTransition, "challenge", "subject", "")
	wantState(t, v, "challenged")
	ruling := o.paper("ruling.txt", "The court has decided: it may go on\n")
	d.legal.form(id, "rule")
	d.legal.stops("rule", "#act-rule [name=answer]")
	d.legal.stops("rule", "#document-rule", pick("#act-rule [value=on]"))
	d.legal.tells("rule", d.legal.words.T("decide.code_missing"), upload("#document-rule", ruling), pick("#act-rule [value=end]"))
	v = d.legal.signs(id, "rule", pick("#act-rule [value=on]"))
	wantEntry(t, v, verify.EventTransition, "rule", "court", "")
	wantState(t, v, "awaiting_quorum")
	o.wantPaper(v, ruling)
}

// tasksByClicking refuses one task, and then what is left.
func tasksByClicking(o *door, d *desks) {
	t, s := o.t, o.named()
	text := strings.Replace(o.text(actsOfficer, actsAgency, s, ""), "holder apart.", "holder apart. The number alone reaches them.", 1)
	head, task, _ := strings.Cut(text, "tasks:\n")
	id := o.file(actsOfficer, head+"tasks:\n"+task+strings.Replace(task, "[phone, "+quorumField+"]", "[phone]", 1))
	o.decide("intake-1", id, "take", nil)
	o.decide("intake-1", id, "forward", nil)
	d.legal.form(id, "refuse_task")
	d.legal.tells("refuse_task", d.legal.words.T("decide.tasks_missing"))
	v := d.legal.signs(id, "refuse_task", value("#task_0-refuse_task", "too_broad"))
	wantEntry(t, v, verify.EventNarrowing, "refuse_task", "legal", "task_refused")
	if v.Tasks[0].Status != "refused" || v.Tasks[0].Reason != "too_broad" || v.Tasks[1].Reason != "" {
		t.Errorf("the tasks are %+v", v.Tasks)
	}
	d.second.form(id, "reject")
	d.second.tells("reject", d.second.words.T("decide.code_missing"))
	v = d.second.signs(id, "reject", value("#task_1-reject", "no_legal_basis"))
	wantState(t, v, "rejected")
	if v.Tasks[1].Reason != "no_legal_basis" {
		t.Errorf("the tasks are %+v", v.Tasks)
	}
	o.wantUnopened(id)
}

// holdByClicking freezes by hand, extends, and ends a freeze before its time.
func holdByClicking(o *door, d *desks) {
	t := o.t
	until := time.Now().UTC().Truncate(time.Second).AddDate(0, 0, 50)

	// 1. By hand, which an agency that is suspended waits for.
	id := o.freezes(forgedOfficer, forgedAgency, until)
	o.suspend(forgedAgency)
	o.decide("intake-1", id, "take", nil)
	d.intake.form(id, "preserve")
	d.intake.refused("preserve", d.intake.words.T("rule.guard.agency_verified"))
	o.empower(forgedAgency, 3)
	d.intake.form(id, "preserve")
	v := d.intake.signs(id, "preserve")
	wantEntry(t, v, verify.EventFreeze, "", "vaultkeeper", "held")
	wantState(t, v, "preserved")

	// 2. Longer, once.
	d.legal.form(id, "close")
	d.legal.refused("close", d.legal.words.T("rule.guard.hold_ended"))
	d.legal.form(id, "hold_extend")
	d.legal.stops("hold_extend", "#until-hold_extend")
	d.legal.tells("hold_extend", d.legal.words.T("decide.until_early", "time", until), value("#until-hold_extend", dayAt(until.AddDate(0, 0, -1))))
	d.legal.tells("hold_extend", d.legal.words.T("decide.until_late", "time", until.AddDate(0, 0, 30)), value("#until-hold_extend", dayAt(until.AddDate(0, 0, 32))))
	v = d.legal.signs(id, "hold_extend", value("#until-hold_extend", dayAt(until.AddDate(0, 0, 20))))
	wantEntry(t, v, verify.EventFreeze, "hold_extend", "legal", "extended")
	d.legal.form(id, "hold_extend")
	d.legal.refused("hold_extend", d.legal.words.T("rule.hold.extend_times"), value("#until-hold_extend", dayAt(until.AddDate(0, 0, 25))))
	d.legal.form(id, "hold_release")
	wantState(t, d.legal.signs(id, "hold_release"), "closed")

	// 3. Intake's release leaves the end to counsel.
	id = d.frozen
	d.intake.form(id, "take")
	d.intake.signs(id, "take")
	o.awaits(id, "preserved")
	d.intake.form(id, "hold_release")
	d.intake.audit("case-frozen")
	wantState(t, d.intake.signs(id, "hold_release"), "preserved")
	d.legal.form(id, "close")
	v = d.legal.signs(id, "close")
	wantEntry(t, v, verify.EventTransition, "close", "legal", "")
	o.wantUnopened(id)
}

// emergencyByClicking leads an emergency from the call back to its paper.
func emergencyByClicking(o *door, d *desks) {
	t, id := o.t, d.emergency
	d.intake.form(id, "take")
	d.intake.signs(id, "take")
	d.intake.form(id, "forward")
	d.intake.stops("forward", "#called-forward")
	d.intake.tells("forward", d.intake.words.T("decide.called_missing"), value("#called-forward", " "))
	d.intake.refused("forward", d.intake.words.T("rule.guard.call_back_if_emergency"), value("#called-forward", "+49 30 1234567"))
	v := d.intake.signs(id, "forward", value("#called-forward", registered))
	wantEntry(t, v, verify.EventTransition, "forward", "intake", "called_back")
	d.legal.form(id, "emergency")
	v = d.legal.signs(id, "emergency")
	wantState(t, v, "under_review")
	if v = o.opens(id); v.State != "emergency_opened" {
		t.Fatalf("an emergency with a package is %s", v.State)
	}
	paper := o.paper("order.txt", "Order of the court, file 4711, after the fact\n")
	d.legal.form(id, "ratify")
	d.legal.stops("ratify", "#document-ratify")
	v = d.legal.signs(id, "ratify", upload("#document-ratify", paper))
	wantEntry(t, v, verify.EventTransition, "ratify", "legal", "")
	o.wantPaper(v, paper)
	o.wantNotices(id, 1)
	d.legal.form(id, "close")
	wantState(t, d.legal.signs(id, "close"), "closed")
	d.tab.shows(id, "closed")
}

// forgedByClicking marks an emergency as forged, and refuses it.
func forgedByClicking(o *door, d *desks) {
	t := o.t
	id := o.file(forgedOfficer, strings.NewReplacer(emergencyWords...).Replace(o.text(forgedOfficer, forgedAgency, o.named(), emergencyFlag)))
	o.decide("intake-1", id, "take", nil)
	d.intake.form(id, "fraud")
	d.intake.stops("fraud", "#reason-fraud")
	d.intake.tells("fraud", d.intake.words.T("decide.why_missing"), value("#reason-fraud", " "))
	v := d.intake.signs(id, "fraud", value("#reason-fraud", "The switchboard knows nothing of it."))
	wantEntry(t, v, verify.EventAlarm, "fraud", "intake", "fraud")
	if got := d.intake.text("#warnings"); !strings.Contains(got, d.intake.words.T("casesignal.case.forged")) {
		t.Errorf("the page warns of %s", got)
	}
	d.intake.form(id, "forward")
	d.intake.refused("forward", d.intake.words.T("rule.guard.agency_verified"), value("#called-forward", registered))
	d.intake.form(id, "reject")
	v = d.intake.signs(id, "reject", value("#code-reject", "not_authenticated"))
	wantEntry(t, v, verify.EventTransition, "reject", "intake", "not_authenticated")
	wantState(t, v, "rejected")
}

// everyForm checks that no action has come that nobody clicks here.
func everyForm(o *door, d *desks) {
	clicked := map[string]bool{}
	for _, c := range []*clicker{d.intake, d.legal, d.second, d.guardian} {
		for a := range c.clicked {
			clicked[a] = true
		}
	}
	for _, key := range d.intake.words.Keys() {
		action, ok := strings.CutSuffix(strings.TrimPrefix(key, "caseact."), "_does")
		if ok && strings.HasPrefix(key, "caseact.") && !clicked[action] {
			o.t.Errorf("nobody clicked %s", action)
		}
	}
}

// followed looks at pages that are open while others act: they change by
// themselves, and their forms still sign.
func followed(o *door, d *desks) {
	id := o.asks(o.named(), "")
	d.intake.visit("/console/cases/" + id.String())
	d.legal.visit("/console/cases?state=mine")
	for _, c := range []*clicker{d.intake, d.legal} {
		eval[any](&tab{t: o.t, ctx: c.ctx}, "window.same = true; true")
	}
	d.intake.do("open what is there", chromedp.Click(chromedp.CSS("#act-take > summary")))
	o.decide("intake-1", id, "take", nil) // by another program
	d.intake.do("see that it was taken", chromedp.WaitVisible(chromedp.CSS("#act-forward > summary")), chromedp.Click(chromedp.CSS("#act-forward > summary")))
	v := d.intake.signs(id, "forward")
	wantState(o.t, v, "under_review")
	d.legal.do("see the case", chromedp.WaitVisible(chromedp.CSS(`#cases a[href="/console/cases/`+id.String()+`"]`)))
	if !eval[bool](&tab{t: o.t, ctx: d.legal.ctx}, "window.same === true") {
		o.t.Error("the board was loaded anew")
	}
	poll(o.t, "word of it to those who do not see it", func() error {
		if said := eval[string](&tab{t: o.t, ctx: d.legal.ctx}, "document.querySelector('body > [role=status]')?.textContent ?? ''"); said != d.legal.words.T("live.changed") {
			return fmt.Errorf("they are told %q", said)
		}
		return nil
	})

	// A form that somebody writes in is left alone.
	d.legal.form(id, "clarify")
	d.legal.do("write", value("#reason-clarify", "Which account?"))
	o.decide("legal-2", id, "refer", func(_ *apitype.CaseView, q *verify.CaseDecision) { q.Reason = "Article 8." })
	d.legal.refusedDraft("clarify", d.legal.words.T("decide.moved"))
}

// refusedDraft sends a form of a case that has moved on: what was written stays.
func (c *clicker) refusedDraft(action, words string) {
	c.t.Helper()
	c.tells(action, words)
	if got := eval[string](&tab{t: c.t, ctx: c.ctx}, "document.querySelector("+quote("#reason-"+action)+").value"); got == "" {
		c.t.Error("what was written is gone")
	}
}

// readsOnly enrols somebody whose passkey cannot keep a key.
func readsOnly(o *door, d *desks) {
	b := d.second.bare()
	b.t = o.t
	b.authenticates("internal", false)
	link := o.invite("legal-3")
	b.visit(link)
	send := chromedp.Click(chromedp.CSS("#enrol button[type=submit]:enabled"))
	b.do("a new key would be lost", pick("#enrol [value=new]"), send, chromedp.WaitVisible(chromedp.CSS("#enrol .problem")))
	if got := b.text("#enrol .problem"); !strings.Contains(got, "PRF") || !strings.Contains(got, "key file") {
		o.t.Errorf("it says %q", got)
	}
	b.do("enrol to read", pick("#enrol [value=file]"), upload("#key-file", o.d.Layout.Person(o.Cell, "legal-3")), send,
		chromedp.WaitVisible(chromedp.CSS("#enrolled [data-state=ready]")), chromedp.WaitVisible(chromedp.CSS("#enrolled-reads")))
	b.signIn()
	if got := b.text("#passkeys"); !strings.Contains(got, "for reading") {
		o.t.Errorf("the passkey is shown as %q", got)
	}
	id := o.asks(o.named(), "")
	o.decide("intake-1", id, "take", nil)
	o.decide("intake-1", id, "forward", nil)
	b.visit("/console/cases/" + id.String())
	if got := b.text("#actions ~ *"); !strings.Contains(got, "lets you read") {
		o.t.Errorf("it says %q", got)
	}
	if got := b.text("#commands"); !strings.Contains(got, "bonded case approve "+id.String()) || !strings.Contains(got, "bonded case refuse-task "+id.String()) {
		o.t.Errorf("the commands are %q", got)
	}
	(&tab{t: o.t, ctx: b.ctx}).audit("case-reads-only")
	v := o.view(id)
	if status, _ := o.drafted(b.cookie(), id, map[string]string{"action": "refer", "reason": "x", "state": v.State, "number": strconv.FormatUint(v.Number, 10)}); status != http.StatusForbidden {
		o.t.Errorf("a draft: %d", status)
	}
}
