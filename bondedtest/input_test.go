//go:build unix

package bondedtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/verify"
)

// badInput sends what no client would over plain HTTP: each is a problem with
// code, field and hint, stores nothing, and is entered.
func badInput(t *testing.T, d *bondedtest.Deployment) {
	app, cn := d.Client(bondedtest.App, "eu", "service"), d.Client(bondedtest.App, "cn", "service")
	anna := create(t, app, "bad-input", "Anna")
	// A token of another cell, and a consent that has ended.
	li := person("li", "李明")
	li.Facts = &client.Facts{Residence: []bonded.Jurisdiction{"CN"}, Citizenship: []bonded.Jurisdiction{"CN"}, Collected: []bonded.Jurisdiction{"CN"}, OperatorClass: []string{"cii_operator"}}
	li.Tokens = []string{"name"}
	far, err := cn.Put(t.Context(), li)
	must(t, err)
	near, err := app.TokenCreate(t.Context(), client.TokenRequest{Collection: "users", Subject: anna.Subject, Record: anna.Record, Fields: []string{"name"}})
	must(t, err)
	past := time.Now().Add(-time.Hour)
	basis, err := app.Basis(t.Context(), client.BasisRequest{Subject: anna.Subject, Record: client.BasisRecord{
		Schema: "bonded/basis/1", Processing: client.BasisProcessing{LegalBasis: "consent", Purposes: []bonded.Purpose{"service"}},
		Events: []client.BasisEvent{{State: "given", Time: past.Add(-time.Hour), Expires: &past}},
	}})
	must(t, err)

	const facts = `"facts":{"residence":["DE"],"citizenship":["DE"],"collected":["DE"]}`
	put := func(values string) string { return `{"collection":"users",` + facts + `,"values":` + values + `}` }
	get := func(rest string) string {
		return `{"collection":"users","subject":"` + anna.Subject.String() + `","record":"` + anna.Record.String() + `","fields":["name"]` + rest + `}`
	}
	altered := near.Tokens["name"].String()
	last := altered[len(altered)-1]
	other := byte('2')
	if last == other {
		other = '3'
	}
	altered = altered[:len(altered)-1] + string(other)
	secret := "Geheimnis" // stands in every bad value; no answer repeats it

	before := count(t, d)
	requests := map[bonded.ID]bonded.Code{}
	for _, c := range []struct {
		what, path, body string
		purpose, reason  string
		code             bonded.Code
		status           int
		field            string
	}{
		{what: "unknown field", path: "put", body: put(`{"nmae":"` + secret + `"}`), code: bonded.CodeUnknownField, status: 400, field: "values.nmae"},
		{what: "unknown member", path: "put", body: `{"colection":"` + secret + `"}`, code: bonded.CodeUnknownField, status: 400, field: "colection"},
		{what: "wrong type", path: "put", body: put(`{"name":4711}`), code: bonded.CodeWrongType, status: 400, field: "values.name"},
		{what: "wrong type of a member", path: "put", body: `{"collection":["` + secret + `"]}`, code: bonded.CodeWrongType, status: 400, field: "collection"},
		{what: "not JSON", path: "put", body: `{"collection":` + secret, code: bonded.CodeInvalid, status: 400},
		{what: "a field of 64 KiB and 1 byte", path: "put", body: put(`{"name":"` + strings.Repeat("x", client.MaxField+1) + `"}`), code: bonded.CodeTooLarge, status: 413, field: "values.name"},
		{what: "a call of 1 MiB and 1 byte", path: "put", body: put(`{}`) + strings.Repeat(" ", client.MaxCall+1-len(put(`{}`))), code: bonded.CodeTooLarge, status: 413},
		{what: "invalid UTF-8", path: "put", body: put("{\"name\":\"" + secret + "\xff\"}"), code: bonded.CodeInvalidUTF8, status: 400},
		{what: "bad check character", path: "get", body: `{"collection":"users","token":"` + altered + `"}`, code: bonded.CodeBadID, status: 400, field: "token"},
		{what: "token of another cell", path: "get", body: `{"collection":"users","token":"` + far.Tokens["name"].String() + `"}`, code: bonded.CodeWrongCell, status: 421, field: "token"},
		{what: "unknown purpose", path: "get", body: get(""), purpose: "curiosity", code: bonded.CodeUnknownPurpose, status: 400, field: "purpose"},
		{what: "no purpose", path: "get", body: get(""), purpose: "-", code: bonded.CodeMissingPurpose, status: 400, field: "purpose"},
		{what: "a reason of 257 bytes", path: "get", body: get(`,"reason":"` + strings.Repeat("r", 257) + `"`), reason: "-", code: bonded.CodeTooLarge, status: 413, field: "reason"},
		{what: "expired basis", path: "get", body: get(`,"basis":"` + basis.Record.ID + `"`), code: bonded.CodeExpiredBasis, status: 403, field: "basis"},
		{what: "unknown collection", path: "get", body: strings.Replace(get(""), "users", "user", 1), code: bonded.CodeUnknownCollection, status: 404, field: "collection"},
	} {
		t.Run(c.what, func(t *testing.T) {
			id := bonded.NewID()
			requests[id] = c.code
			if c.purpose == "" {
				c.purpose = "service"
			}
			if c.reason == "" {
				c.reason = "test"
			}
			status, kind, raw := post(t, d, "/v1/"+c.path, c.body, c.purpose, c.reason, id)
			var p client.Problem
			if err := json.Unmarshal(raw, &p); err != nil || kind != "application/problem+json" {
				t.Fatalf("the answer is %s: %s", kind, raw)
			}
			if status != c.status || p.Code != c.code || p.Status != status || p.Message == "" || p.RequestID != id.Hex() {
				t.Errorf("status %d, %+v, want %d %s", status, p, c.status, c.code)
			}
			if p.Field != c.field && !(c.field == "" && p.Field != "") {
				t.Errorf("field %q, want %q", p.Field, c.field)
			}
			if p.Hint == "" {
				t.Errorf("no hint: %+v", p)
			}
			if bytes.Contains(raw, []byte(secret)) {
				t.Errorf("the answer repeats a value: %s", raw)
			}
		})
	}
	if after := count(t, d); *after != (client.CountResult{Subjects: before.Subjects, Records: before.Records, Entry: after.Entry}) {
		t.Errorf("bad input stored something: %+v before, %+v after", before, after)
	}
	for _, r := range journal(t, d) {
		want, ours := requests[r.RequestID]
		if !ours {
			continue
		}
		if r.Outcome != verify.OutcomeRefused || r.Code != want || r.Principal != bondedtest.App {
			t.Errorf("%s was entered as %+v", want, r)
		}
		delete(requests, r.RequestID)
	}
	for id, code := range requests {
		t.Errorf("the refusal %s of %s is not entered", code, id.Hex())
	}
	wantName(t, app, anna, "Anna")
}

// post sends a body as it is, with the bearer key of the application. A "-"
// leaves a header out.
func post(t *testing.T, d *bondedtest.Deployment, path, body, purpose, reason string, id bonded.ID) (status int, kind string, answer []byte) {
	t.Helper()
	cred, err := deploy.LoadCredential(d.Layout.Credential(bondedtest.App))
	must(t, err)
	c, _ := d.Directory.Cell("eu")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.API+path, strings.NewReader(body))
	must(t, err)
	for name, v := range map[string]string{
		"Authorization": "Bearer " + cred.Cells["eu"].Bearer, "Content-Type": "application/json",
		"X-Bonded-Purpose": purpose, "X-Bonded-Reason": reason, "X-Request-Id": id.Hex(),
	} {
		if v != "-" {
			req.Header.Set(name, v)
		}
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, res.Header.Get("Content-Type"), b
}
