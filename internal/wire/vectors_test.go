package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

const vectorsFile = "../../spec/vectors/wire.json"

func fixed(label string) [32]byte { return sha256.Sum256([]byte("bonded test hash " + label)) }

func fixedID(label string) bonded.ID { h := fixed(label); return bonded.ID(h[:16]) }

func testKey(label string) ed25519.PrivateKey {
	seed := fixed("key " + label)
	return ed25519.NewKeyFromSeed(seed[:])
}

func testUnlock(proof wire.Proof) *wire.Unlock {
	items := []wire.Item{{
		Subject: fixedID("subject"), Record: fixedID("record"),
		Fields: []wire.FieldVersion{{Name: "name", Version: fixedID("version")}},
	}}
	return &wire.Unlock{Node: 1, Incarnation: 3, Entries: []wire.Entry{
		{
			Seq: 300, Leaf: fixed("leaf 1"), Operation: verify.OpRead, Collection: "users", Purpose: "support", Reason: "ticket 4711", Basis: "contract",
			Policy: fixed("policy"), Auth: wire.Auth{Principal: "svc-orders", Assurance: verify.AssuranceProven, Proof: proof}, Items: items,
		},
		{
			Seq: 301, Leaf: fixed("leaf 2"), Operation: verify.OpCreate, Collection: "users", Purpose: "signup", Policy: fixed("policy"),
			Auth: wire.Auth{Principal: "svc-web", Assurance: verify.AssuranceVault},
			Items: []wire.Item{{
				Create: true, Subject: fixedID("new"), Record: fixedID("new record"), Fields: []wire.FieldVersion{{Name: "name"}, {Name: "email"}},
				Index: []wire.IndexValue{{Field: "email", Inner: fixed("inner")}},
			}},
		},
		{
			Seq: 302, Leaf: fixed("leaf 3"), Operation: verify.OpReseal, Collection: "users", Purpose: "reseal", Policy: fixed("policy"),
			Auth: wire.Auth{Principal: "job-reseal", Assurance: verify.AssuranceJob, Job: fixedID("job")}, Items: items,
		},
	}}
}

func testHead() verify.Head {
	h := verify.Head{Cell: "eu", Seq: 12, Chain: fixed("chain"), Time: 1_790_000_000_000}
	copy(h.Sig[:], ed25519.Sign(testKey("keyholder"), h.Message()))
	return h
}

// The vectors are what the code makes of fixed values; UPDATE=1 rewrites them.
func TestVectors(t *testing.T) {
	session := wire.OpenSession{Grant: "svc-orders", Challenge: fixed("challenge"), Blob: []byte("an HPKE blob")}
	copy(session.Sig[:], ed25519.Sign(testKey("grant"), session.Message("eu")))
	sid := session.ID("eu")

	nonce := [16]byte(fixedID("nonce"))
	read := wire.Request{
		Cell: "eu", Operation: verify.OpRead, Collection: "users", Purpose: "support", Reason: "ticket 4711", Basis: "contract",
		Named: wire.NamedItems("eu", testUnlock(wire.Proof{}).Entries[0].Items),
	}
	find := wire.Request{
		Cell: "eu", Operation: verify.OpFind, Collection: "users", Purpose: "support", Named: []wire.Named{{Fields: []string{"email"}}},
		Body: wire.BodyDigest(nonce, []byte(`{"where":{"email":"a@example.org"}}`)),
	}
	var requests []map[string]any
	var proof wire.Proof
	key := fixed("mac key")
	for i, r := range []wire.Request{read, find} {
		d := r.Digest()
		p := wire.MakeProof(key, sid, uint64(i)+1, d)
		if i == 0 {
			proof = p
		}
		requests = append(requests, map[string]any{
			"cell": r.Cell, "operation": r.Operation, "collection": r.Collection, "purpose": r.Purpose, "reason": r.Reason, "basis": r.Basis,
			"named": named(r.Named), "body": hx(r.Body[:]), "digest": hx(d[:]), "counter": p.Counter, "mac": hx(p.MAC[:]),
		})
	}
	head := testHead()
	unlock := testUnlock(proof)
	result := &wire.UnlockResult{Head: head, Entries: []wire.EntryResult{
		{Items: []wire.ItemResult{{Version: fixedID("version"), N: 4, Keys: [][32]byte{fixed("field key")}}}},
		{Items: []wire.ItemResult{{Version: fixedID("chosen"), N: 1, Keys: [][32]byte{fixed("k1"), fixed("k2")}, Outer: [][16]byte{[16]byte(fixedID("outer"))}}}},
		{Code: bonded.CodeForbidden, Rule: "forbid-job"},
	}}
	anchor := &wire.Anchor{Leaf: bytes.Repeat([]byte{1}, 128), Fields: []byte{0}, Proof: []byte("proof"), Segments: []wire.AnchoredSegment{
		{Segment: []byte{1, 2}, Leaves: [][32]byte{fixed("leaf 1")}, Orphans: [][2][32]byte{{fixed("orphan"), fixed("lost")}}},
	}}
	waiting := wire.Waiting{Subject: verify.ControlGrants, Number: 8, Index: 300, Until: 1_790_086_400}
	messages := map[string][]byte{
		"unlock":        wire.EncodeUnlock(unlock),
		"unlock_result": wire.EncodeUnlockResult(result),
		"error":         wire.EncodeError(&bonded.Error{Code: bonded.CodeSealed, Message: "the keyholder is sealed", Hint: "unseal it"}),
		"hello":         (&wire.Hello{Cell: "eu", Node: 1, Incarnation: 3, Head: head, Tombstones: 2, Chain: fixed("tombs"), Policy: fixed("policy"), Key: fixed("tombkey")}).Encode(),
		"open_session":  session.Encode(),
		"session":       (&wire.Session{ID: sid, Expires: 1_790_003_600}).Encode(),
		"destroy": (&wire.Destroy{
			Subject: fixedID("subject"), Auth: wire.Auth{Principal: "svc-privacy", Assurance: verify.AssuranceVault}, Purpose: "erasure", Reason: "art. 17",
			Ref: verify.RowRef{Node: 1, Incarnation: 3, Seq: 400}, Leaf: fixed("leaf 4"), Receipt: []byte("{}"),
		}).Encode(),
		"anchor":          anchor.Encode(),
		"anchor_result":   (&wire.AnchorResult{Accepted: true, Missing: [][32]byte{fixed("leaf 9")}, Head: head}).Encode(),
		"book_since":      (&wire.BookSince{After: 12, Limit: 4096}).Encode(),
		"list":            (&wire.List{Items: [][]byte{{1}, {2, 3}}}).Encode(),
		"status":          (&wire.Status{Subjects: 5, KeyVersion: 2, Rewrapped: 4, GrantSet: 1, Witnessed: 1_790_000_000, Unanchored: 1, Asserted: 2, Resolved: 3, Proven: 4, Refused: 5, Head: head, RewrapsUntil: 1_792_000_000, Cases: 6, Epoch: 2, KeySet: fixed("key set"), Waiting: []wire.Waiting{waiting}, Refusal: "directory 2: not approved"}).Encode(),
		"evidence":        (&wire.Evidence{Subject: verify.ControlGrants, Number: 8, Evidence: []byte("evidence\n"), File: []byte("{}")}).Encode(),
		"evidence_result": (&wire.EvidenceResult{Waiting: waiting}).Encode(),
		"release":         testRelease().Encode(),
		"release_result":  (&wire.ReleaseResult{Head: head, Items: []wire.SealedItem{{N: 5, Sealed: []byte("sealed keys")}, {Code: bonded.CodeErased}}}).Encode(),
		"custody":         testCustody().Encode(),
		"custody_result":  (&wire.CustodyResult{Epoch: 2, KeySet: fixed("key set"), Key: fixed("release key")}).Encode(),
	}
	hexed := map[string]string{}
	for n, b := range messages {
		hexed[n] = hx(b)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{
		"comment":  "Vectors of spec/keyholder.md. Bytes are hexadecimal. The values behind the messages stand in internal/wire/vectors_test.go and, for unlock, in unlock.",
		"requests": requests, "mac_key": hx(key[:]), "session_id": hx(sid[:]), "nonce": hx(nonce[:]),
		"session":  map[string]any{"grant": session.Grant, "challenge": hx(session.Challenge[:]), "blob": hx(session.Blob), "message": hx(session.Message("eu")), "signature": hx(session.Sig[:]), "grant_key": hx(testKey("grant").Public().(ed25519.PublicKey))},
		"messages": hexed,
	}); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(vectorsFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Error("spec/vectors/wire.json is not what the code makes; if the format was meant to change, run UPDATE=1 go test")
	}

	// Each message is read back, and has no other spelling.
	u, err := wire.DecodeUnlock(messages["unlock"])
	if err != nil || cmp.Diff(unlock, u, cmpopts.EquateEmpty()) != "" {
		t.Errorf("unlock: %v", err)
	}
	r, err := wire.DecodeUnlockResult(messages["unlock_result"])
	if err != nil || cmp.Diff(result, r, cmpopts.EquateEmpty()) != "" {
		t.Errorf("unlock result: %v", err)
	}
	a, err := wire.DecodeAnchor(messages["anchor"])
	if err != nil || cmp.Diff(anchor, a, cmpopts.EquateEmpty()) != "" {
		t.Errorf("anchor: %v", err)
	}
	for name, again := range recoders {
		b, err := again(messages[name])
		if err != nil || !bytes.Equal(b, messages[name]) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := again(append(bytes.Clone(messages[name]), 0)); err == nil {
			t.Errorf("%s: a trailing byte is accepted", name)
		}
	}
}

func named(ns []wire.Named) (list []map[string]any) {
	for _, n := range ns {
		list = append(list, map[string]any{"subject": n.Subject, "record": n.Record, "token": n.Token, "fields": n.Fields})
	}
	return list
}

func hx(b []byte) string { return hex.EncodeToString(b) }

// recoders decode a message and encode it again.
var recoders = map[string]func([]byte) ([]byte, error){
	"unlock":        recode(wire.DecodeUnlock, wire.EncodeUnlock),
	"unlock_result": recode(wire.DecodeUnlockResult, wire.EncodeUnlockResult),
	"hello":         recode(wire.DecodeHello, (*wire.Hello).Encode),
	"open_session":  recode(wire.DecodeOpenSession, (*wire.OpenSession).Encode),
	"session":       recode(wire.DecodeSession, (*wire.Session).Encode),
	"destroy":       recode(wire.DecodeDestroy, (*wire.Destroy).Encode),
	"anchor":        recode(wire.DecodeAnchor, (*wire.Anchor).Encode),
	"anchor_result": recode(wire.DecodeAnchorResult, (*wire.AnchorResult).Encode),
	"book_since":    recode(wire.DecodeBookSince, (*wire.BookSince).Encode),
	"list":          recode(wire.DecodeList, (*wire.List).Encode),
	"status":        recode(wire.DecodeStatus, (*wire.Status).Encode),

	"evidence":        recode(wire.DecodeEvidence, (*wire.Evidence).Encode),
	"evidence_result": recode(wire.DecodeEvidenceResult, (*wire.EvidenceResult).Encode),
	"release":         recode(wire.DecodeRelease, (*wire.Release).Encode),
	"release_result":  recode(wire.DecodeReleaseResult, (*wire.ReleaseResult).Encode),
	"custody":         recode(wire.DecodeCustody, (*wire.Custody).Encode),
	"custody_result":  recode(wire.DecodeCustodyResult, (*wire.CustodyResult).Encode),
}

func recode[V any](decode func([]byte) (*V, error), encode func(*V) []byte) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		v, err := decode(b)
		if err != nil {
			return nil, err
		}
		return encode(v), nil
	}
}

func TestProofHoldsForItsRequestOnly(t *testing.T) {
	key, session := fixed("mac key"), fixed("session")
	r := wire.Request{Cell: "eu", Operation: verify.OpRead, Named: []wire.Named{{Subject: "s", Fields: []string{"a", "b"}}}}
	p := wire.MakeProof(key, session, 7, r.Digest())
	if !p.Check(key, r.Digest()) {
		t.Fatal("a right proof is refused")
	}
	for name, alter := range map[string]func(*wire.Request){
		"cell":       func(r *wire.Request) { r.Cell = "cn" },
		"operation":  func(r *wire.Request) { r.Operation = verify.OpMask },
		"collection": func(r *wire.Request) { r.Collection = "x" },
		"purpose":    func(r *wire.Request) { r.Purpose = "x" },
		"reason":     func(r *wire.Request) { r.Reason = "x" },
		"basis":      func(r *wire.Request) { r.Basis = "x" },
		"fields":     func(r *wire.Request) { r.Named = []wire.Named{{Subject: "s", Fields: []string{"ab"}}} },
		"items":      func(r *wire.Request) { r.Named = append([]wire.Named{{}}, r.Named...) },
		"record":     func(r *wire.Request) { r.Named = []wire.Named{{Record: "s", Fields: []string{"a", "b"}}} },
		"body":       func(r *wire.Request) { r.Body[31] = 1 },
	} {
		o := r
		alter(&o)
		if p.Check(key, o.Digest()) {
			t.Errorf("holds with another %s", name)
		}
	}
	q := p
	q.Counter++
	if q.Check(key, r.Digest()) || p.Check(fixed("other"), r.Digest()) {
		t.Error("holds with another counter or key")
	}
}

func fuzzMessage(f *testing.F, name string, seed []byte) {
	f.Add(seed)
	again := recoders[name]
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := again(b); err == nil && !bytes.Equal(b, c) {
			t.Fatalf("two spellings of %x", b)
		}
	})
}

func FuzzDecodeUnlock(f *testing.F) {
	fuzzMessage(f, "unlock", wire.EncodeUnlock(testUnlock(wire.Proof{Counter: 1})))
}

func FuzzDecodeUnlockResult(f *testing.F) {
	fuzzMessage(f, "unlock_result", wire.EncodeUnlockResult(&wire.UnlockResult{Head: testHead(), Entries: []wire.EntryResult{{Items: []wire.ItemResult{{N: 1}}}}}))
}

func FuzzDecodeAnchor(f *testing.F) {
	fuzzMessage(f, "anchor", (&wire.Anchor{Segments: []wire.AnchoredSegment{{Leaves: [][32]byte{{}}, Orphans: [][2][32]byte{{}}}}}).Encode())
}

func FuzzDecodeDestroy(f *testing.F) {
	fuzzMessage(f, "destroy", (&wire.Destroy{Auth: wire.Auth{Principal: "a", Assurance: verify.AssuranceVault}}).Encode())
}

func FuzzDecodeHello(f *testing.F) {
	fuzzMessage(f, "hello", (&wire.Hello{Cell: "eu", Head: testHead()}).Encode())
}

func FuzzDecodeStatus(f *testing.F) {
	fuzzMessage(f, "status", (&wire.Status{Head: testHead()}).Encode())
}

func FuzzDecodeEvidence(f *testing.F) {
	fuzzMessage(f, "evidence", (&wire.Evidence{Subject: verify.ControlPolicy, Number: 1, Evidence: []byte{1}}).Encode())
}

func FuzzDecodeEvidenceResult(f *testing.F) {
	fuzzMessage(f, "evidence_result", (&wire.EvidenceResult{InForce: true, Waiting: wire.Waiting{Subject: verify.ControlGrants, Number: 1}}).Encode())
}

func FuzzDecodeOpenSession(f *testing.F) {
	fuzzMessage(f, "open_session", (&wire.OpenSession{Grant: "g", Blob: []byte{1}}).Encode())
}

func FuzzDecodeError(f *testing.F) {
	f.Add(wire.EncodeError(&bonded.Error{Code: "a", Message: "b", Hint: "c", Rules: []string{"d"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if wire.DecodeError(b) == nil {
			t.Fatal("no error from an error frame")
		}
	})
}
