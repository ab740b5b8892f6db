package seal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
	"golang.org/x/crypto/argon2"

	"bonded"
	"bonded/internal/seal"
)

// This file writes spec/seal.md a second time, as plainly as it can be read
// there, with the nonce as an argument. The vectors come from here, so that
// the package is held against the specification and not against itself.

func lp(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		b = slices.Concat(b, length[:], []byte(p))
	}
	return b
}

func hashOf(suite seal.Suite) func() hash.Hash {
	return map[seal.Suite]func() hash.Hash{seal.AES256GCM: sha256.New, seal.SM4GCM: sm3.New}[suite]
}

func hmacByHand(suite seal.Suite, key, data []byte) []byte {
	h := hmac.New(hashOf(suite), key)
	h.Write(data)
	return h.Sum(nil)
}

// expandByHand is one block of RFC 5869, section 2.3.
func expandByHand(suite seal.Suite, key, info []byte) []byte {
	return hmacByHand(suite, key, append(slices.Clone(info), 1))
}

// sealByHand returns suite ‖ nonce ‖ ciphertext ‖ tag.
func sealByHand(t *testing.T, suite seal.Suite, key, nonce, plaintext, aad []byte) []byte {
	t.Helper()
	return slices.Concat([]byte{byte(suite)}, nonce, gcmByHand(t, suite, key, nonce, plaintext, aad))
}

func gcmByHand(t *testing.T, suite seal.Suite, key, nonce, plaintext, aad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if suite == seal.SM4GCM {
		block, err = sm4.NewCipher(key[:16])
	}
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm.Seal(nil, nonce, plaintext, aad)
}

func aadByHand(suite seal.Suite, c seal.Context) []byte {
	return lp("bonded/seal/1", string([]byte{byte(suite)}), string(c.Cell), string(c.Subject[:]), c.Collection,
		string(c.Record[:]), c.Field, string(c.Version[:]))
}

func wrapInfoByHand(suite seal.Suite, cell string, subject bonded.ID, version uint32) []byte {
	return lp("bonded/wrap/1", string([]byte{byte(suite)}), cell, string(subject[:]), string(binary.BigEndian.AppendUint32(nil, version)))
}

func wrapByHand(t *testing.T, suite seal.Suite, cellKey []byte, cell string, subject bonded.ID, version uint32, sk, nonce []byte) []byte {
	t.Helper()
	info := wrapInfoByHand(suite, cell, subject, version)
	return sealByHand(t, suite, expandByHand(suite, cellKey, info), nonce, sk, info)
}

func passphraseByHand(t *testing.T, v passphraseVector) []byte {
	t.Helper()
	header := []byte("bonded-pass-1\n")
	header = binary.BigEndian.AppendUint32(header, v.Passes)
	header = binary.BigEndian.AppendUint32(header, v.MemoryKiB)
	header = append(append(header, v.Lanes), v.Salt...)
	key := argon2.IDKey([]byte(v.Passphrase), v.Salt, v.Passes, v.MemoryKiB, v.Lanes, 32)
	aad := lp("bonded/pass/1", v.Label, string(header))
	return slices.Concat(header, v.Nonce, gcmByHand(t, seal.AES256GCM, key, v.Nonce, v.Plaintext, aad))
}

// order is the order of ristretto255, 2^252 + 27742317777372353535851937790883648493.
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func littleEndian(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

// sharesByHand evaluates the polynomial whose coefficients are given, the
// secret first, at 1 to n.
func sharesByHand(set bonded.ID, coefficients []*big.Int, n int) (key []byte, shares []string) {
	m := len(coefficients)
	prk := hmacByHand(seal.AES256GCM, make([]byte, 32), littleEndian(coefficients[0]))
	key = expandByHand(seal.AES256GCM, prk, lp("bonded/unseal/1", string(set[:]), string([]byte{byte(m)})))
	commitment := expandByHand(seal.AES256GCM, prk, lp("bonded/unseal-commit/1", string(set[:]), string([]byte{byte(m)})))[:16]
	for x := 1; x <= n; x++ {
		y := new(big.Int)
		for _, c := range slices.Backward(coefficients) {
			y.Mul(y, big.NewInt(int64(x))).Add(y, c).Mod(y, order)
		}
		body := slices.Concat(set[:], []byte{byte(m), byte(x)}, littleEndian(y), commitment)
		sum := sha256.Sum256(lp("bonded/unseal-share/1", string(body)))
		text := base32.StdEncoding.EncodeToString(append(body, sum[:4]...))
		shares = append(shares, "bonded-unseal-share-1:"+strings.ToLower(text))
	}
	return key, shares
}
