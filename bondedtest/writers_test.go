//go:build unix

package bondedtest_test

import (
	"fmt"
	"sync"
	"testing"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/verify"
)

// manyWriters is 32 writers at once: none fails, and every reply has exactly
// its own row and its own person.
func manyWriters(t *testing.T, d *bondedtest.Deployment) {
	const writers, each = 32, 16
	app, bearer := d.Client(bondedtest.App, "eu", "service"), d.Bearer(bondedtest.App, "eu", "service")
	before, err := app.Count(t.Context(), client.CountRequest{Collection: "users"})
	must(t, err)

	var mu sync.Mutex
	entries := map[string]bonded.ID{} // by row
	people := map[bonded.ID]string{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			c := app
			if w%2 == 1 {
				c = bearer
			}
			for i := range each {
				id := fmt.Sprintf("writer-%d-%d", w, i)
				r, err := c.Put(t.Context(), person(id, "Writer "+id))
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				mu.Lock()
				entries[r.Entry], people[r.Subject.ID] = r.Subject.ID, id
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if len(entries) != writers*each || len(people) != writers*each {
		t.Errorf("%d replies name %d rows and %d people", writers*each, len(entries), len(people))
	}
	rows := map[string]int{}
	for _, r := range journal(t, d) {
		if r.Operation != verify.OpCreate || r.Outcome != verify.OutcomeAllowed {
			continue
		}
		if subject, ok := entries[r.RowRef.String()]; ok {
			rows[r.RowRef.String()]++
			if len(r.Items) != 1 || r.Items[0].Subject != subject {
				t.Errorf("row %s is of another person", r.RowRef)
			}
		} else if _, ours := people[r.Items[0].Subject]; ours {
			t.Errorf("row %s wrote one of these people again", r.RowRef)
		}
	}
	if len(rows) != writers*each {
		t.Errorf("%d of %d replies have a row", len(rows), writers*each)
	}
	for ref, n := range rows {
		if n != 1 {
			t.Errorf("row %s stands %d times in the journal", ref, n)
		}
	}
	after, err := app.Count(t.Context(), client.CountRequest{Collection: "users"})
	must(t, err)
	if got := after.Subjects - before.Subjects; got != writers*each {
		t.Errorf("the cell counts %d more people after %d replies", got, writers*each)
	}
	for _, id := range people {
		f, err := app.Find(t.Context(), client.FindRequest{Collection: "users", Where: map[string]string{"person_id": id}})
		if err != nil || len(f.Records) != 1 {
			t.Errorf("%s is there %d times: %v", id, len(f.Records), err)
		}
	}
}
