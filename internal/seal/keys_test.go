package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"bonded"
	"bonded/internal/seal"
)

func TestWrapOpensOnlyForItsPlace(t *testing.T) {
	onEachSuite(t, func(t *testing.T, suite seal.Suite) {
		sk, cellKey, subject := seal.NewSubjectKey(), seal.NewKey(), bonded.ID{1}
		wrapped, err := sk.Wrap(suite, cellKey, "cn", subject, 3)
		if err != nil {
			t.Fatal(err)
		}
		got, err := seal.UnwrapSubjectKey(suite, cellKey, "cn", subject, 3, wrapped)
		if err != nil {
			t.Fatal(err)
		}
		if want := fieldKey(sk, suite); !bytes.Equal(fieldKey(got, suite), want) {
			t.Error("unwrapped key derives another field key")
		}
		other := seal.AES256GCM + seal.SM4GCM - suite
		for name, unwrap := range map[string]func() (seal.SubjectKey, error){
			"other cell key": func() (seal.SubjectKey, error) {
				return seal.UnwrapSubjectKey(suite, seal.NewKey(), "cn", subject, 3, wrapped)
			},
			"other cell": func() (seal.SubjectKey, error) {
				return seal.UnwrapSubjectKey(suite, cellKey, "eu", subject, 3, wrapped)
			},
			"other subject": func() (seal.SubjectKey, error) {
				return seal.UnwrapSubjectKey(suite, cellKey, "cn", bonded.ID{2}, 3, wrapped)
			},
			"other cell key version": func() (seal.SubjectKey, error) {
				return seal.UnwrapSubjectKey(suite, cellKey, "cn", subject, 4, wrapped)
			},
			"other suite": func() (seal.SubjectKey, error) {
				return seal.UnwrapSubjectKey(other, cellKey, "cn", subject, 3, wrapped)
			},
			"zero cell key": func() (seal.SubjectKey, error) {
				return seal.UnwrapSubjectKey(suite, seal.Key{}, "cn", subject, 3, wrapped)
			},
			"truncated": func() (seal.SubjectKey, error) {
				return seal.UnwrapSubjectKey(suite, cellKey, "cn", subject, 3, wrapped[:60])
			},
		} {
			if got, err := unwrap(); !errors.Is(err, seal.ErrOpen) || got.Valid() {
				t.Errorf("%s: err = %v, want ErrOpen", name, err)
			}
		}
		for i := range len(wrapped) * 8 {
			torn := bytes.Clone(wrapped)
			torn[i/8] ^= 1 << (i % 8)
			if _, err := seal.UnwrapSubjectKey(suite, cellKey, "cn", subject, 3, torn); !errors.Is(err, seal.ErrOpen) {
				t.Fatalf("bit %d flipped: err = %v, want ErrOpen", i, err)
			}
		}
	})
}

func fieldKey(sk seal.SubjectKey, suite seal.Suite) []byte {
	return sk.VersionKey(suite, "cn", "users", bonded.ID{2}, bonded.ID{3}).FieldKey("name").Bytes()
}

func TestFieldKeysDifferInEveryInput(t *testing.T) {
	sk := seal.NewSubjectKey()
	r, v := bonded.ID{2}, bonded.ID{3}
	seen := make(map[string]string)
	for name, k := range map[string]seal.Key{
		"base":             sk.VersionKey(seal.AES256GCM, "cn", "users", r, v).FieldKey("name"),
		"other suite":      sk.VersionKey(seal.SM4GCM, "cn", "users", r, v).FieldKey("name"),
		"other cell":       sk.VersionKey(seal.AES256GCM, "eu", "users", r, v).FieldKey("name"),
		"other collection": sk.VersionKey(seal.AES256GCM, "cn", "user", r, v).FieldKey("name"),
		"other record":     sk.VersionKey(seal.AES256GCM, "cn", "users", v, v).FieldKey("name"),
		"other version":    sk.VersionKey(seal.AES256GCM, "cn", "users", r, r).FieldKey("name"),
		"other field":      sk.VersionKey(seal.AES256GCM, "cn", "users", r, v).FieldKey("email"),
		"shifted boundary": sk.VersionKey(seal.AES256GCM, "cnu", "sers", r, v).FieldKey("name"),
		"other subject":    seal.NewSubjectKey().VersionKey(seal.AES256GCM, "cn", "users", r, v).FieldKey("name"),
	} {
		b := k.Bytes()
		if b == nil {
			t.Fatalf("%s: no key", name)
		}
		if twin, ok := seen[string(b)]; ok {
			t.Errorf("%s and %s give the same key", name, twin)
		}
		seen[string(b)] = name
	}
}

func TestUnknownSuiteAndWipedParentDeriveNothing(t *testing.T) {
	sk := seal.NewSubjectKey()
	if sk.VersionKey(0, "cn", "users", bonded.ID{1}, bonded.ID{2}).FieldKey("name").Valid() {
		t.Error("suite 0 derives a key")
	}
	vk := sk.VersionKey(seal.AES256GCM, "cn", "users", bonded.ID{1}, bonded.ID{2})
	kept := vk.FieldKey("name")
	vk.Wipe()
	if vk.FieldKey("name").Valid() {
		t.Error("a wiped version key derives a key")
	}
	if !kept.Valid() {
		t.Error("wiping the version key wiped a field key taken before")
	}
	sk.Wipe()
	if sk.Valid() || sk.VersionKey(seal.AES256GCM, "cn", "users", bonded.ID{1}, bonded.ID{2}).FieldKey("name").Valid() {
		t.Error("a wiped subject key derives a key")
	}
	if _, err := sk.Wrap(seal.AES256GCM, seal.NewKey(), "cn", bonded.ID{1}, 1); !errors.Is(err, seal.ErrKey) {
		t.Errorf("Wrap of a wiped subject key: err = %v, want ErrKey", err)
	}
}

func TestIndexSumsDifferInEveryInput(t *testing.T) {
	master, data := seal.NewKey(), []byte("maria@example.com")
	seen := make(map[[seal.IndexSize]byte]string)
	for name, k := range map[string]seal.IndexKey{
		"inner":            seal.InnerIndexKey(master, seal.AES256GCM, "users", "email"),
		"outer":            seal.OuterIndexKey(master, seal.AES256GCM, "users", "email"),
		"inner on SM3":     seal.InnerIndexKey(master, seal.SM4GCM, "users", "email"),
		"outer on SM3":     seal.OuterIndexKey(master, seal.SM4GCM, "users", "email"),
		"other collection": seal.InnerIndexKey(master, seal.AES256GCM, "user", "email"),
		"other field":      seal.InnerIndexKey(master, seal.AES256GCM, "users", "phone"),
		"shifted boundary": seal.InnerIndexKey(master, seal.AES256GCM, "userse", "mail"),
		"other master":     seal.InnerIndexKey(seal.NewKey(), seal.AES256GCM, "users", "email"),
	} {
		sum := k.Sum(data)
		if k.Sum(data) != sum {
			t.Errorf("%s: two sums of one value differ", name)
		}
		if twin, ok := seen[sum]; ok {
			t.Errorf("%s and %s give the same sum", name, twin)
		}
		seen[sum] = name
	}
}

func TestIndexSumRefusesAWipedKey(t *testing.T) {
	k := seal.InnerIndexKey(seal.NewKey(), seal.AES256GCM, "users", "email")
	k.Wipe()
	defer func() {
		if recover() == nil {
			t.Error("a wiped key sums")
		}
	}()
	k.Sum([]byte("x"))
}

// TestDerivationsAccumulated pins 10,000 derivations by one hash, so that no
// change to any of them passes unseen. After the accumulated test of
// filippo.io/xaes256gcm.
func TestDerivationsAccumulated(t *testing.T) {
	for suite, want := range map[seal.Suite]string{
		seal.AES256GCM: "2e442cf4c5d31df71992589fddad79e42f9be02cf09cda7f0adb376bcc7378cc",
		seal.SM4GCM:    "3dfb0116a2608067495680d4ff6010610471750cc386a8abb0c607e92324858e",
	} {
		t.Run(suite.String(), func(t *testing.T) {
			random := rand.NewChaCha8([32]byte([]byte("bonded/seal derivation vectors 1")))
			sum := sha256.New()
			for range 10_000 {
				sum.Write(derivationCase(t, suite, random))
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != want {
				t.Errorf("accumulated hash %s, want %s", got, want)
			}
		})
	}
}

// derivationCase draws one set of inputs and returns field key ‖ inner sum ‖
// outer sum.
func derivationCase(t *testing.T, suite seal.Suite, random *rand.ChaCha8) []byte {
	t.Helper()
	draw := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	name := func() string { return "n" + hex.EncodeToString(draw(int(draw(1)[0]%24))) }
	// The way to a subject key with known bytes is to unwrap one.
	sk, cellKey := draw(32), draw(32)
	cell, subject, record, version := bonded.CellID("c"+hex.EncodeToString(draw(2))), bonded.ID(draw(16)), bonded.ID(draw(16)), bonded.ID(draw(16))
	n := binary.BigEndian.Uint32(draw(4))
	wrapped := wrapByHand(t, suite, cellKey, string(cell), subject, n, sk, draw(12))
	s, err := seal.UnwrapSubjectKey(suite, mustKey(t, cellKey), cell, subject, n, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	collection, field, data := name(), name(), draw(int(draw(1)[0]))
	out := s.VersionKey(suite, cell, collection, record, version).FieldKey(field).Bytes()
	inner := seal.InnerIndexKey(mustKey(t, cellKey), suite, collection, field).Sum(data)
	outer := seal.OuterIndexKey(mustKey(t, cellKey), suite, collection, field).Sum(inner[:])
	rvk := expandByHand(suite, sk, lp("bonded/rv/1", string(cell), collection, string(record[:]), string(version[:])))
	checkBytes(t, "field key", out, expandByHand(suite, rvk, lp("bonded/f/1", field)))
	return append(append(out, inner[:]...), outer[:]...)
}

func mustKey(tb testing.TB, b []byte) seal.Key {
	tb.Helper()
	k, err := seal.KeyFromBytes(b)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}
