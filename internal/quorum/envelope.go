package quorum

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/sigma"
)

// Sizes in bytes.
const (
	EnvelopeSize = 1 + 3*group.Size + boxSize + 2*group.Size
	MaxLabel     = 1024

	boxSize = KeySize + 16
)

// second is the second generator of TDH2, whose logarithm nobody knows.
var second = group.HashToPoint("bonded/quorum/tdh2/1", []byte("second generator"))

// An Encryptor makes envelopes under one release key. It may be used by several
// goroutines.
type Encryptor struct{ release group.Point }

// NewEncryptor returns the Encryptor of a release key. The caller has it from a
// certified key set or a witnessed directory: nothing here can tell.
func NewEncryptor(releaseKey [32]byte) (*Encryptor, error) {
	p, err := group.ParsePoint(releaseKey[:])
	if err != nil {
		return nil, malformed("release key")
	}
	return &Encryptor{p}, nil
}

// An Envelope is a [Key] encrypted under a release key: TDH2 of Shoup and
// Gennaro (Securing Threshold Cryptosystems against Chosen Ciphertext Attack, J.
// Cryptology 15, 2002, section 5). Anyone can check that it was made by somebody
// who knew what is in it and for this label, so that custodians cannot be used to
// open something else in disguise.
type Envelope struct {
	release group.Point
	u, ubar group.Point   // r·G and r·second
	box     [boxSize]byte // the key under AES-256-GCM
	proof   sigma.Proof   // that both have the same r, bound to box and label
}

// NewEnvelope returns a fresh key and its envelope. label says what the key is
// for: a typed context (cell, collection, record, version) in one
// unambiguous encoding, from 1 to [MaxLabel] bytes. It is bound and not stored.
func (e *Encryptor) NewEnvelope(label []byte) (Key, *Envelope, error) {
	k := NewKey()
	env, err := e.Encrypt(k, label)
	if err != nil {
		return Key{}, nil, err
	}
	return k, env, nil
}

// Encrypt returns an envelope of k for label; see [Encryptor.NewEnvelope].
func (e *Encryptor) Encrypt(k Key, label []byte) (*Envelope, error) {
	if err := checkLabel(label); err != nil {
		return nil, err
	}
	key := k.usable()
	if key == nil {
		return nil, invalid("key is zero or wiped")
	}
	// 1. A Diffie-Hellman secret with the release key encrypts the key.
	r := group.RandomScalar()
	defer r.Wipe()
	env := &Envelope{release: e.release, u: group.MulGen(r), ubar: second.Mul(r)}
	aead, err := env.boxCipher(e.release.Mul(r), label)
	if err != nil {
		return nil, fmt.Errorf("make envelope: %w", err)
	}
	aead.Seal(env.box[:0], make([]byte, aead.NonceSize()), key[:], env.aad(label)) //nolint:gosec // the key is used once
	// 2. A proof that its maker knew r makes the envelope checkable.
	session, statement := env.statement(label)
	env.proof = sigma.Prove(session, statement, []group.Scalar{r})
	return env, nil
}

// Check returns an error with code [bonded.CodeAltered] unless the envelope was
// made for label and is unaltered. It needs no secret: vault, custodians and
// verifiers all call it.
func (e *Envelope) Check(label []byte) error {
	if err := checkLabel(label); err != nil {
		return err
	}
	session, statement := e.statement(label)
	if !sigma.Verify(session, statement, e.proof) {
		return &bonded.Error{
			Code:    bonded.CodeAltered,
			Message: "envelope does not hold: altered, or made for another record version",
			Hint:    "nothing opens it; restore the record from a backup",
		}
	}
	return nil
}

// ReleaseKey returns the key that the envelope is under.
func (e *Envelope) ReleaseKey() [32]byte { return e.release.Bytes() }

// Digest names the envelope together with its label.
func (e *Envelope) Digest(label []byte) [32]byte {
	return sha256.Sum256(canon.LP([]byte("bonded/quorum/envelope/1"), e.Bytes(), label))
}

// Bytes returns the canonical encoding, [EnvelopeSize] bytes.
func (e *Envelope) Bytes() []byte {
	b := make([]byte, 0, EnvelopeSize)
	b = append(b, 1)
	b = e.ubar.Append(e.u.Append(e.release.Append(b)))
	b = append(b, e.box[:]...)
	return e.proof.Append(b)
}

// ParseEnvelope reads what [Envelope.Bytes] wrote. It checks the form;
// [Envelope.Check] checks the proof.
func ParseEnvelope(b []byte) (*Envelope, error) {
	if len(b) != EnvelopeSize || b[0] != 1 {
		return nil, malformed("envelope")
	}
	points, ok := parseCommitments(b[1:1+3*group.Size], 3)
	if !ok {
		return nil, malformed("envelope")
	}
	proof, err := sigma.Parse(b[EnvelopeSize-2*group.Size:], 1)
	if err != nil {
		return nil, malformed("envelope")
	}
	return &Envelope{
		release: points[0], u: points[1], ubar: points[2],
		box: [boxSize]byte(b[1+3*group.Size:]), proof: proof,
	}, nil
}

// statement is that of the proof of TDH2: u and ubar have the same logarithm.
// Its session binds what TDH2 binds, ciphertext and label, and the release key.
func (e *Envelope) statement(label []byte) ([]byte, sigma.Statement) {
	release := e.release.Bytes()
	session := canon.LP([]byte("bonded/quorum/tdh2/1"), release[:], label, e.box[:])
	return session, sigma.Statement{Witnesses: 1, Equations: []sigma.Equation{
		{Y: e.u, Terms: []sigma.Term{{Witness: 0, Base: group.Generator()}}},
		{Y: e.ubar, Terms: []sigma.Term{{Witness: 0, Base: second}}},
	}}
}

// boxCipher returns the cipher of the box under the shared point. Its key is used
// for one message, so that the nonce may be zero.
func (e *Envelope) boxCipher(shared group.Point, label []byte) (cipher.AEAD, error) {
	s, u, release := shared.Bytes(), e.u.Bytes(), e.release.Bytes()
	defer clear(s[:])
	secret := append(s[:], u[:]...)
	defer clear(secret)
	key, err := hkdf.Key(sha256.New, secret, nil, string(canon.LP([]byte("bonded/quorum/box/1"), release[:], label)), KeySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (e *Envelope) aad(label []byte) []byte {
	release := e.release.Bytes()
	return canon.LP([]byte("bonded/quorum/box/1"), release[:], label)
}

// open decrypts the box with the shared point.
func (e *Envelope) open(shared group.Point, label []byte) (Key, bool) {
	aead, err := e.boxCipher(shared, label)
	if err != nil {
		return Key{}, false
	}
	b, err := aead.Open(nil, make([]byte, aead.NonceSize()), e.box[:], e.aad(label))
	if err != nil {
		return Key{}, false
	}
	defer clear(b)
	return keyOf(b)
}

func checkLabel(label []byte) error {
	if len(label) == 0 || len(label) > MaxLabel {
		return invalid("label of an envelope has %d bytes, and may have from 1 to %d", len(label), MaxLabel)
	}
	return nil
}
