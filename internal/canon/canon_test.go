package canon_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"bonded/internal/canon"
)

func TestReaderTakesWhatWriterMade(t *testing.T) {
	var w canon.Writer
	w.Byte(7)
	w.Bool(true)
	w.Bool(false)
	for _, v := range []uint64{0, 1, 127, 128, 300, 1 << 32, math.MaxUint64} {
		w.Uint(v)
	}
	w.Fixed([]byte{1, 2})
	w.Bytes([]byte("abc"))
	w.String("Zoë 北京")
	w.Strings([]string{"a", ""})
	w.Strings(nil)

	r := canon.NewReader(w.B)
	if r.Byte() != 7 || !r.Bool() || r.Bool() {
		t.Error("byte or bools")
	}
	for _, v := range []uint64{0, 1, 127, 128, 300, 1 << 32, math.MaxUint64} {
		if got := r.Uint(); got != v {
			t.Errorf("got %d, want %d", got, v)
		}
	}
	var two [2]byte
	r.Fixed(two[:])
	if two != [2]byte{1, 2} || string(r.Bytes(3)) != "abc" || r.String(64) != "Zoë 北京" || !slices.Equal(r.Strings(2, 1), []string{"a", ""}) || r.Strings(2, 1) != nil {
		t.Error("strings")
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
}

func TestReaderRefusesOtherSpellings(t *testing.T) {
	uint := func(r *canon.Reader) { r.Uint() }
	for _, c := range []struct {
		name, hex string
		read      func(*canon.Reader)
	}{
		{"nothing", "", uint},
		{"a cut integer", "80", uint},
		{"zero in two bytes", "8000", uint},
		{"127 in two bytes", "ff00", uint},
		{"more than 64 bits", "ffffffffffffffffff02", uint},
		{"eleven bytes", "8080808080808080808001", uint},
		{"a trailing byte", "0100", uint},
		{"a bool of 2", "02", func(r *canon.Reader) { r.Bool() }},
		{"a string over its limit", "0461626364", func(r *canon.Reader) { _ = r.String(3) }},
		{"a string cut off", "0361", func(r *canon.Reader) { _ = r.String(3) }},
		{"a string that is not UTF-8", "01ff", func(r *canon.Reader) { _ = r.String(3) }},
		{"a surrogate half", "03eda080", func(r *canon.Reader) { _ = r.String(3) }},
		{"too many strings", "0300", func(r *canon.Reader) { r.Strings(2, 1) }},
		{"a count cut off", "02", func(r *canon.Reader) { r.Strings(2, 1) }},
		{"a fixed value cut off", "01", func(r *canon.Reader) { r.Fixed(make([]byte, 2)) }},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		r := canon.NewReader(b)
		c.read(r)
		if r.Done() == nil {
			t.Errorf("%s was accepted", c.name)
		}
	}
}

func TestReaderStaysBad(t *testing.T) {
	r := canon.NewReader([]byte{2, 1, 1})
	r.Bool()
	if r.Byte() != 0 || r.Uint() != 0 || r.Bytes(9) != nil || r.Rest() == nil || r.Done() == nil {
		t.Error("values after a bad one")
	}
}

func TestLPIsInjective(t *testing.T) {
	seen := map[string]bool{}
	for _, parts := range [][][]byte{nil, {nil}, {nil, nil}, {[]byte("a"), []byte("b")}, {[]byte("ab")}, {[]byte("ab"), nil}, {nil, []byte("ab")}, {canon.U64(1)}} {
		b := string(canon.LP(parts...))
		if seen[b] {
			t.Errorf("two lists make %x", b)
		}
		seen[b] = true
	}
	if got := hex.EncodeToString(canon.LP([]byte("ab"), nil)); got != "000000000000000261620000000000000000" {
		t.Error(got)
	}
}

// Whatever a Reader accepts, a Writer makes again byte for byte.
func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 2, 0x80, 1, 1, 'a', 1, 1, 'b'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := canon.NewReader(b)
		var w canon.Writer
		w.Bool(r.Bool())
		w.Uint(r.Uint())
		w.Uint(r.Uint())
		w.Bytes(r.Bytes(64))
		w.Strings(r.Strings(4, 8))
		if r.Done() == nil && !bytes.Equal(w.B, b) {
			t.Fatalf("%x was read as %x", b, w.B)
		}
	})
}
