package verify

import (
	"crypto/sha256"

	"bonded"
	"bonded/internal/canon"
)

// EnvelopeLabel returns what a quorum envelope is bound to:
//
//	lp("bonded/envelope/1", cell, collection, record, release key)
//
// It names no version, so that the envelope stays good when the record is
// sealed anew around it: the envelope itself tells versions apart, see
// [EnvelopeVersion], and a scope names it by its hash.
func EnvelopeLabel(cell bonded.CellID, collection string, record bonded.ID, releaseKey [32]byte) []byte {
	return canon.LP([]byte("bonded/envelope/1"), []byte(cell), []byte(collection), record[:], releaseKey[:])
}

// EnvelopeHash returns the hash by which a [ScopeItem] names an envelope:
// SHA-256 of its bytes.
func EnvelopeHash(envelope []byte) [32]byte { return sha256.Sum256(envelope) }

// EnvelopeVersion returns the version id in the context of the inner seal of
// quorum fields: the first 16 bytes of the envelope's hash. The outer seal has
// the version id of the [ScopeField].
func EnvelopeVersion(hash [32]byte) bonded.ID { return bonded.ID(hash[:bonded.IDSize]) }
