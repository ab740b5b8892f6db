package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"bonded/verify"
)

// The head of a row without items is all its bytes, so that its leaf can be
// computed with package hmac.
func TestRowLeafIsHMACForEveryLengthOfHead(t *testing.T) {
	var salt verify.Salt
	for i := range salt {
		salt[i] = byte(i * 7)
	}
	none := sha256.Sum256(nil)
	head := salt.HeadSalt()
	sum := func(key []byte, parts ...[]byte) [32]byte {
		m := hmac.New(sha256.New, key)
		for _, p := range parts {
			m.Write(p)
		}
		return [32]byte(m.Sum(nil))
	}
	if want := sum(salt[:], []byte("bonded/row-head/1"), make([]byte, 4)); head != want {
		t.Errorf("head salt %x, want %x", head, want)
	}
	for n := range 600 {
		r := &verify.Row{Cell: "eu", Reason: strings.Repeat("r", n%256), Rules: []string{strings.Repeat("x", n)}}
		if got, want := verify.RowLeaf(r, salt), sum(head[:], verify.EncodeRow(r), none[:]); got != want {
			t.Fatalf("with %d bytes of head: %x, want %x", len(verify.EncodeRow(r)), got, want)
		}
	}
}
