package group

import (
	"crypto/rand"

	"github.com/cloudflare/circl/group"
)

// A Scalar is an integer modulo the order of the group. The zero Scalar is
// not valid; see [Point].
//
// Scalars are often secret. They hold their value behind an interface that
// prints it: a type that keeps one does so behind a func.
type Scalar struct{ s group.Scalar }

// ParseScalar decodes 32 little-endian bytes. It returns [ErrEncoding] for
// other lengths and for values that are not below the order of the group.
func ParseScalar(b []byte) (Scalar, error) {
	s := g.NewScalar()
	if len(b) != Size || s.UnmarshalBinary(b) != nil {
		return Scalar{}, ErrEncoding
	}
	return Scalar{s}, nil
}

// ParseSecret is [ParseScalar] for private keys and shares: it refuses zero.
func ParseSecret(b []byte) (Scalar, error) {
	s, err := ParseScalar(b)
	if err != nil || s.s.IsZero() {
		return Scalar{}, ErrEncoding
	}
	return s, nil
}

// SmallScalar returns n as a scalar.
func SmallScalar(n uint8) Scalar { return Scalar{g.NewScalar().SetUint64(uint64(n))} }

// RandomScalar returns a scalar that is not zero: 64 bytes of crypto/rand,
// hashed and reduced, so that no bias shows.
func RandomScalar() Scalar {
	var seed [64]byte
	for {
		_, _ = rand.Read(seed[:]) // never fails since Go 1.24
		s := HashToScalar("bonded/quorum/random/1", seed[:])
		clear(seed[:])
		if !s.s.IsZero() {
			return s
		}
	}
}

// HashToScalar hashes msg to a scalar: expand_message_xmd of RFC 9380 with
// SHA-512 to 64 bytes, taken as a little-endian integer and reduced, as in
// RFC 9497, section 4.1.
func HashToScalar(dst string, msg []byte) Scalar { return Scalar{g.HashToScalar(msg, []byte(dst))} }

// Bytes returns the canonical encoding, 32 bytes little-endian. The caller
// wipes it if the scalar is secret.
func (s Scalar) Bytes() [Size]byte {
	b, err := s.s.MarshalBinary()
	if err != nil {
		panic("ristretto255 does not encode a scalar: " + err.Error()) // the library has no such case
	}
	defer clear(b)
	return [Size]byte(b)
}

// Append appends the canonical encoding to b.
func (s Scalar) Append(b []byte) []byte {
	enc := s.Bytes()
	defer clear(enc[:])
	return append(b, enc[:]...)
}

// Valid reports whether s is a scalar at all, and not the zero Scalar.
func (s Scalar) Valid() bool { return s.s != nil }

// IsZero reports whether s is 0.
func (s Scalar) IsZero() bool { return s.s.IsZero() }

// Equal reports whether s and t are the same integer.
func (s Scalar) Equal(t Scalar) bool { return s.s.IsEqual(t.s) }

// Add returns s + t.
func (s Scalar) Add(t Scalar) Scalar { return Scalar{g.NewScalar().Add(s.s, t.s)} }

// Mul returns s times t.
func (s Scalar) Mul(t Scalar) Scalar { return Scalar{g.NewScalar().Mul(s.s, t.s)} }

// Copy returns s with storage of its own, so that wiping one leaves the other.
func (s Scalar) Copy() Scalar { return Scalar{s.s.Copy()} }

// Wipe sets s to zero in place, in every copy: the one change a Scalar knows.
func (s Scalar) Wipe() {
	if s.s != nil {
		s.s.SetUint64(0)
	}
}

// Lagrange returns, for distinct indices from 1, the factors l with
// f(0) = sum of l[i]·f(indices[i]) for every polynomial f of degree below
// len(indices) (Shamir, CACM 22(11), 1979). It panics on a repeated or zero
// index: callers have refused those.
func Lagrange(indices []uint8) []Scalar {
	factors := make([]Scalar, len(indices))
	for i, xi := range indices {
		num, den := g.NewScalar().SetUint64(1), g.NewScalar().SetUint64(1)
		for j, xj := range indices {
			if i == j {
				continue
			}
			if xi == xj || xj == 0 {
				panic("lagrange: indices must be distinct and not zero")
			}
			x := g.NewScalar().SetUint64(uint64(xj))
			num.Mul(num, x)
			den.Mul(den, x.Sub(x, g.NewScalar().SetUint64(uint64(xi))))
		}
		factors[i] = Scalar{num.Mul(num, den.Inv(den))}
	}
	return factors
}
