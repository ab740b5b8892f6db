package quorum

import (
	"iter"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum/internal/reencrypt"
)

// MaxPartialSize is the most bytes of a [Partial].
const MaxPartialSize = 1 + (1 + MaxName) + 10 + 1 + 16 + 32 + reencrypt.Size

// A Partial is one custodian's part of opening one envelope for one recipient:
// its share times the envelope's point, encrypted under the recipient's key,
// with a proof that anyone can check. It tells nothing to anybody else.
type Partial struct {
	Role    string
	Epoch   uint64
	Index   int // of the custodian in the role, from 1
	Request bonded.ID

	binding [32]byte // digest of key set, request, ledger leaf, recipient and envelope
	factor  reencrypt.Factor
}

// An Item is one envelope with its label.
type Item struct {
	Envelope *Envelope
	Label    []byte
}

// A Custodian makes partials of one release with one share. It may be used by
// several goroutines.
type Custodian struct {
	opening *Opening
	share   Share
}

// NewCustodian returns the Custodian of a share. Errors are those of
// [NewOpening] and [Share.Check]. The caller has made sure that the release is
// allowed: nothing here knows the ledger.
func NewCustodian(ks *KeySet, share Share, release Release) (*Custodian, error) {
	if err := share.Check(ks); err != nil {
		return nil, err
	}
	o, err := NewOpening(ks, release)
	if err != nil {
		return nil, err
	}
	return &Custodian{o, share}, nil
}

// Partial returns the custodian's partial of one envelope, once it has checked
// it: errors have code [bonded.CodeAltered] or [bonded.CodeInvalid].
func (c *Custodian) Partial(e *Envelope, label []byte) (*Partial, error) {
	if !c.share.Valid() {
		return nil, invalid("share is empty or erased")
	}
	if err := c.opening.checkEnvelope(e, label); err != nil {
		return nil, err
	}
	return c.partial(e, label), nil
}

// partial makes the partial of a checked envelope.
func (c *Custodian) partial(e *Envelope, label []byte) *Partial {
	s := c.share.body()
	role := c.opening.ks.roles[s.role]
	p := &Partial{
		Role: role.Name, Epoch: s.epoch, Index: int(s.index), Request: c.opening.release.Request,
		binding: c.opening.binding(e, label),
	}
	p.factor = reencrypt.Make(session(p.Role, p.Epoch, s.index, p.binding), s.x,
		role.verification[s.index-1], e.u, c.opening.release.Recipient.point)
	return p
}

// Partials yields the partial of each item in turn, and stops after the first
// error. Nothing is kept: memory does not grow with the number of items.
func (c *Custodian) Partials(items iter.Seq[Item]) iter.Seq2[*Partial, error] {
	return func(yield func(*Partial, error) bool) {
		for item := range items {
			p, err := c.Partial(item.Envelope, item.Label)
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// MakePartial is [NewCustodian] and [Custodian.Partial] for a single envelope.
func MakePartial(ks *KeySet, share Share, release Release, e *Envelope, label []byte) (*Partial, error) {
	c, err := NewCustodian(ks, share, release)
	if err != nil {
		return nil, err
	}
	return c.Partial(e, label)
}

// Bytes returns the canonical encoding.
func (p *Partial) Bytes() []byte {
	w := canon.Writer{B: make([]byte, 0, MaxPartialSize)}
	w.Byte(1)
	w.String(p.Role)
	w.Uint(p.Epoch)
	w.Byte(byte(p.Index)) //nolint:gosec // at most MaxMembers
	w.Fixed(p.Request[:])
	w.Fixed(p.binding[:])
	w.B = p.factor.Append(w.B)
	return w.B
}

// ParsePartial reads what [Partial.Bytes] wrote. It checks the form;
// [Opening.Verify] checks the proof.
func ParsePartial(b []byte) (*Partial, error) {
	if len(b) > MaxPartialSize {
		return nil, malformed("partial")
	}
	r := canon.NewReader(b)
	version := r.Byte()
	p := &Partial{Role: r.String(MaxName), Epoch: r.Uint(), Index: int(r.Byte())}
	r.Fixed(p.Request[:])
	r.Fixed(p.binding[:])
	factor, err := reencrypt.Parse(r.Rest())
	if err != nil || r.Done() != nil || version != 1 || !bonded.ValidName(p.Role) ||
		p.Epoch == 0 || p.Index == 0 || p.Index > MaxMembers {
		return nil, malformed("partial")
	}
	p.factor = factor
	return p, nil
}
