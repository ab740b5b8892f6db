package custodian

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"bonded"
	"bonded/internal/quorum"
)

// Poll is how often the board of a ceremony, and other things one waits for,
// are looked at.
const Poll = 250 * time.Millisecond

// A Seat says what a ceremony asks of this custodian, so that its operator can
// say yes or no before anything is signed.
type Seat struct {
	Params  *quorum.Params
	Digest  [32]byte
	Deals   bool     // hands its present share on
	Holds   bool     // gets a share
	Current bool     // is the one being held already
	Weaker  []string // how fewer people than now could open, for who agrees to it to read
}

// Look reads the parameters of a ceremony and returns this custodian's seat in
// it. Nothing is signed.
func (f *Folder) Look(ctx context.Context, door Door, ceremony string) (*Seat, error) {
	if _, err := f.Refresh(ctx, door); err != nil { // a newcomer has no key sets yet
		return nil, err
	}
	board, err := door.Ceremony(ctx, ceremony, 0)
	if err != nil {
		return nil, err
	}
	if err := f.catchUp(ctx, door, board.Params); err != nil {
		return nil, err
	}
	return f.seat(ceremony, board.Params)
}

// catchUp learns of the key set that a resharing hands on, for a custodian who
// is new or was away: all of it is verified.
func (f *Folder) catchUp(ctx context.Context, door Door, params []byte) error {
	p, err := quorum.ParseParams(params)
	if err != nil {
		return err
	}
	set := f.KeySet()
	if p.Kind != quorum.KindReshare || set != nil && (set.Digest() == p.Previous || set.Epoch() >= p.Epoch) {
		return nil
	}
	_, err = f.Refresh(ctx, door)
	return err
}

func (f *Folder) seat(ceremony string, params []byte) (*Seat, error) {
	p, err := quorum.ParseParams(params)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	current := f.sec.Ceremony == ceremony
	var previous *quorum.KeySet
	if last := f.last(); last != nil && p.Kind == quorum.KindReshare {
		previous = last.set
		// One that is being held may have come into force meanwhile.
		if i := slices.IndexFunc(f.chain, func(a *accepted) bool { return a.set.Digest() == p.Previous }); current && i >= 0 {
			previous = f.chain[i].set
		}
	}
	if err := p.Check(previous); err != nil {
		return nil, err
	}
	bad := func(field, why string) error {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: "this ceremony is not one for this custodian: " + why}
	}
	s := &Seat{Params: p, Digest: p.Digest(), Current: current}
	switch {
	case p.Cell != f.conf.Cell:
		return nil, bad("cell", "it is of another cell")
	case p.Ceremony.Hex() != ceremony:
		return nil, bad("ceremony", "the board shows another one")
	case p.Kind != quorum.KindReshare && f.last() != nil && !s.Current:
		return nil, bad("kind", "there is a key set already, which only a resharing follows")
	case p.Kind == quorum.KindReshare && p.Previous != previous.Digest():
		return nil, bad("previous", "it does not follow from the key set in force")
	}
	me, ok := ed25519.NewKeyFromSeed(f.sec.Approval).Public().(ed25519.PublicKey)
	if !ok {
		return nil, bonded.Errorf(bonded.CodeInternal, "not an Ed25519 key")
	}
	for i := range p.Roles {
		for j := range p.Roles[i].Members {
			m := &p.Roles[i].Members[j]
			if m.Approval.Equal(me) {
				if m.ID != f.conf.ID {
					return nil, bad("members", "this custodian's key stands there under another id")
				}
				s.Holds = true
			}
		}
	}
	if previous != nil {
		if role, index, ok := previous.Find(me); ok {
			for i, r := range previous.Roles() {
				for _, n := range p.Handover[i] {
					s.Deals = s.Deals || r.Name == role && int(n) == index
				}
			}
		}
	}
	if previous != nil {
		s.Weaker = weaker(previous.Roles(), p.Roles)
	}
	if !s.Holds && !s.Deals {
		return nil, bad("members", "it has no seat in it")
	}
	return s, nil
}

// weaker says in which ways fewer custodians could open under the new roles
// than under the old ones. Who hands a share on decides that as well.
func weaker(old, next []quorum.Role) (out []string) {
	at := map[string]int{}
	for _, r := range next {
		at[r.Name] = r.Threshold
	}
	for _, r := range old {
		switch n, ok := at[r.Name]; {
		case !ok:
			out = append(out, fmt.Sprintf("nobody of role %s will be needed, and %d are needed now", r.Name, r.Threshold))
		case n < r.Threshold:
			out = append(out, fmt.Sprintf("%d of role %s will be enough, and %d are needed now", n, r.Name, r.Threshold))
		}
	}
	return out
}

// Join takes part in the ceremony whose parameters have the digest that the
// operator agreed to, until it has come to its end or ctx ends, and returns the
// key set. The board is asked anew, so other parameters than those agreed to
// are an error with code conflict. What the party has to say is durable here before it
// is said: a process that is killed goes on with the next Join. The new share
// takes the place of the old one when the certificate is in the ledger under a
// cosigned checkpoint; the old share and the transport key are erased then.
//
// An error with code at_fault names the party that made the ceremony fail. A
// ceremony that is over, and in force here, is no error.
func (f *Folder) Join(ctx context.Context, door Door, ceremony string, agreed [32]byte) (*quorum.KeySet, error) {
	if _, err := f.Refresh(ctx, door); err != nil {
		return nil, err
	}
	if set := f.certified(agreed); set != nil && !f.holds(ceremony) {
		return set, nil
	} // in force without this party: it said its last word and was killed before it had its share
	// 1. The seat, looked at again.
	board, err := door.Ceremony(ctx, ceremony, 0)
	if err != nil {
		return nil, err
	}
	if err := f.catchUp(ctx, door, board.Params); err != nil {
		return nil, err
	}
	seat, err := f.seat(ceremony, board.Params)
	if err != nil {
		return nil, err
	}
	if seat.Digest != agreed {
		return nil, &bonded.Error{
			Code: bonded.CodeConflict, Field: "digest", Message: "the front door shows other parameters than those you agreed to",
			Hint: "run bonded-custodian ceremony show and compare with the others",
		}
	}
	// 2. The party, as it was left.
	m, err := f.member(ceremony, seat)
	if err != nil {
		return nil, err
	}
	// 3. Message by message.
	posted := 0
	for {
		for _, msg := range board.Messages {
			if err := m.Receive(msg); bonded.CodeOf(err) == bonded.CodeAtFault {
				return nil, err
			} // any other is not of this ceremony
		}
		from := board.Next
		if err := f.keepMember(m); err != nil {
			return nil, err
		}
		mine := m.Messages()
		for ; posted < len(mine); posted++ {
			if _, err := door.PostCeremony(ctx, ceremony, mine[posted]); err != nil {
				return nil, err
			}
		}
		if cert, share, ok := m.Result(); ok {
			if err := f.keepResult(cert, share, seat.Holds); err != nil {
				return nil, err
			}
			break
		}
		if board.State == "failed" {
			return nil, bonded.Errorf(bonded.CodeAtFault, "the ceremony has failed: %s", board.Reason)
		}
		if err := wait(ctx); err != nil {
			return nil, err
		}
		if board, err = door.Ceremony(ctx, ceremony, from); err != nil {
			return nil, err
		}
	}
	// 4. In force when the ledger has it.
	for {
		if _, err := f.Refresh(ctx, door); err != nil {
			return nil, err
		}
		if set := f.certified(agreed); set != nil {
			if f.holds(ceremony) {
				return nil, bonded.Errorf(bonded.CodeAtFault, "the certificate in the ledger is not the one that this custodian confirmed")
			}
			return set, nil
		}
		if err := wait(ctx); err != nil {
			return nil, err
		}
	}
}

// certified returns the accepted key set that came of the parameters with a
// digest, nil if there is none.
func (f *Folder) certified(params [32]byte) *quorum.KeySet {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.chain {
		if a.set.Ceremony() == params {
			return a.set
		}
	}
	return nil
}

// holds reports whether this custodian has not come to the end of a ceremony.
func (f *Folder) holds(ceremony string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sec.Ceremony == ceremony
}

// member restores or begins the party of a ceremony.
func (f *Folder) member(ceremony string, seat *Seat) (*quorum.Member, error) {
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	me := quorum.Identity{Approval: ed25519.NewKeyFromSeed(f.sec.Approval)}
	transport := f.sec.Transport
	if f.sec.Ceremony == ceremony && len(f.sec.Dealing) > 0 {
		transport = f.sec.Dealing
	}
	if me.Transport, err = quorum.ParseTransportKey(transport); err != nil {
		return nil, err
	}
	if f.sec.Ceremony == ceremony {
		return quorum.RestoreMember(f.sec.State, me)
	}
	var share quorum.Share
	var previous *quorum.KeySet
	if seat.Params.Kind == quorum.KindReshare {
		previous = f.last().set
		if seat.Deals {
			if share, err = quorum.ParseShare(f.sec.Share); err != nil {
				return nil, err
			}
		}
	}
	m, err := quorum.NewMember(seat.Params, previous, me, share)
	if err != nil {
		return nil, err
	}
	f.sec.Ceremony, f.sec.Dealing, f.sec.State = ceremony, f.sec.Transport, m.State()
	if err := f.newTransport(); err != nil { // the next ceremony has a key of its own
		return nil, err
	}
	return m, f.save()
}

func (f *Folder) keepMember(m *quorum.Member) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	clear(f.sec.State)
	f.sec.State = m.State()
	return f.save()
}

// keepResult keeps a new share beside the old one. Whoever only hands on gets
// none.
func (f *Folder) keepResult(cert *quorum.Certificate, share quorum.Share, holds bool) error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	d := cert.Digest()
	f.sec.Next, f.sec.Confirmed = nil, hex.EncodeToString(d[:])
	if holds {
		f.sec.Next = share.Bytes()
	}
	return f.save()
}

// adopt puts the share of a witnessed certificate in force and erases what it
// takes the place of. It reports whether there was one to adopt. The caller
// holds mu.
func (f *Folder) adopt(digest [32]byte) (bool, error) {
	if f.sec.Confirmed != hex.EncodeToString(digest[:]) {
		return false, nil
	}
	for _, b := range [][]byte{f.sec.Share, f.sec.State, f.sec.Dealing} {
		clear(b)
	}
	f.sec.Share, f.sec.Next = f.sec.Next, nil
	f.sec.State, f.sec.Dealing, f.sec.Ceremony, f.sec.Confirmed = nil, nil, "", ""
	return true, f.save()
}

// Abandon forgets a ceremony that failed, with all its secrets. The share in
// force stays.
func (f *Folder) Abandon() error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if f.sec.Confirmed != "" {
		return bonded.Errorf(bonded.CodeConflict, "this custodian has confirmed the ceremony: it may be in the ledger yet")
	}
	for _, b := range [][]byte{f.sec.State, f.sec.Dealing} {
		clear(b)
	}
	f.sec.State, f.sec.Dealing, f.sec.Ceremony = nil, nil, ""
	return f.save()
}

func wait(ctx context.Context) error {
	t := time.NewTimer(Poll)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
