package frontdoor

import (
	"encoding/json"
	"fmt"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/seal"
)

// sealChunk is how much is sealed at once; what is longer is several chunks,
// each bound to its place and their number.
const sealChunk = seal.MaxSecret

// seal seals bytes of a case for rest. label says what they are within it.
func (s *Service) seal(id bonded.ID, label string, b []byte) ([]byte, error) {
	n := max(1, (len(b)+sealChunk-1)/sealChunk)
	var w canon.Writer
	w.Uint(uint64(n)) //nolint:gosec // at least one
	for i := range n {
		part := b[min(len(b), i*sealChunk):min(len(b), (i+1)*sealChunk)]
		sealed, err := seal.SealSecret(s.cfg.Key, sealLabel(id, label, i, n), part)
		if err != nil {
			return nil, err
		}
		w.Bytes(sealed)
	}
	return w.B, nil
}

func (s *Service) unseal(id bonded.ID, label string, sealed []byte) ([]byte, error) {
	r := canon.NewReader(sealed)
	n := r.Count(1 << 16)
	var out []byte
	for i := range n {
		chunk := r.Bytes(sealChunk + seal.Overhead)
		if r.Bad() {
			break
		}
		b, err := seal.OpenSecret(s.cfg.Key, sealLabel(id, label, i, n), chunk)
		if err != nil {
			return nil, altered(label, err)
		}
		out = append(out, b...)
	}
	if err := r.Done(); err != nil || n == 0 {
		return nil, altered(label, err)
	}
	return out, nil
}

func sealLabel(id bonded.ID, label string, i, n int) string {
	return fmt.Sprintf("case/%s/%s/%d/%d", id.Hex(), label, i, n)
}

func altered(label string, err error) error {
	return &bonded.Error{Code: bonded.CodeAltered, Message: "what is stored of a case does not open: " + label, Err: err, Hint: "restore the database of cases and its key together"}
}

func (s *Service) sealJSON(id bonded.ID, label string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", label, err)
	}
	return s.seal(id, label, b)
}

func (s *Service) unsealJSON(id bonded.ID, label string, sealed []byte, v any) error {
	b, err := s.unseal(id, label, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return altered(label, err)
	}
	return nil
}
