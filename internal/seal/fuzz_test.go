package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"bonded"
	"bonded/internal/seal"
)

func FuzzSealOpen(f *testing.F) {
	f.Add([]byte("E12345678"), "cn", []byte{1}, "users", "passport_no", true)
	f.Add([]byte{}, "", []byte{}, "", "", false)
	k := seal.NewKey()
	f.Fuzz(func(t *testing.T, plaintext []byte, cell string, ids []byte, collection, field string, sm bool) {
		var three [48]byte
		copy(three[:], ids)
		c := seal.Context{
			Cell: bonded.CellID(cell), Subject: bonded.ID(three[:16]), Record: bonded.ID(three[16:32]),
			Collection: collection, Field: field, Version: bonded.ID(three[32:]),
		}
		suite := seal.AES256GCM
		if sm {
			suite = seal.SM4GCM
		}
		sealed, err := k.Seal(suite, plaintext, c)
		if err != nil {
			return // too long, or the context is incomplete
		}
		got, err := k.Open(sealed, c)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("Open(Seal(%q)) = %q, %v", plaintext, got, err)
		}
		c.Field += "x"
		if _, err := k.Open(sealed, c); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("other field: err = %v, want ErrOpen", err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	k := seal.NewKey()
	f.Add([]byte{})
	f.Add([]byte{1})
	for _, s := range suites {
		sealed, err := k.Seal(s, []byte("E12345678"), passport)
		if err != nil {
			f.Fatal(err)
		}
		sealed[20] ^= 1
		f.Add(sealed)
	}
	priv, err := seal.GenerateHPKE()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, garbage []byte) {
		if got, err := k.Open(garbage, passport); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Fatalf("Open = %q, %v; want ErrOpen", got, err)
		}
		if _, err := seal.OpenSecret(k, "x", garbage); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("OpenSecret: %v", err)
		}
		if _, err := seal.UnwrapSubjectKey(seal.AES256GCM, k, "cn", bonded.ID{1}, 1, garbage); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("UnwrapSubjectKey: %v", err)
		}
		if _, err := seal.OpenFrom(priv, nil, nil, garbage); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("OpenFrom: %v", err)
		}
	})
}

func FuzzParseShare(f *testing.F) {
	_, shares, err := seal.SplitUnsealKey(3, 2)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("")
	f.Add("bonded-unseal-share-1:")
	f.Add(shares[0].Text())
	f.Add(shares[1].Text() + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := seal.ParseUnsealShare(text)
		if err != nil {
			if !errors.Is(err, seal.ErrShareText) {
				t.Fatalf("err = %v, want ErrShareText", err)
			}
			return
		}
		if s.Text() != text {
			t.Fatalf("share has a second spelling: %q", text)
		}
		_, _ = seal.RecoverUnsealKey([]seal.UnsealShare{s, shares[1], shares[2]}) // must not panic
	})
}

func FuzzOpenWithPassphrase(f *testing.F) {
	// A fixed file, because each fuzzing process runs this function again.
	v := readVectors(f).Passphrases[1]
	pass, sealed := []byte(v.Passphrase), []byte(v.Sealed)
	f.Add([]byte{})
	f.Add(sealed[:39])
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) >= 23 {
			passes, memory := binary.BigEndian.Uint32(file[14:]), binary.BigEndian.Uint32(file[18:])
			if passes <= 8 && memory > 1<<10 && memory <= 256<<10 {
				return // allowed, and too slow to try often
			}
		}
		got, err := seal.OpenWithPassphrase(pass, v.Label, file)
		if err == nil && !(bytes.Equal(file, sealed) && bytes.Equal(got, v.Plaintext)) {
			t.Fatal("a file nobody sealed opens")
		}
		if err != nil && !errors.Is(err, seal.ErrPassphrase) {
			t.Fatalf("err = %v, want ErrPassphrase", err)
		}
	})
}
