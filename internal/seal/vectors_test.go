package seal_test

import (
	"bytes"
	"crypto/hpke"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"testing"

	"bonded"
	"bonded/internal/seal"
)

const vectorsFile = "../../spec/vectors/seal.json"

// hexBytes are bytes that JSON shows in hexadecimal.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

type (
	vectors struct {
		Comment     string             `json:"comment"`
		FieldKeys   []fieldKeyVector   `json:"field_keys"`
		Sealed      []sealedVector     `json:"sealed"`
		Refused     []sealedVector     `json:"refused"`
		Wrapped     []wrappedVector    `json:"wrapped"`
		Index       []indexVector      `json:"index"`
		Secrets     []secretVector     `json:"secrets"`
		Passphrases []passphraseVector `json:"passphrases"`
		Unseal      []unsealVector     `json:"unseal"`
		HPKE        []hpkeVector       `json:"hpke"`
	}
	fieldKeyVector struct {
		Suite      seal.Suite    `json:"suite"`
		SubjectKey hexBytes      `json:"subject_key"`
		Cell       bonded.CellID `json:"cell"`
		Collection string        `json:"collection"`
		Record     hexBytes      `json:"record"`
		Version    hexBytes      `json:"version"`
		VersionKey hexBytes      `json:"version_key"`
		Field      string        `json:"field"`
		FieldKey   hexBytes      `json:"field_key"`
	}
	sealedVector struct {
		Why        string        `json:"why"`
		Suite      seal.Suite    `json:"suite"`
		Key        hexBytes      `json:"key"`
		Cell       bonded.CellID `json:"cell"`
		Subject    hexBytes      `json:"subject"`
		Collection string        `json:"collection"`
		Record     hexBytes      `json:"record"`
		Field      string        `json:"field"`
		Version    hexBytes      `json:"version"`
		AAD        hexBytes      `json:"aad"`
		Plaintext  hexBytes      `json:"plaintext"`
		Sealed     hexBytes      `json:"sealed"`
	}
	wrappedVector struct {
		Suite          seal.Suite    `json:"suite"`
		CellKey        hexBytes      `json:"cell_key"`
		Cell           bonded.CellID `json:"cell"`
		Subject        hexBytes      `json:"subject"`
		CellKeyVersion uint32        `json:"cell_key_version"`
		WrappingKey    hexBytes      `json:"wrapping_key"`
		SubjectKey     hexBytes      `json:"subject_key"`
		Wrapped        hexBytes      `json:"wrapped"`
	}
	indexVector struct {
		Suite       seal.Suite `json:"suite"`
		InnerMaster hexBytes   `json:"inner_master"`
		OuterMaster hexBytes   `json:"outer_master"`
		Collection  string     `json:"collection"`
		Field       string     `json:"field"`
		Value       string     `json:"value"`
		Inner       hexBytes   `json:"inner"`
		Outer       hexBytes   `json:"outer"`
	}
	secretVector struct {
		Key       hexBytes `json:"key"`
		Label     string   `json:"label"`
		Plaintext hexBytes `json:"plaintext"`
		Sealed    hexBytes `json:"sealed"`
	}
	passphraseVector struct {
		Passphrase string   `json:"passphrase"`
		Label      string   `json:"label"`
		Passes     uint32   `json:"passes"`
		MemoryKiB  uint32   `json:"memory_kib"`
		Lanes      uint8    `json:"lanes"`
		Salt       hexBytes `json:"salt"`
		Nonce      hexBytes `json:"nonce"`
		Plaintext  hexBytes `json:"plaintext"`
		Sealed     hexBytes `json:"sealed"`
	}
	unsealVector struct {
		Set          hexBytes   `json:"set"`
		Coefficients []hexBytes `json:"coefficients"` // little-endian, the secret first
		Shares       []string   `json:"shares"`
		Key          hexBytes   `json:"key"`
	}
	hpkeVector struct {
		Private   hexBytes `json:"private"`
		Public    hexBytes `json:"public"`
		Info      hexBytes `json:"info"`
		AAD       hexBytes `json:"aad"`
		Plaintext hexBytes `json:"plaintext"`
		Sealed    hexBytes `json:"sealed"`
	}
)

// counting returns n bytes that count up from first.
func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// TestVectorsFileIsCurrent holds spec/vectors/seal.json against a plain second
// implementation; UPDATE=1 writes it.
func TestVectorsFileIsCurrent(t *testing.T) {
	got, err := os.ReadFile(vectorsFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(buildVectors(t, got), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if bytes.Equal(got, want) {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatal("spec/vectors/seal.json differs from spec/seal.md as byhand_test.go reads it; UPDATE=1 rewrites it")
	}
	if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

func buildVectors(t *testing.T, old []byte) vectors {
	t.Helper()
	v := vectors{Comment: "Vectors of spec/seal.md. Bytes are hexadecimal, suites are 1 (AES-256-GCM) and 2 (SM4-GCM). Everything in \"refused\" must not open."}
	subject, record, version := counting(0x10, 16), counting(0x20, 16), counting(0x30, 16)
	place := seal.Context{Cell: "cn", Subject: bonded.ID(subject), Record: bonded.ID(record), Collection: "users", Field: "passport_no", Version: bonded.ID(version)}
	for _, suite := range suites {
		// 1. A subject key down to a field key, and what that seals.
		sk, cellKey := counting(0x40, 32), counting(0x60, 32)
		rvk := expandByHand(suite, sk, lp("bonded/rv/1", "cn", "users", string(record), string(version)))
		fk := expandByHand(suite, rvk, lp("bonded/f/1", "passport_no"))
		v.FieldKeys = append(v.FieldKeys, fieldKeyVector{suite, sk, "cn", "users", record, version, rvk, "passport_no", fk})
		aad := aadByHand(suite, place)
		vector := func(why string, plaintext []byte) sealedVector {
			sealed := sealByHand(t, suite, fk, counting(0x80, 12), plaintext, aad)
			return sealedVector{why, suite, fk, "cn", subject, "users", record, "passport_no", version, aad, plaintext, sealed}
		}
		text := []byte("E12345678")
		v.Sealed = append(v.Sealed, vector("opens", text), vector("empty", nil), vector("several blocks", bytes.Repeat([]byte("王芳 "), 29)))
		// 2. What must not open.
		refuse := func(why string, change func(*sealedVector)) {
			r := vector(why, text)
			r.Plaintext = nil
			change(&r)
			r.AAD = nil
			v.Refused = append(v.Refused, r)
		}
		refuse("other subject", func(r *sealedVector) { r.Subject = counting(0x11, 16) })
		refuse("other version", func(r *sealedVector) { r.Version = counting(0x31, 16) })
		refuse("other field", func(r *sealedVector) { r.Field = "name" })
		refuse("last bit of the tag turned", func(r *sealedVector) { r.Sealed[len(r.Sealed)-1] ^= 1 })
		refuse("suite exchanged", func(r *sealedVector) { r.Sealed[0] ^= 3 })
		refuse("truncated", func(r *sealedVector) { r.Sealed = r.Sealed[:28] })
		// 3. Keys at rest, and the index.
		info := wrapInfoByHand(suite, "cn", place.Subject, 7)
		v.Wrapped = append(v.Wrapped, wrappedVector{
			suite, cellKey, "cn", subject, 7, expandByHand(suite, cellKey, info), sk,
			wrapByHand(t, suite, cellKey, "cn", place.Subject, 7, sk, counting(0x90, 12)),
		})
		im, om, value := counting(0xa0, 32), counting(0xc0, 32), "maria@example.com"
		inner := hmacByHand(suite, expandByHand(suite, im, lp("bonded/index/inner/1", "users", "email")), []byte(value))
		outer := hmacByHand(suite, expandByHand(suite, om, lp("bonded/index/outer/1", "users", "email")), inner)
		v.Index = append(v.Index, indexVector{suite, im, om, "users", "email", value, inner, outer})
	}
	// 4. Secrets under a key and under a passphrase.
	key, secret := counting(0x01, 32), counting(0x60, 32)
	info := lp("bonded/secret/1", "cell-key/3")
	v.Secrets = []secretVector{{key, "cell-key/3", secret, sealByHand(t, seal.AES256GCM, expandByHand(seal.AES256GCM, key, info), counting(0x90, 12), secret, info)}}
	for _, p := range []passphraseVector{
		{Passphrase: "correct horse battery staple", Label: "driver-key", Passes: 3, MemoryKiB: 64 << 10, Lanes: 4},
		{Passphrase: "пароль 口令", Label: "driver-key", Passes: 1, MemoryKiB: 8, Lanes: 1},
	} {
		p.Salt, p.Nonce, p.Plaintext = counting(0x70, 16), counting(0x90, 12), secret
		p.Sealed = passphraseByHand(t, p)
		v.Passphrases = append(v.Passphrases, p)
	}
	// 5. Shares: the coefficients are below the order because byte 31 is zero.
	for _, n := range []struct{ n, m int }{{3, 2}, {5, 3}} {
		u := unsealVector{Set: counting(0x50, 16)}
		var coefficients []*big.Int
		for i := range n.m {
			little := append(counting(byte(0x10*i+1), 31), 0)
			u.Coefficients = append(u.Coefficients, little)
			big32 := make([]byte, 32)
			for j, b := range little {
				big32[31-j] = b
			}
			coefficients = append(coefficients, new(big.Int).SetBytes(big32))
		}
		u.Key, u.Shares = sharesByHand(bonded.ID(u.Set), coefficients, n.n)
		v.Unseal = append(v.Unseal, u)
	}
	v.HPKE = []hpkeVector{buildHPKE(t, old)}
	return v
}

// buildHPKE keeps the ciphertext of the old file if it opens, because
// encapsulation is random.
func buildHPKE(t *testing.T, old []byte) hpkeVector {
	t.Helper()
	priv, err := hpke.MLKEM768X25519().NewPrivateKey(counting(0x02, 32))
	if err != nil {
		t.Fatal(err)
	}
	v := hpkeVector{Private: counting(0x02, 32), Public: priv.PublicKey().Bytes(), Info: []byte("grant 7"), AAD: []byte("cn"), Plaintext: counting(0x60, 32)}
	info := lp("bonded/hpke/1", string(v.Info))
	var had vectors
	if json.Unmarshal(old, &had) == nil && len(had.HPKE) == 1 && len(had.HPKE[0].Sealed) > 1120 {
		sealed := had.HPKE[0].Sealed
		if r, err := hpke.NewRecipient(sealed[:1120], priv, hpke.HKDFSHA256(), hpke.AES256GCM(), info); err == nil {
			if got, err := r.Open(v.AAD, sealed[1120:]); err == nil && bytes.Equal(got, v.Plaintext) {
				v.Sealed = sealed
				return v
			}
		}
	}
	enc, sender, err := hpke.NewSender(priv.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := sender.Seal(v.AAD, v.Plaintext)
	if err != nil {
		t.Fatal(err)
	}
	v.Sealed = append(enc, ciphertext...)
	return v
}

func readVectors(tb testing.TB) vectors {
	tb.Helper()
	data, err := os.ReadFile(vectorsFile)
	if err != nil {
		tb.Fatal(err)
	}
	var v vectors
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestVectorsHold(t *testing.T) {
	v := readVectors(t)
	subjectKeys := make(map[string]seal.SubjectKey) // bytes → key, got by unwrapping
	t.Run("wrapped", func(t *testing.T) {
		for _, w := range v.Wrapped {
			sk, err := seal.UnwrapSubjectKey(w.Suite, mustKey(t, w.CellKey), w.Cell, bonded.ID(w.Subject), w.CellKeyVersion, w.Wrapped)
			if err != nil {
				t.Fatalf("%v: %v", w.Suite, err)
			}
			subjectKeys[string(w.SubjectKey)] = sk
		}
	})
	t.Run("field keys", func(t *testing.T) {
		for _, f := range v.FieldKeys {
			sk := subjectKeys[string(f.SubjectKey)]
			got := sk.VersionKey(f.Suite, f.Cell, f.Collection, bonded.ID(f.Record), bonded.ID(f.Version)).FieldKey(f.Field)
			checkBytes(t, f.Suite.String(), got.Bytes(), f.FieldKey)
		}
	})
	t.Run("sealed", func(t *testing.T) {
		for _, s := range v.Sealed {
			got, err := mustKey(t, s.Key).Open(s.Sealed, s.context())
			if err != nil {
				t.Errorf("%v, %s: %v", s.Suite, s.Why, err)
			}
			checkBytes(t, s.Why, got, s.Plaintext)
		}
		for _, s := range v.Refused {
			if _, err := mustKey(t, s.Key).Open(s.Sealed, s.context()); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("%v, %s: err = %v, want ErrOpen", s.Suite, s.Why, err)
			}
		}
	})
	t.Run("index", func(t *testing.T) {
		for _, i := range v.Index {
			inner := seal.InnerIndexKey(mustKey(t, i.InnerMaster), i.Suite, i.Collection, i.Field).Sum([]byte(i.Value))
			checkBytes(t, "inner", inner[:], i.Inner)
			outer := seal.OuterIndexKey(mustKey(t, i.OuterMaster), i.Suite, i.Collection, i.Field).Sum(inner[:])
			checkBytes(t, "outer", outer[:], i.Outer)
		}
	})
	t.Run("secrets", func(t *testing.T) {
		for _, s := range v.Secrets {
			got, err := seal.OpenSecret(mustKey(t, s.Key), s.Label, s.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			checkBytes(t, s.Label, got, s.Plaintext)
		}
		for _, p := range v.Passphrases {
			got, err := seal.OpenWithPassphrase([]byte(p.Passphrase), p.Label, p.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			checkBytes(t, p.Label, got, p.Plaintext)
		}
	})
	t.Run("unseal", func(t *testing.T) {
		for _, u := range v.Unseal {
			shares := make([]seal.UnsealShare, 0, len(u.Shares))
			for _, text := range u.Shares {
				s, err := seal.ParseUnsealShare(text)
				if err != nil {
					t.Fatal(err)
				}
				shares = append(shares, s)
			}
			key, err := seal.RecoverUnsealKey(shares)
			if err != nil {
				t.Fatal(err)
			}
			checkBytes(t, "unseal key", key.Bytes(), u.Key)
		}
	})
	t.Run("hpke", func(t *testing.T) {
		for _, h := range v.HPKE {
			priv, err := seal.ParseHPKEPrivate(h.Private)
			if err != nil {
				t.Fatal(err)
			}
			checkBytes(t, "public key", priv.Public().Bytes(), h.Public)
			got, err := seal.OpenFrom(priv, h.Info, h.AAD, h.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			checkBytes(t, "plaintext", got, h.Plaintext)
		}
	})
}

func (s sealedVector) context() seal.Context {
	return seal.Context{
		Cell: s.Cell, Subject: bonded.ID(s.Subject), Record: bonded.ID(s.Record),
		Collection: s.Collection, Field: s.Field, Version: bonded.ID(s.Version),
	}
}

func checkBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %x, want %x", what, got, want)
	}
}
