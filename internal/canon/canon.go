// Package canon is the canonical binary encoding that everything hashed or
// signed in Bonded uses: one value has one spelling, and a decoder refuses
// every other. It knows no formats; those are in package verify and wire.
//
// Integers are unsigned LEB128 in the fewest bytes; byte strings and lists are
// preceded by their length; fixed-size values stand as they are.
package canon

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// ErrMalformed is returned by [Reader.Done] for any input that no [Writer]
// made: truncated, trailing bytes, a longer spelling of a number, a length
// over its limit, or text that is not UTF-8.
var ErrMalformed = errors.New("malformed encoding")

// A Writer appends values to a buffer. The zero Writer is ready to use.
type Writer struct{ B []byte }

// Byte appends one byte.
func (w *Writer) Byte(b byte) { w.B = append(w.B, b) }

// Bool appends 1 for true and 0 for false.
func (w *Writer) Bool(b bool) {
	if b {
		w.B = append(w.B, 1)
		return
	}
	w.B = append(w.B, 0)
}

// Uint appends v as LEB128.
func (w *Writer) Uint(v uint64) { w.B = binary.AppendUvarint(w.B, v) }

// Fixed appends b as it is: the reader knows its length.
func (w *Writer) Fixed(b []byte) { w.B = append(w.B, b...) }

// Bytes appends the length of b and b.
func (w *Writer) Bytes(b []byte) {
	w.Uint(uint64(len(b)))
	w.B = append(w.B, b...)
}

// String appends the length of s in bytes and s.
func (w *Writer) String(s string) {
	w.Uint(uint64(len(s)))
	w.B = append(w.B, s...)
}

// Strings appends the number of strings and each of them.
func (w *Writer) Strings(ss []string) {
	w.Uint(uint64(len(ss)))
	for _, s := range ss {
		w.String(s)
	}
}

// A Reader takes values off the front of a buffer. After the first value that
// does not decode it returns zero values; ask [Reader.Done] at the end.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader returns a Reader of b. Byte strings it returns alias b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Fail marks the input as malformed, for checks the caller makes itself.
func (r *Reader) Fail() { r.bad = true }

// Bad reports whether something did not decode so far.
func (r *Reader) Bad() bool { return r.bad }

// Done returns [ErrMalformed] unless everything decoded and nothing is left.
func (r *Reader) Done() error {
	if r.bad || len(r.b) != 0 {
		return ErrMalformed
	}
	return nil
}

// Rest takes all that is left.
func (r *Reader) Rest() []byte {
	b := r.b
	r.b = nil
	return b
}

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.b) }

// Byte takes one byte.
func (r *Reader) Byte() byte {
	if r.bad || len(r.b) == 0 {
		r.bad = true
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

// Bool takes one byte that must be 0 or 1.
func (r *Reader) Bool() bool {
	b := r.Byte()
	if b > 1 {
		r.bad = true
	}
	return b == 1
}

// Uint takes one LEB128 integer in its shortest spelling.
func (r *Reader) Uint() uint64 {
	if r.bad {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count takes a length that may be at most limit.
func (r *Reader) Count(limit int) int {
	n := r.Uint()
	if n > uint64(limit) { //nolint:gosec // limit is a positive constant of the caller
		r.bad = true
		return 0
	}
	return int(n) //nolint:gosec // n <= limit
}

// Fixed fills dst.
func (r *Reader) Fixed(dst []byte) {
	if r.bad || len(r.b) < len(dst) {
		r.bad = true
		return
	}
	copy(dst, r.b)
	r.b = r.b[len(dst):]
}

// Bytes takes a byte string of at most limit bytes.
func (r *Reader) Bytes(limit int) []byte {
	n := r.Count(limit)
	if r.bad || len(r.b) < n {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// String takes UTF-8 text of at most limit bytes.
func (r *Reader) String(limit int) string {
	b := r.Bytes(limit)
	if !utf8.Valid(b) {
		r.bad = true
		return ""
	}
	return string(b)
}

// Strings takes at most count strings of at most limit bytes each.
func (r *Reader) Strings(count, limit int) []string {
	n := r.Count(count)
	if n == 0 || r.bad {
		return nil
	}
	ss := make([]string, 0, min(n, 64))
	for range n {
		ss = append(ss, r.String(limit))
		if r.bad {
			return nil
		}
	}
	return ss
}

// LP returns the length-prefixed concatenation of parts: each part preceded by
// its length in bytes as a 64-bit big-endian integer. It is injective, so
// hashing it separates domains.
func LP(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += 8 + len(p)
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

// U64 returns v as 8 big-endian bytes, for [LP].
func U64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
