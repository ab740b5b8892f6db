//go:build unix

package bondedtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

const (
	actsAgency    = "lka-acts" // may ask by every process type of these tests
	actsOfficer   = "officer-acts"
	forgedAgency  = "lka-forged" // is suspended on the way
	forgedOfficer = "officer-forged"
	registered    = "+49 30 5550 117" // phone of every officer of the tests
)

// TestE2ECaseActs types the commands of bonded case that the daily way of a
// case does not need, each where it is allowed and where it is not.
func TestE2ECaseActs(t *testing.T) {
	o := openDoor(t)
	o.empower(actsAgency, 1)
	o.officer(actsOfficer, actsAgency)
	o.empower(forgedAgency, 1)
	o.officer(forgedOfficer, forgedAgency)
	t.Run("an emergency is opened, ratified and closed", func(t *testing.T) { emergencyCase(o.on(t)) })
	t.Run("a gag is extended, challenged and ended", func(t *testing.T) { gaggedCase(o.on(t)) })
	t.Run("another authority objects", func(t *testing.T) { referredCase(o.on(t)) })
	t.Run("a court lets a case go on", func(t *testing.T) { allowedByCourt(o.on(t)) })
	t.Run("a court forbids a case", func(t *testing.T) { forbiddenByCourt(o.on(t)) })
	t.Run("a hold is extended and released", func(t *testing.T) { heldCases(o.on(t)) })
	t.Run("a forged emergency suspends its agency", func(t *testing.T) { forgedCase(o.on(t)) })
	t.Run("both books hold", func(t *testing.T) { wantBooksHold(t, o.d, "") })
}

// empower registers a version of an agency that may ask by every process type
// of these tests.
func (o *door) empower(agency string, version uint64) {
	o.t.Helper()
	a := o.entry(agency, "Agency "+agency, "verified", version)
	a.Powers = []string{"mlat", "civil_subpoena", "eu_epoc", "eu_epoc_pr"}
	must(o.t, o.Register(o.ctx(), o.admin(), verify.RegistryAgency, agency, a))
}

// typed is the command line of somebody who acts on a case: one of the people
// of the plan, or an officer.
func (o *door) typed(who, command string, id bonded.CaseID, flags ...string) []string {
	args := append([]string{"case"}, strings.Fields(command)...)
	args = append(args, id.String(), "--person", o.d.Layout.Person(o.Cell, who))
	if strings.HasPrefix(who, "officer-") {
		args[len(args)-1] = o.key(who)
		args = append(args, "--as", who)
	}
	return append(args, flags...)
}

// does has somebody act by the bonded program, which must print the case, the
// way of its state as given, and the newest entry at that time. It returns the
// case as it stands then.
func (o *door) does(who, command string, id bonded.CaseID, way string, flags ...string) *apitype.CaseView {
	o.t.Helper()
	out := o.bonded(o.typed(who, command, id, flags...)...)
	printed := map[string]string{}
	for line := range strings.Lines(out) {
		label, value, _ := strings.Cut(strings.TrimSpace(line), "  ")
		printed[label] = strings.TrimSpace(value)
	}
	if printed["case"] != id.String() || printed["state"] != way {
		o.t.Errorf("%s by %s printed, want state %q:\n%s", command, who, way, out)
	}
	v := o.view(id)
	if n, err := strconv.ParseUint(printed["entry"], 10, 64); err != nil || n == 0 || n > v.Number {
		o.t.Errorf("%s by %s printed entry %q, the newest is %d", command, who, printed["entry"], v.Number)
	}
	return v
}

// refused has somebody act who may not, or not like this: the bonded program
// must end with the exit code of the code given, print it with all words, and
// a hint; and the case stays as it is.
func (o *door) refused(who, command string, id bonded.CaseID, code bonded.Code, words []string, flags ...string) {
	o.t.Helper()
	before := o.view(id)
	out, err := o.try(o.typed(who, command, id, flags...)...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		o.t.Errorf("%s by %s %v came through: %v\n%s", command, who, flags, err, out)
		return
	}
	if want := apitype.InfoOf(code).Exit; exit.ExitCode() != want {
		o.t.Errorf("%s by %s %v ended with %d, want %d", command, who, flags, exit.ExitCode(), want)
	}
	for _, w := range append(words, "["+string(code)+"]", "bonded: hint: ") {
		if !strings.Contains(out, w) {
			o.t.Errorf("the refusal of %s by %s %v does not say %q:\n%s", command, who, flags, w, out)
		}
	}
	if after := o.view(id); after.State != before.State || after.Number != before.Number || len(after.Documents) != len(before.Documents) {
		o.t.Errorf("%s by %s %v was refused and the case went from %s, entry %d, %d documents to %s, %d, %d", command, who, flags,
			before.State, before.Number, len(before.Documents), after.State, after.Number, len(after.Documents))
	}
}

// misses has somebody leave out what a command cannot do without.
func (o *door) misses(who, command string, id bonded.CaseID, flag string, flags ...string) {
	o.t.Helper()
	out, err := o.try(o.typed(who, command, id, flags...)...)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != apitype.ExitBadInput || !strings.Contains(out, flag) || !strings.Contains(out, "bonded: hint: ") {
		o.t.Errorf("%s without %s: %v\n%s", command, flag, err, out)
	}
}

// notTheirs has people act whose action it is not. They are refused before
// anything of theirs is put on file, and told whose action it is.
func (o *door) notTheirs(command string, id bonded.CaseID, who []string, flags ...string) {
	o.t.Helper()
	for _, w := range who {
		o.refused(w, command, id, bonded.CodeForbidden, []string{"not for people of role", "it is for people of role"}, flags...)
	}
}

// wantEntry checks the newest entry of an event.
func wantEntry(t *testing.T, v *apitype.CaseView, event, decision, actor, detail string) {
	t.Helper()
	for _, e := range slices.Backward(v.Entries) {
		if e.Event != event {
			continue
		}
		if e.Decision != decision || e.Actor != actor || e.Detail != detail {
			t.Errorf("entry %d, %s, is %q by %s, detail %q, want %q by %s, %q", e.Number, event, e.Decision, e.Actor, e.Detail, decision, actor, detail)
		}
		return
	}
	t.Errorf("the case has no entry %s", event)
}

// paper writes a document that a decision rests on.
func (o *door) paper(name, text string) string {
	o.t.Helper()
	path := filepath.Join(o.t.TempDir(), name)
	must(o.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// wantPaper checks that a document is on file as it was written, from what the
// front door gives out.
func (o *door) wantPaper(v *apitype.CaseView, path string) {
	o.t.Helper()
	want, err := os.ReadFile(path)
	must(o.t, err)
	out := filepath.Join(o.t.TempDir(), "document")
	o.bonded(o.typed("legal-1", "document", v.Case, v.Documents[len(v.Documents)-1].SHA256, "-f", out)...)
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
		o.t.Errorf("%s is on file as %q, %v", filepath.Base(path), got, err)
	}
}

// lastDecision is the newest decision of a case, as it was signed.
func (o *door) lastDecision(id bonded.CaseID) *verify.CaseDecision {
	o.t.Helper()
	legal, _, err := o.As("legal-1")
	must(o.t, err)
	dossier, err := legal.Dossier(o.ctx(), id)
	must(o.t, err)
	d, err := verify.ParseCaseDecision(dossier.Decisions[len(dossier.Decisions)-1])
	must(o.t, err)
	return d
}

// asks files a request of the officer of these tests with words of the usual
// one replaced.
func (o *door) asks(s named, secret string, replace ...string) bonded.CaseID {
	o.t.Helper()
	return o.file(actsOfficer, strings.NewReplacer(replace...).Replace(o.text(actsOfficer, actsAgency, s, secret)))
}

// reviewed types a case on until it is under review.
func (o *door) reviewed(id bonded.CaseID) {
	o.t.Helper()
	o.does("intake-1", "take", id, "submitted → verifying")
	o.does("intake-1", "forward", id, "verifying → under_review")
}

// twice types both approvals.
func (o *door) twice(id bonded.CaseID) {
	o.t.Helper()
	o.does("legal-2", "approve", id, "under_review, as before")
	o.does("legal-3", "approve", id, "under_review → notice_pending")
}

// opens has custodians approve and compute, each by its own program, until
// there is a package.
func (o *door) opens(id bonded.CaseID) *apitype.CaseView {
	o.t.Helper()
	v, err := o.AwaitScope(o.ctx(), "legal-1", id)
	must(o.t, err)
	g, ctx := errgroup.WithContext(o.ctx())
	for _, c := range []string{"firm-1", "firm-2", "independent-1"} {
		g.Go(func() error {
			_, err := o.Custodian(ctx, c, "approve", o.d.Layout.Custodian(o.Cell, c), id.String(), "--scope", v.Scope, "--wait")
			return err
		})
	}
	must(o.t, g.Wait())
	poll(o.t, "a package", func() error {
		if v = o.view(id); v.Package == "" {
			return fmt.Errorf("the case is %s", v.State)
		}
		return nil
	})
	return v
}

// awaits waits until a case is in a state.
func (o *door) awaits(id bonded.CaseID, state string) *apitype.CaseView {
	o.t.Helper()
	v, err := o.Await(o.ctx(), "legal-1", id, state)
	must(o.t, err)
	return v
}

// wantLetters waits until so many letters went out.
func (o *door) wantLetters(before, want int) {
	o.t.Helper()
	poll(o.t, fmt.Sprintf("%d letters", want), func() error {
		if n := o.outbox() - before; n != want {
			return fmt.Errorf("%d letters", n)
		}
		return nil
	})
}

// wantNotices waits until so many notices are entered: after that the case
// stays as it is.
func (o *door) wantNotices(id bonded.CaseID, want int) {
	o.t.Helper()
	poll(o.t, fmt.Sprintf("%d entries of notices", want), func() error {
		if n := events(o.view(id), verify.EventNotice); n != want {
			return fmt.Errorf("%d entries", n)
		}
		return nil
	})
}

// wantOpensFor has an officer fetch and open a package by the bonded program.
func (o *door) wantOpensFor(officer string, id bonded.CaseID, s named) {
	o.t.Helper()
	dir := o.t.TempDir()
	pkg, values := filepath.Join(dir, "case.bonded"), filepath.Join(dir, "case.json")
	o.bonded("request", "fetch", id.String(), "--as", officer, "--key", o.key(officer), "-f", pkg)
	o.bonded("request", "open", pkg, "--key", o.key(officer), "--format", "json", "-f", values)
	b, err := os.ReadFile(values)
	must(o.t, err)
	if out := string(b); !strings.Contains(out, s.phone) || !strings.Contains(out, s.born) || strings.Contains(out, s.name) {
		o.t.Errorf("the package holds not just phone and birth date:\n%s", out)
	}
}

var emergencyWords = []string{"priority: routine", "priority: emergency"}

const emergencyFlag = "  flags: [emergency]\n"

// emergencyCase leads an emergency from the call back to its paper and its end.
func emergencyCase(o *door) {
	t := o.t
	s := o.named()
	letters := o.outbox()
	id := o.asks(s, emergencyFlag, emergencyWords...)
	o.does("intake-1", "take", id, "submitted → verifying")

	// 1. Nothing before a call back, and to a number of the register.
	o.refused("intake-1", "forward", id, bonded.CodeInvalid, []string{"--called", "call back"})
	o.refused("intake-1", "forward", id, bonded.CodeForbidden, []string{"guard.call_back_if_emergency"}, "--called", "+49 30 1234567")
	o.refused("legal-1", "emergency", id, bonded.CodeConflict, []string{"verifying"})
	v := o.does("intake-1", "forward", id, "verifying → under_review", "--called", registered)
	wantEntry(t, v, verify.EventTransition, "forward", "intake", "called_back")

	// 2. Before the custodians, once, by counsel.
	o.notTheirs("emergency", id, []string{"intake-1", "guardian-1", actsOfficer})
	o.does("legal-1", "emergency", id, "under_review, as before")
	v, err := o.AwaitScope(o.ctx(), "legal-1", id)
	must(t, err)
	wantEntry(t, v, verify.EventQuorum, "", "vaultkeeper", "emergency")
	o.refused("legal-1", "emergency", id, bonded.CodeConflict, []string{"under_review"})
	paper := o.paper("order.txt", "Order of the court, file 4711, after the fact\n")
	o.refused("legal-1", "ratify", id, bonded.CodeConflict, []string{"under_review"}, "--document", paper)
	if v = o.opens(id); v.State != "emergency_opened" {
		t.Errorf("an emergency with a package is %s", v.State)
	}
	o.wantOpensFor(actsOfficer, id, s)

	// 3. The paper that it owes. The person is told after it, not before.
	o.misses("legal-1", "ratify", id, "--document")
	o.misses("legal-1", "ratify", id, "absent.txt", "--document", "absent.txt")
	o.notTheirs("ratify", id, []string{"intake-1", "guardian-1", actsOfficer}, "--document", paper)
	_, err = o.Decide(o.ctx(), "intake-1", id, "ratify", nil) // past the program, which does not sign it
	wantCode(t, err, bonded.CodeForbidden)
	if e, ok := errors.AsType[*bonded.Error](err); !ok || e.Hint != "it is for people of role legal" {
		t.Errorf("the front door refuses it with %v", err)
	}
	o.refused("legal-1", "close", id, bonded.CodeConflict, []string{"emergency_opened"})
	if n := o.outbox() - letters; n != 0 {
		t.Errorf("%d letters went out before the paper", n)
	}
	v = o.does("legal-1", "ratify", id, "emergency_opened → ratified", "--document", paper)
	wantEntry(t, v, verify.EventTransition, "ratify", "legal", "")
	o.wantPaper(v, paper)

	// 4. The end, once the person was told.
	o.wantNotices(id, 1)
	o.wantLetters(letters, 1)
	o.refused("legal-1", "ratify", id, bonded.CodeConflict, []string{"ratified"}, "--document", paper)
	o.notTheirs("close", id, []string{"intake-1", "guardian-1", actsOfficer})
	v = o.does("legal-1", "close", id, "ratified → closed")
	wantEntry(t, v, verify.EventTransition, "close", "legal", "")
	o.refused("legal-1", "close", id, bonded.CodeConflict, []string{"closed"})
	o.refused("legal-1", "ratify", id, bonded.CodeConflict, []string{"closed"}, "--document", paper)
}

// gaggedCase leads a case under a gag that is extended, challenged and ended
// by hand; on the way the officer is asked a question and another authority
// raises no objection.
func gaggedCase(o *door) {
	t := o.t
	s := o.named()
	letters := o.outbox()
	now := time.Now().UTC().Truncate(time.Second)
	id := o.asks(s, "  flags: [secrecy_order]\n  secrecy:\n    basis: {law: StPO, article: 101a}\n    from: "+
		now.Add(-time.Hour).Format(time.RFC3339)+"\n    until: "+now.Add(time.Hour).Format(time.RFC3339)+"\n    scope: both\n")
	o.reviewed(id)

	// 1. A question and its answer; another authority, which does not object.
	o.refused("legal-1", "clarify", id, bonded.CodeInvalid, []string{"--reason"})
	o.notTheirs("clarify", id, []string{"intake-1", "guardian-1", actsOfficer}, "--reason", "Which account?")
	v := o.does("legal-1", "clarify", id, "under_review → clarification", "--reason", "Which of the two accounts is meant?")
	wantEntry(t, v, verify.EventTransition, "clarify", "legal", "")
	o.refused("legal-1", "clarify", id, bonded.CodeConflict, []string{"clarification"}, "--reason", "And when?")
	asked, err := o.asOfficer(actsOfficer).Case(o.ctx(), id)
	must(t, err)
	if asked.Extra["question"] != "Which of the two accounts is meant?" {
		t.Errorf("the officer is asked %q", asked.Extra["question"])
	}
	o.bonded("request", "answer", id.String(), "--as", actsOfficer, "--key", o.key(actsOfficer), "--reason", "The one in the order.")
	o.refused("legal-1", "respond", id, bonded.CodeConflict, []string{"under_review"}, "--accept")
	o.refused("legal-1", "refer", id, bonded.CodeInvalid, []string{"--reason"})
	o.notTheirs("refer", id, []string{"intake-1", "guardian-1", actsOfficer}, "--reason", "Article 8.")
	v = o.does("legal-1", "refer", id, "under_review → awaiting_other_authority", "--reason", "Enforcing authority notified, Article 8.")
	wantEntry(t, v, verify.EventTransition, "refer", "legal", "")
	o.notTheirs("respond", id, []string{"intake-1", "guardian-1", actsOfficer}, "--accept")
	o.misses("legal-1", "respond", id, "--accept")
	v = o.does("legal-1", "respond", id, "awaiting_other_authority → under_review", "--accept")
	wantEntry(t, v, verify.EventTransition, "respond", "legal", "")

	// 2. To the custodians without a word to the person.
	o.twice(id)
	o.does("legal-2", "proceed", id, "notice_pending → awaiting_quorum")
	if v = o.opens(id); v.State != "delivered" {
		t.Errorf("a case with a package is %s", v.State)
	}

	// 3. The gag, later.
	renewal := o.paper("renewal.txt", "The secrecy is renewed\n")
	later := now.Add(48 * time.Hour)
	o.misses("legal-1", "secrecy extend", id, "--until", "--document", renewal)
	o.misses("legal-1", "secrecy extend", id, "--document", "--until", later.Format(time.RFC3339))
	o.refused("legal-1", "secrecy extend", id, bonded.CodeInvalid, []string{"--until", "not a time"}, "--until", "soon", "--document", renewal)
	o.refused("legal-1", "secrecy extend", id, bonded.CodeInvalid, []string{"until", "after the present one"}, "--until", now.Add(time.Minute).Format(time.RFC3339), "--document", renewal)
	o.notTheirs("secrecy extend", id, []string{"intake-1", "guardian-1", actsOfficer}, "--until", later.Format(time.RFC3339), "--document", renewal)
	v = o.does("legal-1", "secrecy extend", id, "delivered, as before", "--until", later.Format(time.RFC3339), "--document", renewal)
	wantEntry(t, v, verify.EventSecrecy, "secrecy_extend", "legal", "extended")
	o.wantPaper(v, renewal)
	if v.Secrecy.State != "extended" || v.Secrecy.Until == nil || !v.Secrecy.Until.Equal(later) {
		t.Errorf("the gag is %+v, want extended until %s", v.Secrecy, later)
	}

	o.refused("legal-1", "secrecy extend", id, bonded.CodeInvalid, []string{"until", "a year at most"}, "--until", now.AddDate(2, 0, 0).Format(time.DateOnly), "--document", renewal)

	// 4. Challenged by the guardian, ended by counsel: the person is told, and
	// the entries open.
	o.refused("guardian-1", "secrecy challenge", id, bonded.CodeInvalid, []string{"--reason"})
	o.notTheirs("secrecy challenge", id, []string{"intake-1", actsOfficer}, "--reason", "No review.")
	v = o.does("guardian-1", "secrecy challenge", id, "delivered, as before", "--reason", "No review since June.")
	wantEntry(t, v, verify.EventSecrecy, "secrecy_challenge", "guardian", "challenged")
	o.refused("legal-1", "secrecy challenge", id, bonded.CodeConflict, []string{"delivered: secrecy challenge is not possible now"}, "--reason", "Nor since May.")
	o.notTheirs("secrecy end", id, []string{"intake-1", "guardian-1", actsOfficer})
	if n, told := o.revealed(id), o.outbox()-letters; n != 0 || told != 0 {
		t.Errorf("under the gag %d entries are open and %d letters are out", n, told)
	}
	v = o.does("legal-1", "secrecy end", id, "delivered, as before")
	if i := slices.IndexFunc(v.Entries, func(e apitype.CaseEntryView) bool { return e.Decision == "secrecy_end" }); i < 0 || v.Entries[i].Detail != "ended" {
		t.Errorf("no entry says that counsel ended the gag: %+v", v.Entries)
	}
	poll(t, "word to the person", func() error {
		if v := o.view(id); v.Secrecy.State != "notified" {
			return fmt.Errorf("the gag is %s", v.Secrecy.State)
		}
		return nil
	})
	o.wantLetters(letters, 1)
	o.refused("legal-1", "secrecy end", id, bonded.CodeConflict, []string{"delivered: secrecy end is not possible now"})
	o.refused("legal-1", "secrecy challenge", id, bonded.CodeConflict, []string{"delivered: secrecy challenge is not possible now"}, "--reason", "Again.")
	o.refused("legal-1", "secrecy extend", id, bonded.CodeConflict, []string{"delivered: secrecy extend is not possible now"}, "--until", later.AddDate(0, 0, 1).Format(time.RFC3339), "--document", renewal)

	// 5. Closed once the officer has fetched what was released.
	o.notTheirs("close", id, []string{"intake-1", "guardian-1", actsOfficer})
	o.refused("legal-1", "close", id, bonded.CodeForbidden, []string{"guard.receipt_held", "not fetched"})
	o.wantOpensFor(actsOfficer, id, s)
	out := o.bonded(o.typed("legal-1", "close", id, "-o", "json")...)
	closed := map[string]any{}
	must(t, json.Unmarshal([]byte(out), &closed))
	if closed["case"] != id.String() || closed["action"] != "close" || closed["from"] != "delivered" || closed["state"] != "closed" {
		t.Errorf("close printed %v", closed)
	}
	poll(t, "the entries of the case in the feed", func() error {
		if n := o.revealed(id); n < 5 {
			return fmt.Errorf("%d entries", n)
		}
		return nil
	})
}

// referredCase ends by the answer of another authority.
func referredCase(o *door) {
	id := o.asks(o.named(), "")
	o.reviewed(id)
	o.does("legal-1", "refer", id, "under_review → awaiting_other_authority", "--reason", "Enforcing authority notified, Article 8.")
	o.refused("legal-1", "respond", id, bonded.CodeInvalid, []string{"--code", "did you mean conflict_of_law?"}, "--code", "conflict_of_lav")
	v := o.does("legal-1", "respond", id, "awaiting_other_authority → rejected", "--code", "conflict_of_law")
	wantEntry(o.t, v, verify.EventTransition, "respond", "legal", "conflict_of_law")
	if v.RejectCode != "conflict_of_law" || v.Tasks[0].Status != "refused" {
		o.t.Errorf("rejected with %q, its task is %s", v.RejectCode, v.Tasks[0].Status)
	}
	o.wantUnopened(id)
}

var subpoena = []string{"process_type: mlat", "process_type: civil_subpoena", "treaty_route: mlat", "treaty_route: domestic"}

// told leads a case until its person was told and may object.
func (o *door) told(s named) bonded.CaseID {
	o.t.Helper()
	letters := o.outbox()
	id := o.asks(s, "", subpoena...)
	o.reviewed(id)
	o.twice(id)
	o.awaits(id, "challenge_window")
	o.wantLetters(letters, 1)
	return id
}

// allowedByCourt brings the objection of a person before a court that lets the
// case go on: the custodians then open it.
func allowedByCourt(o *door) {
	t := o.t
	s := o.named()
	id := o.told(s)
	o.refused("guardian-1", "challenge", id, bonded.CodeInvalid, []string{"--reason"}, "--for-subject")
	o.notTheirs("challenge", id, []string{"intake-1", actsOfficer}, "--reason", "No basis.")
	ruling := o.paper("ruling.txt", "The court has decided: the provision covers the class\n")
	o.refused("legal-1", "rule", id, bonded.CodeConflict, []string{"challenge_window"}, "--document", ruling)
	v := o.does("guardian-1", "challenge", id, "challenge_window → challenged", "--for-subject", "--reason", "Objection received on 2 December.")
	wantEntry(t, v, verify.EventTransition, "challenge", "subject", "")
	o.misses("legal-1", "rule", id, "--document")
	o.notTheirs("rule", id, []string{"intake-1", "guardian-1", actsOfficer}, "--document", ruling)
	v = o.does("legal-1", "rule", id, "challenged → awaiting_quorum", "--document", ruling)
	wantEntry(t, v, verify.EventTransition, "rule", "court", "")
	o.wantPaper(v, ruling)
	if d := o.lastDecision(id); d.Action != "rule" || d.Role != "court" || d.Person != "legal-1" {
		t.Errorf("the order of the court is signed as %s in role %s by %s", d.Action, d.Role, d.Person)
	}
	if v = o.opens(id); v.State != "delivered" {
		t.Errorf("a case with a package is %s", v.State)
	}
	o.wantOpensFor(actsOfficer, id, s)
}

// forbiddenByCourt has the firm object, and a court agree.
func forbiddenByCourt(o *door) {
	t := o.t
	letters := o.outbox()
	id := o.told(o.named())
	v := o.does("legal-1", "challenge", id, "challenge_window → challenged", "--reason", "Provision does not cover the class.")
	wantEntry(t, v, verify.EventTransition, "challenge", "legal", "")
	ruling := o.paper("ruling.txt", "The court has decided: it does not\n")
	o.refused("legal-1", "rule", id, bonded.CodeInvalid, []string{"--code", "did you mean no_legal_basis?"}, "--document", ruling, "--code", "no_legal_bases")
	v = o.does("legal-1", "rule", id, "challenged → rejected", "--document", ruling, "--code", "no_legal_basis")
	wantEntry(t, v, verify.EventTransition, "rule", "court", "no_legal_basis")
	if v.RejectCode != "no_legal_basis" || v.Tasks[0].Reason != "no_legal_basis" {
		t.Errorf("rejected with %q, its task with %q", v.RejectCode, v.Tasks[0].Reason)
	}
	o.wantNotices(id, 2) // that it was asked for, and that nothing came of it
	o.wantLetters(letters, 2)
	o.refused("legal-1", "rule", id, bonded.CodeConflict, []string{"rejected"}, "--document", ruling)
	o.wantUnopened(id)
}

// freezes is a preservation of somebody by an officer.
func (o *door) freezes(officer, agency string, until time.Time) bonded.CaseID {
	o.t.Helper()
	return o.file(officer, strings.NewReplacer(
		"process_type: mlat", "process_type: eu_epoc_pr", "treaty_route: mlat", "treaty_route: eu_epo",
		"kind: disclose\n", "kind: preserve\n    hold_until: "+until.Format(time.RFC3339)+"\n", "[phone, "+quorumField+"]", "[]",
	).Replace(o.text(officer, agency, o.named(), "")))
}

// heldCases freezes by hand, extends holds as far as the process type lets
// them, and ends them before their time.
func heldCases(o *door) {
	t := o.t
	now := time.Now().UTC().Truncate(time.Second)
	until := now.AddDate(0, 0, 50)

	// 1. What is not frozen on receipt, and what has no hold.
	plain := o.asks(o.named(), "")
	o.does("intake-1", "take", plain, "submitted → verifying")
	o.refused("intake-1", "preserve", plain, bonded.CodeForbidden, []string{"guard.preserve_on_receipt"})
	o.refused("legal-1", "hold extend", plain, bonded.CodeConflict, []string{"verifying: hold extend is not possible now"}, "--until", until.Format(time.RFC3339))
	o.refused("legal-1", "hold release", plain, bonded.CodeConflict, []string{"verifying: hold release is not possible now"})

	// 2. Of an agency that is suspended nothing is frozen by itself, nor by hand
	// before it is verified anew.
	id := o.freezes(forgedOfficer, forgedAgency, until)
	o.suspend(forgedAgency)
	o.notTheirs("preserve", id, []string{"legal-1", "guardian-1", forgedOfficer})
	o.does("intake-1", "take", id, "submitted → verifying") // the clock tries to freeze, and again in half a minute
	o.refused("intake-1", "preserve", id, bonded.CodeForbidden, []string{"guard.agency_verified"})
	o.empower(forgedAgency, 3)
	v := o.does("intake-1", "preserve", id, "verifying → preserved")
	wantEntry(t, v, verify.EventFreeze, "", "vaultkeeper", "held")

	// 3. Longer, once; counsel's release closes the case.
	o.refused("intake-1", "close", id, bonded.CodeForbidden, []string{"not for people of role"})
	o.refused("legal-1", "close", id, bonded.CodeForbidden, []string{"guard.hold_ended"})
	o.misses("intake-1", "hold extend", id, "--until")
	o.refused("intake-1", "hold extend", id, bonded.CodeInvalid, []string{"at most 30d more"}, "--until", until.AddDate(0, 0, 31).Format(time.RFC3339))
	o.refused("intake-1", "hold extend", id, bonded.CodeInvalid, []string{"after the present one"}, "--until", until.AddDate(0, 0, -1).Format(time.DateOnly))
	o.notTheirs("hold extend", id, []string{"guardian-1", forgedOfficer}, "--until", until.AddDate(0, 0, 30).Format(time.RFC3339))
	v = o.does("intake-1", "hold extend", id, "preserved, as before", "--until", until.AddDate(0, 0, 30).Format(time.RFC3339))
	wantEntry(t, v, verify.EventFreeze, "hold_extend", "intake", "extended")
	o.refused("legal-1", "hold extend", id, bonded.CodeForbidden, []string{"hold.extend_times"}, "--until", until.AddDate(0, 0, 31).Format(time.RFC3339))
	o.notTheirs("hold release", id, []string{"guardian-1", forgedOfficer})
	v = o.does("legal-1", "hold release", id, "preserved → closed")
	if i := slices.IndexFunc(v.Entries, func(e apitype.CaseEntryView) bool { return e.Event == verify.EventFreeze && e.Detail == "released" }); i < 0 || v.Entries[i].Decision != "hold_release" {
		t.Errorf("no entry says that counsel released the hold: %+v", v.Entries)
	}

	// 4. Intake's release leaves the end to counsel.
	id = o.freezes(actsOfficer, actsAgency, until)
	o.does("intake-1", "take", id, "submitted → verifying")
	o.awaits(id, "preserved")
	o.does("intake-1", "hold release", id, "preserved, as before")
	o.refused("intake-1", "hold release", id, bonded.CodeConflict, []string{"preserved"})
	v = o.does("legal-1", "close", id, "preserved → closed")
	wantEntry(t, v, verify.EventTransition, "close", "legal", "")
	o.wantUnopened(id)
}

// forgedCase marks an emergency as forged: its agency is suspended at once,
// and nothing more comes in from it.
func forgedCase(o *door) {
	t := o.t
	s := o.named()
	routine := o.asks(s, "")
	o.refused("intake-1", "fraud", routine, bonded.CodeConflict, []string{"submitted"}, "--reason", "Forged.")
	text := strings.NewReplacer(emergencyWords...).Replace(o.text(forgedOfficer, forgedAgency, s, emergencyFlag))
	id := o.file(forgedOfficer, text)
	o.does("intake-1", "take", id, "submitted → verifying")
	o.refused("intake-1", "fraud", id, bonded.CodeInvalid, []string{"--reason"})
	o.notTheirs("fraud", id, []string{"guardian-1", forgedOfficer}, "--reason", "Forged.")
	v := o.does("intake-1", "fraud", id, "verifying, as before", "--reason", "Forged; the agency was told by telephone.")
	wantEntry(t, v, verify.EventAlarm, "fraud", "intake", "fraud")
	if list := o.bonded("register", "list", "--state", "suspended", "--person", o.d.Layout.Person(o.Cell, "legal-1")); !strings.Contains(list, forgedAgency) {
		t.Errorf("the agency is not suspended:\n%s", list)
	}
	o.refused("intake-1", "fraud", id, bonded.CodeConflict, []string{"verifying"}, "--reason", "Forged.")
	o.refused("intake-1", "forward", id, bonded.CodeForbidden, []string{"guard.agency_verified"}, "--called", registered)
	v = o.does("intake-1", "reject", id, "verifying → rejected", "--code", "not_authenticated", "--reason", "The switchboard knows no such officer.")
	wantEntry(t, v, verify.EventTransition, "reject", "intake", "not_authenticated")
	o.wantUnopened(id)
	must(t, os.WriteFile(filepath.Join(o.dir, "request.yaml"), []byte(text), 0o600))
	out, err := o.try("request", "file", filepath.Join(o.dir, "request.yaml"), "--key", o.key(forgedOfficer))
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != apitype.ExitRefused || !strings.Contains(out, "not_authenticated") {
		t.Errorf("a suspended agency files: %v\n%s", err, out)
	}
}
