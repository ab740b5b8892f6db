package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"bonded/internal/seal"
)

func TestSecretOpensOnlyUnderItsKeyAndLabel(t *testing.T) {
	k, want := seal.NewKey(), []byte("a cell key of 32 bytes, say, 012")
	sealed, err := seal.SealSecret(k, "cell-key/3", want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.OpenSecret(k, "cell-key/3", sealed); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("OpenSecret = %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"other label": func() ([]byte, error) { return seal.OpenSecret(k, "cell-key/4", sealed) },
		"other key":   func() ([]byte, error) { return seal.OpenSecret(seal.NewKey(), "cell-key/3", sealed) },
		"zero key":    func() ([]byte, error) { return seal.OpenSecret(seal.Key{}, "cell-key/3", sealed) },
		"truncated":   func() ([]byte, error) { return seal.OpenSecret(k, "cell-key/3", sealed[:len(sealed)-1]) },
		"empty":       func() ([]byte, error) { return seal.OpenSecret(k, "cell-key/3", nil) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("%s: %q, %v; want ErrOpen", name, got, err)
		}
	}
	for i := range len(sealed) * 8 {
		torn := bytes.Clone(sealed)
		torn[i/8] ^= 1 << (i % 8)
		if _, err := seal.OpenSecret(k, "cell-key/3", torn); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("bit %d flipped: err = %v, want ErrOpen", i, err)
		}
	}
	if _, err := seal.SealSecret(k, "x", make([]byte, seal.MaxSecret+1)); !errors.Is(err, seal.ErrTooLong) {
		t.Errorf("over the limit: err = %v, want ErrTooLong", err)
	}
}

func TestSecretDoesNotOpenAsAFieldAndBack(t *testing.T) {
	k := seal.NewKey()
	secret, err := seal.SealSecret(k, "x", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(secret, passport); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("secret opens as a field: %v", err)
	}
	if _, err := seal.OpenSecret(k, "x", mustSeal(t, k, seal.AES256GCM, "x")); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("field opens as a secret: %v", err)
	}
}

func TestPassphraseFileOpensOnlyUnderItsPassphraseAndLabel(t *testing.T) {
	pass, want := []byte("correct horse battery staple"), []byte("driver key")
	sealed, err := seal.SealWithPassphrase(pass, "driver", want)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != len(want)+seal.PassphraseOverhead {
		t.Errorf("%d bytes, want %d more than the plaintext", len(sealed), seal.PassphraseOverhead)
	}
	if got, err := seal.OpenWithPassphrase(pass, "driver", sealed); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("OpenWithPassphrase = %q, %v", got, err)
	}
	if _, err := seal.OpenWithPassphrase([]byte("correct horse battery stapler"), "driver", sealed); !errors.Is(err, seal.ErrPassphrase) {
		t.Errorf("wrong passphrase: err = %v, want ErrPassphrase", err)
	}
	if _, err := seal.OpenWithPassphrase(pass, "driver2", sealed); !errors.Is(err, seal.ErrPassphrase) {
		t.Errorf("other label: err = %v, want ErrPassphrase", err)
	}
	if _, err := seal.OpenWithPassphrase(nil, "driver", sealed); !errors.Is(err, seal.ErrPassphrase) {
		t.Errorf("no passphrase: err = %v, want ErrPassphrase", err)
	}
	if _, err := seal.SealWithPassphrase(nil, "driver", want); err == nil {
		t.Error("an empty passphrase seals")
	}
}

func TestPassphraseFileRejectsEveryAlteration(t *testing.T) {
	pass := []byte("correct horse")
	sealed, err := seal.SealWithCheapPassphrase(pass, "driver", []byte("driver key"))
	if err != nil {
		t.Fatal(err)
	}
	const costs, salt = 14, 14 + 9 // costs above the cheap ones are slow to try: the next test looks at those
	for i := range len(sealed) * 8 {
		if i/8 >= costs && i/8 < salt && sealed[i/8]&(1<<(i%8)) == 0 && i/8 != costs+8 {
			continue
		}
		torn := bytes.Clone(sealed)
		torn[i/8] ^= 1 << (i % 8)
		if _, err := seal.OpenWithPassphrase(pass, "driver", torn); !errors.Is(err, seal.ErrPassphrase) {
			t.Fatalf("bit %d flipped: err = %v, want ErrPassphrase", i, err)
		}
	}
	for n := range len(sealed) {
		if _, err := seal.OpenWithPassphrase(pass, "driver", sealed[:n]); !errors.Is(err, seal.ErrPassphrase) {
			t.Fatalf("first %d bytes: err = %v, want ErrPassphrase", n, err)
		}
	}
}

func TestPassphraseFileCannotAskForTooMuchWork(t *testing.T) {
	pass := []byte("correct horse")
	sealed, err := seal.SealWithCheapPassphrase(pass, "driver", []byte("driver key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		passes, memory uint32
		lanes          byte
	}{
		"4 TiB":               {1, 1<<32 - 1, 1},
		"just over 256 MiB":   {1, 256<<10 + 1, 1},
		"9 passes":            {9, 8, 1},
		"2^32-1 passes":       {1<<32 - 1, 8, 1},
		"no pass":             {0, 8, 1},
		"no lane":             {1, 8, 0},
		"17 lanes":            {1, 256, 17},
		"memory under 8 p":    {1, 31, 4},
		"no memory":           {1, 0, 1},
		"256 MiB, 255 lanes":  {8, 256 << 10, 255},
		"other, within bound": {2, 16, 2},
	} {
		t.Run(name, func(t *testing.T) {
			// 4 TiB and 2^32 passes would not end: that the test ends is the claim.
			hostile := bytes.Clone(sealed)
			binary.BigEndian.PutUint32(hostile[14:], c.passes)
			binary.BigEndian.PutUint32(hostile[18:], c.memory)
			hostile[22] = c.lanes
			if _, err := seal.OpenWithPassphrase(pass, "driver", hostile); !errors.Is(err, seal.ErrPassphrase) {
				t.Errorf("err = %v, want ErrPassphrase", err)
			}
		})
	}
}

func TestHPKEOpensOnlyForItsKeyInfoAndAAD(t *testing.T) {
	priv, err := seal.GenerateHPKE()
	if err != nil {
		t.Fatal(err)
	}
	other, err := seal.GenerateHPKE()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := seal.ParseHPKEPublic(priv.Public().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	info, aad, want := []byte("grant 7"), []byte("cn"), []byte("a MAC key")
	sealed, err := seal.SealTo(pub, info, aad, want)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != len(want)+seal.HPKEOverhead {
		t.Errorf("%d bytes, want %d more than the plaintext", len(sealed), seal.HPKEOverhead)
	}
	seed, err := priv.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.ParseHPKEPrivate(seed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.OpenFrom(again, info, aad, sealed); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("OpenFrom = %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"other key":  func() ([]byte, error) { return seal.OpenFrom(other, info, aad, sealed) },
		"zero key":   func() ([]byte, error) { return seal.OpenFrom(seal.HPKEPrivate{}, info, aad, sealed) },
		"other info": func() ([]byte, error) { return seal.OpenFrom(priv, []byte("grant 8"), aad, sealed) },
		"other aad":  func() ([]byte, error) { return seal.OpenFrom(priv, info, []byte("eu"), sealed) },
		"swapped":    func() ([]byte, error) { return seal.OpenFrom(priv, aad, info, sealed) },
		"truncated":  func() ([]byte, error) { return seal.OpenFrom(priv, info, aad, sealed[:len(sealed)-1]) },
		"short":      func() ([]byte, error) { return seal.OpenFrom(priv, info, aad, sealed[:100]) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("%s: %q, %v; want ErrOpen", name, got, err)
		}
	}
	for i := 0; i < len(sealed)*8; i += 37 {
		torn := bytes.Clone(sealed)
		torn[i/8] ^= 1 << (i % 8)
		if _, err := seal.OpenFrom(priv, info, aad, torn); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("bit %d flipped: err = %v, want ErrOpen", i, err)
		}
	}
}

func TestHPKEKeysParseStrictly(t *testing.T) {
	for _, n := range []int{0, 31, 33, seal.HPKEPublicSize - 1, seal.HPKEPublicSize + 1} {
		if _, err := seal.ParseHPKEPrivate(make([]byte, n)); !errors.Is(err, seal.ErrKey) {
			t.Errorf("private key of %d bytes: err = %v, want ErrKey", n, err)
		}
		if _, err := seal.ParseHPKEPublic(make([]byte, n)); !errors.Is(err, seal.ErrKey) {
			t.Errorf("public key of %d bytes: err = %v, want ErrKey", n, err)
		}
	}
	if _, err := seal.ParseHPKEPublic(bytes.Repeat([]byte{0xff}, seal.HPKEPublicSize)); !errors.Is(err, seal.ErrKey) {
		t.Errorf("public key with coefficients out of range: err = %v, want ErrKey", err)
	}
	if _, err := seal.SealTo(seal.HPKEPublic{}, nil, nil, nil); !errors.Is(err, seal.ErrKey) {
		t.Errorf("zero public key: err = %v, want ErrKey", err)
	}
	if _, err := (seal.HPKEPrivate{}).Bytes(); !errors.Is(err, seal.ErrKey) {
		t.Errorf("zero private key: err = %v, want ErrKey", err)
	}
	if (seal.HPKEPrivate{}).Public().Bytes() != nil {
		t.Error("zero private key has a public key")
	}
}

// Whoever seals a private key for rest wipes the bytes, and goes on using it.
func TestHPKEPrivateOutlivesItsBytes(t *testing.T) {
	k, err := seal.GenerateHPKE()
	if err != nil {
		t.Fatal(err)
	}
	first, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.Clone(first)
	clear(first)
	again, err := k.Bytes()
	if err != nil || !bytes.Equal(again, kept) {
		t.Errorf("the key lost its bytes: %v", err)
	}
}
