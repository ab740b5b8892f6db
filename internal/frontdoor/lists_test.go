//go:build unix

package frontdoor_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// listed returns every case of a list, and checks that pages do not repeat.
func (w *world) listed(who, state string) []apitype.CaseView {
	w.t.Helper()
	var all []apitype.CaseView
	for after := ""; ; {
		l, err := w.door.ListCases(w.ctx, w.call(who), state, after)
		w.must(err)
		all = append(all, l.Cases...)
		if after = l.Next; after == "" {
			return all
		}
	}
}

// boarded returns every case that a board shows, page by page.
func (w *world) boarded(who, filter string) (ids []bonded.CaseID, last *apitype.CaseBoard) {
	w.t.Helper()
	for after := ""; ; {
		b, err := w.door.Board(w.ctx, w.call(who), filter, after)
		w.must(err)
		if len(b.Cases) > apitype.MaxBoardPage {
			w.t.Fatalf("a page of %d", len(b.Cases))
		}
		for i := range b.Cases {
			ids = append(ids, b.Cases[i].Case)
		}
		if after = b.Next; after == "" {
			return ids, b
		}
	}
}

func waiting(v *apitype.CaseView) bool {
	return slices.ContainsFunc(v.Actions, func(a string) bool {
		return a != "fraud" && a != "withdraw" && !strings.HasPrefix(a, "hold_") && !strings.HasPrefix(a, "secrecy_")
	})
}

var everybody = []string{"officer", "intake", "legal-1", "guardian", "custodian:independent-1", "custodian:firm-1"}

// checkLists holds every list of cases against a look at all of them.
func (w *world) checkLists() {
	w.t.Helper()
	for _, who := range everybody {
		var want, got []bonded.CaseID
		for _, v := range w.listed(who, "") {
			if waiting(&v) {
				want = append(want, v.Case)
			}
		}
		for _, v := range w.listed(who, frontdoor.Pending) {
			got = append(got, v.Case)
		}
		if d := cmp.Diff(want, got); d != "" {
			w.t.Errorf("what waits for %s: %s", who, d)
		}
	}
	ended := []string{"delivered", "ratified", "unratified", "closed", "rejected", "withdrawn", "lapsed"}
	for _, who := range []string{"intake", "legal-1", "guardian"} {
		n := map[string]int{}
		for _, v := range w.listed(who, "") {
			if slices.Contains(ended, v.State) {
				continue
			}
			n[apitype.BoardOpen]++
			if waiting(&v) {
				n[apitype.BoardMine]++
			}
			if v.Extra["late"] != "" {
				n[apitype.BoardLate]++
			}
		}
		for _, filter := range []string{apitype.BoardOpen, apitype.BoardMine, apitype.BoardLate} {
			ids, b := w.boarded(who, filter)
			counted := map[string]int64{apitype.BoardOpen: b.Open, apitype.BoardMine: b.Mine, apitype.BoardLate: b.Late}[filter]
			if len(ids) != n[filter] || int(counted) != n[filter] {
				w.t.Errorf("%s, %s: %d cases, counted as %d, are %d", who, filter, len(ids), counted, n[filter])
			}
		}
	}
}

// TestListsSayWhatCasesSay goes a case's way and looks at the lists after each
// step: they follow from the cases.
func TestListsSayWhatCasesSay(t *testing.T) {
	w := staffed(t)
	w.checkLists()
	ada(w)
	first, second, third := w.file(w.request()), w.file(w.request()), w.file(w.request())
	w.checkLists()
	w.act(second, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(second, "intake", "intake", "forward")
	w.act(third, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(third, "intake", "intake", "reject", func(d *verify.CaseDecision) { d.Code = "not_authenticated" })
	w.checkLists()
	w.reviewed(first)
	w.checkLists()
	w.open(first)
	w.checkLists()
	w.pass(40 * 24 * time.Hour)
	w.checkLists()

	// Another release changes cases and knows no lists: they are made anew.
	for name, change := range map[string]string{
		"changed by another release": "UPDATE front_case SET version = version + 1 WHERE live = 1",
		"made by other rules":        "DELETE FROM front_value WHERE name = 'lists'",
	} {
		w.must(w.db.Update(w.ctx, func(_ context.Context, tx *sqldb.Tx) error {
			if _, err := tx.Exec(change); err != nil {
				return err
			}
			_, err := tx.Exec("DELETE FROM front_list")
			return err
		}))
		w.restart()
		t.Log(name)
		w.checkLists()
	}
}

// TestBoardPagesByUrgency files more cases than fit a page.
func TestBoardPagesByUrgency(t *testing.T) {
	w := staffed(t)
	const n = apitype.MaxBoardPage + 5
	for i := range n {
		r := w.request()
		if i%10 == 0 {
			r.Authorisation.Priority = "urgent"
		}
		w.file(r)
	}
	ids, last := w.boarded("legal-1", apitype.BoardOpen)
	if len(ids) != n || last.Open != n || last.Mine != 0 || len(last.Cases) != 5 {
		t.Errorf("%d cases, %d and %d counted, %d on the last page", len(ids), last.Open, last.Mine, len(last.Cases))
	}
	seen := map[bonded.CaseID]bool{}
	var before time.Time
	for after := ""; ; {
		b, err := w.door.Board(w.ctx, w.call("legal-1"), apitype.BoardOpen, after)
		w.must(err)
		for i := range b.Cases {
			v := &b.Cases[i]
			if seen[v.Case] {
				t.Errorf("%s is there twice", v.Case)
			}
			seen[v.Case] = true
			if v.Deadline == nil || v.Deadline.Before(before) {
				t.Errorf("the deadline %v comes after %v", v.Deadline, before)
			} else {
				before = *v.Deadline
			}
		}
		if after = b.Next; after == "" {
			break
		}
	}
	if mine, _ := w.boarded("intake", apitype.BoardMine); len(mine) != n {
		t.Errorf("%d wait for intake", len(mine))
	}
	if state, _ := w.boarded("intake", "submitted"); len(state) != n {
		t.Errorf("%d are submitted", len(state))
	}
	for _, bad := range [][2]string{
		{"draft", ""},
		{"nothing", ""},
		{"", ""},
		{apitype.BoardOpen, "x"},
		{apitype.BoardOpen, "1.2"},
		{apitype.BoardOpen, "-9000000000000000000.0.0"},
		{apitype.BoardOpen, "0.1.2 "},
		{"submitted", "0.1.2"},
	} {
		if _, err := w.door.Board(w.ctx, w.call("intake"), bad[0], bad[1]); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestRegisterPage pages through the register, and finds in it what has just
// changed.
func TestRegisterPage(t *testing.T) {
	w := staffed(t)
	ask := func(who string, q apitype.RegisterQuery) *apitype.RegisterPage {
		t.Helper()
		p, err := w.door.RegisterPage(w.ctx, w.call(who), &q)
		w.must(err)
		return p
	}
	var ids []string
	for from := 0; ; from++ {
		p := ask("intake", apitype.RegisterQuery{Group: apitype.RegisterPeople, From: from, Limit: 1})
		if d := cmp.Diff(map[string]int{"agencies": 1, "officers": 1, "people": 5, "custodians": len(w.custodians)}, p.Counts); d != "" {
			t.Fatal(d)
		}
		if p.Total != 5 || len(p.Waiting) > 0 {
			t.Errorf("%d in all, %d wait", p.Total, len(p.Waiting))
		}
		if len(p.Entries) == 0 {
			break
		}
		e := &p.Entries[0]
		if ids = append(ids, e.ID); e.Versions[0].State != "in_force" || e.Versions[0].Index == nil {
			t.Errorf("%s is %s", e.ID, e.Versions[0].State)
		}
	}
	if d := cmp.Diff([]string{"guardian", "intake", "legal-1", "legal-2", "legal-3"}, ids); d != "" {
		t.Error(d)
	}
	if p := ask("intake", apitype.RegisterQuery{Group: apitype.RegisterPeople, Search: "BODY LEGAL", Limit: 10}); p.Total != 3 {
		t.Errorf("%d of three found", p.Total)
	}
	if p := ask("officer", apitype.RegisterQuery{Group: apitype.RegisterOfficers, Limit: 10}); p.Counts["people"] != 0 || p.Counts["agencies"] != 1 || len(p.Entries) != 1 {
		t.Errorf("an officer sees %v", p.Counts)
	}
	if _, err := w.door.RegisterEntry(w.ctx, w.call("officer"), verify.RegistryPerson, "intake"); bonded.CodeOf(err) != bonded.CodeWithheld {
		t.Errorf("an officer reads others: %v", err)
	}
	if _, err := w.door.RegisterPage(w.ctx, w.call("nobody"), &apitype.RegisterQuery{Limit: 10}); bonded.CodeOf(err) != bonded.CodeWithheld {
		t.Errorf("nobody reads the register: %v", err)
	}

	// What changes is there at once.
	p := w.person("legal-1", "legal", "")
	p.Version, p.Name = 2, "Another name"
	w.hire(p)
	page := ask("intake", apitype.RegisterQuery{Group: apitype.RegisterPeople, Search: "legal-1", Limit: 10})
	if len(page.Waiting) != 1 || len(page.Entries) != 1 || page.Entries[0].Versions[0].Version != 2 || page.Entries[0].Versions[1].State != "in_force" {
		t.Errorf("a new version: %+v", page)
	}
	w.settleRegister()
	page = ask("intake", apitype.RegisterQuery{Group: apitype.RegisterPeople, Search: "another NAME", Limit: 10})
	if len(page.Waiting) != 0 || len(page.Entries) != 1 || page.Entries[0].Versions[0].State != "in_force" || page.Entries[0].Versions[1].State != "superseded" {
		t.Errorf("a new version in force: %+v", page)
	}
	e, err := w.door.RegisterEntry(w.ctx, w.call("intake"), verify.RegistryPerson, "legal-1")
	w.must(err)
	if d := cmp.Diff(page.Entries[0].Versions, e.Versions); d != "" {
		t.Error(d)
	}
}
