package vault

import (
	"bytes"
	"fmt"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/quorum"
	"bonded/internal/seal"
	"bonded/verify"
)

// maxQuorumValue is the most bytes of a value that is sealed twice.
const maxQuorumValue = apitype.MaxField - seal.Overhead

// ruleQuorum is the id of the refusal to open quorum fields in a daily way.
const ruleQuorum = "custody.quorum"

// opensDaily reports whether an operation shows values without a case.
func opensDaily(op verify.Operation) bool {
	return op == verify.OpRead || op == verify.OpMask || op == verify.OpTokenRead || op == verify.OpExport
}

func needsQuorum(what string) error {
	return &bonded.Error{
		Code: bonded.CodeForbidden, Message: what + " is in custody of a quorum and opens in no daily read", Rules: []string{ruleQuorum},
		Hint: "leave the field out; only a case of the front door opens it",
	}
}

// A quorumSeal seals the quorum fields of one written record under a fresh key,
// which nobody keeps: it is in the envelope alone.
type quorumSeal struct {
	key      quorum.Key
	envelope []byte
	version  bonded.ID // in the context of the inner seal
}

// newQuorumSeal returns the seal of a record that is being written. The caller
// wipes it.
func (v *Vault) newQuorumSeal(c *Collection, r *Record) (*quorumSeal, error) {
	k := v.custody.Load()
	if k == nil {
		return nil, noCustodians()
	}
	key, env, err := k.encryptor.NewEnvelope(verify.EnvelopeLabel(v.cfg.Cell, c.Name, r.ID, k.keySet.ReleaseKey()))
	if err != nil {
		return nil, fmt.Errorf("make quorum envelope: %w", err)
	}
	b := env.Bytes()
	return &quorumSeal{key, b, verify.EnvelopeVersion(verify.EnvelopeHash(b))}, nil
}

// inner seals a value for the quorum. What it returns is sealed once more under
// the two locks.
func (q *quorumSeal) inner(v *Vault, c *Collection, r *Record, f *Field, value []byte) ([]byte, error) {
	raw := q.key.Field(f.Name)
	defer clear(raw)
	key, err := seal.KeyFromBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("take quorum key: %w", err)
	}
	defer key.Wipe()
	return key.Seal(v.cfg.Suite, value, v.context(c, r, f, q.version))
}

func (q *quorumSeal) wipe() {
	if q != nil {
		q.key.Wipe()
	}
}

func noCustodians() error {
	return &bonded.Error{
		Code: bonded.CodeConfig, Field: "custody", Message: "the cell has no custodians yet: nothing can be put in custody of a quorum",
		Hint: "hold the ceremony of the custodians first, then start with this schema",
	}
}

// formatQuorum is the format version of records with quorum fields: the
// envelopes stand before the fields, each once.
const formatQuorum = 2

// maxEnvelope bounds an envelope at rest, in bytes.
const maxEnvelope = 4096

// envelopesOf returns the envelopes of fields, each once, in the order of first
// use; nil for records without quorum fields.
func envelopesOf(fields []StoredField) [][]byte {
	var all [][]byte
	for i := range fields {
		if e := fields[i].Envelope; e != nil && place(all, e) == 0 {
			all = append(all, e)
		}
	}
	return all
}

// place returns the place of e in all, from 1; 0 if it is not there.
func place(all [][]byte, e []byte) int {
	for i := range all {
		if bytes.Equal(all[i], e) {
			return i + 1
		}
	}
	return 0
}

func encodeQuorumFields(fields []StoredField, envelopes [][]byte) []byte {
	var w canon.Writer
	w.Byte(formatQuorum)
	w.Uint(uint64(len(envelopes)))
	for _, e := range envelopes {
		w.Bytes(e)
	}
	w.Uint(uint64(len(fields)))
	for i := range fields {
		fields[i].encode(&w)
		w.Uint(uint64(place(envelopes, fields[i].Envelope))) //nolint:gosec // not negative
	}
	return w.B
}

func decodeQuorumFields(b []byte) ([]StoredField, error) {
	r := canon.NewReader(b)
	_ = r.Byte()
	var envelopes [][]byte
	for range r.Count(MaxFields) {
		e := r.Bytes(maxEnvelope)
		if len(e) == 0 || r.Bad() {
			r.Fail()
			break
		}
		envelopes = append(envelopes, e)
	}
	var fields []StoredField
	for range r.Count(MaxFields) {
		f := decodeField(r)
		if n := r.Count(len(envelopes)); n > 0 && !r.Bad() {
			f.Envelope = envelopes[n-1]
		}
		if r.Bad() {
			break
		}
		fields = append(fields, f)
	}
	if r.Done() != nil || !sameEnvelopes(envelopes, envelopesOf(fields)) { // one spelling
		return nil, altered(r.Done())
	}
	return fields, nil
}

func sameEnvelopes(a, b [][]byte) bool {
	if len(a) != len(b) || len(a) == 0 {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
