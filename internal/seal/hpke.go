package seal

import (
	"bytes"
	"crypto/hpke"
	"fmt"
	"io"
	"log/slog"
)

// Lengths of HPKE keys and of what [SealTo] adds, in bytes.
const (
	HPKEPublicSize  = 1216 // ML-KEM-768 encapsulation key and X25519 key
	HPKEPrivateSize = 32   // the seed of both
	HPKEOverhead    = hpkeEncSize + tagSize

	hpkeEncSize = 1120 // ML-KEM-768 ciphertext and X25519 key
)

// An HPKEPrivate opens what was sealed to its public key. It holds
// MLKEM768-X25519 (X-Wing), so what is recorded today stays closed to a
// quantum computer later unless X25519 and ML-KEM both fall.
type HPKEPrivate struct {
	key func() hpke.PrivateKey // a func for the reason given at Key
}

// An HPKEPublic is what others seal to. It is public: it may be printed.
type HPKEPublic struct{ key hpke.PublicKey }

// GenerateHPKE returns a fresh private key. An error is a fault of the
// cryptographic library.
func GenerateHPKE() (HPKEPrivate, error) {
	k, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return HPKEPrivate{}, fmt.Errorf("generate hpke key: %w", err)
	}
	return HPKEPrivate{func() hpke.PrivateKey { return k }}, nil
}

// ParseHPKEPrivate reads what [HPKEPrivate.Bytes] wrote. It returns [ErrKey]
// if b is not a private key.
func ParseHPKEPrivate(b []byte) (HPKEPrivate, error) {
	if len(b) != HPKEPrivateSize {
		return HPKEPrivate{}, ErrKey
	}
	k, err := hpke.MLKEM768X25519().NewPrivateKey(b)
	if err != nil {
		return HPKEPrivate{}, ErrKey
	}
	return HPKEPrivate{func() hpke.PrivateKey { return k }}, nil
}

// Bytes returns the seed of the key, 32 bytes, for [SealSecret] and nothing
// else. It returns [ErrKey] for the zero HPKEPrivate. The caller wipes it.
func (k HPKEPrivate) Bytes() ([]byte, error) {
	if k.key == nil {
		return nil, ErrKey
	}
	b, err := k.key().Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode hpke key: %w", err)
	}
	return bytes.Clone(b), nil // crypto/hpke returns its own seed, which the caller must not wipe
}

// Public returns the key that others seal to, or the zero HPKEPublic for the
// zero HPKEPrivate.
func (k HPKEPrivate) Public() HPKEPublic {
	if k.key == nil {
		return HPKEPublic{}
	}
	return HPKEPublic{k.key().PublicKey()}
}

// Format keeps keys out of messages, whatever the verb.
func (HPKEPrivate) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[hpke private key]") }

// LogValue keeps keys out of logs.
func (HPKEPrivate) LogValue() slog.Value { return slog.StringValue("[hpke private key]") }

// ParseHPKEPublic reads what [HPKEPublic.Bytes] wrote. It returns [ErrKey] if
// b is not a public key.
func ParseHPKEPublic(b []byte) (HPKEPublic, error) {
	if len(b) != HPKEPublicSize {
		return HPKEPublic{}, ErrKey
	}
	k, err := hpke.MLKEM768X25519().NewPublicKey(b)
	if err != nil {
		return HPKEPublic{}, ErrKey
	}
	return HPKEPublic{k}, nil
}

// Bytes returns the key, 1,216 bytes, or nil for the zero HPKEPublic.
func (k HPKEPublic) Bytes() []byte {
	if k.key == nil {
		return nil
	}
	return k.key.Bytes()
}

// SealTo seals plaintext, at most [MaxPlaintext] bytes, to pub with HPKE base
// mode (RFC 9180; MLKEM768-X25519, HKDF-SHA256, AES-256-GCM). It proves
// nothing about who sealed: sign the result where that matters. The opener
// must give the same info (what the message is for) and aad. Errors are
// [ErrKey], [ErrTooLong], and faults of the library.
func SealTo(pub HPKEPublic, info, aad, plaintext []byte) ([]byte, error) {
	if pub.key == nil {
		return nil, fmt.Errorf("seal to public key: %w", ErrKey)
	}
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("seal to public key: %w: %d bytes, limit %d", ErrTooLong, len(plaintext), MaxPlaintext)
	}
	enc, sender, err := hpke.NewSender(pub.key, hpke.HKDFSHA256(), hpke.AES256GCM(), hpkeInfo(info))
	if err != nil {
		return nil, fmt.Errorf("seal to public key: %w", err)
	}
	ciphertext, err := sender.Seal(aad, plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal to public key: %w", err)
	}
	return append(enc, ciphertext...), nil
}

// OpenFrom opens what [SealTo] sealed to priv's public key with this info and
// aad. It returns [ErrOpen] in every other case.
func OpenFrom(priv HPKEPrivate, info, aad, sealed []byte) ([]byte, error) {
	if priv.key == nil || len(sealed) < HPKEOverhead || len(sealed) > HPKEOverhead+MaxPlaintext {
		return nil, ErrOpen
	}
	r, err := hpke.NewRecipient(sealed[:hpkeEncSize], priv.key(), hpke.HKDFSHA256(), hpke.AES256GCM(), hpkeInfo(info))
	if err != nil {
		return nil, ErrOpen
	}
	plaintext, err := r.Open(aad, sealed[hpkeEncSize:])
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

func hpkeInfo(info []byte) []byte {
	return appendPart(appendPart(nil, "bonded/hpke/1"), info)
}
