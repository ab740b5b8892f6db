package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm3"
)

// SelfTest computes known answers with everything a suite is made of and
// returns an error that names the first that differs: then the machine or the
// build must not be trusted with a key. It takes well under a millisecond.
// Under GODEBUG=fips140=only SM3 and SM4 are not allowed and it fails.
func SelfTest() error {
	for _, test := range []struct {
		name string
		run  func() error
	}{
		{"aes-256-gcm", func() error { return knownOpening(AES256GCM, aesKAT) }},
		{"sm4-gcm", func() error { return knownOpening(SM4GCM, sm4KAT) }},
		{"sha-256", func() error {
			sum := sha256.Sum256([]byte("abc"))
			return same(sum[:], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
		}},
		{"sm3", func() error {
			sum := sm3.Sum([]byte("abc"))
			return same(sum[:], "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")
		}},
		{"hkdf-sha-256", func() error {
			return knownExpansion(AES256GCM, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
		}},
		{"hkdf-sm3", func() error {
			return knownExpansion(SM4GCM, sm3Expansion)
		}},
	} {
		if err := test.run(); err != nil {
			return fmt.Errorf("self-test %s: %w", test.name, err)
		}
	}
	return nil
}

var errKnownAnswer = errors.New("known answer differs")

// A knownAnswer is one AEAD test vector in hexadecimal.
type knownAnswer struct{ key, nonce, plaintext, aad, ciphertext, tag string }

// Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation
// (GCM)", the source of SP 800-38D.
var aesKAT = knownAnswer{
	key:        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	nonce:      "cafebabefacedbaddecaf888",
	plaintext:  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	aad:        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	ciphertext: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	tag:        "76fc6ece0f4e1768cddf8853bb2d551b",
}

// RFC 8998, appendix A.1. The second half of the key is not used by SM4.
var sm4KAT = knownAnswer{
	key:        "0123456789abcdeffedcba9876543210" + "00000000000000000000000000000000",
	nonce:      "00001234567800000000abcd",
	plaintext:  "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
	aad:        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	ciphertext: "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
	tag:        "83de3541e4c2b58177e065a9bf7b62ec",
}

// sm3Expansion has no published source: it is the expansion of knownExpansion
// under SM3, computed apart with OpenSSL's SM3.
const sm3Expansion = "d278de218f1d74a25ddc0d839acd843a7d9f7d5d8b16583172f2a9d78fe19e19"

// knownOpening opens the known ciphertext, and refuses it with one bit turned.
func knownOpening(suite Suite, k knownAnswer) error {
	key := [KeySize]byte(fromHex(k.key))
	a, err := suite.aead(&key)
	if err != nil {
		return err
	}
	sealed := fromHex(k.nonce + k.ciphertext + k.tag)
	got, err := a.Open(nil, nil, sealed, fromHex(k.aad))
	if err != nil {
		return errKnownAnswer
	}
	if err := same(got, k.plaintext); err != nil {
		return err
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := a.Open(nil, nil, sealed, fromHex(k.aad)); err == nil {
		return errors.New("an altered ciphertext opened")
	}
	return nil
}

// knownExpansion expands the PRK and info of RFC 5869, appendix A.1, whose
// first 32 bytes of output are the known answer for SHA-256.
func knownExpansion(suite Suite, want string) error {
	prk := [KeySize]byte(fromHex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"))
	got, err := suite.expand(&prk, fromHex("f0f1f2f3f4f5f6f7f8f9"))
	if err != nil {
		return err
	}
	return same(got, want)
}

func same(got []byte, want string) error {
	if !bytes.Equal(got, fromHex(want)) {
		return errKnownAnswer
	}
	return nil
}

// fromHex decodes a constant above; a broken constant fails its test.
func fromHex(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b
}
