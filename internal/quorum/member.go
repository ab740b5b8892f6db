package quorum

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"slices"

	"bonded"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// An Identity is the private side of a party.
type Identity struct {
	Approval  crypto.Signer // Ed25519
	Transport TransportKey  // fresh for the ceremony; not needed by those who will hold no share
}

// A Member is one party of a ceremony: a new custodian, an old one that deals
// its share on, or both, or the one dealer. It takes in messages and says what
// to post; it does so by the messages alone, never by time. It is not safe for
// concurrent use.
//
// The caller's duty, in this order, whenever something came in:
//
//  1. [Member.Receive] each new message of the board;
//  2. store [Member.State], sealed, durably;
//  3. post [Member.Messages].
//
// A party that is killed at any point goes on from the stored state and says
// the same again. One that posts before it stores may say two different
// things after a restart, which the others take for an attack.
type Member struct {
	b     *board
	me    Identity
	seats []seat // at most two: member, and dealer

	deals []ownDeal // what the party deals, until the ceremony is over
	share Share
}

// An ownDeal is a dealer's secret side of its deal.
type ownDeal struct {
	from  seat
	polys []polynomial // for each part, in the order of the roles
	core  []byte
}

// NewMember starts a party's side of a ceremony. share is that of the previous
// key set if the party deals it on, and else the zero Share. Errors are those of
// [Params.Check], [Share.Check], code [bonded.CodeInvalid] if the identity has
// no seat in the ceremony or not this transport key, and faults of the
// cryptographic library.
func NewMember(p *Params, previous *KeySet, me Identity, share Share) (*Member, error) {
	b, err := newBoard(p, previous)
	if err != nil {
		return nil, err
	}
	m, err := seated(b, me)
	if err != nil {
		return nil, err
	}
	for _, s := range m.seats {
		if !b.deals(s) {
			continue
		}
		if s.part == partOld {
			if err := share.Check(previous); err != nil {
				return nil, fmt.Errorf("join ceremony as %s: %w", b.party(s), err)
			}
		}
		if err := m.prepare(s, share); err != nil {
			return nil, err
		}
	}
	return m, m.advance()
}

// seated finds the seats of an identity and checks its keys.
func seated(b *board, me Identity) (*Member, error) {
	if me.Approval == nil {
		return nil, invalid("party has no approval key")
	}
	pub, ok := me.Approval.Public().(ed25519.PublicKey)
	if !ok {
		return nil, invalid("approval key is not of Ed25519")
	}
	m := &Member{b: b, me: me}
	for _, s := range slices.Concat(b.signers, b.dealers) {
		if b.approval(s).Equal(pub) && !slices.Contains(m.seats, s) {
			m.seats = append(m.seats, s)
		}
	}
	if len(m.seats) == 0 {
		return nil, invalid("approval key has no seat in the ceremony")
	}
	for _, s := range m.seats {
		if s.part == partMember && me.Transport.Public() != b.p.Roles[s.role].Members[s.index-1].Transport {
			return nil, invalid("transport key is not the one of the seat")
		}
	}
	return m, nil
}

// prepare makes the deal of a seat, before anything is posted.
func (m *Member) prepare(from seat, share Share) error {
	d := ownDeal{from: from}
	for i, role := range m.b.p.Roles {
		role8 := uint8(i) //nolint:gosec // at most MaxRoles
		if !m.b.dealsTo(from, role8) {
			continue
		}
		secret := group.RandomScalar()
		if from.part == partOld {
			secret = share.usable().x.Copy() // it is wiped with the polynomial
		}
		f := newPolynomial(secret, role.Threshold)
		points := f.commit()
		d.core = append(d.core, points.bytes()...)
		if from.part != partOld {
			session, statement := possession(m.b.ceremony, from, role8, points[0])
			d.core = sigma.Prove(session, statement, []group.Scalar{secret}).Append(d.core)
		}
		for j, to := range role.Members {
			index := uint8(j + 1) //nolint:gosec // at most MaxMembers
			value := f.at(index)
			sealed, err := sealShare(to.Transport, shareInfo(m.b.ceremony, from, role8, index), value)
			value.Wipe()
			if err != nil {
				return err
			}
			d.core = append(d.core, sealed...)
		}
		d.polys = append(d.polys, f)
	}
	m.deals = append(m.deals, d)
	return nil
}

// Receive takes in one message of the board: any order, own ones and repeated
// ones too. It returns an error with code [bonded.CodeInvalid] for one that does
// not belong to the ceremony, which changes nothing, and with code
// [bonded.CodeAtFault] once somebody is at fault: the ceremony is over then, and
// the error names the party. Other errors are of the signer.
func (m *Member) Receive(message []byte) error {
	if err := m.b.add(message); err != nil {
		return err
	}
	if err := m.Fault(); err != nil {
		return err
	}
	return m.advance()
}

// Fault returns the error with code [bonded.CodeAtFault] that ended the
// ceremony, or nil.
func (m *Member) Fault() error { return m.b.outcome().Err() }

func (m *Member) over() bool { return len(m.b.faults) > 0 }

// Outcome says how the ceremony stands, as far as this party has seen.
func (m *Member) Outcome() *Outcome { return m.b.outcome() }

// Messages returns all that the party has to say so far, in order. Posting a
// message again does no harm.
func (m *Member) Messages() [][]byte {
	var all []*message
	for at, msg := range m.b.slots {
		if slices.Contains(m.seats, at.from) {
			all = append(all, msg)
		}
	}
	slices.SortFunc(all, func(x, y *message) int {
		if x.typ != y.typ {
			return int(x.typ) - int(y.typ)
		}
		if c := x.from.compare(y.from); c != 0 {
			return c
		}
		return x.about.compare(y.about)
	})
	raw := make([][]byte, len(all))
	for i, msg := range all {
		raw[i] = slices.Clone(msg.raw)
	}
	return raw
}

// Result returns the certificate and the party's share once all have
// confirmed; ok is false before. The share is the zero Share for a party that
// has no seat in the new key set. An old share and the transport key are erased
// when the certificate is in the ledger, not before: until then the old key set
// may still be needed.
func (m *Member) Result() (c *Certificate, share Share, ok bool) {
	c = m.b.outcome().Certificate
	if c == nil {
		return nil, Share{}, false
	}
	return c, m.share, true
}

// advance says what is to be said now. It can be called again at any time.
func (m *Member) advance() error {
	for _, step := range []func() error{m.commit, m.deal, m.takeShare, m.answer, m.confirm} {
		if err := step(); err != nil {
			return err
		}
		if err := m.Fault(); err != nil {
			return err
		}
	}
	if m.b.outcome().Certificate != nil {
		m.forget()
	}
	return nil
}

// 1. The hash of each deal.
func (m *Member) commit() error {
	for _, d := range m.deals {
		hash := dealHash(m.b.ceremony, d.from, d.core)
		if err := m.say(TypeCommit, d.from, seat{}, hash[:]); err != nil {
			return err
		}
	}
	return nil
}

// 2. The deal, when every dealer is bound to its own.
func (m *Member) deal() error {
	if len(m.b.lacks(TypeCommit, m.b.dealers)) > 0 {
		return nil
	}
	commits := m.b.commits()
	for _, d := range m.deals {
		if err := m.say(TypeDeal, d.from, seat{}, slices.Concat(commits[:], d.core)); err != nil {
			return err
		}
	}
	return nil
}

// 3. The sum of what was dealt to the party; complaints about what does not
// fit, and the answers to them.
func (m *Member) takeShare() error {
	s, ok := m.memberSeat()
	if !ok || m.b.keySet == nil || m.share.Valid() {
		return nil
	}
	var dealers []seat
	for _, d := range m.b.dealers {
		if m.b.dealsTo(d, s.role) {
			dealers = append(dealers, d)
		}
	}
	factors := m.b.factors(int(s.role))
	sum := group.SmallScalar(0)
	whole := true
	for i, d := range dealers {
		value, why := m.dealt(d, s)
		if why != 0 {
			whole = false
			if err := m.say(TypeComplaint, s, d, append(d.bytes(), why)); err != nil {
				return err
			}
			continue
		}
		if factors != nil {
			value = value.Mul(factors[i])
		}
		sum = sum.Add(value)
	}
	if !whole {
		return nil
	}
	share := holdShare(shareBody{keySet: m.b.keySet.digest, epoch: m.b.p.Epoch, role: s.role, index: s.index, x: sum})
	if err := share.Check(m.b.keySet); err != nil {
		return bonded.Wrap(bonded.CodeInternal, err, "shares that each fit do not fit together")
	}
	m.share = share
	return nil
}

// dealt returns what dealer d dealt to the party, from its deal or from its
// answer, or the reason to complain about it.
func (m *Member) dealt(d, s seat) (value group.Scalar, why byte) {
	if a := m.b.answer(d, s); a != nil {
		return a.share, 0 // it fits: the board has seen to that
	}
	pt := m.b.partFor(d, s.role)
	value, ok := openShare(m.me.Transport, shareInfo(m.b.ceremony, d, s.role, s.index), pt.sealed[s.index-1])
	switch {
	case !ok:
		return value, whyClosed
	case !pt.points.fits(s.index, value):
		return value, whyUnfit
	}
	return value, 0
}

// 4. The share in question, in clear, to each complaint about the party.
func (m *Member) answer() error {
	if m.b.keySet == nil {
		return nil
	}
	for _, c := range m.b.complaints() {
		for _, d := range m.deals {
			if d.from != c.about {
				continue
			}
			f := d.polys[0]
			if d.from.part == partDealer {
				f = d.polys[c.from.role] // it deals to every role
			}
			value := f.at(c.from.index).Bytes()
			if err := m.say(TypeAnswer, d.from, c.from, append(c.from.bytes(), value[:]...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// 5. That the key set follows from the transcript, and that the party holds its
// share of it, for each seat that signs.
func (m *Member) confirm() error {
	_, holds := m.memberSeat()
	if m.b.keySet == nil || holds && !m.share.Valid() {
		return nil
	}
	transcript := m.b.transcript()
	body := slices.Concat(transcript[:], m.b.keySet.digest[:])
	for _, s := range m.seats {
		if m.b.confirms(s) {
			if err := m.say(TypeConfirm, s, seat{}, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// say posts a message on the own board, once.
func (m *Member) say(typ Type, from, about seat, body []byte) error {
	if m.b.slots[slot{typ, from, about}] != nil {
		return nil
	}
	raw, err := signMessage(m.me.Approval, m.b.ceremony, typ, from, body)
	if err != nil {
		return err
	}
	return m.b.add(raw)
}

func (m *Member) memberSeat() (seat, bool) {
	for _, s := range m.seats {
		if s.part == partMember {
			return s, true
		}
	}
	return seat{}, false
}

// forget wipes what was dealt, when nothing can be asked any more.
func (m *Member) forget() {
	for _, d := range m.deals {
		for _, f := range d.polys {
			f.wipe()
		}
	}
	m.deals = nil
}

// Erase wipes the secrets of the party, whatever the ceremony has come to. The
// share that [Member.Result] returned stays.
func (m *Member) Erase() { m.forget() }
