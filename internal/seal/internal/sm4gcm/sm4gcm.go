package sm4gcm

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm4"
)

// Lengths in bytes.
const (
	KeySize   = 16
	nonceSize = 12
	tagSize   = 16
)

var errOpen = errors.New("sm4gcm: message authentication failed")

// New returns SM4-GCM under a key of 16 bytes. Seal draws a random nonce of
// 96 bits and puts it in front of the ciphertext; Open takes it from there.
// NonceSize is 0 and the nonce argument must be empty. The output is 28 bytes
// longer than the input. One key seals at most 2^32 messages (NIST SP 800-38D,
// section 8.3, which RFC 8998 follows).
//
// Unlike the standard library's, Seal and Open must not get a dst that
// overlaps their input.
func New(key []byte) (cipher.AEAD, error) {
	block, err := sm4.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sm4gcm: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sm4gcm: %w", err)
	}
	return randomNonce{gcm}, nil
}

type randomNonce struct{ gcm cipher.AEAD }

func (randomNonce) NonceSize() int { return 0 }

func (randomNonce) Overhead() int { return nonceSize + tagSize }

func (r randomNonce) Seal(dst, nonce, plaintext, additionalData []byte) []byte {
	mustBeEmpty(nonce)
	var n [nonceSize]byte
	_, _ = rand.Read(n[:]) // never fails since Go 1.24
	return r.gcm.Seal(append(dst, n[:]...), n[:], plaintext, additionalData)
}

func (r randomNonce) Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error) {
	mustBeEmpty(nonce)
	if len(ciphertext) < nonceSize+tagSize {
		return nil, errOpen
	}
	plaintext, err := r.gcm.Open(dst, ciphertext[:nonceSize], ciphertext[nonceSize:], additionalData)
	if err != nil {
		return nil, errOpen
	}
	return plaintext, nil
}

// mustBeEmpty panics like the standard library: a nonce given here is a
// defect that no input can cause.
func mustBeEmpty(nonce []byte) {
	if len(nonce) != 0 {
		panic("sm4gcm: incorrect nonce length: this AEAD draws its own")
	}
}
