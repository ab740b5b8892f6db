package sigma_test

import (
	"testing"

	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

func schnorr(y group.Point) sigma.Statement {
	return sigma.Statement{Witnesses: 1, Equations: []sigma.Equation{
		{Y: y, Terms: []sigma.Term{{Witness: 0, Base: group.Generator()}}},
	}}
}

func TestProofHoldsForItsStatementOnly(t *testing.T) {
	w := group.RandomScalar()
	y := group.MulGen(w)
	p := sigma.Prove([]byte("s"), schnorr(y), []group.Scalar{w})
	if !sigma.Verify([]byte("s"), schnorr(y), p) {
		t.Fatal("a good proof does not hold")
	}
	for name, ok := range map[string]bool{
		"other session":   sigma.Verify([]byte("t"), schnorr(y), p),
		"other statement": sigma.Verify([]byte("s"), schnorr(y.Add(group.Generator())), p),
		"the zero proof":  sigma.Verify([]byte("s"), schnorr(y), sigma.Proof{}),
		"no responses":    sigma.Verify([]byte("s"), schnorr(y), sigma.Proof{Challenge: p.Challenge}),
	} {
		if ok {
			t.Errorf("%s: the proof holds", name)
		}
	}
	wrong := sigma.Prove([]byte("s"), schnorr(y), []group.Scalar{group.RandomScalar()})
	if sigma.Verify([]byte("s"), schnorr(y), wrong) {
		t.Error("another witness proves it")
	}
}

// With a challenge that leaves the statement out, a proof of Y with response z
// becomes one of Y + G with response z + c, by whoever sees it.
func TestStatementIsInTheChallenge(t *testing.T) {
	w := group.RandomScalar()
	y := group.MulGen(w)
	p := sigma.Prove([]byte("s"), schnorr(y), []group.Scalar{w})
	moved := sigma.Proof{Challenge: p.Challenge, Responses: []group.Scalar{p.Responses[0].Add(p.Challenge)}}
	if sigma.Verify([]byte("s"), schnorr(y.Add(group.Generator())), moved) {
		t.Error("a proof was moved to another statement")
	}
}

func TestNoncesAreFresh(t *testing.T) {
	w := group.RandomScalar()
	y := group.MulGen(w)
	a, b := sigma.Prove([]byte("s"), schnorr(y), []group.Scalar{w}), sigma.Prove([]byte("s"), schnorr(y), []group.Scalar{w})
	if a.Challenge.Equal(b.Challenge) || a.Responses[0].Equal(b.Responses[0]) {
		t.Error("two proofs with one nonce give the witness away")
	}
}
