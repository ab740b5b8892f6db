// Package sigma proves knowledge of scalars that satisfy linear equations over
// the group, without showing them: Schnorr's proof, generalised to the
// preimage of a linear map (Maurer, Unifying Zero-Knowledge Proofs of
// Knowledge, AFRICACRYPT 2009; Camenisch and Stadler, 1997;
// draft-irtf-cfrg-sigma-protocols). It is made non-interactive by the strong
// Fiat-Shamir transform: the challenge binds the session, the whole statement
// with every base, and the commitments (Bernhard, Pereira and Warinschi,
// ASIACRYPT 2012, show what goes wrong otherwise).
//
// It knows no protocol: what is proven, and what the session must name, is for
// its callers. Start at [Prove] and [Verify].
package sigma

import (
	"crypto/rand"

	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
)

const (
	challengeDST = "bonded/quorum/sigma/1"
	nonceDST     = "bonded/quorum/sigma-nonce/1"
)

// A Term is one witness times one base.
type Term struct {
	Witness int // which witness, from 0
	Base    group.Point
}

// An Equation claims that Y is the sum of its terms.
type Equation struct {
	Y     group.Point
	Terms []Term
}

// A Statement is a system of equations over Witnesses unknown scalars. Its
// encoding has single bytes for counts: it is for a handful of each.
type Statement struct {
	Witnesses int
	Equations []Equation
}

// A Proof shows that its maker knew scalars that satisfy a statement.
type Proof struct {
	Challenge group.Scalar
	Responses []group.Scalar // one for each witness
}

// Size returns the length of a proof over n witnesses in bytes.
func Size(n int) int { return group.Size * (1 + n) }

// Append appends the challenge and the responses to b.
func (p Proof) Append(b []byte) []byte {
	b = p.Challenge.Append(b)
	for _, z := range p.Responses {
		b = z.Append(b)
	}
	return b
}

// Parse reads what [Proof.Append] wrote of a proof over n witnesses. It returns
// [group.ErrEncoding] for any other bytes.
func Parse(b []byte, n int) (Proof, error) {
	if len(b) != Size(n) {
		return Proof{}, group.ErrEncoding
	}
	all := make([]group.Scalar, 0, 1+n)
	for ; len(b) > 0; b = b[group.Size:] {
		s, err := group.ParseScalar(b[:group.Size])
		if err != nil {
			return Proof{}, err
		}
		all = append(all, s)
	}
	return Proof{all[0], all[1:]}, nil
}

// Prove proves that the witnesses satisfy st. The proof holds in session only.
// The caller has made sure that they do: Prove does not check.
//
// The nonces are hashed from fresh randomness, the witnesses and the session
// together, so that a weak random source alone does not reveal the witnesses.
func Prove(session []byte, st Statement, witnesses []group.Scalar) Proof {
	nonces := make([]group.Scalar, st.Witnesses)
	for i := range nonces {
		nonces[i] = nonce(session, witnesses, i)
	}
	commitments := make([]group.Point, len(st.Equations))
	for i, eq := range st.Equations {
		commitments[i] = sum(eq.Terms, nonces)
	}
	p := Proof{Challenge: challenge(session, st, commitments), Responses: make([]group.Scalar, st.Witnesses)}
	for i := range nonces {
		p.Responses[i] = nonces[i].Add(p.Challenge.Mul(witnesses[i]))
		nonces[i].Wipe()
	}
	return p
}

// Verify reports whether p proves st in session.
func Verify(session []byte, st Statement, p Proof) bool {
	if len(p.Responses) != st.Witnesses || !p.Challenge.Valid() {
		return false
	}
	commitments := make([]group.Point, len(st.Equations))
	for i, eq := range st.Equations {
		commitments[i] = sum(eq.Terms, p.Responses).Sub(eq.Y.Mul(p.Challenge))
	}
	return challenge(session, st, commitments).Equal(p.Challenge)
}

// challenge hashes session, statement and commitments. Points are 32 bytes
// each, so the statement's counts make its encoding injective.
func challenge(session []byte, st Statement, commitments []group.Point) group.Scalar {
	b := []byte{byte(st.Witnesses), byte(len(st.Equations))} //nolint:gosec // two and three at most
	for _, eq := range st.Equations {
		b = eq.Y.Append(b)
		b = append(b, byte(len(eq.Terms))) //nolint:gosec // two at most
		for _, t := range eq.Terms {
			b = append(b, byte(t.Witness)) //nolint:gosec // one at most
			b = t.Base.Append(b)
		}
	}
	var c []byte
	for _, t := range commitments {
		c = t.Append(c)
	}
	return group.HashToScalar(challengeDST, canon.LP(session, b, c))
}

func nonce(session []byte, witnesses []group.Scalar, i int) group.Scalar {
	var fresh [64]byte
	_, _ = rand.Read(fresh[:]) // never fails since Go 1.24
	var w []byte
	for _, s := range witnesses {
		w = s.Append(w)
	}
	b := canon.LP(fresh[:], w, session, canon.U64(uint64(i))) //nolint:gosec // not negative
	defer func() { clear(fresh[:]); clear(w); clear(b) }()
	return group.HashToScalar(nonceDST, b)
}

func sum(terms []Term, factors []group.Scalar) group.Point {
	total := terms[0].Base.Mul(factors[terms[0].Witness])
	for _, t := range terms[1:] {
		total = total.Add(t.Base.Mul(factors[t.Witness]))
	}
	return total
}
