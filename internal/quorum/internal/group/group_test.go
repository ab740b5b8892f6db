package group_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"bonded/internal/quorum/internal/group"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Multiples of the generator: RFC 9496, appendix A.1.
func TestGeneratorIsThatOfRFC9496(t *testing.T) {
	for n, want := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
		"6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
	} {
		s := group.SmallScalar(uint8(n))
		for _, p := range []group.Point{group.MulGen(s), group.Generator().Mul(s), group.Generator().MulSmall(uint8(n))} {
			if got := p.Bytes(); !bytes.Equal(got[:], unhex(t, want)) {
				t.Errorf("%d·G = %x", n, got)
			}
		}
	}
}

// Some of the invalid encodings of RFC 9496, appendix A.2: not canonical,
// negative, and the identity, which is ours.
func TestParsePointRefusesAllButOneEncoding(t *testing.T) {
	for _, bad := range []string{
		"",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6", // the generator with its top bit set
		"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d7600",
	} {
		if _, err := group.ParsePoint(unhex(t, bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	p := group.MulGen(group.RandomScalar())
	b := p.Bytes()
	q, err := group.ParsePoint(b[:])
	if err != nil || !q.Equal(p) {
		t.Errorf("a point does not come back: %v", err)
	}
}

func TestParsePointHasOneSpelling(t *testing.T) {
	// Whatever decodes encodes to the same bytes.
	seed := group.RandomScalar()
	for range 2000 {
		b := seed.Bytes()
		b[31] = 0x7f & (b[31] * 37)
		if p, err := group.ParsePoint(b[:]); err == nil && p.Bytes() != b {
			t.Fatalf("%x has another spelling", b)
		}
		seed = seed.Add(seed.Mul(seed))
	}
}

func TestParseScalarRefusesTheOrderAndMore(t *testing.T) {
	order := "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
	if _, err := group.ParseScalar(unhex(t, order)); err == nil {
		t.Error("the order is taken")
	}
	below := unhex(t, order)
	below[0]--
	s, err := group.ParseScalar(below)
	if err != nil || !s.Add(group.SmallScalar(1)).IsZero() {
		t.Errorf("the order less one: %v", err)
	}
	if _, err := group.ParseSecret(make([]byte, 32)); err == nil {
		t.Error("zero is taken as a secret")
	}
	if _, err := group.ParseScalar(make([]byte, 31)); err == nil {
		t.Error("31 bytes are taken")
	}
}

func TestMulSmallIsMul(t *testing.T) {
	p := group.MulGen(group.RandomScalar())
	for n := range 256 {
		if !p.MulSmall(uint8(n)).Equal(p.Mul(group.SmallScalar(uint8(n)))) {
			t.Errorf("%d times a point differs", n)
		}
	}
}

func TestLagrangeInterpolatesAtZero(t *testing.T) {
	a, b, c := group.RandomScalar(), group.RandomScalar(), group.RandomScalar()
	f := func(n uint8) group.Scalar {
		x := group.SmallScalar(n)
		return c.Mul(x).Add(b).Mul(x).Add(a)
	}
	for _, indices := range [][]uint8{{1, 2, 3}, {32, 7, 1}, {5, 4, 3, 2}} {
		sum := group.SmallScalar(0)
		for i, l := range group.Lagrange(indices) {
			sum = sum.Add(l.Mul(f(indices[i])))
		}
		if !sum.Equal(a) {
			t.Errorf("%v does not give f(0)", indices)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an index twice is taken")
		}
	}()
	group.Lagrange([]uint8{1, 1})
}

func TestCopyAndWipe(t *testing.T) {
	s := group.RandomScalar()
	kept := s.Copy()
	s.Wipe()
	if !s.IsZero() || kept.IsZero() {
		t.Error("wiping one wiped the other, or neither")
	}
	if (group.Scalar{}).Valid() || (group.Point{}).Valid() || !kept.Valid() || !group.Generator().Valid() {
		t.Error("zero values are valid")
	}
}
