//go:build linux

package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/verify"
)

// person is somebody of a test: values in real scripts.
func person(name, mail string, residence bonded.Jurisdiction) client.PutRequest {
	return client.PutRequest{
		Collection: "users",
		PutItem: client.PutItem{
			Facts:  &client.Facts{Residence: []bonded.Jurisdiction{residence}},
			Values: client.Values{"name": client.Text(name), "email": client.Text(mail)},
		},
	}
}

func field(t *testing.T, v client.Values, name string) string {
	t.Helper()
	s, ok := client.TextOf(v[name])
	if !ok {
		t.Errorf("no text in field %s", name)
	}
	return s
}

func wantCode(t *testing.T, err error, code bonded.Code) *bonded.Error {
	t.Helper()
	var e *bonded.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
	return e
}

// TestClientAgainstACell asks a deployment of real processes: every claim of
// the client is held against the vault and the keyholder themselves.
func TestClientAgainstACell(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	d := bondedtest.Start(t)
	ctx := t.Context()
	app, bearer := d.Client(bondedtest.App, "eu", "service"), d.Bearer(bondedtest.App, "eu", "service")
	const name, mail = "Ünïcødé 李明 𠀋 <&>", "Ada@Example.org"
	ada, err := app.Put(ctx, person(name, mail, "DE"))
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	get := client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &ada.Subject, Record: &ada.Record, Fields: []string{"email", "name"}}}
	var opened string

	t.Run("proven and bearer reads return what was written", func(t *testing.T) {
		for _, c := range []*client.Client{app, bearer} {
			g, err := c.Get(ctx, get)
			if err != nil {
				t.Fatal(err)
			}
			if field(t, g.Values, "name") != name || field(t, g.Values, "email") != mail || g.Version != 1 {
				t.Errorf("read %+v", g)
			}
			opened = g.Entry
		}
		if len(app.Promises()) == 0 {
			t.Error("no promise was kept")
		}
	})

	t.Run("every proven form of call holds", func(t *testing.T) {
		newest := get
		newest.Record = nil
		if _, err := app.Get(ctx, newest); err != nil {
			t.Errorf("newest record: %v", err)
		}
		part := get
		part.Fields = []string{"phone", "email"} // one of them has no value
		if _, err := app.Get(ctx, part); err != nil {
			t.Errorf("a field without value: %v", err)
		}
		m, err := app.Mask(ctx, get)
		if err != nil || field(t, m.Values, "email") == mail {
			t.Errorf("mask: %+v, %v", m, err)
		}
		f, err := app.Find(ctx, client.FindRequest{Collection: "users", Where: map[string]string{"email": strings.ToUpper(mail)}})
		if err != nil || len(f.Records) != 1 || f.Records[0].Subject != ada.Subject {
			t.Errorf("find: %+v, %v", f, err)
		}
		version := uint64(1)
		w, err := app.Put(ctx, client.PutRequest{Collection: "users", PutItem: client.PutItem{
			Subject: &ada.Subject, Record: &ada.Record, Partial: true, IfVersion: &version, Values: client.Values{"phone": client.Text("+49 30 123456")}, Tokens: []string{"email"},
		}})
		if err != nil || w.Version != 2 {
			t.Fatalf("partial write: %+v, %v", w, err)
		}
		token := w.Tokens["email"]
		r, err := app.Get(ctx, client.GetRequest{Collection: "users", GetItem: client.GetItem{Token: &token}})
		if err != nil || field(t, r.Values, "email") != mail {
			t.Errorf("read by token: %+v, %v", r, err)
		}
		if _, err := app.Mask(ctx, client.GetRequest{Collection: "users", GetItem: client.GetItem{Token: &token}}); err != nil {
			t.Errorf("mask by token: %v", err)
		}
		second, err := app.Put(ctx, client.PutRequest{Collection: "users", PutItem: client.PutItem{Subject: &ada.Subject, Values: client.Values{"name": client.Text("A. L.")}}})
		if err != nil || second.Record == ada.Record {
			t.Errorf("second record: %+v, %v", second, err)
		}
		_, err = app.Put(ctx, client.PutRequest{Collection: "users", PutItem: client.PutItem{Subject: &ada.Subject, Record: &ada.Record, IfVersion: &version, Values: client.Values{"name": client.Text("x")}}})
		wantCode(t, err, bonded.CodeConflict)
	})

	t.Run("batches hold item by item", func(t *testing.T) {
		items := []client.PutItem{person("A", "a@b.c", "DE").PutItem, {Values: client.Values{"nmae": client.Text("B")}, Facts: &client.Facts{Residence: []bonded.Jurisdiction{"DE"}}}, person("C", "c@b.c", "FR").PutItem}
		w, err := app.BatchPut(ctx, client.BatchPutRequest{Collection: "users", Items: items})
		if err != nil {
			t.Fatal(err)
		}
		if w.Items[0].Result == nil || w.Items[1].Error == nil || w.Items[1].Error.Code != bonded.CodeUnknownField || w.Items[2].Result == nil {
			t.Fatalf("batch put: %+v", w.Items)
		}
		a, c := w.Items[0].Result, w.Items[2].Result
		gone := bonded.RecordID{Cell: "eu", ID: bonded.NewID()}
		g, err := app.BatchGet(ctx, client.BatchGetRequest{Collection: "users", Items: []client.GetItem{
			{Subject: &a.Subject, Record: &a.Record, Fields: []string{"name"}},
			{Subject: &c.Subject, Record: &gone, Fields: []string{"name"}},
			{Subject: &c.Subject, Record: &c.Record, Fields: []string{"name"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if g.Items[0].Result == nil || g.Items[1].Error == nil || g.Items[1].Error.Code != bonded.CodeWithheld || g.Items[2].Result == nil || field(t, g.Items[2].Result.Values, "name") != "C" {
			t.Errorf("batch get: %+v", g.Items)
		}
	})

	t.Run("idempotency keys give one answer", func(t *testing.T) {
		once := client.WithIdempotencyKey(ctx, "once")
		first, err := app.Put(once, person("Once", "once@b.c", "DE"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := app.Put(once, person("Once", "once@b.c", "DE"))
		if err != nil || again.Subject != first.Subject || again.Entry != first.Entry {
			t.Errorf("again: %+v, %v; first %+v", again, err, first)
		}
		_, err = app.Put(once, person("Other", "once@b.c", "DE"))
		wantCode(t, err, bonded.CodeIdempotency)
	})

	t.Run("refusals name what is wrong", func(t *testing.T) {
		bad := get
		bad.Fields = []string{"emial"}
		_, err := app.Get(ctx, bad)
		if e := wantCode(t, err, bonded.CodeUnknownField); !strings.Contains(e.Hint, "email") {
			t.Errorf("hint %q", e.Hint)
		}
		bad = get
		bad.Purpose = "marketing"
		if _, err := app.Get(ctx, bad); err == nil {
			t.Error("a purpose nobody knows was served")
		}
		other := bonded.SubjectID{Cell: "cn", ID: ada.Subject.ID}
		bad = get
		bad.Subject = &other
		_, err = app.Get(ctx, bad)
		wantCode(t, err, bonded.CodeWrongCell)
		var a *client.Answer
		if !errors.As(err, &a) || a.Cell != "cn" {
			t.Errorf("the right cell is not named: %+v", a)
		}
		li := person("李明", "li@b.c", "CN")
		li.Facts.OperatorClass = []string{"handler_over_volume"}
		_, err = app.Put(ctx, li)
		wantCode(t, err, bonded.CodeWrongCell)
	})

	t.Run("a deployment routes people and calls", func(t *testing.T) { deploymentHolds(t, d) })

	t.Run("status, history, copy, erasure and receipt", func(t *testing.T) {
		if s, err := app.Status(ctx); err != nil || s.Cell != "eu" || !s.Ready || !slices.Contains(s.Collections, "users") {
			t.Errorf("status %+v, %v", s, err)
		}
		desk := d.Client(bondedtest.Privacy, "eu", "subject_request")
		h, err := desk.History(ctx, client.SubjectRequest{Subject: ada.Subject})
		if err != nil || len(h.Entries) < 5 || h.Releases == 0 {
			t.Fatalf("history %+v, %v", h, err)
		}
		x, err := desk.Export(ctx, client.SubjectRequest{Subject: ada.Subject})
		if err != nil || len(x.Records) != 2 {
			t.Fatalf("export %+v, %v", x, err)
		}
		e, err := desk.Erase(ctx, client.SubjectRequest{Subject: ada.Subject})
		if err != nil {
			t.Fatal(err)
		}
		if e.State != "erased" && e.State != "erasing" && e.State != "scheduled" {
			t.Errorf("erasure is %q", e.State)
		}
		if _, err := app.Get(ctx, get); err == nil {
			t.Error("a person being erased was read")
		}
		// Receipts come with the next anchor: about a second here.
		var r *client.Receipt
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
			if r, err = app.Receipt(ctx, client.ReceiptRequest{Entry: opened}); bonded.CodeOf(err) != bonded.CodeBusy || time.Now().After(deadline) {
				break
			}
		}
		if err != nil {
			t.Fatalf("receipt: %v", err)
		}
		rep, err := app.VerifyReceipt(r)
		if err != nil || rep.Row.Operation != verify.OpRead || rep.Row.Principal != bondedtest.App {
			t.Errorf("receipt holds: %v, %+v", err, rep)
		}
	})

	t.Run("many at once share one session", func(t *testing.T) {
		p, err := app.Put(ctx, person("Many", "many@b.c", "DE"))
		if err != nil {
			t.Fatal(err)
		}
		q := client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"name"}}}
		fresh := d.Client(bondedtest.App, "eu", "service")
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for range 8 {
					if _, err := fresh.Get(ctx, q); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("refusals of the face are entries", func(t *testing.T) { refusalsAreEntered(t, d) })

	t.Run("a keyholder that restarts costs one session", func(t *testing.T) {
		p, err := app.Put(ctx, person("Again", "again@b.c", "DE"))
		if err != nil {
			t.Fatal(err)
		}
		k := d.Process("eu/keyholder")
		if err := k.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := k.Restart(); err != nil {
			t.Fatal(err)
		}
		wait, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := d.Ready(wait, "eu"); err != nil {
			t.Fatal(err)
		}
		if _, err := app.Get(ctx, client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"name"}}}); err != nil {
			t.Errorf("after the restart: %v", err)
		}
	})

	t.Run("the face refuses what it cannot read, and serves its documents", func(t *testing.T) { documentsHold(t, d, app) })
}

func deploymentHolds(t *testing.T, d *bondedtest.Deployment) {
	file, err := deploy.LoadCredential(d.Layout.Credential(bondedtest.App))
	if err != nil {
		t.Fatal(err)
	}
	credentials := map[bonded.CellID]client.Credential{}
	for cell, c := range file.Cells {
		credentials[cell] = client.Credential{Bearer: c.Bearer, Grant: file.Principal, GrantKey: c.Key()}
	}
	all, err := client.NewDeployment(client.DeploymentConfig{
		Config:      client.Config{Directory: d.Directory, Why: client.Why{Purpose: "service"}, Operator: []string{"handler_over_volume"}},
		Credentials: credentials,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	w, err := all.BatchPut(t.Context(), client.BatchPutRequest{Collection: "users", Items: []client.PutItem{
		person("李明", "li@b.c", "CN").PutItem, person("Ada", "ada2@b.c", "DE").PutItem, person("Владимир", "v@b.c", "RU").PutItem,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if w.Items[0].Result == nil || w.Items[0].Result.Subject.Cell != "cn" || w.Items[1].Result == nil || w.Items[1].Result.Subject.Cell != "eu" ||
		w.Items[2].Error == nil || w.Items[2].Error.Code != bonded.CodeNoCell {
		t.Fatalf("batch put over cells: %+v %+v %+v", w.Items[0], w.Items[1], w.Items[2])
	}
	li, ada := w.Items[0].Result, w.Items[1].Result
	g, err := all.BatchGet(t.Context(), client.BatchGetRequest{Collection: "users", Items: []client.GetItem{
		{Subject: &ada.Subject, Record: &ada.Record, Fields: []string{"name"}}, {Subject: &li.Subject, Record: &li.Record, Fields: []string{"name"}},
	}})
	if err != nil || g.Items[0].Result == nil || g.Items[1].Result == nil || field(t, g.Items[1].Result.Values, "name") != "李明" {
		t.Errorf("batch get over cells: %+v, %v", g, err)
	}
}
