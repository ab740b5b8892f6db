package verify

import (
	"bytes"

	"golang.org/x/mod/sumdb/tlog"

	"bonded/internal/canon"
)

const caseEscrowLabel = "bonded/case-escrow/1"

// A CaseEscrow is what opens a case leaf in full, the person aside. It is
// sealed to the keyholder and to the custodians of the independent role, so that
// the vault cannot keep an entry closed by losing it.
type CaseEscrow struct {
	Index  int64       // of the leaf in the ledger
	Leaf   []byte      // its [LeafSize] bytes
	Fields []LeafField // all of [CaseFields] but the last, which is the person
	Person tlog.Hash   // see [LeafField.Commitment]
}

// Encode returns the canonical bytes of e: label, index, leaf as it is,
// [EncodeFields] of the fields as a byte string, commitment of the person.
func (e *CaseEscrow) Encode() []byte {
	var w canon.Writer
	w.String(caseEscrowLabel)
	w.Uint(uint64(e.Index)) //nolint:gosec // never negative
	w.Fixed(e.Leaf)
	w.Bytes(EncodeFields(e.Fields))
	w.Fixed(e.Person[:])
	return w.B
}

// ParseCaseEscrow reads what [CaseEscrow.Encode] wrote and checks that it
// opens the leaf it holds. The error is a [Failure].
func ParseCaseEscrow(b []byte) (*CaseEscrow, error) {
	r := canon.NewReader(b)
	label, index := r.String(64), r.Uint()
	e := &CaseEscrow{Index: int64(index), Leaf: make([]byte, LeafSize)} //nolint:gosec // checked below
	r.Fixed(e.Leaf)
	fields := r.Bytes(1 << 16)
	r.Fixed(e.Person[:])
	if r.Done() != nil || label != caseEscrowLabel || index > maxTreeSize {
		return nil, Fail(FailMalformed, "not an escrowed case entry")
	}
	var err error
	if e.Fields, err = DecodeFields(fields); err != nil || len(e.Fields) != len(CaseFields)-1 || !bytes.Equal(EncodeFields(e.Fields), fields) {
		return nil, Fail(FailMalformed, "the fields of an escrowed case entry are not in the format")
	}
	for i := range e.Fields {
		if e.Fields[i].Name != CaseFields[i] {
			return nil, Fail(FailMalformed, "the fields of an escrowed case entry are not in their order")
		}
	}
	if _, err := e.Opening().Check(); err != nil {
		return nil, err
	}
	return e, nil
}

// Opening returns the opening that e holds.
func (e *CaseEscrow) Opening() *CaseOpening {
	o := OpenCase(e.Index, e.Leaf, e.Fields)
	o.Fields = append(o.Fields, OpeningField{Commitment: e.Person[:]})
	return o
}

// Commitment returns what stands for f in the tree of its leaf, and in an
// opening that keeps f closed: the RFC 6962 leaf hash of its commitment.
func (f *LeafField) Commitment() tlog.Hash { return f.commitment() }
