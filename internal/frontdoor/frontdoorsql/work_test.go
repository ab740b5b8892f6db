package frontdoorsql_test

import (
	"path/filepath"
	"testing"

	"bonded"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/sqldb"
)

// TestWorkThatIsThereAfterItWasDoneIsGivenBack holds that work whose worker
// left it standing, since more came meanwhile, is taken again: it waited for
// the end of its claim once.
func TestWorkThatIsThereAfterItWasDoneIsGivenBack(t *testing.T) {
	db, err := sqldb.Open(t.Context(), sqldb.Config{Path: filepath.Join(t.TempDir(), "cases.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := frontdoorsql.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	w := &frontdoorsql.Work{Case: bonded.CaseID{Cell: "eu"}.ID, Kind: "register", Due: 10}
	claim := func(now int64) (got *frontdoorsql.Work) {
		t.Helper()
		if err := store.Update(t.Context(), func(q frontdoorsql.Q) (err error) {
			got, err = q.ClaimWork(now, now+3600)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	change := func(do func(frontdoorsql.Q) error) {
		t.Helper()
		if err := store.Update(t.Context(), do); err != nil {
			t.Fatal(err)
		}
	}
	change(func(q frontdoorsql.Q) error { return q.AddWork(w) })
	got := claim(10)
	if got == nil || claim(11) != nil {
		t.Fatal("work is not claimed, or claimed twice")
	}
	change(func(q frontdoorsql.Q) error { return q.GiveBackWork(got, 12) })
	if claim(11) != nil {
		t.Error("work is taken before it is due")
	}
	if got = claim(12); got == nil {
		t.Fatal("work that was given back is not taken again")
	}
	// What was dropped and came anew is not touched.
	change(func(q frontdoorsql.Q) error {
		if _, err := q.DropWork(got); err != nil {
			return err
		}
		return q.AddWork(&frontdoorsql.Work{Case: got.Case, Kind: got.Kind, Due: 13})
	})
	change(func(q frontdoorsql.Q) error { return q.GiveBackWork(got, 99) })
	if claim(13) == nil {
		t.Error("new work was put off by the end of the old")
	}
}
