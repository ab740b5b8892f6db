//go:build unix

package vault_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/seal"
	"bonded/internal/vault"
	"bonded/internal/wire"
	"bonded/verify"
)

// A session is that of a principal's client.
type session struct {
	c       *cell
	id      [32]byte
	key     [32]byte
	counter uint64
}

func (c *cell) session(principal string) *session {
	c.t.Helper()
	ch, err := c.v.SessionChallenge(c.t.Context(), c.call(principal))
	must(c.t, err)
	s := &session{c: c}
	_, _ = rand.Read(s.key[:])
	o := &wire.OpenSession{Grant: principal, Challenge: [32]byte(ch.Challenge)}
	pub, err := seal.ParseHPKEPublic(c.hpke)
	must(c.t, err)
	o.Blob, err = seal.SealTo(pub, []byte(o.Grant), o.Challenge[:], s.key[:])
	must(c.t, err)
	o.Sig = [64]byte(ed25519.Sign(c.app, o.Message("eu")))
	r, err := c.v.SessionOpen(c.t.Context(), c.call(principal), o.Encode())
	must(c.t, err)
	s.id = [32]byte(r.Session)
	return s
}

// prove returns a call with a proof of the request.
func (s *session) prove(principal string, r wire.Request) *vault.Call {
	call := s.c.call(principal)
	s.counter++
	r.Cell, r.Purpose = "eu", call.Why.Purpose
	p := wire.MakeProof(s.key, s.id, s.counter, r.Digest())
	call.Assurance, call.Proof, call.Body = verify.AssuranceProven, &p, r.Body
	return call
}

func TestProofsAreCheckedByTheKeyholderAndServeOnce(t *testing.T) {
	c := newCell(t)
	s := c.session("proofs-only")
	body := []byte("body as sent")
	r := wire.Request{Operation: verify.OpCreate, Collection: "users", Named: []wire.Named{{Fields: []string{"name", "phone"}}}, Body: wire.BodyDigest([16]byte{1}, body)}
	p, err := c.v.Put(t.Context(), s.prove("proofs-only", r), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("name", `"Anna"`, "phone", `"030 1234567"`), Facts: germany}})
	must(t, err)
	named := []wire.Named{{Subject: p.Subject.String(), Record: p.Record.String(), Fields: []string{"name", "email"}}}
	get := func(call *vault.Call, fields ...string) error {
		_, err := c.v.Get(t.Context(), call, &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: fields}})
		return err
	}
	call := s.prove("proofs-only", wire.Request{Operation: verify.OpRead, Collection: "users", Named: named})
	must(t, get(call, "name", "email"))
	row := c.lastRow(verify.OpRead)
	if row.Assurance != verify.AssuranceProven || row.Digest == ([32]byte{}) {
		t.Errorf("row: %+v", row)
	}
	wantCode(t, get(call, "name", "email"), bonded.CodeProof) // again

	other := s.prove("proofs-only", wire.Request{Operation: verify.OpRead, Collection: "users", Named: named})
	wantCode(t, get(other, "name", "phone"), bonded.CodeProof) // of something else

	tok, err := c.v.TokenCreate(t.Context(), c.call("app"), &apitype.TokenRequest{Collection: "users", Subject: p.Subject, Record: p.Record, Fields: []string{"name"}})
	must(t, err)
	k := tok.Tokens["name"]
	call = s.prove("proofs-only", wire.Request{Operation: verify.OpTokenRead, Collection: "users", Named: []wire.Named{{Token: k.String()}}})
	_, err = c.v.Get(t.Context(), call, &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Token: &k}})
	must(t, err)

	call = s.prove("proofs-only", wire.Request{Operation: verify.OpFind, Collection: "users", Named: []wire.Named{{Fields: []string{"name"}}}})
	f, err := c.v.Find(t.Context(), call, &apitype.FindRequest{Collection: "users", Where: map[string]string{"name": "anna"}})
	must(t, err)
	if len(f.Records) != 1 {
		t.Errorf("%+v", f)
	}

	// A batch of which one item is not there is still proven as it was named.
	unknown := bonded.SubjectID{Cell: "eu", ID: bonded.NewID()}
	call = s.prove("proofs-only", wire.Request{Operation: verify.OpRead, Collection: "users", Named: []wire.Named{
		{Subject: p.Subject.String(), Fields: []string{"name"}}, {Subject: unknown.String(), Fields: []string{"name"}},
	}})
	b, err := c.v.BatchGet(t.Context(), call, &apitype.BatchGetRequest{Collection: "users", Items: []apitype.GetItem{
		{Subject: &p.Subject, Fields: []string{"name"}}, {Subject: &unknown, Fields: []string{"name"}},
	}})
	must(t, err)
	if b.Items[0].Result == nil || b.Items[1].Error == nil {
		t.Errorf("%+v", b)
	}
	c.reconcile()
}

func TestRetentionEndsRecordsAndThePersonWithThem(t *testing.T) {
	c := newCell(t, func(c *cell) {
		c.schema = `
collections:
  visits:
    retention: P1D
    fields:
      page: {type: string, class: personal}
      note: {type: string, class: personal, retention: P1D}
`
	})
	put := func() *apitype.PutResult {
		t.Helper()
		p, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "visits", PutItem: apitype.PutItem{Values: values("page", `"/"`), Facts: germany}})
		must(t, err)
		return p
	}
	c.skew.Store(-int64(25 * time.Hour))
	old := put()
	c.skew.Store(0)
	fresh := put()
	get := func(p *apitype.PutResult) error {
		_, err := c.v.Get(t.Context(), c.call("app"), &apitype.GetRequest{Collection: "visits", GetItem: apitype.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"page"}}})
		return err
	}
	if err := get(old); bonded.CodeOf(err) != bonded.CodeWithheld && bonded.CodeOf(err) != bonded.CodeErasing && bonded.CodeOf(err) != bonded.CodeErased {
		t.Errorf("an expired record: %v", err)
	}
	must(t, get(fresh))
	c.await("the key of the person to be destroyed", func() error {
		if err := get(old); bonded.CodeOf(err) != bonded.CodeErased {
			return errors.Join(errors.New("not erased"), err)
		}
		return nil
	})
	if row := c.lastRow(verify.OpRetention); row.Principal != "jobs" || row.Assurance != verify.AssuranceJob {
		t.Errorf("row: %+v", row)
	}
	must(t, get(fresh))
	if rep := c.reconcile(); rep.Destroyed != 1 {
		t.Errorf("%+v", rep)
	}
}

func TestResealBringsEveryRecordUnderANewVersion(t *testing.T) {
	c := newCell(t)
	var people []*apitype.PutResult
	for range 150 {
		people = append(people, c.create(values("name", `"Anna"`, "age", "30")))
	}
	versions := func() map[bonded.ID]bool {
		m := map[bonded.ID]bool{}
		for _, p := range people {
			r, err := c.store.Record(t.Context(), 1, p.Subject.ID, p.Record.ID)
			must(t, err)
			for _, f := range r.Fields {
				m[f.Version] = true
			}
		}
		return m
	}
	before := versions()
	job, err := c.v.JobStart(t.Context(), c.call("app"), &apitype.JobRequest{Kind: "reseal", Collection: "users"})
	must(t, err)
	c.await("the job", func() error {
		j, err := c.v.JobStatus(t.Context(), c.call("app"), job.ID)
		must(t, err)
		if j.State == "running" {
			return errors.New(j.State)
		}
		if j.State != "done" || j.Done != 150 {
			t.Fatalf("%+v", j)
		}
		return nil
	})
	for v := range versions() {
		if before[v] {
			t.Fatal("a value kept its version")
		}
	}
	for _, p := range people {
		got, err := c.get(p, "name", "age")
		must(t, err)
		if d := cmp.Diff(values("name", `"Anna"`, "age", "30"), got.Values); d != "" || got.Version != 1 {
			t.Fatal(d, got.Version)
		}
	}
	c.reconcile()
	rot, err := c.v.JobStart(t.Context(), c.call("app"), &apitype.JobRequest{Kind: "rotate"})
	must(t, err)
	c.await("the rotation", func() error {
		j, err := c.v.JobStatus(t.Context(), c.call("app"), rot.ID)
		must(t, err)
		if j.State != "done" {
			return errors.New(j.State)
		}
		return nil
	})
}

func TestStoreAgreesWithAModel(t *testing.T) {
	c := newCell(t)
	names := []string{`"Anna"`, `"BERTA"`, `"李娜"`, `"Øystein"`, `"𠀀"`}
	folded := map[string]string{`"Anna"`: "anna", `"BERTA"`: "berta", `"李娜"`: "李娜", `"Øystein"`: "øystein", `"𠀀"`: "𠀀"}
	rapid.Check(t, func(rt *rapid.T) {
		type person struct {
			p    *apitype.PutResult
			name string
			age  string
			v    uint64
		}
		model := map[bonded.SubjectID]*person{}
		var all []*person
		pick := func() *person {
			if len(all) == 0 {
				rt.Skip("nobody")
			}
			return all[rapid.IntRange(0, len(all)-1).Draw(rt, "who")]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				n := rapid.SampledFrom(names).Draw(rt, "name")
				p := &person{p: c.create(values("name", n)), name: n, v: 1}
				model[p.p.Subject], all = p, append(all, p)
			},
			"put": func(rt *rapid.T) {
				p := pick()
				n := rapid.SampledFrom(append(names, "null")).Draw(rt, "name")
				partial := rapid.Bool().Draw(rt, "partial")
				r, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Subject: &p.p.Subject, Record: &p.p.Record, Values: values("name", n, "age", "7"), Partial: partial}})
				if model[p.p.Subject] == nil {
					wantCode(t, err, bonded.CodeErased)
					return
				}
				must(t, err)
				p.name, p.age, p.v = n, "7", p.v+1
				if n == "null" {
					p.name = ""
				}
				if r.Version != p.v {
					rt.Fatalf("version %d, want %d", r.Version, p.v)
				}
			},
			"get": func(*rapid.T) {
				p := pick()
				got, err := c.get(p.p, "name", "age")
				if model[p.p.Subject] == nil {
					wantCode(t, err, bonded.CodeErased)
					return
				}
				must(t, err)
				want := apitype.Values{}
				if p.name != "" {
					want["name"] = json.RawMessage(p.name)
				}
				if p.age != "" {
					want["age"] = json.RawMessage(p.age)
				}
				if d := cmp.Diff(want, got.Values); d != "" {
					rt.Fatal(d)
				}
			},
			"find": func(rt *rapid.T) {
				n := rapid.SampledFrom(names).Draw(rt, "name")
				r, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: map[string]string{"name": folded[n]}, Limit: 1000})
				must(t, err)
				found := map[bonded.SubjectID]bool{}
				for _, f := range r.Records {
					found[f.Subject] = true
				}
				for _, p := range all {
					if want := model[p.p.Subject] != nil && p.name == n; found[p.p.Subject] != want {
						rt.Fatalf("found %v, want %v", found[p.p.Subject], want)
					}
				}
			},
			"erase": func(rt *rapid.T) {
				if rapid.IntRange(0, 3).Draw(rt, "rarely") != 0 {
					rt.Skip("not now")
				}
				p := pick()
				if model[p.p.Subject] == nil {
					return
				}
				r, err := c.v.Erase(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.p.Subject})
				must(t, err)
				if r.State != "erased" { // a busy machine: it goes on in the background
					c.await("the erasure", func() error {
						if _, err := c.get(p.p, "name"); bonded.CodeOf(err) != bonded.CodeErased {
							return fmt.Errorf("after %q: %w", r.State, err)
						}
						return nil
					})
				}
				delete(model, p.p.Subject)
			},
		})
	})
	c.reconcile()
}

func TestErasureIsFinishedWhenItsWindowIsOver(t *testing.T) {
	c := newCell(t, func(c *cell) { c.undo = 2 * time.Second })
	p := c.create(values("name", `"Anna"`))
	r, err := c.v.Erase(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if r.State != "scheduled" {
		t.Fatalf("%+v", r)
	}
	c.stop() // a restart on the way does not lose it
	c.start()
	c.await("the erasure", func() error {
		if _, err := c.get(p, "name"); bonded.CodeOf(err) != bonded.CodeErased {
			return errors.Join(errors.New("not erased"), err)
		}
		return nil
	})
	if rep := c.reconcile(); rep.Destroyed != 1 {
		t.Errorf("%+v", rep)
	}
}

func TestSchemaGrowsOverACollectionThatHasData(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	c.stop()
	c.schema = strings.Replace(testSchema, "      vip:", "      shoe:   {type: integer, class: personal, index: digits}\n      vip:", 1)
	c.start()
	_, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Subject: &p.Subject, Record: &p.Record, Values: values("shoe", "44"), Partial: true}})
	must(t, err)
	got, err := c.get(p, "name", "shoe", "vip")
	must(t, err)
	if d := cmp.Diff(values("name", `"Anna"`, "shoe", "44"), got.Values); d != "" {
		t.Error(d)
	}
	found, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: map[string]string{"shoe": "44"}})
	must(t, err)
	if len(found.Records) != 1 {
		t.Errorf("%+v", found)
	}
	if row := c.lastRow(verify.OpSchema); row.Collection != "users" || row.Reason != "version 2" {
		t.Errorf("row: %+v", row)
	}
}

func TestPagesOfAListHaveEveryRecordOnce(t *testing.T) {
	c := newCell(t)
	want := map[bonded.RecordID]bool{}
	for range 25 {
		want[c.create(values("name", `"Anna"`)).Record] = true
	}
	q := &apitype.ListRequest{Collection: "users", Limit: 10}
	pages := 0
	for {
		r, err := c.v.List(t.Context(), c.call("app"), q)
		must(t, err)
		pages++
		for _, f := range r.Records {
			if !want[f.Record] {
				t.Fatal("a record twice, or an unknown one")
			}
			delete(want, f.Record)
		}
		if r.Next == "" {
			break
		}
		q.After = r.Next
	}
	if len(want) != 0 || pages != 3 {
		t.Errorf("%d left, %d pages", len(want), pages)
	}
	_, err := c.v.Find(t.Context(), c.call("app"), &apitype.FindRequest{Collection: "users", Where: map[string]string{"name": "anna"}, After: q.After})
	wantCode(t, err, bonded.CodeInvalid) // a cursor of another query
	n, err := c.v.Count(t.Context(), c.call("app"), &apitype.CountRequest{Collection: "users"})
	must(t, err)
	if n.Records != 25 || n.Subjects != 25 {
		t.Errorf("%+v", n)
	}
}

func TestJournalReadsReceiptsAndStatusAreEntries(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	j, err := c.v.Journal(t.Context(), c.call("app"), &apitype.JournalRequest{Limit: 1000})
	must(t, err)
	if len(j.Rows) == 0 || c.lastRow(verify.OpJournalRead).RowRef.String() != j.Entry {
		t.Errorf("%d rows, entry %s", len(j.Rows), j.Entry)
	}
	c.await("an anchor over the entry", func() error {
		r, err := c.v.Receipt(t.Context(), c.call("app"), &apitype.ReceiptRequest{Entry: p.Entry})
		if err != nil {
			return err
		}
		rep, err := verify.CheckReceipt(r, c.cells)
		must(t, err)
		if rep.Row.RowRef.String() != p.Entry {
			t.Errorf("receipt of %s", rep.Row.RowRef)
		}
		return nil
	})
	j, err = c.v.Journal(t.Context(), c.call("app"), &apitype.JournalRequest{Limit: 1000})
	must(t, err)
	if len(j.Segments) == 0 || len(j.Anchors) == 0 {
		t.Errorf("%d segments, %d anchors", len(j.Segments), len(j.Anchors))
	}
	s, err := c.v.Status(t.Context(), c.call("app"))
	must(t, err)
	if !s.Ready || s.Subjects != 1 || !s.Keyholder.Reachable || s.Witnessed == nil {
		t.Errorf("%+v", s)
	}
}

func TestAuthenticateFindsAGrantByItsHashOnly(t *testing.T) {
	c := newCell(t)
	g, err := c.v.Authenticate("key-of-app")
	must(t, err)
	if g.ID != "app" {
		t.Errorf("%s", g.ID)
	}
	for _, k := range []string{"", "key-of-nobody", g.BearerHash} {
		_, err := c.v.Authenticate(k)
		wantCode(t, err, bonded.CodeUnauthenticated)
	}
	_, err = c.v.AuthenticateCert([32]byte{})
	wantCode(t, err, bonded.CodeUnauthenticated)
	_, err = c.v.Get(t.Context(), &vault.Call{}, &apitype.GetRequest{Collection: "users"})
	wantCode(t, err, bonded.CodeUnauthenticated)
}
