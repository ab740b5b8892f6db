package quorum

import (
	"crypto"

	"bonded"
	"bonded/internal/quorum/internal/group"
)

// A Seat is where a party of a ceremony sits, for forgeries.
type Seat = seat

// SeatOf returns the seat of a member, or of an old member.
func SeatOf(old bool, role, index int) Seat {
	s := seat{partMember, uint8(role), uint8(index)}
	if old {
		s.part = partOld
	}
	return s
}

// Forge signs any body as any seat: what a party does that has left the protocol.
func Forge(key crypto.Signer, p *Params, typ Type, from Seat, body []byte) []byte {
	raw, err := signMessage(key, p.Digest(), typ, from, body)
	if err != nil {
		panic(err)
	}
	return raw
}

// Bytes returns the encoding of a seat.
func (s seat) Bytes() []byte { return s.bytes() }

// NewMemberWith is [NewMember] of a party that changes its deal, and the
// polynomials from which it answers, before it commits to it.
func NewMemberWith(p *Params, previous *KeySet, me Identity, share Share, change func(core []byte) []byte, polys func(int, []group.Scalar)) (*Member, error) {
	b, err := newBoard(p, previous)
	if err != nil {
		return nil, err
	}
	m, err := seated(b, me)
	if err != nil {
		return nil, err
	}
	for _, s := range m.seats {
		if b.deals(s) {
			if err := m.prepare(s, share); err != nil {
				return nil, err
			}
		}
	}
	for i := range m.deals {
		d := &m.deals[i]
		if change != nil {
			d.core = change(d.core)
		}
		for j, f := range d.polys {
			if polys != nil {
				polys(j, f)
			}
		}
	}
	return m, m.advance()
}

// SealShare seals any scalar as what a dealer deals to a member.
func SealShare(p *Params, from Seat, role, index int, share group.Scalar) []byte {
	sealed, err := sealShare(p.Roles[role].Members[index-1].Transport, shareInfo(p.Digest(), from, uint8(role), uint8(index)), share)
	if err != nil {
		panic(err)
	}
	return sealed
}

// OpenShare opens a sealed share.
func OpenShare(p *Params, from Seat, role, index int, key TransportKey, sealed []byte) (group.Scalar, bool) {
	return openShare(key, shareInfo(p.Digest(), from, uint8(role), uint8(index)), sealed)
}

// SealedShareSize is the length of a sealed share in bytes.
const SealedShareSize = sealedShareSize

// Claim returns a share that claims to be of ks with any secret: what a custodian
// that lies computes with.
func Claim(ks *KeySet, role, index int, x group.Scalar) Share {
	return holdShare(shareBody{keySet: ks.digest, epoch: ks.epoch, role: uint8(role), index: uint8(index), x: x})
}

// Secret returns the scalar of a share.
func (s Share) Secret() group.Scalar { return s.body().x }

// MakePartialUnchecked is [MakePartial] by a custodian that checks neither its
// share nor the recipient nor the envelope.
func MakePartialUnchecked(ks *KeySet, share Share, release Release, e *Envelope, label []byte) *Partial {
	return (&Custodian{&Opening{ks, release}, share}).partial(e, label)
}

// As returns p with another attribution.
func (p *Partial) As(role string, index int, epoch uint64, request bonded.ID) *Partial {
	q := *p
	q.Role, q.Index, q.Epoch, q.Request = role, index, epoch, request
	return &q
}

// CombineUnchecked adds up what is there, quorum or not.
func CombineUnchecked(ks *KeySet, partials []*Partial) *Combined {
	c1, c2 := group.Identity(), group.Identity()
	for _, role := range ks.roles {
		var of []*Partial
		var indices []uint8
		for _, p := range partials {
			if p.Role == role.Name {
				of = append(of, p)
				indices = append(indices, uint8(p.Index))
			}
		}
		for i, l := range group.Lagrange(indices) {
			c1, c2 = c1.Add(of[i].factor.C1.Mul(l)), c2.Add(of[i].factor.C2.Mul(l))
		}
	}
	return &Combined{c1, c2}
}

// CombineVerified is [Opening.Combine] without verification, for benchmarks.
func (o *Opening) CombineVerified(partials []*Partial) (*Combined, error) { return o.combine(partials) }

// Eval returns the value at index of committed polynomials, and Sum adds up
// commitments.
func Eval(points []group.Point, index int) group.Point {
	return commitments(points).at(uint8(index))
}

// Sum adds up the commitments of dealers.
func Sum(deals [][]group.Point) []group.Point {
	var all []commitments
	for _, d := range deals {
		all = append(all, d)
	}
	return combine(all, nil)
}

// Polynomial evaluates coefficients at index.
func Polynomial(coefficients []group.Scalar, index int) group.Scalar {
	return polynomial(coefficients).at(uint8(index))
}

// SeatFrom returns the seat that three bytes encode.
func SeatFrom(b [3]byte) Seat { return seat{b[0], b[1], b[2]} }
