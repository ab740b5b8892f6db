//go:build unix

package bondedtest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/bondedtest"
	"bonded/internal/deploy"
	"bonded/internal/ledger"
	"bonded/internal/remote"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// A liar is a patched vault: it has everything the vault of cell eu has, its
// certificate and its place in the books, and asks the keyholder what no
// honest vault would.
type liar struct {
	t     *testing.T // that is running
	whole *testing.T // at whose end the connections are closed
	d     *bondedtest.Deployment
	cell  *verify.DirectoryCell
	conn  *remote.Conn
	line  wire.Line
	inc   uint64
	seq   uint64
}

// newLiar takes the place of the vault, which must be stopped.
func newLiar(t *testing.T, d *bondedtest.Deployment) *liar {
	t.Helper()
	c, _ := d.Directory.Cell("eu")
	l := &liar{t: t, whole: t, d: d, cell: c}
	db := database(t, filepath.Join(d.Layout.Vault("eu"), "vault.db"))
	must(t, db.QueryRowContext(t.Context(), `SELECT incarnation, (SELECT max(seq) FROM journal) FROM journal_node`).Scan(&l.inc, &l.seq))
	must(t, db.Close())
	l.connect()
	return l
}

func (l *liar) connect() {
	l.t.Helper()
	id, err := remote.OpenIdentity(filepath.Join(l.d.Layout.Vault("eu"), "tls"))
	must(l.t, err)
	pin := remote.Pin{CA: func() []byte { return []byte(l.cell.KeyholderCA) }, Cell: "eu", Role: remote.RoleKeyholder}
	l.conn, err = remote.Dial(l.t.Context(), l.cell.Keyholder, remote.ClientTLS(id, pin))
	must(l.t, err)
	conn := l.conn
	l.whole.Cleanup(func() { _ = conn.Close() })
	l.line = wire.Line{Caller: l.conn}
	h, err := l.line.Hello(l.t.Context(), &wire.Hello{Cell: "eu", Node: 1, Incarnation: l.inc})
	if err != nil || h.Sealed {
		l.t.Fatalf("hello: %v", err)
	}
}

// read is an entry that opens the name of somebody, by bearer key.
func (l *liar) read(subject, record bonded.ID, fields ...string) wire.Entry {
	l.seq++
	e := wire.Entry{
		Seq: l.seq, Operation: verify.OpRead, Collection: "users", Purpose: "service", Reason: "test",
		Auth:  wire.Auth{Principal: bondedtest.App, Assurance: verify.AssuranceVault},
		Items: []wire.Item{{Subject: subject, Record: record}},
	}
	for _, f := range fields {
		e.Items[0].Fields = append(e.Items[0].Fields, wire.FieldVersion{Name: f, Version: bonded.NewID()})
	}
	_, _ = rand.Read(e.Leaf[:])
	return e
}

func (l *liar) unlock(e wire.Entry) *wire.UnlockResult {
	l.t.Helper()
	res, err := l.line.Unlock(l.t.Context(), &wire.Unlock{Node: 1, Incarnation: l.inc, Entries: []wire.Entry{e}})
	if err != nil || len(res.Entries) != 1 {
		l.t.Fatalf("unlock: %v", err)
	}
	return res
}

// wantKey and wantNoKey check an answer. A refusal holds no key, whatever it
// was refused for.
func wantKey(t *testing.T, what string, res *wire.UnlockResult) {
	t.Helper()
	if e := &res.Entries[0]; e.Code != "" || len(e.Items) != 1 || e.Items[0].Code != "" || len(e.Items[0].Keys) == 0 {
		t.Errorf("%s: refused with %q by %q", what, e.Code, e.Rule)
	}
}

func wantNoKey(t *testing.T, what string, res *wire.UnlockResult, code bonded.Code, rule string) {
	t.Helper()
	e := &res.Entries[0]
	if e.Code != code || e.Rule != rule {
		t.Errorf("%s: got %q by %q, want %q by %q", what, e.Code, e.Rule, code, rule)
	}
	for i := range e.Items {
		if len(e.Items[i].Keys) != 0 || len(e.Items[i].Outer) != 0 {
			t.Errorf("%s: a key came with the refusal", what)
		}
	}
}

// A liarSession is a session of a principal, opened through the liar.
type liarSession struct {
	id, key [32]byte
	message *wire.OpenSession
}

func (l *liar) session(principal string) liarSession {
	t := l.t
	t.Helper()
	cred, err := deploy.LoadCredential(l.d.Layout.Credential(principal))
	must(t, err)
	raw, err := base64.StdEncoding.DecodeString(l.cell.KeyholderHPKE)
	must(t, err)
	pub, err := seal.ParseHPKEPublic(raw)
	must(t, err)
	var s liarSession
	_, _ = rand.Read(s.key[:])
	challenge, err := l.line.Challenge(t.Context())
	must(t, err)
	blob, err := seal.SealTo(pub, []byte(principal), challenge[:], s.key[:])
	must(t, err)
	s.message = &wire.OpenSession{Grant: principal, Challenge: challenge, Blob: blob}
	copy(s.message.Sig[:], ed25519.Sign(cred.Cells["eu"].Key(), s.message.Message("eu")))
	open, err := l.line.OpenSession(t.Context(), s.message)
	must(t, err)
	s.id = open.ID
	return s
}

// prove puts the proof of exactly this entry into it.
func (s *liarSession) prove(e *wire.Entry, counter uint64, named []wire.Named) {
	e.Auth.Assurance, e.Auth.Named = verify.AssuranceProven, named
	if named == nil {
		named = wire.NamedItems("eu", e.Items)
	}
	r := wire.Request{Cell: "eu", Operation: e.Operation, Collection: e.Collection, Purpose: e.Purpose, Reason: e.Reason, Basis: e.Basis, Named: named, Body: e.Auth.Body}
	e.Auth.Proof = wire.MakeProof(s.key, s.id, counter, r.Digest())
}

// TestE2EVaultThatLies runs a patched vault against the real keyholder.
func TestE2EVaultThatLies(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell(), bondedtest.UndoWindow(time.Hour))
	app, desk := d.Client(bondedtest.App, "eu", "service"), d.Client(bondedtest.Privacy, "eu", "subject_request")
	anna, berta, doomed := create(t, app, "anna", "Anna"), create(t, app, "berta", "Berta"), create(t, app, "doomed", "Dora")
	erase, err := desk.Erase(t.Context(), subject(doomed))
	must(t, err)
	erased := anchored(t, desk, erase.Entry)
	_, opened, err := nameOf(t.Context(), app, anna)
	must(t, err)
	readReceipt := anchored(t, app, opened)

	stop(t, d, "eu/vault")
	l := newLiar(t, d)
	t.Run("what is entered once is answered once", func(t *testing.T) {
		l.t = t
		e := l.read(anna.Subject.ID, anna.Record.ID, "name")
		wantKey(t, "an honest read", l.unlock(e))
		wantNoKey(t, "the same again", l.unlock(e), bonded.CodeKeyholderRefused, "keyholder.stream")
		again := l.read(berta.Subject.ID, berta.Record.ID, "name")
		again.Seq = e.Seq
		wantNoKey(t, "another row under the same number", l.unlock(again), bonded.CodeKeyholderRefused, "keyholder.stream")
		same := l.read(berta.Subject.ID, berta.Record.ID, "name")
		same.Leaf = e.Leaf
		wantNoKey(t, "the same row under another number", l.unlock(same), bonded.CodeKeyholderRefused, "keyholder.row-reused")
		none := l.read(anna.Subject.ID, anna.Record.ID, "name")
		none.Leaf = [32]byte{}
		wantNoKey(t, "no row", l.unlock(none), bonded.CodeKeyholderRefused, "keyholder.row-reused")
	})
	t.Run("a proof opens what was named, once", func(t *testing.T) {
		l.t = t
		l.proofs(anna.Subject.ID, anna.Record.ID, berta.Subject.ID, berta.Record.ID)
	})

	// What it released is in the keyholder's book, so an honest vault enters it.
	restart(t, d, "eu/vault")
	ready(t, d)
	wantName(t, app, anna, "Anna")
	orphans := 0
	for _, r := range journal(t, d) {
		if r.Outcome == verify.OutcomeOrphan {
			orphans++
		}
	}
	if orphans == 0 {
		t.Error("the releases to the patched vault have no orphans")
	}
	wantBooksHold(t, d, "")
	late := l.read(anna.Subject.ID, anna.Record.ID, "name")
	l.t = t
	wantNoKey(t, "the patched vault beside its successor", l.unlock(late), bonded.CodeKeyholderRefused, "keyholder.stream")

	t.Run("a key is destroyed for a witnessed entry after the window", func(t *testing.T) {
		stop(t, d, "eu/vault")
		newLiar(t, d).destroy(erased, readReceipt, anna.Subject.ID, doomed.Subject.ID)
		restart(t, d, "eu/vault")
		ready(t, d)
		// Nothing happened, and yet it shows: no such rows were entered.
		j, b := exportBooks(t, d)
		if code, out := reconcile(t, d, j, b); code != 1 || !strings.Contains(out, "mismatch") {
			t.Errorf("reconcile ended with %d:\n%s", code, out)
		}
	})
	t.Run("a hidden orphan", func(t *testing.T) { hiddenOrphan(t, d) })
	t.Run("an anchor that lies about the keyholder's head", func(t *testing.T) { lyingAnchor(t, d) })
}

func (l *liar) proofs(anna, annaRecord, berta, bertaRecord bonded.ID) {
	t := l.t
	s := l.session(bondedtest.App)
	ask := func(counter uint64, change func(*wire.Entry)) *wire.UnlockResult {
		e := l.read(anna, annaRecord, "name")
		s.prove(&e, counter, nil)
		if change != nil {
			change(&e)
		}
		return l.unlock(e)
	}
	named := []wire.Named{{Subject: bonded.SubjectID{Cell: "eu", ID: anna}.String(), Record: bonded.RecordID{Cell: "eu", ID: annaRecord}.String(), Fields: []string{"name"}}}
	more := wire.Item{Subject: berta, Record: bertaRecord, Fields: []wire.FieldVersion{{Name: "name", Version: bonded.NewID()}}}
	email := wire.FieldVersion{Name: "email", Version: bonded.NewID()}

	wantKey(t, "a proven read", ask(1, nil))
	wantNoKey(t, "a replayed proof", ask(1, nil), bonded.CodeProof, "keyholder.proof-replayed")
	for what, change := range map[string]func(*wire.Entry){
		"another purpose":    func(e *wire.Entry) { e.Purpose = "support" },
		"another reason":     func(e *wire.Entry) { e.Reason = "because" },
		"another basis":      func(e *wire.Entry) { e.Basis = "contract" },
		"another person":     func(e *wire.Entry) { e.Items[0].Subject, e.Items[0].Record = berta, bertaRecord },
		"one more person":    func(e *wire.Entry) { e.Items = append(e.Items, more) },
		"one more field":     func(e *wire.Entry) { e.Items[0].Fields = append(e.Items[0].Fields, email) },
		"another operation":  func(e *wire.Entry) { e.Operation = verify.OpMask },
		"claimed resolution": func(e *wire.Entry) { e.Auth.Resolved, e.Items[0].Subject, e.Items[0].Record = true, berta, bertaRecord },
	} {
		wantNoKey(t, what, ask(2, change), bonded.CodeProof, "keyholder.proof-mac")
	}
	for what, change := range map[string]func(*wire.Entry){
		"one more person than named": func(e *wire.Entry) { e.Items = append(e.Items, more) },
		"one more field than named":  func(e *wire.Entry) { e.Items[0].Fields = append(e.Items[0].Fields, email) },
		"another person than named":  func(e *wire.Entry) { e.Items[0].Subject, e.Items[0].Record = berta, bertaRecord },
	} {
		e := l.read(anna, annaRecord, "name")
		s.prove(&e, 2, named)
		change(&e)
		wantNoKey(t, what, l.unlock(e), bonded.CodeProof, "keyholder.named")
	}
	beyond := l.read(anna, annaRecord, "name")
	beyond.Purpose = "subject_request"
	wantNoKey(t, "a purpose beyond the grant", l.unlock(beyond), bonded.CodeForbidden, "keyholder.purpose")
	stranger := l.read(anna, annaRecord, "name")
	stranger.Auth.Principal = "nobody"
	wantNoKey(t, "a principal nobody granted", l.unlock(stranger), bonded.CodeKeyholderRefused, "keyholder.grant-unknown")

	// Over a new connection nothing is forgotten.
	must(t, l.conn.Close())
	l.connect()
	wantNoKey(t, "a replayed proof over a new connection", ask(1, nil), bonded.CodeProof, "keyholder.proof-replayed")
	if _, err := l.line.OpenSession(t.Context(), s.message); bonded.CodeOf(err) != bonded.CodeProof {
		t.Errorf("a replayed session: %v", err)
	}
	wantKey(t, "the session goes on", ask(2, nil))
}

func (l *liar) destroy(erased, other *verify.Receipt, alive, doomed bonded.ID) {
	t := l.t
	rowOf := func(r *verify.Receipt) (verify.RowRef, [32]byte) {
		rep, err := verify.CheckReceipt(r, l.d.Directory)
		must(t, err)
		return rep.Row.RowRef, rep.Leaf
	}
	ask := func(subject bonded.ID, r *verify.Receipt, principal string) error {
		ref, leaf := rowOf(r)
		_, err := l.line.Destroy(t.Context(), &wire.Destroy{
			Subject: subject, Auth: wire.Auth{Principal: principal, Assurance: verify.AssuranceVault}, Purpose: "subject_request", Reason: "test",
			Ref: ref, Leaf: leaf, Receipt: r.Encode(),
		})
		return err
	}
	refused := func(what string, err error, code bonded.Code, rule string) {
		t.Helper()
		e, ok := errors.AsType[*bonded.Error](err)
		if !ok || e.Code != code || len(e.Rules) != 1 || e.Rules[0] != rule {
			t.Errorf("%s: got %v, want %s by %s", what, err, code, rule)
		}
	}
	refused("before the window is over", ask(doomed, erased, bondedtest.Privacy), bonded.CodeKeyholderRefused, "keyholder.undo-window")
	refused("another person", ask(alive, erased, bondedtest.Privacy), bonded.CodeKeyholderRefused, "keyholder.receipt")
	refused("the receipt of a read", ask(alive, other, bondedtest.Privacy), bonded.CodeKeyholderRefused, "keyholder.receipt")
	// A receipt of an erasure that was never entered, under the anchor of another.
	ref, _ := rowOf(erased)
	row := &verify.Row{
		RowRef: ref, Cell: "eu", Operation: verify.OpErase, Outcome: verify.OutcomeAllowed, Principal: bondedtest.Privacy, Assurance: verify.AssuranceVault,
		Purpose: "subject_request", RequestID: bonded.NewID(), Items: []verify.RowItem{{Subject: alive}},
	}
	forged := *erased
	seg := &verify.Segment{Cell: "eu", Node: 1, Number: 1, First: 1, Count: 1, Root: verify.RowLeaf(row, verify.Salt{1})}
	fields := []verify.LeafField{{Name: verify.AnchorSegments}}
	own := verify.MakeReceipt(row, verify.Salt{1}, seg, []tlog.Hash{seg.Root}, 0, []tlog.Hash{seg.Hash()}, 0,
		&verify.Leaf{Kind: verify.LeafAnchor, Cell: "eu"}, fields, "", nil)
	forged.Head, forged.Salt, forged.Items = own.Head, own.Salt, own.Items
	_, err := l.line.Destroy(t.Context(), &wire.Destroy{
		Subject: alive, Auth: wire.Auth{Principal: bondedtest.Privacy, Assurance: verify.AssuranceVault}, Purpose: "subject_request",
		Ref: ref, Leaf: verify.RowLeaf(row, verify.Salt{1}), Receipt: forged.Encode(),
	})
	refused("a forged receipt", err, bonded.CodeKeyholderRefused, "keyholder.receipt")
	wantKey(t, "who was to be destroyed", l.unlock(l.read(alive, bonded.NewID(), "name")))
}

// hiddenOrphan lets a patched vault release a key without a row, and makes it
// believe that its books agree, so that no orphan is entered: the keyholder
// stops unlocking, and reconciling names the release.
func hiddenOrphan(t *testing.T, d *bondedtest.Deployment) {
	app := d.Client(bondedtest.App, "eu", "service")
	p := create(t, app, "carla", "Carla")
	// 1. A keyholder that waits for rows 10 s and no longer.
	stop(t, d, "eu/keyholder")
	path := filepath.Join(d.Layout.Keyholder("eu"), "keyholder.yaml")
	conf, err := os.ReadFile(path)
	must(t, err)
	short := bytes.Replace(conf, []byte("freshness: 15m"), []byte("freshness: 10s"), 1)
	if bytes.Equal(short, conf) {
		t.Fatal("keyholder.yaml names no freshness")
	}
	must(t, os.WriteFile(path, short, 0o600))
	restart(t, d, "eu/keyholder")
	ready(t, d)
	wantName(t, app, p, "Carla")

	// 2. A release that the vault hides.
	stop(t, d, "eu/vault")
	l := newLiar(t, d)
	e := l.read(p.Subject.ID, p.Record.ID, "name")
	res := l.unlock(e)
	wantKey(t, "the release", res)
	db := database(t, filepath.Join(d.Layout.Vault("eu"), "vault.db"))
	for _, name := range []string{"keyholder_head", "keyholder_newest"} {
		exec1(t, db, `UPDATE vault_value SET value = ? WHERE name = ?`, res.Head.Encode(), name)
	}
	must(t, db.Close())
	restart(t, d, "eu/vault")

	// 3. The keyholder gives it some seconds, and then nothing more to anybody.
	poll(t, "the keyholder stopping", func() error {
		if _, _, err := nameOf(t.Context(), app, p); bonded.CodeOf(err) != bonded.CodeStale {
			return fmt.Errorf("a read answers %w", err)
		}
		return nil
	})
	st, err := l.line.Status(t.Context())
	if err != nil || st.Unanchored == 0 || !strings.Contains(st.Reason, "not in an anchored segment") {
		t.Errorf("the keyholder says %+v, %v", st, err)
	}

	// 4. Whoever holds the books against each other is told which.
	journal, book := exportBooks(t, d)
	code, out := reconcile(t, d, journal, book)
	ref := verify.RowRef{Node: 1, Incarnation: l.inc, Seq: e.Seq}.String()
	if code != 1 || !strings.Contains(out, "1 key releases without an entry") || !strings.Contains(out, ref) {
		t.Errorf("reconcile ended with %d and does not name %s:\n%s", code, ref, out)
	}
}

// lyingAnchor publishes an anchor that names a head the keyholder never
// signed. The keyholder does not accept it, and the honest vault, started over
// it, finds a ledger that is not its own.
func lyingAnchor(t *testing.T, d *bondedtest.Deployment) {
	stop(t, d, "eu/vault")
	l := newLiar(t, d)
	log := l.ledger()
	st, err := l.line.Status(t.Context())
	must(t, err)
	_, stranger, err := ed25519.GenerateKey(nil)
	must(t, err)
	head := st.Head
	head.Seq += 1000
	copy(head.Sig[:], ed25519.Sign(stranger, head.Message()))

	for what, h := range map[string]verify.Head{"signed by a stranger": head, "of no signature": {Cell: "eu", Seq: 1}} {
		root := verify.TreeRoot(nil)
		fields := []verify.LeafField{
			{Name: verify.AnchorSegments, Value: root[:]},
			{Name: verify.AnchorLast},
			{Name: verify.AnchorHead, Value: h.Encode()},
			{Name: verify.AnchorTombstones, Value: make([]byte, 40)},
			{Name: verify.AnchorPolicy, Value: make([]byte, 32)},
			{Name: verify.AnchorDirectory, Value: make([]byte, 32)},
		}
		leaf := &verify.Leaf{Kind: verify.LeafAnchor, Cell: "eu", Time: uint64(time.Now().Unix()), Root: verify.CommitFields(fields)} //nolint:gosec // after 1970
		receipt, err := log.Append(t.Context(), leaf.Encode())
		must(t, err)
		_, err = l.line.Anchor(t.Context(), &wire.Anchor{Leaf: leaf.Encode(), Fields: verify.EncodeFields(fields), Proof: receipt.Proof()})
		if bonded.CodeOf(err) != bonded.CodeStale {
			t.Errorf("a head %s: %v", what, err)
		}
	}
	must(t, log.Close(t.Context()))
	restart(t, d, "eu/vault")
	poll(t, "the vault refusing a ledger that is not its own", func() error {
		select {
		case <-d.Process("eu/vault").Done():
			if words := d.Process("eu/vault").LastLines(3); !strings.Contains(words, string(bonded.CodeRestored)) {
				t.Fatalf("it ended for another reason: %s", words)
			}
			return nil
		default:
			return fmt.Errorf("it runs: %s", d.Process("eu/vault").LastLines(3))
		}
	})
}

// ledger opens the vault's ledger with the vault's keys and the real witnesses.
func (l *liar) ledger() *ledger.Ledger {
	t, dir := l.t, l.d.Layout.Vault("eu")
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, "keys", "ledger.key"))
	must(t, err)
	id, err := remote.OpenIdentity(filepath.Join(dir, "tls"))
	must(t, err)
	v, err := note.NewVerifier(l.cell.LedgerKey)
	must(t, err)
	pin := remote.Pin{CA: func() []byte { return []byte(l.cell.WitnessCA) }, Cell: remote.CellWitness, Role: remote.RoleWitness}
	log, err := ledger.Open(t.Context(), ledger.Config{
		Dir: filepath.Join(dir, "ledger"), Origin: v.Name(), SignerKey: strings.TrimSpace(string(key)), Policy: []byte(l.cell.WitnessPolicy),
		HTTPClient: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: remote.ClientTLS(id, pin)}},
	})
	must(t, err)
	return log
}
