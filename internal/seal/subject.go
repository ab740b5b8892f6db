package seal

import (
	"fmt"
	"io"
	"log/slog"

	"bonded"
)

// A SubjectKey is the root of everything sealed about one person. It is made
// by the keyholder and never leaves it; destroying it erases the person. The
// zero SubjectKey is not valid.
type SubjectKey struct{ key Key }

// NewSubjectKey returns a fresh random key for one person.
func NewSubjectKey() SubjectKey { return SubjectKey{NewKey()} }

// Wrap seals the subject key for rest under version cellKeyVersion of the cell
// key. The result is 61 bytes and opens only for the same cell, person and
// version. The sealing key is derived for this one person and version, so one
// cell key wraps any number of subjects. Errors are [ErrKey] if either key is
// not valid, and an unknown suite.
func (sk SubjectKey) Wrap(suite Suite, cellKey Key, cell bonded.CellID, subject bonded.ID, cellKeyVersion uint32) ([]byte, error) {
	secret := sk.key.Bytes()
	if secret == nil {
		return nil, fmt.Errorf("wrap subject key: %w", ErrKey)
	}
	defer clear(secret)
	info := wrapInfo(suite, cell, subject, cellKeyVersion)
	kek := cellKey.derive(suite, info)
	defer kek.Wipe()
	wrapped, err := kek.sealBytes(suite, secret, info)
	if err != nil {
		return nil, fmt.Errorf("wrap subject key: %w", err)
	}
	return wrapped, nil
}

// UnwrapSubjectKey opens what [SubjectKey.Wrap] made with the same arguments.
// It returns [ErrOpen] in every other case.
func UnwrapSubjectKey(suite Suite, cellKey Key, cell bonded.CellID, subject bonded.ID, cellKeyVersion uint32, wrapped []byte) (SubjectKey, error) {
	if len(wrapped) != KeySize+Overhead || Suite(wrapped[0]) != suite {
		return SubjectKey{}, ErrOpen
	}
	info := wrapInfo(suite, cell, subject, cellKeyVersion)
	kek := cellKey.derive(suite, info)
	defer kek.Wipe()
	secret, err := kek.openBytes(nil, wrapped, info)
	if err != nil {
		return SubjectKey{}, ErrOpen
	}
	defer clear(secret)
	key, err := KeyFromBytes(secret)
	if err != nil {
		return SubjectKey{}, ErrOpen
	}
	return SubjectKey{key}, nil
}

// wrapInfo is both the info of the derivation and the additional data.
func wrapInfo(suite Suite, cell bonded.CellID, subject bonded.ID, cellKeyVersion uint32) []byte {
	b := appendPart(make([]byte, 0, 96), "bonded/wrap/1")
	b = appendPart(b, []byte{byte(suite)})
	b = appendPart(b, cell)
	b = appendPart(b, subject[:])
	return appendPart(b, uint32Part(cellKeyVersion))
}

// VersionKey returns the key of one version of one record:
//
//	HKDF-Expand(SK, lp("bonded/rv/1", cell, collection, record, version id), 32)
//
// If sk or suite is not valid, so is the result, and whatever is derived from
// it refuses to seal and to open.
func (sk SubjectKey) VersionKey(suite Suite, cell bonded.CellID, collection string, record, version bonded.ID) VersionKey {
	b := appendPart(make([]byte, 0, 160), "bonded/rv/1")
	b = appendPart(b, cell)
	b = appendPart(b, collection)
	b = appendPart(b, record[:])
	b = appendPart(b, version[:])
	return VersionKey{suite: suite, key: sk.key.derive(suite, b)}
}

// Valid reports whether sk can be used: it is neither zero nor wiped.
func (sk SubjectKey) Valid() bool { return sk.key.Valid() }

// Wipe overwrites the key in every copy of sk.
func (sk SubjectKey) Wipe() { sk.key.Wipe() }

// Format keeps keys out of messages, whatever the verb.
func (SubjectKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[subject key]") }

// LogValue keeps keys out of logs.
func (SubjectKey) LogValue() slog.Value { return slog.StringValue("[subject key]") }

// A VersionKey is the parent of the field keys of one version of one record.
// It never leaves the keyholder.
type VersionKey struct {
	suite Suite
	key   Key
}

// FieldKey returns the key that seals one field of this version:
//
//	HKDF-Expand(RVK, lp("bonded/f/1", field), 32)
//
// The result is not valid if the VersionKey is not.
func (vk VersionKey) FieldKey(field string) Key {
	b := appendPart(make([]byte, 0, 96), "bonded/f/1")
	return vk.key.derive(vk.suite, appendPart(b, field))
}

// Wipe overwrites the key in every copy of vk. Field keys taken from it stay.
func (vk VersionKey) Wipe() { vk.key.Wipe() }

// Format keeps keys out of messages, whatever the verb.
func (VersionKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[version key]") }

// LogValue keeps keys out of logs.
func (VersionKey) LogValue() slog.Value { return slog.StringValue("[version key]") }
