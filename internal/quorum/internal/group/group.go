// Package group is the prime-order group of the quorum: ristretto255
// (RFC 9496) with canonical encodings only. It is the one place that would
// change if the group or the library under it did.
//
// It does no protocol, draws randomness from crypto/rand, and keeps no state.
// Points and scalars are immutable values, safe for concurrent use; operations
// return new ones. Every operation that may touch a secret takes constant
// time, [Point.MulSmall] and [Lagrange] are for public indices. Start at
// [ParsePoint] and [RandomScalar].
package group

import (
	"errors"

	"github.com/cloudflare/circl/group"
)

// Size is the length of an encoded point or scalar in bytes.
const Size = 32

// ErrEncoding is returned for bytes that are not the one encoding of an
// allowed point or scalar.
var ErrEncoding = errors.New("not a canonical ristretto255 encoding, or the identity")

var g = group.Ristretto255

// A Point is an element of the group. The zero Point is not valid: it comes
// from no function here, and every method panics on it.
type Point struct{ e group.Element }

var generator = Point{g.Generator()}

// Generator returns the base point of RFC 9496.
func Generator() Point { return generator }

// Identity returns the neutral element, to start sums with. [ParsePoint] never
// returns it.
func Identity() Point { return Point{g.Identity()} }

// ParsePoint decodes a point. It returns [ErrEncoding] for other lengths, any
// but the canonical encoding, and the identity, which no honest party sends:
// it is the public key of zero, and it makes proofs trivial.
func ParsePoint(b []byte) (Point, error) {
	e := g.NewElement()
	if len(b) != Size || e.UnmarshalBinary(b) != nil || e.IsIdentity() {
		return Point{}, ErrEncoding
	}
	return Point{e}, nil
}

// HashToPoint returns a point whose discrete logarithm nobody knows:
// ristretto255_XMD:SHA-512_R255MAP_RO_ of RFC 9380, appendix B.
func HashToPoint(dst string, msg []byte) Point { return Point{g.HashToElement(msg, []byte(dst))} }

// Bytes returns the canonical encoding.
func (p Point) Bytes() [Size]byte {
	b, err := p.e.MarshalBinaryCompress()
	if err != nil {
		panic("ristretto255 does not encode a point: " + err.Error()) // the library has no such case
	}
	return [Size]byte(b)
}

// Append appends the canonical encoding to b.
func (p Point) Append(b []byte) []byte {
	enc := p.Bytes()
	return append(b, enc[:]...)
}

// Valid reports whether p is a point at all, and not the zero Point.
func (p Point) Valid() bool { return p.e != nil }

// IsIdentity reports whether p is the neutral element.
func (p Point) IsIdentity() bool { return p.e.IsIdentity() }

// Equal reports whether p and q are the same element.
func (p Point) Equal(q Point) bool { return p.e.IsEqual(q.e) }

// Add returns p + q.
func (p Point) Add(q Point) Point { return Point{g.NewElement().Add(p.e, q.e)} }

// Sub returns p - q.
func (p Point) Sub(q Point) Point {
	n := g.NewElement().Neg(q.e)
	return Point{n.Add(p.e, n)}
}

// Mul returns s times p. It knows the generator, whose table is faster.
func (p Point) Mul(s Scalar) Point {
	if p.e == generator.e {
		return MulGen(s)
	}
	return Point{g.NewElement().Mul(p.e, s.s)}
}

// MulGen returns s times the generator.
func MulGen(s Scalar) Point { return Point{g.NewElement().MulGen(s.s)} }

// MulSmall returns n times p in a time that shows n. It is for public indices
// of custodians, and some fifteen times faster than [Point.Mul].
func (p Point) MulSmall(n uint8) Point {
	sum := g.Identity()
	for bit := uint8(128); bit > 0; bit >>= 1 {
		sum.Dbl(sum)
		if n&bit != 0 {
			sum.Add(sum, p.e)
		}
	}
	return Point{sum}
}
