package quorum

import (
	"fmt"
	"io"
	"log/slog"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// Sizes in bytes.
const (
	RecipientKeySize = group.Size
	RecipientSize    = 1 + group.Size + 2*group.Size
	MaxContext       = 256
)

// A RecipientKey is the private key of a requester. It prints as
// [recipient key]. The zero RecipientKey is not valid, and neither is an erased
// one.
type RecipientKey struct {
	key func() group.Scalar // a func: fmt prints what it finds in structs
}

// NewRecipientKey returns a fresh key.
func NewRecipientKey() RecipientKey {
	r := group.RandomScalar()
	return RecipientKey{func() group.Scalar { return r }}
}

// ParseRecipientKey reads what [RecipientKey.Bytes] returned. The caller wipes b.
func ParseRecipientKey(b []byte) (RecipientKey, error) {
	r, err := group.ParseSecret(b)
	if err != nil {
		return RecipientKey{}, malformed("recipient key")
	}
	return RecipientKey{func() group.Scalar { return r }}, nil
}

// Valid reports whether k can be used.
func (k RecipientKey) Valid() bool { return k.key != nil && !k.key().IsZero() }

// Bytes returns the secret bytes, to be sealed for rest; nil if k is not valid.
// The caller wipes them.
func (k RecipientKey) Bytes() []byte {
	if !k.Valid() {
		return nil
	}
	return k.key().Append(nil)
}

// Erase overwrites the key in every copy of k.
func (k RecipientKey) Erase() {
	if k.key != nil {
		k.key().Wipe()
	}
}

// Format keeps keys out of messages, whatever the verb.
func (RecipientKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[recipient key]") }

// LogValue keeps keys out of logs.
func (RecipientKey) LogValue() slog.Value { return slog.StringValue("[recipient key]") }

// A Recipient is the public key of a requester with the proof that it has the
// private one, for one request. Without the proof a requester could name a key
// made of other people's ciphertexts.
type Recipient struct {
	point group.Point
	proof sigma.Proof
}

// Public returns the recipient with its proof bound to context, which names the
// request and whoever makes it: from 1 to [MaxContext] bytes.
func (k RecipientKey) Public(context []byte) (*Recipient, error) {
	if !k.Valid() {
		return nil, invalid("recipient key is empty or erased")
	}
	if len(context) == 0 || len(context) > MaxContext {
		return nil, invalid("context of a recipient has %d bytes, and may have from 1 to %d", len(context), MaxContext)
	}
	r := &Recipient{point: group.MulGen(k.key())}
	session, statement := r.statement(context)
	r.proof = sigma.Prove(session, statement, []group.Scalar{k.key()})
	return r, nil
}

// Check returns an error with code [bonded.CodeProof] unless the recipient proved
// its key for context.
func (r *Recipient) Check(context []byte) error {
	session, statement := r.statement(context)
	if !sigma.Verify(session, statement, r.proof) {
		return &bonded.Error{
			Code:    bonded.CodeProof,
			Message: "recipient does not prove that it has its private key for this request",
			Hint:    "make the key file with bonded request keygen, and file the request with it",
		}
	}
	return nil
}

// Key returns the public key.
func (r *Recipient) Key() [32]byte { return r.point.Bytes() }

// Bytes returns the canonical encoding, [RecipientSize] bytes.
func (r *Recipient) Bytes() []byte {
	return r.proof.Append(r.point.Append([]byte{1}))
}

// ParseRecipient reads what [Recipient.Bytes] wrote. It checks the form;
// [Recipient.Check] checks the proof.
func ParseRecipient(b []byte) (*Recipient, error) {
	if len(b) != RecipientSize || b[0] != 1 {
		return nil, malformed("recipient")
	}
	p, err := group.ParsePoint(b[1 : 1+group.Size])
	if err != nil {
		return nil, malformed("recipient")
	}
	proof, err := sigma.Parse(b[1+group.Size:], 1)
	if err != nil {
		return nil, malformed("recipient")
	}
	return &Recipient{p, proof}, nil
}

func (r *Recipient) statement(context []byte) ([]byte, sigma.Statement) {
	session := canon.LP([]byte("bonded/quorum/recipient/1"), context)
	return session, sigma.Statement{Witnesses: 1, Equations: []sigma.Equation{
		{Y: r.point, Terms: []sigma.Term{{Witness: 0, Base: group.Generator()}}},
	}}
}
