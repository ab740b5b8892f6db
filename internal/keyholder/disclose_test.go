package keyholder_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

func TestReleaseSealsTheKeysOfTheScopeToItsRequester(t *testing.T) {
	f := newFront(t)
	a, b := f.create(), f.create()
	c := f.open(f.scope(a, b))
	x := f.releaseOf(c, 0, 2)
	res := f.release(x)
	if res.Code != "" || len(res.Items) != 2 {
		t.Fatalf("%s %s", res.Code, res.Rule)
	}
	for i, p := range []person{a, b} {
		keys, err := f.keys(c, i, res.Items[i].Sealed)
		if err != nil || len(keys) != 64 || !bytes.Equal(keys[:32], p.key[:]) {
			t.Errorf("item %d: the keys sealed are not those of its fields: %v", i, err)
		}
		if res.Items[i].N != 2 { // its creation is the first
			t.Errorf("item %d: release number %d of its subject", i, res.Items[i].N)
		}
		if _, err := f.keys(c, 1-i, res.Items[i].Sealed); err == nil {
			t.Errorf("item %d opens as another one", i)
		}
	}
	// The vault sees no key in what it passes on.
	if bytes.Contains(res.Encode(), a.key[:]) {
		t.Error("a key of the release is in the answer in clear")
	}
	// Both books say the same of it.
	rows := f.book()
	row := rows[len(rows)-1]
	d := c.scope.Digest()
	if row.Kind != verify.BookUnlock || row.Operation != verify.OpDisclose || row.Assurance != verify.AssuranceCase || row.Digest != d || row.RowLeaf != x.Leaf ||
		row.Basis != (bonded.CaseID{Cell: "eu", ID: c.scope.Case}).String() || row.Collection != "users" || len(row.Items) != 2 || row.Items[1].Subject != b.subject ||
		row.Items[0].Fields[1].Name != "email" || row.Items[0].Fields[1].Version != a.version || row.Principal != "front-door" || row.Outcome != verify.OutcomeAllowed {
		t.Errorf("book row: %+v", row)
	}
	if st := f.status(); st.Cases != 1 || st.Unanchored == 0 {
		t.Errorf("status: %d releases of cases, %d unanchored", st.Cases, st.Unanchored)
	}
	// It keeps its place in the ledger as every release.
	f.anchor()
	if st := f.status(); st.Unanchored != 0 {
		t.Errorf("%d releases are not anchored", st.Unanchored)
	}
}

func TestReleaseGoesChunkByChunkAndAgain(t *testing.T) {
	f := newFront(t)
	var people []person
	for range 5 {
		people = append(people, f.create())
	}
	c := f.open(f.scope(people...))
	for _, at := range [][2]int{{0, 2}, {2, 5}, {2, 5}} { // the last was cut off: a new row asks again
		res := f.release(f.releaseOf(c, at[0], at[1]))
		if res.Code != "" {
			t.Fatalf("%v: %s %s", at, res.Code, res.Rule)
		}
		for i := range res.Items {
			if keys, err := f.keys(c, at[0]+i, res.Items[i].Sealed); err != nil || !bytes.Equal(keys[:32], people[at[0]+i].key[:]) {
				t.Errorf("item %d: %v", at[0]+i, err)
			}
		}
	}
}

func TestReleaseIsRefusedUnlessEverythingHolds(t *testing.T) {
	f := newFront(t)
	p, q := f.create(), f.create()
	good := f.open(f.scope(p, q))
	firm, other := f.committee.Find("firm", 1), f.open(f.scope(q, p))
	sign := func(c *cased, change func(*verify.Approval), key ed25519.PrivateKey) []byte {
		a := *c.approvals[0]
		change(&a)
		a.Sign(key)
		return a.Encode()
	}
	approve := func(i int, b func(*cased) []byte) func(*cased, *wire.Release) {
		return func(c *cased, x *wire.Release) { x.Certificate.Approvals[i] = b(c) }
	}
	for name, tc := range map[string]struct {
		code   bonded.Code
		rule   string
		change func(*cased, *wire.Release)
	}{
		"no items":               {"invalid", "form", func(_ *cased, x *wire.Release) { x.Items = nil }},
		"an item twice":          {"invalid", "form", func(_ *cased, x *wire.Release) { x.Items[1] = x.Items[0] }},
		"an item malformed":      {"invalid", "form", func(_ *cased, x *wire.Release) { x.Items[0] = x.Items[0][1:] }},
		"items beyond the scope": {"invalid", "form", func(_ *cased, x *wire.Release) { x.From = 1 }},
		"a place that overflows": {"invalid", "form", func(_ *cased, x *wire.Release) { x.From = 1<<64 - 1 }},
		"a head malformed":       {"invalid", "form", func(_ *cased, x *wire.Release) { x.Certificate.ScopeHead = nil }},
		"an approval malformed":  {"invalid", "form", func(_ *cased, x *wire.Release) { x.Certificate.Approvals[0] = []byte{1} }},
		"no purpose":             {"invalid", "form", func(_ *cased, x *wire.Release) { x.Purpose = "" }},
		"two collections": {"invalid", "form", func(_ *cased, x *wire.Release) {
			it := good.scope.Items[1]
			it.Collection = "orders"
			x.Items[1] = verify.EncodeScopeItem(&it)
		}},
		"another cell": {"keyholder_refused", "cell", func(c *cased, x *wire.Release) {
			s := *c.scope
			s.Cell = "cn"
			x.Certificate.ScopeHead = verify.EncodeScopeHead(&s)
		}},
		"an epoch that is not in force": {"keyholder_refused", "custodians", func(c *cased, x *wire.Release) {
			s := *c.scope
			s.Epoch++
			x.Certificate.ScopeHead = verify.EncodeScopeHead(&s)
		}},
		"custodians who are not in force": {"keyholder_refused", "custodians", func(c *cased, x *wire.Release) {
			s := *c.scope
			s.KeySet[0] ^= 1
			x.Certificate.ScopeHead = verify.EncodeScopeHead(&s)
		}},
		"an item that was not approved": {"keyholder_refused", "items", func(_ *cased, x *wire.Release) {
			it := good.scope.Items[0]
			it.Fields = append([]verify.ScopeField{}, it.Fields...)
			it.Fields[1].Name = "passport"
			x.Items[0] = verify.EncodeScopeItem(&it)
		}},
		"items in another order": {"keyholder_refused", "items", func(_ *cased, x *wire.Release) { x.Items[0], x.Items[1] = x.Items[1], x.Items[0] }},
		"a wider scope than approved": {"below_quorum", "approvals", func(c *cased, x *wire.Release) {
			s := *c.scope
			s.Items = append(append([]verify.ScopeItem{}, s.Items...), other.scope.Items[0])
			s.Items[2].Task = 7
			x.Certificate.Hashes, x.Items, x.From = nil, [][]byte{verify.EncodeScopeItem(&s.Items[2])}, 2
			for _, h := range s.ItemHashes() {
				x.Certificate.Hashes = append(x.Certificate.Hashes, h)
			}
		}},
		"a later end than approved": {"below_quorum", "approvals", func(c *cased, x *wire.Release) {
			s := *c.scope
			s.Expires += 3600
			x.Certificate.ScopeHead = verify.EncodeScopeHead(&s)
		}},
		"another requester's key": {"keyholder_refused", "recipient", func(_ *cased, x *wire.Release) { _, x.Certificate.Recipient = newRecipient(t) }},
		"another requester's key in the scope": {"below_quorum", "approvals", func(c *cased, x *wire.Release) {
			_, x.Certificate.Recipient = newRecipient(t)
			s := *c.scope
			s.Recipient = verify.RecipientDigest(x.Certificate.Recipient)
			x.Certificate.ScopeHead = verify.EncodeScopeHead(&s)
		}},
		"below quorum":        {"below_quorum", "approvals", func(_ *cased, x *wire.Release) { x.Certificate.Approvals = x.Certificate.Approvals[1:] }},
		"no approvals":        {"below_quorum", "approvals", func(_ *cased, x *wire.Release) { x.Certificate.Approvals = nil }},
		"a role left out":     {"below_quorum", "approvals", func(_ *cased, x *wire.Release) { x.Certificate.Approvals = x.Certificate.Approvals[:2] }},
		"one custodian twice": {"below_quorum", "approvals", func(_ *cased, x *wire.Release) { x.Certificate.Approvals[1] = x.Certificate.Approvals[0] }},
		"an approval forged":  {"below_quorum", "approvals", approve(0, func(c *cased) []byte { return sign(c, func(*verify.Approval) {}, f.admin) })},
		"one custodian in the name of two": {"below_quorum", "approvals", approve(1, func(c *cased) []byte {
			return sign(c, func(a *verify.Approval) { a.Index = 2 }, firm.Key)
		})},
		"a refusal among the approvals": {"below_quorum", "approvals", approve(0, func(c *cased) []byte {
			return sign(c, func(a *verify.Approval) { a.Approve = false }, firm.Key)
		})},
		"an approval of another case": {"below_quorum", "approvals", approve(0, func(*cased) []byte { return other.approvals[0].Encode() })},
		"an approval under an older key set": {"below_quorum", "approvals", approve(0, func(c *cased) []byte {
			return sign(c, func(a *verify.Approval) { a.Epoch = 0 }, firm.Key)
		})},
		"another entry than the approvals name": {"below_quorum", "approvals", func(_ *cased, x *wire.Release) { x.Certificate.Quorum[0] ^= 1 }},
		"no opening entry":                      {"not_witnessed", "opening", func(_ *cased, x *wire.Release) { x.Certificate.Opening = nil }},
		"a proof that the witnesses did not cosign": {"not_witnessed", "opening", func(_ *cased, x *wire.Release) {
			x.Certificate.Proof = bytes.Split(x.Certificate.Proof, []byte("\n— w1"))[0]
			x.Certificate.Proof = append(x.Certificate.Proof, '\n')
		}},
		"the proof of another entry": {"not_witnessed", "opening", func(_ *cased, x *wire.Release) { x.Certificate.Proof = other.proof }},
		"an opening altered": {"not_witnessed", "opening", func(_ *cased, x *wire.Release) {
			x.Certificate.Opening = bytes.Replace(x.Certificate.Opening, []byte(`"value":"`), []byte(`"value":"AA`), 1)
		}},
		"the opening of another case": {"keyholder_refused", "entry", func(_ *cased, x *wire.Release) {
			o := f.releaseOf(other, 0, 2)
			x.Certificate.Opening, x.Certificate.Proof = o.Certificate.Opening, o.Certificate.Proof
		}},
		"a grant of somebody else":   {"forbidden", "grant", func(_ *cased, x *wire.Release) { x.Principal = "app" }},
		"a grant that is not there":  {"forbidden", "grant", func(_ *cased, x *wire.Release) { x.Principal = "nobody" }},
		"a purpose beyond the grant": {"forbidden", "grant", func(_ *cased, x *wire.Release) { x.Purpose = "support" }},
	} {
		t.Run(name, func(t *testing.T) {
			x := f.releaseOf(good, 0, 2)
			tc.change(good, x)
			f.wantNoRelease(t, x, tc.code, "keyholder.release."+tc.rule)
		})
	}
	// None of it kept the good one from being served.
	if res := f.release(f.releaseOf(good, 0, 2)); res.Code != "" {
		t.Errorf("the case itself: %s %s", res.Code, res.Rule)
	}
}

// wantNoRelease checks that a release is refused whole, with its rule in the
// book and nothing in the answer.
func (f *front) wantNoRelease(t *testing.T, x *wire.Release, code bonded.Code, rule string) {
	t.Helper()
	before := f.status()
	res := f.release(x)
	if res.Code != code || res.Rule != rule {
		t.Errorf("refused with %q %q, want %q %q", res.Code, res.Rule, code, rule)
	}
	for i := range res.Items {
		if len(res.Items[i].Sealed) > 0 || res.Items[i].Code == "" || res.Items[i].N != 0 {
			t.Error("something was released")
		}
	}
	rows := f.book()
	row := rows[len(rows)-1]
	if row.Outcome != verify.OutcomeRefused || row.Code != code || row.Detail != rule || row.Operation != verify.OpDisclose || row.RowLeaf != x.Leaf {
		t.Errorf("book row of the refusal: %+v", row)
	}
	if st := f.status(); st.Unanchored != before.Unanchored || st.Cases != before.Cases || st.Refused != before.Refused+1 {
		t.Error("the refusal counts as a release")
	}
}

func TestReleaseNeedsTheEntryThatLetsItHappen(t *testing.T) {
	f := newFront(t)
	p := f.create()
	for name, change := range map[string]func(*verify.CaseEntry){
		"another event":  func(e *verify.CaseEntry) { e.Event = verify.EventQuorum },
		"another scope":  func(e *verify.CaseEntry) { e.Scope[0] ^= 1 },
		"other people":   func(e *verify.CaseEntry) { e.Content[0] ^= 1 },
		"another case":   func(e *verify.CaseEntry) { e.Case = bonded.NewID() },
		"a registration": func(e *verify.CaseEntry) { e.Type = verify.EntryRegistry },
	} {
		t.Run(name, func(t *testing.T) {
			f.wantNoRelease(t, f.releaseOf(f.open(f.scope(p), change), 0, 1), bonded.CodeKeyholderRefused, "keyholder.release.entry")
		})
	}
	t.Run("closed to the keyholder", func(t *testing.T) {
		c := f.open(f.scope(p))
		c.opening, c.proof = f.publishEntry(c.entry, verify.FieldScope)
		f.wantNoRelease(t, f.releaseOf(c, 0, 1), bonded.CodeKeyholderRefused, "keyholder.release.entry")
	})
}

func TestReleaseKeepsItsPlaceInTheStream(t *testing.T) {
	f := newFront(t)
	p := f.create()
	c := f.open(f.scope(p))
	x := f.releaseOf(c, 0, 1)
	if res := f.release(x); res.Code != "" {
		t.Fatal(res.Code, res.Rule)
	}
	f.wantNoRelease(t, x, bonded.CodeKeyholderRefused, "keyholder.stream")
	again := f.releaseOf(c, 0, 1)
	again.Leaf = x.Leaf
	f.wantNoRelease(t, again, bonded.CodeKeyholderRefused, "keyholder.row-reused")
	// Reads and releases share the stream.
	if res := f.unlock(f.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Error("a read after a release is refused")
	}
	disclose := f.entry(verify.OpDisclose, p.read("name"))
	wantRefused(t, f.unlock(disclose), bonded.CodeInvalid, "keyholder.form")
}

func TestReleaseEndsByTheWitnessesTime(t *testing.T) {
	f := newFront(t)
	p := f.create()
	s := f.scope(p)
	s.Expires = uint64(f.now().Add(10 * time.Minute).Unix())
	c := f.open(s)
	f.pass(9 * time.Minute)
	f.anchor()
	if res := f.release(f.releaseOf(c, 0, 1)); res.Code != "" {
		t.Fatal(res.Code, res.Rule)
	}
	f.pass(2 * time.Minute)
	f.anchor()
	f.wantNoRelease(t, f.releaseOf(c, 0, 1), bonded.CodeKeyholderRefused, "keyholder.release.expired")
}

func TestReleaseNeedsAFreshLedger(t *testing.T) {
	f := newFront(t)
	c := f.open(f.scope(f.create()))
	f.pass(16 * time.Minute)
	f.wantNoRelease(t, f.releaseOf(c, 0, 1), bonded.CodeStale, "keyholder.checkpoint-age")
}

func TestReleaseStopsAtTheOperatorsCap(t *testing.T) {
	f := newFront(t, func(w *world) { w.limits.ReleasePerHour = 2 })
	a, b, c := f.create(), f.create(), f.create()
	one := f.open(f.scope(a, b))
	if res := f.release(f.releaseOf(one, 0, 2)); res.Code != "" {
		t.Fatal(res.Code, res.Rule)
	}
	if res := f.release(f.releaseOf(one, 0, 2)); res.Code != "" { // the same people cost nothing more
		t.Fatal(res.Code, res.Rule)
	}
	other := f.open(f.scope(c))
	f.wantNoRelease(t, f.releaseOf(other, 0, 1), bonded.CodeBudget, "keyholder.release.cap")
	// A restart forgets nothing, and the front door's grant is not what counts.
	f.restart()
	f.anchor()
	f.wantNoRelease(t, f.releaseOf(other, 0, 1), bonded.CodeBudget, "keyholder.release.cap")
	f.pass(time.Hour)
	f.anchor()
	if res := f.release(f.releaseOf(other, 0, 1)); res.Code != "" {
		t.Error(res.Code, res.Rule)
	}
}

func TestReleasePassesOverWhoIsNotThere(t *testing.T) {
	f := newFront(t)
	p := f.create()
	nobody := person{subject: bonded.NewID(), record: bonded.NewID(), version: bonded.NewID()}
	c := f.open(f.scope(p, nobody))
	res := f.release(f.releaseOf(c, 0, 2))
	if res.Code != "" || res.Items[0].Code != "" || res.Items[1].Code != bonded.CodeWithheld || len(res.Items[1].Sealed) != 0 {
		t.Errorf("%s %s: %+v", res.Code, res.Rule, res.Items)
	}
}

func TestReleaseOfAnErasedPersonOpensNothing(t *testing.T) {
	f := newFront(t)
	p := f.create()
	c := f.open(f.scope(p))
	f.erase(p)
	res := f.release(f.releaseOf(c, 0, 1))
	if res.Code != "" || res.Items[0].Code != bonded.CodeErased || len(res.Items[0].Sealed) != 0 {
		t.Errorf("%s %s: %+v", res.Code, res.Rule, res.Items)
	}
}

func TestCustodyFollowsTheChain(t *testing.T) {
	f := newFront(t)
	first := f.committee
	ask := func() *wire.CustodyResult {
		t.Helper()
		res, err := f.show()
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := ask(); res.Epoch != 1 || res.KeySet != first.KeySet.Digest() || res.Key != first.KeySet.ReleaseKey() {
		t.Errorf("in force: %+v", res)
	}
	second := first.Reshare(t)
	link := f.link(second, nil)
	for name, change := range map[string]func(*wire.CustodyLink){
		"not witnessed":            func(l *wire.CustodyLink) { l.Proof = bytes.Split(l.Proof, []byte("\n— w1"))[0] },
		"another entry":            func(l *wire.CustodyLink) { l.Opening = nil },
		"another certificate":      func(l *wire.CustodyLink) { l.Certificate = first.Reshare(t).Certificate.Bytes() },
		"ordered by administrator": func(l *wire.CustodyLink) { l.Order = second.Order(t, f.admin) },
		"another first ceremony": func(l *wire.CustodyLink) {
			c := newFirst(t, f)
			*l = f.link(c, c.Order(t, f.admin))
		},
	} {
		l := link
		change(&l)
		if _, err := f.show(l); bonded.CodeOf(err) != bonded.CodeProof {
			t.Errorf("%s: %v", name, err)
		}
	}
	if res := ask(); res.Epoch != 1 {
		t.Fatal("a chain that does not hold was taken up")
	}
	res, err := f.show(link)
	if err != nil || res.Epoch != 2 || res.Key != first.KeySet.ReleaseKey() {
		t.Fatalf("%+v %v", res, err)
	}
	rows := f.book()
	if row := rows[len(rows)-1]; row.Kind != verify.BookCustody || row.Detail != "epoch 2" || row.Digest != second.KeySet.Digest() {
		t.Errorf("book row: %+v", row)
	}
	// It never goes back, keeps it over a restart, and books nothing twice.
	n := len(rows)
	if res, err := f.show(f.link(first, first.Order(t, f.admin)), link); err != nil || res.Epoch != 2 || len(f.book()) != n {
		t.Errorf("the whole chain again: %+v %v", res, err)
	}
	if res, err := f.show(f.link(first, first.Order(t, f.admin))); err != nil || res.Epoch != 2 {
		t.Errorf("an older chain: %+v %v", res, err)
	}
	f.restart()
	f.anchor()
	if st := f.status(); st.Epoch != 2 || st.KeySet != second.KeySet.Digest() {
		t.Errorf("after a restart: epoch %d", st.Epoch)
	}
	// Who was resharing away approves nothing any more.
	p := f.create()
	f.wantNoRelease(t, f.releaseOf(f.open(f.scope(p)), 0, 1), bonded.CodeKeyholderRefused, "keyholder.release.custodians")
	f.committee = second
	if res := f.release(f.releaseOf(f.open(f.scope(p)), 0, 1)); res.Code != "" {
		t.Error(res.Code, res.Rule)
	}
}

func TestCustodyBeginsWithTheAdministratorsOrder(t *testing.T) {
	f := &front{world: newWorld(t)}
	c := newFirst(t, f)
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	other := newFirst(t, f)
	for name, order := range map[string][]byte{"none": nil, "a stranger's": c.Order(t, stranger), "of another ceremony": other.Order(t, f.admin)} {
		if _, err := f.show(f.link(c, order)); bonded.CodeOf(err) != bonded.CodeProof {
			t.Errorf("order %s: %v", name, err)
		}
	}
	if _, err := f.show(f.link(c.Reshare(t), nil)); bonded.CodeOf(err) != bonded.CodeProof {
		t.Errorf("a chain without its beginning: %v", err)
	}
	f.recipient = []byte{1}
	f.committee = c
	f.addGrant("front-door", func(g *grant.Grant) { g.Roles, g.Purposes = []string{"front_door"}, []bonded.Purpose{"front_door"} })
	f.install()
	f.wantNoRelease(t, f.releaseOf(f.open(f.scope(f.create())), 0, 1), bonded.CodeKeyholderRefused, "keyholder.release.custodians")
	if _, err := f.show(f.link(c, c.Order(t, f.admin))); err != nil {
		t.Error(err)
	}
}

func BenchmarkRelease1000(b *testing.B) {
	f := newFront(b)
	var people []person
	for range 1000 {
		people = append(people, f.create())
	}
	f.anchor()
	c := f.open(f.scope(people...))
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < 1000; at += 250 {
			if res := f.release(f.releaseOf(c, at, at+250)); res.Code != "" || len(res.Items[0].Sealed) != seal.HPKEOverhead+64 {
				b.Fatal(res.Code, res.Rule)
			}
		}
	}
}
