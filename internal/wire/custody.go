package wire

import (
	"bonded/internal/canon"
	"bonded/verify"
)

// Limits of a [Custody].
const (
	MaxEpochs       = 256
	maxCertificate  = 1 << 20
	maxCeremonyText = 64 << 10
)

// A Custody shows the custodians' key sets, oldest first and without a gap, as
// they were certified and entered in the ledger. Without links it asks which
// key set is in force.
type Custody struct{ Links []CustodyLink }

// A CustodyLink is one certified key set and where it stands in the ledger.
type CustodyLink struct {
	Certificate []byte // canonical
	Order       []byte // JSON of the [verify.Statement] with the [verify.CeremonyOrder] of a first ceremony; empty when resharing
	Opening     []byte // JSON of the [verify.CaseOpening] of its entry
	Proof       []byte // C2SP tlog-proof of that entry
}

// Encode returns the bytes of c.
func (c *Custody) Encode() []byte {
	var w canon.Writer
	w.Uint(uint64(len(c.Links)))
	for i := range c.Links {
		l := &c.Links[i]
		w.Bytes(l.Certificate)
		w.Bytes(l.Order)
		w.Bytes(l.Opening)
		w.Bytes(l.Proof)
	}
	return w.B
}

// DecodeCustody reads what [Custody.Encode] wrote. It checks the form alone.
func DecodeCustody(b []byte) (*Custody, error) {
	r := canon.NewReader(b)
	clone := func(limit int) []byte { return append([]byte(nil), r.Bytes(limit)...) }
	c := new(Custody)
	for range r.Count(MaxEpochs) {
		c.Links = append(c.Links, CustodyLink{clone(maxCertificate), clone(maxCeremonyText), clone(maxOpening), clone(verify.MaxTlogProofSize)})
		if r.Bad() {
			break
		}
	}
	return c, r.Done()
}

// A CustodyResult says which key set is in force: zero before the first.
type CustodyResult struct {
	Epoch  uint64
	KeySet [32]byte // digest
	Key    [32]byte // release key
}

// Encode returns the bytes of c.
func (c *CustodyResult) Encode() []byte {
	var w canon.Writer
	w.Uint(c.Epoch)
	w.Fixed(c.KeySet[:])
	w.Fixed(c.Key[:])
	return w.B
}

// DecodeCustodyResult reads what [CustodyResult.Encode] wrote.
func DecodeCustodyResult(b []byte) (*CustodyResult, error) {
	r := canon.NewReader(b)
	c := &CustodyResult{Epoch: r.Uint()}
	r.Fixed(c.KeySet[:])
	r.Fixed(c.Key[:])
	return c, r.Done()
}
