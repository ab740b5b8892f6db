package seal

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length of a [Key] in bytes. SM4 takes the first 16.
const KeySize = 32

// ErrKey is returned when a key is unusable: the zero value, wiped, of the
// wrong length, or all zero bytes. It is a defect of the caller.
var ErrKey = errors.New("key is zero, wiped or of the wrong length")

// A Key is 32 secret bytes. One Key seals at most 2^32 values, because its
// nonces are random (NIST SP 800-38D, section 8.3). The zero Key is not valid
// and neither is a wiped one: they refuse to seal and to derive.
//
// Copies of a Key share its bytes, so wiping one wipes all. Keys may be used
// by several goroutines, but not while one of them wipes.
type Key struct {
	// bytes is a func, not an array or a pointer, because fmt cannot call
	// Format on a Key inside someone's unexported field, and prints what it
	// finds there. A func prints as an address. It also makes Key not
	// comparable: == is not constant time.
	bytes func() *[KeySize]byte
}

// NewKey returns a fresh random key.
func NewKey() Key {
	b := new([KeySize]byte)
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return holdKey(b)
}

// KeyFromBytes returns a key that holds a copy of b, for a key that came over
// the wire or out of [OpenSecret]. It returns [ErrKey] unless b is 32 bytes
// and not all zero. The caller wipes b.
func KeyFromBytes(b []byte) (Key, error) {
	if len(b) != KeySize {
		return Key{}, ErrKey
	}
	c := [KeySize]byte(b)
	k := holdKey(&c)
	if !k.Valid() {
		return Key{}, ErrKey
	}
	return k, nil
}

func holdKey(b *[KeySize]byte) Key { return Key{func() *[KeySize]byte { return b }} }

// Valid reports whether k can be used: it is neither the zero Key nor wiped.
func (k Key) Valid() bool { return k.usable() != nil }

// usable returns the bytes of k, or nil if k must not be used. A wiped key is
// recognised by its zero bytes: a random key is all zero once in 2^256.
func (k Key) usable() *[KeySize]byte {
	if k.bytes == nil {
		return nil
	}
	b := k.bytes()
	var zero [KeySize]byte
	if subtle.ConstantTimeCompare(b[:], zero[:]) == 1 {
		return nil
	}
	return b
}

// Bytes returns a copy of the key, or nil if k is not valid. It has two uses
// only: a field key that the keyholder releases to the vault, and a key that
// goes into [SealSecret]. The caller wipes the copy.
func (k Key) Bytes() []byte {
	b := k.usable()
	if b == nil {
		return nil
	}
	return append([]byte(nil), b[:]...)
}

// Wipe overwrites the key in every copy of k. A wiped key is not valid.
func (k Key) Wipe() {
	if k.bytes != nil {
		clear(k.bytes()[:])
	}
}

// Format keeps keys out of messages, whatever the verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[key]") }

// LogValue keeps keys out of logs.
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// derive returns the key that suite expands from k under info, or the zero
// Key if k or suite is not valid.
func (k Key) derive(suite Suite, info []byte) Key {
	parent := k.usable()
	if parent == nil {
		return Key{}
	}
	out, err := suite.expand(parent, info)
	if err != nil {
		return Key{}
	}
	defer clear(out)
	child := [KeySize]byte(out)
	return holdKey(&child)
}
