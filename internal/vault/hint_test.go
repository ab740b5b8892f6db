//go:build unix

package vault_test

import (
	"strings"
	"testing"

	"bonded"
	"bonded/internal/apitype"
)

func TestUnknownNamesHintAtTheNearestOneAlone(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	for _, tc := range []struct{ collection, field, hint string }{
		{"users", "emial", "did you mean email?"},
		{"users", "zzzzzz", "see the schema of the collection"},
		{"user", "name", "did you mean users?"},
		{"zzzzzz", "name", "the status of the cell names its collections"},
	} {
		code := bonded.CodeUnknownField
		if tc.collection != "users" {
			code = bonded.CodeUnknownCollection
		}
		_, err := c.v.Get(t.Context(), c.call("app"), &apitype.GetRequest{Collection: tc.collection, GetItem: apitype.GetItem{Subject: &p.Subject, Fields: []string{tc.field}}})
		if e := wantCode(t, err, code); e.Hint != tc.hint || strings.Contains(e.Error(), "phone") {
			t.Errorf("%s.%s: %q, hint %q, want %q", tc.collection, tc.field, e, e.Hint, tc.hint)
		}
	}
	_, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("nmae", `"A"`), Facts: germany}})
	if e := wantCode(t, err, bonded.CodeUnknownField); e.Hint != "did you mean name?" {
		t.Errorf("hint %q", e.Hint)
	}
}

func TestStatusNeedsNoMoreThanStatus(t *testing.T) {
	c := newCell(t, func(c *cell) { c.rules = `@id("look") permit (principal, action == Action::"status", resource);` })
	for _, principal := range []string{"app", "auditor"} {
		st, err := c.v.Status(t.Context(), c.call(principal))
		must(t, err)
		if !st.Ready || st.Cell != "eu" {
			t.Errorf("%+v", st)
		}
	}
	_, err := c.v.JobStatus(t.Context(), c.call("app"), bonded.NewID().Hex())
	wantCode(t, err, bonded.CodeWithheld)
	_, err = c.v.Count(t.Context(), c.call("app"), &apitype.CountRequest{Collection: "users"})
	wantCode(t, err, bonded.CodeForbidden)
}
