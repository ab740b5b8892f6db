package apitype

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"bonded"
	"bonded/internal/canon"
)

// A PersonProof says that a person made one call: their Ed25519 signature over
//
//	lp("bonded/person-call/1", cell, method, path with query, person, time, nonce, SHA-256(body))
//
// It is good for [MaxPersonAge] and once.
type PersonProof struct {
	Person    string // id in the register, or "custodian:" and an id
	Time      int64  // seconds since 1970-01-01 UTC
	Nonce     [16]byte
	Signature [ed25519.SignatureSize]byte
}

func (p *PersonProof) message(cell bonded.CellID, method, path string, body []byte) []byte {
	h := sha256.Sum256(body)
	return canon.LP([]byte("bonded/person-call/1"), []byte(cell), []byte(method), []byte(path), []byte(p.Person),
		canon.U64(uint64(p.Time)), p.Nonce[:], h[:]) //nolint:gosec // checked by who reads it
}

// Sign makes the proof of a call at a time.
func (p *PersonProof) Sign(key ed25519.PrivateKey, cell bonded.CellID, method, path string, body []byte) {
	copy(p.Signature[:], ed25519.Sign(key, p.message(cell, method, path, body)))
}

// Fresh reports whether p was made at about now.
func (p *PersonProof) Fresh(now time.Time) bool {
	age := now.Sub(time.Unix(p.Time, 0))
	return age < MaxPersonAge && age > -MaxPersonAge
}

// Check reports whether p is of this call and by key, and fresh at now.
func (p *PersonProof) Check(key ed25519.PublicKey, cell bonded.CellID, method, path string, body []byte, now time.Time) bool {
	return len(key) == ed25519.PublicKeySize && p.Fresh(now) &&
		ed25519.Verify(key, p.message(cell, method, path, body), p.Signature[:])
}

// Format returns the value of the header [HeaderPerson]:
// person;time;nonce in hexadecimal;signature in base64.
func (p *PersonProof) Format() string {
	return p.Person + ";" + strconv.FormatInt(p.Time, 10) + ";" + hex.EncodeToString(p.Nonce[:]) + ";" + base64.StdEncoding.EncodeToString(p.Signature[:])
}

// ParsePersonProof reads what [PersonProof.Format] wrote and refuses every
// other spelling with code unauthenticated.
func ParsePersonProof(s string) (*PersonProof, error) {
	bad := &bonded.Error{
		Code: bonded.CodeUnauthenticated, Field: HeaderPerson, Message: "the header that proves the person is malformed",
		Hint: "<person>;<unix time>;<nonce, 32 hexadecimal digits>;<signature in base64>",
	}
	f := strings.Split(s, ";")
	if len(f) != 4 || f[0] == "" || len(f[0]) > 128 || len(f[2]) != 32 || len(f[3]) != 88 {
		return nil, bad
	}
	p := &PersonProof{Person: f[0]}
	t, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil || t < 0 || strconv.FormatInt(t, 10) != f[1] || !lowerHex(p.Nonce[:], f[2]) {
		return nil, bad
	}
	p.Time = t
	sig, err := base64.StdEncoding.Strict().DecodeString(f[3])
	if err != nil || len(sig) != len(p.Signature) {
		return nil, bad
	}
	copy(p.Signature[:], sig)
	return p, nil
}
