package reencrypt_test

import (
	"bytes"
	"testing"

	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/reencrypt"
	"bonded/internal/quorum/internal/sigma"
)

// A world is a custodian with share x, a ciphertext's point, and a requester.
type world struct {
	x, r    group.Scalar
	X, U, R group.Point
}

func newWorld() world {
	w := world{x: group.RandomScalar(), r: group.RandomScalar()}
	w.X, w.R, w.U = group.MulGen(w.x), group.MulGen(w.r), group.MulGen(group.RandomScalar())
	return w
}

var session = []byte("session")

func TestFactorDecryptsForTheRecipient(t *testing.T) {
	w := newWorld()
	f := reencrypt.Make(session, w.x, w.X, w.U, w.R)
	if !reencrypt.Verify(session, w.X, w.U, w.R, f) {
		t.Fatal("a good factor does not verify")
	}
	if !f.C2.Sub(f.C1.Mul(w.r)).Equal(w.U.Mul(w.x)) {
		t.Error("the recipient gets something else than x·U")
	}
}

func TestProofBindsEveryPoint(t *testing.T) {
	w, other := newWorld(), newWorld()
	f := reencrypt.Make(session, w.x, w.X, w.U, w.R)
	for name, ok := range map[string]bool{
		"another session":   reencrypt.Verify([]byte("other"), w.X, w.U, w.R, f),
		"another custodian": reencrypt.Verify(session, other.X, w.U, w.R, f),
		"another envelope":  reencrypt.Verify(session, w.X, other.U, w.R, f),
		"another recipient": reencrypt.Verify(session, w.X, w.U, other.R, f),
		"C1 moved":          reencrypt.Verify(session, w.X, w.U, w.R, reencrypt.Factor{C1: f.C1.Add(group.Generator()), C2: f.C2.Add(w.R), Proof: f.Proof}),
		"C2 moved":          reencrypt.Verify(session, w.X, w.U, w.R, reencrypt.Factor{C1: f.C1, C2: f.C2.Add(group.Generator()), Proof: f.Proof}),
		"no proof":          reencrypt.Verify(session, w.X, w.U, w.R, reencrypt.Factor{C1: f.C1, C2: f.C2}),
	} {
		if ok {
			t.Errorf("%s: the proof holds", name)
		}
	}
}

// A liar proves what is true of another share, or leaves one of the three
// equations out.
func TestProofNeedsAllThreeEquations(t *testing.T) {
	w := newWorld()
	lie, k := group.RandomScalar(), group.RandomScalar()
	g := group.Generator()
	c1, c2 := group.MulGen(k), w.U.Mul(lie).Add(w.R.Mul(k))
	first := sigma.Equation{Y: w.X, Terms: []sigma.Term{{Witness: 0, Base: g}}}
	second := sigma.Equation{Y: c1, Terms: []sigma.Term{{Witness: 1, Base: g}}}
	third := sigma.Equation{Y: c2, Terms: []sigma.Term{{Witness: 0, Base: w.U}, {Witness: 1, Base: w.R}}}
	for name, tt := range map[string]struct {
		eqs       []sigma.Equation
		witnesses []group.Scalar
	}{
		"the lie's own key":     {[]sigma.Equation{{Y: group.MulGen(lie), Terms: first.Terms}, second, third}, []group.Scalar{lie, k}},
		"without the third":     {[]sigma.Equation{first, second}, []group.Scalar{w.x, k}},
		"without the first":     {[]sigma.Equation{second, third}, []group.Scalar{lie, k}},
		"all, with the right x": {[]sigma.Equation{first, second, third}, []group.Scalar{w.x, k}},
		"all, with the lie":     {[]sigma.Equation{first, second, third}, []group.Scalar{lie, k}},
	} {
		p := sigma.Prove(session, sigma.Statement{Witnesses: 2, Equations: tt.eqs}, tt.witnesses)
		if reencrypt.Verify(session, w.X, w.U, w.R, reencrypt.Factor{C1: c1, C2: c2, Proof: p}) {
			t.Errorf("%s: a lie is proven", name)
		}
	}
}

func TestFactorHasOneSpelling(t *testing.T) {
	w := newWorld()
	b := reencrypt.Make(session, w.x, w.X, w.U, w.R).Append(nil)
	if len(b) != reencrypt.Size {
		t.Fatalf("%d bytes, want %d", len(b), reencrypt.Size)
	}
	f, err := reencrypt.Parse(b)
	if err != nil || !bytes.Equal(f.Append(nil), b) {
		t.Fatal(err)
	}
	for bit := range 8 * len(b) {
		x := bytes.Clone(b)
		x[bit/8] ^= 1 << (bit % 8)
		if bit%7 != 0 {
			continue
		}
		if f, err := reencrypt.Parse(x); err == nil && reencrypt.Verify(session, w.X, w.U, w.R, f) {
			t.Fatalf("bit %d altered, and the factor verifies", bit)
		}
	}
	for _, n := range []int{0, 1, len(b) - 1} {
		if _, err := reencrypt.Parse(b[:n]); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
	}
}

func TestTwoFactorsShareNothing(t *testing.T) {
	w := newWorld()
	a, b := reencrypt.Make(session, w.x, w.X, w.U, w.R), reencrypt.Make(session, w.x, w.X, w.U, w.R)
	if a.C1.Equal(b.C1) || a.C2.Equal(b.C2) || a.Proof.Challenge.Equal(b.Proof.Challenge) || a.Proof.Responses[0].Equal(b.Proof.Responses[0]) {
		t.Error("randomness is used twice")
	}
}
