package vault_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bonded"
	"bonded/internal/vault"
)

func storedFields(envelopes ...[]byte) []vault.StoredField {
	var fields []vault.StoredField
	for i, e := range envelopes {
		fields = append(fields, vault.StoredField{
			Field: uint16(i + 1), Version: bonded.ID{byte(i + 1)}, Due: int64(i), Index: bytes.Repeat([]byte{byte(i)}, 16*(i%2)), Sealed: []byte{1, byte(i)}, Envelope: e,
		})
	}
	return fields
}

func TestFieldsAreReadBackAsWritten(t *testing.T) {
	a, b := []byte("envelope a"), []byte("envelope b")
	for name, fields := range map[string][]vault.StoredField{
		"none":            nil,
		"two-lock":        storedFields(nil, nil),
		"one envelope":    storedFields(nil, a, a),
		"two envelopes":   storedFields(b, nil, a, b),
		"nothing besides": storedFields(a),
	} {
		enc := vault.EncodeFields(fields)
		got, err := vault.DecodeFields(enc)
		if err != nil || cmp.Diff(fields, got, cmpopts.EquateEmpty()) != "" {
			t.Errorf("%s: %v %s", name, err, cmp.Diff(fields, got, cmpopts.EquateEmpty()))
		}
		want := byte(1)
		for i := range fields {
			if fields[i].Envelope != nil {
				want = 2
			}
		}
		if enc[0] != want {
			t.Errorf("%s: format %d, want %d", name, enc[0], want)
		}
	}
}
