package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm3"

	"bonded/internal/seal/internal/sm4gcm"
)

// A Suite is a way to seal and the hash that derives keys for it. The numbers
// are stored; never reuse or reorder. The zero Suite is not valid.
type Suite uint8

// Suites.
const (
	AES256GCM Suite = 1 // AES-256-GCM (NIST SP 800-38D) with HKDF and HMAC on SHA-256
	SM4GCM    Suite = 2 // SM4-GCM (GB/T 32907-2016, RFC 8998) with HKDF and HMAC on SM3 (GB/T 32905-2016)
)

var errSuite = errors.New("unknown suite")

// ParseSuite reads the name of a suite as configuration files spell it:
// "aes-256-gcm" or "sm4-gcm".
func ParseSuite(s string) (Suite, error) {
	switch s {
	case "aes-256-gcm":
		return AES256GCM, nil
	case "sm4-gcm":
		return SM4GCM, nil
	}
	return 0, fmt.Errorf("suite %q is not known: use aes-256-gcm or sm4-gcm", s)
}

// String returns the name that [ParseSuite] reads.
func (s Suite) String() string {
	switch s {
	case AES256GCM:
		return "aes-256-gcm"
	case SM4GCM:
		return "sm4-gcm"
	}
	return fmt.Sprintf("suite %d", uint8(s))
}

// Valid reports whether s is a suite this version knows.
func (s Suite) Valid() bool { return s == AES256GCM || s == SM4GCM }

// aead returns the cipher of s. It draws a nonce for each Seal and puts it in
// front, so its NonceSize is 0.
func (s Suite) aead(key *[KeySize]byte) (cipher.AEAD, error) {
	switch s {
	case AES256GCM:
		b, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, err
		}
		return cipher.NewGCMWithRandomNonce(b)
	case SM4GCM:
		return sm4gcm.New(key[:sm4gcm.KeySize])
	}
	return nil, errSuite
}

// expand returns HKDF-Expand(key, info, 32) of RFC 5869, section 2.3. Every
// key it is called with is already uniformly random, so the extract step is
// left out, as section 3.3 allows.
func (s Suite) expand(key *[KeySize]byte, info []byte) ([]byte, error) {
	switch s {
	case AES256GCM:
		return hkdf.Expand(sha256.New, key[:], string(info), KeySize)
	case SM4GCM:
		return hkdf.Expand(sm3.New, key[:], string(info), KeySize)
	}
	return nil, errSuite
}

// mac returns HMAC(key, data) under the hash of s, which must be valid.
func (s Suite) mac(key *[KeySize]byte, data []byte) (sum [sha256.Size]byte) {
	newHash := sha256.New
	if s == SM4GCM {
		newHash = sm3.New
	}
	h := hmac.New(newHash, key[:])
	_, _ = h.Write(data) // a hash never fails
	h.Sum(sum[:0])
	return sum
}
