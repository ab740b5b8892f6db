package quorum_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cloudflare/circl/group"
)

// What follows reads the vectors by spec/quorum.md alone: none of the code under
// test is used, only the group of the library under it.

var g = group.Ristretto255

func lp(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		var x []byte
		switch p := p.(type) {
		case string:
			x = []byte(p)
		case []byte:
			x = p
		case hexBytes:
			x = p
		case uint64:
			x = binary.BigEndian.AppendUint64(nil, p)
		}
		b = binary.BigEndian.AppendUint64(b, uint64(len(x)))
		b = append(b, x...)
	}
	return b
}

func sum256(parts ...any) []byte {
	h := sha256.Sum256(lp(parts...))
	return h[:]
}

func pt(t *testing.T, b []byte) group.Element {
	t.Helper()
	e := g.NewElement()
	if err := e.UnmarshalBinary(b); err != nil || e.IsIdentity() {
		t.Fatalf("point %x: %v", b, err)
	}
	return e
}

func sc(t *testing.T, b []byte) group.Scalar {
	t.Helper()
	s := g.NewScalar()
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatalf("scalar %x: %v", b, err)
	}
	return s
}

func enc(t *testing.T, e group.Element) []byte {
	t.Helper()
	b, err := e.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type termByHand struct {
	w    int
	base group.Element
}

type eqByHand struct {
	y     group.Element
	terms []termByHand
}

// proofByHand verifies a proof as of section 2.
func proofByHand(t *testing.T, session []byte, n int, eqs []eqByHand, proof []byte) bool {
	t.Helper()
	c := sc(t, proof[:32])
	var z []group.Scalar
	for i := range n {
		z = append(z, sc(t, proof[32*(i+1):32*(i+2)]))
	}
	st := []byte{byte(n), byte(len(eqs))}
	var ts []byte
	for _, e := range eqs {
		st = append(append(st, enc(t, e.y)...), byte(len(e.terms)))
		sum := g.NewElement().Mul(e.y, g.NewScalar().Neg(c))
		for _, x := range e.terms {
			st = append(append(st, byte(x.w)), enc(t, x.base)...)
			sum.Add(sum, g.NewElement().Mul(x.base, z[x.w]))
		}
		ts = append(ts, enc(t, sum)...)
	}
	return g.HashToScalar(lp(session, st, ts), []byte("bonded/quorum/sigma/1")).IsEqual(c)
}

func TestEnvelopesByHand(t *testing.T) {
	second := g.HashToElement([]byte("second generator"), []byte("bonded/quorum/tdh2/1"))
	for _, v := range readVectors(t).Envelopes {
		e := v.Envelope
		p, u, ubar, box, proof := e[1:33], e[33:65], e[65:97], e[97:145], e[145:209]
		session := lp("bonded/quorum/tdh2/1", p, v.Label, box)
		if len(e) != 209 || e[0] != 1 || !proofByHand(t, session, 1, []eqByHand{
			{pt(t, u), []termByHand{{0, g.Generator()}}},
			{pt(t, ubar), []termByHand{{0, second}}},
		}, proof) {
			t.Error("an envelope does not hold")
		}
		if !bytes.Equal(sum256("bonded/quorum/envelope/1", e, v.Label), v.Digest) {
			t.Error("another digest")
		}
		fk, err := hkdf.Expand(sha256.New, v.Key, string(lp("bonded/quorum/field/1", v.Field)), 32)
		if err != nil || !bytes.Equal(fk, v.FieldKey) {
			t.Error("another field key")
		}
	}
}

func TestOpeningsByHand(t *testing.T) {
	v := readVectors(t)
	for _, x := range v.Openings {
		ev := v.Envelopes[x.Envelope]
		u := pt(t, ev.Envelope[33:65])
		recipient := pt(t, x.Recipient[1:33])
		if !proofByHand(t, lp("bonded/quorum/recipient/1", x.Context), 1, []eqByHand{{recipient, []termByHand{{0, g.Generator()}}}}, x.Recipient[33:]) {
			t.Error("a recipient does not prove its key")
		}
		c, _, _ := v.ceremony(t, x.Ceremony)
		binding := sum256("bonded/quorum/release/1", c.Digest, x.Request, x.Leaf, x.Recipient[1:33], ev.Digest)
		type found struct {
			index  uint64
			c1, c2 group.Element
		}
		roles := make(map[string][]found)
		for _, p := range x.Partials {
			n := int(p[1])
			role, rest := string(p[2:2+n]), p[2+n:]
			epoch, index := uint64(rest[0]), uint64(rest[1])
			request, bound, c1, c2, proof := rest[2:18], rest[18:50], rest[50:82], rest[82:114], rest[114:]
			var vk []byte
			for _, m := range c.Members {
				if m.Role == role && uint64(m.Index) == index {
					vk = m.Verification
				}
			}
			session := lp("bonded/quorum/partial/1", role, epoch, index, binding)
			if !bytes.Equal(request, x.Request) || !bytes.Equal(bound, binding) || !proofByHand(t, session, 2, []eqByHand{
				{pt(t, vk), []termByHand{{0, g.Generator()}}},
				{pt(t, c1), []termByHand{{1, g.Generator()}}},
				{pt(t, c2), []termByHand{{0, u}, {1, recipient}}},
			}, proof) {
				t.Errorf("a partial of %s/%d does not hold", role, index)
			}
			roles[role] = append(roles[role], found{index, pt(t, c1), pt(t, c2)})
		}
		c1, c2 := g.Identity(), g.Identity()
		for _, of := range roles {
			for _, i := range of {
				l := g.NewScalar().SetUint64(1)
				for _, j := range of {
					if i.index != j.index {
						sj := g.NewScalar().SetUint64(j.index)
						d := g.NewScalar().Sub(sj, g.NewScalar().SetUint64(i.index))
						l.Mul(l, sj.Mul(sj, d.Inv(d)))
					}
				}
				c1.Add(c1, g.NewElement().Mul(i.c1, l))
				c2.Add(c2, g.NewElement().Mul(i.c2, l))
			}
		}
		if !bytes.Equal(x.Combined, slices.Concat([]byte{1}, enc(t, c1), enc(t, c2))) {
			t.Error("another combination")
		}
		r := sc(t, x.Private)
		s := c2.Add(c2, g.NewElement().Neg(g.NewElement().Mul(c1, r)))
		info := lp("bonded/quorum/box/1", ev.Envelope[1:33], ev.Label)
		key, err := hkdf.Key(sha256.New, append(enc(t, s), ev.Envelope[33:65]...), nil, string(info), 32)
		if err != nil {
			t.Fatal(err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		qk, err := aead.Open(nil, make([]byte, 12), ev.Envelope[97:145], info)
		if err != nil || !bytes.Equal(qk, ev.Key) {
			t.Errorf("the box does not open: %v", err)
		}
	}
}

// TestCeremonyByHand follows the first ceremony of the vectors: a DKG of two
// roles, from the bytes of its messages to its key set.
func TestCeremonyByHand(t *testing.T) {
	v := readVectors(t).Ceremonies[0]
	d := sum256("bonded/quorum/params/1", v.Params)
	thresholds, sizes := []int{2, 1}, []int{3, 2} // firm, independent
	keys := approvalKeys(v.Params, sizes)
	var commits, deals [][]byte // H(unsigned), by seat
	var seats, hashes, said [][]byte
	joint := [][]group.Element{nil, nil}
	for _, typ := range []byte{1, 2, 5} {
		for seat := range keys {
			raw := findMessage(t, v.Messages, typ, seat)
			unsigned, sig := raw[:len(raw)-64], raw[len(raw)-64:]
			h := sha256.Sum256(unsigned)
			if raw[0] != 1 || !bytes.Equal(raw[1:33], d) || !ed25519.Verify(keys[seat], lp("bonded/quorum/message/1", h[:]), sig) {
				t.Fatalf("message %d of seat %d is not signed", typ, seat)
			}
			n, used := binary.Uvarint(unsigned[37:])
			body := unsigned[37+used:]
			if int(n) != len(body) {
				t.Fatalf("body of %d bytes, want %d", len(body), n)
			}
			switch typ {
			case 1:
				commits = append(commits, h[:])
				seats, hashes = append(seats, raw[34:37]), append(hashes, body)
			case 2:
				deals = append(deals, h[:])
				core, role := body[32:], int(raw[35])
				if !bytes.Equal(sum256("bonded/quorum/deal/1", d, raw[34:37], core), hashes[seat]) {
					t.Errorf("seat %d deals something else than it committed to", seat)
				}
				said = append(said, body[:32])
				m := thresholds[role]
				if len(core) != 32*m+64+1168*sizes[role] {
					t.Fatalf("core of %d bytes", len(core))
				}
				session := lp("bonded/quorum/possession/1", d, raw[34:37], raw[35:36])
				if !proofByHand(t, session, 1, []eqByHand{{pt(t, core[:32]), []termByHand{{0, g.Generator()}}}}, core[32*m:32*m+64]) {
					t.Errorf("seat %d does not prove possession", seat)
				}
				for k := range m {
					if len(joint[role]) <= k {
						joint[role] = append(joint[role], g.Identity())
					}
					joint[role][k].Add(joint[role][k], pt(t, core[32*k:32*k+32]))
				}
			case 5:
				parts := []any{"bonded/quorum/transcript/1", d}
				for _, h := range slices.Concat(commits, deals) {
					parts = append(parts, h)
				}
				if !bytes.Equal(body, append(sum256(parts...), v.Digest...)) {
					t.Errorf("seat %d confirms something else", seat)
				}
			}
		}
	}
	parts := []any{"bonded/quorum/commits/1", d}
	for i := range seats {
		parts = append(parts, seats[i], hashes[i])
	}
	for i := range said {
		if !bytes.Equal(said[i], sum256(parts...)) {
			t.Errorf("seat %d saw other commits", i)
		}
	}
	// The key set: head, roles as in the parameters, commitments.
	release := g.NewElement().Add(joint[0][0], joint[1][0])
	head := slices.Concat([]byte{1, 2}, []byte("cn"), []byte{1, 1, 0}, enc(t, release), d, make([]byte, 32))
	roles := v.Params[1+3+16+1+1:]
	want := slices.Concat(head, roles, enc(t, joint[0][0]), enc(t, joint[0][1]), enc(t, joint[1][0]))
	if !bytes.Equal(want, v.KeySet) || !bytes.Equal(v.Digest, sum256("bonded/quorum/keyset/1", v.KeySet)) {
		t.Error("another key set, or another digest")
	}
	for _, m := range v.Members[:3] {
		x := g.NewScalar().SetUint64(uint64(m.Index))
		vk := g.NewElement().Mul(joint[0][1], x)
		vk.Add(vk, joint[0][0])
		secret := sc(t, m.Share[len(m.Share)-32:])
		if !bytes.Equal(enc(t, vk), m.Verification) || !g.NewElement().MulGen(secret).IsEqual(vk) {
			t.Errorf("verification key or share of firm/%d", m.Index)
		}
	}
}

// approvalKeys takes the approval keys out of the parameters of two roles.
func approvalKeys(params []byte, sizes []int) []ed25519.PublicKey {
	var keys []ed25519.PublicKey
	b := params[1+3+16+1+1+1:] // version, cell, ceremony, kind, epoch, number of roles
	for _, n := range sizes {
		b = b[1+int(b[0])+2:] // name, threshold, number of members
		for range n {
			b = b[1+int(b[0]):]
			keys = append(keys, ed25519.PublicKey(b[:32]))
			b = b[32+1216:]
		}
	}
	return keys
}

// findMessage returns the message of a type from the seat at a position, of firm/1
// to firm/3 and independent/1 and 2.
func findMessage(t *testing.T, messages []hexBytes, typ byte, seat int) []byte {
	t.Helper()
	want := [][]byte{{1, 0, 1}, {1, 0, 2}, {1, 0, 3}, {1, 1, 1}, {1, 1, 2}}[seat]
	for _, m := range messages {
		if m[33] == typ && bytes.Equal(m[34:37], want) {
			return m
		}
	}
	t.Fatalf("no message %d of seat %d", typ, seat)
	return nil
}
