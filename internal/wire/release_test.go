package wire_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded/internal/wire"
	"bonded/verify"
)

// testScope returns a scope of two items of one collection.
func testScope() *verify.Scope {
	return &verify.Scope{
		Cell: "eu", Case: fixedID("case"), Kind: "disclosure", Request: fixed("request"), Recipient: verify.RecipientDigest([]byte("recipient key")),
		KeySet: fixed("key set"), Epoch: 2, Expires: 1_790_086_400,
		Items: []verify.ScopeItem{
			{Subject: fixedID("subject"), Record: fixedID("record"), Collection: "users", Fields: []verify.ScopeField{
				{Name: "email", Version: fixedID("version"), Custody: verify.CustodyTwoLock, Match: true},
				{Name: "passport", Version: fixedID("version"), Custody: verify.CustodyQuorum},
			}, Envelope: fixed("envelope")},
			{Task: 1, Subject: fixedID("other"), Record: fixedID("other record"), Collection: "users", Fields: []verify.ScopeField{
				{Name: "name", Version: fixedID("other version"), Custody: verify.CustodyTwoLock},
			}},
		},
	}
}

func testRelease() *wire.Release {
	s := testScope()
	x := &wire.Release{
		Node: 1, Incarnation: 3, Seq: 500, Leaf: fixed("leaf 5"), Principal: "front-door", Purpose: "front_door", Policy: fixed("policy"),
		Certificate: wire.Certificate{
			ScopeHead: verify.EncodeScopeHead(s), Approvals: [][]byte{[]byte("approval 1"), []byte("approval 2")}, Quorum: fixed("quorum leaf"),
			Opening: []byte("{}"), Proof: []byte("proof"), Recipient: []byte("recipient key"),
		},
		From: 1, Items: [][]byte{verify.EncodeScopeItem(&s.Items[1])},
	}
	for _, h := range s.ItemHashes() {
		x.Certificate.Hashes = append(x.Certificate.Hashes, h)
	}
	return x
}

func testCustody() *wire.Custody {
	return &wire.Custody{Links: []wire.CustodyLink{
		{Certificate: []byte("certificate 1"), Order: []byte("{}"), Opening: []byte("{}"), Proof: []byte("proof 1")},
		{Certificate: []byte("certificate 2"), Opening: []byte("{}"), Proof: []byte("proof 2")},
	}}
}

func TestReleaseIsReadBackAsWritten(t *testing.T) {
	x := testRelease()
	again, err := wire.DecodeRelease(x.Encode())
	if err != nil || cmp.Diff(x, again) != "" {
		t.Errorf("%v %s", err, cmp.Diff(x, again))
	}
}

func TestReleaseHoldsNoMoreThanItsLimits(t *testing.T) {
	for name, change := range map[string]func(*wire.Release){
		"items":       func(x *wire.Release) { x.Items = make([][]byte, wire.MaxReleaseItems+1) },
		"item bytes":  func(x *wire.Release) { x.Items = [][]byte{make([]byte, wire.MaxEntry), {1}} },
		"item hashes": func(x *wire.Release) { x.Certificate.Hashes = make([][32]byte, verify.MaxScopeItems+1) },
		"approvals":   func(x *wire.Release) { x.Certificate.Approvals = make([][]byte, wire.MaxApprovals+1) },
		"proof":       func(x *wire.Release) { x.Certificate.Proof = make([]byte, verify.MaxTlogProofSize+1) },
		"opening":     func(x *wire.Release) { x.Certificate.Opening = make([]byte, 64<<10+1) },
		"recipient":   func(x *wire.Release) { x.Certificate.Recipient = make([]byte, 4097) },
		"head":        func(x *wire.Release) { x.Certificate.ScopeHead = make([]byte, 1025) },
		"an approval": func(x *wire.Release) { x.Certificate.Approvals = [][]byte{make([]byte, 1025)} },
	} {
		x := testRelease()
		change(x)
		if _, err := wire.DecodeRelease(x.Encode()); err == nil {
			t.Errorf("%s beyond the limit are read", name)
		}
	}
}

// Every altered byte of a release is refused or reads as something else.
func TestReleaseHasOneSpellingForEachBit(t *testing.T) {
	b := testRelease().Encode()
	for i := range len(b) * 8 {
		c := bytes.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		if x, err := wire.DecodeRelease(c); err == nil && !bytes.Equal(x.Encode(), c) {
			t.Fatalf("bit %d: read as another message", i)
		}
	}
}

func FuzzDecodeRelease(f *testing.F) { fuzzMessage(f, "release", testRelease().Encode()) }

func FuzzDecodeReleaseResult(f *testing.F) {
	fuzzMessage(f, "release_result", (&wire.ReleaseResult{Head: testHead(), Items: []wire.SealedItem{{N: 1, Sealed: []byte{1}}}}).Encode())
}

func FuzzDecodeCustody(f *testing.F) { fuzzMessage(f, "custody", testCustody().Encode()) }

func FuzzDecodeCustodyResult(f *testing.F) {
	fuzzMessage(f, "custody_result", (&wire.CustodyResult{Epoch: 1}).Encode())
}
