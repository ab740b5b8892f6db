package recipient_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/internal/seal"
)

func TestKeyIsReadBackAsMade(t *testing.T) {
	p, k, err := recipient.New()
	if err != nil {
		t.Fatal(err)
	}
	again, err := recipient.Parse(k.Bytes())
	if err != nil || len(k.Bytes()) != recipient.Size || again.Digest() != k.Digest() || !p.Of(again) {
		t.Fatal(err)
	}
	b, err := p.Bytes()
	if err != nil || len(b) != recipient.PrivateSize {
		t.Fatal(err)
	}
	q, err := recipient.ParsePrivate(b)
	if err != nil || !q.Of(k) {
		t.Fatal(err)
	}
	sealed, err := seal.SealTo(k.Seal, []byte("info"), []byte("aad"), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.OpenFrom(q.Seal, []byte("info"), []byte("aad"), sealed); err != nil || string(got) != "secret" {
		t.Error(err)
	}
	q.Erase()
	if q.Of(k) {
		t.Error("an erased key is still one")
	}
}

func TestHalvesOfTwoKeysAreNoKey(t *testing.T) {
	_, a, _ := recipient.New()
	p, b, _ := recipient.New()
	mixed := append(slices.Clone(a.Bytes()[:1+seal.HPKEPublicSize]), b.Bytes()[1+seal.HPKEPublicSize:]...)
	if _, err := recipient.Parse(mixed); bonded.CodeOf(err) != bonded.CodeProof {
		t.Errorf("err = %v", err)
	}
	if p.Of(a) {
		t.Error("a key is of another's private side")
	}
}

// Every bit counts: the proof covers both halves.
func TestNoFlippedBitIsAKey(t *testing.T) {
	_, k, err := recipient.New()
	if err != nil {
		t.Fatal(err)
	}
	b := k.Bytes()
	for i := range b {
		b[i] ^= 1 << (i % 8)
		if _, err := recipient.Parse(b); bonded.CodeOf(err) != bonded.CodeInvalid && bonded.CodeOf(err) != bonded.CodeProof {
			t.Fatalf("byte %d: %v", i, err)
		}
		b[i] ^= 1 << (i % 8)
	}
	for _, n := range []int{0, 1, len(b) - 1} {
		if _, err := recipient.Parse(b[:n]); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestReleaseBindsPartialsToTheKey(t *testing.T) {
	_, k, _ := recipient.New()
	r := k.Release(bonded.ID{1}, [32]byte{2})
	if err := r.Recipient.Check(r.Context); err != nil || len(r.Context) > quorum.MaxContext {
		t.Error(err, len(r.Context))
	}
}

func TestOfficerFileOpensUnderItsPassphrase(t *testing.T) {
	o, err := recipient.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	for _, pass := range [][]byte{nil, []byte("correct horse")} {
		b, err := o.Encode(pass)
		if err != nil {
			t.Fatal(err)
		}
		if sealed, err := recipient.OfficerSealed(b); err != nil || sealed != (pass != nil) {
			t.Error(sealed, err)
		}
		again, err := recipient.ParseOfficer(b, pass)
		if err != nil || !again.Signing.Equal(o.Signing) || again.Key.Digest() != o.Key.Digest() {
			t.Fatal(err)
		}
		if pass == nil {
			continue
		}
		if strings.Contains(string(b), `"secret"`) {
			t.Error("a sealed file has a secret in clear")
		}
		_, err = recipient.ParseOfficer(b, []byte("wrong"))
		if bonded.CodeOf(err) != bonded.CodeConfig {
			t.Error(err)
		}
	}
}

func TestOfficerFilesThatWereChangedAreRefused(t *testing.T) {
	o, _ := recipient.NewOfficer()
	other, _ := recipient.NewOfficer()
	b, err := o.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		f(m)
		out, _ := json.Marshal(m)
		return out
	}
	for name, file := range map[string][]byte{
		"nothing":                 nil,
		"no JSON":                 []byte("key"),
		"another format":          change(func(m map[string]any) { m["format"] = "bonded/officer-key/2" }),
		"an unknown member":       change(func(m map[string]any) { m["more"] = 1 }),
		"no secret":               change(func(m map[string]any) { delete(m, "secret") }),
		"a short secret":          change(func(m map[string]any) { m["secret"] = []byte{1} }),
		"somebody else's public":  change(func(m map[string]any) { m["recipient"] = other.Key.Bytes() }),
		"a public that is none":   change(func(m map[string]any) { m["recipient"] = []byte{1} }),
		"both sealed and in open": change(func(m map[string]any) { m["sealed"] = []byte{1} }),
	} {
		if _, err := recipient.ParseOfficer(file, nil); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
	var pub bytes.Buffer
	if err := o.Public().Write(&pub); err != nil {
		t.Fatal(err)
	}
	if _, err := recipient.ParseOfficerPublic(pub.Bytes()); err != nil {
		t.Error(err)
	}
	for name, swap := range map[string][2]string{
		"another digest": {o.Public().Digest, other.Public().Digest},
		"another format": {recipient.FormatOfficer, "bonded/officer/2"},
		"no key":         {o.Public().Key, "AAAA"},
	} {
		if _, err := recipient.ParseOfficerPublic(bytes.Replace(pub.Bytes(), []byte(swap[0]), []byte(swap[1]), 1)); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	o, _ := recipient.NewOfficer()
	b, _ := o.Private.Bytes()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		s := fmt.Sprintf(verb, *o.Private) + fmt.Sprintf(verb, o.Private) + fmt.Sprintf(verb, struct{ p recipient.Private }{*o.Private})
		if strings.Contains(s, fmt.Sprintf("%x", b[1:9])) || !strings.Contains(s, "[recipient key]") {
			t.Errorf("%s prints %q", verb, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, k, err := recipient.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Bytes())
	f.Add(make([]byte, recipient.Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := recipient.Parse(b)
		if err == nil && !bytes.Equal(k.Bytes(), b) {
			t.Fatal("two spellings")
		}
	})
}

func FuzzParseOfficer(f *testing.F) {
	o, err := recipient.NewOfficer()
	if err != nil {
		f.Fatal(err)
	}
	b, err := o.Encode(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := recipient.ParseOfficer(b, nil); err == nil && !o.Private.Of(o.Key) {
			t.Fatal("halves do not belong together")
		}
	})
}
