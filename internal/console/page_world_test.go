//go:build unix

package console_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/casebook"
	"bonded/internal/console"
	"bonded/internal/frontdoor"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/grant"
	"bonded/internal/journal"
	"bonded/internal/keyholder"
	"bonded/internal/keyholder/keyholdersql"
	"bonded/internal/ledger"
	"bonded/internal/locale"
	"bonded/internal/notice"
	"bonded/internal/policy"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/internal/regulation"
	"bonded/internal/seal"
	"bonded/internal/sqldb"
	"bonded/internal/vault"
	"bonded/internal/vault/vaultsql"
	"bonded/internal/wire"
	"bonded/internal/witness"
	"bonded/packs"
	"bonded/verify"
)

var (
	_ console.Cases  = (*frontdoor.Service)(nil)
	_ console.Vault  = (*vault.Vault)(nil)
	_ console.Ledger = (*ledger.Ledger)(nil)
)

const pageSchema = `
collections:
  users:
    purposes: [support, subject_request, maintenance]
    fields:
      name:   {type: string, class: personal, index: nfkc, mask: keep_first}
      email:  {type: string, class: personal, index: email, mask: email}
      phone:  {type: string, class: personal, index: digits, mask: keep_last}
      born:   {type: date, class: sensitive, mask: all}
      alias:  {type: string, class: personal, index: exact, mask: keep_last}
      fraud:  {type: string, class: sensitive, purposes: [fraud_check]}
`

// A pageWorld is a whole cell but for its sockets: ledger and witness,
// keyholder, vault, front door with custodians and register, and a console.
type pageWorld struct {
	t        testing.TB
	dir      string
	driver   seal.Key
	ring     pageRing
	kh       *keyholder.Keyholder
	khKey    ed25519.PublicKey
	grants   *grant.Set
	set      *policy.Set
	cells    *verify.Directory
	ledger   *ledger.Ledger
	journal  *journal.Journal
	store    *vaultsql.Store
	vault    *vault.Vault
	vaultDB  *sqldb.DB
	casesDB  *sqldb.DB
	door     *frontdoor.Service
	doorWith frontdoor.Config
	own      *sqldb.DB // of the console
	console  *console.Console
	agency   *verify.Agency
	filed    bonded.CaseID
	person   apitype.PutResult
	watching sync.WaitGroup
}

type pageRing struct{ file []byte }

func (m *pageRing) Load() ([]byte, error) {
	if m.file == nil {
		return nil, fs.ErrNotExist
	}
	return m.file, nil
}

func (m *pageRing) Save(b []byte) error { m.file = bytes.Clone(b); return nil }

// pageLine is a stream to the keyholder in this process: requests begin in
// order.
type pageLine struct {
	mu sync.Mutex
	k  *keyholder.Keyholder
}

func (s *pageLine) Begin(ctx context.Context, kind byte, payload []byte) (func() ([]byte, error), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.k.Handle(context.WithoutCancel(ctx), wire.Message(kind), bytes.Clone(payload)), nil
}

func (s *pageLine) Call(ctx context.Context, kind byte, payload []byte) ([]byte, error) {
	wait, err := s.Begin(ctx, kind, payload)
	if err != nil {
		return nil, err
	}
	return wait()
}

func pageKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("console page test " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func pagePublic(label string) ed25519.PublicKey { return pageKey(label).Public().(ed25519.PublicKey) }

func (w *pageWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func newPageWorld(t testing.TB) *pageWorld {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	w := &pageWorld{t: t, dir: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); w.watching.Wait() })

	// 1. Keyring, ledger, directory.
	_, _, key, err := keyholder.NewSharedDriver(3, 2)
	w.must(err)
	w.driver = key
	file, pub, err := keyholder.NewKeyring(ctx, keyholder.UnlockedDriver(w.copyKey()), "eu", seal.AES256GCM.String(), time.Now())
	w.must(err)
	w.ring.file, w.khKey = file, pub.Key
	w.openLedger()

	// 2. Grants and policy.
	w.newGrants()
	all, err := regulation.Load(packs.Files)
	w.must(err)
	table, err := regulation.NewTable(all)
	w.must(err)
	text := policy.DefaultOperatorPolicy()
	w.set, err = policy.Compile("policy.cedar", text, table.Forbids(time.Now()))
	w.must(err)

	// 3. Keyholder.
	khdb, err := keyholdersql.Open(ctx, filepath.Join(w.dir, "keyholder.db"), slog.New(slog.DiscardHandler))
	w.must(err)
	w.kh, err = keyholder.New(keyholder.Config{
		Cell: "eu", Store: khdb, Driver: keyholder.UnlockedDriver(w.copyKey()), Keyring: &w.ring, Log: slog.New(slog.DiscardHandler),
		Limits: keyholder.Limits{
			Freshness: 15 * time.Minute, DestroyPerHour: 1000, OldCellKey: time.Hour, RotateAfter: 24 * time.Hour,
			MaxBudget: 20_000_000, MaxValidity: 366 * 24 * time.Hour, AllowBearer: true,
		},
	})
	w.must(err)
	t.Cleanup(func() { w.kh.Close(); _ = khdb.Close() })
	w.must(w.kh.SetTrust(keyholder.Trust{Directory: w.cells, File: w.cells.Encode(), Policy: w.set, Text: text, ByHand: true}))
	w.must(w.kh.Unseal(ctx))
	signed, err := grant.Sign(w.grants, pageKey("admin"))
	w.must(err)
	_, err = w.kh.InstallGrants(ctx, signed, nil)
	w.must(err)
	line := &pageLine{k: w.kh}

	// 4. Journal and vault.
	db, err := sqldb.Open(ctx, sqldb.Config{Path: filepath.Join(w.dir, "vault.db")})
	w.must(err)
	w.vaultDB = db
	var v atomic.Pointer[vault.Vault]
	w.journal, err = journal.Open(ctx, journal.Config{
		DB: db, Cell: "eu", Node: 1, PromiseKey: pageKey("promise"), Ledger: w.ledger, SealEvery: 50 * time.Millisecond, AnchorEvery: 150 * time.Millisecond,
		Facts: func(ctx context.Context) (journal.AnchorFacts, error) {
			if v := v.Load(); v != nil {
				return v.AnchorFacts(ctx)
			}
			return journal.AnchorFacts{}, errors.New("no vault yet")
		},
		OnAnchor: func(ctx context.Context, _ uint64, a *wire.Anchor) error { return w.showAnchor(ctx, line, a) },
	})
	w.must(err)
	w.store, err = vaultsql.Open(ctx, db, w.journal)
	w.must(err)
	schema, err := vault.LoadSchema("schema.yaml", []byte(pageSchema))
	w.must(err)
	w.vault, err = vault.Open(ctx, vault.Config{
		Cell: "eu", Suite: seal.AES256GCM, Version: "test", Schema: schema, Store: w.store, Journal: w.journal, Keys: vault.NewLine(line),
		KeyholderKey: w.khKey, IndexMaster: seal.NewKey(), Policy: policy.NewCache(w.set, 1000), Routes: table, Directory: w.cells,
		Grants: w.grants, JobGrant: "jobs", FrontDoorGrant: "front-door", Undo: time.Hour,
	})
	w.must(err)
	v.Store(w.vault)
	w.watching.Go(func() { _ = w.journal.Run(ctx) })
	w.watching.Go(func() { _ = w.vault.Run(ctx) })
	t.Cleanup(func() { cancel(); w.watching.Wait(); w.vault.Close(); w.store.Close(); _ = db.Close() })

	// 5. Front door, custodians, register.
	w.openDoor(ctx)
	w.await("the cell to be ready", func() error { return w.vault.Ready(ctx) })
	w.ceremony()
	w.staff()

	// 6. The console.
	w.own, err = sqldb.Open(ctx, sqldb.Config{Path: filepath.Join(w.dir, "console.db")})
	w.must(err)
	t.Cleanup(func() { _ = w.own.Close() })
	w.openConsole(ctx)
	t.Cleanup(func() { cancel(); w.watching.Wait() }) // before anything is closed
	return w
}

// openConsole opens the console, with the front door as it is now.
func (w *pageWorld) openConsole(ctx context.Context) {
	words, err := locale.Shipped()
	w.must(err)
	w.console, err = console.New(ctx, console.Config{
		Cell: "eu", Origin: "http://localhost:8080", DB: w.own, Cases: w.door, Vault: w.vault, Ledger: w.ledger,
		Directory: func() *verify.Directory { return w.cells }, Grant: w.grant, Locale: words,
	})
	w.must(err)
}

func (w *pageWorld) copyKey() seal.Key {
	k, err := seal.KeyFromBytes(w.driver.Bytes())
	w.must(err)
	return k
}

func (w *pageWorld) grant(id string) (*grant.Grant, bool) {
	i := slices.IndexFunc(w.grants.Grants, func(g grant.Grant) bool { return g.ID == id })
	if i < 0 {
		return nil, false
	}
	return &w.grants.Grants[i], true
}

func (w *pageWorld) openLedger() {
	const origin = "log.example/eu"
	skey, vkey, err := ledger.GenerateKey(origin)
	w.must(err)
	dir := w.t.TempDir()
	key, err := witness.LoadOrCreateKey(filepath.Join(dir, "key"), "w1.example")
	w.must(err)
	wit, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: vkey}})
	w.must(err)
	srv := httptest.NewTLSServer(wit.Handler())
	w.t.Cleanup(func() { srv.Close(); _ = wit.Close() })
	client := srv.Client()
	witnesses := fmt.Sprintf("witness w1 %s %s\nquorum w1\n", wit.VKey(), srv.URL)
	w.ledger, err = ledger.Open(w.t.Context(), ledger.Config{
		Dir: filepath.Join(w.dir, "ledger"), Origin: origin, SignerKey: skey, Policy: []byte(witnesses), HTTPClient: client,
		CheckpointInterval: 100 * time.Millisecond, BatchAge: 10 * time.Millisecond,
	})
	w.must(err)
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = w.ledger.Close(ctx)
	})
	w.cells = &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Admin: verify.EncodePublicKey(pagePublic("admin")), Default: "eu",
		Cells: []verify.DirectoryCell{
			{
				ID: "eu", Jurisdictions: []bonded.Jurisdiction{"EU", "DE"}, Suite: seal.AES256GCM.String(), API: "http://127.0.0.1:1", Ledger: "https://eu.example/ledger/", LedgerKey: vkey,
				WitnessPolicy: witnesses, PromiseKey: verify.EncodePublicKey(pagePublic("promise")), KeyholderKey: verify.EncodePublicKey(w.khKey),
			},
			{ID: "cn", Jurisdictions: []bonded.Jurisdiction{"CN"}, PromiseKey: verify.EncodePublicKey(pagePublic("promise")), KeyholderKey: verify.EncodePublicKey(w.khKey)},
		},
	}
}

func (w *pageWorld) newGrants() {
	now := time.Now().UTC()
	g := func(id string, f func(*grant.Grant)) grant.Grant {
		g := grant.Grant{
			ID: id, Location: "eu", Roles: []string{"app"}, Purposes: []bonded.Purpose{"support"}, Scope: map[string][]string{"users": {"*"}},
			Budget: 10_000_000, Bearer: true, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour),
		}
		f(&g)
		return g
	}
	w.grants = &grant.Set{Format: grant.Format, Cell: "eu", Number: 1, Issued: now, Grants: []grant.Grant{
		g("app", func(g *grant.Grant) { g.Purposes = []bonded.Purpose{"support", "fraud_check"} }),
		g("guardian-1", func(g *grant.Grant) {
			g.Roles, g.Purposes, g.Erase = []string{"app", "privacy"}, []bonded.Purpose{"support", "subject_request"}, true
		}),
		g("auditor-1", func(g *grant.Grant) { g.Roles, g.Purposes = []string{"auditor"}, []bonded.Purpose{"audit"} }),
		g("legal-1", func(g *grant.Grant) { g.NotAfter = now.Add(-time.Minute) }),
		g("legal-2", func(g *grant.Grant) {
			g.Bearer, g.Key = false, base64.StdEncoding.EncodeToString(pagePublic("legal-2"))
		}),
		g("front-door", func(g *grant.Grant) {
			g.Roles, g.Purposes, g.Scope = []string{"front_door"}, []bonded.Purpose{"front_door", "notice"}, map[string][]string{"*": {"*"}}
		}),
		g("jobs", func(g *grant.Grant) {
			g.Purposes, g.Job, g.Bearer, g.Erase = []bonded.Purpose{"maintenance"}, true, false, true
		}),
	}}
}

// showAnchor shows the keyholder an anchor, and before it every entry of the
// ledger that it has not seen.
func (w *pageWorld) showAnchor(ctx context.Context, c *pageLine, a *wire.Anchor) error {
	p, err := verify.ParseTlogProof(a.Proof)
	if err != nil {
		return err
	}
	line := wire.Line{Caller: c}
	at, err := line.CatchUp(ctx, &wire.CatchUp{})
	if err != nil {
		return err
	}
	for i := int64(at.Next); i < p.Index; i++ { //nolint:gosec // not negative
		entry, err := w.ledger.ReadEntries(ctx, i, 1)
		if err != nil || len(entry) == 0 {
			return err
		}
		proof, err := w.ledger.TlogProof(ctx, i)
		if err != nil {
			return err
		}
		if _, err = line.CatchUp(ctx, &wire.CatchUp{Entry: entry[0], Proof: proof}); err != nil {
			return err
		}
	}
	_, err = line.Anchor(ctx, a)
	return err
}

func (w *pageWorld) await(what string, f func() error) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("waited for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// pageClock is the time of this machine and of the witness.
type pageClock struct{ l *ledger.Ledger }

func (pageClock) Now() time.Time { return time.Now() }

func (c pageClock) Witnessed() (time.Time, error) {
	cp, err := c.l.Latest()
	if err != nil {
		return time.Time{}, err
	}
	return cp.WitnessTime(), nil
}

func (w *pageWorld) openDoor(ctx context.Context) {
	db, err := sqldb.Open(ctx, sqldb.Config{Path: filepath.Join(w.dir, "cases.db")})
	w.must(err)
	w.casesDB = db
	w.t.Cleanup(func() { _ = db.Close() })
	book, err := casebook.Open(ctx, casebook.Config{DB: db, Cell: "eu", Ledger: w.ledger, Slot: time.Second, PerSlot: 16, Horizon: time.Hour})
	w.must(err)
	sender, err := notice.New(notice.Config{
		Operator: "Example Ltd", Contact: map[string]string{"en": "privacy@example.org"},
		Channels: []notice.ChannelConfig{{Outbox: &notice.OutboxConfig{Dir: "outbox"}}},
	}, w.dir, time.Now)
	w.must(err)
	pack, err := rules.Shipped()
	w.must(err)
	w.doorWith = frontdoor.Config{
		Cell: "eu", Jurisdiction: "EU", Place: "European Union", DB: db, Book: frontdoor.Casebook(book), Records: w.vault.Records(), Clock: pageClock{w.ledger},
		Rules: pack, Key: seal.NewKey(), Admin: pagePublic("admin"), Packages: filepath.Join(w.dir, "packages"), Suite: "aes-256-gcm",
		Sign: func(m []byte) []byte { return ed25519.Sign(pageKey("promise"), m) }, Notices: sender, LedgerURL: "https://ledger.eu.example/", Waiting: -1,
		Logger: slog.New(slog.DiscardHandler),
	}
	w.door, err = frontdoor.New(ctx, w.doorWith)
	w.must(err)
	w.watching.Go(func() { _ = book.Run(ctx) })
	w.watching.Go(func() { _ = w.door.Run(ctx) })
}

func pageCall(person string) *apitype.PersonCall {
	return &apitype.PersonCall{Person: person, RequestID: bonded.NewID()}
}

// ceremony holds the first ceremony of the custodians.
func (w *pageWorld) ceremony() {
	w.t.Helper()
	p := &quorum.Params{Cell: "eu", Ceremony: bonded.NewID(), Kind: quorum.KindDKG, Epoch: 1}
	var ids []quorum.Identity
	var names []string
	for _, r := range []struct {
		name string
		m, n int
	}{{"firm", 2, 3}, {"independent", 1, 2}} {
		role := quorum.Role{Name: r.name, Threshold: r.m}
		for i := range r.n {
			id := fmt.Sprintf("%s-%d", r.name, i+1)
			tr, err := quorum.NewTransportKey()
			w.must(err)
			role.Members = append(role.Members, quorum.Custody{ID: id, Approval: pagePublic(id), Transport: tr.Public()})
			ids, names = append(ids, quorum.Identity{Approval: pageKey(id), Transport: tr}), append(names, id)
		}
		p.Roles = append(p.Roles, role)
	}
	order, err := verify.NewCeremonyOrder("eu", p.Digest())
	w.must(err)
	order.Sign(verify.LabelCeremony, verify.SignerAdmin, pageKey("admin"))
	_, err = w.door.StartCeremony(w.t.Context(), pageCall("admin"), &apitype.CeremonyStart{Params: p.Bytes(), Statement: order})
	w.must(err)
	var members []*quorum.Member
	for i := range ids {
		m, err := quorum.NewMember(p, nil, ids[i], quorum.Share{})
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
				_, err := w.door.PostCeremony(w.t.Context(), pageCall("custodian:"+names[i]), p.Ceremony.Hex(), &apitype.CeremonyPost{Message: raw})
				w.must(err)
			}
		}
		for i, m := range members {
			b, err := w.door.Ceremony(w.t.Context(), pageCall("custodian:"+names[i]), p.Ceremony.Hex(), read[i])
			w.must(err)
			for _, raw := range b.Messages {
				w.must(m.Receive(raw))
				quiet = false
			}
			read[i] = b.Next
		}
	}
	w.await("the key set", func() error {
		chain, err := w.door.Custody(w.t.Context())
		if err == nil && len(chain.Certificates) == 0 {
			err = errors.New("no certificate yet")
		}
		return err
	})
}

// enter proposes an entry of the register and, unless it is to wait, has a
// custodian confirm it.
func (w *pageWorld) enter(kind, label, id string, body any, confirm bool) {
	w.t.Helper()
	st, err := verify.NewStatement(body)
	w.must(err)
	st.Sign(label, verify.SignerAdmin, pageKey("admin"))
	propose := w.door.ProposePerson
	if kind == verify.RegistryAgency {
		propose = w.door.ProposeAgency
	}
	_, err = propose(w.t.Context(), pageCall("admin"), st)
	w.must(err)
	if !confirm {
		return
	}
	by := "independent-1"
	if id == by {
		by = "independent-2"
	}
	signed := *st
	signed.Signatures = nil
	signed.Sign(label, "custodian:"+by, pageKey(by))
	w.await("the confirmation of "+id, func() error {
		_, err := w.door.ConfirmEntry(w.t.Context(), pageCall("custodian:"+by), &apitype.RegistryConfirm{Kind: kind, ID: id, Version: 1, Signature: signed.Signatures[0]})
		return err
	})
}

// hostile is a name as nobody should have: markup, and a character that turns
// writing around.
const hostile = "<script>alert(1)</script>\"'>\u202egnirts <img src=x onerror=alert(2)>"

func (w *pageWorld) staff() {
	now := time.Now().UTC().Truncate(time.Second)
	agency := func(id, name, trust string) *verify.Agency {
		return &verify.Agency{
			Format: verify.LabelAgency, Cell: "eu", ID: id, Version: 1, Name: name, Country: "DE", Level: "national", Kind: "police",
			Powers: []string{"eu_epoc", "eu_epoc_pr", "us_emergency_2702", "mlat"}, DirectorySource: "bund.de", Switchboard: "+49 611 550", VerifiedAt: now, Trust: trust,
		}
	}
	person := func(id, role, agency string) *verify.Person {
		p := &verify.Person{
			Format: verify.LabelPerson, Cell: "eu", ID: id, Version: 1, Role: role, Agency: agency, Organisation: "Example Ltd", Name: "Somebody " + id,
			Key: verify.EncodePublicKey(pagePublic(id)), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		}
		if role == "requester" {
			p.Level, p.Phone, p.Organisation = 3, "+49 611 5501", "Bundeskriminalamt"
		}
		return p
	}
	w.agency = agency("bka", "Bundeskriminalamt", "verified")
	w.enter(verify.RegistryAgency, verify.LabelAgency, "bka", w.agency, true)
	w.enter(verify.RegistryAgency, verify.LabelAgency, "waiting", agency("waiting", "Landeskriminalamt Hessen", "probation"), false)
	w.enter(verify.RegistryAgency, verify.LabelAgency, "hostile", agency("hostile", hostile, "probation"), false)
	for _, p := range []*verify.Person{
		person("officer-7", "requester", "bka"), person("intake-1", "intake", ""), person("legal-1", "legal", ""), person("legal-2", "legal", ""),
		person("guardian-1", "guardian", ""), person("auditor-1", "auditor", ""), person("registrar-1", "registrar", ""),
		person("firm-1", "custodian", ""), person("firm-2", "custodian", ""), person("independent-1", "custodian", ""), person("independent-2", "custodian", ""),
	} {
		if p.Role == "custodian" {
			p.Organisation = "Example Notaries"
		}
		w.enter(verify.RegistryPerson, verify.LabelPerson, p.ID, p, true)
	}
	w.await("the register", func() error {
		list, err := w.door.Register(w.t.Context(), pageCall("admin"))
		if err != nil {
			return err
		}
		for i := range list.Entries {
			if list.Entries[i].State == "confirmed" {
				return errors.New("not all in force")
			}
		}
		return nil
	})
}

// file files a case of one person, changed as a test wants it.
func (w *pageWorld) file(change ...func(*verify.CaseRequest)) bonded.CaseID {
	w.t.Helper()
	_, key, err := recipient.New()
	w.must(err)
	now := time.Now().UTC().Truncate(time.Second)
	document := []byte("%PDF-1.7 an order")
	h := sha256.Sum256(document)
	req := &verify.CaseRequest{
		Format: verify.LabelRequest, Cell: "eu", Kind: "disclosure", Nonce: bonded.NewID().Hex(), Filed: now, Officer: "officer-7", Agency: "bka", Recipient: key.Bytes(),
		Authorisation: verify.Authorisation{
			Reference: "BKA-1", ProcessType: "eu_epoc", Jurisdiction: "DE", Priority: "routine",
			LegalBasis: []verify.LegalBasis{{Law: "Regulation (EU) 2023/1543", Article: "5"}}, ValidFrom: now.Add(-time.Hour), ValidTo: now.AddDate(0, 3, 0),
			Offence:   &verify.Offence{Category: "fraud", Provision: "StGB 263", MaxPenaltyYears: 5},
			Necessity: "The account was used for the fraud. Nothing less tells who holds it.",
			Approvals: []verify.LegalApproval{{Kind: "issuing", Reference: "1 Gs 5/27", Approver: "RiAG Muster", Role: "judge", Time: now.Add(-time.Hour)}},
			Documents: []verify.CaseDocument{{SHA256: hex.EncodeToString(h[:]), MediaType: "application/pdf", Language: "de", Name: "order.pdf", Size: int64(len(document))}}, TreatyRoute: "eu_epo",
		},
		Tasks: []verify.CaseTask{{
			Kind: "disclose", Targets: []verify.CaseTarget{{Format: "email", Value: "ada@example.org"}}, DataClass: "subscriber",
			Collection: "users", FieldsWanted: []string{"name"}, MaxSubjects: 1,
		}},
	}
	for _, f := range change {
		f(req)
	}
	st, err := verify.NewStatement(req)
	w.must(err)
	st.Sign(verify.LabelRequest, "officer-7", pageKey("officer-7"))
	res, err := w.door.FileCase(w.t.Context(), pageCall("officer-7"), st)
	w.must(err)
	_, err = w.door.PutDocument(w.t.Context(), pageCall("officer-7"), res.Case, hex.EncodeToString(h[:]), document)
	w.must(err)
	return res.Case
}

// put makes a person with these values, as JSON.
func (w *pageWorld) put(pairs ...string) *apitype.PutResult {
	w.t.Helper()
	v := apitype.Values{}
	for i := 0; i < len(pairs); i += 2 {
		b, err := json.Marshal(pairs[i+1])
		w.must(err)
		v[pairs[i]] = b
	}
	g, _ := w.grant("app")
	call := &vault.Call{Grant: g, Assurance: verify.AssuranceVault, RequestID: bonded.NewID()}
	call.Why.Purpose = "support"
	r, err := w.vault.Put(w.t.Context(), call, &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: v, Facts: &apitype.Facts{Residence: []bonded.Jurisdiction{"DE"}}}})
	w.must(err)
	return r
}
