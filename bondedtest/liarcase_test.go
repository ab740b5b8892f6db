//go:build unix

package bondedtest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
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
	"bonded/internal/recipient"
	"bonded/internal/seal"
	"bonded/internal/succession/ceremonytest"
	"bonded/internal/wire"
	"bonded/verify"
)

// A liarDoor is a liar that asks for the release of cases. It writes the
// vault's ledger, which the real witnesses cosign; what it does not have is the
// custodians' keys, the administrator's, and the requester's.
type liarDoor struct {
	*liar
	log       *ledger.Ledger
	committee *ceremonytest.Committee // in force
	requester *recipient.Private
	key       []byte // of the requester, as others see it
}

// A liarCase is a case as far as the keyholder must see it.
type liarCase struct {
	scope     *verify.Scope
	approvals []*verify.Approval
	quorum    [32]byte // leaf hash of the entry that put it before the custodians
	opening   *verify.CaseOpening
	leaf      []byte
	proof     []byte
}

// enter appends an entry of cases to the ledger and returns its opening and
// proof.
func (l *liarDoor) enter(e *verify.CaseEntry) (o *verify.CaseOpening, leaf, proof []byte) {
	l.t.Helper()
	leaf, fields := ceremonytest.Leaf("eu", time.Now(), e)
	r, err := l.log.Append(l.t.Context(), leaf)
	must(l.t, err)
	return verify.OpenCase(r.Index(), leaf, fields), leaf, r.Proof()
}

func (l *liarDoor) link(c *ceremonytest.Committee, order []byte) wire.CustodyLink {
	l.t.Helper()
	o, _, proof := l.enter(c.Entry())
	return wire.CustodyLink(c.Link(order, o, proof))
}

func (l *liarDoor) custody(links ...wire.CustodyLink) (*wire.CustodyResult, error) {
	return l.line.Custody(l.t.Context(), &wire.Custody{Links: links})
}

// wantNoCustodians checks that a chain is refused and that nothing of it is in
// force or in the book.
func (l *liarDoor) wantNoCustodians(what string, epoch uint64, links ...wire.CustodyLink) {
	l.t.Helper()
	before, err := l.line.Status(l.t.Context())
	must(l.t, err)
	if _, err := l.custody(links...); bonded.CodeOf(err) != bonded.CodeProof {
		l.t.Errorf("%s: got %v, want %s", what, err, bonded.CodeProof)
	}
	now, err := l.custody()
	must(l.t, err)
	after, err := l.line.Status(l.t.Context())
	must(l.t, err)
	if now.Epoch != epoch || after.Epoch != epoch || after.KeySet != before.KeySet || after.Head.Seq != before.Head.Seq {
		l.t.Errorf("%s: epoch %d is in force, want %d", what, now.Epoch, epoch)
	}
}

// scope returns the scope of a case about names and emails of people, for an
// hour.
func (l *liarDoor) scope(people ...liarPerson) *verify.Scope {
	s := &verify.Scope{
		Cell: "eu", Case: bonded.NewID(), Kind: "disclosure", Request: [32]byte{1}, Recipient: verify.RecipientDigest(l.key),
		KeySet: l.committee.KeySet.Digest(), Epoch: l.committee.KeySet.Epoch(), Expires: unix(time.Now().Add(time.Hour)),
	}
	for _, p := range people {
		s.Items = append(s.Items, verify.ScopeItem{Subject: p.subject, Record: p.record, Collection: "users", Fields: []verify.ScopeField{
			{Name: "name", Version: p.version, Custody: verify.CustodyTwoLock, Match: true},
			{Name: "email", Version: p.version, Custody: verify.CustodyTwoLock},
		}})
	}
	return s
}

type liarPerson struct{ subject, record, version bonded.ID }

func unix(t time.Time) uint64 { return uint64(t.Unix()) } //nolint:gosec // after 1970

// open has a scope approved by people, puts it before them and enters its
// opening. change may alter the entry, which is witnessed all the same.
func (l *liarDoor) open(s *verify.Scope, by *ceremonytest.Committee, change func(*verify.CaseEntry)) *liarCase {
	l.t.Helper()
	c := &liarCase{scope: s}
	digest := s.Digest()
	_, leaf, _ := l.enter(&verify.CaseEntry{
		Type: verify.EntryCase, Case: s.Case, Number: 8, Event: verify.EventQuorum, State: "awaiting_quorum", Scope: digest, Content: digest, Time: unix(time.Now()),
	})
	c.quorum = tlog.RecordHash(leaf)
	c.approvals = by.Approve(s.Case, digest, c.quorum, time.Now(), by.Quorum()...)
	e := &verify.CaseEntry{
		Type: verify.EntryCase, Case: s.Case, Number: 9, Event: verify.EventOpening, State: "opening", Scope: digest,
		Content: verify.OpeningContent(digest, verify.ApprovalsDigest(c.approvals), s.Recipient), Time: unix(time.Now()),
	}
	if change != nil {
		change(e)
	}
	c.opening, c.leaf, c.proof = l.enter(e)
	return c
}

// release returns the message for items [from, to) of a case.
func (l *liarDoor) release(c *liarCase, from, to int) *wire.Release {
	l.seq++
	x := &wire.Release{
		Node: 1, Incarnation: l.inc, Seq: l.seq, Principal: deploy.PrincipalDoor, Purpose: "front_door", From: uint64(from), //nolint:gosec // not negative
		Certificate: wire.Certificate{
			ScopeHead: verify.EncodeScopeHead(c.scope), Quorum: c.quorum, Opening: ceremonytest.OpeningJSON(c.opening), Proof: c.proof, Recipient: l.key,
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

// wantNoRelease sends a release that must be refused whole: with this rule, in
// the keyholder's book as well, and with nothing sealed to anybody.
func (l *liarDoor) wantNoRelease(what string, x *wire.Release, code bonded.Code, rule string) {
	t := l.t
	t.Helper()
	before, err := l.line.Status(t.Context())
	must(t, err)
	res, err := l.line.Release(t.Context(), x)
	must(t, err)
	if res.Code != code || res.Rule != rule {
		t.Errorf("%s: got %q by %q, want %q by %q", what, res.Code, res.Rule, code, rule)
	}
	for i := range res.Items {
		if it := &res.Items[i]; it.Code == "" || it.N != 0 || len(it.Sealed) != 0 {
			t.Errorf("%s: something came with the refusal", what)
		}
	}
	rows, err := l.line.Book(t.Context(), before.Head.Seq, 4)
	must(t, err)
	if len(rows) != 1 {
		t.Fatalf("%s: %d rows in the book", what, len(rows))
	}
	row, err := verify.DecodeBookRow(rows[0])
	must(t, err)
	if row.Operation != verify.OpDisclose || row.Outcome != verify.OutcomeRefused || row.Code != code || row.Detail != rule || row.RowLeaf != x.Leaf {
		t.Errorf("%s: the book says %+v", what, row)
	}
	if after, err := l.line.Status(t.Context()); err != nil || after.Unanchored != before.Unanchored || after.Cases != before.Cases {
		t.Errorf("%s: the refusal counts as a release: %v", what, err)
	}
}

// wantRelease sends a release that holds, and checks that its keys are those
// of the values and open for the requester alone.
func (l *liarDoor) wantRelease(what string, c *liarCase, people ...liarPerson) *wire.Release {
	t := l.t
	t.Helper()
	x := l.release(c, 0, len(people))
	res, err := l.line.Release(t.Context(), x)
	must(t, err)
	if res.Code != "" || len(res.Items) != len(people) {
		t.Fatalf("%s: refused with %q by %q", what, res.Code, res.Rule)
	}
	info := verify.ReleaseInfo(bonded.CaseID{Cell: "eu", ID: c.scope.Case}, c.scope.Digest())
	for i, p := range people {
		e := l.read(p.subject, p.record, "name")
		e.Items[0].Fields[0].Version = p.version
		daily := l.unlock(e)
		wantKey(t, "a daily read", daily)
		h := verify.ScopeItemHash(x.Items[i])
		keys, err := seal.OpenFrom(l.requester.Seal, info, h[:], res.Items[i].Sealed)
		if err != nil || len(keys) != 2*seal.KeySize || !bytes.Equal(keys[:seal.KeySize], daily.Entries[0].Items[0].Keys[0][:]) {
			t.Errorf("%s: item %d does not open with the keys of its fields: %v", what, i, err)
		}
		other, _, err := recipient.New()
		must(t, err)
		if _, err := seal.OpenFrom(other.Seal, info, h[:], res.Items[i].Sealed); err == nil {
			t.Errorf("%s: item %d opens for somebody else", what, i)
		}
	}
	return x
}

// TestE2EVaultThatLiesAboutACase runs a patched vault that asks the real
// keyholder for the release of cases that nobody, or not everybody who must,
// has approved.
func TestE2EVaultThatLiesAboutACase(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell())
	app := d.Client(bondedtest.App, "eu", "service")
	anna, berta := create(t, app, "anna", "Anna"), create(t, app, "berta", "Berta")
	a := liarPerson{anna.Subject.ID, anna.Record.ID, bonded.NewID()}
	b := liarPerson{berta.Subject.ID, berta.Record.ID, bonded.NewID()}
	stop(t, d, "eu/vault")

	l := &liarDoor{liar: newLiar(t, d)}
	l.log = l.ledger()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := l.log.Close(ctx); err != nil {
			t.Errorf("close ledger: %v", err)
		}
	})
	private, public, err := recipient.New()
	must(t, err)
	l.requester, l.key = private, public.Bytes()
	l.committee = ceremonytest.Hold(t, "eu")

	run := func(name string, f func()) {
		t.Run(name, func(t *testing.T) {
			l.t = t
			f()
		})
		l.t = t
	}
	run("custodians begin with the administrator's order", func() { l.firstCustodians(a) })
	c := l.open(l.scope(a, b), l.committee, nil)
	run("approvals", func() { l.lieAboutApprovals(c) })
	run("entries", func() { l.lieAboutEntries(c, a, b) })
	run("scope", func() { l.lieAboutScope(c, a, b) })
	run("row", func() {
		x := l.wantRelease("the case itself", c, a, b)
		l.wantNoRelease("the same again", x, bonded.CodeKeyholderRefused, "keyholder.stream")
		again := l.release(c, 0, 1)
		again.Leaf = x.Leaf
		l.wantNoRelease("another request for the same row", again, bonded.CodeKeyholderRefused, "keyholder.row-reused")
		none := l.release(c, 0, 1)
		none.Leaf = [32]byte{}
		l.wantNoRelease("no row", none, bonded.CodeKeyholderRefused, "keyholder.row-reused")
		app := l.release(c, 0, 1)
		app.Principal = bondedtest.App
		l.wantNoRelease("under the grant of an application", app, bonded.CodeForbidden, "keyholder.release.grant")
	})
	run("custodians follow one another", func() { l.nextCustodians(c, a, b) })
}

// firstCustodians shows key sets that nobody ordered, and then the one that the
// administrator did.
func (l *liarDoor) firstCustodians(a liarPerson) {
	t := l.t
	admin, err := l.d.Layout.AdminKey()
	must(t, err)
	_, stranger, err := ed25519.GenerateKey(nil)
	must(t, err)
	c := l.committee
	good := l.link(c, c.Order(t, admin))
	other := ceremonytest.Hold(t, "eu")
	for what, change := range map[string]func(*wire.CustodyLink){
		"no order":               func(k *wire.CustodyLink) { k.Order = nil },
		"an order by a stranger": func(k *wire.CustodyLink) { k.Order = c.Order(t, stranger) },
		"the order of another":   func(k *wire.CustodyLink) { k.Order = other.Order(t, admin) },
		"people nobody ordered":  func(k *wire.CustodyLink) { *k = l.link(other, c.Order(t, admin)) },
		"an entry of somebody else": func(k *wire.CustodyLink) {
			*k = l.link(other, nil)
			k.Certificate, k.Order = good.Certificate, good.Order
		},
		"an entry that nobody has":     func(k *wire.CustodyLink) { k.Opening, k.Proof = nil, nil },
		"an entry not witnessed":       func(k *wire.CustodyLink) { k.Proof = unwitnessed(t, k.Proof) },
		"a certificate cut short":      func(k *wire.CustodyLink) { k.Certificate = k.Certificate[:len(k.Certificate)-1] },
		"a successor of nobody at all": func(k *wire.CustodyLink) { *k = l.link(c.Reshare(t), nil) },
	} {
		k := good
		change(&k)
		l.wantNoCustodians(what, 0, k)
	}
	l.wantNoRelease("before there are custodians", l.release(l.open(l.scope(a), c, nil), 0, 1), bonded.CodeKeyholderRefused, "keyholder.release.custodians")
	if r, err := l.custody(good); err != nil || r.Epoch != 1 || r.KeySet != c.KeySet.Digest() {
		t.Fatalf("the custodians who were ordered: %+v, %v", r, err)
	}
}

// lieAboutApprovals asks with approvals that are not those of a quorum.
func (l *liarDoor) lieAboutApprovals(c *liarCase) {
	_, stranger, err := ed25519.GenerateKey(nil)
	must(l.t, err)
	firm1, firm2, indep := l.committee.Find("firm", 1), l.committee.Find("firm", 2), l.committee.Find("independent", 1)
	signed := func(i int, key ed25519.PrivateKey, change func(*verify.Approval)) []byte {
		a := *c.approvals[i]
		if change != nil {
			change(&a)
		}
		a.Sign(key)
		return a.Encode()
	}
	for what, change := range map[string]func(x [][]byte) [][]byte{
		"nobody approved":               func([][]byte) [][]byte { return nil },
		"below the threshold of a role": func(x [][]byte) [][]byte { return x[1:] },
		"a role left out":               func(x [][]byte) [][]byte { return x[:2] },
		"one person twice":              func(x [][]byte) [][]byte { return [][]byte{x[0], x[0], x[2]} },
		"one person in the place of another": func(x [][]byte) [][]byte {
			return [][]byte{x[0], signed(0, firm1.Key, func(a *verify.Approval) { a.Index, a.Custodian = 2, firm2.ID }), x[2]}
		},
		"one person in both roles": func(x [][]byte) [][]byte {
			return [][]byte{x[0], x[1], signed(2, firm1.Key, func(a *verify.Approval) { a.Custodian = firm1.ID })}
		},
		"an independent person in the firm's place": func(x [][]byte) [][]byte {
			return [][]byte{x[0], signed(1, indep.Key, func(a *verify.Approval) { a.Custodian = indep.ID }), x[2]}
		},
		"signed with another key": func(x [][]byte) [][]byte { return [][]byte{signed(0, stranger, nil), x[1], x[2]} },
		"all signed with other keys": func([][]byte) [][]byte {
			return [][]byte{signed(0, stranger, nil), signed(1, stranger, nil), signed(2, stranger, nil)}
		},
		"a refusal that counts as an approval": func(x [][]byte) [][]byte {
			return [][]byte{signed(0, firm1.Key, func(a *verify.Approval) { a.Approve = false }), x[1], x[2]}
		},
		"an approval of another case": func(x [][]byte) [][]byte {
			return [][]byte{signed(0, firm1.Key, func(a *verify.Approval) { a.Case = bonded.NewID() }), x[1], x[2]}
		},
		"an approval of another scope": func(x [][]byte) [][]byte {
			return [][]byte{signed(0, firm1.Key, func(a *verify.Approval) { a.Scope[0] ^= 1 }), x[1], x[2]}
		},
		"an approval of another entry": func(x [][]byte) [][]byte {
			return [][]byte{signed(0, firm1.Key, func(a *verify.Approval) { a.Leaf[0] ^= 1 }), x[1], x[2]}
		},
		"an approval under another key set": func(x [][]byte) [][]byte {
			return [][]byte{signed(0, firm1.Key, func(a *verify.Approval) { a.KeySet[0] ^= 1 }), x[1], x[2]}
		},
	} {
		x := l.release(c, 0, 2)
		x.Certificate.Approvals = change(x.Certificate.Approvals)
		l.wantNoRelease(what, x, bonded.CodeBelowQuorum, "keyholder.release.approvals")
	}
	x := l.release(c, 0, 2)
	x.Certificate.Approvals[0] = x.Certificate.Approvals[0][1:]
	l.wantNoRelease("an approval cut short", x, bonded.CodeInvalid, "keyholder.release.form")
}

// lieAboutEntries asks with entries that do not let the case happen.
func (l *liarDoor) lieAboutEntries(c *liarCase, a, b liarPerson) {
	t := l.t
	// 1. Entries that everybody can see, and that are something else.
	for what, change := range map[string]func(*verify.CaseEntry){
		"the entry before the custodians": func(e *verify.CaseEntry) { e.Event = verify.EventQuorum },
		"a cover":                         func(e *verify.CaseEntry) { *e = verify.CaseEntry{Type: verify.EntryCover} },
		"an entry of another case":        func(e *verify.CaseEntry) { e.Case = bonded.NewID() },
		"an entry of another scope":       func(e *verify.CaseEntry) { e.Scope[0] ^= 1 },
		"an entry of other approvals":     func(e *verify.CaseEntry) { e.Content[0] ^= 1 },
		"an entry of the register":        func(e *verify.CaseEntry) { *e = verify.CaseEntry{Type: verify.EntryRegistry, Content: e.Content} },
	} {
		x := l.release(l.open(l.scope(a, b), l.committee, change), 0, 2)
		l.wantNoRelease(what, x, bonded.CodeKeyholderRefused, "keyholder.release.entry")
	}
	other := l.open(l.scope(b, a), l.committee, nil)
	x := l.release(c, 0, 2)
	x.Certificate.Opening, x.Certificate.Proof = ceremonytest.OpeningJSON(other.opening), other.proof
	l.wantNoRelease("the opening of another case", x, bonded.CodeKeyholderRefused, "keyholder.release.entry")

	// 2. Entries that nobody else can see.
	for what, change := range map[string]func(*wire.Certificate){
		"no entry":                   func(x *wire.Certificate) { x.Opening, x.Proof = nil, nil },
		"no proof":                   func(x *wire.Certificate) { x.Proof = nil },
		"the proof of another entry": func(x *wire.Certificate) { x.Proof = other.proof },
		"a proof without witnesses":  func(x *wire.Certificate) { x.Proof = unwitnessed(t, x.Proof) },
		"a ledger for the keyholder alone": func(x *wire.Certificate) {
			o := *c.opening
			o.Index = 0
			x.Opening, x.Proof = ceremonytest.OpeningJSON(&o), l.ownLedger(c.leaf)
		},
	} {
		x := l.release(c, 0, 2)
		change(&x.Certificate)
		l.wantNoRelease(what, x, bonded.CodeStale, "keyholder.release.opening")
	}
}

// lieAboutScope asks for something else than what was approved, or for
// somebody else.
func (l *liarDoor) lieAboutScope(c *liarCase, a, b liarPerson) {
	t := l.t
	item := func(change func(*verify.ScopeItem)) func(*wire.Release) {
		return func(x *wire.Release) {
			it := c.scope.Items[0]
			it.Fields = append([]verify.ScopeField(nil), it.Fields...)
			change(&it)
			x.Items[0] = verify.EncodeScopeItem(&it)
		}
	}
	head := func(change func(*verify.Scope)) func(*wire.Release) {
		return func(x *wire.Release) {
			s := *c.scope
			change(&s)
			x.Certificate.ScopeHead = verify.EncodeScopeHead(&s)
		}
	}
	_, public, err := recipient.New()
	must(t, err)
	stranger := public.Bytes()
	for what, lie := range map[string]struct {
		code   bonded.Code
		rule   string
		change func(*wire.Release)
	}{
		"another field":     {bonded.CodeKeyholderRefused, "items", item(func(it *verify.ScopeItem) { it.Fields[1].Name = "phone" })},
		"one field more":    {bonded.CodeKeyholderRefused, "items", item(func(it *verify.ScopeItem) { it.Fields = append(it.Fields, it.Fields[1]); it.Fields[2].Name = "phone" })},
		"another version":   {bonded.CodeKeyholderRefused, "items", item(func(it *verify.ScopeItem) { it.Fields[0].Version = bonded.NewID() })},
		"another person":    {bonded.CodeKeyholderRefused, "items", item(func(it *verify.ScopeItem) { it.Subject = bonded.NewID() })},
		"another record":    {bonded.CodeKeyholderRefused, "items", item(func(it *verify.ScopeItem) { it.Record = b.record })},
		"in another order":  {bonded.CodeKeyholderRefused, "items", func(x *wire.Release) { x.Items[0], x.Items[1] = x.Items[1], x.Items[0] }},
		"in another place":  {bonded.CodeKeyholderRefused, "items", func(x *wire.Release) { x.Items, x.From = x.Items[:1], 1 }},
		"beyond the scope":  {bonded.CodeInvalid, "form", func(x *wire.Release) { x.From = 1 }},
		"one item twice":    {bonded.CodeInvalid, "form", func(x *wire.Release) { x.Items[1] = x.Items[0] }},
		"another purpose":   {bonded.CodeForbidden, "grant", func(x *wire.Release) { x.Purpose = "support" }},
		"another cell":      {bonded.CodeKeyholderRefused, "cell", head(func(s *verify.Scope) { s.Cell = "cn" })},
		"another case":      {bonded.CodeBelowQuorum, "approvals", head(func(s *verify.Scope) { s.Case = bonded.NewID() })},
		"a later end":       {bonded.CodeBelowQuorum, "approvals", head(func(s *verify.Scope) { s.Expires += 3600 })},
		"other custodians":  {bonded.CodeKeyholderRefused, "custodians", head(func(s *verify.Scope) { s.KeySet[0] ^= 1 })},
		"another recipient": {bonded.CodeKeyholderRefused, "recipient", func(x *wire.Release) { x.Certificate.Recipient = stranger }},
		"no recipient":      {bonded.CodeKeyholderRefused, "recipient", func(x *wire.Release) { x.Certificate.Recipient = nil }},
		"another recipient in the scope": {bonded.CodeBelowQuorum, "approvals", func(x *wire.Release) {
			head(func(s *verify.Scope) { s.Recipient = verify.RecipientDigest(stranger) })(x)
			x.Certificate.Recipient = stranger
		}},
		"a wider scope": {bonded.CodeBelowQuorum, "approvals", func(x *wire.Release) {
			more := c.scope.Items[0]
			more.Task = 7
			x.Items[0], x.Items = verify.EncodeScopeItem(&more), x.Items[:1]
			x.Certificate.Hashes, x.From = append(x.Certificate.Hashes, verify.ScopeItemHash(x.Items[0])), 2
		}},
	} {
		x := l.release(c, 0, 2)
		lie.change(x)
		l.wantNoRelease(what, x, lie.code, "keyholder.release."+lie.rule)
	}
	late := l.scope(a, b)
	late.Expires = unix(time.Now().Add(-time.Minute))
	l.wantNoRelease("approved, and too late", l.release(l.open(late, l.committee, nil), 0, 2), bonded.CodeKeyholderRefused, "keyholder.release.expired")
}

// nextCustodians shows chains that do not follow from the custodians in force,
// and asks with approvals of those who have gone.
func (l *liarDoor) nextCustodians(c *liarCase, a, b liarPerson) {
	t := l.t
	admin, err := l.d.Layout.AdminKey()
	must(t, err)
	first := l.committee
	second := first.Reshare(t)
	third := second.Reshare(t)
	one, two, three := l.link(first, first.Order(t, admin)), l.link(second, nil), l.link(third, nil)
	usurper := ceremonytest.Hold(t, "eu")
	l.wantNoCustodians("an epoch left out", 1, three)
	l.wantNoCustodians("an epoch left out of the chain", 1, one, three)
	l.wantNoCustodians("an epoch going back", 1, two, one)
	l.wantNoCustodians("another first ceremony", 1, l.link(usurper, usurper.Order(t, admin)))
	l.wantNoCustodians("successors of somebody else", 1, l.link(usurper.Reshare(t), nil))
	ordered := two
	ordered.Order = second.Order(t, admin)
	l.wantNoCustodians("a successor ordered by the administrator", 1, ordered)
	hidden := two
	hidden.Proof = unwitnessed(t, two.Proof)
	l.wantNoCustodians("a successor that nobody can see", 1, hidden)

	if r, err := l.custody(one, two); err != nil || r.Epoch != 2 || r.Key != first.KeySet.ReleaseKey() {
		t.Fatalf("the successors: %+v, %v", r, err)
	}
	// Nothing goes back to those before, and they approve nothing any more.
	if r, err := l.custody(one); err != nil || r.Epoch != 2 || r.KeySet != second.KeySet.Digest() {
		t.Errorf("the chain before: %+v, %v", r, err)
	}
	l.wantNoCustodians("other successors", 2, l.link(first.Reshare(t), nil))
	l.wantNoRelease("a case approved by those before", l.release(c, 0, 2), bonded.CodeKeyholderRefused, "keyholder.release.custodians")
	l.committee = second
	l.wantNoRelease("a new case approved by those before", l.release(l.open(l.scope(a, b), first, nil), 0, 2), bonded.CodeBelowQuorum, "keyholder.release.approvals")
	l.wantRelease("a case approved by the successors", l.open(l.scope(a, b), second, nil), a, b)
}

// unwitnessed is a proof under a checkpoint with the signature of the ledger
// and no witness's.
func unwitnessed(t *testing.T, proof []byte) []byte {
	t.Helper()
	p, err := verify.ParseTlogProof(proof)
	must(t, err)
	text, sigs, ok := strings.Cut(string(p.Checkpoint), "\n\n")
	own, _, more := strings.Cut(sigs, "\n")
	if !ok || !more {
		t.Fatal("the checkpoint has no signatures")
	}
	p.Checkpoint = []byte(text + "\n\n" + own + "\n")
	return p.Format()
}

// ownLedger is the proof of a leaf in a ledger of one entry, which the vault
// signs and no witness has seen.
func (l *liarDoor) ownLedger(leaf []byte) []byte {
	t := l.t
	t.Helper()
	key, err := os.ReadFile(filepath.Join(l.d.Layout.Vault("eu"), "keys", "ledger.key"))
	must(t, err)
	s, err := note.NewSigner(strings.TrimSpace(string(key)))
	must(t, err)
	root := tlog.RecordHash(leaf)
	cp, err := note.Sign(&note.Note{Text: s.Name() + "\n1\n" + root.String() + "\n"}, s)
	must(t, err)
	return (&verify.TlogProof{Checkpoint: cp}).Format()
}
