package wire

import (
	"crypto/sha256"

	"bonded"
	"bonded/internal/canon"
)

// MaxSession is how long a session lives at most, in seconds.
const MaxSession = 3600

// An OpenSession is a principal's request for a session, relayed by the vault,
// which can read nothing of it: Blob is the random 32-byte MAC key sealed with
// HPKE to the keyholder's public key, info = grant id, aad = challenge.
type OpenSession struct {
	Grant     string
	Challenge [32]byte
	Blob      []byte
	Sig       [64]byte // Ed25519 of the grant key over Message
}

// Message returns the signed bytes:
// lp("bonded/session/1", cell, grant id, challenge, blob).
func (s *OpenSession) Message(cell bonded.CellID) []byte {
	return canon.LP([]byte("bonded/session/1"), []byte(cell), []byte(s.Grant), s.Challenge[:], s.Blob)
}

// ID returns the session id: SHA-256 of [OpenSession.Message].
func (s *OpenSession) ID(cell bonded.CellID) [32]byte { return sha256.Sum256(s.Message(cell)) }

// Encode returns the bytes of s.
func (s *OpenSession) Encode() []byte {
	var w canon.Writer
	w.String(s.Grant)
	w.Fixed(s.Challenge[:])
	w.Bytes(s.Blob)
	w.Fixed(s.Sig[:])
	return w.B
}

// DecodeOpenSession reads what [OpenSession.Encode] wrote.
func DecodeOpenSession(b []byte) (*OpenSession, error) {
	r := canon.NewReader(b)
	s := &OpenSession{Grant: r.String(512)}
	r.Fixed(s.Challenge[:])
	s.Blob = append([]byte(nil), r.Bytes(4096)...)
	r.Fixed(s.Sig[:])
	return s, r.Done()
}

// A Session answers [OpenSession].
type Session struct {
	ID      [32]byte
	Expires uint64 // seconds since 1970-01-01 UTC
}

// Encode returns the bytes of s.
func (s *Session) Encode() []byte {
	var w canon.Writer
	w.Fixed(s.ID[:])
	w.Uint(s.Expires)
	return w.B
}

// DecodeSession reads what [Session.Encode] wrote.
func DecodeSession(b []byte) (*Session, error) {
	r := canon.NewReader(b)
	s := new(Session)
	r.Fixed(s.ID[:])
	s.Expires = r.Uint()
	return s, r.Done()
}
