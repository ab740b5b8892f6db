package seal

import (
	"errors"
	"fmt"
)

// MaxPlaintext is the most one value may hold, in bytes.
const MaxPlaintext = 64 << 10

// Overhead is what sealing adds to a value, in bytes: the suite, a nonce of
// 12 bytes and a tag of 16.
const Overhead = 1 + nonceSize + tagSize

const (
	nonceSize = 12
	tagSize   = 16
)

// contextRoom is the usual length of an encoded [Context], so that one
// allocation is enough.
const contextRoom = 224

// ErrOpen is returned for anything that does not open: wrong key, wrong
// context, altered or truncated bytes, unknown suite. It does not say which,
// because the difference would help only an attacker.
var ErrOpen = errors.New("sealed value does not open under this key and context")

// ErrTooLong is returned when the plaintext is over the limit of the call.
var ErrTooLong = errors.New("plaintext is too long")

// Seal encrypts plaintext, which may be empty and must be at most
// [MaxPlaintext] bytes, for c, in which every part must be named. The result
// is [Overhead] bytes longer than plaintext: it shows the length.
// Errors are [ErrTooLong], [ErrKey], and an incomplete context or unknown
// suite, which are defects of the caller.
func (k Key) Seal(suite Suite, plaintext []byte, c Context) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("seal field %s: %w: %d bytes, limit %d", c.Field, ErrTooLong, len(plaintext), MaxPlaintext)
	}
	if !c.complete() {
		return nil, fmt.Errorf("seal: %w", errContext)
	}
	aad := c.appendTo(make([]byte, 0, contextRoom), suite)
	sealed, err := k.sealBytes(suite, plaintext, aad)
	if err != nil {
		return nil, fmt.Errorf("seal field %s: %w", c.Field, err)
	}
	return sealed, nil
}

// Open decrypts what [Key.Seal] made with this key and this context. It
// returns [ErrOpen] in every other case.
func (k Key) Open(sealed []byte, c Context) ([]byte, error) { return k.AppendOpen(nil, sealed, c) }

// AppendOpen is [Key.Open] that appends the plaintext to dst, for paths that
// reuse a buffer. dst and sealed must not overlap. On error it returns nil and
// leaves the bytes of dst as they were.
func (k Key) AppendOpen(dst, sealed []byte, c Context) ([]byte, error) {
	if len(sealed) < Overhead || len(sealed) > MaxPlaintext+Overhead {
		return nil, ErrOpen
	}
	aad := c.appendTo(make([]byte, 0, contextRoom), Suite(sealed[0]))
	return k.openBytes(dst, sealed, aad)
}

// sealBytes returns suite ‖ nonce ‖ ciphertext ‖ tag.
func (k Key) sealBytes(suite Suite, plaintext, aad []byte) ([]byte, error) {
	b := k.usable()
	if b == nil {
		return nil, ErrKey
	}
	a, err := suite.aead(b)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, Overhead+len(plaintext)), byte(suite))
	return a.Seal(out, nil, plaintext, aad), nil //nolint:gosec // G407: the nonce is nil because this AEAD draws its own
}

// openBytes appends to dst what sealBytes sealed.
func (k Key) openBytes(dst, sealed, aad []byte) ([]byte, error) {
	b := k.usable()
	if b == nil || len(sealed) < Overhead {
		return nil, ErrOpen
	}
	a, err := Suite(sealed[0]).aead(b)
	if err != nil {
		return nil, ErrOpen
	}
	plaintext, err := a.Open(dst, nil, sealed[1:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}
