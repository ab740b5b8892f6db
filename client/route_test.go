package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
)

var day = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// twoCells returns a deployment of eu (the default) and cn.
func twoCells(t *testing.T) (eu, cn *far, d *client.Deployment) {
	t.Helper()
	eu, cn = newFar(t, "eu"), newFar(t, "cn")
	dir := eu.directory()
	dir.Cells = append(dir.Cells, cn.entry("CN"))
	d, err := client.NewDeployment(client.DeploymentConfig{
		Config:      client.Config{Directory: dir, Why: client.Why{Purpose: "support"}, Operator: []string{"handler_over_volume"}, Now: func() time.Time { return day }, Attempts: 1},
		Credentials: map[bonded.CellID]client.Credential{"eu": {Bearer: "key-eu"}, "cn": {Bearer: "key-cn"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return eu, cn, d
}

func TestRouteIsDecidedWithoutAskingAnyone(t *testing.T) {
	_, _, d := twoCells(t)
	for _, c := range []struct {
		residence bonded.Jurisdiction
		collected bonded.Jurisdiction
		cell      bonded.CellID
		code      bonded.Code
	}{
		{"CN", "", "cn", ""},
		{"DE", "", "eu", ""},
		{"US", "", "eu", ""},
		{"RU", "", "", bonded.CodeNoCell},
		{"", "", "", bonded.CodeInvalid},
		{"XX", "", "", bonded.CodeInvalid},
	} {
		f := client.Facts{}
		if c.residence != "" {
			f.Residence = []bonded.Jurisdiction{c.residence}
		}
		a, err := d.Route(f)
		if bonded.CodeOf(err) != c.code {
			t.Errorf("residence %q: error %v, want code %q", c.residence, err, c.code)
			continue
		}
		if err == nil && (a.Cell != c.cell || a.Reason == "" || a.Rule == "" || a.API == "") {
			t.Errorf("residence %q: %+v, want cell %s", c.residence, a, c.cell)
		}
	}
}

func TestDeploymentSendsEachThingToItsCell(t *testing.T) {
	eu, cn, d := twoCells(t)
	asked := []bonded.CellID{}
	for _, f := range []*far{eu, cn} {
		own, rec := bonded.SubjectID{Cell: f.cell, ID: bonded.ID{9}}, bonded.RecordID{Cell: f.cell, ID: bonded.ID{8}}
		f.mux.HandleFunc("POST /v1/put", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer key-"+string(f.cell) {
				t.Errorf("%s got %q", f.cell, r.Header.Get("Authorization"))
			}
			asked = append(asked, f.cell)
			f.answer(w, "", apitype.PutResult{Subject: own, Record: rec})
		})
		f.mux.HandleFunc("POST /v1/get", func(w http.ResponseWriter, _ *http.Request) {
			asked = append(asked, f.cell)
			header, entry := f.sign(nil)
			f.answer(w, header, apitype.GetResult{Subject: own, Record: rec, Entry: entry})
		})
	}
	put := func(residence bonded.Jurisdiction) (*client.PutResult, error) {
		return d.Put(t.Context(), client.PutRequest{Collection: "users", PutItem: client.PutItem{
			Facts: &client.Facts{Residence: []bonded.Jurisdiction{residence}}, Values: client.Values{"name": client.Text("x")},
		}})
	}
	li, err := put("CN")
	if err != nil {
		t.Fatal(err)
	}
	ada, err := put("DE")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put("RU"); bonded.CodeOf(err) != bonded.CodeNoCell {
		t.Errorf("a person of a country without a cell: %v", err)
	}
	for _, p := range []*client.PutResult{ada, li} {
		if _, err := d.Get(t.Context(), client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"name"}}}); err != nil {
			t.Error(err)
		}
	}
	if want := []bonded.CellID{"cn", "eu", "eu", "cn"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	if _, err := d.Get(t.Context(), client.GetRequest{GetItem: client.GetItem{Subject: &ada.Subject, Record: &li.Record}}); bonded.CodeOf(err) != bonded.CodeWrongCell {
		t.Errorf("subject and record of two cells: %v", err)
	}
	if _, err := d.Cell("ru"); bonded.CodeOf(err) != bonded.CodeWrongCell {
		t.Errorf("a cell without credential: %v", err)
	}
}

func TestBatchOverCellsKeepsItsOrder(t *testing.T) {
	eu, cn, d := twoCells(t)
	for _, f := range []*far{eu, cn} {
		f.mux.HandleFunc("POST /v1/batch/put", func(w http.ResponseWriter, r *http.Request) {
			if want := "import-1@" + string(f.cell); r.Header.Get("Idempotency-Key") != want {
				t.Errorf("key %q, want %q", r.Header.Get("Idempotency-Key"), want)
			}
			var q apitype.BatchPutRequest
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
				t.Error(err)
			}
			if f.cell == "cn" && len(q.Items) == 1 {
				f.problem(w, 503, apitype.Problem{Code: bonded.CodeSealed, Message: "the keyholder is sealed"})
				return
			}
			a := apitype.BatchPutResult{}
			for _, it := range q.Items {
				name, _ := client.TextOf(it.Values["name"])
				a.Items = append(a.Items, apitype.PutItemResult{Result: &apitype.PutResult{
					Subject: bonded.SubjectID{Cell: f.cell, ID: bonded.ID{name[0]}}, Record: bonded.RecordID{Cell: f.cell, ID: bonded.ID{1}},
				}})
			}
			f.answer(w, "", a)
		})
	}
	item := func(residence bonded.Jurisdiction, name string) client.PutItem {
		return client.PutItem{Facts: &client.Facts{Residence: []bonded.Jurisdiction{residence}}, Values: client.Values{"name": client.Text(name)}}
	}
	ctx := client.WithIdempotencyKey(context.Background(), "import-1")
	a, err := d.BatchPut(ctx, client.BatchPutRequest{Collection: "users", Items: []client.PutItem{
		item("CN", "a"), item("DE", "b"), item("RU", "c"), item("CN", "d"), {Values: client.Values{}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		cell bonded.CellID
		id   byte
		code bonded.Code
	}{{"cn", 'a', ""}, {"eu", 'b', ""}, {"", 0, bonded.CodeNoCell}, {"cn", 'd', ""}, {"", 0, bonded.CodeInvalid}} {
		got := a.Items[i]
		switch {
		case want.code != "":
			if got.Error == nil || got.Error.Code != want.code || got.Result != nil {
				t.Errorf("item %d: %+v, want code %s", i, got, want.code)
			}
		case got.Result == nil || got.Result.Subject.Cell != want.cell || got.Result.Subject.ID[0] != want.id:
			t.Errorf("item %d: %+v, want %s in %s", i, got.Result, string(want.id), want.cell)
		}
	}
	a, err = d.BatchPut(ctx, client.BatchPutRequest{Collection: "users", Items: []client.PutItem{item("CN", "a"), item("DE", "b")}})
	if err != nil || a.Items[0].Error == nil || a.Items[0].Error.Code != bonded.CodeSealed || a.Items[0].Error.RequestID == "" || a.Items[1].Result == nil {
		t.Errorf("one cell sealed: %+v, %v", a, err)
	}
}
