package quorum

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"bonded"
	"bonded/internal/quorum/internal/group"
	"bonded/internal/quorum/internal/reencrypt"
)

// CombinedSize is the length of an encoded [Combined] in bytes.
const CombinedSize = 1 + 2*group.Size

// A Combined is what a quorum made of one envelope: its shared point encrypted
// under the recipient's key. It is public.
type Combined struct{ c1, c2 group.Point }

// Verify returns nil if p is the partial of the custodian it names, for this
// release and this envelope. Errors:
//   - [bonded.CodeStaleShare]: it is of another epoch;
//   - [bonded.CodeInvalid]: there is no such custodian, or it is for another
//     request, recipient, ledger leaf, key set or envelope, which whoever
//     carried it may have done;
//   - [bonded.CodeAtFault]: the proof does not hold, so that this is not a partial
//     of the custodian it names. If the custodian signed it, it lied;
//   - [bonded.CodeAltered]: the envelope does not hold.
func (o *Opening) Verify(p *Partial, e *Envelope, label []byte) error {
	if err := o.checkEnvelope(e, label); err != nil {
		return err
	}
	return o.verify(p, e, o.binding(e, label))
}

func (o *Opening) verify(p *Partial, e *Envelope, binding [32]byte) error {
	role := o.ks.role(p.Role)
	switch {
	case role == nil || p.Index < 1 || p.Index > len(role.Members):
		if role != nil && p.Epoch != o.ks.epoch {
			return stale("partial", p.Epoch, o.ks.epoch)
		}
		return invalid("partial names role %q and index %d, which the key set does not have", p.Role, p.Index)
	case p.Epoch != o.ks.epoch:
		return stale("partial", p.Epoch, o.ks.epoch)
	case p.Request != o.release.Request:
		return invalid("partial of role %q, index %d is for another request", p.Role, p.Index)
	case p.binding != binding:
		return invalid("partial of role %q, index %d is for another recipient, ledger leaf, key set or envelope", p.Role, p.Index)
	}
	index := uint8(p.Index) //nolint:gosec // at most MaxMembers
	if !reencrypt.Verify(session(p.Role, p.Epoch, index, binding), role.verification[index-1], e.u, o.release.Recipient.point, p.factor) {
		return &bonded.Error{
			Code:    bonded.CodeAtFault,
			Message: fmt.Sprintf("partial of custodian %q (role %q, index %d) does not prove that it was made with its share", role.Members[index-1].ID, p.Role, p.Index),
			Field:   p.Role,
			Hint:    "leave it out and ask another custodian; keep it as evidence",
		}
	}
	return nil
}

// Combine verifies every partial and combines a quorum of each role. Errors are
// those of [Opening.Verify], all of them joined, and besides
// [bonded.CodeInvalid] if a custodian is there twice and
// [bonded.CodeBelowQuorum] if a role has too few. More than enough are allowed;
// all must hold.
func (o *Opening) Combine(e *Envelope, label []byte, partials []*Partial) (*Combined, error) {
	// 1. The envelope holds, and so does each partial: a lying custodian is
	// named before anything is combined.
	if err := o.checkEnvelope(e, label); err != nil {
		return nil, err
	}
	binding := o.binding(e, label)
	var errs []error
	for _, p := range partials {
		if err := o.verify(p, e, binding); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return o.combine(partials)
}

// combine adds up verified partials.
func (o *Opening) combine(partials []*Partial) (*Combined, error) {
	c1, c2 := group.Identity(), group.Identity()
	// 2. Every role, and of each the first of its quorum.
	for _, role := range o.ks.roles {
		var of []*Partial
		for _, p := range partials {
			if p.Role != role.Name {
				continue
			}
			if slices.ContainsFunc(of, func(q *Partial) bool { return q.Index == p.Index }) {
				return nil, invalid("custodian of role %q, index %d is there twice", p.Role, p.Index)
			}
			of = append(of, p)
		}
		if len(of) < role.Threshold {
			return nil, &bonded.Error{
				Code:    bonded.CodeBelowQuorum,
				Message: fmt.Sprintf("role %q has %d partials and needs %d", role.Name, len(of), role.Threshold),
				Field:   role.Name,
				Hint:    "wait for the other custodians",
			}
		}
		// 3. Interpolation at 0, in the exponent: the key itself never exists.
		of = of[:role.Threshold]
		indices := make([]uint8, len(of))
		for i, p := range of {
			indices[i] = uint8(p.Index) //nolint:gosec // at most MaxMembers
		}
		for i, l := range group.Lagrange(indices) {
			a, b := of[i].factor.C1, of[i].factor.C2
			if len(of) > 1 {
				a, b = a.Mul(l), b.Mul(l)
			}
			c1, c2 = c1.Add(a), c2.Add(b)
		}
	}
	if c1.IsIdentity() || c2.IsIdentity() {
		return nil, invalid("partials add up to the identity: ask for new ones")
	}
	return &Combined{c1, c2}, nil
}

// A Bundle is one envelope with its partials.
type Bundle struct {
	Item
	Partials []*Partial
}

// CombineAll yields the combination of each bundle in turn. An error is of that
// bundle alone: the others go on. Memory does not grow with their number.
func (o *Opening) CombineAll(bundles iter.Seq[Bundle]) iter.Seq2[*Combined, error] {
	return func(yield func(*Combined, error) bool) {
		for b := range bundles {
			if !yield(o.Combine(b.Envelope, b.Label, b.Partials)) {
				return
			}
		}
	}
}

// VerifyPartial is [NewOpening] and [Opening.Verify] for a single partial.
func VerifyPartial(ks *KeySet, release Release, e *Envelope, label []byte, p *Partial) error {
	o, err := NewOpening(ks, release)
	if err != nil {
		return err
	}
	return o.Verify(p, e, label)
}

// Combine is [NewOpening] and [Opening.Combine] for a single envelope.
func Combine(ks *KeySet, release Release, e *Envelope, label []byte, partials []*Partial) (*Combined, error) {
	o, err := NewOpening(ks, release)
	if err != nil {
		return nil, err
	}
	return o.Combine(e, label, partials)
}

// Open returns the key in the envelope. It returns an error with code
// [bonded.CodeAltered] if the envelope or the combination does not hold, or the
// combination is for another recipient or envelope: which of them does not show.
func (k RecipientKey) Open(e *Envelope, label []byte, c *Combined) (Key, error) {
	if !k.Valid() {
		return Key{}, invalid("recipient key is empty or erased")
	}
	if err := e.Check(label); err != nil {
		return Key{}, err
	}
	key, ok := e.open(c.c2.Sub(c.c1.Mul(k.key())), label)
	if !ok {
		return Key{}, &bonded.Error{
			Code:    bonded.CodeAltered,
			Message: "combination does not open the envelope: altered, below quorum, or for another recipient or envelope",
			Hint:    "verify the partials and combine them again",
		}
	}
	return key, nil
}

// Bytes returns the canonical encoding, [CombinedSize] bytes.
func (c *Combined) Bytes() []byte { return c.c2.Append(c.c1.Append([]byte{1})) }

// ParseCombined reads what [Combined.Bytes] wrote.
func ParseCombined(b []byte) (*Combined, error) {
	if len(b) != CombinedSize || b[0] != 1 {
		return nil, malformed("combination")
	}
	points, ok := parseCommitments(b[1:], 2)
	if !ok {
		return nil, malformed("combination")
	}
	return &Combined{points[0], points[1]}, nil
}
