//go:build unix

package frontdoor_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// TestEveryPathKeepsTheRulesOfTheDoor drives cases with random people, random
// actions, random time and restarts, and checks after every step what must be
// true on every path. What comes of a step does not matter; most are refused.
func TestEveryPathKeepsTheRulesOfTheDoor(t *testing.T) {
	w := staffed(t)
	ada(w)
	people := []struct{ id, role string }{
		{"intake", "intake"}, {"legal-1", "legal"}, {"legal-2", "legal"}, {"legal-3", "legal"}, {"guardian", "guardian"}, {"officer", "requester"},
	}
	acts := []string{
		"take", "preserve", "forward", "reject", "clarify", "answer", "narrow", "accept", "refer", "respond", "refuse_task", "approve", "emergency",
		"proceed", "challenge", "rule", "ratify", "close", "withdraw", "secrecy_extend", "secrecy_end", "secrecy_challenge", "hold_extend", "hold_release",
	}
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		w.must(f.Value.Set("8")) // two seconds each: more by -rapid.checks
	}
	rapid.Check(t, func(rt *rapid.T) {
		id := w.randomCase(rt)
		final := ""
		for range rapid.IntRange(4, 24).Draw(rt, "steps") {
			switch rapid.IntRange(0, 11).Draw(rt, "kind") {
			case 0:
				w.tick()
			case 1:
				w.pass(rapid.SampledFrom([]time.Duration{time.Hour, 25 * time.Hour, 8 * 24 * time.Hour}).Draw(rt, "time"))
			case 2:
				if rapid.IntRange(0, 5).Draw(rt, "crash") == 0 {
					w.restart()
				}
			case 3, 4:
				c := rapid.SampledFrom(w.custodians).Draw(rt, "custodian")
				_ = w.approve(id, c, rapid.IntRange(0, 9).Draw(rt, "yes") > 0)
			case 5:
				_ = w.partials(id, rapid.SampledFrom(w.custodians).Draw(rt, "custodian"), nil)
			case 6, 7:
				w.likely(rt, id)
			default:
				p := rapid.SampledFrom(people).Draw(rt, "who")
				_ = w.decide(id, p.id, p.role, rapid.SampledFrom(acts).Draw(rt, "action"), w.details(id))
			}
			final = w.invariants(rt, id, final)
		}
		// Every gag ends, and what is over stays over.
		w.pass(100 * 24 * time.Hour)
		w.tick()
		final = w.invariants(rt, id, final)
		if v := w.view(id, "legal-1"); v.Secrecy != nil && v.State != "draft" && v.Secrecy.State != "ended" && v.Secrecy.State != "notified" {
			rt.Fatalf("the gag is %s after its end", v.Secrecy.State)
		}
		w.restart()
		w.must(w.door.Turn(w.ctx))
		w.invariants(rt, id, final)
	})
}

// randomCase files one of the kinds of request.
func (w *world) randomCase(rt *rapid.T) bonded.CaseID {
	r := w.request()
	switch rapid.SampledFrom([]string{"order", "emergency", "subpoena", "freeze", "gag"}).Draw(rt, "case") {
	case "emergency":
		emergency(r)
	case "subpoena":
		r.Authorisation.ProcessType, r.Authorisation.TreatyRoute = "civil_subpoena", "domestic"
	case "freeze":
		until := w.clock.Now().AddDate(0, 0, 20)
		r.Authorisation.ProcessType = "eu_epoc_pr"
		r.Tasks[0].Kind, r.Tasks[0].HoldUntil = "preserve", &until
	case "gag":
		until := w.clock.Now().Add(48 * time.Hour)
		secrecy(r, w.clock.Now(), &until)
	}
	return w.file(r)
}

// details fills in what actions may need.
func (w *world) details(id bonded.CaseID) func(*verify.CaseDecision) {
	return func(d *verify.CaseDecision) {
		later := w.clock.Now().Add(72 * time.Hour)
		switch d.Action {
		case "approve":
			d.Digest = w.view(id, "guardian").Extra["tasks"]
		case "forward":
			d.Detail = "+49 611 550"
		case "reject":
			d.Code = "not_authenticated"
		case "narrow":
			d.Tasks = []verify.TaskChange{{FieldsWanted: []string{"name"}}}
		case "refuse_task":
			d.Tasks = []verify.TaskChange{{Code: "too_broad"}}
		case "rule", "ratify", "secrecy_extend":
			d.Digest, d.Until = sum(instrument), &later
			if d.Action == "rule" {
				d.Role = "court"
			}
		case "hold_extend":
			d.Until = &later
		}
	}
}

// likely takes a step that leads on, so that some paths go far.
func (w *world) likely(rt *rapid.T, id bonded.CaseID) {
	v := w.view(id, "guardian")
	switch v.State {
	case "submitted":
		_ = w.decide(id, "intake", "intake", "take")
	case "verifying", "preserved":
		_ = w.decide(id, "intake", "intake", "forward", w.details(id))
	case "under_review":
		_ = w.decide(id, rapid.SampledFrom([]string{"legal-1", "legal-2"}).Draw(rt, "approver"), "legal", "approve", w.details(id))
	case "notice_pending":
		_ = w.decide(id, "legal-1", "legal", "proceed")
	case "awaiting_quorum":
		w.tick()
		for _, c := range w.quorum() {
			_ = w.approve(id, c, true)
		}
	case "opening", "emergency_opened":
		w.tick()
		for _, c := range w.quorum() {
			_ = w.partials(id, c, nil)
		}
		w.tick()
	}
}

func (w *world) invariants(rt *rapid.T, id bonded.CaseID, final string) string {
	v := w.view(id, "legal-1")
	// 1. Each change of state is exactly one entry, and the entries are a chain.
	state, opened := "draft", false
	for i, e := range v.Entries {
		if e.Number != uint64(i+1) {
			rt.Fatalf("entry %d has number %d", i+1, e.Number)
		}
		if e.State == "" {
			continue
		}
		if e.From != state || e.State == e.From {
			rt.Fatalf("entry %d leads from %s to %s, and the case was %s", e.Number, e.From, e.State, state)
		}
		if _, ok := w.rules.Transition(rules.State(e.From), rules.State(e.State), rules.Role(e.Actor)); !ok {
			rt.Fatalf("no rule leads from %s to %s by %s", e.From, e.State, e.Actor)
		}
		state = e.State
		opened = opened || e.Event == verify.EventOpening
		// 2. Nothing is withdrawn after an opening.
		if state == "withdrawn" && opened {
			rt.Fatal("withdrawn after an opening")
		}
	}
	if state != v.State || v.Number != uint64(len(v.Entries)) {
		rt.Fatalf("the case is %s, its entries say %s", v.State, state)
	}
	// 3. Nothing is released but under a witnessed opening, which [records]
	// checks; here, that there is one.
	if w.records.released[id] > 0 && !opened {
		rt.Fatal("released without an opening")
	}
	// 4. One part of each person.
	var twice int
	err := w.db.Read().QueryRowContext(w.ctx, `SELECT COUNT(*) FROM (SELECT case_id FROM front_part GROUP BY case_id, key HAVING COUNT(*) > 1)`).Scan(&twice)
	w.must(err)
	if twice > 0 {
		rt.Fatal("somebody has two parts in a case")
	}
	// 5. What is over stays over.
	if final != "" && v.State != final {
		rt.Fatalf("the case was %s and is %s", final, v.State)
	}
	if slices.Contains([]string{"closed", "rejected", "withdrawn", "lapsed"}, v.State) {
		final = v.State
		if len(w.records.frozen[id]) > 0 && !slices.ContainsFunc(v.Entries, func(e apitype.CaseEntryView) bool { return e.Event == verify.EventFreeze && e.Detail != "held" }) {
			rt.Fatal("a case that is over holds records")
		}
	}
	return final
}
