package release_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/internal/release"
	"bonded/internal/seal"
	"bonded/verify"
)

const (
	cell   = bonded.CellID("eu")
	origin = "log.example/eu"
)

var (
	filed   = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	made    = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	expires = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	now     = made.Add(time.Hour)
)

// testKey returns a fixed Ed25519 key for a label: never for use outside tests.
func testKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("bonded release test key " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(label string) ed25519.PublicKey { return testKey(label).Public().(ed25519.PublicKey) }

// A person of a firm and of the world outside it, with a share.
type custodian struct {
	id    string
	share quorum.Share
}

// A world is a cell on paper: its keys, its custodians after a real ceremony,
// and a ledger in memory that a log and two witnesses sign.
type world struct {
	t         testing.TB
	directory []byte
	cert      *quorum.Certificate
	order     *verify.Statement
	people    []*custodian // firm-1, firm-2, firm-3, independent-1, independent-2
	private   *recipient.Private
	key       *recipient.Key
	caseID    bonded.CaseID

	entries [][]byte // of the ledger
	hashes  []tlog.Hash
	lie     lies
	early   verify.PackageEntry // of a certificate that was handed on
}

// lies are what a test changes on the way to a package that is signed and well
// formed all the same. Absent ones change nothing.
type lies struct {
	request   func(*verify.CaseRequest)
	officer   func(*verify.Person)
	agency    func(*verify.Agency)
	confirms  string // who confirms the register, in place of independent-2
	registers string // who signs the register, in place of the registrar
	signs     string // who signs the request, in place of the officer
	approvers []int  // in place of firm-1, firm-3 and independent-1
	approval  func(*verify.Approval)
	entry     func(*verify.CaseEntry)
	row       func(*verify.Row)
	scope     func(*verify.Scope)
	head      func(*release.Head)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, caseID: bonded.CaseID{Cell: cell, ID: bonded.NewID()}}
	var err error
	if w.private, w.key, err = recipient.New(); err != nil {
		t.Fatal(err)
	}
	w.directory = testDirectory(t).Encode()
	w.ceremony()
	w.append([]byte("an entry of something else"))
	return w
}

func testDirectory(t testing.TB) *verify.Directory {
	t.Helper()
	vkey, err := note.NewEd25519VerifierKey(origin, public("log"))
	if err != nil {
		t.Fatal(err)
	}
	policy := ""
	for i := 1; i <= 2; i++ {
		wk, err := verify.CosignatureVkey(fmt.Sprintf("w%d.example", i), public(fmt.Sprint("witness ", i)))
		if err != nil {
			t.Fatal(err)
		}
		policy += fmt.Sprintf("witness w%d %s https://127.0.0.1/w%d\n", i, wk, i)
	}
	return &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Issued: "2026-11-01T00:00:00Z", Admin: verify.EncodePublicKey(public("admin")), Default: cell,
		Cells: []verify.DirectoryCell{{
			ID: cell, Jurisdictions: []bonded.Jurisdiction{"EU"}, Suite: "aes-256-gcm", LedgerKey: vkey, WitnessPolicy: policy + "group q 2 w1 w2\nquorum q\n",
			PromiseKey: verify.EncodePublicKey(public("promise")), KeyholderKey: verify.EncodePublicKey(public("keyholder")),
		}},
	}
}

// ceremony makes the release key among firm 2 of 3 and independent 1 of 2.
func (w *world) ceremony() {
	w.t.Helper()
	p := &quorum.Params{Cell: cell, Ceremony: bonded.NewID(), Kind: quorum.KindDKG, Epoch: 1}
	w.hold(p, nil)
	var err error
	if w.order, err = verify.NewCeremonyOrder(cell, p.Digest()); err != nil {
		w.t.Fatal(err)
	}
	w.order.Sign(verify.LabelCeremony, verify.SignerAdmin, testKey("admin"))
}

// reshare hands the release key on to the same people under fresh shares.
func (w *world) reshare() {
	w.t.Helper()
	before := w.cert.KeySet()
	w.hold(&quorum.Params{
		Cell: cell, Ceremony: bonded.NewID(), Kind: quorum.KindReshare, Epoch: before.Epoch() + 1,
		Previous: before.Digest(), Handover: [][]uint8{{1, 2}, {1}},
	}, before)
}

// hold runs a ceremony and gives everybody their share.
func (w *world) hold(p *quorum.Params, before *quorum.KeySet) {
	w.t.Helper()
	old := w.people
	w.people = nil
	var ids []quorum.Identity
	for _, r := range []struct {
		name string
		m, n int
	}{{"firm", 2, 3}, {"independent", 1, 2}} {
		role := quorum.Role{Name: r.name, Threshold: r.m}
		for i := range r.n {
			id := fmt.Sprintf("%s-%d", r.name, i+1)
			tr, err := quorum.NewTransportKey()
			if err != nil {
				w.t.Fatal(err)
			}
			role.Members = append(role.Members, quorum.Custody{ID: id, Approval: public(id), Transport: tr.Public()})
			ids = append(ids, quorum.Identity{Approval: testKey(id), Transport: tr})
			w.people = append(w.people, &custodian{id: id})
		}
		p.Roles = append(p.Roles, role)
	}
	var members []*quorum.Member
	for i := range ids {
		share := quorum.Share{}
		if before != nil {
			share = old[i].share
		}
		m, err := quorum.NewMember(p, before, ids[i], share)
		if err != nil {
			w.t.Fatal(err)
		}
		members = append(members, m)
	}
	seen := map[string]bool{}
	for quiet := false; !quiet; {
		quiet = true
		for _, m := range members {
			for _, raw := range m.Messages() {
				if seen[string(raw)] {
					continue
				}
				seen[string(raw)], quiet = true, false
				for _, to := range members {
					if err := to.Receive(raw); err != nil {
						w.t.Fatal(err)
					}
				}
			}
		}
	}
	for i, m := range members {
		c, share, ok := m.Result()
		if !ok {
			w.t.Fatalf("no result: %+v", m.Outcome())
		}
		w.cert, w.people[i].share = c, share
	}
}

// ReadHashes implements [tlog.HashReader].
func (w *world) ReadHashes(ix []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ix))
	for i, x := range ix {
		out[i] = w.hashes[x]
	}
	return out, nil
}

func (w *world) append(entry []byte) int64 {
	w.t.Helper()
	n := int64(len(w.entries))
	hs, err := tlog.StoredHashes(n, entry, w)
	if err != nil {
		w.t.Fatal(err)
	}
	w.entries, w.hashes = append(w.entries, entry), append(w.hashes, hs...)
	return n
}

// proof proves an entry under a checkpoint of the whole ledger that witnesses
// cosign.
func (w *world) proof(index int64, witnesses ...int) []byte {
	w.t.Helper()
	size := int64(len(w.entries))
	root, err := tlog.TreeHash(size, w)
	if err != nil {
		w.t.Fatal(err)
	}
	path, err := tlog.ProveRecord(size, index, w)
	if err != nil {
		w.t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
	raw, err := note.Sign(&note.Note{Text: text}, logSigner(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	if witnesses == nil {
		witnesses = []int{1, 2}
	}
	for _, i := range witnesses {
		at := made.Unix() + int64(i)
		k := testKey(fmt.Sprint("witness ", i))
		raw = append(raw, verify.CosignatureLine(fmt.Sprintf("w%d.example", i), k.Public().(ed25519.PublicKey), at, ed25519.Sign(k, verify.CosignatureMessage(text, at)))...)
	}
	return (&verify.TlogProof{Index: index, Hashes: path, Checkpoint: raw}).Format()
}

func logSigner(t testing.TB) note.Signer {
	t.Helper()
	k := testKey("log")
	vkey, err := note.NewEd25519VerifierKey(origin, k.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + strings.Split(vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, k.Seed()...)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// enter appends a case leaf and returns its opening, without proof yet.
func (w *world) enter(e *verify.CaseEntry) *verify.CaseOpening {
	w.t.Helper()
	if w.lie.entry != nil {
		w.lie.entry(e)
	}
	fields := e.Fields(newSalt)
	leaf := (&verify.Leaf{Kind: verify.LeafCase, Cell: cell, Time: uint64(filed.Unix()), OpenBy: uint64(expires.Unix()), Root: verify.CommitFields(fields)}).Encode()
	return verify.OpenCase(w.append(leaf), leaf, fields, verify.FieldPerson)
}

func newSalt() verify.Salt {
	a, b := bonded.NewID(), bonded.NewID()
	return verify.Salt(append(a[:], b[:]...))
}

// register enters a statement of the register.
func (w *world) register(kind, label, signer string, body any) verify.PackageRegistry {
	w.t.Helper()
	s, err := verify.NewStatement(body)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Sign(label, signer, testKey(signer))
	confirms := "independent-2"
	if w.lie.confirms != "" {
		confirms = w.lie.confirms
	}
	s.Sign(label, verify.SignerCustodian+confirms, testKey(confirms))
	return verify.PackageRegistry{Kind: kind, Statement: s, Entry: verify.PackageEntry{
		Opening: w.enter(&verify.CaseEntry{Type: verify.EntryRegistry, Event: verify.EventRegistered, Content: verify.ContentDigest(s.Digest(label))}),
	}}
}

func testPerson(id, role, agency string) *verify.Person {
	return &verify.Person{
		Format: verify.LabelPerson, Cell: cell, ID: id, Version: 1, Role: role, Agency: agency, Organisation: "Bundeskriminalamt", Name: "KHKin Beispiel",
		Key: verify.EncodePublicKey(public(id)), Level: 3, NotBefore: filed.AddDate(0, -1, 0), NotAfter: filed.AddDate(1, 0, 0),
	}
}

func testAgency() *verify.Agency {
	return &verify.Agency{
		Format: verify.LabelAgency, Cell: cell, ID: "bka", Version: 1, Name: "Bundeskriminalamt", Country: "DE", Level: "national", Kind: "police",
		Powers: []string{"eu_epoc"}, DirectorySource: "bund.de", Switchboard: "+49 611 550", VerifiedAt: filed, Trust: "verified",
	}
}

func (w *world) request(subjects int) *verify.CaseRequest {
	r := &verify.CaseRequest{
		Format: verify.LabelRequest, Cell: cell, Kind: "disclosure", Nonce: w.caseID.ID.Hex(), Filed: filed, Officer: "officer-7", Agency: "bka",
		Authorisation: verify.Authorisation{Reference: "BKA-2026-4711", ProcessType: "eu_epoc", Jurisdiction: "DE", Priority: "routine", ValidFrom: filed, ValidTo: expires},
		Tasks: []verify.CaseTask{
			{Kind: "disclose", Targets: targets(min(subjects, 3)), Collection: "users", FieldsWanted: []string{"name", "passport"}, MaxSubjects: subjects},
			{Kind: "disclose", Targets: targets(1), Collection: "payments", FieldsWanted: []string{"amount"}, MaxSubjects: 1},
		},
		Recipient: w.key.Bytes(),
	}
	if w.lie.request != nil {
		w.lie.request(r)
	}
	return r
}

// targets names so many of the people of [users].
func targets(n int) []verify.CaseTarget {
	list := make([]verify.CaseTarget, n)
	for i := range list {
		list[i] = verify.CaseTarget{Format: "email", Value: fmt.Sprintf("person%d@example.org", i)}
	}
	return list
}

// A record is one item of the scope with what is in it.
type record struct {
	item     verify.ScopeItem
	values   [][]byte
	code     bonded.Code
	sealed   [][]byte // fields
	keys     []byte   // in order, as the keyholder seals them
	envelope []byte
}

// seal encrypts the values of a record as the vault does: quorum fields under
// the key of the envelope first, then each under its field key.
func (w *world) seal(r *record) {
	w.t.Helper()
	it := &r.item
	sk := seal.NewSubjectKey()
	var qk quorum.Key
	for i := range it.Fields {
		if it.Fields[i].Custody == verify.CustodyQuorum && !qk.Valid() {
			key := w.cert.KeySet().ReleaseKey()
			enc, err := quorum.NewEncryptor(key)
			if err != nil {
				w.t.Fatal(err)
			}
			var e *quorum.Envelope
			if qk, e, err = enc.NewEnvelope(verify.EnvelopeLabel(cell, it.Collection, it.Record, key)); err != nil {
				w.t.Fatal(err)
			}
			r.envelope = e.Bytes()
			it.Envelope = verify.EnvelopeHash(r.envelope)
		}
	}
	for i := range it.Fields {
		f := &it.Fields[i]
		value := r.values[i]
		c := seal.Context{Cell: cell, Subject: it.Subject, Record: it.Record, Collection: it.Collection, Field: f.Name, Version: f.Version}
		if f.Custody == verify.CustodyQuorum {
			inner := c
			inner.Version = verify.EnvelopeVersion(it.Envelope)
			value = w.sealed(qk.Field(f.Name), value, inner)
		}
		key := sk.VersionKey(seal.AES256GCM, cell, it.Collection, it.Record, f.Version).FieldKey(f.Name).Bytes()
		r.sealed = append(r.sealed, w.sealed(key, value, c))
		r.keys = append(r.keys, key...)
	}
}

func (w *world) sealed(key, value []byte, c seal.Context) []byte {
	w.t.Helper()
	k, err := seal.KeyFromBytes(key)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := k.Seal(seal.AES256GCM, value, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// combined is the quorum's answer to the envelope of a record.
func (w *world) combined(r *record, leaf [32]byte) []byte {
	w.t.Helper()
	if r.envelope == nil {
		return nil
	}
	ks, rel := w.cert.KeySet(), w.key.Release(w.caseID.ID, leaf)
	label := verify.EnvelopeLabel(cell, r.item.Collection, r.item.Record, ks.ReleaseKey())
	e, err := quorum.ParseEnvelope(r.envelope)
	if err != nil {
		w.t.Fatal(err)
	}
	var parts []*quorum.Partial
	for _, i := range []int{0, 2, 3} { // firm-1, firm-3, independent-1
		p, err := quorum.MakePartial(ks, w.people[i].share, rel, e, label)
		if err != nil {
			w.t.Fatal(err)
		}
		parts = append(parts, p)
	}
	c, err := quorum.Combine(ks, rel, e, label, parts)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Bytes()
}

// users is n records of one person each, and one of payments.
func users(n int) []*record {
	var rs []*record
	for i := range n {
		rs = append(rs, &record{
			item: verify.ScopeItem{Subject: bonded.NewID(), Record: bonded.NewID(), Collection: "users", Fields: []verify.ScopeField{
				{Name: "email", Version: bonded.NewID(), Custody: verify.CustodyTwoLock, Match: true},
				{Name: "name", Version: bonded.NewID(), Custody: verify.CustodyTwoLock},
			}},
			values: [][]byte{fmt.Appendf(nil, "person%d@example.org", i), []byte("Ada \"the first\" Beispiel, née=1")},
		})
	}
	return rs
}

// story is what most tests use: two people with a quorum field each, a payment,
// and a person whose key was destroyed.
func story() []*record {
	rs := users(3)
	for _, r := range rs[:2] {
		r.item.Fields = append(r.item.Fields, verify.ScopeField{Name: "passport", Version: r.item.Fields[1].Version, Custody: verify.CustodyQuorum})
		r.values = append(r.values, []byte("=C01X00T47"))
	}
	rs[2].code = bonded.CodeErased
	return append(rs, &record{
		item: verify.ScopeItem{Task: 1, Subject: rs[0].item.Subject, Record: bonded.NewID(), Collection: "payments", Fields: []verify.ScopeField{
			{Name: "amount", Version: bonded.NewID(), Custody: verify.CustodyTwoLock},
		}},
		values: [][]byte{[]byte("12.50")},
	})
}

// rowsOf is how many items one row of the journal takes.
const rowsOf = 256

// write makes the whole package of records in w.
func (w *world) write(out interface{ Write([]byte) (int, error) }, records []*record) {
	w.t.Helper()
	// 1. The ledger until the opening.
	h := &release.Head{Ceremony: w.order}
	h.Custody = []verify.PackageCustody{{Certificate: w.cert.Bytes(), Entry: verify.PackageEntry{
		Opening: w.enter(&verify.CaseEntry{Type: verify.EntryCustody, Content: w.cert.Digest()}),
	}}}
	officer, agency, registrar, signer := testPerson("officer-7", "requester", "bka"), testAgency(), "registrar-1", "officer-7"
	if w.lie.officer != nil {
		w.lie.officer(officer)
	}
	if w.lie.agency != nil {
		w.lie.agency(agency)
	}
	if w.lie.registers != "" {
		registrar = w.lie.registers
	}
	if w.lie.signs != "" {
		signer = w.lie.signs
	}
	h.Registry = []verify.PackageRegistry{
		w.register(verify.RegistryPerson, verify.LabelPerson, "admin", testPerson("registrar-1", "registrar", "")),
		w.register(verify.RegistryAgency, verify.LabelAgency, registrar, agency),
		w.register(verify.RegistryPerson, verify.LabelPerson, registrar, officer),
	}
	var err error
	if h.Request, err = verify.NewStatement(w.request(max(1, len(records)))); err != nil {
		w.t.Fatal(err)
	}
	h.Request.Sign(verify.LabelRequest, "officer-7", testKey(signer))
	ks := w.cert.KeySet()
	scope := &verify.Scope{
		Cell: cell, Case: w.caseID.ID, Kind: "disclosure", Request: h.Request.Digest(verify.LabelRequest), Recipient: w.key.Digest(),
		KeySet: ks.Digest(), Epoch: ks.Epoch(), Expires: uint64(expires.Unix()),
	}
	for _, r := range records {
		w.seal(r)
		scope.Items = append(scope.Items, r.item)
		h.Items = append(h.Items, verify.ScopeItemHash(verify.EncodeScopeItem(&r.item)))
	}
	if w.lie.scope != nil {
		w.lie.scope(scope)
	}
	h.ScopeHead = verify.EncodeScopeHead(scope)
	digest := scope.Digest()
	h.Quorum.Opening = w.enter(&verify.CaseEntry{Type: verify.EntryCase, Case: w.caseID.ID, Number: 7, Event: verify.EventQuorum, State: "awaiting_quorum", Scope: digest})
	var approvals []*verify.Approval
	approvers := []int{0, 2, 3}
	if w.lie.approvers != nil {
		approvers = w.lie.approvers
	}
	for _, i := range approvers {
		approvals = append(approvals, w.approve(i, digest, tlog.RecordHash(h.Quorum.Opening.Leaf)))
	}
	for _, a := range approvals {
		h.Approvals = append(h.Approvals, a.Encode())
	}
	h.Opening.Opening = w.enter(&verify.CaseEntry{
		Type: verify.EntryCase, Case: w.caseID.ID, Number: 8, Event: verify.EventOpening, State: "opening", Scope: digest,
		Content: verify.OpeningContent(digest, verify.ApprovalsDigest(approvals), scope.Recipient),
	})
	leaf := [32]byte(tlog.RecordHash(h.Opening.Opening.Leaf))

	// 2. The journal, and the ledger after it.
	receipts := w.journal(records, digest)

	// 3. Proofs under the last checkpoint, and the package.
	for _, e := range []*verify.PackageEntry{&h.Custody[0].Entry, &h.Registry[0].Entry, &h.Registry[1].Entry, &h.Registry[2].Entry, &h.Quorum, &h.Opening} {
		e.Proof = w.proof(e.Opening.Index)
	}
	dd := verify.DirectoryDigest(w.directory)
	h.Manifest = verify.PackageManifest{Made: made, Expires: expires, Copy: verify.NewCopyID([16]byte{0xc0, 1}), Suite: "aes-256-gcm", Directory: hex.EncodeToString(dd[:])}
	if w.lie.head != nil {
		w.lie.head(h)
	}
	p, err := release.NewWriter(out, h)
	if err != nil {
		w.t.Fatal(err)
	}
	info := verify.ReleaseInfo(w.caseID, digest)
	for i, r := range records {
		it := &verify.PackageItem{Index: i, Item: verify.EncodeScopeItem(&r.item), Code: r.code, Row: rowRef(i).String()}
		if r.code == "" {
			aad := verify.ScopeItemHash(it.Item)
			if it.Sealed, err = seal.SealTo(w.key.Seal, info, aad[:], r.keys); err != nil {
				w.t.Fatal(err)
			}
			it.Ciphertexts, it.Envelope, it.Combined = r.sealed, r.envelope, w.combined(r, leaf)
		}
		if err := p.Add(it); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, r := range receipts() {
		if err := p.AddReceipt(r); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := p.Finish(func(m []byte) []byte { return ed25519.Sign(testKey("promise"), m) }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) approve(i int, scope [32]byte, leaf tlog.Hash) *verify.Approval {
	w.t.Helper()
	ks := w.cert.KeySet()
	role, index, ok := ks.Find(public(w.people[i].id))
	if !ok {
		w.t.Fatal("no such custodian")
	}
	a := &verify.Approval{
		Cell: cell, Case: w.caseID.ID, Scope: scope, Leaf: leaf, KeySet: ks.Digest(), Epoch: ks.Epoch(),
		Role: role, Index: uint64(index), Custodian: w.people[i].id, Approve: true, Time: uint64(filed.Unix()),
	}
	if w.lie.approval != nil {
		w.lie.approval(a)
	}
	a.Sign(testKey(w.people[i].id))
	return a
}

func rowRef(i int) verify.RowRef {
	return verify.RowRef{Node: 1, Incarnation: 1, Seq: uint64(100 + i/rowsOf)}
}

// journal enters the rows of the release and their anchor, and returns their
// receipts once the ledger is complete.
func (w *world) journal(records []*record, scope [32]byte) func() [][]byte {
	w.t.Helper()
	var rows []*verify.Row
	var salts []verify.Salt
	var leaves []tlog.Hash
	for i, r := range records {
		if i%rowsOf == 0 {
			rows = append(rows, &verify.Row{
				RowRef: rowRef(i), Cell: cell, Time: uint64(made.UnixMilli()), Operation: verify.OpDisclose, Outcome: verify.OutcomeAllowed,
				Principal: "front-door", Assurance: verify.AssuranceCase, Purpose: "front_door", Basis: w.caseID.String(), RequestID: bonded.NewID(), Digest: scope,
			})
		}
		it := verify.RowItem{Subject: r.item.Subject, Record: r.item.Record}
		for j := range r.item.Fields {
			it.Fields = append(it.Fields, r.item.Fields[j].Name)
		}
		rows[len(rows)-1].Items = append(rows[len(rows)-1].Items, it)
	}
	for _, row := range rows {
		if w.lie.row != nil {
			w.lie.row(row)
		}
		s := newSalt()
		salts, leaves = append(salts, s), append(leaves, verify.RowLeaf(row, s))
	}
	if len(rows) == 0 {
		return func() [][]byte { return nil }
	}
	seg := &verify.Segment{Cell: cell, Node: 1, Incarnation: 1, Number: 1, First: 100, Count: uint64(len(rows)), Root: verify.TreeRoot(leaves)}
	segments := []tlog.Hash{seg.Hash()}
	root := verify.TreeRoot(segments)
	fields := make([]verify.LeafField, 6)
	for i, n := range []string{verify.AnchorSegments, verify.AnchorLast, verify.AnchorHead, verify.AnchorTombstones, verify.AnchorPolicy, verify.AnchorDirectory} {
		fields[i] = verify.LeafField{Name: n, Salt: newSalt()}
	}
	fields[0].Value = root[:]
	leaf := &verify.Leaf{Kind: verify.LeafAnchor, Cell: cell, Time: uint64(made.Unix()), Root: verify.CommitFields(fields)}
	index := w.append(leaf.Encode())
	return func() [][]byte {
		proof := string(w.proof(index))
		var out [][]byte
		for i, row := range rows {
			out = append(out, verify.MakeReceipt(row, salts[i], seg, leaves, i, segments, 0, leaf, fields, proof, nil).Encode())
		}
		return out
	}
}

// made returns the package of records as bytes.
func (w *world) made(records []*record) []byte {
	w.t.Helper()
	var b bytes.Buffer
	w.write(&b, records)
	return b.Bytes()
}
