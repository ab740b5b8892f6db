package quorum

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"

	"bonded"
	"bonded/internal/canon"
)

// MaxCertificateSize is the most bytes of a [Certificate].
const MaxCertificateSize = MaxKeySetSize + 64<<10

// A Certificate is a key set with the word of everyone who made it: each member
// signed that it checked the transcript and holds a share that fits. When
// resharing, the old members that dealt signed as well, so that a certificate
// follows from the key set before it.
type Certificate struct {
	keySet     *KeySet
	transcript [32]byte
	signatures []seatSignature // members by role and index, then old members
}

type seatSignature struct {
	seat
	sig [signatureSize]byte
}

// certificate returns the confirmations, all of which hold.
func (b *board) certificate() *Certificate {
	c := &Certificate{keySet: b.keySet, transcript: b.transcript()}
	for _, s := range b.signers {
		raw := b.get(TypeConfirm, s).raw
		c.signatures = append(c.signatures, seatSignature{s, [signatureSize]byte(raw[len(raw)-signatureSize:])})
	}
	return c
}

// KeySet returns the key set. Trust it after [CheckCertificate].
func (c *Certificate) KeySet() *KeySet { return c.keySet }

// Transcript returns the digest of the deals that the key set came from.
func (c *Certificate) Transcript() [32]byte { return c.transcript }

// Digest names the certificate, for a leaf of the ledger.
func (c *Certificate) Digest() [32]byte {
	return sha256.Sum256(canon.LP([]byte("bonded/quorum/certificate/1"), c.Bytes()))
}

// Bytes returns the canonical encoding.
func (c *Certificate) Bytes() []byte {
	w := canon.Writer{B: []byte{1}}
	w.Bytes(c.keySet.encoded)
	w.Fixed(c.transcript[:])
	w.Uint(uint64(len(c.signatures)))
	for _, s := range c.signatures {
		w.Fixed(s.bytes())
		w.Fixed(s.sig[:])
	}
	return w.B
}

// ParseCertificate reads what [Certificate.Bytes] wrote. It checks the form;
// [CheckCertificate] checks the signatures.
func ParseCertificate(b []byte) (*Certificate, error) {
	if len(b) > MaxCertificateSize {
		return nil, malformed("certificate")
	}
	r := canon.NewReader(b)
	version := r.Byte()
	encoded := r.Bytes(MaxKeySetSize)
	if r.Bad() || version != 1 {
		return nil, malformed("certificate")
	}
	ks, err := ParseKeySet(encoded)
	if err != nil {
		return nil, err
	}
	c := &Certificate{keySet: ks}
	r.Fixed(c.transcript[:])
	for range r.Count(2 * MaxRoles * MaxMembers) {
		s := seatSignature{seat: seat{r.Byte(), r.Byte(), r.Byte()}}
		r.Fixed(s.sig[:])
		if n := len(c.signatures); n > 0 && c.signatures[n-1].compare(s.seat) >= 0 {
			r.Fail()
		}
		if r.Bad() {
			break
		}
		c.signatures = append(c.signatures, s)
	}
	if r.Done() != nil {
		return nil, malformed("certificate")
	}
	return c, nil
}

// CheckCertificate returns nil if c certifies its key set: every member signed
// it, and if it is not the first of its release key, it follows from previous,
// which the caller trusts already, and at least a threshold of the old members
// of each role signed it. previous is nil for the first. Errors have code
// [bonded.CodeProof].
func CheckCertificate(c *Certificate, previous *KeySet) error {
	ks := c.keySet
	// 1. The key set is the first, or keeps what the previous one says.
	if err := ks.follows(previous); err != nil {
		return err
	}
	// 2. Every signature holds.
	old := make([]int, len(ks.roles))
	members := 0
	for _, s := range c.signatures {
		key := ks.signer(previous, s.seat)
		if key == nil || !ed25519.Verify(key, signedBytes(confirmation(ks, c.transcript, s.seat)), s.sig[:]) {
			return notCertified("a signature is of nobody who may sign, or does not hold")
		}
		if s.part == partOld {
			old[s.role]++
		} else {
			members++
		}
	}
	// 3. There are enough of them. They ascend, so none counts twice.
	for i, r := range ks.roles {
		members -= len(r.Members)
		if previous != nil && old[i] < previous.roles[i].Threshold {
			return notCertified("too few old members of role " + r.Name + " signed")
		}
	}
	if members != 0 {
		return notCertified("not every member signed")
	}
	return nil
}

// follows reports whether ks may come after previous.
func (ks *KeySet) follows(previous *KeySet) error {
	if previous == nil {
		if ks.kind == KindReshare {
			return notCertified("the previous key set is needed to check a resharing")
		}
		return nil
	}
	if ks.kind != KindReshare || ks.previous != previous.digest || ks.cell != previous.cell ||
		ks.epoch != previous.epoch+1 || ks.dealt != previous.dealt || len(ks.roles) != len(previous.roles) {
		return notCertified("the key set does not follow from the previous one")
	}
	for i, r := range ks.roles {
		if o := previous.roles[i]; r.Name != o.Name || !r.commitments[0].Equal(o.commitments[0]) {
			return notCertified("the key of role " + o.Name + " changed")
		}
	}
	return nil
}

// signer returns the key of a seat that may sign for ks, or nil.
func (ks *KeySet) signer(previous *KeySet, s seat) ed25519.PublicKey {
	roles := ks.roles
	switch {
	case s.part == partMember:
	case s.part == partOld && previous != nil:
		roles = previous.roles
	default:
		return nil
	}
	if int(s.role) >= len(roles) || s.index < 1 || int(s.index) > len(roles[s.role].Members) {
		return nil
	}
	return roles[s.role].Members[s.index-1].Approval
}

// confirmation returns the signed bytes of a confirmation, as in a message.
func confirmation(ks *KeySet, transcript [32]byte, from seat) []byte {
	w := canon.Writer{B: []byte{1}}
	w.Fixed(ks.ceremony[:])
	w.Byte(byte(TypeConfirm))
	w.Fixed(from.bytes())
	w.Bytes(slices.Concat(transcript[:], ks.digest[:]))
	return w.B
}

func notCertified(why string) error {
	return &bonded.Error{
		Code:    bonded.CodeProof,
		Message: "key set is not certified: " + why,
		Hint:    "do not use it; fetch the certificate again, or hold a new ceremony",
	}
}
