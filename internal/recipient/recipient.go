// Package recipient is the key of whoever a case is released to: one file of
// an officer, two keys in it. The keyholder seals field keys to the first
// (HPKE), custodians answer to the second (the group of the quorum). A proof
// binds the two together and shows that whoever made them has the second.
//
// It says nothing about whose key it is: the officer signs it into the request.
// The format is in spec/package.md.
//
// Start at [Parse] for the public key and at [New] for a fresh private one.
package recipient

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum"
	"bonded/internal/seal"
	"bonded/verify"
)

// Size is the length of an encoded [Key] in bytes: a version, the HPKE key and
// the key of the quorum with its proof.
const Size = 1 + seal.HPKEPublicSize + quorum.RecipientSize

// PrivateSize is the length of an encoded [Private] in bytes.
const PrivateSize = 1 + seal.HPKEPrivateSize + quorum.RecipientKeySize

// A Key is a recipient key, public, with its proof of possession checked.
type Key struct {
	Seal   seal.HPKEPublic   // field keys are sealed to it
	Quorum *quorum.Recipient // partials go to it
	bytes  []byte
}

// Parse reads a recipient key and checks its proof. Errors have code invalid
// for other bytes, and bad_proof for a proof that does not hold.
func Parse(b []byte) (*Key, error) {
	if len(b) != Size || b[0] != 1 {
		return nil, malformed(nil)
	}
	k := &Key{bytes: bytes.Clone(b)}
	var err error
	if k.Seal, err = seal.ParseHPKEPublic(b[1 : 1+seal.HPKEPublicSize]); err != nil {
		return nil, malformed(err)
	}
	if k.Quorum, err = quorum.ParseRecipient(b[1+seal.HPKEPublicSize:]); err != nil {
		return nil, malformed(err)
	}
	if err := k.Quorum.Check(k.Context()); err != nil {
		return nil, fmt.Errorf("recipient key: %w", err)
	}
	return k, nil
}

func malformed(err error) error {
	return &bonded.Error{
		Code: bonded.CodeInvalid, Field: "recipient", Message: "not a recipient key", Err: err,
		Hint: "make one with bonded request keygen; spec/package.md has the format",
	}
}

// Bytes returns the canonical encoding, [Size] bytes.
func (k *Key) Bytes() []byte { return bytes.Clone(k.bytes) }

// Digest returns what a scope names the key by.
func (k *Key) Digest() [32]byte { return verify.RecipientDigest(k.bytes) }

// Context returns what the proof of possession is bound to, and what partials
// have to be made with: lp("bonded/recipient-key/1", SHA-256(HPKE key)).
func (k *Key) Context() []byte { return proofContext(k.Seal) }

func proofContext(pub seal.HPKEPublic) []byte {
	h := sha256.Sum256(pub.Bytes())
	return canon.LP([]byte("bonded/recipient-key/1"), h[:])
}

// Release returns what partials of a case are bound to.
func (k *Key) Release(id bonded.ID, leaf [32]byte) quorum.Release {
	return quorum.Release{Request: id, Leaf: leaf, Recipient: k.Quorum, Context: k.Context()}
}

// A Private is the private side of a [Key]. It prints as [recipient key]. The
// zero Private is not valid, and neither is an erased one.
type Private struct {
	Seal   seal.HPKEPrivate
	Quorum quorum.RecipientKey
}

// New returns a fresh key, private and public. An error is a fault of the
// cryptographic library.
func New() (*Private, *Key, error) {
	h, err := seal.GenerateHPKE()
	if err != nil {
		return nil, nil, fmt.Errorf("make recipient key: %w", err)
	}
	p := &Private{h, quorum.NewRecipientKey()}
	pub, err := p.Quorum.Public(proofContext(h.Public()))
	if err != nil {
		return nil, nil, fmt.Errorf("make recipient key: %w", err)
	}
	k, err := Parse(append(append([]byte{1}, h.Public().Bytes()...), pub.Bytes()...))
	return p, k, err
}

// Of reports whether p is the private side of k.
func (p *Private) Of(k *Key) bool {
	q, err := p.Quorum.Public(k.Context())
	return err == nil && q.Key() == k.Quorum.Key() && bytes.Equal(p.Seal.Public().Bytes(), k.Seal.Bytes())
}

// Bytes returns the secret bytes, to be sealed for rest. The caller wipes them.
func (p *Private) Bytes() ([]byte, error) {
	h, err := p.Seal.Bytes()
	if err != nil {
		return nil, err
	}
	defer clear(h)
	q := p.Quorum.Bytes()
	defer clear(q)
	if q == nil {
		return nil, seal.ErrKey
	}
	b := append(make([]byte, 0, PrivateSize), 1)
	return append(append(b, h...), q...), nil
}

// ParsePrivate reads what [Private.Bytes] returned. The caller wipes b.
func ParsePrivate(b []byte) (*Private, error) {
	if len(b) != PrivateSize || b[0] != 1 {
		return nil, malformed(nil)
	}
	h, err := seal.ParseHPKEPrivate(b[1 : 1+seal.HPKEPrivateSize])
	if err != nil {
		return nil, malformed(err)
	}
	q, err := quorum.ParseRecipientKey(b[1+seal.HPKEPrivateSize:])
	if err != nil {
		return nil, malformed(err)
	}
	return &Private{h, q}, nil
}

// Erase overwrites what can be overwritten of the key.
func (p *Private) Erase() { p.Quorum.Erase() }

// Format keeps keys out of messages, whatever the verb.
func (Private) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[recipient key]") }

// LogValue keeps keys out of logs.
func (Private) LogValue() slog.Value { return slog.StringValue("[recipient key]") }
