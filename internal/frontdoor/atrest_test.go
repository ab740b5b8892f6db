package frontdoor_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"bonded"
	"bonded/internal/frontdoor"
	"bonded/internal/seal"
)

func TestPackageAtRest(t *testing.T) {
	key, id := seal.NewKey(), bonded.NewID()
	sealed := func(id bonded.ID, plain []byte) []byte {
		var out bytes.Buffer
		w := frontdoor.SealPackage(&out, key, id)
		for b := plain; len(b) > 0; { // in pieces of no even length
			n := min(len(b), 70_001)
			if _, err := w.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	open := func(key seal.Key, id bonded.ID, b []byte) ([]byte, error) {
		return io.ReadAll(frontdoor.OpenPackage(io.NopCloser(bytes.NewReader(b)), key, id))
	}
	const chunk = frontdoor.PackageChunk + seal.Overhead
	for _, size := range []int{1, frontdoor.PackageChunk - 1, frontdoor.PackageChunk, frontdoor.PackageChunk + 1, 3 * frontdoor.PackageChunk, 3*frontdoor.PackageChunk + 17} {
		plain := make([]byte, size)
		_, _ = rand.Read(plain)
		b := sealed(id, plain)
		if got, err := open(key, id, b); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
		if size > 64 && bytes.Contains(b, plain[:32]) {
			t.Errorf("%d bytes: the file shows them", size)
		}
	}
	plain := make([]byte, 3*frontdoor.PackageChunk)
	_, _ = rand.Read(plain)
	b := sealed(id, plain)
	swapped := bytes.Clone(b)
	copy(swapped, b[chunk:2*chunk])
	copy(swapped[chunk:], b[:chunk])
	flipped := bytes.Clone(b)
	flipped[2*chunk+40] ^= 1
	other := seal.NewKey()
	for name, c := range map[string]struct {
		key seal.Key
		id  bonded.ID
		b   []byte
	}{
		"empty":           {key, id, nil},
		"last chunk gone": {key, id, b[:2*chunk]},
		"cut short":       {key, id, b[:len(b)-1]},
		"longer":          {key, id, append(bytes.Clone(b), 0)},
		"twice":           {key, id, append(bytes.Clone(b), b...)},
		"chunks swapped":  {key, id, swapped},
		"one bit":         {key, id, flipped},
		"another case":    {key, bonded.NewID(), b},
		"another key":     {other, id, b},
	} {
		if _, err := open(c.key, c.id, c.b); bonded.CodeOf(err) != bonded.CodeAltered {
			t.Errorf("%s: %v", name, err)
		}
	}
}
