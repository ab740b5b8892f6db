package keyholder_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/keyholder"
	"bonded/internal/keyholder/keyholdersql"
	"bonded/internal/policy"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// A world is one keyholder and everything it must see: an administrator, a
// ledger with witnesses made by hand, and the rows of a vault.
type world struct {
	t       testing.TB
	dir     string
	store   *keyholdersql.Store
	ring    *memoryRing
	beside  keyholder.KeyringStore // progress; nil for none
	noLock  bool                   // the driver stays unlocked when the keyholder is sealed
	driver  *keyholder.FileDriver
	key     seal.Key
	k       *keyholder.Keyholder
	public  *keyholder.Public
	limits  keyholder.Limits
	admin   ed25519.PrivateKey
	apps    map[string]ed25519.PrivateKey
	set     grant.Set
	cells   *verify.Directory
	signer  note.Signer
	vkey    string
	witness map[string]ed25519.PrivateKey

	mu      sync.Mutex
	at      time.Time
	entries [][]byte
	shown   map[int]*anchored // anchors by their place
	hashes  []tlog.Hash
	prev    tlog.Hash

	prevControl tlog.Hash

	seg     *verify.Segment
	segN    uint64
	rows    uint64
	open    [][32]byte    // row leaves not yet in a segment
	orphans [][2][32]byte // of the next segment
	seq     uint64
}

type memoryRing struct {
	mu   sync.Mutex
	file []byte
	err  error
}

func (m *memoryRing) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return nil, fs.ErrNotExist
	}
	return m.file, m.err
}

func (m *memoryRing) Save(b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.file = bytes.Clone(b)
	}
	return m.err
}

const testOrigin = "log.example/eu"

// newWorld returns a world whose keyholder is unsealed and has passed its
// start check.
func newWorld(t testing.TB, change ...func(*world)) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), ring: &memoryRing{}, at: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		apps: map[string]ed25519.PrivateKey{}, shown: map[int]*anchored{}, witness: map[string]ed25519.PrivateKey{},
		limits: keyholder.Limits{
			Freshness: 15 * time.Minute, UndoWindow: time.Hour, DestroyPerHour: 1000, OldCellKey: time.Hour, RotateAfter: 24 * time.Hour,
			MaxBudget: 20_000_000, MaxValidity: 366 * 24 * time.Hour, AllowBearer: true,
		},
	}
	// 1. Keys.
	_, w.admin, _ = ed25519.GenerateKey(rand.Reader)
	_, _, w.key = shares(t)
	w.driver = keyholder.UnlockedDriver(w.key)
	file, pub, err := keyholder.NewKeyring(t.Context(), w.driver, "eu", "aes-256-gcm", w.at)
	if err != nil {
		t.Fatal(err)
	}
	w.ring.file, w.public = file, pub
	w.newLog()
	// 2. Directory and grants.
	w.cells = &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Admin: verify.EncodePublicKey(w.admin.Public().(ed25519.PublicKey)), Default: "eu",
		Cells: []verify.DirectoryCell{{
			ID: "eu", Jurisdictions: []bonded.Jurisdiction{"DE"}, Suite: "aes-256-gcm", LedgerKey: w.vkey, WitnessPolicy: w.witnessPolicy(),
			KeyholderKey: verify.EncodePublicKey(pub.Key), PromiseKey: verify.EncodePublicKey(pub.Key),
		}},
	}
	w.set = grant.Set{Format: grant.Format, Cell: "eu", Issued: w.at}
	w.addGrant("app", func(*grant.Grant) {})
	w.addGrant("sessions-only", func(g *grant.Grant) { g.Bearer = false })
	w.addGrant("desk", func(g *grant.Grant) {
		g.Roles, g.Purposes, g.Erase = []string{"privacy"}, []bonded.Purpose{"subject_request"}, true
	})
	w.addGrant("elsewhere", func(g *grant.Grant) { g.Location = "cn" })
	w.addGrant("jobs", func(g *grant.Grant) {
		g.Roles, g.Purposes, g.Job, g.Bearer, g.Key, g.Erase = []string{"admin-job"}, []bonded.Purpose{"maintenance"}, true, false, "", true
	})
	for _, c := range change {
		c(w)
	}
	// 3. The keyholder.
	w.openStore()
	w.start()
	w.install()
	w.anchor()
	return w
}

func shares(t testing.TB) ([]byte, []string, seal.Key) {
	t.Helper()
	file, texts, key, err := keyholder.NewSharedDriver(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	return file, texts, key
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) addGrant(id string, change func(*grant.Grant)) {
	pub, priv, _ := ed25519.GenerateKey(rand.Reader)
	w.apps[id] = priv
	g := grant.Grant{
		ID: id, Key: base64.StdEncoding.EncodeToString(pub), Location: "eu", Roles: []string{"app"}, Purposes: []bonded.Purpose{"support"},
		Scope: map[string][]string{"users": {"name", "email"}}, Budget: 10_000_000, Bearer: true,
		NotBefore: w.at.Add(-time.Hour), NotAfter: w.at.Add(300 * 24 * time.Hour),
	}
	change(&g)
	w.set.Grants = append(w.set.Grants, g)
}

func (w *world) openStore() {
	w.t.Helper()
	s, err := keyholdersql.Open(w.t.Context(), filepath.Join(w.dir, "keyholder.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = s
	w.t.Cleanup(func() { _ = s.Close() })
}

// start makes a keyholder on the store as it is and unseals it.
func (w *world) start() {
	w.t.Helper()
	if err := w.tryStart(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryStart() error {
	w.t.Helper()
	raw := w.key.Bytes()
	key, err := seal.KeyFromBytes(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	var driver keyholder.Driver = keyholder.UnlockedDriver(key)
	if w.noLock {
		driver = openDriver{driver}
	}
	k, err := keyholder.New(keyholder.Config{
		Cell: "eu", Store: w.store, Driver: driver, Keyring: w.ring, Progress: w.beside, Limits: w.limits, Now: w.now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.k = k
	w.t.Cleanup(k.Close)
	if err := k.SetTrust(w.trust(w.cells, nil, true)); err != nil {
		w.t.Fatal(err)
	}
	return k.Unseal(w.t.Context())
}

// trust returns a directory and policies as an operator has them in the
// folder; nil text stands for the default ones.
func (w *world) trust(d *verify.Directory, text []byte, byHand bool) keyholder.Trust {
	w.t.Helper()
	if text == nil {
		text = policy.DefaultOperatorPolicy()
	}
	set, err := policy.Compile("policy.cedar", text, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return keyholder.Trust{Directory: d, File: d.Encode(), Policy: set, Text: text, ByHand: byHand}
}

// announce puts a control leaf into the ledger and returns the evidence under
// a checkpoint cosigned now.
func (w *world) announce(s verify.ControlSubject, number uint64, digest [32]byte) *wire.Evidence {
	w.t.Helper()
	return w.announceApproved(s, number, digest, nil)
}

// announceApproved does the same with the digest of approvals.
func (w *world) announceApproved(s verify.ControlSubject, number uint64, digest [32]byte, approvals []byte) *wire.Evidence {
	w.t.Helper()
	fields := (&verify.Control{Subject: s, Number: number, Digest: digest, Approvals: approvals}).Fields()
	for i := range fields {
		_, _ = rand.Read(fields[i].Salt[:])
	}
	l := &verify.Leaf{Kind: verify.LeafControl, Cell: "eu", Time: uint64(w.now().Unix()), Prev: w.prevControl, Root: verify.CommitFields(fields)}
	leaf := l.Encode()
	w.prevControl = tlog.RecordHash(leaf)
	e := &verify.Evidence{Leaf: leaf, Fields: fields, Proof: string(w.publish(leaf))}
	return &wire.Evidence{Subject: s, Number: number, Evidence: e.Encode()}
}

// announceGrants announces the grant set w.set under its next number.
func (w *world) announceGrants() *wire.Evidence {
	w.t.Helper()
	w.set.Number++
	file, err := grant.Sign(&w.set, w.admin)
	if err != nil {
		w.t.Fatal(err)
	}
	e := w.announce(verify.ControlGrants, w.set.Number, grant.Digest(file))
	e.File = file
	return e
}

// An openDriver stays unlocked.
type openDriver struct{ keyholder.Driver }

func (openDriver) Lock() {}

// restart closes the keyholder and its database and starts both again.
func (w *world) restart() {
	w.t.Helper()
	w.k.Close()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.openStore()
	w.start()
}

// install signs the next number of the grant set and installs it, the first
// by hand.
func (w *world) install() {
	w.t.Helper()
	if w.set.Number == 0 {
		w.set.Number++
		file, err := grant.Sign(&w.set, w.admin)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.k.InstallGrants(w.t.Context(), file, nil); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	e := w.announceGrants()
	if res, err := w.k.InstallGrants(w.t.Context(), e.File, e.Evidence); err != nil || !res.InForce {
		w.t.Fatalf("InstallGrants = %+v, %v", res, err)
	}
}

// signed returns the grant set as number number, signed.
func (w *world) signed(number uint64) ([]byte, error) {
	s := w.set
	s.Number = number
	return grant.Sign(&s, w.admin)
}

func (w *world) newLog() {
	pub, key, _ := ed25519.GenerateKey(rand.Reader)
	vkey, err := note.NewEd25519VerifierKey(testOrigin, pub)
	if err != nil {
		w.t.Fatal(err)
	}
	skey := "PRIVATE+KEY+" + testOrigin + "+" + strings.Split(vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))
	if w.signer, err = note.NewSigner(skey); err != nil {
		w.t.Fatal(err)
	}
	w.vkey = vkey
	for i := 1; i <= 3; i++ {
		_, w.witness[fmt.Sprintf("w%d.example", i)], _ = ed25519.GenerateKey(rand.Reader)
	}
}

func (w *world) witnessPolicy() string {
	var b strings.Builder
	for i := 1; i <= 3; i++ {
		name := fmt.Sprintf("w%d.example", i)
		v, err := verify.CosignatureVkey(name, w.witness[name].Public().(ed25519.PublicKey))
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "witness w%d %s https://127.0.0.1/w%d\n", i, v, i)
	}
	return b.String() + "group q 2 w1 w2 w3\nquorum q\n"
}

// ReadHashes implements [tlog.HashReader].
func (w *world) ReadHashes(ix []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ix))
	for i, x := range ix {
		out[i] = w.hashes[x]
	}
	return out, nil
}

// publish appends an entry to the ledger and returns its tlog-proof under a
// checkpoint cosigned now by two witnesses.
func (w *world) publish(entry []byte) []byte {
	w.t.Helper()
	n := int64(len(w.entries))
	hs, err := tlog.StoredHashes(n, entry, w)
	if err != nil {
		w.t.Fatal(err)
	}
	w.entries, w.hashes = append(w.entries, entry), append(w.hashes, hs...)
	return w.proof(n, w.now())
}

func (w *world) proof(n int64, at time.Time) []byte {
	w.t.Helper()
	size := int64(len(w.entries))
	root, err := tlog.TreeHash(size, w)
	if err != nil {
		w.t.Fatal(err)
	}
	path, err := tlog.ProveRecord(size, n, w)
	if err != nil {
		w.t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", testOrigin, size, root)
	raw, err := note.Sign(&note.Note{Text: text}, w.signer)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{"w1.example", "w3.example"} {
		key := w.witness[name]
		sig := ed25519.Sign(key, verify.CosignatureMessage(text, at.Unix()))
		raw = append(raw, verify.CosignatureLine(name, key.Public().(ed25519.PublicKey), at.Unix(), sig)...)
	}
	p := verify.TlogProof{Index: n, Hashes: path, Checkpoint: raw}
	return p.Format()
}

// sealSegment closes the open row leaves into a segment, if there are any.
func (w *world) sealSegment() *wire.AnchoredSegment {
	if len(w.open) == 0 {
		return nil
	}
	leaves := make([]tlog.Hash, len(w.open))
	for i := range w.open {
		leaves[i] = w.open[i]
	}
	s := &verify.Segment{Cell: "eu", Node: 1, Incarnation: 1, Number: w.segN + 1, First: w.rows + 1, Count: uint64(len(leaves)), Root: verify.TreeRoot(leaves)}
	if w.seg != nil {
		s.Prev = w.seg.Hash()
	}
	w.seg, w.segN, w.rows = s, s.Number, w.rows+s.Count
	out := &wire.AnchoredSegment{Segment: verify.EncodeSegment(s), Leaves: w.open, Orphans: w.orphans}
	w.open, w.orphans = nil, nil
	return out
}

// An anchored is an anchor as a vault would show it.
type anchored struct {
	wire.Anchor
	leaf   *verify.Leaf
	fields []verify.LeafField
	hashes []tlog.Hash
}

// makeAnchor publishes an anchor over the segments, with the head and
// tombstones the vault last saw.
func (w *world) makeAnchor(head *verify.Head, tombs uint64, chain [32]byte, segments ...*wire.AnchoredSegment) *anchored {
	w.t.Helper()
	a := &anchored{}
	var last []byte
	for _, s := range segments {
		if s == nil {
			continue
		}
		seg, err := verify.DecodeSegment(s.Segment)
		if err != nil {
			w.t.Fatal(err)
		}
		a.hashes, last = append(a.hashes, seg.Hash()), s.Segment
		a.Segments = append(a.Segments, *s)
	}
	root := verify.TreeRoot(a.hashes)
	var headBytes []byte
	if head != nil {
		headBytes = head.Encode()
	}
	zero := make([]byte, 32)
	for _, f := range []struct {
		name  string
		value []byte
	}{
		{verify.AnchorSegments, root[:]},
		{verify.AnchorLast, last},
		{verify.AnchorHead, headBytes},
		{verify.AnchorTombstones, append(binary.BigEndian.AppendUint64(nil, tombs), chain[:]...)},
		{verify.AnchorPolicy, zero},
		{verify.AnchorDirectory, zero},
	} {
		var salt verify.Salt
		_, _ = rand.Read(salt[:])
		a.fields = append(a.fields, verify.LeafField{Name: f.name, Salt: salt, Value: f.value})
	}
	a.leaf = &verify.Leaf{Kind: verify.LeafAnchor, Cell: "eu", Time: uint64(w.now().Unix()), Prev: w.prev, Root: verify.CommitFields(a.fields)}
	a.Leaf, a.Fields = a.leaf.Encode(), verify.EncodeFields(a.fields)
	w.shown[len(w.entries)] = a
	a.Proof = w.publish(a.Leaf)
	w.prev = tlog.RecordHash(a.Leaf)
	return a
}

// anchor seals, publishes and shows everything open to the keyholder.
func (w *world) anchor() *anchored {
	w.t.Helper()
	st := w.status()
	h := w.hello()
	a := w.makeAnchor(&st.Head, h.Tombstones, h.Chain, w.sealSegment())
	res, err := w.k.Anchor(w.t.Context(), &a.Anchor)()
	if err != nil || !res.Accepted {
		w.t.Fatalf("Anchor: %v", err)
	}
	return a
}

func (w *world) status() *wire.Status {
	w.t.Helper()
	st, err := w.k.Status(w.t.Context())()
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w *world) hello() *wire.Hello {
	w.t.Helper()
	h, err := w.k.Hello(w.t.Context(), &wire.Hello{Cell: "eu", Node: 1})()
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// entry returns an entry of the next row, whose leaf is random.
func (w *world) entry(op verify.Operation, items ...wire.Item) wire.Entry {
	w.seq++
	e := wire.Entry{
		Seq: w.seq, Operation: op, Collection: "users", Purpose: "support", Reason: "ticket 4711",
		Auth: wire.Auth{Principal: "app", Assurance: verify.AssuranceVault}, Items: items,
	}
	_, _ = rand.Read(e.Leaf[:])
	return e
}

// unlock sends a batch; the leaves of what is sent count as rows of the vault.
func (w *world) unlock(entries ...wire.Entry) *wire.UnlockResult {
	w.t.Helper()
	res, err := w.tryUnlock(entries...)
	if err != nil {
		w.t.Fatalf("Unlock: %v", err)
	}
	return res
}

func (w *world) tryUnlock(entries ...wire.Entry) (*wire.UnlockResult, error) {
	w.t.Helper()
	for i := range entries {
		w.open = append(w.open, entries[i].Leaf)
	}
	u := &wire.Unlock{Node: 1, Incarnation: 1, Entries: entries}
	again, err := wire.DecodeUnlock(wire.EncodeUnlock(u))
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.k.Unlock(again)()
	if err == nil && !res.Head.Verify(w.public.Key) {
		w.t.Error("head of the answer is not signed")
	}
	return res, err
}

// person is a subject with one record.
type person struct {
	subject, record, version bonded.ID
	key                      [32]byte // of the field name
}

func (w *world) create() person {
	w.t.Helper()
	p := person{subject: bonded.NewID(), record: bonded.NewID()}
	res := w.unlock(w.entry(verify.OpCreate, wire.Item{Create: true, Subject: p.subject, Record: p.record, Fields: []wire.FieldVersion{{Name: "name"}}}))
	it := res.Entries[0]
	if it.Code != "" || it.Items[0].Code != "" || it.Items[0].N != 1 || len(it.Items[0].Keys) != 1 {
		w.t.Fatalf("create: %+v", it)
	}
	p.version, p.key = it.Items[0].Version, it.Items[0].Keys[0]
	return p
}

func (p person) read(fields ...string) wire.Item {
	it := wire.Item{Subject: p.subject, Record: p.record}
	for _, f := range fields {
		it.Fields = append(it.Fields, wire.FieldVersion{Name: f, Version: p.version})
	}
	return it
}

// wantRefused checks that the first entry was refused whole, with nothing in
// the answer.
func wantRefused(t testing.TB, res *wire.UnlockResult, code bonded.Code, rule string) {
	t.Helper()
	e := res.Entries[0]
	if e.Code != code || e.Rule != rule {
		t.Errorf("code %q rule %q, want %q %q", e.Code, e.Rule, code, rule)
	}
	for _, it := range e.Items {
		if it.Code == "" || len(it.Keys) > 0 || len(it.Outer) > 0 {
			t.Error("something was released")
		}
	}
}

// book returns every row of the book and checks its chain and numbers.
func (w *world) book() []*verify.BookRow {
	w.t.Helper()
	var rows []*verify.BookRow
	var chain [32]byte
	for {
		list, err := w.k.Book(w.t.Context(), uint64(len(rows)), 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, b := range list {
			r, err := verify.DecodeBookRow(b)
			if err != nil || r.Seq != uint64(len(rows)+1) {
				w.t.Fatalf("book row %d: %v", len(rows)+1, err)
			}
			chain = verify.BookChain(chain, b)
			rows = append(rows, r)
		}
	}
	if st := w.status(); st.Head.Chain != chain || st.Head.Seq != uint64(len(rows)) || !st.Head.Verify(w.public.Key) {
		w.t.Errorf("head %d does not end the book of %d rows", st.Head.Seq, len(rows))
	}
	return rows
}

// copyDatabase replaces the database in one folder by that of another.
func copyDatabase(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(to, "keyholder.db"+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(from, "keyholder.db"+suffix))
		if errors.Is(err, fs.ErrNotExist) || suffix == "-shm" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, "keyholder.db"+suffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
