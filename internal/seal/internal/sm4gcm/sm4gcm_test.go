package sm4gcm_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"bonded/internal/seal/internal/sm4gcm"
)

// TestRandomNonceAEADs runs one behaviour on this package and on the standard
// library's model of it. After crypto/internal/cryptotest.TestAEAD.
func TestRandomNonceAEADs(t *testing.T) {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	model, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := sm4gcm.New(key[:sm4gcm.KeySize])
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]cipher.AEAD{"aes": model, "sm4": ours} {
		t.Run(name, func(t *testing.T) { testAEAD(t, a) })
	}
}

func testAEAD(t *testing.T, a cipher.AEAD) {
	if a.NonceSize() != 0 || a.Overhead() != 28 {
		t.Fatalf("NonceSize %d, Overhead %d; want 0, 28", a.NonceSize(), a.Overhead())
	}
	for _, size := range []int{0, 1, 16, 17, 255, 4096} {
		for _, aad := range [][]byte{nil, []byte("a"), make([]byte, 200)} {
			plaintext, prefix := bytes.Repeat([]byte{7}, size), []byte("kept")
			sealed := a.Seal(prefix, nil, plaintext, aad)
			if !bytes.HasPrefix(sealed, prefix) || len(sealed) != 4+size+28 {
				t.Fatalf("Seal of %d bytes gives %d after a prefix of 4", size, len(sealed))
			}
			sealed = sealed[4:]
			got, err := a.Open([]byte("kept"), nil, sealed, aad)
			if err != nil || string(got) != "kept"+string(plaintext) {
				t.Fatalf("Open of %d bytes: %v", size, err)
			}
			if _, err := a.Open(nil, nil, sealed, append(bytes.Clone(aad), 0)); err == nil {
				t.Fatal("opens with other additional data")
			}
			for _, n := range []int{0, 1, 11, 12, 27, len(sealed) - 1} {
				if _, err := a.Open(nil, nil, sealed[:n], aad); err == nil {
					t.Fatalf("first %d bytes open", n)
				}
			}
		}
	}
	if bytes.Equal(a.Seal(nil, nil, nil, nil), a.Seal(nil, nil, nil, nil)) {
		t.Error("two sealings are equal")
	}
	defer func() {
		if recover() == nil {
			t.Error("a nonce is accepted")
		}
	}()
	a.Seal(nil, make([]byte, 12), nil, nil)
}

func TestOpensRFC8998Vector(t *testing.T) {
	a, err := sm4gcm.New(unhex(t, "0123456789abcdeffedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Open(nil, nil, unhex(t, "00001234567800000000abcd"+
		"17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"+
		"83de3541e4c2b58177e065a9bf7b62ec"), unhex(t, "feedfacedeadbeeffeedfacedeadbeefabaddad2"))
	want := "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("Open = %x, %v", got, err)
	}
}

func TestNewRefusesOtherKeySizes(t *testing.T) {
	for _, n := range []int{0, 15, 17, 24, 32} {
		if _, err := sm4gcm.New(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is accepted", n)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
