package quorum

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"unicode"
	"unicode/utf8"

	"bonded"
	"bonded/internal/canon"
)

// Limits of a ceremony.
const (
	MaxRoles      = 8
	MaxMembers    = 32 // of one role
	MaxName       = 64 // bytes of a custodian's id
	MaxParamsSize = 512 << 10
)

// A Kind says how the shares of a ceremony come about.
type Kind byte

// Kinds of ceremony.
const (
	KindDKG     Kind = 1 // every member deals: nobody ever has a role's key
	KindReshare Kind = 2 // old custodians hand on what they hold: the release key stays
	KindDealer  Kind = 3 // one dealer makes all shares, knows the key, and marks the key set for ever
)

// String returns "dkg", "reshare" or "dealer".
func (k Kind) String() string {
	switch k {
	case KindDKG:
		return "dkg"
	case KindReshare:
		return "reshare"
	case KindDealer:
		return "dealer"
	}
	return "unknown"
}

// Params say what a ceremony is to make and who takes part. All parties must
// have the same: every message names their digest. They are public.
type Params struct {
	Cell     bonded.CellID
	Ceremony bonded.ID // random, fresh for each attempt
	Kind     Kind
	Epoch    uint64 // of the key set that comes of it: 1, or one more than the previous
	Roles    []Role // every role is needed to open

	Dealer Dealer // for KindDealer only

	// For KindReshare only.
	Previous [32]byte  // digest of the key set that is handed on
	Handover [][]uint8 // for each role: indices of the old members that deal, ascending, at least the old threshold
}

// A Role is one group of custodians, such as "firm" or "independent".
type Role struct {
	Name      string    // as of [bonded.ValidName]
	Threshold int       // M: how many open, from 1 to the number of members
	Members   []Custody // N: the member at position i has index i+1
}

// A Custody is the public side of one custodian. Custodians are told apart by
// ID and by both keys: nobody has two seats in a ceremony.
type Custody struct {
	ID       string            // up to 64 bytes of UTF-8 without control characters
	Approval ed25519.PublicKey // signs messages of the ceremony

	// Transport is a fresh key for every ceremony, and its private half is
	// erased after it: whoever keeps it can open his share again from the
	// public messages.
	Transport [TransportPublicSize]byte
}

// A Dealer is who makes the shares in a ceremony of [KindDealer].
type Dealer struct {
	ID       string
	Approval ed25519.PublicKey
}

// Check returns an error with code [bonded.CodeInvalid] unless p is
// complete, within its limits and consistent in itself. previous is the key set
// that is handed on, nil unless p is of [KindReshare].
func (p *Params) Check(previous *KeySet) error {
	if !p.Cell.Valid() || p.Ceremony.IsZero() {
		return invalid("ceremony names no cell or no id")
	}
	if err := checkRoles(p.Roles); err != nil {
		return err
	}
	if p.Kind != KindDealer && (p.Dealer.ID != "" || p.Dealer.Approval != nil) {
		return invalid("ceremony of kind %s names a dealer", p.Kind)
	}
	if p.Kind != KindReshare && (p.Previous != [32]byte{} || p.Handover != nil || previous != nil) {
		return invalid("ceremony of kind %s hands nothing on", p.Kind)
	}
	switch p.Kind {
	case KindDKG:
	case KindDealer:
		if !validCustodian(p.Dealer.ID) || len(p.Dealer.Approval) != ed25519.PublicKeySize {
			return invalid("ceremony of kind dealer names no dealer")
		}
	case KindReshare:
		return p.checkHandover(previous)
	default:
		return invalid("ceremony has no kind")
	}
	if p.Epoch != 1 {
		return invalid("first key set of a release key has epoch 1, not %d", p.Epoch)
	}
	return nil
}

// checkHandover checks what a reshare must keep: cell, roles and their order,
// and that nobody moves from one role to another, where he would hold shares of
// both.
func (p *Params) checkHandover(previous *KeySet) error {
	switch {
	case previous == nil:
		return invalid("resharing needs the previous key set")
	case p.Previous != previous.Digest():
		return invalid("ceremony hands on another key set than the one given")
	case p.Cell != previous.cell || p.Epoch != previous.epoch+1:
		return invalid("resharing keeps the cell and adds one to the epoch, which was %d", previous.epoch)
	case len(p.Roles) != len(previous.roles) || len(p.Handover) != len(p.Roles):
		return invalid("resharing keeps the roles: the release key is their sum")
	}
	for i, old := range previous.roles {
		if p.Roles[i].Name != old.Name {
			return invalid("resharing keeps the roles and their order: role %q was %q", p.Roles[i].Name, old.Name)
		}
		dealers := p.Handover[i]
		if len(dealers) < old.Threshold || len(dealers) > len(old.Members) {
			return invalid("role %q is handed on by %d members, and needs from %d to %d", old.Name, len(dealers), old.Threshold, len(old.Members))
		}
		for j, d := range dealers {
			if d < 1 || int(d) > len(old.Members) || j > 0 && d <= dealers[j-1] {
				return invalid("members that hand on role %q are not ascending indices of it", old.Name)
			}
		}
		for j, role := range p.Roles {
			for _, m := range role.Members {
				if err := checkHeir(old, m, i == j); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkHeir holds a new member against the old members of one role.
func checkHeir(old roleKeys, m Custody, stays bool) error {
	for _, o := range old.Members {
		if o.Transport == m.Transport {
			return invalid("custodian %q uses a transport key again: the messages are public, so old shares would open for ever", m.ID)
		}
		if !stays && (o.ID == m.ID || bytes.Equal(o.Approval, m.Approval)) {
			return invalid("custodian %q leaves role %q for another and would hold shares of both", m.ID, old.Name)
		}
	}
	return nil
}

// checkRoles checks what [Params] and [KeySet] share.
func checkRoles(roles []Role) error {
	if len(roles) == 0 || len(roles) > MaxRoles {
		return invalid("%d roles, and there are from 1 to %d", len(roles), MaxRoles)
	}
	names := make(map[string]bool)
	taken := make(map[string]bool)
	for _, r := range roles {
		n := len(r.Members)
		switch {
		case !bonded.ValidName(r.Name) || names[r.Name]:
			return invalid("role %q is not a name, or is there twice", r.Name)
		case n == 0 || n > MaxMembers:
			return invalid("role %q has %d members, and may have from 1 to %d", r.Name, n, MaxMembers)
		case r.Threshold < 1 || r.Threshold > n:
			return invalid("role %q has %d members and a threshold of %d", r.Name, n, r.Threshold)
		}
		names[r.Name] = true
		for _, m := range r.Members {
			if !validCustodian(m.ID) || len(m.Approval) != ed25519.PublicKeySize {
				return invalid("member of role %q has no id or no approval key", r.Name)
			}
			for _, key := range []string{"id " + m.ID, "approval " + string(m.Approval), "transport " + string(m.Transport[:])} {
				if taken[key] {
					return invalid("custodian %q is there twice, by id or by key", m.ID)
				}
				taken[key] = true
			}
			if _, err := parseTransport(m.Transport[:]); err != nil {
				return invalid("custodian %q has no usable transport key", m.ID)
			}
		}
	}
	return nil
}

func validCustodian(id string) bool {
	if id == "" || len(id) > MaxName || !utf8.ValidString(id) {
		return false
	}
	for _, r := range id {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// Digest returns what every message of the ceremony is bound to: SHA-256 over
// a label and the canonical bytes.
func (p *Params) Digest() [32]byte {
	return sha256.Sum256(canon.LP([]byte("bonded/quorum/params/1"), p.Bytes()))
}

// Bytes returns the canonical encoding. Call [Params.Check] first.
func (p *Params) Bytes() []byte {
	w := canon.Writer{B: []byte{1}}
	w.String(string(p.Cell))
	w.Fixed(p.Ceremony[:])
	w.Byte(byte(p.Kind))
	w.Uint(p.Epoch)
	writeRoles(&w, p.Roles)
	switch p.Kind {
	case KindDKG:
	case KindDealer:
		w.String(p.Dealer.ID)
		w.Fixed(p.Dealer.Approval)
	case KindReshare:
		w.Fixed(p.Previous[:])
		for _, dealers := range p.Handover {
			w.Bytes(dealers)
		}
	}
	return w.B
}

// ParseParams reads what [Params.Bytes] wrote. The caller goes on to call
// [Params.Check]: what is checked here is the form.
func ParseParams(b []byte) (*Params, error) {
	r := canon.NewReader(b)
	if len(b) > MaxParamsSize || r.Byte() != 1 {
		return nil, malformed("ceremony")
	}
	p := &Params{Cell: bonded.CellID(r.String(8))}
	r.Fixed(p.Ceremony[:])
	p.Kind = Kind(r.Byte())
	p.Epoch = r.Uint()
	p.Roles = readRoles(r)
	switch p.Kind {
	case KindDKG:
	case KindDealer:
		p.Dealer.ID = r.String(MaxName)
		p.Dealer.Approval = make([]byte, ed25519.PublicKeySize)
		r.Fixed(p.Dealer.Approval)
	case KindReshare:
		r.Fixed(p.Previous[:])
		for range p.Roles {
			p.Handover = append(p.Handover, bytes.Clone(r.Bytes(MaxMembers)))
		}
	default:
		r.Fail()
	}
	if r.Done() != nil || checkRoles(p.Roles) != nil {
		return nil, malformed("ceremony")
	}
	return p, nil
}

func writeRoles(w *canon.Writer, roles []Role) {
	w.Uint(uint64(len(roles)))
	for _, role := range roles {
		w.String(role.Name)
		w.Uint(uint64(role.Threshold)) //nolint:gosec // checked: from 1 to 32
		w.Uint(uint64(len(role.Members)))
		for _, m := range role.Members {
			w.String(m.ID)
			w.Fixed(m.Approval)
			w.Fixed(m.Transport[:])
		}
	}
}

func readRoles(r *canon.Reader) []Role {
	roles := make([]Role, r.Count(MaxRoles))
	for i := range roles {
		roles[i].Name = r.String(MaxName)
		roles[i].Threshold = r.Count(MaxMembers)
		roles[i].Members = make([]Custody, r.Count(MaxMembers))
		for j := range roles[i].Members {
			m := &roles[i].Members[j]
			m.ID = r.String(MaxName)
			m.Approval = make([]byte, ed25519.PublicKeySize)
			r.Fixed(m.Approval)
			r.Fixed(m.Transport[:])
		}
		if r.Bad() {
			return nil
		}
	}
	return roles
}
