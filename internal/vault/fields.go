package vault

import (
	"bonded"
	"bonded/internal/canon"
	"bonded/internal/seal"
)

// A StoredField is one field of a record at rest.
type StoredField struct {
	Field   uint16    // stored number of the field
	Version bonded.ID // version id under which it was sealed
	Due     int64     // second at which retention ends it; 0 for never
	Index   []byte    // 16 bytes of the two-lock index value, or nil
	Sealed  []byte

	// Envelope is the quorum envelope of the key inside, nil in two-lock custody.
	// Fields written together share one.
	Envelope []byte
}

// EncodeFields returns the bytes of the fields of a record, kept together in
// one row: a read of one field costs one look-up, a write one row. Records with
// quorum fields have a format of their own.
func EncodeFields(fields []StoredField) []byte {
	if envelopes := envelopesOf(fields); len(envelopes) > 0 {
		return encodeQuorumFields(fields, envelopes)
	}
	n := 2
	for i := range fields {
		n += 48 + len(fields[i].Sealed)
	}
	w := canon.Writer{B: make([]byte, 0, n)}
	w.Byte(1) // format version
	w.Uint(uint64(len(fields)))
	for i := range fields {
		fields[i].encode(&w)
	}
	return w.B
}

func (f *StoredField) encode(w *canon.Writer) {
	w.Uint(uint64(f.Field))
	w.Fixed(f.Version[:])
	w.Uint(uint64(f.Due)) //nolint:gosec // never before 1970
	w.Bytes(f.Index)
	w.Bytes(f.Sealed)
}

// DecodeFields reads what [EncodeFields] wrote. The result aliases b. It
// returns an error for bytes that were altered into something malformed; what
// was altered otherwise does not open.
func DecodeFields(b []byte) ([]StoredField, error) {
	if len(b) > 0 && b[0] == formatQuorum {
		return decodeQuorumFields(b)
	}
	r := canon.NewReader(b)
	if r.Byte() != 1 {
		r.Fail()
	}
	n := r.Count(MaxFields)
	fields := make([]StoredField, 0, min(n, 16))
	for range n {
		f := decodeField(r)
		if r.Bad() {
			break
		}
		fields = append(fields, f)
	}
	if err := r.Done(); err != nil {
		return nil, altered(err)
	}
	return fields, nil
}

func decodeField(r *canon.Reader) StoredField {
	f := StoredField{Field: uint16(r.Count(0xffff))} //nolint:gosec // at most 0xffff
	r.Fixed(f.Version[:])
	f.Due = int64(r.Uint()) //nolint:gosec // checked below
	if f.Index = r.Bytes(16); len(f.Index) != 0 && len(f.Index) != 16 || f.Due < 0 {
		r.Fail()
	}
	f.Sealed = r.Bytes(seal.MaxPlaintext + seal.Overhead)
	return f
}

// altered is the one error for stored data that does not open.
func altered(err error) *bonded.Error {
	return &bonded.Error{
		Code: bonded.CodeAltered, Message: "stored data does not open under its key and place", Err: err,
		Hint: "it was altered or moved in the database, or the disk is failing: compare with a backup",
	}
}
