//go:build unix

package frontdoor_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/internal/casebook"
	"bonded/internal/frontdoor"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/ledger"
	"bonded/internal/notice"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/internal/seal"
	"bonded/internal/sqldb"
	"bonded/internal/witness"
	"bonded/verify"
)

var _ api.Cases = (*frontdoor.Service)(nil)

const (
	cell   = bonded.CellID("eu")
	origin = "log.example/eu"
	slot   = time.Minute
)

// A clock is set by hand. Vault and witnesses read the same one.
type clock struct{ at atomic.Int64 }

func (c *clock) Now() time.Time       { return time.Unix(c.at.Load(), 0).UTC() }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d / time.Second)) }

// A world is a front door with a real ledger, a real witness, a real casebook
// and real custodians; records are in memory.
type world struct {
	t       testing.TB
	ctx     context.Context //nolint:containedctx // of the whole test
	clock   *clock
	dir     string
	policy  string
	vkey    string
	ledger  *ledger.Ledger
	db      *sqldb.DB
	book    *casebook.Book
	records *records
	door    *frontdoor.Service
	rules   *rules.Rules
	key     seal.Key
	once    func() // runs after each tick
	change  []func(*frontdoor.Config)
	granted bool // legal-1 has a grant of the vault
	chains  int  // calls of the custody callback

	keys       *quorum.KeySet
	custodians []*custodian
	private    *recipient.Private
	recipient  *recipient.Key
	nonce      int
}

type custodian struct {
	id    string
	role  string
	index uint64
	share quorum.Share
}

func testKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("front door test " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(label string) ed25519.PublicKey { return testKey(label).Public().(ed25519.PublicKey) }

func newWorld(t testing.TB, change ...func(*frontdoor.Config)) *world {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	w := &world{t: t, ctx: t.Context(), clock: new(clock), dir: t.TempDir(), key: seal.NewKey(), change: change}
	w.clock.at.Store(1_800_000_000 / 60 * 60)
	w.openLedger()
	w.records = newRecords(w)
	shipped, err := rules.Shipped()
	w.must(err)
	many := 1000
	w.rules, err = shipped.With(rules.Overrides{Processes: map[string]rules.ProcessOverrides{"eu_epoc": {MaxSubjects: &many}}})
	w.must(err)
	w.openDoor()
	w.private, w.recipient, err = recipient.New()
	w.must(err)
	return w
}

// staffed is a world with custodians, an agency, its officer and the people of
// the cell.
func staffed(t testing.TB, change ...func(*frontdoor.Config)) *world {
	t.Helper()
	w := newWorld(t, change...)
	w.ceremony(quorum.KindDKG, "")
	w.staff()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) openLedger() {
	w.t.Helper()
	skey, vkey, err := ledger.GenerateKey(origin)
	w.must(err)
	dir := w.t.TempDir()
	key, err := witness.LoadOrCreateKey(filepath.Join(dir, "key"), "w1.example")
	w.must(err)
	wit, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: vkey}, Now: w.clock.Now})
	w.must(err)
	srv := httptest.NewTLSServer(wit.Handler())
	w.t.Cleanup(func() { srv.Close(); _ = wit.Close() })
	w.vkey = vkey
	w.policy = fmt.Sprintf("witness w1 %s %s\nquorum w1\n", wit.VKey(), srv.URL)
	w.ledger, err = ledger.Open(w.ctx, ledger.Config{
		Dir: filepath.Join(w.dir, "ledger"), Origin: origin, SignerKey: skey, Policy: []byte(w.policy), HTTPClient: srv.Client(),
		CheckpointInterval: 100 * time.Millisecond, BatchAge: 5 * time.Millisecond, Republish: 100 * time.Millisecond,
		WitnessTimeout: time.Second, StartTimeout: 5 * time.Second,
	})
	w.must(err)
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = w.ledger.Close(ctx)
	})
}

func (w *world) verifyPolicy() *verify.WitnessPolicy {
	p, err := verify.ParseWitnessPolicy([]byte(w.policy))
	w.must(err)
	return p
}

// Witnessed implements [handover.Clock] with the time of the newest checkpoint.
func (w *world) Witnessed() (time.Time, error) {
	cp, err := w.ledger.Latest()
	if err != nil {
		return time.Time{}, err
	}
	return cp.WitnessTime(), nil
}

func (w *world) Now() time.Time { return w.clock.Now() }

func (w *world) openDoor() {
	w.t.Helper()
	db, err := sqldb.Open(w.ctx, sqldb.Config{Path: filepath.Join(w.dir, "cases.db")})
	w.must(err)
	w.db = db
	w.t.Cleanup(func() { _ = db.Close() })
	w.book, err = casebook.Open(w.ctx, casebook.Config{DB: db, Cell: cell, Ledger: w.ledger, Slot: slot, PerSlot: 32, Horizon: 64 * slot, Now: w.clock.Now})
	w.must(err)
	sender, err := notice.New(notice.Config{
		Operator: "Example Ltd", Contact: map[string]string{"en": "privacy@example.org"},
		Channels: []notice.ChannelConfig{{Outbox: &notice.OutboxConfig{Dir: "outbox"}}},
	}, w.dir, w.clock.Now)
	w.must(err)
	cfg := frontdoor.Config{
		Cell: cell, Jurisdiction: "EU", Place: "European Union", DB: db, Book: frontdoor.Casebook(w.book), Records: w.records, Clock: w,
		Rules: w.rules, Key: w.key, Admin: public("admin"), Packages: filepath.Join(w.dir, "packages"), Suite: "aes-256-gcm",
		Sign: func(m []byte) []byte { return ed25519.Sign(testKey("promise"), m) }, Notices: sender, LedgerURL: "https://ledger.eu.example/",
		Waiting: -1, Logger: slog.New(slog.DiscardHandler), Principal: func(id string) bool { return id == "shop" || id == "legal-1" && w.granted },
		Custody: func(context.Context, *apitype.CustodyChain) error { w.chains++; return nil },
	}
	for _, c := range w.change {
		c(&cfg)
	}
	w.door, err = frontdoor.New(w.ctx, cfg)
	w.must(err)
}

// restart is a crash of the vault: nothing in memory stays.
func (w *world) restart() {
	w.t.Helper()
	w.must(w.db.Close())
	w.openDoor()
}

// tick lets a slot pass: entries that wait are witnessed, and what is due is
// done.
func (w *world) tick() {
	w.t.Helper()
	w.must(w.tryTick())
}

func (w *world) tryTick() error {
	w.clock.pass(slot)
	w.seen()
	if err := w.book.Tick(w.ctx); err != nil {
		return err
	}
	err := w.door.Turn(w.ctx)
	if w.once != nil {
		w.once()
	}
	return err
}

// pass lets time pass, and what is due happen.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.clock.pass(d)
	w.seen()
	w.must(w.book.Tick(w.ctx))
	w.must(w.door.Turn(w.ctx))
}

// seen waits until the newest checkpoint is of the clock's time: the ledger's
// publisher runs by the machine's own clock.
func (w *world) seen() {
	w.t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		if at, err := w.Witnessed(); err == nil && at.Unix() >= w.clock.at.Load() {
			return
		}
		select {
		case <-deadline.C:
			w.t.Fatal("waited in vain for a checkpoint of this time")
		case <-poll.C:
		}
	}
}

func (w *world) call(person string) *apitype.PersonCall {
	return &apitype.PersonCall{Person: person, RequestID: bonded.NewID()}
}

// ceremony holds a ceremony over the board, every party in its own seat.
func (w *world) ceremony(kind quorum.Kind, generation string) {
	w.t.Helper()
	p := &quorum.Params{Cell: cell, Ceremony: bonded.NewID(), Kind: kind, Epoch: 1}
	type seat struct {
		id    string
		share quorum.Share
		keys  quorum.Identity
	}
	var seats []seat
	var next []*custodian
	for _, r := range []struct {
		name string
		m, n int
	}{{"firm", 2, 3}, {"independent", 1, 2}} {
		role := quorum.Role{Name: r.name, Threshold: r.m}
		for i := range r.n {
			id := fmt.Sprintf("%s-%d%s", r.name, i+1, generation)
			tr, err := quorum.NewTransportKey()
			w.must(err)
			role.Members = append(role.Members, quorum.Custody{ID: id, Approval: public(id), Transport: tr.Public()})
			seats = append(seats, seat{id, quorum.Share{}, quorum.Identity{Approval: testKey(id), Transport: tr}})
			next = append(next, &custodian{id: id, role: r.name, index: uint64(i + 1)})
		}
		p.Roles = append(p.Roles, role)
	}
	if kind == quorum.KindReshare {
		p.Epoch, p.Previous = w.keys.Epoch()+1, w.keys.Digest()
		for _, r := range w.keys.Roles() {
			var of []uint8
			for i := range r.Threshold {
				of = append(of, uint8(i+1))
			}
			p.Handover = append(p.Handover, of)
		}
		for _, c := range w.custodians {
			if c.role == "firm" && c.index <= 2 || c.role == "independent" && c.index == 1 {
				tr, err := quorum.NewTransportKey()
				w.must(err)
				seats = append(seats, seat{c.id, c.share, quorum.Identity{Approval: testKey(c.id), Transport: tr}})
			}
		}
	}
	order, err := verify.NewCeremonyOrder(cell, p.Digest())
	w.must(err)
	order.Sign(verify.LabelCeremony, verify.SignerAdmin, testKey("admin"))
	_, err = w.door.StartCeremony(w.ctx, w.call("admin"), &apitype.CeremonyStart{Params: p.Bytes(), Statement: order})
	w.must(err)
	var members []*quorum.Member
	for i := range seats {
		m, err := quorum.NewMember(p, w.keys, seats[i].keys, seats[i].share)
		w.must(err)
		members = append(members, m)
	}
	read := make([]int, len(members))
	posted := map[string]bool{}
	for quiet := false; !quiet; {
		quiet = true
		for i, m := range members {
			for _, raw := range m.Messages() {
				if posted[string(raw)] {
					continue
				}
				posted[string(raw)], quiet = true, false
				_, err := w.door.PostCeremony(w.ctx, w.call("custodian:"+seats[i].id), p.Ceremony.Hex(), &apitype.CeremonyPost{Message: raw})
				w.must(err)
			}
		}
		for i, m := range members {
			b, err := w.door.Ceremony(w.ctx, w.call("custodian:"+seats[i].id), p.Ceremony.Hex(), read[i])
			w.must(err)
			for _, raw := range b.Messages {
				w.must(m.Receive(raw))
				quiet = false
			}
			read[i] = b.Next
		}
	}
	for i, c := range next {
		_, share, ok := members[i].Result()
		if !ok {
			w.t.Fatalf("custodian %s has no share: %+v", c.id, members[i].Outcome())
		}
		c.share = share
	}
	cert, _, _ := members[0].Result()
	w.keys, w.custodians = cert.KeySet(), next
	w.records.key = w.keys.ReleaseKey()
	w.records.encrypt, err = quorum.NewEncryptor(w.records.key)
	w.must(err)
	w.tick()
	w.tick()
}

// register enters somebody, confirmed by an independent custodian.
func (w *world) register(kind, label, id string, version uint64, body any) {
	w.t.Helper()
	st, err := verify.NewStatement(body)
	w.must(err)
	st.Sign(label, verify.SignerAdmin, testKey("admin"))
	propose := w.door.ProposePerson
	if kind == verify.RegistryAgency {
		propose = w.door.ProposeAgency
	}
	_, err = propose(w.ctx, w.call("admin"), st)
	w.must(err)
	w.must(w.confirm(kind, label, id, version, st, w.custodians[3].id))
}

func (w *world) confirm(kind, label, id string, version uint64, st *verify.Statement, by string) error {
	signer := verify.SignerCustodian + by
	signed := *st
	signed.Signatures = nil
	signed.Sign(label, signer, testKey(by))
	_, err := w.door.ConfirmEntry(w.ctx, w.call(signer), &apitype.RegistryConfirm{Kind: kind, ID: id, Version: version, Signature: signed.Signatures[0]})
	return err
}

func (w *world) agency() *verify.Agency {
	return &verify.Agency{
		Format: verify.LabelAgency, Cell: cell, ID: "bka", Version: 1, Name: "Bundeskriminalamt", Country: "DE", Level: "national", Kind: "police",
		Powers:          []string{"eu_epoc", "eu_epoc_pr", "civil_subpoena", "us_emergency_2702", "mlat"},
		DirectorySource: "bund.de", Switchboard: "+49 611 550", VerifiedAt: w.clock.Now(), Trust: "verified",
	}
}

func (w *world) person(id, role, agency string) *verify.Person {
	p := &verify.Person{
		Format: verify.LabelPerson, Cell: cell, ID: id, Version: 1, Role: role, Agency: agency, Organisation: "Example Ltd", Name: "Somebody " + id,
		Key: verify.EncodePublicKey(public(id)), NotBefore: w.clock.Now().AddDate(0, -2, 0), NotAfter: w.clock.Now().AddDate(100, 0, 0),
	}
	if role == "requester" {
		p.Level, p.Phone, p.Organisation = 3, "+49 611 5501", "Bundeskriminalamt"
	}
	return p
}

func (w *world) hire(people ...*verify.Person) {
	w.t.Helper()
	for _, p := range people {
		w.register(verify.RegistryPerson, verify.LabelPerson, p.ID, p.Version, p)
	}
}

func (w *world) staff() {
	w.t.Helper()
	w.register(verify.RegistryAgency, verify.LabelAgency, "bka", 1, w.agency())
	w.hire(w.person("officer", "requester", "bka"), w.person("intake", "intake", ""), w.person("legal-1", "legal", ""), w.person("legal-2", "legal", ""),
		w.person("legal-3", "legal", ""), w.person("guardian", "guardian", ""))
	w.hireCustodians()
	w.settleRegister()
}

func (w *world) hireCustodians() {
	for _, c := range w.custodians {
		p := w.person(c.id, "custodian", "")
		p.Organisation = "Custodians of " + c.role
		w.hire(p)
	}
}

// settleRegister lets slots pass until every entry is witnessed.
func (w *world) settleRegister() {
	w.t.Helper()
	for range 8 {
		w.tick()
		list, err := w.door.Register(w.ctx, w.call("admin"))
		w.must(err)
		open := 0
		for _, e := range list.Entries {
			if e.State == "confirmed" {
				open++
			}
		}
		if open == 0 {
			return
		}
	}
	w.t.Fatal("the register did not come into force")
}

// instrument is the document of most requests.
var instrument = []byte("%PDF-1.7 an order")

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// request is a European production order for one person and two fields.
func (w *world) request() *verify.CaseRequest {
	w.nonce++
	now := w.clock.Now()
	return &verify.CaseRequest{
		Format: verify.LabelRequest, Cell: cell, Kind: "disclosure", Nonce: fmt.Sprintf("nonce-number-%06d", w.nonce), Filed: now,
		Officer: "officer", Agency: "bka", Recipient: w.recipient.Bytes(),
		Authorisation: verify.Authorisation{
			Reference: fmt.Sprintf("BKA-%d", w.nonce), ProcessType: "eu_epoc", Jurisdiction: "DE", Priority: "routine",
			LegalBasis: []verify.LegalBasis{{Law: "Regulation (EU) 2023/1543", Article: "5"}},
			ValidFrom:  now.Add(-time.Hour), ValidTo: now.AddDate(0, 3, 0),
			Offence:   &verify.Offence{Category: "fraud", Provision: "StGB 263", MaxPenaltyYears: 5},
			Necessity: "The account was used for the fraud. Nothing less tells who holds it.",
			Approvals: []verify.LegalApproval{{Kind: "issuing", Reference: "1 Gs 5/27", Approver: "RiAG Muster", Role: "judge", Time: now.Add(-time.Hour)}},
			Documents: []verify.CaseDocument{{SHA256: sum(instrument), MediaType: "application/pdf", Language: "de", Name: "order.pdf", Size: int64(len(instrument))}}, TreatyRoute: "eu_epo",
		},
		Tasks: []verify.CaseTask{{
			Kind: "disclose", Targets: []verify.CaseTarget{{Format: "email", Value: "ada@example.org"}}, DataClass: "subscriber",
			Collection: "users", FieldsWanted: []string{"name", "passport"}, MaxSubjects: 1,
		}},
	}
}

func (w *world) sign(r *verify.CaseRequest, as string) *verify.Statement {
	w.t.Helper()
	st, err := verify.NewStatement(r)
	w.must(err)
	st.Sign(verify.LabelRequest, r.Officer, testKey(as))
	return st
}

// file files a request and uploads its document.
func (w *world) file(r *verify.CaseRequest) bonded.CaseID {
	w.t.Helper()
	res, err := w.door.FileCase(w.ctx, w.call(r.Officer), w.sign(r, r.Officer))
	w.must(err)
	res, err = w.door.PutDocument(w.ctx, w.call(r.Officer), res.Case, sum(instrument), instrument)
	w.must(err)
	if res.State != "submitted" {
		w.t.Fatalf("the case is %s after its document came", res.State)
	}
	return res.Case
}

func (w *world) view(id bonded.CaseID, as string) *apitype.CaseView {
	w.t.Helper()
	v, err := w.door.Case(w.ctx, w.call(as), id)
	w.must(err)
	return v
}

// decide has somebody act on a case as it is.
func (w *world) decide(id bonded.CaseID, who, role, action string, change ...func(*verify.CaseDecision)) error {
	w.t.Helper()
	v, err := w.door.Case(w.ctx, w.call(who), id)
	if err != nil {
		return err
	}
	d := &verify.CaseDecision{
		Format: verify.LabelDecision, Case: id, Person: who, Role: role, Action: action, State: v.State, Number: v.Number, Time: w.clock.Now(), Reason: bonded.NewID().Hex(),
	}
	for _, c := range change {
		c(d)
	}
	st, err := verify.NewStatement(d)
	w.must(err)
	st.Sign(verify.LabelDecision, who, testKey(who))
	_, err = w.door.Decide(w.ctx, w.call(who), id, st)
	return err
}

// act is decide that must succeed.
func (w *world) act(id bonded.CaseID, who, role, action string, change ...func(*verify.CaseDecision)) {
	w.t.Helper()
	if err := w.decide(id, who, role, action, change...); err != nil {
		w.t.Fatalf("%s by %s: %v", action, who, err)
	}
}

// tasks puts the digest of the tasks as they stand into a decision.
func (w *world) tasks(id bonded.CaseID) func(*verify.CaseDecision) {
	return func(d *verify.CaseDecision) { d.Digest = w.view(id, "legal-1").Extra["tasks"] }
}

func (w *world) state(id bonded.CaseID, want string) {
	w.t.Helper()
	if v := w.view(id, "intake"); v.State != want {
		w.t.Fatalf("the case is %s, not %s: %+v", v.State, want, v.Entries)
	}
}

// reviewed leads a filed case to the custodians.
func (w *world) reviewed(id bonded.CaseID) {
	w.t.Helper()
	w.act(id, "intake", "intake", "take")
	w.must(w.door.Turn(w.ctx))
	w.act(id, "intake", "intake", "forward")
	w.act(id, "legal-1", "legal", "approve", w.tasks(id))
	w.act(id, "legal-2", "legal", "approve", w.tasks(id))
	w.act(id, "legal-1", "legal", "proceed")
	w.must(w.door.Turn(w.ctx))
	w.tick()
}

// approval is what a custodian signs after reading the dossier.
func (w *world) approval(id bonded.CaseID, c *custodian, approve bool) (*apitype.CaseApproval, error) {
	w.t.Helper()
	d, err := w.door.Dossier(w.ctx, w.call("custodian:"+c.id), id)
	if err != nil {
		return nil, err
	}
	o, err := d.Opening.Check()
	w.must(err)
	if _, err := verify.CheckInclusion(d.Opening.Leaf, []byte(d.Proof), w.vkey, w.verifyPolicy()); err != nil {
		w.t.Fatal(err)
	}
	var hashes [][32]byte
	for from := 0; ; {
		page, err := w.door.ScopePage(w.ctx, w.call("custodian:"+c.id), id, from)
		if err != nil {
			return nil, err
		}
		for _, it := range page.Items {
			hashes = append(hashes, verify.ScopeItemHash(it))
		}
		if from = page.Next; from == 0 {
			break
		}
	}
	digest := scopeDigest(d.ScopeHead, hashes)
	if o.Entry.Event != verify.EventQuorum || o.Entry.Scope != digest {
		w.t.Fatalf("the dossier's entry is %s of another scope", o.Entry.Event)
	}
	a := &verify.Approval{
		Cell: cell, Case: id.ID, Scope: digest, Leaf: o.Hash, KeySet: w.keys.Digest(), Epoch: w.keys.Epoch(), Role: c.role, Index: c.index,
		Custodian: c.id, Approve: approve, Time: uint64(w.clock.at.Load()),
	}
	if !approve {
		a.Reason = "too wide"
	}
	a.Sign(testKey(c.id))
	return &apitype.CaseApproval{Approval: a.Encode()}, nil
}

func (w *world) approve(id bonded.CaseID, c *custodian, yes bool) error {
	w.t.Helper()
	a, err := w.approval(id, c, yes)
	if err != nil {
		return err
	}
	_, err = w.door.Approve(w.ctx, w.call("custodian:"+c.id), id, a)
	return err
}

// quorum is just enough custodians: two of the firm, one independent.
func (w *world) quorum() []*custodian {
	return []*custodian{w.custodians[0], w.custodians[2], w.custodians[3]}
}

// partials has a custodian answer every envelope of a case.
func (w *world) partials(id bonded.CaseID, c *custodian, change func(i int, raw []byte) []byte) error {
	w.t.Helper()
	call := w.call("custodian:" + c.id)
	p, err := w.door.OpeningProof(w.ctx, call, id)
	if err != nil {
		return err
	}
	o, err := p.Opening.Check()
	w.must(err)
	key, err := recipient.Parse(p.Recipient)
	w.must(err)
	maker, err := quorum.NewCustodian(w.keys, c.share, key.Release(id.ID, o.Hash))
	w.must(err)
	for from := 0; ; {
		page, err := w.door.ScopePage(w.ctx, call, id, from)
		if err != nil {
			return err
		}
		in := &apitype.CasePartials{From: from, Partials: make([][]byte, len(page.Items))}
		for i, raw := range page.Items {
			it, err := verify.DecodeScopeItem(raw)
			w.must(err)
			if it.Envelope == [32]byte{} {
				continue
			}
			e, err := quorum.ParseEnvelope(page.Envelopes[i])
			w.must(err)
			part, err := maker.Partial(e, verify.EnvelopeLabel(cell, it.Collection, it.Record, w.keys.ReleaseKey()))
			w.must(err)
			in.Partials[i] = part.Bytes()
			if change != nil {
				in.Partials[i] = change(from+i, in.Partials[i])
			}
		}
		if _, err := w.door.PutPartials(w.ctx, call, id, in); err != nil {
			return err
		}
		if from = page.Next; from == 0 {
			return nil
		}
	}
}

// open has a quorum approve and answer a case that is before the custodians.
func (w *world) open(id bonded.CaseID) {
	w.t.Helper()
	for _, c := range w.quorum() {
		w.must(w.approve(id, c, true))
	}
	w.must(w.door.Turn(w.ctx))
	w.tick()
	for _, c := range w.quorum() {
		w.must(w.partials(id, c, nil))
	}
	w.clock.pass(2 * time.Second)
	w.must(w.door.Turn(w.ctx))
}

func scopeDigest(head []byte, hashes [][32]byte) [32]byte {
	hs := make([]tlog.Hash, len(hashes))
	for i := range hashes {
		hs[i] = hashes[i]
	}
	return verify.ScopeDigest(head, hs)
}

func parseRecipient(b []byte) (*recipient.Key, error) { return recipient.Parse(b) }

// refusal checks the code of an error and, if it is not empty, the first rule.
func refusal(t testing.TB, err error, code bonded.Code, rule string) *bonded.Error {
	t.Helper()
	var e *bonded.Error
	if !errors.As(err, &e) || e.Code != code || rule != "" && (len(e.Rules) == 0 || e.Rules[0] != rule) {
		t.Fatalf("got %v (%+v), want code %s and rule %s", err, e, code, rule)
	}
	return e
}

func (w *world) outbox() []string {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "outbox", "*"))
	w.must(err)
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			out = append(out, string(b))
		}
	}
	return out
}
