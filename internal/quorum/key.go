package quorum

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"

	"bonded/internal/canon"
)

// KeySize is the length of a [Key] in bytes.
const KeySize = 32

// A Key is the 32 secret bytes QK that an envelope holds: one for each record
// version. It prints as [key]. The zero Key is not valid and neither is a wiped
// one. Copies share their bytes, so wiping one wipes all.
type Key struct {
	bytes func() *[KeySize]byte // a func: fmt prints what it finds in structs
}

// NewKey returns a fresh random key.
func NewKey() Key {
	var b [KeySize]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return Key{func() *[KeySize]byte { return &b }}
}

func keyOf(b []byte) (Key, bool) {
	if len(b) != KeySize {
		return Key{}, false
	}
	c := [KeySize]byte(b)
	k := Key{func() *[KeySize]byte { return &c }}
	return k, k.Valid()
}

// KeyFromBytes returns a key that holds a copy of b. It returns an error unless
// b is 32 bytes and not all zero. The caller wipes b.
func KeyFromBytes(b []byte) (Key, error) {
	k, ok := keyOf(b)
	if !ok {
		return Key{}, invalid("key is zero or of the wrong length")
	}
	return k, nil
}

// Valid reports whether k can be used: it is neither the zero Key nor wiped.
func (k Key) Valid() bool { return k.usable() != nil }

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

// Bytes returns a copy of the key, nil if k is not valid. The caller wipes it.
func (k Key) Bytes() []byte {
	b := k.usable()
	if b == nil {
		return nil
	}
	return append([]byte(nil), b[:]...)
}

// Field returns the key of one field of the record version, 32 bytes for
// package seal: HKDF-Expand (RFC 5869) with SHA-256. It returns nil if k is not
// valid. The caller wipes it.
func (k Key) Field(field string) []byte {
	b := k.usable()
	if b == nil {
		return nil
	}
	out, err := hkdf.Expand(sha256.New, b[:], string(canon.LP([]byte("bonded/quorum/field/1"), []byte(field))), KeySize)
	if err != nil {
		return nil // only for lengths that are not ours
	}
	return out
}

// Wipe overwrites the key in every copy of k.
func (k Key) Wipe() {
	if k.bytes != nil {
		clear(k.bytes()[:])
	}
}

// Format keeps keys out of messages, whatever the verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[key]") }

// LogValue keeps keys out of logs.
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }
