package quorum_test

import (
	"bytes"
	"slices"
	"testing"

	"bonded/internal/quorum"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// makeVectors makes what spec/vectors/quorum.json holds.
func makeVectors(t *testing.T) *vectors {
	t.Helper()
	v := &vectors{Note: "Test data. The secrets in here protect nothing."}
	for _, m := range []string{"", "abc"} {
		for _, dst := range []string{"bonded/quorum/sigma/1", "bonded/quorum/tdh2/1"} {
			v.Hashes = append(v.Hashes, hashVector{
				DST: dst, Message: []byte(m),
				Scalar: group.HashToScalar(dst, []byte(m)).Append(nil), Point: group.HashToPoint(dst, []byte(m)).Append(nil),
			})
		}
	}
	second := group.HashToPoint("bonded/quorum/tdh2/1", []byte("second generator"))
	r := group.MulGen(group.RandomScalar())
	u := group.MulGen(group.RandomScalar())
	g := group.Generator()
	v.Proofs = []proofVector{
		makeProof("possession", 1, [][]sigma.Term{{{Witness: 0, Base: g}}}),
		makeProof("equal logarithms", 1, [][]sigma.Term{{{Witness: 0, Base: g}}, {{Witness: 0, Base: second}}}),
		makeProof("re-encryption", 2, [][]sigma.Term{{{Witness: 0, Base: g}}, {{Witness: 1, Base: g}}, {{Witness: 0, Base: u}, {Witness: 1, Base: r}}}),
	}

	c := newCommittee(t, firmAndIndependent...)
	p := c.dkg()
	first := v.addCeremony(t, "dkg", "", p, nil, c.all(), nil)
	for i, l := range []string{"cn/users/record-1/version-1", "x"} {
		e, err := quorum.NewEncryptor(first.ReleaseKey())
		if err != nil {
			t.Fatal(err)
		}
		key, env, err := e.NewEnvelope([]byte(l))
		if err != nil {
			t.Fatal(err)
		}
		d := env.Digest([]byte(l))
		v.Envelopes = append(v.Envelopes, envelopeVector{"dkg", []byte(l), key.Bytes(), "passport_no", key.Field("passport_no"), env.Bytes(), d[:]})
		v.addOpening(t, "dkg", i, first, c.people[0][0], c.people[0][2], c.people[1][1])
	}

	// Handed on to fewer; a complaint that the dealer answers.
	next := &committee{names: c.names, thresholds: []int{2, 1}, people: [][]*person{{c.people[0][1].fresh(t), newPerson(t, "firm-4")}, {c.people[1][0].fresh(t)}}}
	p = next.reshare(first)
	accused := quorum.SeatOf(true, 0, 2)
	complaint := quorum.Forge(next.people[0][1].key, p, quorum.TypeComplaint, quorum.SeatOf(false, 0, 2), append(accused.Bytes(), 1))
	third := v.addCeremony(t, "reshare", "dkg", p, first, append(next.all(), c.people[0][0]), complaint)
	v.addOpening(t, "reshare", 0, third, next.all()...)

	for _, who := range next.all() {
		who.fresh(t)
	}
	fourth := v.addCeremony(t, "refresh", "reshare", next.reshare(third), third, next.all(), nil)
	v.addOpening(t, "refresh", 1, fourth, next.all()...)

	dealer := newPerson(t, "dealer")
	d := newCommittee(t, roleSpec{"firm", 1, 2}, roleSpec{"independent", 1, 1})
	p = d.dkg()
	p.Kind, p.Dealer = quorum.KindDealer, quorum.Dealer{ID: dealer.id, Approval: dealer.pub()}
	v.addCeremony(t, "dealer", "", p, nil, append(d.all(), dealer), nil)

	v.refuse()
	return v
}

func makeProof(session string, witnesses int, terms [][]sigma.Term) proofVector {
	v := proofVector{Session: []byte(session)}
	var w []group.Scalar
	for range witnesses {
		w = append(w, group.RandomScalar())
		v.Witnesses = append(v.Witnesses, w[len(w)-1].Append(nil))
	}
	st := sigma.Statement{Witnesses: witnesses}
	for _, ts := range terms {
		y := group.Identity()
		var e equationVector
		for _, term := range ts {
			y = y.Add(term.Base.Mul(w[term.Witness]))
			e.Terms = append(e.Terms, termVector{term.Witness, term.Base.Append(nil)})
		}
		e.Y = y.Append(nil)
		st.Equations = append(st.Equations, sigma.Equation{Y: y, Terms: ts})
		v.Equations = append(v.Equations, e)
	}
	v.Proof = sigma.Prove(v.Session, st, w).Append(nil)
	return v
}

func (v *vectors) addCeremony(t *testing.T, name, previousName string, p *quorum.Params, previous *quorum.KeySet, people []*person, complaint []byte) *quorum.KeySet {
	t.Helper()
	members := join(t, p, previous, people...)
	c := ceremonyVector{Name: name, Previous: previousName, Params: p.Bytes()}
	if complaint != nil {
		c.Settled = 1
		for _, m := range members {
			if err := m.Receive(complaint); err != nil {
				t.Fatal(err)
			}
		}
	}
	board, err := play(members...)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range board {
		c.Messages = append(c.Messages, raw)
	}
	var ks *quorum.KeySet
	for i, m := range members {
		cert, share, ok := m.Result()
		if !ok {
			t.Fatalf("%s: no result", name)
		}
		ks = cert.KeySet()
		c.Certificate = cert.Bytes()
		people[i].share = share
		role, index, ok := ks.Find(people[i].pub())
		if !ok {
			continue
		}
		vk, _ := ks.VerificationKey(role, index)
		c.Members = append(c.Members, memberVector{role, index, people[i].tr.Bytes(), vk[:], share.Bytes()})
	}
	digest, release := ks.Digest(), ks.ReleaseKey()
	c.KeySet, c.Digest, c.ReleaseKey = ks.Bytes(), digest[:], release[:]
	v.Ceremonies = append(v.Ceremonies, c)
	return ks
}

func (v *vectors) addOpening(t *testing.T, ceremony string, envelope int, ks *quorum.KeySet, people ...*person) {
	t.Helper()
	r := newRequest(t)
	x := openingVector{
		Ceremony: ceremony, Envelope: envelope, Request: r.release.Request[:], Leaf: r.release.Leaf[:],
		Context: r.release.Context, Private: r.key.Bytes(), Recipient: r.release.Recipient.Bytes(),
	}
	e, l := v.envelope(t, envelope), v.Envelopes[envelope].Label
	var ps []*quorum.Partial
	for _, who := range people {
		p, err := quorum.MakePartial(ks, who.share, r.release, e, l)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
		x.Partials = append(x.Partials, p.Bytes())
	}
	c, err := quorum.Combine(ks, r.release, e, l, ps)
	if err != nil {
		t.Fatal(err)
	}
	x.Combined = c.Bytes()
	v.Openings = append(v.Openings, x)
}

func (v *vectors) refuse() {
	add := func(what, why string, b []byte) {
		v.Refused = append(v.Refused, refusedVector{what, why, b})
	}
	ones := bytes.Repeat([]byte{0xff}, 32)
	add("point", "the identity", make([]byte, 32))
	add("point", "a field element over p", ones)
	add("point", "a negative field element", append([]byte{1}, make([]byte, 31)...))
	add("scalar", "the order itself", append([]byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14}, append(make([]byte, 15), 0x10)...))
	add("scalar", "over the order", ones)
	env, p, ks := v.Envelopes[0].Envelope, v.Openings[0].Partials[0], v.Ceremonies[0].KeySet
	add("envelope", "another version", slices.Concat([]byte{2}, env[1:]))
	add("envelope", "U is the identity", slices.Concat(env[:33], make([]byte, 32), env[65:]))
	add("envelope", "a byte too many", append(slices.Clone(env), 0))
	add("partial", "C1 is the identity", slices.Concat(p[:len(p)-160], make([]byte, 32), p[len(p)-128:]))
	add("partial", "a response over the order", slices.Concat(p[:len(p)-32], ones))
	add("partial", "a byte too few", p[:len(p)-1])
	second := group.HashToPoint("bonded/quorum/tdh2/1", []byte("second generator")).Append(nil)
	add("key set", "the release key is not the sum of the roles' keys", slices.Concat(ks[:7], second, ks[39:]))
	add("key set", "a dkg with the mark of a dealer", slices.Concat(ks[:6], []byte{1}, ks[7:]))
}
