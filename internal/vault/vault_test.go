//go:build unix

package vault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/seal"
	"bonded/verify"
)

func TestPutThenGetReturnsWhatWasWritten(t *testing.T) {
	for _, suite := range []seal.Suite{seal.AES256GCM, seal.SM4GCM} {
		t.Run(suite.String(), func(t *testing.T) {
			c := newCell(t, func(c *cell) { c.suite = suite })
			v := values("name", `"李娜 𠀀 Ærøskøbing"`, "email", `"Li.Na@Example.com"`, "age", "42", "vip", "true", "born", `"1990-02-03"`, "extra", `{"a":[1,2]}`)
			p := c.create(v)
			if !p.Created || p.Version != 1 || p.Subject.Cell != "eu" || p.Entry == "" {
				t.Errorf("put: %+v", p)
			}
			got, err := c.get(p, "name", "email", "age", "vip", "born", "extra")
			must(t, err)
			if d := cmp.Diff(v, got.Values); d != "" {
				t.Error(d)
			}
			row := c.lastRow(verify.OpRead)
			if row.Outcome != verify.OutcomeAllowed || row.RowRef.String() != got.Entry || row.Principal != "app" || len(row.Items) != 1 || row.Items[0].Subject != p.Subject.ID {
				t.Errorf("row: %+v", row)
			}
			masked, err := c.v.Mask(t.Context(), c.call("app"), &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Fields: []string{"email"}}})
			must(t, err)
			if string(masked.Values["email"]) != `"L****@Example.com"` {
				t.Errorf("masked: %s", masked.Values["email"])
			}
		})
	}
}

func TestFindIsByNormalisedEqualityAndReturnsIDs(t *testing.T) {
	c := newCell(t)
	a := c.create(values("name", `"Anna Weiß"`, "phone", `"030 1234567"`))
	b := c.create(values("name", `"anna  WEISS"`, "phone", `"+49 30 7654321"`))
	find := func(where map[string]string) []bonded.SubjectID {
		t.Helper()
		r, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: where})
		must(t, err)
		var ids []bonded.SubjectID
		for _, f := range r.Records {
			ids = append(ids, f.Subject)
		}
		return ids
	}
	if d := cmp.Diff([]bonded.SubjectID{a.Subject, b.Subject}, find(map[string]string{"name": "Anna Weiss"})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]bonded.SubjectID{a.Subject}, find(map[string]string{"name": "ANNA WEISS", "phone": "+49301234567"})); d != "" {
		t.Error(d)
	}
	if got := find(map[string]string{"name": "Nobody"}); got != nil {
		t.Errorf("found %v", got)
	}
	if row := c.lastRow(verify.OpFind); !row.Resolved || len(row.Items) != 1 || len(row.Items[0].Index) != 1 {
		t.Errorf("row: %+v", row)
	}
}
