package apitype

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"bonded"
	"bonded/internal/wire"
)

// FormatProof returns the value of the Bonded-Proof header:
// session in hexadecimal; counter; MAC in base64; nonce of the body digest in
// hexadecimal, or nothing for calls whose body is not in the proof.
func FormatProof(p *wire.Proof, nonce *[16]byte) string {
	b := make([]byte, 0, 64+1+20+1+44+1+32)
	b = hex.AppendEncode(b, p.Session[:])
	b = append(b, ';')
	b = strconv.AppendUint(b, p.Counter, 10)
	b = append(b, ';')
	b = base64.StdEncoding.AppendEncode(b, p.MAC[:])
	b = append(b, ';')
	if nonce != nil {
		b = hex.AppendEncode(b, nonce[:])
	}
	return string(b)
}

// ParseProof reads what [FormatProof] wrote and refuses every other spelling
// with code bad_proof. The nonce is nil if there is none.
func ParseProof(s string) (*wire.Proof, *[16]byte, error) {
	bad := &bonded.Error{
		Code: bonded.CodeProof, Field: HeaderProof, Message: "the proof header is malformed",
		Hint: "<session, 64 hexadecimal digits>;<counter>;<MAC in base64>;<nonce, 32 hexadecimal digits, or nothing>",
	}
	session, rest, ok1 := strings.Cut(s, ";")
	counter, rest, ok2 := strings.Cut(rest, ";")
	mac, nonce, ok3 := strings.Cut(rest, ";")
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, bad
	}
	p := new(wire.Proof)
	n, err := strconv.ParseUint(counter, 10, 64)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != counter {
		return nil, nil, bad
	}
	p.Counter = n
	var m [34]byte // room for what 44 characters can hold
	if len(mac) != 44 || !lowerHex(p.Session[:], session) {
		return nil, nil, bad
	}
	if n, err := base64.StdEncoding.Strict().Decode(m[:], []byte(mac)); err != nil || n != len(p.MAC) {
		return nil, nil, bad
	}
	copy(p.MAC[:], m[:])
	if nonce == "" {
		return p, nil, nil
	}
	salt := new([16]byte)
	if !lowerHex(salt[:], nonce) {
		return nil, nil, bad
	}
	return p, salt, nil
}

// lowerHex decodes s, lower-case hexadecimal digits that fill dst exactly.
func lowerHex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}
