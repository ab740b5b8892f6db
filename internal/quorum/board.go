package quorum

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"

	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// A board holds the messages of one ceremony that count, and what follows from
// them. [Member] and [Judge] both read it, so that they cannot disagree.
type board struct {
	p        *Params
	previous *KeySet
	ceremony [32]byte
	dealers  []seat // in the order of their seats
	signers  []seat // who must confirm
	slots    map[slot]*message
	faults   map[faultKey]Fault
	evidence [][]byte      // messages that proved a fault and stand in no slot
	sums     []commitments // of each role, once every deal holds
	keySet   *KeySet
}

// A slot takes one message. A second one that differs proves its signer wrong.
type slot struct {
	typ         Type
	from, about seat
}

type faultKey struct {
	from   seat
	reason Reason
}

// newBoard returns the empty board of a ceremony, whose parameters it checks.
func newBoard(p *Params, previous *KeySet) (*board, error) {
	if err := p.Check(previous); err != nil {
		return nil, err
	}
	b := &board{
		p: p, previous: previous, ceremony: p.Digest(),
		slots: make(map[slot]*message), faults: make(map[faultKey]Fault),
	}
	for i, role := range p.Roles {
		for j := range role.Members {
			s := seat{partMember, uint8(i), uint8(j + 1)} //nolint:gosec // at most MaxRoles and MaxMembers
			b.signers = append(b.signers, s)
			if p.Kind == KindDKG {
				b.dealers = append(b.dealers, s)
			}
		}
	}
	for i, old := range p.Handover {
		for _, index := range old {
			s := seat{partOld, uint8(i), index} //nolint:gosec // at most MaxRoles
			b.signers = append(b.signers, s)
			b.dealers = append(b.dealers, s)
		}
	}
	if p.Kind == KindDealer {
		b.dealers = []seat{{part: partDealer}}
	}
	return b, nil
}

func (b *board) deals(s seat) bool    { return slices.Contains(b.dealers, s) }
func (b *board) confirms(s seat) bool { return slices.Contains(b.signers, s) }

// dealsTo reports whether dealer d deals to a role.
func (b *board) dealsTo(d seat, role uint8) bool { return d.part == partDealer || d.role == role }

// approval returns the key of a seat, or nil if there is no such seat.
func (b *board) approval(s seat) ed25519.PublicKey {
	switch {
	case !b.deals(s) && !b.confirms(s):
		return nil
	case s.part == partDealer:
		return b.p.Dealer.Approval
	case s.part == partOld:
		return b.previous.roles[s.role].Members[s.index-1].Approval
	}
	return b.p.Roles[s.role].Members[s.index-1].Approval
}

// add takes a message in. It returns an error for one that counts for nothing,
// and notes a fault if its signer should not have signed it.
func (b *board) add(raw []byte) error {
	m, err := b.parseMessage(raw)
	if err != nil {
		return err
	}
	if !b.decodeBody(m) {
		b.convict(m, FaultMalformed)
		return nil
	}
	at := slot{m.typ, m.from, m.about}
	old := b.slots[at]
	if old == nil {
		m.raw = bytes.Clone(raw)
		b.slots[at] = m
		b.follow()
		return nil
	}
	if old.hash != m.hash {
		b.convict(m, FaultEquivocation)
	}
	return nil
}

// convict notes a fault that the message itself proves, and keeps it.
func (b *board) convict(m *message, why Reason) {
	if _, ok := b.faults[faultKey{m.from, why}]; !ok {
		b.evidence = append(b.evidence, bytes.Clone(m.raw))
		b.fault(m.from, why, nil)
	}
}

func (b *board) get(typ Type, from seat) *message { return b.slots[slot{typ: typ, from: from}] }

// lacks returns who of the seats has not posted a message of this type.
func (b *board) lacks(typ Type, of []seat) []seat {
	var missing []seat
	for _, s := range of {
		if b.get(typ, s) == nil {
			missing = append(missing, s)
		}
	}
	return missing
}

// commits is the digest of round 1. A dealer names it in its deal, so that
// dealers who were shown different commits notice.
func (b *board) commits() [32]byte {
	parts := [][]byte{[]byte("bonded/quorum/commits/1"), b.ceremony[:]}
	for _, d := range b.dealers {
		m := b.get(TypeCommit, d)
		parts = append(parts, d.bytes(), m.first[:])
	}
	return sha256.Sum256(canon.LP(parts...))
}

// transcript is the digest of rounds 1 and 2, which fix the key set. Complaints
// and answers are not in it: they change who is believed, not what is made.
func (b *board) transcript() [32]byte {
	parts := [][]byte{[]byte("bonded/quorum/transcript/1"), b.ceremony[:]}
	for _, typ := range []Type{TypeCommit, TypeDeal} {
		for _, d := range b.dealers {
			m := b.get(typ, d)
			parts = append(parts, m.hash[:])
		}
	}
	return sha256.Sum256(canon.LP(parts...))
}

// follow draws the conclusions of what is there, once each.
func (b *board) follow() {
	// 1. Deals are looked at when all are there, and each against its commit.
	if b.keySet == nil && len(b.faults) == 0 && len(b.lacks(TypeCommit, b.dealers)) == 0 && len(b.lacks(TypeDeal, b.dealers)) == 0 {
		b.checkDeals()
	}
	// 2. Every answer is held against the commitments.
	for at, m := range b.slots {
		if at.typ == TypeAnswer && b.keySet != nil && !b.answerFits(m) {
			b.fault(at.from, FaultAnswer, &at.about)
		}
	}
	// 3. Every confirmation is held against the key set.
	if b.keySet == nil {
		return
	}
	transcript := b.transcript()
	for _, s := range b.signers {
		if m := b.get(TypeConfirm, s); m != nil && (m.first != transcript || m.keys != b.keySet.digest) {
			b.fault(s, FaultOtherView, nil)
		}
	}
}

// checkDeals checks what everyone can see of the deals, and makes the key set.
func (b *board) checkDeals() {
	commits := b.commits()
	perRole := make([][]commitments, len(b.p.Roles))
	for _, d := range b.dealers {
		m := b.get(TypeDeal, d)
		if dealHash(b.ceremony, d, m.core) != b.get(TypeCommit, d).first {
			b.fault(d, FaultCommit, nil)
			continue
		}
		if m.first != commits {
			b.fault(d, FaultOtherView, nil)
		}
		for _, pt := range m.deal {
			if b.p.Kind == KindReshare {
				if !pt.points[0].Equal(b.previous.roles[d.role].verification[d.index-1]) {
					b.fault(d, FaultOtherShare, nil)
				}
			} else {
				session, statement := possession(b.ceremony, d, pt.role, pt.points[0])
				if !sigma.Verify(session, statement, pt.proof) {
					b.fault(d, FaultPossession, nil)
				}
			}
			perRole[pt.role] = append(perRole[pt.role], pt.points)
		}
	}
	if len(b.faults) > 0 {
		return
	}
	b.sums = make([]commitments, len(b.p.Roles))
	for i := range b.sums {
		b.sums[i] = combine(perRole[i], b.factors(i))
	}
	dealt := b.p.Kind == KindDealer || b.previous != nil && b.previous.dealt
	ks, err := newKeySet(b.p, dealt, b.sums)
	if err != nil {
		b.fault(seat{}, FaultDegenerate, nil)
		return
	}
	b.keySet = ks
}

// factors returns what each dealer's part of a role counts: all 1, or when
// resharing its Lagrange factor at 0, so that the constant stays the role's key
// (Desmedt and Jajodia, Redistributing Secret Shares, 1997; Wong, Wang and
// Wing, Verifiable Secret Redistribution, 2002).
func (b *board) factors(role int) []group.Scalar {
	if b.p.Kind != KindReshare {
		return nil
	}
	return group.Lagrange(b.p.Handover[role])
}

// partFor returns what dealer d dealt to a role.
func (b *board) partFor(d seat, role uint8) *part {
	m := b.get(TypeDeal, d)
	for i := range m.deal {
		if m.deal[i].role == role {
			return &m.deal[i]
		}
	}
	return nil
}

func (b *board) answerFits(m *message) bool {
	return b.partFor(m.from, m.about.role).points.fits(m.about.index, m.share)
}

// answer returns the dealer's answer to a member's complaint, or nil.
func (b *board) answer(dealer, member seat) *message {
	return b.slots[slot{TypeAnswer, dealer, member}]
}

// complaints returns all complaints, in the order of their seats.
func (b *board) complaints() []*message {
	var all []*message
	for at, m := range b.slots {
		if at.typ == TypeComplaint {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(x, y *message) int {
		if c := x.from.compare(y.from); c != 0 {
			return c
		}
		return x.about.compare(y.about)
	})
	return all
}
