package quorum_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"bonded/internal/quorum"
	"bonded/internal/quorum/internal/group"
)

type cocktailFile struct {
	Vectors []struct {
		N      int `json:"n"`
		T      int `json:"t"`
		Round1 []struct {
			ID         int        `json:"participant_id"`
			Commitment []hexBytes `json:"vss_commitment"`
			PoP        hexBytes   `json:"pop"` // R and z
			Challenge  hexBytes   `json:"pop_challenge"`
		} `json:"round1"`
		Round2 []struct {
			ID           int      `json:"participant_id"`
			Secret       hexBytes `json:"secret_share"`
			Verification hexBytes `json:"verification_share"`
		} `json:"round2"`
		Group hexBytes `json:"group_public_key"`
	} `json:"vectors"`
}

// TestCocktailVectors runs the parts of C2SP COCKTAIL-DKG's vectors that mean
// the same here; spec/quorum.md, section 14, says which do not and why.
func TestCocktailVectors(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "spec", "vectors", "cocktail-dkg-ristretto255.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file cocktailFile
	if err := json.Unmarshal(b, &file); err != nil || len(file.Vectors) != 4 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	point := func(b []byte) group.Point {
		p, err := group.ParsePoint(b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	scalar := func(b []byte) group.Scalar {
		s, err := group.ParseScalar(b)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, v := range file.Vectors {
		// 1. Feldman commitments, and the equation of Schnorr's proof: z·G = R + c·A.
		var deals [][]group.Point
		for _, r := range v.Round1 {
			var c []group.Point
			for _, p := range r.Commitment {
				c = append(c, point(p))
			}
			deals = append(deals, c)
			left := group.MulGen(scalar(r.PoP[32:]))
			if !left.Equal(point(r.PoP[:32]).Add(c[0].Mul(scalar(r.Challenge)))) {
				t.Errorf("%d of %d: possession of participant %d does not hold", v.T, v.N, r.ID)
			}
		}
		// 2. The group key is the sum of the constants.
		joint := quorum.Sum(deals)
		if !joint[0].Equal(point(v.Group)) || len(joint) != v.T {
			t.Errorf("%d of %d: another group key", v.T, v.N)
		}
		// 3. Each verification share is the joint polynomial in the exponent, and the
		// sum of what each dealer's commitments give; each secret share fits it.
		for _, r := range v.Round2 {
			sum := group.Identity()
			for _, d := range deals {
				sum = sum.Add(quorum.Eval(d, r.ID))
			}
			want := point(r.Verification)
			if !sum.Equal(want) || !quorum.Eval(joint, r.ID).Equal(want) || !group.MulGen(scalar(r.Secret)).Equal(want) {
				t.Errorf("%d of %d: share of participant %d", v.T, v.N, r.ID)
			}
		}
		// 4. Any t shares make the key; and the polynomial through them, evaluated,
		// gives all the others.
		for first := 0; first+v.T <= v.N; first++ {
			var indices []uint8
			for i := range v.T {
				indices = append(indices, uint8(v.Round2[first+i].ID))
			}
			secret := group.SmallScalar(0)
			for i, l := range group.Lagrange(indices) {
				secret = secret.Add(l.Mul(scalar(v.Round2[first+i].Secret)))
			}
			if !group.MulGen(secret).Equal(point(v.Group)) {
				t.Errorf("%d of %d: shares from %d do not make the key", v.T, v.N, first+1)
			}
		}
		if v.T != 2 {
			continue
		}
		one, two := scalar(v.Round2[0].Secret), scalar(v.Round2[1].Secret)
		constant := group.SmallScalar(0)
		for i, l := range group.Lagrange([]uint8{1, 2}) {
			constant = constant.Add(l.Mul([]group.Scalar{one, two}[i]))
		}
		slope := one.Add(constant.Mul(minusOne(t)))
		if !quorum.Polynomial([]group.Scalar{constant, slope}, 3).Equal(scalar(v.Round2[2].Secret)) {
			t.Errorf("%d of %d: the polynomial does not give the third share", v.T, v.N)
		}
	}
}

// minusOne is the order of the group less one.
func minusOne(t *testing.T) group.Scalar {
	t.Helper()
	l := []byte{0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	s, err := group.ParseScalar(l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
