package wire

import (
	"crypto/hmac"
	"crypto/sha256"

	"bonded"
	"bonded/internal/canon"
	"bonded/verify"
)

// A Named is one thing as the client named it, in text: a subject and record,
// or a token, with the fields asked.
type Named struct {
	Subject string
	Record  string
	Token   string
	Fields  []string
}

func encodeNamed(w *canon.Writer, named []Named) {
	w.Uint(uint64(len(named)))
	for i := range named {
		w.String(named[i].Subject)
		w.String(named[i].Record)
		w.String(named[i].Token)
		w.Strings(named[i].Fields)
	}
}

func decodeNamed(r *canon.Reader) (named []Named) {
	for range r.Count(verify.MaxRowItems) {
		n := Named{Subject: r.String(64), Record: r.String(64), Token: r.String(64), Fields: r.Strings(verify.MaxRowFields, 64)}
		named = append(named, n)
		if r.Bad() {
			return nil
		}
	}
	return named
}

// NamedItems returns how a client names items by subject and record: what
// [Auth.Named] stands for when it is empty. A client cannot name the ids of
// what it creates.
func NamedItems(cell bonded.CellID, items []Item) []Named {
	named := make([]Named, len(items))
	for i := range items {
		if !items[i].Subject.IsZero() && !items[i].Create {
			named[i].Subject = bonded.SubjectID{Cell: cell, ID: items[i].Subject}.String()
		}
		if !items[i].Record.IsZero() && !items[i].Create {
			named[i].Record = bonded.RecordID{Cell: cell, ID: items[i].Record}.String()
		}
		for _, f := range items[i].Fields {
			named[i].Fields = append(named[i].Fields, f.Name)
		}
	}
	return named
}

// A Request is what a principal proves that it asks.
type Request struct {
	Cell       bonded.CellID
	Operation  verify.Operation
	Collection string
	Purpose    bonded.Purpose
	Reason     string
	Basis      string
	Named      []Named
	Body       [32]byte // SHA-256(nonce ‖ body) for writes and searches, else zero
}

// Digest returns the request digest: SHA-256 of the canonical bytes of r
// after "bonded/request/1".
func (r *Request) Digest() [32]byte {
	w := canon.Writer{B: make([]byte, 0, 256)}
	w.Fixed([]byte("bonded/request/1"))
	w.String(string(r.Cell))
	w.Byte(byte(r.Operation))
	w.String(r.Collection)
	w.String(string(r.Purpose))
	w.String(r.Reason)
	w.String(r.Basis)
	encodeNamed(&w, r.Named)
	w.Fixed(r.Body[:])
	return sha256.Sum256(w.B)
}

// BodyDigest returns SHA-256(nonce ‖ body) for [Request.Body].
func BodyDigest(nonce [16]byte, body []byte) [32]byte {
	h := sha256.New()
	h.Write(nonce[:])
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// CounterWindow is how far behind the highest counter of its session a proof
// may be, so that concurrent requests can overtake one another.
const CounterWindow = 4096

// A Proof shows that the holder of a session asked for exactly this.
type Proof struct {
	Session [32]byte
	Counter uint64 // from 1; each is accepted once
	MAC     [32]byte
}

func (p *Proof) encode(w *canon.Writer) {
	w.Fixed(p.Session[:])
	w.Uint(p.Counter)
	w.Fixed(p.MAC[:])
}

func (p *Proof) decode(r *canon.Reader) {
	r.Fixed(p.Session[:])
	p.Counter = r.Uint()
	r.Fixed(p.MAC[:])
}

// MakeProof returns the proof of a request under the MAC key of a session:
// HMAC-SHA-256(key, lp("bonded/req/1", session id, counter, request digest)).
func MakeProof(key [32]byte, session [32]byte, counter uint64, digest [32]byte) Proof {
	m := hmac.New(sha256.New, key[:])
	m.Write(canon.LP([]byte("bonded/req/1"), session[:], canon.U64(counter), digest[:]))
	return Proof{session, counter, [32]byte(m.Sum(nil))}
}

// Check reports, in constant time, whether p proves the request digest.
func (p *Proof) Check(key [32]byte, digest [32]byte) bool {
	want := MakeProof(key, p.Session, p.Counter, digest)
	return hmac.Equal(want.MAC[:], p.MAC[:])
}
