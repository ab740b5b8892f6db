//go:build unix

package vault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/policy"
	"bonded/verify"
)

func underDefaultPolicy(c *cell) { c.rules = string(policy.DefaultOperatorPolicy()) }

func TestReceiptsAreForTheirPrincipalAuditorsAndThePersonsDesk(t *testing.T) {
	c := newCell(t, underDefaultPolicy)
	p := c.create(values("name", `"Anna"`, "email", `"a@example.com"`))
	call := c.call("app")
	call.Why.Reason = "fraud investigation 99"
	got, err := c.v.Get(t.Context(), call, &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"email"}}})
	must(t, err)
	found, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: map[string]string{"name": "Anna"}})
	must(t, err)
	ask := func(principal, entry string) (*verify.Receipt, error) {
		return c.v.Receipt(t.Context(), c.call(principal), &apitype.ReceiptRequest{Entry: entry})
	}
	for _, principal := range []string{"app", "auditor", "desk"} {
		c.await("an anchor", func() error {
			r, err := ask(principal, got.Entry)
			if err == nil {
				_, err = verify.CheckReceipt(r, c.cells)
			}
			return err
		})
	}
	c.await("the receipt of a search", func() error { _, err := ask("app", found.Entry); return err })

	// Anybody else learns nothing, not even whether the entry exists.
	_, absent := ask("narrow", "1.1.999999999")
	want := wantCode(t, absent, bonded.CodeWithheld)
	for principal, entry := range map[string]string{"narrow": got.Entry, "narrow-desk": got.Entry, "desk": found.Entry} {
		_, err := ask(principal, entry)
		if d := cmp.Diff(want, wantCode(t, err, bonded.CodeWithheld)); d != "" {
			t.Errorf("%s: %s", principal, d)
		}
		if row := c.lastRow(verify.OpReceipt); row.Outcome != verify.OutcomeRefused || row.Principal != principal {
			t.Errorf("not entered: %+v", row)
		}
	}
}

func TestHistoryShowsReasonAndFieldsInScopeOnly(t *testing.T) {
	c := newCell(t, underDefaultPolicy)
	p := c.create(values("name", `"Anna"`, "email", `"a@example.com"`))
	for field, reason := range map[string]string{"email": "fraud investigation 99", "name": "greeting"} {
		call := c.call("app")
		call.Why.Reason = reason
		_, err := c.v.Get(t.Context(), call, &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{field}}})
		must(t, err)
	}
	_, err := c.v.History(t.Context(), c.call("app"), &apitype.SubjectRequest{Subject: p.Subject})
	wantCode(t, err, bonded.CodeForbidden)

	reasons := func(principal string) map[string][]string {
		h, err := c.v.History(t.Context(), c.call(principal), &apitype.SubjectRequest{Subject: p.Subject})
		must(t, err)
		out := map[string][]string{}
		for _, e := range h.Entries {
			if e.Operation == "read" {
				out[e.Reason] = e.Fields
			}
		}
		return out
	}
	if d := cmp.Diff(map[string][]string{"fraud investigation 99": {"email"}, "greeting": {"name"}}, reasons("desk")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string][]string{"": nil, "greeting": {"name"}}, reasons("narrow-desk")); d != "" {
		t.Error(d)
	}
}
