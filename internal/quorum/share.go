package quorum

import (
	"fmt"
	"io"
	"log/slog"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
)

// A Share is one custodian's part of a role's key, in one epoch. It prints as
// [share]. The zero Share is not valid, and neither is an erased one.
//
// Copies of a Share hold the same secret, so erasing one erases all. Shares may be
// used by several goroutines, but not while one of them erases.
type Share struct {
	body func() *shareBody // a func: fmt prints what it finds in structs
}

type shareBody struct {
	keySet [32]byte // digest of the key set that this is a share of
	epoch  uint64
	role   uint8 // position of the role
	index  uint8 // of the member in the role, from 1
	x      group.Scalar
}

func holdShare(b shareBody) Share { return Share{func() *shareBody { return &b }} }

// usable returns the body, or nil if s must not be used.
func (s Share) usable() *shareBody {
	if s.body == nil {
		return nil
	}
	b := s.body()
	if b.x.IsZero() {
		return nil
	}
	return b
}

// Valid reports whether s can be used: it is neither the zero Share nor erased.
func (s Share) Valid() bool { return s.usable() != nil }

// Epoch returns the epoch of the key set that s is a share of, 0 if s is not
// valid.
func (s Share) Epoch() uint64 {
	if b := s.usable(); b != nil {
		return b.epoch
	}
	return 0
}

// KeySet returns the digest of the key set that s is a share of.
func (s Share) KeySet() [32]byte {
	if b := s.usable(); b != nil {
		return b.keySet
	}
	return [32]byte{}
}

// Bytes returns the secret encoding, to be sealed for rest and for nothing
// else; nil if s is not valid. The caller wipes it.
func (s Share) Bytes() []byte {
	b := s.usable()
	if b == nil {
		return nil
	}
	w := canon.Writer{B: []byte{1}}
	w.Fixed(b.keySet[:])
	w.Uint(b.epoch)
	w.Byte(b.role)
	w.Byte(b.index)
	w.B = b.x.Append(w.B)
	return w.B
}

// ParseShare reads what [Share.Bytes] wrote. The caller wipes b.
func ParseShare(b []byte) (Share, error) {
	r := canon.NewReader(b)
	version := r.Byte()
	var body shareBody
	r.Fixed(body.keySet[:])
	body.epoch = r.Uint()
	body.role = r.Byte()
	body.index = r.Byte()
	var x [group.Size]byte
	defer clear(x[:])
	r.Fixed(x[:])
	secret, err := group.ParseSecret(x[:])
	if err != nil || r.Done() != nil || version != 1 || body.epoch == 0 || body.role >= MaxRoles || body.index == 0 || body.index > MaxMembers {
		return Share{}, malformed("share")
	}
	body.x = secret
	return holdShare(body), nil
}

// Check returns an error unless s is a share of ks: with code
// [bonded.CodeStaleShare] if it belongs to another key set, and with
// [bonded.CodeAltered] if it is not the one that was dealt.
func (s Share) Check(ks *KeySet) error {
	b := s.usable()
	if b == nil {
		return invalid("share is empty or erased")
	}
	if b.keySet != ks.digest || b.epoch != ks.epoch {
		return stale("share", b.epoch, ks.epoch)
	}
	if int(b.role) >= len(ks.roles) || int(b.index) > len(ks.roles[b.role].Members) ||
		!group.MulGen(b.x).Equal(ks.roles[b.role].verification[b.index-1]) {
		return bonded.Errorf(bonded.CodeAltered, "share does not fit the verification key of its member")
	}
	return nil
}

func stale(what string, got, want uint64) error {
	return &bonded.Error{
		Code:    bonded.CodeStaleShare,
		Message: fmt.Sprintf("%s is of epoch %d and another key set than the one of epoch %d in use", what, got, want),
		Hint:    "use the share of the current key set; old shares are erased",
	}
}

// Erase overwrites the secret in every copy of s. A quorum of old shares opens
// for ever, so a share is erased once the next key set is certified.
func (s Share) Erase() {
	if s.body != nil {
		s.body().x.Wipe()
	}
}

// Format keeps shares out of messages, whatever the verb.
func (Share) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[share]") }

// LogValue keeps shares out of logs.
func (Share) LogValue() slog.Value { return slog.StringValue("[share]") }
