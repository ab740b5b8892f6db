//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/keyholder/keyholderd"
	"bonded/internal/policy"
	"bonded/internal/remote"
	"bonded/internal/wire"
	"bonded/verify"
)

// TestMain runs the program itself when a test starts it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("BONDED_TEST_PROCESS") == "1" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// A setup is a keyholder's folder, the vault's certificates, the
// administrator, and a ledger with one witness made by hand.
type setup struct {
	t       testing.TB
	dir     string
	pass    string
	pub     keyholderd.Public
	admin   ed25519.PrivateKey
	set     grant.Set
	vault   *remote.Identity
	vaultCA *remote.Authority
	signer  note.Signer
	vkey    string
	witness ed25519.PrivateKey
	entries [][]byte
	hashes  []tlog.Hash
	segs    uint64
}

func newSetup(t testing.TB, initArgs ...string) *setup {
	t.Helper()
	s := &setup{t: t, dir: filepath.Join(t.TempDir(), "keyholder"), pass: filepath.Join(t.TempDir(), "passphrase")}
	s.write(s.pass, []byte("correct horse\n"))
	if initArgs == nil {
		initArgs = []string{"--passphrase-file", s.pass}
	}
	code, out := s.cli(append([]string{"init", s.dir, "--cell", "eu", "--suite", "sm4-gcm", "--listen", "127.0.0.1:0", "--undo-window", "0s", "--waiting-time", "0s"}, initArgs...)...)
	if code != 0 {
		t.Fatalf("init: %s", out)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "public.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s.pub); err != nil {
		t.Fatal(err)
	}
	s.vaultParty()
	s.ledger()
	s.directory()
	s.grants()
	return s
}

func (s *setup) write(path string, b []byte) {
	s.t.Helper()
	if err := remote.WriteFile(path, b); err != nil {
		s.t.Fatal(err)
	}
}

// cli runs a command inside this process.
func (s *setup) cli(args ...string) (int, string) {
	var out bytes.Buffer
	code := run(args, strings.NewReader(""), &out, &out)
	return code, out.String()
}

func (s *setup) vaultParty() {
	s.t.Helper()
	s.vaultCA, s.vault = s.party(remote.RoleVault)
}

func (s *setup) party(role remote.Role) (*remote.Authority, *remote.Identity) {
	s.t.Helper()
	ca, err := remote.NewAuthority("test", time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	if err := ca.IssueFiles(dir, remote.Leaf{Cell: "eu", Role: role}, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	id, err := remote.OpenIdentity(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return ca, id
}

func (s *setup) ledger() {
	s.t.Helper()
	const origin = "log.example/eu"
	pub, key, _ := ed25519.GenerateKey(nil)
	var err error
	if s.vkey, err = note.NewEd25519VerifierKey(origin, pub); err != nil {
		s.t.Fatal(err)
	}
	skey := "PRIVATE+KEY+" + origin + "+" + strings.Split(s.vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))
	if s.signer, err = note.NewSigner(skey); err != nil {
		s.t.Fatal(err)
	}
	_, s.witness, _ = ed25519.GenerateKey(nil)
}

func (s *setup) directory() {
	s.t.Helper()
	w, err := verify.CosignatureVkey("w.example", s.witness.Public().(ed25519.PublicKey))
	if err != nil {
		s.t.Fatal(err)
	}
	var adminPub ed25519.PublicKey
	adminPub, s.admin, _ = ed25519.GenerateKey(nil)
	d := &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Admin: verify.EncodePublicKey(adminPub), Default: "eu",
		Cells: []verify.DirectoryCell{{
			ID: "eu", Jurisdictions: []bonded.Jurisdiction{"DE"}, Suite: s.pub.Suite, LedgerKey: s.vkey,
			WitnessPolicy: "witness w " + w + " https://127.0.0.1/\nquorum w\n",
			PromiseKey:    verify.EncodePublicKey(adminPub), KeyholderKey: s.pub.Key, KeyholderHPKE: s.pub.HPKE,
			VaultCA: string(s.vaultCA.PEM()), KeyholderCA: s.pub.CA,
		}},
	}
	file := d.Encode()
	s.write(filepath.Join(s.dir, "cells.json.sig"), verify.SignDirectory(s.admin, file))
	s.write(filepath.Join(s.dir, "cells.json"), file)
	s.write(filepath.Join(s.dir, "policy.cedar"), policy.DefaultOperatorPolicy())
}

// grants signs the next grant set and puts it into the folder.
func (s *setup) grants() []byte {
	s.t.Helper()
	s.set.Format, s.set.Cell, s.set.Issued = grant.Format, "eu", time.Now().UTC()
	s.set.Number++
	if s.set.Grants == nil {
		s.set.Grants = []grant.Grant{{
			ID: "app", Location: "eu", Roles: []string{"app"}, Purposes: []bonded.Purpose{"support"}, Scope: map[string][]string{"users": {"*"}},
			Budget: 1_000_000, Bearer: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}}
	}
	file, err := grant.Sign(&s.set, s.admin)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(filepath.Join(s.dir, "grants.json"), file)
	return file
}

// ReadHashes implements [tlog.HashReader].
func (s *setup) ReadHashes(ix []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ix))
	for i, x := range ix {
		out[i] = s.hashes[x]
	}
	return out, nil
}

// anchor returns an anchor over one segment of the leaves given, if any.
func (s *setup) anchor(leaves [][32]byte, head *verify.Head) *wire.Anchor {
	s.t.Helper()
	a := &wire.Anchor{}
	var last []byte
	var hashes []tlog.Hash
	if len(leaves) > 0 {
		s.segs++
		hs := make([]tlog.Hash, len(leaves))
		for i := range leaves {
			hs[i] = leaves[i]
		}
		seg := &verify.Segment{Cell: "eu", Node: 1, Incarnation: 1, Number: s.segs, First: 1, Count: uint64(len(hs)), Root: verify.TreeRoot(hs)}
		last, hashes = verify.EncodeSegment(seg), []tlog.Hash{seg.Hash()}
		a.Segments = []wire.AnchoredSegment{{Segment: last, Leaves: leaves}}
	}
	root := verify.TreeRoot(hashes)
	zero := make([]byte, 40)
	fields := []verify.LeafField{
		{Name: verify.AnchorSegments, Value: root[:]},
		{Name: verify.AnchorLast, Value: last},
		{Name: verify.AnchorHead, Value: head.Encode()},
		{Name: verify.AnchorTombstones, Value: zero},
		{Name: verify.AnchorPolicy, Value: zero[:32]},
		{Name: verify.AnchorDirectory, Value: zero[:32]},
	}
	leaf := &verify.Leaf{Kind: verify.LeafAnchor, Cell: "eu", Root: verify.CommitFields(fields)}
	a.Leaf, a.Fields = leaf.Encode(), verify.EncodeFields(fields)
	a.Proof = s.publish(a.Leaf)
	return a
}

// announce puts a control leaf into the ledger and returns the evidence.
func (s *setup) announce(c verify.Control) []byte {
	s.t.Helper()
	fields := c.Fields()
	leaf := (&verify.Leaf{Kind: verify.LeafControl, Cell: "eu", Root: verify.CommitFields(fields)}).Encode()
	return (&verify.Evidence{Leaf: leaf, Fields: fields, Proof: string(s.publish(leaf))}).Encode()
}

// publish puts an entry into the ledger and returns its proof under a
// checkpoint cosigned now.
func (s *setup) publish(entry []byte) []byte {
	s.t.Helper()
	n := int64(len(s.entries))
	hs, err := tlog.StoredHashes(n, entry, s)
	if err != nil {
		s.t.Fatal(err)
	}
	s.entries, s.hashes = append(s.entries, entry), append(s.hashes, hs...)
	tree, err := tlog.TreeHash(n+1, s)
	if err != nil {
		s.t.Fatal(err)
	}
	path, err := tlog.ProveRecord(n+1, n, s)
	if err != nil {
		s.t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", s.signer.Name(), n+1, tree)
	raw, err := note.Sign(&note.Note{Text: text}, s.signer)
	if err != nil {
		s.t.Fatal(err)
	}
	at := time.Now().Unix()
	sig := ed25519.Sign(s.witness, verify.CosignatureMessage(text, at))
	raw = append(raw, verify.CosignatureLine("w.example", s.witness.Public().(ed25519.PublicKey), at, sig)...)
	return (&verify.TlogProof{Index: n, Hashes: path, Checkpoint: raw}).Format()
}

// A process is a keyholder started by a test.
type process struct {
	cmd  *exec.Cmd
	addr string
	line string // what it printed when it was ready
	done chan struct{}
}

// serve starts the program and waits until it listens.
func (s *setup) serve(args ...string) *process {
	s.t.Helper()
	p, out := s.start(args...)
	if p.addr == "" {
		s.t.Fatalf("it does not listen: %s", out)
	}
	return p
}

func (s *setup) start(args ...string) (*process, string) {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"serve", s.dir}, args...)...)
	cmd.Env = append(os.Environ(), "BONDED_TEST_PROCESS=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	s.t.Cleanup(p.kill)
	ready := make(chan struct{})
	var out strings.Builder
	go func() {
		defer close(p.done)
		listening := false
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			if listening {
				continue
			}
			out.WriteString(sc.Text() + "\n")
			if _, rest, ok := strings.Cut(sc.Text(), "listening on "); ok {
				p.addr, _, _ = strings.Cut(rest, ",")
				p.line, listening = sc.Text(), true
				close(ready)
			}
		}
		_ = cmd.Wait()
	}()
	select {
	case <-ready:
	case <-p.done:
	case <-time.After(30 * time.Second):
		s.t.Fatal("the process neither listens nor ends")
	}
	return p, out.String()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// dial connects as the vault.
func (s *setup) dial(p *process) (wire.Line, *remote.Conn) {
	s.t.Helper()
	pin := remote.Pin{CA: func() []byte { return []byte(s.pub.CA) }, Cell: "eu", Role: remote.RoleKeyholder}
	c, err := remote.Dial(s.t.Context(), p.addr, remote.ClientTLS(s.vault, pin))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return wire.Line{Caller: c}, c
}

// passStartCheck shows a fresh anchor.
func (s *setup) passStartCheck(l wire.Line, leaves [][32]byte) {
	s.t.Helper()
	h, err := l.Hello(s.t.Context(), &wire.Hello{Cell: "eu", Node: 1})
	if err != nil || h.Sealed {
		s.t.Fatalf("Hello: %v", err)
	}
	if res, err := l.Anchor(s.t.Context(), s.anchor(leaves, &h.Head)); err != nil || !res.Accepted {
		s.t.Fatalf("Anchor: %v", err)
	}
	if st, err := l.Status(s.t.Context()); err != nil || st.Reason != "" {
		s.t.Fatalf("Status: %v, %q", err, st.Reason)
	}
}

func createEntry(seq uint64) wire.Entry {
	e := wire.Entry{
		Seq: seq, Operation: verify.OpCreate, Collection: "users", Purpose: "support", Auth: wire.Auth{Principal: "app", Assurance: verify.AssuranceVault},
		Items: []wire.Item{{Create: true, Subject: bonded.NewID(), Record: bonded.NewID(), Fields: []wire.FieldVersion{{Name: "name"}}}},
	}
	_, _ = rand.Read(e.Leaf[:])
	binary.BigEndian.PutUint64(e.Leaf[:], seq)
	return e
}

func TestKilledKeyholderKeepsEveryAcknowledgedRelease(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	s := newSetup(t)
	public, err := verify.DecodePublicKey(s.pub.Key)
	if err != nil {
		t.Fatal(err)
	}
	acked := map[[32]byte][32]byte{} // row leaf → key released
	entries := map[[32]byte]wire.Entry{}
	versions := map[[32]byte]bonded.ID{}
	var head verify.Head
	for round := range rounds {
		p := s.serve("--passphrase-file", s.pass)
		line, conn := s.dial(p)
		h, err := line.Hello(t.Context(), &wire.Hello{Cell: "eu", Node: 1, Head: head})
		if err != nil {
			t.Fatalf("round %d: Hello with the last head seen: %v", round, err)
		}
		checkBook(t, line, &h.Head, public, acked)
		s.passStartCheck(line, nil)
		checkKeys(t, line, uint64(2*round+1), entries, versions, acked)

		// Load from several callers until it is killed.
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var order sync.Mutex // keeps batches in the order of their numbers
		var seq uint64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					u := &wire.Unlock{Node: 1, Incarnation: uint64(2*round + 2)}
					order.Lock()
					for range 1 + mathrand.IntN(8) {
						seq++
						u.Entries = append(u.Entries, createEntry(seq))
					}
					wait, err := conn.Begin(ctx, byte(wire.MsgUnlock), wire.EncodeUnlock(u))
					order.Unlock()
					if err != nil {
						return
					}
					b, err := wait()
					if err != nil {
						return
					}
					res, err := wire.DecodeUnlockResult(b)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for i, e := range res.Entries {
						if e.Code != "" || e.Items[0].Code != "" {
							t.Errorf("refused: %q %q", e.Code, e.Rule)
							continue
						}
						leaf := u.Entries[i].Leaf
						acked[leaf], entries[leaf], versions[leaf] = e.Items[0].Keys[0], u.Entries[i], e.Items[0].Version
					}
					if res.Head.Seq > head.Seq {
						head = res.Head
					}
					mu.Unlock()
				}
			})
		}
		<-time.After(time.Duration(20+mathrand.IntN(120)) * time.Millisecond)
		p.kill()
		cancel()
		wg.Wait()
	}
	if len(acked) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	p := s.serve("--passphrase-file", s.pass)
	line, _ := s.dial(p)
	h, err := line.Hello(t.Context(), &wire.Hello{Cell: "eu", Node: 1, Head: head})
	if err != nil {
		t.Fatal(err)
	}
	checkBook(t, line, &h.Head, public, acked)
	t.Logf("%d releases acknowledged over %d rounds, %d rows in the book", len(acked), rounds, h.Head.Seq)
}

// checkBook checks numbers and chain of the whole book, its signed head, and
// that every acknowledged release is in it.
func checkBook(t *testing.T, line wire.Line, head *verify.Head, key ed25519.PublicKey, acked map[[32]byte][32]byte) {
	t.Helper()
	var chain [32]byte
	seen := map[[32]byte]int{}
	n := uint64(0)
	for n < head.Seq {
		rows, err := line.Book(t.Context(), n, min(2000, head.Seq-n))
		if err != nil || len(rows) == 0 {
			t.Fatalf("Book after %d: %d rows, %v", n, len(rows), err)
		}
		for _, b := range rows {
			n++
			r, err := verify.DecodeBookRow(b)
			if err != nil || r.Seq != n {
				t.Fatalf("row %d: %v", n, err)
			}
			chain = verify.BookChain(chain, b)
			if r.Kind == verify.BookUnlock && r.Outcome == verify.OutcomeAllowed {
				seen[r.RowLeaf]++
			}
		}
	}
	if chain != head.Chain || !head.Verify(key) {
		t.Error("the signed head does not end the book")
	}
	for leaf := range acked {
		if seen[leaf] < 1 {
			t.Errorf("an acknowledged release is not in the book")
		}
	}
}

// checkKeys reads some of what was created before the kill.
func checkKeys(t *testing.T, line wire.Line, incarnation uint64, entries map[[32]byte]wire.Entry, versions map[[32]byte]bonded.ID, acked map[[32]byte][32]byte) {
	t.Helper()
	u := &wire.Unlock{Node: 1, Incarnation: incarnation}
	var want [][32]byte
	for leaf, e := range entries {
		if len(want) == 20 {
			break
		}
		r := createEntry(uint64(len(want) + 1))
		it := e.Items[0]
		r.Operation = verify.OpRead
		r.Items = []wire.Item{{Subject: it.Subject, Record: it.Record, Fields: []wire.FieldVersion{{Name: "name", Version: versions[leaf]}}}}
		u.Entries = append(u.Entries, r)
		want = append(want, acked[leaf])
	}
	if len(want) == 0 {
		return
	}
	res, err := line.Unlock(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if it := res.Entries[i].Items[0]; it.Code != "" || it.Keys[0] != want[i] {
			t.Errorf("an acknowledged subject reads as %q", it.Code)
		}
	}
}

func TestSealedKeyholderIsUnsealedByItsOperator(t *testing.T) {
	s := newSetup(t)
	p := s.serve()
	if !strings.Contains(p.line, "keyholder of cell eu listening on 127.0.0.1:") || !strings.Contains(p.line, ", sealed") {
		t.Errorf("line %q", p.line)
	}
	line, _ := s.dial(p)
	if h, err := line.Hello(t.Context(), &wire.Hello{Cell: "eu"}); err != nil || !h.Sealed {
		t.Errorf("Hello = %+v, %v", h, err)
	}
	if _, err := line.Unlock(t.Context(), &wire.Unlock{Node: 1, Entries: []wire.Entry{createEntry(1)}}); bonded.CodeOf(err) != bonded.CodeSealed {
		t.Errorf("Unlock = %v", err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong")
	s.write(wrong, []byte("incorrect horse\n"))
	if code, out := s.cli("unseal", s.dir, "--passphrase-file", wrong); code != exitWho || !strings.Contains(out, "wrong passphrase") || strings.Contains(out, "horse") {
		t.Errorf("wrong passphrase: %d, %s", code, out)
	}
	if code, out := s.cli("status", s.dir); code != 0 || !strings.Contains(out, "sealed") {
		t.Errorf("status: %d, %s", code, out)
	}
	if code, out := s.cli("log", s.dir, "export", filepath.Join(t.TempDir(), "x")); code != exitClosed || !strings.Contains(out, "[sealed]") {
		t.Errorf("log export: %d, %s", code, out)
	}
	if code, out := s.cli("unseal", s.dir, "--passphrase-file", s.pass); code != 0 {
		t.Errorf("unseal: %d, %s", code, out)
	}
	if code, out := s.cli("unseal", s.dir, "--passphrase-file", wrong); code != 0 || out != "already unsealed; nothing was checked\n" {
		t.Errorf("unseal again: %d, %s", code, out)
	}
	s.passStartCheck(line, nil)
	if res, err := line.Unlock(t.Context(), &wire.Unlock{Node: 1, Entries: []wire.Entry{createEntry(1)}}); err != nil || res.Entries[0].Code != "" {
		t.Errorf("Unlock = %v", err)
	}
}

func TestKeyholderIsUnsealedByShares(t *testing.T) {
	shares := t.TempDir()
	s := newSetup(t, "--shares", "3", "--threshold", "2", "--shares-dir", shares)
	p := s.serve()
	line, _ := s.dial(p)
	file := func(n int) string { return filepath.Join(shares, fmt.Sprintf("share-%d.txt", n)) }
	if code, out := s.cli("unseal", s.dir, "--share-file", file(1)); code != exitWho || !strings.Contains(out, "1 given, 2 needed") {
		t.Errorf("one share: %d, %s", code, out)
	}
	if code, out := s.cli("unseal", s.dir, "--share-file", file(3), "--share-file", file(1)); code != 0 {
		t.Errorf("two shares: %d, %s", code, out)
	}
	s.passStartCheck(line, nil)
}

func TestOperatorsCommands(t *testing.T) {
	s := newSetup(t)
	p := s.serve("--passphrase-file", s.pass)
	line, _ := s.dial(p)
	s.passStartCheck(line, nil)
	if _, err := line.Unlock(t.Context(), &wire.Unlock{Node: 1, Entries: []wire.Entry{createEntry(1)}}); err != nil {
		t.Fatal(err)
	}

	// A second process on the same folder is kept out.
	if q, out := s.start("--passphrase-file", s.pass); q.addr != "" || !strings.Contains(out, "another process") {
		t.Errorf("a second process: %s", out)
	}

	code, out := s.cli("status", s.dir, "-o", "json")
	var st statusJSON
	if err := json.Unmarshal([]byte(out), &st); code != 0 || err != nil || st.Subjects != 1 || st.GrantSet != 1 || st.Sealed {
		t.Errorf("status: %d, %s", code, out)
	}
	if code, out := s.cli("rotate", s.dir); code != 0 || !strings.Contains(out, "version 2") {
		t.Errorf("rotate: %d, %s", code, out)
	}

	// The export is what the verifier reads.
	export := filepath.Join(t.TempDir(), "book")
	if code, out := s.cli("log", s.dir, "export", export); code != 0 {
		t.Fatalf("log export: %s", out)
	}
	f, err := os.Open(export)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := verify.NewBookReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var chain [32]byte
	for {
		row, err := r.Next()
		if err != nil {
			break
		}
		chain = verify.BookChain(chain, row)
	}
	key, _ := verify.DecodePublicKey(s.pub.Key)
	if h := r.Head(); h == nil || h.Chain != chain || !h.Verify(key) {
		t.Error("the export does not end in its signed head")
	}

	// Grants: by hand, and from the folder by themselves.
	s.grants()
	await(t, func() bool { st, err := line.Status(t.Context()); return err == nil && st.GrantSet == 2 })
	file := filepath.Join(t.TempDir(), "grants")
	s.write(file, s.grants())
	if code, out := s.cli("grants", s.dir, "install", file); code != 0 || !strings.Contains(out, "grant set 3 is in force") {
		t.Errorf("grants install: %d, %s", code, out)
	}
	s.write(file, []byte(`{"set":"e30=","signature":""}`))
	if code, out := s.cli("grants", s.dir, "install", file); code == 0 || !strings.Contains(out, "not signed") {
		t.Errorf("grants of a stranger: %d, %s", code, out)
	}
}

func TestPolicyIsTakenUpWithoutRestart(t *testing.T) {
	s := newSetup(t)
	p := s.serve("--passphrase-file", s.pass)
	line, _ := s.dial(p)
	before, err := line.Hello(t.Context(), &wire.Hello{Cell: "eu"})
	if err != nil {
		t.Fatal(err)
	}
	s.passStartCheck(line, nil)
	path := filepath.Join(s.dir, "policy.cedar")
	unlock := func(seq uint64) bonded.Code {
		t.Helper()
		res, err := line.Unlock(t.Context(), &wire.Unlock{Node: 1, Entries: []wire.Entry{createEntry(seq)}})
		if err != nil {
			t.Fatal(err)
		}
		return res.Entries[0].Code
	}
	text := []byte("@id(\"only-status\")\npermit (principal, action == Action::\"status\", resource);\n")

	// 1. A text that is not announced is not taken up, also not at a restart;
	// one that is no policy never.
	s.write(path, text)
	code, out := s.cli("serve", s.dir, "--passphrase-file", s.pass)
	if code == 0 {
		t.Errorf("a second process: %s", out)
	}
	p.kill()
	p = s.serve("--passphrase-file", s.pass)
	line, _ = s.dial(p)
	s.passStartCheck(line, nil)
	if h, err := line.Hello(t.Context(), &wire.Hello{Cell: "eu"}); err != nil || h.Policy != before.Policy {
		t.Errorf("a policy that nobody announced is in force: %v", err)
	}
	if c := unlock(1); c != "" {
		t.Errorf("under the old policy: %q", c)
	}
	bad := []byte("this is no policy")
	s.write(path, bad)
	s.write(path+".evidence", s.announce(verify.Control{Subject: verify.ControlPolicy, Number: 1, Digest: sha256.Sum256(bad)}))
	await(t, func() bool { st, err := line.Status(t.Context()); return err == nil && len(st.Waiting) == 1 })

	// 2. With evidence from the vault, or beside the file, it is.
	s.write(path, text)
	e := &wire.Evidence{Subject: verify.ControlPolicy, Number: 2, Evidence: s.announce(verify.Control{Subject: verify.ControlPolicy, Number: 2, Digest: sha256.Sum256(text)})}
	if _, err := line.Evidence(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		h, err := line.Hello(t.Context(), &wire.Hello{Cell: "eu"})
		return err == nil && h.Policy != before.Policy
	})
	if c := unlock(2); c != bonded.CodeForbidden {
		t.Errorf("under the new policy: %q", c)
	}
}

func TestDirectoryIsAcceptedByHandOnly(t *testing.T) {
	s := newSetup(t)
	p := s.serve("--passphrase-file", s.pass)
	s.dial(p)
	old := s.admin
	s.set.Grants = nil
	p.kill()
	s.directory() // another administrator
	if s.admin.Equal(old) {
		t.Fatal("the same administrator")
	}
	p = s.serve("--passphrase-file", s.pass)
	line, _ := s.dial(p)
	if st, err := line.Status(t.Context()); err != nil || st.GrantSet != 1 {
		t.Errorf("the directory in force is another: set %d, %v", st.GrantSet, err)
	}
	p.kill()
	p = s.serve("--accept-directory") // sealed: it is booked once that ends
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code, out := s.cli("unseal", s.dir, "--passphrase-file", s.pass); code != 0 {
		t.Fatalf("unseal: %s", out)
	}
	line, _ = s.dial(p)
	if st, err := line.Status(t.Context()); err != nil || st.GrantSet != 0 {
		t.Errorf("the grants of the administrator before are in force: set %d, %v", st.GrantSet, err)
	}
	s.grants()
	file := filepath.Join(s.dir, "grants.json")
	if code, out := s.cli("grants", s.dir, "install", file); code == 0 || !strings.Contains(out, "no evidence") {
		t.Errorf("grants without evidence: %d, %s", code, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.write(file+".evidence", s.announce(verify.Control{Subject: verify.ControlGrants, Number: 2, Digest: grant.Digest(b)}))
	if code, out := s.cli("grants", s.dir, "install", file); code != 0 || !strings.Contains(out, "grant set 2 is in force") {
		t.Errorf("grants with evidence: %d, %s", code, out)
	}
}

func TestOtherPartiesAreNotServed(t *testing.T) {
	s := newSetup(t)
	p := s.serve("--passphrase-file", s.pass)
	_, s.vault = s.party(remote.RoleVault) // under another authority
	line, _ := s.dial(p)
	if _, err := line.Status(t.Context()); err == nil {
		t.Error("a stranger was served")
	}
}

func await(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not happen")
		}
	}
}
