package keyholder_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

func TestReadGetsTheKeysOfTheWrite(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	res := w.unlock(w.entry(verify.OpRead, p.read("name", "email")), w.entry(verify.OpRead, p.read("name")))
	a, b := res.Entries[0].Items[0], res.Entries[1].Items[0]
	if a.Keys[0] != p.key || b.Keys[0] != p.key {
		t.Error("the key read is not the key written under")
	}
	if a.Keys[1] == p.key {
		t.Error("two fields have one key")
	}
	if a.N != 2 || b.N != 3 {
		t.Errorf("releases numbered %d and %d, want 2 and 3", a.N, b.N)
	}
	rows := w.book()
	last := rows[len(rows)-1]
	if last.Items[0].N != 3 || last.Outcome != verify.OutcomeAllowed || last.Principal != "app" {
		t.Errorf("last row %+v", last)
	}
	c, err := w.k.SubjectCount(t.Context(), p.subject)()
	if err != nil || c.N != 3 || !c.Verify(w.public.Key) {
		t.Errorf("SubjectCount = %+v, %v", c, err)
	}
	var chain [32]byte
	for _, r := range rows {
		for _, it := range r.Items {
			if it.Subject == p.subject && it.Code == "" {
				chain = verify.SubjectChain(chain, it.N, r.RowLeaf)
			}
		}
	}
	if c.Chain != chain {
		t.Error("the subject's chain is not that of the book")
	}
}

func TestWriteCannotOpenWhatIsStored(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	res := w.unlock(w.entry(verify.OpWrite, wire.Item{Subject: p.subject, Record: p.record, Fields: []wire.FieldVersion{{Name: "name"}}}))
	it := res.Entries[0].Items[0]
	if it.Code != "" || it.Version == p.version || it.Keys[0] == p.key {
		t.Errorf("a write got the stored version or its key: %+v", it.Code)
	}
	res = w.unlock(w.entry(verify.OpWrite, p.read("name")))
	wantRefused(t, res, bonded.CodeInvalid, "keyholder.form")
}

func TestRefusalsAreBookedAndReleaseNothing(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	for name, c := range map[string]struct {
		change func(*wire.Entry)
		code   bonded.Code
		rule   string
	}{
		"unknown grant":         {func(e *wire.Entry) { e.Auth.Principal = "nobody" }, bonded.CodeKeyholderRefused, "keyholder.grant-unknown"},
		"purpose not granted":   {func(e *wire.Entry) { e.Purpose = "marketing" }, bonded.CodeForbidden, "keyholder.purpose"},
		"field out of scope":    {func(e *wire.Entry) { e.Items = []wire.Item{p.read("passport")} }, bonded.CodeForbidden, "keyholder.scope"},
		"other collection":      {func(e *wire.Entry) { e.Collection = "payments" }, bonded.CodeForbidden, "keyholder.scope"},
		"bearer forbidden":      {func(e *wire.Entry) { e.Auth.Principal = "sessions-only" }, bonded.CodeBearerForbidden, "keyholder.bearer"},
		"principal elsewhere":   {func(e *wire.Entry) { e.Auth.Principal = "elsewhere" }, bonded.CodeForbidden, "builtin-location"},
		"operation not allowed": {func(e *wire.Entry) { e.Operation = verify.OpExport }, bonded.CodeForbidden, "default-deny"},
		"job that is no job":    {func(e *wire.Entry) { e.Auth.Assurance = verify.AssuranceJob }, bonded.CodeForbidden, "keyholder.job"},
		"job that reads": {func(e *wire.Entry) {
			e.Auth.Assurance, e.Auth.Principal, e.Purpose = verify.AssuranceJob, "jobs", "maintenance"
			e.Items[0].Fields = e.Items[0].Fields[:1]
		}, bonded.CodeForbidden, "keyholder.scope"},
		"odd words": {func(e *wire.Entry) {
			e.Operation, e.Collection, e.Purpose = 0, "Ünknown collection", "no purpose"
		}, bonded.CodeInvalid, "keyholder.form"},
		"no items":        {func(e *wire.Entry) { e.Items = nil }, bonded.CodeInvalid, "keyholder.form"},
		"read of nothing": {func(e *wire.Entry) { e.Items = []wire.Item{p.read()} }, bonded.CodeInvalid, "keyholder.form"},
		"search in a read": {func(e *wire.Entry) {
			e.Items[0].Index = []wire.IndexValue{{Field: "email"}}
		}, bonded.CodeInvalid, "keyholder.form"},
		"two index values of one field": {func(e *wire.Entry) {
			e.Operation = verify.OpFind
			e.Items = []wire.Item{{Index: []wire.IndexValue{{Field: "email"}, {Field: "email", Inner: [32]byte{1}}}}}
		}, bonded.CodeInvalid, "keyholder.form"},
	} {
		t.Run(name, func(t *testing.T) {
			e := w.entry(verify.OpRead, p.read("name"))
			c.change(&e)
			if name == "job that reads" {
				c.rule = "keyholder.job"
			}
			wantRefused(t, w.unlock(e), c.code, c.rule)
			rows := w.book()
			last := rows[len(rows)-1]
			if last.RowLeaf != e.Leaf || last.Outcome != verify.OutcomeRefused || last.Code != c.code {
				t.Errorf("the refusal is not booked: %+v", last)
			}
		})
	}
	if st := w.status(); st.Refused == 0 {
		t.Error("refusals are not counted")
	}
	w.restart() // every row can be read again
}

func TestGrantEndsByItself(t *testing.T) {
	w := newWorld(t, func(w *world) { w.set.Grants[0].NotAfter = w.at.Add(time.Minute) })
	p := w.create()
	w.pass(time.Minute)
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeKeyholderRefused, "keyholder.grant-ended")
}

func TestEntriesAreNotAnsweredTwice(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	e := w.entry(verify.OpRead, p.read("name"))
	w.unlock(e)
	wantRefused(t, w.unlock(e), bonded.CodeKeyholderRefused, "keyholder.stream")
	late := w.entry(verify.OpRead, p.read("name"))
	late.Seq = 1
	wantRefused(t, w.unlock(late), bonded.CodeKeyholderRefused, "keyholder.stream")
	reused := w.entry(verify.OpRead, p.read("name"))
	reused.Leaf = e.Leaf
	wantRefused(t, w.unlock(reused), bonded.CodeKeyholderRefused, "keyholder.row-reused")
	w.open = w.open[:1]
	w.restart()
	wantRefused(t, w.unlock(e), bonded.CodeKeyholderRefused, "keyholder.stream")
}

func TestItemsAreJudgedOneByOne(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	nobody := person{subject: bonded.NewID(), record: bonded.NewID(), version: bonded.NewID()}
	res := w.unlock(w.entry(verify.OpRead, nobody.read("name"), p.read("name")))
	items := res.Entries[0].Items
	if res.Entries[0].Code != "" || items[0].Code != bonded.CodeWithheld || items[0].Keys != nil || items[1].Code != "" || items[1].Keys[0] != p.key {
		t.Errorf("items %q and %q", items[0].Code, items[1].Code)
	}
	again := wire.Item{Create: true, Subject: p.subject, Record: p.record, Fields: []wire.FieldVersion{{Name: "name"}}}
	twin := wire.Item{Create: true, Subject: bonded.NewID(), Record: bonded.NewID(), Fields: []wire.FieldVersion{{Name: "name"}}}
	res = w.unlock(w.entry(verify.OpCreate, again, twin, twin))
	items = res.Entries[0].Items
	if items[0].Code != bonded.CodeConflict || items[1].Code != "" || items[2].Code != bonded.CodeConflict {
		t.Errorf("creating twice: %q %q %q", items[0].Code, items[1].Code, items[2].Code)
	}
	if st := w.status(); st.Subjects != 2 {
		t.Errorf("%d subjects, want 2", st.Subjects)
	}
}

func TestOuterIndexIsEqualForEqualValuesOfOneField(t *testing.T) {
	w := newWorld(t)
	find := func(field string, inner byte) [16]byte {
		res := w.unlock(w.entry(verify.OpFind, wire.Item{Index: []wire.IndexValue{{Field: field, Inner: [32]byte{inner}}}}))
		return res.Entries[0].Items[0].Outer[0]
	}
	if once, again := find("email", 1), find("email", 1); once != again {
		t.Error("equal values have different index values")
	}
	if find("email", 1) == find("email", 2) || find("email", 1) == find("name", 1) {
		t.Error("different values or fields have one index value")
	}
}

func TestBudgetOfDistinctSubjectsAnHour(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.addGrant("small", func(g *grant.Grant) { g.Budget = 2 })
	})
	people := []person{w.create(), w.create(), w.create()}
	read := func(items ...wire.Item) *wire.UnlockResult {
		e := w.entry(verify.OpRead, items...)
		e.Auth.Principal = "small"
		return w.unlock(e)
	}
	all := func() *wire.UnlockResult {
		return read(people[0].read("name"), people[1].read("name"), people[2].read("name"))
	}
	wantRefused(t, all(), bonded.CodeBudget, "keyholder.budget")
	for range 3 {
		if res := read(people[0].read("name"), people[1].read("name")); res.Entries[0].Code != "" {
			t.Fatalf("within the budget: %q", res.Entries[0].Code)
		}
	}
	wantRefused(t, read(people[2].read("name")), bonded.CodeBudget, "keyholder.budget")
	w.restart()
	w.anchor()
	wantRefused(t, read(people[2].read("name")), bonded.CodeBudget, "keyholder.budget")
	w.pass(time.Hour)
	w.anchor()
	if res := read(people[2].read("name")); res.Entries[0].Code != "" {
		t.Errorf("in the next hour: %q", res.Entries[0].Code)
	}
	w.pass(-2 * time.Hour)
	wantRefused(t, read(people[0].read("name"), people[1].read("name")), bonded.CodeBudget, "keyholder.budget")
}

// openSession opens a session and returns its id and MAC key.
func openSession(t testing.TB, w *world, id string) (session, key [32]byte, msg *wire.OpenSession) {
	t.Helper()
	c, err := w.k.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	key = [32]byte{1, 2, 3}
	pub, err := seal.ParseHPKEPublic(w.public.HPKE)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := seal.SealTo(pub, []byte(id), c[:], key[:])
	if err != nil {
		t.Fatal(err)
	}
	msg = &wire.OpenSession{Grant: id, Challenge: c, Blob: blob}
	copy(msg.Sig[:], ed25519.Sign(w.apps[id], msg.Message("eu")))
	s, err := w.k.OpenSession(t.Context(), msg)()
	if err != nil {
		t.Fatal(err)
	}
	return s.ID, key, msg
}

// prove turns e into a proven request over what the client named.
func prove(e *wire.Entry, session, key [32]byte, counter uint64, named []wire.Named) {
	e.Auth.Assurance = verify.AssuranceProven
	e.Auth.Named = named
	if named == nil {
		named = wire.NamedItems("eu", e.Items)
	}
	r := wire.Request{
		Cell: "eu", Operation: e.Operation, Collection: e.Collection, Purpose: e.Purpose, Reason: e.Reason, Basis: e.Basis, Named: named, Body: e.Auth.Body,
	}
	e.Auth.Proof = wire.MakeProof(key, session, counter, r.Digest())
}

func TestProvenRequests(t *testing.T) {
	w := newWorld(t)
	p, other := w.create(), w.create()
	session, key, msg := openSession(t, w, "sessions-only")
	ask := func(counter uint64, change func(*wire.Entry), named []wire.Named) *wire.UnlockResult {
		e := w.entry(verify.OpRead, p.read("name"))
		e.Auth.Principal = "sessions-only"
		prove(&e, session, key, counter, named)
		if change != nil {
			change(&e)
		}
		return w.unlock(e)
	}
	named := []wire.Named{{
		Subject: bonded.SubjectID{Cell: "eu", ID: p.subject}.String(), Record: bonded.RecordID{Cell: "eu", ID: p.record}.String(), Fields: []string{"email", "name"},
	}}

	if res := ask(1, nil, nil); res.Entries[0].Code != "" || res.Entries[0].Items[0].Keys[0] != p.key {
		t.Fatalf("proven read: %q %q", res.Entries[0].Code, res.Entries[0].Rule)
	}
	if res := ask(2, nil, named); res.Entries[0].Code != "" {
		t.Errorf("named explicitly: %q", res.Entries[0].Rule)
	}
	wantRefused(t, ask(2, nil, nil), bonded.CodeProof, "keyholder.proof-replayed")
	wantRefused(t, ask(0, nil, nil), bonded.CodeProof, "keyholder.proof-replayed")
	wantRefused(t, ask(3, func(e *wire.Entry) { e.Reason = "another" }, nil), bonded.CodeProof, "keyholder.proof-mac")
	wantRefused(t, ask(3, func(e *wire.Entry) { e.Items = []wire.Item{other.read("name")} }, nil), bonded.CodeProof, "keyholder.proof-mac")
	wantRefused(t, ask(3, func(e *wire.Entry) { e.Items = []wire.Item{other.read("name")} }, named), bonded.CodeProof, "keyholder.named")
	wantRefused(t, ask(3, func(e *wire.Entry) { e.Items = append(e.Items, other.read("name")) }, named), bonded.CodeProof, "keyholder.named")
	wantRefused(t, ask(3, func(e *wire.Entry) { e.Items = []wire.Item{p.read("name", "email")} }, []wire.Named{{
		Subject: named[0].Subject, Record: named[0].Record, Fields: []string{"name"},
	}}), bonded.CodeProof, "keyholder.named")
	wantRefused(t, ask(3, nil, []wire.Named{{Subject: named[0].Subject, Record: named[0].Record}}), bonded.CodeProof, "keyholder.named")
	wantRefused(t, ask(3, func(e *wire.Entry) { e.Auth.Principal = "app" }, nil), bonded.CodeProof, "keyholder.session-of-another")
	wantRefused(t, ask(3, func(e *wire.Entry) {
		e.Auth.Resolved = true
		e.Items = []wire.Item{other.read("name")}
	}, named), bonded.CodeProof, "keyholder.named")

	// Counters may overtake one another within the window.
	for _, n := range []uint64{100, 3, 99, 100 + wire.CounterWindow - 1} {
		if res := ask(n, nil, nil); res.Entries[0].Code != "" {
			t.Errorf("counter %d: %q", n, res.Entries[0].Rule)
		}
	}
	wantRefused(t, ask(98+1, nil, nil), bonded.CodeProof, "keyholder.proof-replayed")
	wantRefused(t, ask(50, nil, nil), bonded.CodeProof, "keyholder.proof-replayed")

	// The message that opened it opens nothing more.
	if _, err := w.k.OpenSession(t.Context(), msg)(); bonded.CodeOf(err) != bonded.CodeProof {
		t.Errorf("replayed session: %v", err)
	}
	st := w.status()
	if st.Proven == 0 || st.Asserted == 0 || st.Resolved != 0 {
		t.Errorf("counted %d proven, %d asserted, %d resolved", st.Proven, st.Asserted, st.Resolved)
	}

	// It ends after an hour, and with the process.
	w.anchor()
	w.pass(time.Hour)
	w.anchor()
	wantRefused(t, ask(9000, nil, nil), bonded.CodeProof, "keyholder.session-ended")
	session, key, _ = openSession(t, w, "sessions-only")
	w.restart()
	w.anchor()
	wantRefused(t, ask(1, nil, nil), bonded.CodeProof, "keyholder.session-ended")
}

func TestSessionsAreRefused(t *testing.T) {
	w := newWorld(t)
	pub, err := seal.ParseHPKEPublic(w.public.HPKE)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*wire.OpenSession){
		"own challenge":   func(o *wire.OpenSession) { o.Challenge = [32]byte{9} },
		"wrong signature": func(o *wire.OpenSession) { o.Sig[0] ^= 1 },
		"unknown grant":   func(o *wire.OpenSession) { o.Grant = "nobody" },
		"grant of a job":  func(o *wire.OpenSession) { o.Grant = "jobs" },
		"altered blob":    func(o *wire.OpenSession) { o.Blob[len(o.Blob)-1] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := w.k.Challenge()
			if err != nil {
				t.Fatal(err)
			}
			blob, err := seal.SealTo(pub, []byte("app"), c[:], make([]byte, 32))
			if err != nil {
				t.Fatal(err)
			}
			o := &wire.OpenSession{Grant: "app", Challenge: c, Blob: blob}
			change(o)
			if name != "wrong signature" {
				copy(o.Sig[:], ed25519.Sign(w.apps["app"], o.Message("eu")))
			}
			if _, err := w.k.OpenSession(t.Context(), o)(); bonded.CodeOf(err) != bonded.CodeProof {
				t.Errorf("OpenSession = %v", err)
			}
		})
	}
	c, err := w.k.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Minute)
	blob, _ := seal.SealTo(pub, []byte("app"), c[:], make([]byte, 32))
	o := &wire.OpenSession{Grant: "app", Challenge: c, Blob: blob}
	copy(o.Sig[:], ed25519.Sign(w.apps["app"], o.Message("eu")))
	if _, err := w.k.OpenSession(t.Context(), o)(); bonded.CodeOf(err) != bonded.CodeProof {
		t.Errorf("late challenge: %v", err)
	}
}

func TestGrantSetsAreHeldToNumberSignatureAndCeilings(t *testing.T) {
	w := newWorld(t)
	session, key, _ := openSession(t, w, "sessions-only")
	sign := func(admin ed25519.PrivateKey, change func(*grant.Set)) error {
		s := w.set
		s.Number++
		s.Grants = slices.Clone(s.Grants)
		if change != nil {
			change(&s)
		}
		file, err := grant.Sign(&s, admin)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.k.InstallGrants(t.Context(), file, nil)
		return err
	}
	_, stranger, _ := ed25519.GenerateKey(nil)
	for name, err := range map[string]error{
		"stranger":    sign(stranger, nil),
		"same number": sign(w.admin, func(s *grant.Set) { s.Number--; s.Issued = s.Issued.Add(1) }),
		"other cell":  sign(w.admin, func(s *grant.Set) { s.Cell = "cn" }),
		"budget":      sign(w.admin, func(s *grant.Set) { s.Grants[0].Budget = 30_000_000 }),
		"long-lived":  sign(w.admin, func(s *grant.Set) { s.Grants[0].NotAfter = w.at.Add(9000 * time.Hour) }),
	} {
		if bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Taking a grant away ends its sessions.
	p := w.create()
	w.set.Grants = slices.DeleteFunc(w.set.Grants, func(g grant.Grant) bool { return g.ID == "sessions-only" })
	w.install()
	e := w.entry(verify.OpRead, p.read("name"))
	e.Auth.Principal = "sessions-only"
	prove(&e, session, key, 1, nil)
	wantRefused(t, w.unlock(e), bonded.CodeKeyholderRefused, "keyholder.grant-unknown")
	w.restart()
	if st := w.status(); st.GrantSet != w.set.Number {
		t.Errorf("grant set %d after a restart, want %d", st.GrantSet, w.set.Number)
	}
}

// TestEveryBookedRowCanBeReadAgain sends the longest entry there can be, and
// one byte more.
func TestEveryBookedRowCanBeReadAgain(t *testing.T) {
	w := newWorld(t)
	ask := func(items int) ([]byte, error) {
		e := w.entry(verify.OpRead)
		for range items {
			it := wire.Item{Subject: bonded.NewID(), Record: bonded.NewID()}
			for j := range 40 {
				it.Fields = append(it.Fields, wire.FieldVersion{Name: fmt.Sprintf("field_%02d_aaaaaaaaaaaaaaaa", j), Version: bonded.ID{1}})
			}
			e.Items = append(e.Items, it)
		}
		b := wire.EncodeUnlock(&wire.Unlock{Node: 1, Incarnation: 1, Entries: []wire.Entry{e}})
		return w.k.Handle(t.Context(), wire.MsgUnlock, b)()
	}
	seq := w.status().Head.Seq
	if _, err := ask(verify.MaxRowItems); bonded.CodeOf(err) != bonded.CodeInvalid {
		t.Errorf("an entry over the limit: %v", err)
	}
	if now := w.status().Head.Seq; now != seq {
		t.Errorf("%d rows booked for it", now-seq)
	}
	const fits, rows = 600, 12
	for range rows {
		if _, err := ask(fits); err != nil {
			t.Fatal(err)
		}
	}
	q := wire.BookSince{After: seq, Limit: 4096}
	n := 0
	for n < rows {
		b, err := w.k.Handle(t.Context(), wire.MsgBook, (&wire.BookSince{After: q.After + uint64(n), Limit: q.Limit}).Encode())()
		if err != nil || len(b) > wire.MaxFrame {
			t.Fatalf("Book: %d bytes, %v", len(b), err)
		}
		l, err := wire.DecodeList(b)
		if err != nil || len(l.Items) == 0 {
			t.Fatalf("DecodeList: %d rows, %v", len(l.Items), err)
		}
		n += len(l.Items)
	}
	if n != rows {
		t.Errorf("%d rows read again, want %d", n, rows)
	}
	w.restart()
}
