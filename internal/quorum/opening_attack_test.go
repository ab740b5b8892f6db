package quorum_test

import (
	"bytes"
	"slices"
	"testing"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/quorum/internal/group"
)

// A table is a key set, its people, one envelope and one request.
type table struct {
	ks                *quorum.KeySet
	firm, independent []*person
	key               quorum.Key
	env               *quorum.Envelope
	req               *request
}

func newTable(t testing.TB) *table {
	t.Helper()
	c, ks := held(t, firmAndIndependent...)
	x := &table{ks: ks, firm: c.people[0], independent: c.people[1], req: newRequest(t)}
	x.key, x.env = seal(t, ks)
	return x
}

func (x *table) combine(ps ...*quorum.Partial) error {
	_, err := quorum.Combine(x.ks, x.req.release, x.env, label, ps)
	return err
}

func TestBelowQuorumDoesNotOpen(t *testing.T) {
	x := newTable(t)
	r := x.req.release
	for name, people := range map[string][]*person{
		"nobody":                           nil,
		"one of the firm":                  {x.firm[0], x.independent[0]},
		"no independent":                   x.firm,
		"no firm":                          x.independent,
		"the right number of one role":     {x.firm[0], x.firm[1], x.firm[2]},
		"the right number, roles mixed up": {x.firm[0], x.independent[0], x.independent[1]},
	} {
		t.Run(name, func(t *testing.T) {
			ps := partials(t, x.ks, r, x.env, people...)
			wantCode(t, x.combine(ps...), bonded.CodeBelowQuorum)
			// Nor if whoever combines leaves the check out.
			if len(ps) == 0 {
				return
			}
			if _, err := x.req.key.Open(x.env, label, quorum.CombineUnchecked(x.ks, ps)); bonded.CodeOf(err) != bonded.CodeAltered {
				t.Errorf("unchecked: err = %v, want code altered", err)
			}
		})
	}
}

func TestPartialBelongsToOneOpening(t *testing.T) {
	x := newTable(t)
	r := x.req.release
	good := partial(t, x.ks, x.firm[0], r, x.env)
	if err := quorum.VerifyPartial(x.ks, r, x.env, label, good); err != nil {
		t.Fatal(err)
	}
	other := newRequest(t)
	_, otherEnv := seal(t, x.ks)
	leaf := r
	leaf.Leaf = [32]byte{8}
	id := r
	id.Request = bonded.NewID()
	recipient := other.release
	recipient.Request, recipient.Leaf = r.Request, r.Leaf
	for name, tt := range map[string]struct {
		release quorum.Release
		env     *quorum.Envelope
	}{
		"another request":     {other.release, x.env},
		"another id":          {id, x.env},
		"another recipient":   {recipient, x.env},
		"another ledger leaf": {leaf, x.env},
		"another envelope":    {r, otherEnv},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, quorum.VerifyPartial(x.ks, tt.release, tt.env, label, good), bonded.CodeInvalid)
			// Relabelled, it is the proof that does not hold.
			relabelled := partial(t, x.ks, x.firm[1], tt.release, tt.env).As("firm", 1, 1, tt.release.Request)
			wantCode(t, quorum.VerifyPartial(x.ks, tt.release, tt.env, label, relabelled), bonded.CodeAtFault)
		})
	}
}

func TestReplayedPartialIsRefused(t *testing.T) {
	x := newTable(t)
	r := x.req.release
	one := partial(t, x.ks, x.firm[0], r, x.env)
	again := partial(t, x.ks, x.firm[0], r, x.env) // another k, the same custodian
	ind := partial(t, x.ks, x.independent[0], r, x.env)
	wantCode(t, x.combine(one, one, ind), bonded.CodeInvalid)
	wantCode(t, x.combine(one, again, ind), bonded.CodeInvalid)
	wantCode(t, x.combine(one, one.As("firm", 2, 1, r.Request), ind), bonded.CodeAtFault)
	wantCode(t, x.combine(one, ind.As("firm", 2, 1, r.Request), ind), bonded.CodeAtFault)
	wantCode(t, x.combine(one, ind.As("nobody", 2, 1, r.Request), ind), bonded.CodeInvalid)
	wantCode(t, x.combine(one, ind.As("firm", 9, 1, r.Request), ind), bonded.CodeInvalid)
}

func TestLyingCustodianIsNamed(t *testing.T) {
	x := newTable(t)
	r := x.req.release
	lie := quorum.MakePartialUnchecked(x.ks, quorum.Claim(x.ks, 0, 2, group.RandomScalar()), r, x.env, label)
	one, three, ind := partial(t, x.ks, x.firm[0], r, x.env), partial(t, x.ks, x.firm[2], r, x.env), partial(t, x.ks, x.independent[0], r, x.env)
	err := x.combine(one, lie, three, ind)
	wantCode(t, err, bonded.CodeAtFault)
	if !bytes.Contains([]byte(err.Error()), []byte(`"firm-2"`)) {
		t.Errorf("err = %v, want firm-2 named", err)
	}
	// The others go on without it: dropped custodians hold nothing up.
	if err := x.combine(one, three, ind); err != nil {
		t.Error(err)
	}
}

func TestStaleShareIsRefused(t *testing.T) {
	c, first := held(t, firmAndIndependent...)
	key, env := seal(t, first)
	var old []*person
	for _, who := range c.all() {
		was := *who
		old = append(old, &was)
		who.fresh(t)
	}
	cert, _ := hold(t, c.reshare(first), first, c.all()...)
	second := cert.KeySet()
	r := newRequest(t)

	// 1. The share says itself that it is old.
	_, err := quorum.MakePartial(second, old[0].share, r.release, env, label)
	wantCode(t, err, bonded.CodeStaleShare)
	// 2. So does the partial it makes.
	stale := partial(t, first, old[0], r.release, env)
	wantCode(t, quorum.VerifyPartial(second, r.release, env, label, stale), bonded.CodeStaleShare)
	// 3. One that claims the new epoch does not prove it.
	claim := quorum.MakePartialUnchecked(second, quorum.Claim(second, 0, 1, old[0].share.Secret()), r.release, env, label)
	wantCode(t, quorum.VerifyPartial(second, r.release, env, label, claim), bonded.CodeAtFault)
	// 4. Old and new do not add up even unchecked.
	mixed := append(partials(t, second, r.release, env, c.people[0][1], c.people[1][0]), claim)
	if _, err := r.key.Open(env, label, quorum.CombineUnchecked(second, mixed)); bonded.CodeOf(err) != bonded.CodeAltered {
		t.Errorf("mixed: err = %v, want code altered", err)
	}
	// 5. But a whole quorum of old shares that were not erased opens for ever:
	// this is why they are erased.
	if err := opensEnvelope(t, first, key, env, old[0], old[1], old[3]); err != nil {
		t.Errorf("spec/quorum.md says that kept shares open: %v", err)
	}
	old[0].share.Erase()
	_, err = quorum.MakePartial(first, old[0].share, r.release, env, label)
	wantCode(t, err, bonded.CodeInvalid)
}

func TestAlteredEnvelopeIsRefused(t *testing.T) {
	x := newTable(t)
	good := x.env.Bytes()
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			b := bytes.Clone(good)
			b[i] ^= bit
			e, err := quorum.ParseEnvelope(b)
			if err == nil {
				err = e.Check(label)
			}
			if err == nil {
				t.Fatalf("byte %d, bit %#x: the envelope still holds", i, bit)
			}
			if e != nil {
				if _, err := quorum.MakePartial(x.ks, x.firm[0].share, x.req.release, e, label); err == nil {
					t.Fatalf("byte %d: a custodian helps", i)
				}
			}
		}
	}
	wantCode(t, x.env.Check([]byte("cn/users/record-1/version-2")), bonded.CodeAltered)
	_, err := quorum.MakePartial(x.ks, x.firm[0].share, x.req.release, x.env, []byte("other"))
	wantCode(t, err, bonded.CodeAltered)

	// An envelope under another release key is not this quorum's.
	_, other := held(t, firmAndIndependent...)
	_, env := seal(t, other)
	_, err = quorum.MakePartial(x.ks, x.firm[0].share, x.req.release, env, label)
	wantCode(t, err, bonded.CodeInvalid)
}

func TestMauledEnvelopeIsRefused(t *testing.T) {
	// U and Ū moved together: TDH2's proof stops it, which plain ElGamal would not.
	x := newTable(t)
	b := x.env.Bytes()
	u, err := group.ParsePoint(b[33:65])
	if err != nil {
		t.Fatal(err)
	}
	ubar, err := group.ParsePoint(b[65:97])
	if err != nil {
		t.Fatal(err)
	}
	second := group.HashToPoint("bonded/quorum/tdh2/1", []byte("second generator"))
	mauled := slices.Concat(b[:33], u.Add(group.Generator()).Append(nil), ubar.Add(second).Append(nil), b[97:])
	e, err := quorum.ParseEnvelope(mauled)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, e.Check(label), bonded.CodeAltered)
}

func TestRecipientMustProveItsKey(t *testing.T) {
	x := newTable(t)
	r := x.req.release
	r.Context = []byte("another request")
	_, err := quorum.MakePartial(x.ks, x.firm[0].share, r, x.env, label)
	wantCode(t, err, bonded.CodeProof)

	// A key made of others' points, with a proof that belongs to another.
	b := x.req.release.Recipient.Bytes()
	rogue, err := group.ParsePoint(x.env.Bytes()[33:65])
	if err != nil {
		t.Fatal(err)
	}
	forged, err := quorum.ParseRecipient(slices.Concat([]byte{1}, rogue.Append(nil), b[33:]))
	if err != nil {
		t.Fatal(err)
	}
	r = x.req.release
	r.Recipient = forged
	_, err = quorum.MakePartial(x.ks, x.firm[0].share, r, x.env, label)
	wantCode(t, err, bonded.CodeProof)
	_, err = quorum.Combine(x.ks, r, x.env, label, nil)
	wantCode(t, err, bonded.CodeProof)

	for name, r := range map[string]quorum.Release{
		"no request":   {Leaf: [32]byte{1}, Recipient: x.req.release.Recipient, Context: x.req.release.Context},
		"no leaf":      {Request: bonded.NewID(), Recipient: x.req.release.Recipient, Context: x.req.release.Context},
		"no recipient": {Request: bonded.NewID(), Leaf: [32]byte{1}},
	} {
		if _, err := quorum.NewOpening(x.ks, r); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: err = %v, want code invalid", name, err)
		}
	}
}

func TestOnlyTheRecipientOpens(t *testing.T) {
	x := newTable(t)
	ps := partials(t, x.ks, x.req.release, x.env, x.firm[0], x.firm[1], x.independent[0])
	c, err := quorum.Combine(x.ks, x.req.release, x.env, label, ps)
	if err != nil {
		t.Fatal(err)
	}
	got, err := x.req.key.Open(x.env, label, c)
	if err != nil || !bytes.Equal(got.Bytes(), x.key.Bytes()) {
		t.Fatalf("recipient: %v", err)
	}
	_, err = quorum.NewRecipientKey().Open(x.env, label, c)
	wantCode(t, err, bonded.CodeAltered)
	_, otherEnv := seal(t, x.ks)
	_, err = x.req.key.Open(otherEnv, label, c)
	wantCode(t, err, bonded.CodeAltered)
	for i := range c.Bytes() {
		b := c.Bytes()
		b[i] ^= 4
		altered, err := quorum.ParseCombined(b)
		if err == nil {
			_, err = x.req.key.Open(x.env, label, altered)
		}
		if err == nil {
			t.Fatalf("byte %d altered, and it opens", i)
		}
	}
}

func TestAlteredPartialIsRefused(t *testing.T) {
	x := newTable(t)
	good := partial(t, x.ks, x.firm[0], x.req.release, x.env).Bytes()
	o, err := quorum.NewOpening(x.ks, x.req.release)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			b := bytes.Clone(good)
			b[i] ^= bit
			p, err := quorum.ParsePartial(b)
			if err == nil {
				err = o.Verify(p, x.env, label)
			}
			if err == nil {
				t.Fatalf("byte %d, bit %#x: the partial still holds", i, bit)
			}
		}
	}
}

func TestNonCanonicalAndIdentityAreRefused(t *testing.T) {
	x := newTable(t)
	bad := map[string][]byte{
		"identity":             make([]byte, 32),
		"negative":             append([]byte{1}, make([]byte, 31)...),
		"field element over p": append(append([]byte{0xf3}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f),
		"all ones":             bytes.Repeat([]byte{0xff}, 32),
		"order of the group":   append([]byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14}, append(make([]byte, 15), 0x10)...),
		"top bit set":          append(make([]byte, 31), 0x80),
	}
	p := partial(t, x.ks, x.firm[0], x.req.release, x.env).Bytes()
	points, scalars := len(p)-5*32, len(p)-3*32
	for name, enc := range bad {
		if _, err := group.ParsePoint(enc); err == nil {
			t.Errorf("%s: taken as a point", name)
		}
		for at := 1; at < 97; at += 32 {
			b := x.env.Bytes()
			copy(b[at:], enc)
			if _, err := quorum.ParseEnvelope(b); err == nil {
				t.Errorf("%s: taken in an envelope at %d", name, at)
			}
		}
		for _, at := range []int{points, points + 32} {
			b := bytes.Clone(p)
			copy(b[at:], enc)
			if _, err := quorum.ParsePartial(b); err == nil {
				t.Errorf("%s: taken in a partial at %d", name, at)
			}
		}
		for at := 1; at < quorum.CombinedSize; at += 32 {
			b := append([]byte{1}, bytes.Repeat(group.Generator().Append(nil), 2)...)
			copy(b[at:], enc)
			if _, err := quorum.ParseCombined(b); err == nil {
				t.Errorf("%s: taken in a combination", name)
			}
		}
		if key, err := quorum.NewEncryptor([32]byte(enc)); err == nil || key != nil {
			t.Errorf("%s: taken as a release key", name)
		}
		b := x.req.release.Recipient.Bytes()
		copy(b[1:], enc)
		if _, err := quorum.ParseRecipient(b); err == nil {
			t.Errorf("%s: taken as a recipient", name)
		}
		if name == "identity" || name == "negative" {
			continue // 0 and 1 are scalars
		}
		for at := scalars; at < len(p); at += 32 {
			b := bytes.Clone(p)
			copy(b[at:], enc)
			if _, err := quorum.ParsePartial(b); err == nil {
				t.Errorf("%s: taken as a scalar", name)
			}
		}
	}
	if _, err := quorum.ParseRecipientKey(make([]byte, 32)); err == nil {
		t.Error("zero is taken as a recipient key")
	}
	share := x.firm[0].share.Bytes()
	copy(share[len(share)-32:], make([]byte, 32))
	if _, err := quorum.ParseShare(share); err == nil {
		t.Error("zero is taken as a share")
	}
}
