//go:build unix

package vault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

func TestTokenOfWhatIsNotYoursIsAsOneThatIsNotThere(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`, "email", `"a@example.com"`))
	made, err := c.v.TokenCreate(t.Context(), c.call("app"), &apitype.TokenRequest{Collection: "users", Subject: p.Subject, Record: p.Record, Fields: []string{"name", "email"}})
	must(t, err)
	call := c.call("app")
	call.Why.Purpose = "fraud_check"
	_, err = c.v.Put(t.Context(), call, &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{
		Subject: &p.Subject, Record: &p.Record, Values: values("fraud", `"watch"`), Partial: true,
	}})
	must(t, err)
	other, err := c.v.TokenCreate(t.Context(), call, &apitype.TokenRequest{Collection: "users", Subject: p.Subject, Record: p.Record, Fields: []string{"fraud"}})
	must(t, err)
	absent := bonded.Token{Cell: "eu", ID: bonded.NewID()}
	name, email, fraud := made.Tokens["name"], made.Tokens["email"], other.Tokens["fraud"]

	type answer struct {
		Err error
		Row verify.Row
	}
	last := func(err error) answer {
		rows := c.rows()
		r := *rows[len(rows)-1].Row
		r.RowRef, r.Time, r.RequestID, r.Count = verify.RowRef{}, 0, bonded.ID{}, 0
		return answer{err, r}
	}
	get := func(principal string, k bonded.Token, fields ...string) answer {
		_, err := c.v.Get(t.Context(), c.call(principal), &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Token: &k, Fields: fields}})
		return last(err)
	}
	mask := func(principal string, k bonded.Token, _ ...string) answer {
		_, err := c.v.Mask(t.Context(), c.call(principal), &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Token: &k}})
		return last(err)
	}
	del := func(principal string, k bonded.Token, _ ...string) answer {
		_, err := c.v.TokenDelete(t.Context(), c.call(principal), &apitype.TokenDeleteRequest{Token: k})
		return last(err)
	}
	for what, do := range map[string]func(string, bonded.Token, ...string) answer{"get": get, "mask": mask, "delete": del} {
		for principal, there := range map[string]bonded.Token{"narrow": email, "app": fraud, "elsewhere": name} {
			want := do(principal, absent)
			wantCode(t, want.Err, bonded.CodeWithheld)
			if d := cmp.Diff(want, do(principal, there)); d != "" {
				t.Errorf("%s by %s tells that the token is there: %s", what, principal, d)
			}
		}
	}
	if d := cmp.Diff(get("narrow", absent, "name"), get("narrow", email, "name")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(get("proofs-only", absent), get("proofs-only", name)); d != "" {
		t.Error(d)
	}
	wantCode(t, get("proofs-only", name).Err, bonded.CodeBearerForbidden)

	// In a batch it is one item, and the others open.
	b, err := c.v.BatchGet(t.Context(), c.call("narrow"), &apitype.BatchGetRequest{Collection: "users", Items: []apitype.GetItem{{Token: &email}, {Token: &name}, {Token: &absent}}})
	must(t, err)
	if b.Items[1].Result == nil || b.Items[0].Error == nil || b.Items[2].Error == nil || b.Items[0].Error.Code != b.Items[2].Error.Code || b.Items[0].Error.Message != b.Items[2].Error.Message {
		t.Errorf("%+v", b)
	}

	must(t, get("narrow", name).Err)
	must(t, del("narrow", name).Err)
	wantCode(t, get("narrow", name).Err, bonded.CodeWithheld)
	c.reconcile()
}

func TestBasisOfSomebodyElseIsAsOneThatIsNotThere(t *testing.T) {
	c := newCell(t)
	anna, berta := c.create(values("name", `"Anna"`, "email", `"a@example.com"`)), c.create(values("name", `"Berta"`))
	b, err := c.v.Basis(t.Context(), c.call("app"), &apitype.BasisRequest{Subject: berta.Subject, Record: apitype.BasisRecord{
		Processing: apitype.BasisProcessing{LegalBasis: "consent", Purposes: []bonded.Purpose{"support"}},
		Events:     []apitype.BasisEvent{{State: "given", Time: c.now()}},
	}})
	must(t, err)
	get := func(principal, basis, field string) error {
		call := c.call(principal)
		call.Why.Basis = basis
		_, err := c.v.Get(t.Context(), call, &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &anna.Subject, Fields: []string{field}}})
		return err
	}
	want := wantCode(t, get("app", bonded.NewID().Hex(), "name"), bonded.CodeExpiredBasis)
	if d := cmp.Diff(want, wantCode(t, get("app", b.Record.ID, "name"), bonded.CodeExpiredBasis)); d != "" {
		t.Error(d)
	}
	for _, basis := range []string{b.Record.ID, bonded.NewID().Hex()} { // not before the grant has been asked
		wantCode(t, get("narrow", basis, "email"), bonded.CodeForbidden)
	}
}
