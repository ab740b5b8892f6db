package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// ErrPassphrase is returned for a wrong passphrase and for a file that is
// altered, truncated, made for another label, or asks for more work than the
// ceilings allow. It does not say which.
var ErrPassphrase = errors.New("wrong passphrase, or the sealed file is altered")

// argonParams are the costs of Argon2id (RFC 9106).
type argonParams struct {
	passes uint32 // t
	memory uint32 // m, KiB
	lanes  uint8  // p
}

// sealParams is the second recommended option of RFC 9106, section 4.
var sealParams = argonParams{passes: 3, memory: 64 << 10, lanes: 4}

// Ceilings on what a file may ask for before its passphrase is checked: at
// most 256 MiB and a few seconds, so that a hostile file exhausts nothing.
const (
	maxPasses = 8
	maxMemory = 256 << 10 // KiB
	maxLanes  = 16
)

// The header, in front of nonce ‖ ciphertext ‖ tag: magic, passes and memory
// as 4 bytes big-endian each, lanes as one byte, salt.
const (
	passMagic      = "bonded-pass-1\n"
	passSaltSize   = 16
	passHeaderSize = len(passMagic) + 4 + 4 + 1 + passSaltSize
)

// PassphraseOverhead is what [SealWithPassphrase] adds, in bytes.
const PassphraseOverhead = passHeaderSize + nonceSize + tagSize

// SealWithPassphrase seals a secret for rest under a passphrase, by Argon2id
// (3 passes, 64 MiB, 4 lanes: about 0.2 s) and AES-256-GCM. The bytes of the
// passphrase are used as they are. label says what the secret is and is
// authenticated, not stored. Errors are an empty passphrase and [ErrTooLong]
// above [MaxSecret].
func SealWithPassphrase(passphrase []byte, label string, plaintext []byte) ([]byte, error) {
	return sealWithPassphrase(passphrase, label, plaintext, sealParams)
}

func sealWithPassphrase(passphrase []byte, label string, plaintext []byte, p argonParams) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("seal %s: passphrase is empty", label)
	}
	if len(plaintext) > MaxSecret {
		return nil, fmt.Errorf("seal %s: %w: %d bytes, limit %d", label, ErrTooLong, len(plaintext), MaxSecret)
	}
	var salt [passSaltSize]byte
	_, _ = rand.Read(salt[:]) // never fails since Go 1.24
	header := append(make([]byte, 0, PassphraseOverhead+len(plaintext)), passMagic...)
	header = binary.BigEndian.AppendUint32(header, p.passes)
	header = binary.BigEndian.AppendUint32(header, p.memory)
	header = append(append(header, p.lanes), salt[:]...)

	key := passphraseKey(passphrase, salt[:], p)
	defer clear(key[:])
	a, err := AES256GCM.aead(key)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", label, err)
	}
	return a.Seal(header, nil, plaintext, passphraseAAD(label, header)), nil //nolint:gosec // G407: the nonce is nil because this AEAD draws its own
}

// OpenWithPassphrase opens what [SealWithPassphrase] made with this passphrase
// and label. It returns [ErrPassphrase] in every other case. The caller wipes
// the plaintext.
func OpenWithPassphrase(passphrase []byte, label string, sealed []byte) ([]byte, error) {
	p, salt, ok := parsePassphraseHeader(sealed)
	if !ok || len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	key := passphraseKey(passphrase, salt, p)
	defer clear(key[:])
	a, err := AES256GCM.aead(key)
	if err != nil {
		return nil, ErrPassphrase
	}
	header, rest := sealed[:passHeaderSize], sealed[passHeaderSize:]
	plaintext, err := a.Open(nil, nil, rest, passphraseAAD(label, header))
	if err != nil {
		return nil, ErrPassphrase
	}
	return plaintext, nil
}

// parsePassphraseHeader checks the length, the magic and the ceilings.
func parsePassphraseHeader(sealed []byte) (p argonParams, salt []byte, ok bool) {
	if len(sealed) < PassphraseOverhead || len(sealed) > PassphraseOverhead+MaxSecret {
		return argonParams{}, nil, false
	}
	rest, ok := bytes.CutPrefix(sealed[:passHeaderSize], []byte(passMagic))
	if !ok {
		return argonParams{}, nil, false
	}
	p = argonParams{passes: binary.BigEndian.Uint32(rest), memory: binary.BigEndian.Uint32(rest[4:]), lanes: rest[8]}
	ok = p.passes >= 1 && p.passes <= maxPasses && p.lanes >= 1 && p.lanes <= maxLanes &&
		p.memory >= 8*uint32(p.lanes) && p.memory <= maxMemory // RFC 9106, section 3.1: m is at least 8p
	return p, rest[9:], ok
}

func passphraseKey(passphrase, salt []byte, p argonParams) *[KeySize]byte {
	b := argon2.IDKey(passphrase, salt, p.passes, p.memory, p.lanes, KeySize)
	defer clear(b)
	key := [KeySize]byte(b)
	return &key
}

func passphraseAAD(label string, header []byte) []byte {
	b := appendPart(nil, "bonded/pass/1")
	b = appendPart(b, label)
	return appendPart(b, header)
}
