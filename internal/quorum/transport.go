package quorum

import (
	"bytes"
	"crypto/hpke"
	"fmt"
	"io"
	"log/slog"

	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
)

// Lengths of transport keys and of a sealed share, in bytes.
const (
	TransportPublicSize  = 1216 // ML-KEM-768 encapsulation key and X25519 key
	TransportPrivateSize = 32   // the seed of both

	encapsulationSize = 1120
	sealedShareSize   = encapsulationSize + group.Size + 16
)

// A TransportKey opens the shares that are dealt to a custodian. It holds
// MLKEM768-X25519, so a recorded ceremony stays closed to a quantum computer
// later unless both ML-KEM and X25519 fall. It prints as [transport key].
type TransportKey struct {
	key func() hpke.PrivateKey // a func: fmt prints what it finds in structs
}

// NewTransportKey returns a fresh key. An error is a fault of the
// cryptographic library.
func NewTransportKey() (TransportKey, error) {
	k, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return TransportKey{}, fmt.Errorf("generate transport key: %w", err)
	}
	return TransportKey{func() hpke.PrivateKey { return k }}, nil
}

// ParseTransportKey reads what [TransportKey.Bytes] returned.
func ParseTransportKey(b []byte) (TransportKey, error) {
	if len(b) != TransportPrivateSize {
		return TransportKey{}, malformed("transport key")
	}
	k, err := hpke.MLKEM768X25519().NewPrivateKey(b)
	if err != nil {
		return TransportKey{}, malformed("transport key")
	}
	return TransportKey{func() hpke.PrivateKey { return k }}, nil
}

// Bytes returns the secret seed, to be sealed for rest; nil for the zero
// TransportKey. The caller wipes it.
func (k TransportKey) Bytes() []byte {
	if k.key == nil {
		return nil
	}
	b, err := k.key().Bytes()
	if err != nil {
		return nil
	}
	return bytes.Clone(b) // crypto/hpke returns its own seed, which the caller must not wipe
}

// Public returns what goes into [Custody], zero for the zero TransportKey.
func (k TransportKey) Public() (pub [TransportPublicSize]byte) {
	if k.key != nil {
		copy(pub[:], k.key().PublicKey().Bytes())
	}
	return pub
}

// Format keeps keys out of messages, whatever the verb.
func (TransportKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[transport key]") }

// LogValue keeps keys out of logs.
func (TransportKey) LogValue() slog.Value { return slog.StringValue("[transport key]") }

func parseTransport(b []byte) (hpke.PublicKey, error) { return hpke.MLKEM768X25519().NewPublicKey(b) }

// sealShare seals f(index) of a dealer to the member it is for: HPKE base mode
// (RFC 9180) with MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM. The info names
// ceremony, dealer, role and recipient, so that a sealed share opens nowhere else.
func sealShare(to [TransportPublicSize]byte, info []byte, share group.Scalar) ([]byte, error) {
	pub, err := parseTransport(to[:])
	if err != nil {
		return nil, fmt.Errorf("seal share: %w", err)
	}
	b := share.Bytes()
	defer clear(b[:])
	sealed, err := hpke.Seal(pub, hpke.HKDFSHA256(), hpke.AES256GCM(), info, b[:])
	if err != nil {
		return nil, fmt.Errorf("seal share: %w", err)
	}
	return sealed, nil
}

// openShare opens what [sealShare] sealed, and reports whether it is a scalar.
func openShare(k TransportKey, info, sealed []byte) (group.Scalar, bool) {
	b, err := hpke.Open(k.key(), hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed)
	if err != nil {
		return group.Scalar{}, false
	}
	defer clear(b)
	s, err := group.ParseScalar(b)
	return s, err == nil
}

func shareInfo(ceremony [32]byte, dealer seat, role, index uint8) []byte {
	return canon.LP([]byte("bonded/quorum/share/1"), ceremony[:], dealer.bytes(), []byte{role, index})
}
