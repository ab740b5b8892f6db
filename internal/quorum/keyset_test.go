package quorum_test

import (
	"bytes"
	"slices"
	"testing"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum"
)

func TestParamsCheck(t *testing.T) {
	c, ks := held(t, firmAndIndependent...)
	for name, change := range map[string]func(p *quorum.Params){
		"no cell":             func(p *quorum.Params) { p.Cell = "" },
		"no id":               func(p *quorum.Params) { p.Ceremony = bonded.ID{} },
		"no kind":             func(p *quorum.Params) { p.Kind = 0 },
		"unknown kind":        func(p *quorum.Params) { p.Kind = 4 },
		"epoch 0":             func(p *quorum.Params) { p.Epoch = 0 },
		"epoch 2":             func(p *quorum.Params) { p.Epoch = 2 },
		"no roles":            func(p *quorum.Params) { p.Roles = nil },
		"nine roles":          func(p *quorum.Params) { p.Roles = make([]quorum.Role, 9) },
		"role without a name": func(p *quorum.Params) { p.Roles[0].Name = "" },
		"two roles of a name": func(p *quorum.Params) { p.Roles[1].Name = p.Roles[0].Name },
		"threshold 0":         func(p *quorum.Params) { p.Roles[0].Threshold = 0 },
		"threshold over N":    func(p *quorum.Params) { p.Roles[0].Threshold = 4 },
		"no members":          func(p *quorum.Params) { p.Roles[0].Members = nil },
		"33 members":          func(p *quorum.Params) { p.Roles[0].Members = make([]quorum.Custody, 33) },
		"member without id":   func(p *quorum.Params) { p.Roles[0].Members[0].ID = "" },
		"id with a newline":   func(p *quorum.Params) { p.Roles[0].Members[0].ID = "a\nb" },
		"id twice":            func(p *quorum.Params) { p.Roles[0].Members[0].ID = p.Roles[1].Members[0].ID },
		"approval key twice":  func(p *quorum.Params) { p.Roles[0].Members[0].Approval = p.Roles[1].Members[0].Approval },
		"no approval key":     func(p *quorum.Params) { p.Roles[0].Members[0].Approval = nil },
		"transport key twice": func(p *quorum.Params) { p.Roles[0].Members[0].Transport = p.Roles[0].Members[1].Transport },
		"no transport key": func(p *quorum.Params) {
			clear(p.Roles[0].Members[0].Transport[:])
			p.Roles[0].Members[0].Transport[0] = 255
			p.Roles[0].Members[0].Transport[1] = 255
		},
		"dealer in a dkg":     func(p *quorum.Params) { p.Dealer.ID = "x" },
		"dealer without keys": func(p *quorum.Params) { p.Kind = quorum.KindDealer },
		"handover in a dkg":   func(p *quorum.Params) { p.Handover = [][]uint8{{1}, {1}} },
		"previous in a dkg":   func(p *quorum.Params) { p.Previous = ks.Digest() },
	} {
		p := c.dkg()
		change(p)
		if bonded.CodeOf(p.Check(nil)) != bonded.CodeInvalid {
			t.Errorf("%s: taken", name)
		}
	}
	for name, change := range map[string]func(p *quorum.Params){
		"other key set":            func(p *quorum.Params) { p.Previous[0] ^= 1 },
		"same epoch":               func(p *quorum.Params) { p.Epoch = 1 },
		"other cell":               func(p *quorum.Params) { p.Cell = "eu" },
		"a role less":              func(p *quorum.Params) { p.Roles = p.Roles[:1]; p.Handover = p.Handover[:1] },
		"roles turned":             func(p *quorum.Params) { slices.Reverse(p.Roles) },
		"too few dealers":          func(p *quorum.Params) { p.Handover[0] = []uint8{1} },
		"dealers descending":       func(p *quorum.Params) { p.Handover[0] = []uint8{2, 1} },
		"dealer twice":             func(p *quorum.Params) { p.Handover[0] = []uint8{1, 1} },
		"dealer 0":                 func(p *quorum.Params) { p.Handover[0] = []uint8{0, 1} },
		"dealer that is not there": func(p *quorum.Params) { p.Handover[0] = []uint8{1, 4} },
		"custodian changes role": func(p *quorum.Params) {
			p.Roles[0].Members[0], p.Roles[1].Members[0] = p.Roles[1].Members[0], p.Roles[0].Members[0]
		},
		"transport key again": func(p *quorum.Params) {
			p.Roles[0].Members[2].Transport = ks.Roles()[0].Members[2].Transport
		},
	} {
		for _, who := range c.all() {
			who.fresh(t)
		}
		p := c.reshare(ks)
		if err := p.Check(ks); err != nil {
			t.Fatal(err)
		}
		change(p)
		if bonded.CodeOf(p.Check(ks)) != bonded.CodeInvalid {
			t.Errorf("%s: taken", name)
		}
	}
	if p := c.reshare(ks); bonded.CodeOf(p.Check(nil)) != bonded.CodeInvalid {
		t.Error("a reshare without its previous key set is taken")
	}
}

func TestParamsRoundTrip(t *testing.T) {
	c, ks := held(t, firmAndIndependent...)
	dealt := c.dkg()
	dealt.Kind = quorum.KindDealer
	dealt.Dealer = quorum.Dealer{ID: "dealer", Approval: newPerson(t, "d").pub()}
	for _, p := range []*quorum.Params{c.dkg(), c.reshare(ks), dealt} {
		b := p.Bytes()
		q, err := quorum.ParseParams(b)
		if err != nil || !bytes.Equal(q.Bytes(), b) || q.Digest() != p.Digest() {
			t.Errorf("%s: %v", p.Kind, err)
		}
		for i := range len(b) {
			if _, err := quorum.ParseParams(b[:i]); err == nil {
				t.Fatalf("%s: %d of %d bytes are taken", p.Kind, i, len(b))
			}
		}
	}
}

func TestKeySetIsConsistent(t *testing.T) {
	_, ks := held(t, firmAndIndependent...)
	good := ks.Bytes()
	again, err := quorum.ParseKeySet(good)
	if err != nil || again.Digest() != ks.Digest() || again.ReleaseKey() != ks.ReleaseKey() {
		t.Fatal(err)
	}
	// What is bound by nothing but the digest may be altered: cell, ceremony,
	// members, and the commitments that are no key of a role.
	n := len(good)
	for i := range good {
		if i > 110 && i < n-110 {
			continue
		}
		b := bytes.Clone(good)
		b[i] ^= 2
		if k, err := quorum.ParseKeySet(b); err == nil && k.Digest() == ks.Digest() {
			t.Fatalf("byte %d: another key set of the same digest", i)
		} else if err == nil && (i < 2 || i >= 4 && i < 39 || i >= n-96 && i < n-64 || i >= n-32) {
			t.Errorf("byte %d altered, and the key set is taken", i)
		}
	}
	firm, _ := ks.RoleKey("firm")
	if k, ok := ks.VerificationKey("firm", 3); !ok || k == firm {
		t.Error("no verification key of firm/3")
	}
	for _, index := range []int{0, 4, -1} {
		if _, ok := ks.VerificationKey("firm", index); ok {
			t.Errorf("there is a verification key of firm/%d", index)
		}
	}
	if role, index, ok := ks.Find(ks.Roles()[1].Members[1].Approval); !ok || role != "independent" || index != 2 {
		t.Errorf("found %s/%d, want independent/2", role, index)
	}
	if cs := ks.Custodians(); cs.KeySet != ks.Digest() || len(cs.Roles) != 2 || cs.Roles[0].Members[2].Index != 3 {
		t.Errorf("custodians = %+v", cs)
	}
}

// rebuild encodes a certificate of parts.
func rebuild(keySet, transcript []byte, entries [][]byte) []byte {
	w := canon.Writer{B: []byte{1}}
	w.Bytes(keySet)
	w.Fixed(transcript)
	w.Uint(uint64(len(entries)))
	for _, e := range entries {
		w.Fixed(e)
	}
	return w.B
}

func parts(t testing.TB, c *quorum.Certificate) (keySet, transcript []byte, entries [][]byte) {
	t.Helper()
	r := canon.NewReader(c.Bytes())
	r.Byte()
	keySet = r.Bytes(quorum.MaxKeySetSize)
	transcript = make([]byte, 32)
	r.Fixed(transcript)
	for range r.Count(1000) {
		e := make([]byte, 67)
		r.Fixed(e)
		entries = append(entries, e)
	}
	if err := r.Done(); err != nil {
		t.Fatal(err)
	}
	return keySet, transcript, entries
}

func TestCertificateNeedsEverybody(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	first, _ := hold(t, c.dkg(), nil, c.all()...)
	for _, who := range c.all() {
		who.fresh(t)
	}
	second, _ := hold(t, c.reshare(first.KeySet()), first.KeySet(), c.all()...)
	stranger := newCommittee(t, firmAndIndependent...)
	foreign, _ := hold(t, stranger.dkg(), nil, stranger.all()...)

	check := func(b []byte, previous *quorum.KeySet) error {
		cert, err := quorum.ParseCertificate(b)
		if err != nil {
			return err
		}
		return quorum.CheckCertificate(cert, previous)
	}
	for _, x := range []struct {
		cert     *quorum.Certificate
		previous *quorum.KeySet
	}{{first, nil}, {second, first.KeySet()}} {
		ks, transcript, entries := parts(t, x.cert)
		if err := check(rebuild(ks, transcript, entries), x.previous); err != nil {
			t.Fatal(err)
		}
		for i := range entries {
			if check(rebuild(ks, transcript, slices.Delete(slices.Clone(entries), i, i+1)), x.previous) == nil {
				t.Errorf("epoch %d: holds without signature %d", x.cert.KeySet().Epoch(), i)
			}
			twice := slices.Insert(slices.Clone(entries), i, entries[i])
			if check(rebuild(ks, transcript, twice), x.previous) == nil {
				t.Errorf("epoch %d: holds with signature %d twice", x.cert.KeySet().Epoch(), i)
			}
			altered := slices.Clone(entries)
			altered[i] = bytes.Clone(entries[i])
			altered[i][66] ^= 1
			if check(rebuild(ks, transcript, altered), x.previous) == nil {
				t.Errorf("epoch %d: holds with signature %d altered", x.cert.KeySet().Epoch(), i)
			}
		}
		other := bytes.Clone(transcript)
		other[0] ^= 1
		wantCode(t, check(rebuild(ks, other, entries), x.previous), bonded.CodeProof)
		fks, _, _ := parts(t, foreign)
		wantCode(t, check(rebuild(fks, transcript, entries), nil), bonded.CodeProof)
	}
	// The chain cannot be entered or left anywhere but at its links.
	wantCode(t, quorum.CheckCertificate(second, nil), bonded.CodeProof)
	wantCode(t, quorum.CheckCertificate(second, second.KeySet()), bonded.CodeProof)
	wantCode(t, quorum.CheckCertificate(second, foreign.KeySet()), bonded.CodeProof)
	wantCode(t, quorum.CheckCertificate(first, foreign.KeySet()), bonded.CodeProof)
	b := second.Bytes()
	for i := range b {
		x := bytes.Clone(b)
		x[i] ^= 1
		if i%97 == 0 || i > len(b)-700 {
			if check(x, first.KeySet()) == nil {
				t.Fatalf("byte %d altered, and the certificate holds", i)
			}
		}
	}
}
