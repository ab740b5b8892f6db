package keyholder_test

import (
	"crypto/rand"
	"testing"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/recipient"
	"bonded/internal/seal"
	"bonded/internal/succession/ceremonytest"
	"bonded/internal/wire"
	"bonded/verify"
)

// A front is a world whose cell has custodians and a front door.
type front struct {
	*world
	committee *ceremonytest.Committee
	requester seal.HPKEPrivate
	recipient []byte
}

func newFront(t testing.TB, change ...func(*world)) *front {
	t.Helper()
	door := func(w *world) {
		w.addGrant("front-door", func(g *grant.Grant) {
			g.Roles, g.Purposes, g.Key = []string{"front_door"}, []bonded.Purpose{"front_door", "notice"}, ""
		})
	}
	f := &front{world: newWorld(t, append([]func(*world){door}, change...)...)}
	f.committee = ceremonytest.Hold(t, "eu")
	if _, err := f.show(f.link(f.committee, f.committee.Order(t, f.admin))); err != nil {
		t.Fatal(err)
	}
	f.requester, f.recipient = newRecipient(t)
	return f
}

func newRecipient(t testing.TB) (seal.HPKEPrivate, []byte) {
	t.Helper()
	private, public, err := recipient.New()
	if err != nil {
		t.Fatal(err)
	}
	return private.Seal, public.Bytes()
}

// publishEntry appends an entry of cases to the ledger and returns its opening
// and proof.
func (f *front) publishEntry(e *verify.CaseEntry, withhold ...string) (*verify.CaseOpening, []byte) {
	f.t.Helper()
	leaf, fields := ceremonytest.Leaf("eu", f.now(), e)
	o := verify.OpenCase(int64(len(f.entries)), leaf, fields, withhold...)
	return o, f.publish(leaf)
}

// link publishes the certificate of a committee.
func (f *front) link(c *ceremonytest.Committee, order []byte) wire.CustodyLink {
	f.t.Helper()
	o, proof := f.publishEntry(c.Entry())
	return wire.CustodyLink(c.Link(order, o, proof))
}

// show shows a chain through its bytes.
func (f *front) show(links ...wire.CustodyLink) (*wire.CustodyResult, error) {
	f.t.Helper()
	c, err := wire.DecodeCustody((&wire.Custody{Links: links}).Encode())
	if err != nil {
		f.t.Fatal(err)
	}
	return f.k.Custody(f.t.Context(), c)()
}

// A cased is a case as far as the keyholder must see it.
type cased struct {
	scope     *verify.Scope
	approvals []*verify.Approval
	quorum    [32]byte
	entry     *verify.CaseEntry
	opening   *verify.CaseOpening
	proof     []byte
	recipient []byte
}

// scope returns the scope of a case about people, one item each, that a day
// from now is too late for.
func (f *front) scope(people ...person) *verify.Scope {
	s := &verify.Scope{
		Cell: "eu", Case: bonded.NewID(), Kind: "disclosure", Request: [32]byte{1}, Recipient: verify.RecipientDigest(f.recipient),
		KeySet: f.committee.KeySet.Digest(), Epoch: f.committee.KeySet.Epoch(), Expires: uint64(f.now().Add(24 * time.Hour).Unix()),
	}
	for _, p := range people {
		s.Items = append(s.Items, verify.ScopeItem{Subject: p.subject, Record: p.record, Collection: "users", Fields: []verify.ScopeField{
			{Name: "name", Version: p.version, Custody: verify.CustodyTwoLock, Match: true},
			{Name: "email", Version: p.version, Custody: verify.CustodyTwoLock},
		}})
	}
	return s
}

// open approves a scope and enters its opening, which is witnessed then. change
// may alter the entry before it is published.
func (f *front) open(s *verify.Scope, change ...func(*verify.CaseEntry)) *cased {
	f.t.Helper()
	c := &cased{scope: s, recipient: f.recipient}
	_, _ = rand.Read(c.quorum[:])
	digest := s.Digest()
	c.approvals = f.committee.Approve(s.Case, digest, c.quorum, f.now(), f.committee.Quorum()...)
	c.entry = &verify.CaseEntry{
		Type: verify.EntryCase, Case: s.Case, Number: 9, Event: verify.EventOpening, State: "opening", Scope: digest,
		Content: verify.OpeningContent(digest, verify.ApprovalsDigest(c.approvals), s.Recipient), Time: uint64(f.now().Unix()),
	}
	for _, ch := range change {
		ch(c.entry)
	}
	c.opening, c.proof = f.publishEntry(c.entry)
	return c
}

// release returns the message for items [from, to) of the case.
func (f *front) releaseOf(c *cased, from, to int) *wire.Release {
	f.seq++
	x := &wire.Release{
		Node: 1, Incarnation: 1, Seq: f.seq, Principal: "front-door", Purpose: "front_door", From: uint64(from),
		Certificate: wire.Certificate{
			ScopeHead: verify.EncodeScopeHead(c.scope), Quorum: c.quorum, Opening: ceremonytest.OpeningJSON(c.opening), Proof: c.proof, Recipient: c.recipient,
		},
	}
	_, _ = rand.Read(x.Leaf[:])
	for _, h := range c.scope.ItemHashes() {
		x.Certificate.Hashes = append(x.Certificate.Hashes, h)
	}
	for _, a := range c.approvals {
		x.Certificate.Approvals = append(x.Certificate.Approvals, a.Encode())
	}
	for i := from; i < to; i++ {
		x.Items = append(x.Items, verify.EncodeScopeItem(&c.scope.Items[i]))
	}
	return x
}

// release sends a release through its bytes; its leaf counts as a row of the
// vault.
func (f *front) release(x *wire.Release) *wire.ReleaseResult {
	f.t.Helper()
	f.world.open = append(f.world.open, x.Leaf)
	again, err := wire.DecodeRelease(x.Encode())
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := f.k.Release(again)()
	if err != nil {
		f.t.Fatalf("Release: %v", err)
	}
	back, err := wire.DecodeReleaseResult(res.Encode())
	if err != nil || !back.Head.Verify(f.public.Key) {
		f.t.Fatalf("answer: %v", err)
	}
	return back
}

// keys opens what was sealed for an item of a case.
func (f *front) keys(c *cased, i int, sealed []byte) ([]byte, error) {
	d := c.scope.Digest()
	info := verify.ReleaseInfo(bonded.CaseID{Cell: "eu", ID: c.scope.Case}, d)
	h := verify.ScopeItemHash(verify.EncodeScopeItem(&c.scope.Items[i]))
	return seal.OpenFrom(f.requester, info, h[:], sealed)
}

func newFirst(t testing.TB, f *front) *ceremonytest.Committee {
	t.Helper()
	f.t = t
	return ceremonytest.Hold(t, "eu")
}

// restart restarts the keyholder and shows it the ledger up to a new anchor.
func (f *front) restart() {
	f.t.Helper()
	f.world.restart()
	for {
		next, err := f.catchUp(&wire.CatchUp{})
		if err != nil {
			f.t.Fatal(err)
		}
		if next == uint64(len(f.entries)) {
			break
		}
		if a := f.shown[int(next)]; a != nil {
			a.Proof = f.proof(int64(next), f.now())
			_, err = f.k.Anchor(f.t.Context(), &a.Anchor)()
		} else {
			_, err = f.catchUp(&wire.CatchUp{Entry: f.entries[next], Proof: f.proof(int64(next), f.now())})
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
	f.anchor()
}
