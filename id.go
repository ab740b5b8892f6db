package bonded

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// IDSize is the length of an [ID] in bytes.
const IDSize = 16

// An ID is 128 random bits. It is never derived from the value it stands for.
type ID [IDSize]byte

// NewID returns a fresh random ID.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return id
}

// IsZero reports whether id is the zero ID, which names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Hex returns id as 32 lower-case hexadecimal digits, for request ids and
// file names. References to stored things use the text forms below.
func (id ID) Hex() string { return hex.EncodeToString(id[:]) }

// ParseHexID reads what [ID.Hex] wrote. It returns an [Error] with code
// [CodeBadID] for any other spelling.
func ParseHexID(s string) (ID, error) {
	var id ID
	if len(s) != 2*IDSize || strings.ToLower(s) != s {
		return ID{}, &Error{Code: CodeBadID, Message: "id is not 32 lower-case hexadecimal digits"}
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, &Error{Code: CodeBadID, Message: "id is not 32 lower-case hexadecimal digits"}
	}
	return id, nil
}

// A CellID names one cell: a vault, its keyholder and its ledger in one
// jurisdiction, such as "cn" or "eu". Two to eight characters a–z and 0–9,
// beginning with a letter.
type CellID string

// Valid reports whether c has the form of a cell id. It does not say that
// such a cell exists; the directory does.
func (c CellID) Valid() bool {
	if len(c) < 2 || len(c) > 8 || c[0] < 'a' || c[0] > 'z' {
		return false
	}
	for i := range len(c) {
		if !(c[i] >= 'a' && c[i] <= 'z' || c[i] >= '0' && c[i] <= '9') {
			return false
		}
	}
	return true
}

// A Jurisdiction is an ISO 3166-1 alpha-2 country code in upper case, or "EU".
type Jurisdiction string

// Valid reports whether j has the form of a jurisdiction.
func (j Jurisdiction) Valid() bool {
	return len(j) == 2 && j[0] >= 'A' && j[0] <= 'Z' && j[1] >= 'A' && j[1] <= 'Z'
}

// A Purpose says what an opening is for, such as "support" or "fraud_check".
// Up to 64 characters a–z, 0–9, '_', '-' and '.', beginning with a letter.
type Purpose string

// Valid reports whether p has the form of a purpose.
func (p Purpose) Valid() bool { return validName(string(p), 64) }

// ValidName reports whether s can name a collection or a field: up to 64
// characters a–z, 0–9, '_', '-' and '.', beginning with a letter.
func ValidName(s string) bool { return validName(s, 64) }

func validName(s string, limit int) bool {
	if s == "" || len(s) > limit || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}
