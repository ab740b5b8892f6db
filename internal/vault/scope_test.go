//go:build unix

package vault_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

func TestWhatIsTakenAwayUnnamedNeedsTheGrantToo(t *testing.T) {
	c := newCell(t)
	held := values("name", `"Anna"`, "age", "30", "email", `"a@example.com"`)
	p := c.create(held)
	q := c.create(values("name", `"Berta"`))
	put := func(principal string, partial bool, of *apitype.PutResult) error {
		_, err := c.v.Put(t.Context(), c.call(principal), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{
			Subject: &of.Subject, Record: &of.Record, Values: values("name", `"Anna"`), Partial: partial,
		}})
		return err
	}
	del := func(principal string, of *apitype.PutResult) error {
		_, err := c.v.RecordDelete(t.Context(), c.call(principal), &apitype.RecordDeleteRequest{Collection: "users", Subject: of.Subject, Record: of.Record})
		return err
	}
	batch := func(principal string) error {
		_, err := c.v.BatchPut(t.Context(), c.call(principal), &apitype.BatchPutRequest{Collection: "users", Items: []apitype.PutItem{
			{Subject: &q.Subject, Record: &q.Record, Values: values("name", `"B"`), Partial: true},
			{Subject: &p.Subject, Record: &p.Record, Values: values("name", `"A"`)},
		}})
		return err
	}
	for name, do := range map[string]func() error{
		"whole write": func() error { return put("narrow", false, p) },
		"batch":       func() error { return batch("narrow") },
		"deletion":    func() error { return del("narrow", p) },
	} {
		e := wantCode(t, do(), bonded.CodeForbidden)
		if text := e.Error() + e.Hint + e.Field; strings.Contains(text, "email") || strings.Contains(text, "users") {
			t.Errorf("%s: the refusal names what is stored: %s", name, text)
		}
		rows := c.rows()
		if row := rows[len(rows)-1].Row; row.Outcome != verify.OutcomeRefused || row.Principal != "narrow" || row.Items[len(row.Items)-1].Subject != p.Subject.ID {
			t.Errorf("%s: not entered: %+v", name, row)
		}
	}
	got, err := c.get(p, "name", "age", "email")
	must(t, err)
	if d := cmp.Diff(held, got.Values); d != "" {
		t.Errorf("changed all the same: %s", d)
	}

	// What it may write it writes, whole where nothing else is held.
	must(t, put("narrow", true, p))
	must(t, put("narrow", false, q))
	must(t, del("narrow", q))
	must(t, put("app", false, p))
	must(t, del("app", p))
	c.reconcile()
}

func TestFieldsOfAnotherPurposeAreNotTakenAway(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	call := c.call("app")
	call.Why.Purpose = "fraud_check"
	_, err := c.v.Put(t.Context(), call, &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{
		Subject: &p.Subject, Record: &p.Record, Values: values("fraud", `"watch"`), Partial: true,
	}})
	must(t, err)
	_, err = c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Subject: &p.Subject, Record: &p.Record, Values: values("name", `"X"`)}})
	wantCode(t, err, bonded.CodeForbidden)
	_, err = c.v.RecordDelete(t.Context(), c.call("app"), &apitype.RecordDeleteRequest{Collection: "users", Subject: p.Subject, Record: p.Record})
	wantCode(t, err, bonded.CodeForbidden)
}

func TestBatchWritesARecordOnce(t *testing.T) {
	c := newCell(t)
	p, q := c.create(values("name", `"Anna"`)), c.create(values("name", `"Berta"`))
	item := func(of *apitype.PutResult, name string) apitype.PutItem {
		return apitype.PutItem{Subject: &of.Subject, Record: &of.Record, Values: values("name", name)}
	}
	b, err := c.v.BatchPut(t.Context(), c.call("app"), &apitype.BatchPutRequest{Collection: "users", Items: []apitype.PutItem{item(p, `"A"`), item(q, `"B"`), item(p, `"C"`)}})
	must(t, err)
	if b.Items[0].Result == nil || b.Items[1].Result == nil || b.Items[2].Error == nil || b.Items[2].Error.Code != bonded.CodeInvalid {
		t.Errorf("%+v", b)
	}
	got, err := c.get(p, "name")
	must(t, err)
	if string(got.Values["name"]) != `"A"` {
		t.Errorf("%s", got.Values["name"])
	}
	c.reconcile()
}
