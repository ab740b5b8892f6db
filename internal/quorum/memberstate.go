package quorum

import (
	"cmp"
	"slices"

	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
)

// MaxStateSize is the most bytes of a [Member]'s state: with 256 custodians in
// one ceremony most of it is what the others dealt.
const MaxStateSize = 32 << 20

// State returns all that the party needs to go on after a restart, except its
// [Identity]. It is secret as long as the ceremony lasts: the caller seals it,
// and wipes it.
func (m *Member) State() []byte {
	w := canon.Writer{B: []byte{1}}
	w.Bytes(m.b.p.Bytes())
	if m.b.previous == nil {
		w.Bytes(nil)
	} else {
		w.Bytes(m.b.previous.encoded)
	}
	w.Uint(uint64(len(m.deals)))
	for _, d := range m.deals {
		w.Fixed(d.from.bytes())
		w.Uint(uint64(len(d.polys)))
		for _, f := range d.polys {
			w.Uint(uint64(len(f)))
			for _, a := range f {
				w.B = a.Append(w.B)
			}
		}
		w.Bytes(d.core)
	}
	messages := m.b.messages()
	w.Uint(uint64(len(messages)))
	for _, raw := range messages {
		w.Bytes(raw)
	}
	return w.B
}

// messages returns all that is on the board, in the order of rounds and seats,
// and then what proved a fault.
func (b *board) messages() [][]byte {
	all := make([]slot, 0, len(b.slots))
	for at := range b.slots {
		all = append(all, at)
	}
	slices.SortFunc(all, func(x, y slot) int {
		return cmp.Or(cmp.Compare(x.typ, y.typ), x.from.compare(y.from), x.about.compare(y.about))
	})
	raw := make([][]byte, 0, len(all)+len(b.evidence))
	for _, at := range all {
		raw = append(raw, b.slots[at].raw)
	}
	return append(raw, b.evidence...)
}

// RestoreMember goes on from what [Member.State] returned. It returns an error
// with code [bonded.CodeInvalid] for anything else, or if the identity is another
// one. A ceremony that had ended by a fault ends again: see [Member.Fault].
func RestoreMember(state []byte, me Identity) (*Member, error) {
	if len(state) > MaxStateSize {
		return nil, malformed("state of a ceremony")
	}
	// 1. The ceremony, and the party's seats in it.
	r := canon.NewReader(state)
	version := r.Byte()
	p, err := ParseParams(r.Bytes(MaxParamsSize))
	if err != nil || version != 1 {
		return nil, malformed("state of a ceremony")
	}
	var previous *KeySet
	if b := r.Bytes(MaxKeySetSize); len(b) > 0 {
		if previous, err = ParseKeySet(b); err != nil {
			return nil, malformed("state of a ceremony")
		}
	}
	b, err := newBoard(p, previous)
	if err != nil {
		return nil, err
	}
	m, err := seated(b, me)
	if err != nil {
		return nil, err
	}
	// 2. What it deals.
	for range r.Count(2) {
		d, ok := m.readDeal(r)
		if !ok {
			return nil, malformed("state of a ceremony")
		}
		m.deals = append(m.deals, d)
	}
	// 3. What was on its board. Nothing is said in between: what the party had
	// said is among it.
	n := r.Uint()
	for range n {
		raw := r.Bytes(MaxMessageSize)
		if r.Bad() || b.add(raw) != nil {
			return nil, malformed("state of a ceremony")
		}
	}
	if r.Done() != nil {
		return nil, malformed("state of a ceremony")
	}
	if m.over() {
		return m, nil
	}
	return m, m.advance()
}

func (m *Member) readDeal(r *canon.Reader) (ownDeal, bool) {
	d := ownDeal{from: seat{r.Byte(), r.Byte(), r.Byte()}}
	for range r.Count(MaxRoles) {
		var f polynomial
		for range r.Count(MaxMembers) {
			var b [group.Size]byte
			r.Fixed(b[:])
			a, err := group.ParseScalar(b[:])
			clear(b[:])
			if err != nil || r.Bad() {
				return ownDeal{}, false
			}
			f = append(f, a)
		}
		d.polys = append(d.polys, f)
	}
	d.core = slices.Clone(r.Bytes(MaxMessageSize))
	if r.Bad() || !slices.Contains(m.seats, d.from) || !m.b.deals(d.from) {
		return ownDeal{}, false
	}
	parts, ok := m.b.parseDeal(d.from, d.core)
	if !ok || len(parts) != len(d.polys) {
		return ownDeal{}, false
	}
	for i, pt := range parts {
		if len(pt.points) != len(d.polys[i]) {
			return ownDeal{}, false
		}
	}
	return d, true
}
