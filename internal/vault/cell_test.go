//go:build unix

package vault_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
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
	"bonded/internal/grant"
	"bonded/internal/journal"
	"bonded/internal/keyholder"
	"bonded/internal/keyholder/keyholdersql"
	"bonded/internal/ledger"
	"bonded/internal/policy"
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

const testSchema = `
collections:
  users:
    purposes: [support, subject_request, maintenance]
    fields:
      name:   {type: string, class: personal, index: nfkc, mask: keep_first}
      email:  {type: string, class: personal, index: email, mask: email}
      phone:  {type: string, class: personal, index: "phone:DE", mask: keep_last}
      age:    {type: integer, class: personal}
      vip:    {type: boolean, class: anonymous}
      born:   {type: date, class: sensitive, mask: all}
      extra:  {type: json, class: personal}
      fraud:  {type: string, class: sensitive, purposes: [fraud_check]}
  visits:
    retention: P1D
    fields:
      page: {type: string, class: personal}
`

const operatorPolicy = `
@id("test-all")
permit (principal, action, resource);
`

// A cell is a whole cell but for its sockets: a real ledger with a witness, a
// real keyholder with its book, and the vault between them.
type cell struct {
	t       testing.TB
	dir     string
	suite   seal.Suite
	schema  string
	rules   string // the operator's policy
	early   bool   // make an anchor before anything is sealed
	undo    time.Duration
	contact vault.Contact
	skew    atomic.Int64 // added to the vault's clock, in nanoseconds
	grants  *grant.Set
	admin   ed25519.PrivateKey
	promise ed25519.PrivateKey
	app     ed25519.PrivateKey
	master  seal.Key
	cells   *verify.Directory
	table   *regulation.Table

	driver seal.Key
	ring   memoryRing
	khdb   *keyholdersql.Store
	kh     *keyholder.Keyholder
	khKey  ed25519.PublicKey
	hpke   []byte
	line   *inProcess

	ledger  *ledger.Ledger
	db      *sqldb.DB
	journal *journal.Journal
	store   *vaultsql.Store
	v       *vault.Vault
	stop    func()
}

type memoryRing struct {
	mu   sync.Mutex
	file []byte
}

func (m *memoryRing) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return nil, fs.ErrNotExist
	}
	return m.file, nil
}

func (m *memoryRing) Save(b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.file = append([]byte(nil), b...)
	return nil
}

// inProcess is a stream to a keyholder in this process: requests begin in
// order, as over a socket. It can be cut.
type inProcess struct {
	mu   sync.Mutex
	k    *keyholder.Keyholder
	down atomic.Bool
	lose atomic.Bool // serve the next unlock, and lose its answer
}

func (s *inProcess) Begin(ctx context.Context, kind byte, payload []byte) (func() ([]byte, error), error) {
	down := &bonded.Error{Code: bonded.CodeKeyholder, Message: "no connection"}
	if s.down.Load() {
		return nil, down
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	finish := s.k.Handle(context.WithoutCancel(ctx), wire.Message(kind), append([]byte(nil), payload...))
	return func() ([]byte, error) {
		b, err := finish()
		if k := wire.Message(kind); (k == wire.MsgUnlock || k == wire.MsgRelease) && s.lose.CompareAndSwap(true, false) {
			return nil, down
		}
		return b, err
	}, nil
}

func (s *inProcess) Call(ctx context.Context, kind byte, payload []byte) ([]byte, error) {
	wait, err := s.Begin(ctx, kind, payload)
	if err != nil {
		return nil, err
	}
	return wait()
}

func newCell(t testing.TB, change ...func(*cell)) *cell {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	c := &cell{t: t, dir: t.TempDir(), suite: seal.AES256GCM, schema: testSchema, rules: operatorPolicy, master: seal.NewKey()}
	_, c.admin, _ = ed25519.GenerateKey(rand.Reader)
	_, c.promise, _ = ed25519.GenerateKey(rand.Reader)
	for _, f := range change {
		f(c)
	}
	c.newKeyring()
	c.newLedger()
	c.newGrants()
	all, err := regulation.Load(packs.Files)
	must(t, err)
	c.table, err = regulation.NewTable(all)
	must(t, err)
	c.startKeyholder()
	c.start()
	t.Cleanup(func() { c.stop() })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cell) newKeyring() {
	_, _, key, err := keyholder.NewSharedDriver(3, 2)
	must(c.t, err)
	c.driver = key
	file, pub, err := keyholder.NewKeyring(c.t.Context(), keyholder.UnlockedDriver(c.copyKey()), "eu", c.suite.String(), time.Now())
	must(c.t, err)
	c.ring.file, c.khKey, c.hpke = file, pub.Key, pub.HPKE
}

func (c *cell) copyKey() seal.Key {
	k, err := seal.KeyFromBytes(c.driver.Bytes())
	must(c.t, err)
	return k
}

func (c *cell) newLedger() {
	const origin = "log.example/eu"
	skey, vkey, err := ledger.GenerateKey(origin)
	must(c.t, err)
	wdir := filepath.Join(c.t.TempDir())
	key, err := witness.LoadOrCreateKey(filepath.Join(wdir, "key"), "w1.example")
	must(c.t, err)
	w, err := witness.New(witness.Config{Dir: wdir, Key: key, Logs: map[string]string{origin: vkey}})
	must(c.t, err)
	srv := httptest.NewTLSServer(w.Handler())
	c.t.Cleanup(func() { srv.Close(); _ = w.Close() })
	witnesses := fmt.Sprintf("witness w1 %s %s\nquorum w1\n", w.VKey(), srv.URL)
	c.ledger, err = ledger.Open(c.t.Context(), ledger.Config{
		Dir: filepath.Join(c.dir, "ledger"), Origin: origin, SignerKey: skey, Policy: []byte(witnesses), HTTPClient: srv.Client(),
		CheckpointInterval: 100 * time.Millisecond, BatchAge: 10 * time.Millisecond,
	})
	must(c.t, err)
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.ledger.Close(ctx)
	})
	public := func(k ed25519.PrivateKey) string { return verify.EncodePublicKey(k.Public().(ed25519.PublicKey)) }
	c.cells = &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Admin: public(c.admin), Default: "eu",
		Cells: []verify.DirectoryCell{
			{
				ID: "eu", Jurisdictions: []bonded.Jurisdiction{"DE"}, Suite: c.suite.String(), API: "http://127.0.0.1:1", LedgerKey: vkey,
				WitnessPolicy: witnesses, PromiseKey: public(c.promise), KeyholderKey: verify.EncodePublicKey(c.khKey),
			},
			{ID: "cn", Jurisdictions: []bonded.Jurisdiction{"CN"}, PromiseKey: public(c.promise), KeyholderKey: verify.EncodePublicKey(c.khKey)},
		},
	}
}

func (c *cell) newGrants() {
	var pub ed25519.PublicKey
	pub, c.app, _ = ed25519.GenerateKey(rand.Reader)
	now := time.Now().UTC()
	scope := map[string][]string{"users": {"*"}, "visits": {"*"}, "wide": {"*"}}
	g := func(id string, f func(*grant.Grant)) grant.Grant {
		g := grant.Grant{
			ID: id, Key: base64.StdEncoding.EncodeToString(pub), Location: "eu", Roles: []string{"app"},
			Purposes: []bonded.Purpose{"support", "fraud_check"}, Scope: scope, Budget: 10_000_000, Bearer: true,
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour),
		}
		h := sha256.Sum256([]byte("key-of-" + id))
		g.BearerHash = base64.StdEncoding.EncodeToString(h[:])
		f(&g)
		return g
	}
	c.grants = &grant.Set{Format: grant.Format, Cell: "eu", Number: 1, Issued: now, Grants: []grant.Grant{
		g("app", func(*grant.Grant) {}),
		g("proofs-only", func(g *grant.Grant) { g.Bearer = false }),
		g("elsewhere", func(g *grant.Grant) { g.Location = "cn" }),
		g("narrow", func(g *grant.Grant) { g.Scope = map[string][]string{"users": {"name"}} }),
		g("desk", func(g *grant.Grant) {
			g.Roles, g.Purposes, g.Erase = []string{"privacy"}, []bonded.Purpose{"subject_request"}, true
		}),
		g("narrow-desk", func(g *grant.Grant) {
			g.Roles, g.Purposes, g.Scope = []string{"privacy"}, []bonded.Purpose{"subject_request"}, map[string][]string{"users": {"name"}}
		}),
		g("front-door", func(g *grant.Grant) {
			g.Roles, g.Purposes, g.Key, g.BearerHash = []string{"front_door"}, []bonded.Purpose{"front_door", "notice"}, "", ""
			g.Scope = map[string][]string{"*": {"*"}}
		}),
		g("auditor", func(g *grant.Grant) { g.Roles, g.Purposes = []string{"auditor"}, []bonded.Purpose{"audit"} }),
		g("jobs", func(g *grant.Grant) {
			g.Purposes, g.Job, g.Bearer, g.Key, g.BearerHash, g.Erase = []bonded.Purpose{"maintenance"}, true, false, "", "", true
		}),
	}}
}

func (c *cell) policy() *policy.Set {
	set, err := policy.Compile("policy.cedar", []byte(c.rules), c.table.Forbids(time.Now()))
	must(c.t, err)
	return set
}

func (c *cell) startKeyholder() {
	var err error
	c.khdb, err = keyholdersql.Open(c.t.Context(), filepath.Join(c.dir, "keyholder.db"), slog.New(slog.DiscardHandler))
	must(c.t, err)
	c.kh, err = keyholder.New(keyholder.Config{
		Cell: "eu", Store: c.khdb, Driver: keyholder.UnlockedDriver(c.copyKey()), Keyring: &c.ring, Log: slog.New(slog.DiscardHandler),
		Limits: keyholder.Limits{
			Freshness: 15 * time.Minute, DestroyPerHour: 1000, OldCellKey: time.Hour, RotateAfter: 24 * time.Hour,
			MaxBudget: 20_000_000, MaxValidity: 366 * 24 * time.Hour, AllowBearer: true,
		},
	})
	must(c.t, err)
	must(c.t, c.kh.SetTrust(keyholder.Trust{Directory: c.cells, File: c.cells.Encode(), Policy: c.policy(), Text: []byte(c.rules), ByHand: true}))
	must(c.t, c.kh.Unseal(c.t.Context()))
	file, err := grant.Sign(c.grants, c.admin)
	must(c.t, err)
	if _, err := c.kh.InstallGrants(c.t.Context(), file, nil); err != nil {
		c.t.Logf("grants: %v", err) // installed before
	}
	if c.line == nil {
		c.line = new(inProcess)
	}
	c.line.mu.Lock()
	c.line.k = c.kh
	c.line.mu.Unlock()
	kh, db := c.kh, c.khdb
	c.t.Cleanup(func() { kh.Close(); _ = db.Close() })
}

func (c *cell) now() time.Time { return time.Now().Add(time.Duration(c.skew.Load())) }

// start opens the vault on its database and waits until it opens things.
func (c *cell) start() {
	c.t.Helper()
	c.open()
	c.await("the cell to be ready", func() error { return c.v.Ready(c.t.Context()) })
}

func (c *cell) open() { c.t.Helper(); must(c.t, c.tryOpen()) }

func (c *cell) tryOpen() error {
	t := c.t
	t.Helper()
	var err error
	c.db, err = sqldb.Open(t.Context(), sqldb.Config{Path: filepath.Join(c.dir, "vault.db")})
	must(t, err)
	var v atomic.Pointer[vault.Vault]
	c.journal, err = journal.Open(t.Context(), journal.Config{
		DB: c.db, Cell: "eu", Node: 1, PromiseKey: c.promise, Ledger: c.ledger, SealEvery: 50 * time.Millisecond, AnchorEvery: 150 * time.Millisecond,
		Facts: func(ctx context.Context) (journal.AnchorFacts, error) {
			if v := v.Load(); v != nil {
				return v.AnchorFacts(ctx)
			}
			return journal.AnchorFacts{}, errors.New("no vault yet")
		},
		OnAnchor: func(ctx context.Context, _ uint64, a *wire.Anchor) error { return c.showAnchor(ctx, a) },
	})
	must(t, err)
	c.store, err = vaultsql.Open(t.Context(), c.db, c.journal)
	must(t, err)
	schema, err := vault.LoadSchema("schema.yaml", []byte(c.schema))
	must(t, err)
	c.v, err = vault.Open(t.Context(), vault.Config{
		Cell: "eu", Suite: c.suite, Version: "test", Schema: schema, Store: c.store, Journal: c.journal, Keys: vault.NewLine(c.line),
		KeyholderKey: c.khKey, IndexMaster: c.master, Policy: policy.NewCache(c.policy(), 1000), Routes: c.table, Directory: c.cells,
		Grants: c.grants, JobGrant: "jobs", FrontDoorGrant: "front-door", Contact: c.contact, Undo: c.undo, Now: c.now,
	})
	if err != nil {
		c.store.Close()
		_ = c.db.Close()
		return err
	}
	v.Store(c.v)
	if c.early {
		must(t, c.journal.Anchor(t.Context()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.journal.Run(ctx) })
	wg.Go(func() { _ = c.v.Run(ctx) })
	c.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		c.v.Close()
		c.store.Close()
		_ = c.db.Close()
	})
	return nil
}

// showAnchor shows the keyholder an anchor, and before it every entry of the
// ledger that it has not been shown: one that was appended while the vault
// stopped was shown to nobody.
func (c *cell) showAnchor(ctx context.Context, a *wire.Anchor) error {
	p, err := verify.ParseTlogProof(a.Proof)
	if err != nil {
		return err
	}
	line := wire.Line{Caller: c.line}
	at, err := line.CatchUp(ctx, &wire.CatchUp{})
	if err != nil {
		return err
	}
	for i := int64(at.Next); i < p.Index; i++ { //nolint:gosec // not negative
		entry, err := c.ledger.ReadEntry(ctx, i)
		if err != nil {
			return err
		}
		r, err := c.ledger.Prove(ctx, i)
		if err != nil {
			return err
		}
		if before := c.anchorOf(ctx, entry); before != nil {
			before.Proof = r.Proof()
			_, err = line.Anchor(ctx, before)
		} else {
			_, err = line.CatchUp(ctx, &wire.CatchUp{Entry: entry, Proof: r.Proof()})
		}
		if err != nil {
			return err
		}
	}
	_, err = line.Anchor(ctx, a)
	return err
}

// anchorOf returns the anchor with a leaf, nil if the journal has none.
func (c *cell) anchorOf(ctx context.Context, leaf []byte) *wire.Anchor {
	last := c.journal.LastAnchor()
	if last == nil {
		return nil
	}
	for n := last.Number; n > 0; n-- {
		a, err := c.journal.AnchorMessage(ctx, n)
		if err == nil && bytes.Equal(a.Leaf, leaf) {
			return a
		}
	}
	return nil
}

// await polls until f returns nil.
func (c *cell) await(what string, f func() error) {
	c.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("waited for %s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// call is a call of a principal by bearer key.
func (c *cell) call(principal string) *vault.Call {
	c.t.Helper()
	call := &vault.Call{Assurance: verify.AssuranceVault, RequestID: bonded.NewID()}
	for i := range c.grants.Grants {
		if c.grants.Grants[i].ID == principal {
			call.Grant = &c.grants.Grants[i]
		}
	}
	call.Why.Purpose = call.Grant.Purposes[0]
	return call
}

// values makes values of JSON texts.
func values(pairs ...string) apitype.Values {
	v := apitype.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return v
}

var germany = &apitype.Facts{Residence: []bonded.Jurisdiction{"DE"}}

// create makes a person.
func (c *cell) create(v apitype.Values) *apitype.PutResult {
	c.t.Helper()
	r, err := c.v.Put(c.t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: v, Facts: germany}})
	if err != nil {
		c.t.Fatalf("create: %v", err)
	}
	return r
}

func (c *cell) get(p *apitype.PutResult, fields ...string) (*apitype.GetResult, error) {
	return c.v.Get(c.t.Context(), c.call("app"), &apitype.GetRequest{Collection: "users", GetItem: apitype.GetItem{Subject: &p.Subject, Record: &p.Record, Fields: fields}})
}

// rows returns the journal.
func (c *cell) rows() []journal.StoredRow {
	c.t.Helper()
	var all []journal.StoredRow
	for after := uint64(0); ; {
		page, err := c.journal.Rows(c.t.Context(), after, journal.MaxPage)
		must(c.t, err)
		if len(page) == 0 {
			return all
		}
		all, after = append(all, page...), page[len(page)-1].Position
	}
}

// lastRow returns the newest row with the operation.
func (c *cell) lastRow(op verify.Operation) *verify.Row {
	c.t.Helper()
	rows := c.rows()
	for _, row := range slices.Backward(rows) {
		if row.Row.Operation == op {
			return row.Row
		}
	}
	c.t.Fatalf("no row of %s", op)
	return nil
}

func wantCode(t testing.TB, err error, code bonded.Code) *bonded.Error {
	t.Helper()
	var e *bonded.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
	return e
}
