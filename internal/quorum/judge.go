package quorum

import (
	"fmt"
	"slices"

	"bonded"
)

// A Party is one seat of a ceremony, for reports.
type Party struct {
	Part  string // "member", "old member" or "dealer"; "dealers" for [FaultDegenerate]
	Role  string // empty for the one dealer
	Index int    // in the role, from 1; 0 for the one dealer
	ID    string // of the custodian
}

// String returns text such as "member firm/2 (anna)".
func (p Party) String() string {
	if p.Role == "" {
		return fmt.Sprintf("%s (%s)", p.Part, p.ID)
	}
	return fmt.Sprintf("%s %s/%d (%s)", p.Part, p.Role, p.Index, p.ID)
}

// A Reason says what a party did wrong.
type Reason string

// Reasons of faults.
const (
	FaultMalformed    Reason = "signed a message that nobody in its seat may send"
	FaultEquivocation Reason = "signed two different messages where one is allowed"
	FaultCommit       Reason = "dealt something else than it committed to"
	FaultPossession   Reason = "did not prove that it knows what it dealt"
	FaultOtherShare   Reason = "dealt something else than its own share on"
	FaultAnswer       Reason = "answered a complaint with a share that does not fit its commitments"
	FaultOtherView    Reason = "signed for other messages than those on this board"
	FaultDegenerate   Reason = "made a key that is the identity"
)

// A Fault names who made a ceremony fail.
type Fault struct {
	Party  Party
	Reason Reason
	// Proven is false for [FaultOtherView] and [FaultDegenerate]: there the
	// party may have been shown other messages, whose signer is the culprit.
	// All parties' messages put together then show an equivocation.
	Proven bool
	About  *Party // whose complaint was answered wrongly
}

// A Missing names a message that a party has yet to send.
type Missing struct {
	Party Party
	Type  Type
	About *Party // for [TypeAnswer]: who complained
}

// A Settlement is a complaint that the dealer answered with a share that fits.
// Whether the share was sealed wrongly or the complaint was false does not
// show. The share is public now; it is one of the threshold that are needed.
type Settlement struct{ Dealer, Member Party }

// An Outcome is what the messages of a ceremony come to. If Certificate is nil
// and there are no faults, the ceremony goes on, or fails because of Missing:
// the caller knows the time.
type Outcome struct {
	Certificate *Certificate
	KeySet      *KeySet // as soon as the deals fix it; trust it once certified
	Faults      []Fault
	Missing     []Missing
	Settled     []Settlement
	Ignored     int // messages that belong to nobody in this ceremony
}

// Err returns an error with code [bonded.CodeAtFault] that names the first
// party at fault, or nil.
func (o *Outcome) Err() error {
	if len(o.Faults) == 0 {
		return nil
	}
	return o.Faults[0].err()
}

func (f Fault) err() error {
	return &bonded.Error{
		Code:    bonded.CodeAtFault,
		Message: fmt.Sprintf("ceremony stops: %s %s", f.Party, f.Reason),
		Field:   f.Party.Role,
		Hint:    "hold a new ceremony, under a new id, without this party",
	}
}

// Judge reads all messages of a ceremony, in any order and from any source, and
// returns what they come to. Messages that are not signed by a party of the
// ceremony are ignored. It returns an error if the parameters do not hold.
func Judge(p *Params, previous *KeySet, messages [][]byte) (*Outcome, error) {
	b, err := newBoard(p, previous)
	if err != nil {
		return nil, err
	}
	ignored := 0
	for _, raw := range messages {
		if b.add(raw) != nil {
			ignored++
		}
	}
	o := b.outcome()
	o.Ignored = ignored
	return o, nil
}

// outcome says how things stand.
func (b *board) outcome() *Outcome {
	o := &Outcome{KeySet: b.keySet}
	// 1. A fault ends the ceremony: an aborted one costs a new id, not a key.
	for _, key := range b.faultKeys() {
		o.Faults = append(o.Faults, b.faults[key])
	}
	if len(o.Faults) > 0 {
		return o
	}
	// 2. Each round waits for the one before.
	for _, typ := range []Type{TypeCommit, TypeDeal} {
		for _, s := range b.lacks(typ, b.dealers) {
			o.Missing = append(o.Missing, Missing{Party: b.party(s), Type: typ})
		}
		if len(o.Missing) > 0 {
			return o
		}
	}
	for _, c := range b.complaints() {
		dealer, member := b.party(c.about), b.party(c.from)
		if b.answer(c.about, c.from) == nil {
			o.Missing = append(o.Missing, Missing{Party: dealer, Type: TypeAnswer, About: &member})
			continue
		}
		o.Settled = append(o.Settled, Settlement{dealer, member})
	}
	if len(o.Missing) > 0 {
		return o
	}
	for _, s := range b.lacks(TypeConfirm, b.signers) {
		o.Missing = append(o.Missing, Missing{Party: b.party(s), Type: TypeConfirm})
	}
	// 3. All confirmed: the confirmations are the certificate.
	if len(o.Missing) == 0 {
		o.Certificate = b.certificate()
	}
	return o
}

func (b *board) fault(s seat, why Reason, about *seat) {
	f := Fault{Party: b.party(s), Reason: why, Proven: why != FaultOtherView && why != FaultDegenerate}
	if about != nil {
		p := b.party(*about)
		f.About = &p
	}
	b.faults[faultKey{s, why}] = f
}

// faultKeys returns the faults in an order: proven ones first, then by seat.
func (b *board) faultKeys() []faultKey {
	keys := make([]faultKey, 0, len(b.faults))
	for k := range b.faults {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y faultKey) int {
		if px, py := b.faults[x].Proven, b.faults[y].Proven; px != py {
			if px {
				return -1
			}
			return 1
		}
		if c := x.from.compare(y.from); c != 0 {
			return c
		}
		if x.reason < y.reason {
			return -1
		}
		return 1
	})
	return keys
}

// party names a seat that exists.
func (b *board) party(s seat) Party {
	switch s.part {
	case 0:
		return Party{Part: "dealers", ID: "all together"}
	case partDealer:
		return Party{Part: "dealer", ID: b.p.Dealer.ID}
	case partOld:
		r := b.previous.roles[s.role]
		return Party{Part: "old member", Role: r.Name, Index: int(s.index), ID: r.Members[s.index-1].ID}
	}
	r := b.p.Roles[s.role]
	return Party{Part: "member", Role: r.Name, Index: int(s.index), ID: r.Members[s.index-1].ID}
}
