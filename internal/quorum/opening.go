package quorum

import (
	"crypto/sha256"

	"bonded"
	"bonded/internal/canon"
)

// A Release says what an opening is for. Every partial is bound to all of it.
type Release struct {
	Request   bonded.ID  // of the case
	Leaf      [32]byte   // hash of the ledger leaf that lets it happen
	Recipient *Recipient // whose key it goes to
	Context   []byte     // that the recipient's proof is bound to
}

// An Opening checks and combines partials of one release under one key set. It
// keeps nothing of what passes through: a case of any size takes the same
// memory. It may be used by several goroutines.
type Opening struct {
	ks      *KeySet
	release Release
}

// NewOpening returns an Opening. It returns an error with code
// [bonded.CodeProof] if the recipient does not prove its key, and
// [bonded.CodeInvalid] if the release is incomplete.
func NewOpening(ks *KeySet, release Release) (*Opening, error) {
	if release.Request.IsZero() || release.Leaf == [32]byte{} || release.Recipient == nil {
		return nil, invalid("release names no request, no ledger leaf or no recipient")
	}
	if err := release.Recipient.Check(release.Context); err != nil {
		return nil, err
	}
	return &Opening{ks, release}, nil
}

// binding is the digest of all that a partial of the envelope is for.
func (o *Opening) binding(e *Envelope, label []byte) [32]byte {
	envelope, recipient := e.Digest(label), o.release.Recipient.Key()
	return sha256.Sum256(canon.LP([]byte("bonded/quorum/release/1"),
		o.ks.digest[:], o.release.Request[:], o.release.Leaf[:], recipient[:], envelope[:]))
}

// session is the one of a partial's proof.
func session(role string, epoch uint64, index uint8, binding [32]byte) []byte {
	return canon.LP([]byte("bonded/quorum/partial/1"), []byte(role), canon.U64(epoch), canon.U64(uint64(index)), binding[:])
}

// checkEnvelope checks that the key set can open the envelope, and that it holds.
func (o *Opening) checkEnvelope(e *Envelope, label []byte) error {
	if !e.release.Equal(o.ks.release) {
		return invalid("envelope is under another release key than the key set's")
	}
	return e.Check(label)
}
