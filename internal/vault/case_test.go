//go:build unix

package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/handover"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/internal/seal"
	"bonded/internal/succession"
	"bonded/internal/succession/ceremonytest"
	"bonded/internal/vault"
	"bonded/verify"
)

// quorumSchema is testSchema with one field in custody of a quorum that can be
// searched, and one that cannot.
var quorumSchema = strings.NewReplacer(
	`phone:  {type: string, class: personal, index: "phone:DE", mask: keep_last}`,
	`phone:  {type: string, class: personal, index: "phone:DE", mask: keep_last, custody: quorum}`,
	`born:   {type: date, class: sensitive, mask: all}`,
	`born:   {type: date, class: sensitive, mask: all, custody: quorum}`,
).Replace(testSchema)

// A door is a cell with custodians and everything the front door has.
type door struct {
	*cell
	committee *ceremonytest.Committee
	private   *recipient.Private
	recipient []byte
}

// newDoor returns a cell that has held its ceremony and was started again with
// quorum fields in its schema.
func newDoor(t testing.TB, change ...func(*cell)) *door {
	t.Helper()
	d := &door{cell: newCell(t, change...), committee: ceremonytest.Hold(t, "eu")}
	private, public, err := recipient.New()
	must(t, err)
	d.private, d.recipient = private, public.Bytes()
	link := d.link(d.committee, d.committee.Order(t, d.admin))
	must(t, d.v.SetCustody(t.Context(), []succession.Link{link}))
	must(t, d.v.SetCustody(t.Context(), []succession.Link{link})) // again does no harm
	d.stop()
	d.schema = quorumSchema
	d.start()
	return d
}

// publish appends an entry of cases to the ledger.
func (d *door) publish(e *verify.CaseEntry) (*verify.CaseOpening, []byte) {
	d.t.Helper()
	leaf, fields := ceremonytest.Leaf("eu", time.Now(), e)
	receipt, err := d.ledger.Append(d.t.Context(), leaf)
	must(d.t, err)
	return verify.OpenCase(receipt.Index(), leaf, fields), receipt.Proof()
}

func (d *door) link(c *ceremonytest.Committee, order []byte) succession.Link {
	o, proof := d.publish(c.Entry())
	return c.Link(order, o, proof)
}

// approve makes a case of scope items: it is approved and its opening is
// witnessed.
func (d *door) approve(id bonded.CaseID, items []verify.ScopeItem) *handover.Certificate {
	d.t.Helper()
	ks := d.committee.KeySet
	s := &verify.Scope{
		Cell: "eu", Case: id.ID, Kind: "disclosure", Request: [32]byte{1}, Recipient: verify.RecipientDigest(d.recipient),
		KeySet: ks.Digest(), Epoch: ks.Epoch(), Expires: uint64(time.Now().Add(time.Hour).Unix()), Items: items,
	}
	c := &handover.Certificate{Case: id, ScopeHead: verify.EncodeScopeHead(s), Recipient: d.recipient}
	for _, h := range s.ItemHashes() {
		c.ItemHashes = append(c.ItemHashes, h)
	}
	_, _ = rand.Read(c.QuorumLeaf[:])
	digest := s.Digest()
	approvals := d.committee.Approve(id.ID, digest, c.QuorumLeaf, time.Now(), d.committee.Quorum()...)
	for _, a := range approvals {
		c.Approvals = append(c.Approvals, a.Encode())
	}
	o, proof := d.publish(&verify.CaseEntry{
		Type: verify.EntryCase, Case: id.ID, Number: 9, Event: verify.EventOpening, State: "opening", Scope: digest,
		Content: verify.OpeningContent(digest, verify.ApprovalsDigest(approvals), s.Recipient),
	})
	c.Opening, c.Proof = ceremonytest.OpeningJSON(o), proof
	return c
}

func newCase() bonded.CaseID { return bonded.CaseID{Cell: "eu", ID: bonded.NewID()} }

// release releases all items of a case.
func (d *door) release(c *handover.Certificate, items []verify.ScopeItem) ([]handover.Released, error) {
	d.t.Helper()
	var out []handover.Released
	err := d.v.Records().Release(d.t.Context(), c, 0, items, func(r handover.Released) error {
		out = append(out, r)
		return nil
	})
	return out, err
}

// open opens a released item as its requester: with the sealed keys, and for
// quorum fields with the partials of the custodians.
func (d *door) openItem(c *handover.Certificate, r *handover.Released) map[string]string {
	d.t.Helper()
	it, err := verify.DecodeScopeItem(r.Item)
	must(d.t, err)
	scope := scopeDigest(c.ScopeHead, c.ItemHashes)
	h := verify.ScopeItemHash(r.Item)
	keys, err := seal.OpenFrom(d.private.Seal, verify.ReleaseInfo(c.Case, scope), h[:], r.Sealed)
	must(d.t, err)
	if len(keys) != 32*len(it.Fields) {
		d.t.Fatalf("%d bytes of keys for %d fields", len(keys), len(it.Fields))
	}
	var qk quorum.Key
	if len(r.Envelope) > 0 {
		qk = d.combine(c, it, r.Envelope)
	}
	values := map[string]string{}
	for i, f := range it.Fields {
		key, err := seal.KeyFromBytes(keys[32*i : 32*i+32])
		must(d.t, err)
		where := seal.Context{Cell: "eu", Subject: it.Subject, Record: it.Record, Collection: it.Collection, Field: f.Name, Version: f.Version}
		plain, err := key.Open(r.Ciphertexts[i], where)
		must(d.t, err)
		if f.Custody == verify.CustodyQuorum {
			inner, err := seal.KeyFromBytes(qk.Field(f.Name))
			must(d.t, err)
			where.Version = verify.EnvelopeVersion(it.Envelope)
			plain, err = inner.Open(plain, where)
			must(d.t, err)
		}
		values[f.Name] = string(plain)
	}
	return values
}

func (d *door) combine(c *handover.Certificate, it *verify.ScopeItem, envelope []byte) quorum.Key {
	d.t.Helper()
	ks := d.committee.KeySet
	e, err := quorum.ParseEnvelope(envelope)
	must(d.t, err)
	label := verify.EnvelopeLabel("eu", it.Collection, it.Record, ks.ReleaseKey())
	public, err := recipient.Parse(d.recipient)
	must(d.t, err)
	release := public.Release(c.Case.ID, c.QuorumLeaf)
	var partials []*quorum.Partial
	for _, p := range d.committee.Quorum() {
		partial, err := quorum.MakePartial(ks, p.Share, release, e, label)
		must(d.t, err)
		partials = append(partials, partial)
	}
	combined, err := quorum.Combine(ks, release, e, label, partials)
	must(d.t, err)
	qk, err := d.private.Quorum.Open(e, label, combined)
	must(d.t, err)
	return qk
}

func TestCaseReleasesExactlyItsScopeToItsRequester(t *testing.T) {
	d := newDoor(t)
	anna := d.create(values("name", `"Anna"`, "email", `"a@example.com"`, "phone", `"+49301234567"`, "age", `30`))
	d.create(values("name", `"Bert"`, "email", `"b@example.com"`))
	records, id := d.v.Records(), newCase()

	// 1. The target is found by a field, and that is an entry in both books.
	matches, err := records.Resolve(t.Context(), id, []handover.Target{{Collection: "users", Format: "email", Value: "A@Example.com"}}, 10)
	must(t, err)
	if len(matches) != 1 || matches[0].Subject != anna.Subject.ID || matches[0].Record != anna.Record.ID || matches[0].Field != "email" {
		t.Fatalf("matches %+v", matches)
	}
	if row := d.lastRow(verify.OpFind); row.Basis != id.String() || !row.Resolved || row.Principal != "front-door" || row.Purpose != "front_door" {
		t.Errorf("row of the search: %+v", row)
	}

	// 2. The scope: fields there are, at their versions.
	items, err := records.Snapshot(t.Context(), id, []handover.Want{{
		Task: 1, Subject: anna.Subject.ID, Record: anna.Record.ID, Collection: "users", Fields: []string{"phone", "born", "name"}, Match: "email",
	}})
	must(t, err)
	if len(items) != 1 || len(items[0].Fields) != 3 || items[0].Envelope == ([32]byte{}) || items[0].Fields[0].Custody != verify.CustodyQuorum || !items[0].Fields[2].Match || items[0].Task != 1 {
		t.Fatalf("items %+v", items)
	}
	if _, err := verify.DecodeScopeItem(verify.EncodeScopeItem(&items[0])); err != nil {
		t.Fatal(err)
	}
	envelopes := 0
	must(t, records.Envelopes(t.Context(), items, 0, func(i int, e []byte) error {
		envelopes++
		if i != 0 || verify.EnvelopeHash(e) != items[0].Envelope {
			t.Error("another envelope than the scope names")
		}
		return nil
	}))
	if envelopes != 1 {
		t.Errorf("%d envelopes", envelopes)
	}

	// 3. The release.
	c := d.approve(id, items)
	out, err := d.release(c, items)
	must(t, err)
	if len(out) != 1 || out[0].Code != "" || out[0].Entry == "" {
		t.Fatalf("released %+v", out)
	}
	got := d.openItem(c, &out[0])
	if got["phone"] != "+49301234567" || got["email"] != "a@example.com" || got["name"] != "Anna" || len(got) != 3 {
		t.Errorf("opened %v", got)
	}
	row := d.lastRow(verify.OpDisclose)
	if row.Assurance != verify.AssuranceCase || row.Digest != scopeDigest(c.ScopeHead, c.ItemHashes) || row.Basis != id.String() || row.Resolved ||
		len(row.Items) != 1 || !slices.Equal(row.Items[0].Fields, []string{"phone", "name", "email"}) {
		t.Errorf("row of the release: %+v", row)
	}

	// 4. Its receipt shows this person's item.
	d.await("the receipt", func() error {
		b, err := records.Receipt(t.Context(), out[0].Entry, anna.Subject.ID)
		if err != nil {
			return err
		}
		r, err := verify.ParseReceipt(b)
		must(t, err)
		rep, err := verify.CheckReceipt(r, d.cells)
		if err == nil && (len(rep.Items) != 1 || rep.Row.Operation != verify.OpDisclose) {
			t.Errorf("receipt: %+v", rep.Row)
		}
		return err
	})

	// 5. After it the records are sealed anew: the keys released open nothing.
	must(t, records.Reseal(t.Context(), id, items))
	must(t, records.Reseal(t.Context(), id, items)) // again passes over them
	out, err = d.release(c, items)
	must(t, err)
	if out[0].Code != bonded.CodeConflict || len(out[0].Sealed) > 0 || len(out[0].Ciphertexts) > 0 {
		t.Errorf("released after the re-seal: %+v", out)
	}
	again, err := records.Snapshot(t.Context(), id, []handover.Want{{Subject: anna.Subject.ID, Record: anna.Record.ID, Collection: "users", Fields: []string{"phone", "email"}}})
	must(t, err)
	if again[0].Envelope != items[0].Envelope || again[0].Fields[0].Version == items[0].Fields[0].Version {
		t.Error("the re-seal changed the envelope, or not the versions")
	}
	c = d.approve(id, again)
	out, err = d.release(c, again)
	must(t, err)
	if got := d.openItem(c, &out[0]); got["phone"] != "+49301234567" || got["email"] != "a@example.com" {
		t.Errorf("opened after the re-seal: %v", got)
	}
	// 6. The books agree, and count releases of cases apart.
	rep := d.reconcile()
	if rep.Cases.Releases != 2 || rep.Cases.Items != 2 || rep.ReleasedWithoutEntry != 0 {
		t.Errorf("reconciled: %+v", rep)
	}
}

func TestReleaseRefusedByTheKeyholderIsEnteredAndHandsOutNothing(t *testing.T) {
	d := newDoor(t)
	p := d.create(values("name", `"Anna"`))
	id := newCase()
	items, err := d.v.Records().Snapshot(t.Context(), id, []handover.Want{{Subject: p.Subject.ID, Record: p.Record.ID, Collection: "users", Fields: []string{"name"}}})
	must(t, err)
	c := d.approve(id, items)
	for name, change := range map[string]func(*handover.Certificate){
		"below quorum":      func(c *handover.Certificate) { c.Approvals = c.Approvals[1:] },
		"no witnessed leaf": func(c *handover.Certificate) { c.Opening = []byte("{}") },
		"another requester": func(c *handover.Certificate) {
			_, k, err := recipient.New()
			must(t, err)
			c.Recipient = k.Bytes()
		},
	} {
		bad := *c
		change(&bad)
		out, err := d.release(&bad, items)
		if err == nil || len(out) != 0 {
			t.Fatalf("%s: %v %+v", name, err, out)
		}
		row := d.lastRow(verify.OpDisclose)
		if row.Outcome != verify.OutcomeRefused || row.Code != bonded.CodeOf(err) || row.Refers == (verify.RowRef{}) {
			t.Errorf("%s: second row %+v", name, row)
		}
	}
	if out, err := d.release(c, items); err != nil || out[0].Code != "" {
		t.Errorf("the case itself: %v %+v", err, out)
	}
	d.reconcile()
}

func TestLostAnswerOfAReleaseIsAnOpeningAndIsAskedAgain(t *testing.T) {
	d := newDoor(t)
	p := d.create(values("name", `"Anna"`))
	id := newCase()
	items, err := d.v.Records().Snapshot(t.Context(), id, []handover.Want{{Subject: p.Subject.ID, Record: p.Record.ID, Collection: "users", Fields: []string{"name"}}})
	must(t, err)
	c := d.approve(id, items)
	d.line.lose.Store(true)
	_, err = d.release(c, items)
	wantCode(t, err, bonded.CodeKeyholder)
	d.await("the books to agree again", func() error { return d.v.Ready(t.Context()) })
	out, err := d.release(c, items)
	must(t, err)
	if got := d.openItem(c, &out[0]); got["name"] != "Anna" {
		t.Errorf("opened %v", got)
	}
	if rep := d.reconcile(); rep.Cases.Releases != 2 || rep.ReleasedWithoutEntry != 0 {
		t.Errorf("reconciled: %+v", rep)
	}
}

func TestReleaseLeavesOutWhatChanged(t *testing.T) {
	d := newDoor(t)
	var wants []handover.Want
	var people []*apitype.PutResult
	for range 3 {
		p := d.create(values("name", `"Anna"`, "born", `"1990-01-01"`))
		people = append(people, p)
		wants = append(wants, handover.Want{Subject: p.Subject.ID, Record: p.Record.ID, Collection: "users", Fields: []string{"name", "born"}})
	}
	id := newCase()
	items, err := d.v.Records().Snapshot(t.Context(), id, wants)
	must(t, err)
	c := d.approve(id, items)
	_, err = d.v.Put(t.Context(), d.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Subject: &people[1].Subject, Record: &people[1].Record, Partial: true, Values: values("name", `"Bea"`)}})
	must(t, err)
	out, err := d.release(c, items)
	must(t, err)
	if len(out) != 3 || out[0].Code != "" || out[1].Code != bonded.CodeConflict || out[2].Code != "" || out[2].Index != 2 {
		t.Fatalf("released %+v", out)
	}
	if got := d.openItem(c, &out[2]); got["born"] != "1990-01-01" {
		t.Errorf("opened %v", got)
	}
	if err := d.v.Records().Envelopes(t.Context(), items, 0, func(int, []byte) error { return nil }); bonded.CodeOf(err) != bonded.CodeConflict {
		t.Errorf("envelopes of a changed scope: %v", err)
	}
}

func TestQuorumFieldsOpenInNoDailyWay(t *testing.T) {
	d := newDoor(t)
	p := d.create(values("name", `"Anna"`, "phone", `"+49301234567"`, "born", `"1990-01-01"`))
	ctx := t.Context()
	refused := func(what string, err error, op verify.Operation) {
		t.Helper()
		if e := wantCode(t, err, bonded.CodeForbidden); !slices.Equal(e.Rules, []string{"custody.quorum"}) {
			t.Errorf("%s: rules %v", what, e.Rules)
		}
		if row := d.lastRow(op); row.Outcome != verify.OutcomeRefused || !slices.Contains(row.Rules, "custody.quorum") {
			t.Errorf("%s: not entered: %+v", what, row)
		}
	}
	_, err := d.get(p, "name", "phone")
	refused("read", err, verify.OpRead)
	item := apitype.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: []string{"phone"}}
	_, err = d.v.Mask(ctx, d.call("app"), &apitype.GetRequest{Collection: "users", GetItem: item})
	refused("mask", err, verify.OpMask)
	token, err := d.v.TokenCreate(ctx, d.call("app"), &apitype.TokenRequest{Collection: "users", Subject: p.Subject, Record: p.Record, Fields: []string{"phone"}})
	must(t, err)
	tok := token.Tokens["phone"]
	if _, err := d.v.Get(ctx, d.call("app"), &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Token: &tok}}); err == nil {
		t.Error("a token opens a field in custody of a quorum")
	}
	// The rest of the record opens, it is found by the field, and a copy says what it lacks.
	if got, err := d.get(p, "name"); err != nil || string(got.Values["name"]) != `"Anna"` {
		t.Errorf("%v %v", got, err)
	}
	found, err := d.v.Find(ctx, d.call("app"), &apitype.FindRequest{Collection: "users", Where: map[string]string{"phone": "030 1234567"}})
	if err != nil || len(found.Records) != 1 || found.Records[0].Record != p.Record {
		t.Errorf("find: %+v %v", found, err)
	}
	copied, err := d.v.Export(ctx, d.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if r := copied.Records[0]; !slices.Equal(slices.Sorted(slices.Values(r.Withheld)), []string{"born", "phone"}) || len(r.Values) != 1 {
		t.Errorf("copy: %+v", r)
	}
	// Neither value nor key inside is in the database.
	d.stop()
	if d.stores("1990-01-01") {
		t.Error("a value is stored in clear")
	}
	d.start()
}

// stores reports whether any table holds a text.
func (d *door) stores(text string) bool {
	d.t.Helper()
	return bytes.Contains(databaseBytes(d.t, d.dir), []byte(text))
}

func TestPartialWriteMakesAnEnvelopeForWhatItWrites(t *testing.T) {
	d := newDoor(t)
	p := d.create(values("phone", `"+49301234567"`, "born", `"1990-01-01"`, "name", `"Anna"`))
	put := func(v apitype.Values) {
		t.Helper()
		_, err := d.v.Put(t.Context(), d.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Subject: &p.Subject, Record: &p.Record, Partial: true, Values: v}})
		must(t, err)
	}
	id := newCase()
	snap := func() []verify.ScopeItem {
		t.Helper()
		items, err := d.v.Records().Snapshot(t.Context(), id, []handover.Want{{Subject: p.Subject.ID, Record: p.Record.ID, Collection: "users", Fields: []string{"name", "phone", "born"}}})
		must(t, err)
		return items
	}
	before := snap()
	put(values("name", `"Bea"`))
	if after := snap(); len(after) != 1 || after[0].Envelope != before[0].Envelope {
		t.Error("a write of another field made an envelope")
	}
	put(values("born", `"1991-02-02"`))
	after := snap()
	if len(after) != 2 || after[0].Envelope != before[0].Envelope || after[1].Envelope == before[0].Envelope || after[1].Fields[0].Name != "born" {
		t.Fatalf("items %+v", after)
	}
	c := d.approve(id, after)
	out, err := d.release(c, after)
	must(t, err)
	if a, b := d.openItem(c, &out[0]), d.openItem(c, &out[1]); a["phone"] != "+49301234567" || a["name"] != "Bea" || b["born"] != "1991-02-02" {
		t.Errorf("opened %v %v", a, b)
	}
	// A whole write gives the record one envelope again.
	_, err = d.v.Put(t.Context(), d.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Subject: &p.Subject, Record: &p.Record, Values: values("phone", `"+49307654321"`, "born", `"1992-03-03"`)}})
	must(t, err)
	if items := snap(); len(items) != 1 || len(items[0].Fields) != 2 {
		t.Errorf("items %+v", items)
	}
}

func TestSchemaWithQuorumFieldsNeedsCustodians(t *testing.T) {
	c := newCell(t)
	c.stop()
	c.schema = quorumSchema
	e := wantCode(t, c.tryOpen(), bonded.CodeConfig)
	if !strings.Contains(e.Field, "custody") || e.Hint == "" {
		t.Errorf("%+v", e)
	}
	c.schema = testSchema
	c.start()
}

func TestQuorumCustodyIsNotTakenBack(t *testing.T) {
	d := newDoor(t)
	d.stop()
	d.schema = testSchema
	wantCode(t, d.tryOpen(), bonded.CodeConfig)
	d.schema = quorumSchema
	d.start()
}

func TestHoldKeepsPeopleFromErasureUntilItEnds(t *testing.T) {
	d := newDoor(t)
	p := d.create(values("name", `"Anna"`, "email", `"a@example.com"`))
	records, ctx := d.v.Records(), t.Context()
	one, two := newCase(), newCase()
	for _, id := range []bonded.CaseID{one, two, one} { // idempotent
		must(t, records.Freeze(ctx, id, []bonded.ID{p.Subject.ID}))
	}
	if row := d.lastRow(verify.OpHold); row.Basis != two.String() || len(row.Items) != 1 || row.Items[0].Subject != p.Subject.ID {
		t.Errorf("row of the hold: %+v", row)
	}
	_, err := d.v.RecordDelete(ctx, d.call("app"), &apitype.RecordDeleteRequest{Collection: "users", Subject: p.Subject, Record: p.Record})
	wantCode(t, err, bonded.CodeFrozen)

	// The person is told what is always told, and nothing is destroyed.
	res, err := d.v.Erase(ctx, d.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if res.State != "scheduled" || res.Note != "scheduled; holds may apply" || res.Tombstone != 0 {
		t.Errorf("erasure under a hold: %+v", res)
	}
	if _, err := d.get(p, "name"); bonded.CodeOf(err) != bonded.CodeErasing {
		t.Errorf("read meanwhile: %v", err)
	}
	// The case still finds and gets what it kept.
	targets := []handover.Target{{Collection: "users", Format: "email", Value: "a@example.com"}, {Collection: "users", Format: "subject", Value: p.Subject.String()}}
	matches, err := records.Resolve(ctx, one, targets, 10)
	must(t, err)
	if len(matches) != 2 {
		t.Fatalf("matches %+v", matches)
	}
	items, err := records.Snapshot(ctx, one, []handover.Want{{Subject: p.Subject.ID, Record: p.Record.ID, Collection: "users", Fields: []string{"email"}}})
	must(t, err)
	c := d.approve(one, items)
	out, err := d.release(c, items)
	must(t, err)
	if got := d.openItem(c, &out[0]); got["email"] != "a@example.com" {
		t.Errorf("opened %v", got)
	}
	// One hold is left: it waits on, over a restart too.
	must(t, records.Unfreeze(ctx, one))
	d.stop()
	d.start()
	records = d.v.Records()
	if s, err := d.store.Subject(ctx, p.Subject.ID); err != nil || s == nil {
		t.Fatalf("the person is gone under a hold: %v", err)
	}
	must(t, records.Unfreeze(ctx, two))
	must(t, records.Unfreeze(ctx, two))
	d.await("the erasure", func() error {
		if s, err := d.store.Subject(ctx, p.Subject.ID); err != nil || s != nil {
			return bonded.Errorf(bonded.CodeBusy, "still there")
		}
		return nil
	})
	if matches, err := records.Resolve(ctx, one, targets, 10); err != nil || len(matches) != 0 {
		t.Errorf("an erased person is found: %+v %v", matches, err)
	}
	if out, err := d.release(c, items); err != nil || out[0].Code != bonded.CodeErased || len(out[0].Sealed) > 0 {
		t.Errorf("released after the erasure: %v %+v", err, out)
	}
}

func TestHoldKeepsRecordsFromRetention(t *testing.T) {
	d := newDoor(t)
	p := d.create(values("name", `"Anna"`))
	visit, err := d.v.Put(t.Context(), d.call("app"), &apitype.PutRequest{Collection: "visits", PutItem: apitype.PutItem{Subject: &p.Subject, Values: values("page", `"/"`)}})
	must(t, err)
	id := newCase()
	must(t, d.v.Records().Freeze(t.Context(), id, []bonded.ID{p.Subject.ID}))
	d.stop()
	d.skew.Store(int64(25 * time.Hour)) // beyond freshness as well: nothing opens, and retention asks for no keys
	d.open()
	must(t, d.v.Retain(t.Context()))
	want := []handover.Want{{Subject: p.Subject.ID, Record: visit.Record.ID, Collection: "visits", Fields: []string{"page"}}}
	if items, err := d.v.Records().Snapshot(t.Context(), id, want); err != nil || len(items) != 1 {
		t.Fatalf("a held record: %+v %v", items, err)
	}
	must(t, d.v.Records().Unfreeze(t.Context(), id))
	must(t, d.v.Retain(t.Context()))
	if items, err := d.v.Records().Snapshot(t.Context(), id, want); err != nil || len(items) != 0 {
		t.Errorf("after the hold: %+v %v", items, err)
	}
}

func TestResolveFindsByIDAndEntersIt(t *testing.T) {
	d := newDoor(t)
	p := d.create(values("name", `"Anna"`))
	token, err := d.v.TokenCreate(t.Context(), d.call("app"), &apitype.TokenRequest{Collection: "users", Subject: p.Subject, Record: p.Record, Fields: []string{"name"}})
	must(t, err)
	id := newCase()
	other := bonded.SubjectID{Cell: "eu", ID: bonded.NewID()}
	matches, err := d.v.Records().Resolve(t.Context(), id, []handover.Target{
		{Task: 0, Collection: "users", Format: "record", Value: p.Record.String()},
		{Task: 1, Collection: "users", Format: "token", Value: token.Tokens["name"].String()},
		{Task: 2, Collection: "users", Format: "subject", Value: other.String()},
		{Task: 3, Collection: "visits", Format: "subject", Value: p.Subject.String()},
		{Task: 4, Collection: "users", Format: "subject", Value: "sub_eu_nonsense"},
	}, 10)
	must(t, err)
	if len(matches) != 2 || matches[0].Record != p.Record.ID || matches[1].Subject != p.Subject.ID || matches[1].Task != 1 || matches[1].Target != 1 || matches[0].Field != "" {
		t.Errorf("matches %+v", matches)
	}
	row := d.lastRow(verify.OpList)
	if row.Basis != id.String() || !row.Resolved {
		t.Errorf("row: %+v", row)
	}
	if _, err := d.v.Records().Resolve(t.Context(), id, []handover.Target{{Collection: "users", Format: "age", Value: "30"}}, 10); bonded.CodeOf(err) != bonded.CodeInvalid {
		t.Errorf("a field without an index: %v", err)
	}
	// At most so many people.
	for range 3 {
		d.create(values("name", `"Carl"`))
	}
	if matches, err := d.v.Records().Resolve(t.Context(), id, []handover.Target{{Collection: "users", Format: "name", Value: "carl"}}, 2); err != nil || len(matches) != 2 {
		t.Errorf("%d matches: %v", len(matches), err)
	}
}

func TestContactIsOpenedForTheNoticeAlone(t *testing.T) {
	d := newDoor(t, func(c *cell) { c.contact = vault.Contact{Collection: "users", Address: "email", Language: "name"} })
	p := d.create(values("name", `"de"`, "email", `"a@example.com"`))
	id := newCase()
	address, language, err := d.v.Records().Contact(t.Context(), id, p.Subject.ID)
	if err != nil || address != "a@example.com" || language != "de" {
		t.Errorf("%q %q %v", address, language, err)
	}
	if row := d.lastRow(verify.OpRead); row.Purpose != "notice" || row.Basis != id.String() || row.Principal != "front-door" {
		t.Errorf("row: %+v", row)
	}
	if address, _, err := d.v.Records().Contact(t.Context(), id, bonded.NewID()); err != nil || address != "" {
		t.Errorf("nobody: %q %v", address, err)
	}
}

func TestRecordsAnswerNobodyWithoutTheFrontDoorsGrant(t *testing.T) {
	c := newCell(t)
	c.grants.Grants = slices.DeleteFunc(c.grants.Grants, func(g grant.Grant) bool { return g.ID == "front-door" })
	c.grants.Number++
	must(t, c.v.SetGrants(t.Context(), c.grants))
	_, err := c.v.Records().Resolve(context.Background(), newCase(), []handover.Target{{Collection: "users", Format: "name", Value: "x"}}, 1)
	wantCode(t, err, bonded.CodeConfig)
}

// BenchmarkCase1000 releases a case of 1,000 people, two fields each, through
// both books.
func BenchmarkCase1000(b *testing.B) {
	d := newDoor(b)
	var wants []handover.Want
	for range 1000 {
		p := d.create(values("name", `"Anna"`, "phone", `"+49301234567"`))
		wants = append(wants, handover.Want{Subject: p.Subject.ID, Record: p.Record.ID, Collection: "users", Fields: []string{"name", "phone"}})
	}
	id := newCase()
	items, err := d.v.Records().Snapshot(b.Context(), id, wants)
	must(b, err)
	c := d.approve(id, items)
	for b.Loop() {
		for at := 0; at < len(items); at += 250 {
			must(b, d.v.Records().Release(b.Context(), c, at, items[at:at+250], func(r handover.Released) error {
				if r.Code != "" {
					b.Fatal(r.Code)
				}
				return nil
			}))
		}
	}
}

func scopeDigest(head []byte, items [][32]byte) [32]byte {
	hashes := make([]tlog.Hash, len(items))
	for i := range items {
		hashes[i] = items[i]
	}
	return verify.ScopeDigest(head, hashes)
}

// databaseBytes returns all bytes of a vault's database files.
func databaseBytes(t testing.TB, dir string) (all []byte) {
	t.Helper()
	for _, name := range []string{"vault.db", "vault.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}
