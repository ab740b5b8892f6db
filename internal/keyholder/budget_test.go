package keyholder_test

import (
	"encoding/binary"
	"testing"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/keyholder"
	"bonded/internal/wire"
	"bonded/verify"
)

// inner is the inner half of a guess.
func inner(n int) (v [32]byte) {
	binary.BigEndian.PutUint32(v[28:], uint32(n))
	return v
}

func TestIndexValuesOfWritesHaveABudget(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.addGrant("small", func(g *grant.Grant) { g.Budget = 2 })
	})
	p := w.create()
	guess := 0
	// write writes to records of one person, each with the index value of
	// another guess.
	write := func(records int) *wire.UnlockResult {
		e := w.entry(verify.OpWrite)
		e.Auth.Principal = "small"
		for range records {
			guess++
			e.Items = append(e.Items, wire.Item{
				Subject: p.subject, Record: bonded.NewID(), Fields: []wire.FieldVersion{{Name: "email"}},
				Index: []wire.IndexValue{{Field: "email", Inner: inner(guess)}},
			})
		}
		return w.unlock(e)
	}
	wantRefused(t, write(2*keyholder.IndexPerSubject+1), bonded.CodeBudget, "keyholder.budget")
	if res := write(2*keyholder.IndexPerSubject - 1); res.Entries[0].Code != "" {
		t.Fatalf("within the budget: %q", res.Entries[0].Code)
	}
	guess--
	if res := write(1); res.Entries[0].Code != "" {
		t.Errorf("a value known already: %q", res.Entries[0].Code)
	}
	wantRefused(t, write(2), bonded.CodeBudget, "keyholder.budget")
	w.restart()
	w.anchor()
	wantRefused(t, write(1), bonded.CodeBudget, "keyholder.budget")
	w.pass(time.Hour)
	w.anchor()
	if res := write(1); res.Entries[0].Code != "" {
		t.Errorf("in the next hour: %q", res.Entries[0].Code)
	}
}

func TestRecordIsWrittenOnceAnEntry(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	item := func(n int) wire.Item {
		return wire.Item{
			Subject: p.subject, Record: p.record, Fields: []wire.FieldVersion{{Name: "email"}},
			Index: []wire.IndexValue{{Field: "email", Inner: inner(n)}},
		}
	}
	wantRefused(t, w.unlock(w.entry(verify.OpWrite, item(1), item(2))), bonded.CodeInvalid, "keyholder.form")
	made := wire.Item{Create: true, Subject: bonded.NewID(), Record: bonded.NewID(), Fields: []wire.FieldVersion{{Name: "email"}}}
	again := made
	again.Create, again.Index = false, item(1).Index
	wantRefused(t, w.unlock(w.entry(verify.OpWrite, made, again)), bonded.CodeInvalid, "keyholder.form")
}

func TestSearchesThatDifferAnywhereCountEach(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.addGrant("small", func(g *grant.Grant) { g.Budget = 2 })
	})
	find := func(n int) *wire.UnlockResult {
		e := w.entry(verify.OpFind, wire.Item{Index: []wire.IndexValue{{Field: "email", Inner: inner(n)}}})
		e.Auth.Principal = "small"
		return w.unlock(e)
	}
	for _, n := range []int{1, 2, 1, 2} {
		if res := find(n); res.Entries[0].Code != "" {
			t.Fatalf("search %d: %q", n, res.Entries[0].Code)
		}
	}
	wantRefused(t, find(3), bonded.CodeBudget, "keyholder.budget")
}

func TestJobRateCountsItems(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.addGrant("reseal", func(g *grant.Grant) {
			g.Roles, g.Purposes, g.Job, g.Bearer, g.Key, g.JobRate = []string{"admin-job"}, []bonded.Purpose{"maintenance"}, true, false, "", 2
		})
	})
	p := w.create()
	reseal := func(items int) *wire.UnlockResult {
		e := w.entry(verify.OpReseal)
		e.Purpose, e.Auth.Principal, e.Auth.Assurance = "maintenance", "reseal", verify.AssuranceJob
		for range items {
			e.Items = append(e.Items, wire.Item{Subject: p.subject, Record: bonded.NewID(), Fields: []wire.FieldVersion{{Name: "name", Version: p.version}, {Name: "name"}}})
		}
		return w.unlock(e)
	}
	wantRefused(t, reseal(3), bonded.CodeBudget, "keyholder.budget")
	if res := reseal(2); res.Entries[0].Code != "" {
		t.Fatalf("within the rate: %q %q", res.Entries[0].Code, res.Entries[0].Rule)
	}
	wantRefused(t, reseal(1), bonded.CodeBudget, "keyholder.budget")
	w.restart()
	w.anchor()
	wantRefused(t, reseal(1), bonded.CodeBudget, "keyholder.budget")
}
