//go:build linux

package client_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/verify"
)

// refusalsAreEntered sends what only the face sees, and looks for it in the
// journal.
func refusalsAreEntered(t *testing.T, d *bondedtest.Deployment) {
	file, err := deploy.LoadCredential(d.Layout.Credential(bondedtest.App))
	if err != nil {
		t.Fatal(err)
	}
	cell, _ := d.Directory.Cell("eu")
	want := map[string]bonded.Code{}
	for body, code := range map[string]bonded.Code{
		`{"colection":"users"}`: bonded.CodeUnknownField, `{"collection":7}`: bonded.CodeWrongType, `{"a`: bonded.CodeInvalid,
		"{\"collection\":\"\xff\"}": bonded.CodeInvalidUTF8, `{"subject":"sub_eu_0"}`: bonded.CodeBadID,
		`{"reason":"` + strings.Repeat("x", 257) + `"}`: bonded.CodeTooLarge,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, cell.API+"/v1/get", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		id := bonded.NewID()
		r.Header.Set("Authorization", "Bearer "+file.Cells["eu"].Bearer)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Request-Id", id.Hex())
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var p client.Problem
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.Code != code || p.RequestID != id.Hex() || resp.Header.Get("Bonded-Receipt") == "" {
			t.Errorf("%s: %+v, promise %q, %v", code, p, resp.Header.Get("Bonded-Receipt"), err)
		}
		resp.Body.Close()
		want[id.Hex()] = code
	}
	auditor := d.Client(bondedtest.Auditor, "eu", "audit")
	for after := uint64(0); ; {
		page, err := auditor.Journal(t.Context(), client.JournalRequest{After: after, Limit: client.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rows {
			row, err := verify.DecodeRow(r.Row)
			if err != nil {
				t.Fatal(err)
			}
			if code, ok := want[row.RequestID.Hex()]; ok {
				if row.Outcome != verify.OutcomeRefused || row.Code != code || row.Operation != verify.OpRead || row.Principal != bondedtest.App {
					t.Errorf("%s is entered as %+v", code, row)
				}
				delete(want, row.RequestID.Hex())
			}
		}
		if page.Next == 0 {
			break
		}
		after = page.Next
	}
	if len(want) != 0 {
		t.Errorf("not entered: %v", want)
	}
}

func documentsHold(t *testing.T, d *bondedtest.Deployment, app *client.Client) {
	doc, err := app.OpenAPI(t.Context())
	if err != nil || !json.Valid(doc) {
		t.Errorf("openapi: %v", err)
	}
	dir, err := app.FetchDirectory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := verify.ParseDirectory(dir); err != nil || !bytes.Equal(got.Encode(), d.Directory.Encode()) {
		t.Errorf("the directory served is another: %v", err)
	}
	cell, _ := d.Directory.Cell("eu")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, cell.API+"/v1/get", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), string(bonded.CodeUnauthenticated)) {
		t.Errorf("without a key: %d %s %v", resp.StatusCode, body, err)
	}
}
