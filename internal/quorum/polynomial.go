package quorum

import "bonded/internal/quorum/internal/group"

// A polynomial is what a dealer deals: its value at 0 is the secret, its value
// at an index the share of that member (Shamir, CACM 22(11), 1979).
type polynomial []group.Scalar // coefficients, the constant first

// newPolynomial returns a random polynomial with threshold coefficients whose
// constant is secret. It keeps secret, and wipes it with the others.
func newPolynomial(secret group.Scalar, threshold int) polynomial {
	f := polynomial{secret}
	for len(f) < threshold {
		f = append(f, group.RandomScalar())
	}
	return f
}

// at returns f(index), by Horner's rule.
func (f polynomial) at(index uint8) group.Scalar {
	x := group.SmallScalar(index)
	sum := f[len(f)-1].Copy() // the caller wipes it
	for i := len(f) - 2; i >= 0; i-- {
		sum = sum.Mul(x).Add(f[i])
	}
	return sum
}

// commit returns the coefficients times the generator: Feldman's commitments
// (A Practical Scheme for Non-interactive Verifiable Secret Sharing, FOCS 1987).
func (f polynomial) commit() commitments {
	c := make(commitments, len(f))
	for i, a := range f {
		c[i] = group.MulGen(a)
	}
	return c
}

func (f polynomial) wipe() {
	for _, a := range f {
		a.Wipe()
	}
}

// commitments are a polynomial in the exponent.
type commitments []group.Point

// at returns f(index) times the generator, which is public.
func (c commitments) at(index uint8) group.Point {
	sum := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		sum = sum.MulSmall(index).Add(c[i])
	}
	return sum
}

// fits reports whether share is f(index).
func (c commitments) fits(index uint8, share group.Scalar) bool {
	return group.MulGen(share).Equal(c.at(index))
}

func (c commitments) bytes() []byte {
	b := make([]byte, 0, len(c)*group.Size)
	for _, p := range c {
		b = p.Append(b)
	}
	return b
}

// parseCommitments reads n points, none of which is the identity.
func parseCommitments(b []byte, n int) (commitments, bool) {
	if len(b) != n*group.Size {
		return nil, false
	}
	c := make(commitments, n)
	for i := range c {
		p, err := group.ParsePoint(b[i*group.Size : (i+1)*group.Size])
		if err != nil {
			return nil, false
		}
		c[i] = p
	}
	return c, true
}

// combine returns the sum of the dealers' commitments, each times its factor;
// nil factors stand for ones. All have the same length.
func combine(deals []commitments, factors []group.Scalar) commitments {
	sum := make(commitments, len(deals[0]))
	for k := range sum {
		total := group.Identity()
		for i, c := range deals {
			p := c[k]
			if factors != nil {
				p = p.Mul(factors[i])
			}
			total = total.Add(p)
		}
		sum[k] = total
	}
	return sum
}
