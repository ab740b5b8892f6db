// Package reencrypt hands one custodian's factor of a decryption to a
// requester, and proves in public that it is the right one: quorum-controlled
// ElGamal re-encryption after Jakobsson (On Quorum Controlled Asymmetric Proxy
// Re-encryption, PKC 1999).
//
// A custodian with share x, whose verification key X = x·G is known, takes the
// point U of a ciphertext and the requester's key R, chooses k, and publishes
//
//	C1 = k·G    C2 = x·U + k·R
//
// an ElGamal encryption of x·U that only the requester opens. The proof is for
// these three equations at once, with the same x and the same k:
//
//	X  = x·G
//	C1 = k·G
//	C2 = x·U + k·R
//
// Each part is standard: ElGamal, Schnorr's proof and its generalisation to
// linear equations (package sigma). That they are put together as these three
// equations in one proof is our own composition. It awaits outside review.
//
// The package binds nothing but the points: the session must name everything
// else a partial is for. Start at [Make] and [Verify].
package reencrypt

import (
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// Witnesses is how many scalars the proof speaks of: x and k.
const Witnesses = 2

// Size is the length of an encoded [Factor] in bytes.
const Size = 2*group.Size + group.Size*(1+Witnesses)

// A Factor is x·U encrypted under the requester's key, with its proof.
type Factor struct {
	C1, C2 group.Point
	Proof  sigma.Proof
}

// Make encrypts x·u under r and proves it. verification is x·G. Neither u nor r
// may be the identity: [group.ParsePoint] has refused that.
func Make(session []byte, x group.Scalar, verification, u, r group.Point) Factor {
	k := group.RandomScalar()
	defer k.Wipe()
	f := Factor{C1: group.MulGen(k), C2: u.Mul(x).Add(r.Mul(k))}
	f.Proof = sigma.Prove(session, statement(verification, u, r, f.C1, f.C2), []group.Scalar{x, k})
	return f
}

// Verify reports whether f encrypts x·u under r for the x of verification, and
// was made in session.
func Verify(session []byte, verification, u, r group.Point, f Factor) bool {
	return sigma.Verify(session, statement(verification, u, r, f.C1, f.C2), f.Proof)
}

// Append appends C1, C2 and the proof to b.
func (f Factor) Append(b []byte) []byte {
	return f.Proof.Append(f.C2.Append(f.C1.Append(b)))
}

// Parse reads what [Factor.Append] wrote. It returns [group.ErrEncoding] for any
// other bytes.
func Parse(b []byte) (Factor, error) {
	if len(b) != Size {
		return Factor{}, group.ErrEncoding
	}
	c1, err := group.ParsePoint(b[:group.Size])
	if err != nil {
		return Factor{}, err
	}
	c2, err := group.ParsePoint(b[group.Size : 2*group.Size])
	if err != nil {
		return Factor{}, err
	}
	proof, err := sigma.Parse(b[2*group.Size:], Witnesses)
	if err != nil {
		return Factor{}, err
	}
	return Factor{c1, c2, proof}, nil
}

func statement(verification, u, r, c1, c2 group.Point) sigma.Statement {
	const x, k = 0, 1
	return sigma.Statement{Witnesses: Witnesses, Equations: []sigma.Equation{
		{Y: verification, Terms: []sigma.Term{{Witness: x, Base: group.Generator()}}},
		{Y: c1, Terms: []sigma.Term{{Witness: k, Base: group.Generator()}}},
		{Y: c2, Terms: []sigma.Term{{Witness: x, Base: u}, {Witness: k, Base: r}}},
	}}
}
