package wire

import (
	"bonded/internal/canon"
	"bonded/verify"
)

// MaxControlFile bounds the grant file that goes with evidence, in bytes.
const MaxControlFile = 8 << 20

// maxWaiting bounds what a keyholder says to be waiting.
const maxWaiting = 16

// An Evidence shows the keyholder that the ledger announces something. It
// repeats what the evidence says, so that what is meant is plain before
// anything is checked.
type Evidence struct {
	Subject  verify.ControlSubject
	Number   uint64
	Evidence []byte // see [verify.ParseEvidence]
	File     []byte // the signed grant file; of a directory the approvals of its custodians, if there are any; empty for a policy
}

// Encode returns the bytes of e.
func (e *Evidence) Encode() []byte {
	var w canon.Writer
	w.String(string(e.Subject))
	w.Uint(e.Number)
	w.Bytes(e.Evidence)
	w.Bytes(e.File)
	return w.B
}

// DecodeEvidence reads what [Evidence.Encode] wrote.
func DecodeEvidence(b []byte) (*Evidence, error) {
	r := canon.NewReader(b)
	e := &Evidence{Subject: verify.ControlSubject(r.String(16)), Number: r.Uint()}
	e.Evidence = append([]byte(nil), r.Bytes(verify.MaxEvidenceSize)...)
	e.File = append([]byte(nil), r.Bytes(MaxControlFile)...)
	if !e.Subject.Valid() {
		r.Fail()
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return e, nil
}

// A Waiting is something announced that is not in force yet.
type Waiting struct {
	Subject verify.ControlSubject
	Number  uint64
	Index   uint64 // of the announcement in the ledger
	Until   uint64 // seconds since 1970-01-01 UTC: it takes effect once a checkpoint was witnessed then
}

func (v *Waiting) encode(w *canon.Writer) {
	w.String(string(v.Subject))
	w.Uint(v.Number)
	w.Uint(v.Index)
	w.Uint(v.Until)
}

func decodeWaiting(r *canon.Reader) Waiting {
	v := Waiting{Subject: verify.ControlSubject(r.String(16)), Number: r.Uint(), Index: r.Uint(), Until: r.Uint()}
	if !v.Subject.Valid() {
		r.Fail()
	}
	return v
}

// An EvidenceResult answers an [Evidence]: what was announced is in force, or
// waits.
type EvidenceResult struct {
	InForce bool
	Waiting Waiting // zero but for subject and number when in force
}

// Encode returns the bytes of e.
func (e *EvidenceResult) Encode() []byte {
	var w canon.Writer
	w.Bool(e.InForce)
	e.Waiting.encode(&w)
	return w.B
}

// DecodeEvidenceResult reads what [EvidenceResult.Encode] wrote.
func DecodeEvidenceResult(b []byte) (*EvidenceResult, error) {
	r := canon.NewReader(b)
	e := &EvidenceResult{InForce: r.Bool(), Waiting: decodeWaiting(r)}
	return e, r.Done()
}
