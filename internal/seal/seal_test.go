package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/seal"
)

var suites = []seal.Suite{seal.AES256GCM, seal.SM4GCM}

// passport is a context with every part in it.
var passport = seal.Context{
	Cell:       "cn",
	Subject:    bonded.ID{1},
	Record:     bonded.ID{2},
	Collection: "users",
	Field:      "passport_no",
	Version:    bonded.ID{3},
}

// onEachSuite runs one behaviour test on every suite.
func onEachSuite(t *testing.T, test func(*testing.T, seal.Suite)) {
	t.Helper()
	for _, s := range suites {
		t.Run(s.String(), func(t *testing.T) { test(t, s) })
	}
}

func TestSealOpenRoundTrip(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		k := seal.NewKey()
		for _, n := range []int{0, 1, 15, 16, 17, 200, 4096, seal.MaxPlaintext} {
			want := bytes.Repeat([]byte{0xa5}, n)
			sealed, err := k.Seal(suite, want, passport)
			if err != nil {
				t.Fatalf("Seal(%d bytes): %v", n, err)
			}
			if len(sealed) != n+seal.Overhead {
				t.Errorf("Seal(%d bytes) gives %d bytes, want %d more", n, len(sealed), seal.Overhead)
			}
			got, err := k.Open(sealed, passport)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("Open of %d bytes: %d bytes, %v", n, len(got), err)
			}
		}
	})
}

func TestSealRefusesPlaintextOverTheLimit(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		_, err := seal.NewKey().Seal(suite, make([]byte, seal.MaxPlaintext+1), passport)
		if !errors.Is(err, seal.ErrTooLong) {
			t.Errorf("err = %v, want ErrTooLong", err)
		}
	})
}

func TestSealNeverRepeats(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		k := seal.NewKey()
		seen := make(map[string]bool)
		for range 1000 {
			nonce := string(mustSeal(t, k, suite, "E12345678")[1:13])
			if seen[nonce] {
				t.Fatal("a nonce repeats")
			}
			seen[nonce] = true
		}
	})
}

func TestSealRefusesIncompleteContext(t *testing.T) {
	for name, change := range map[string]func(*seal.Context){
		"no cell":        func(c *seal.Context) { c.Cell = "" },
		"no subject":     func(c *seal.Context) { c.Subject = bonded.ID{} },
		"no record":      func(c *seal.Context) { c.Record = bonded.ID{} },
		"no collection":  func(c *seal.Context) { c.Collection = "" },
		"bad collection": func(c *seal.Context) { c.Collection = "Users!" },
		"no field":       func(c *seal.Context) { c.Field = "" },
		"no version":     func(c *seal.Context) { c.Version = bonded.ID{} },
	} {
		t.Run(name, func(t *testing.T) {
			c := passport
			change(&c)
			if _, err := seal.NewKey().Seal(seal.AES256GCM, nil, c); err == nil {
				t.Error("sealed")
			}
		})
	}
}

func TestOpenRejectsOtherContext(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		k := seal.NewKey()
		sealed := mustSeal(t, k, suite, "E12345678")
		for name, change := range map[string]func(*seal.Context){
			"other cell":       func(c *seal.Context) { c.Cell = "eu" },
			"other subject":    func(c *seal.Context) { c.Subject = bonded.ID{9} },
			"other record":     func(c *seal.Context) { c.Record = bonded.ID{9} },
			"other collection": func(c *seal.Context) { c.Collection = "payments" },
			"other field":      func(c *seal.Context) { c.Field = "name" },
			"other version":    func(c *seal.Context) { c.Version = bonded.ID{9} },
			"swapped ids":      func(c *seal.Context) { c.Subject, c.Record = c.Record, c.Subject },
			"swapped names":    func(c *seal.Context) { c.Collection, c.Field = c.Field, c.Collection },
			"shifted boundary": func(c *seal.Context) { c.Cell, c.Collection = "cnu", "sers" },
			"empty":            func(c *seal.Context) { *c = seal.Context{} },
		} {
			t.Run(name, func(t *testing.T) {
				c := passport
				change(&c)
				if got, err := k.Open(sealed, c); !errors.Is(err, seal.ErrOpen) || got != nil {
					t.Errorf("Open = %q, %v; want ErrOpen", got, err)
				}
			})
		}
	})
}

func TestOpenRejectsEveryBitFlip(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		k := seal.NewKey()
		sealed := mustSeal(t, k, suite, "E12345678")
		for i := range len(sealed) * 8 {
			torn := bytes.Clone(sealed)
			torn[i/8] ^= 1 << (i % 8)
			if _, err := k.Open(torn, passport); !errors.Is(err, seal.ErrOpen) {
				t.Fatalf("bit %d flipped: err = %v, want ErrOpen", i, err)
			}
		}
	})
}

func TestOpenRejectsOtherLengths(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		k := seal.NewKey()
		sealed := mustSeal(t, k, suite, "E12345678")
		for n := range len(sealed) {
			if _, err := k.Open(sealed[:n], passport); !errors.Is(err, seal.ErrOpen) {
				t.Fatalf("first %d bytes: err = %v, want ErrOpen", n, err)
			}
		}
		for _, b := range [][]byte{append(bytes.Clone(sealed), 0), make([]byte, seal.MaxPlaintext+seal.Overhead+1)} {
			if _, err := k.Open(b, passport); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("%d bytes: err = %v, want ErrOpen", len(b), err)
			}
		}
	})
}

func TestOpenRejectsOtherKeyAndOtherSuite(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		k := seal.NewKey()
		sealed := mustSeal(t, k, suite, "E12345678")
		if _, err := seal.NewKey().Open(sealed, passport); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("other key: err = %v, want ErrOpen", err)
		}
		for b := range 256 {
			if seal.Suite(b) == suite {
				continue
			}
			sealed[0] = byte(b)
			if _, err := k.Open(sealed, passport); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("suite byte %d: err = %v, want ErrOpen", b, err)
			}
		}
	})
}

func TestAppendOpenKeepsWhatIsThere(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		k := seal.NewKey()
		sealed := mustSeal(t, k, suite, "E12345678")
		dst := append(make([]byte, 0, 64), "name="...)
		got, err := k.AppendOpen(dst, sealed, passport)
		if err != nil || string(got) != "name=E12345678" {
			t.Fatalf("AppendOpen = %q, %v", got, err)
		}
		if &got[0] != &dst[0] {
			t.Error("AppendOpen made a new buffer although there was room")
		}
		sealed[len(sealed)-1] ^= 1
		if got, err := k.AppendOpen(dst, sealed, passport); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("altered: AppendOpen = %q, %v", got, err)
		}
		if string(dst) != "name=" || bytes.Contains(dst[:cap(dst)], []byte("E12345678")) {
			t.Error("a failed opening left plaintext in the buffer")
		}
	})
}

func TestWipedAndZeroKeysRefuse(t *testing.T) {
	wiped := seal.NewKey()
	sealed := mustSeal(t, wiped, seal.AES256GCM, "E12345678")
	twin := wiped // a copy shares the bytes
	wiped.Wipe()
	for name, k := range map[string]seal.Key{"zero": {}, "wiped": wiped, "copy of wiped": twin} {
		t.Run(name, func(t *testing.T) {
			if _, err := k.Seal(seal.AES256GCM, nil, passport); !errors.Is(err, seal.ErrKey) {
				t.Errorf("Seal: err = %v, want ErrKey", err)
			}
			if _, err := k.Open(sealed, passport); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("Open: err = %v, want ErrOpen", err)
			}
			if k.Valid() || k.Bytes() != nil {
				t.Error("key counts as valid")
			}
			if seal.InnerIndexKey(k, seal.AES256GCM, "users", "email").Valid() {
				t.Error("an index key derives from it")
			}
			if _, err := seal.SealSecret(k, "x", nil); !errors.Is(err, seal.ErrKey) {
				t.Errorf("SealSecret: err = %v, want ErrKey", err)
			}
			if _, err := seal.NewSubjectKey().Wrap(seal.AES256GCM, k, "cn", bonded.ID{1}, 1); !errors.Is(err, seal.ErrKey) {
				t.Errorf("Wrap: err = %v, want ErrKey", err)
			}
			k.Wipe()
		})
	}
}

func TestKeyFromBytesCopiesAndRefuses(t *testing.T) {
	b := bytes.Repeat([]byte{7}, seal.KeySize)
	k, err := seal.KeyFromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if got := k.Bytes(); !bytes.Equal(got, bytes.Repeat([]byte{7}, seal.KeySize)) {
		t.Error("key changed with the caller's bytes")
	}
	for _, n := range []int{0, 16, 31, 32, 33} {
		if _, err := seal.KeyFromBytes(make([]byte, n)); !errors.Is(err, seal.ErrKey) {
			t.Errorf("%d zero bytes: err = %v, want ErrKey", n, err)
		}
	}
}

func TestParseSuiteReadsWhatStringWrites(t *testing.T) {
	for _, s := range suites {
		if got, err := seal.ParseSuite(s.String()); err != nil || got != s || !s.Valid() {
			t.Errorf("ParseSuite(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "AES-256-GCM", "suite 0", "none"} {
		if _, err := seal.ParseSuite(s); err == nil {
			t.Errorf("ParseSuite(%q) succeeds", s)
		}
	}
}

func TestKeysNeverPrint(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef" // the bytes of every key here
	k, err := seal.KeyFromBytes([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	sk := seal.NewSubjectKey()
	vk := sk.VersionKey(seal.SM4GCM, "cn", "users", bonded.ID{1}, bonded.ID{2})
	ik := seal.InnerIndexKey(k, seal.AES256GCM, "users", "email")
	_, shares, err := seal.SplitUnsealKey(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := seal.GenerateHPKE()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{
		k, &k, sk, &sk, vk, &vk, ik, &ik, shares[0], &shares[0], priv, &priv,
		[]seal.Key{k},
		struct{ K seal.Key }{k},
		struct{ k seal.Key }{k},
		struct{ s seal.SubjectKey }{sk},
		struct{ v seal.VersionKey }{vk},
		struct{ i seal.IndexKey }{ik},
		struct{ u seal.UnsealShare }{shares[0]},
		struct{ h seal.HPKEPrivate }{priv},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%X", "%q", "%b"} {
			got := fmt.Sprintf(verb, v)
			if len(got) > 160 || strings.Contains(got, secret) { // 32 bytes print as 64 digits and more
				t.Errorf("Sprintf(%q, %T) leaks: %s", verb, v, got)
			}
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", slog.Any("k", k), slog.Any("sk", sk), slog.Any("vk", vk),
		slog.Any("ik", ik), slog.Any("share", shares[0]), slog.Any("priv", priv))
	for _, want := range []string{"[key]", "[subject key]", "[version key]", "[index key]", "[unseal share]", "[hpke private key]"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %s: %s", want, log.String())
		}
	}
}

func TestSelfTestPasses(t *testing.T) {
	if err := seal.SelfTest(); err != nil {
		t.Fatal(err)
	}
}

func mustSeal(tb testing.TB, k seal.Key, suite seal.Suite, plaintext string) []byte {
	tb.Helper()
	sealed, err := k.Seal(suite, []byte(plaintext), passport)
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}
