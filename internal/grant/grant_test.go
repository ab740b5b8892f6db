package grant_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"bonded"
	"bonded/internal/grant"
	"bonded/verify"
)

func sample(t testing.TB) (*grant.Set, ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	return &grant.Set{
		Format: grant.Format, Cell: "eu", Number: 7, Issued: now,
		Grants: []grant.Grant{{
			ID: "svc-orders", Key: verify.EncodePublicKey(pub), Location: "eu", Roles: []string{"app"},
			Purposes: []bonded.Purpose{"service"}, Scope: map[string][]string{"users": {"name", "email"}, "payments": {"*"}},
			Budget: 10, NotBefore: now, NotAfter: now.Add(time.Hour),
		}},
	}, pub, priv
}

func TestOpenReadsWhatSignWrote(t *testing.T) {
	s, pub, priv := sample(t)
	file, err := grant.Sign(s, priv)
	if err != nil {
		t.Fatal(err)
	}
	got, err := grant.Open(file, pub)
	if err != nil {
		t.Fatal(err)
	}
	if got.Number != 7 || len(got.Grants) != 1 || got.Grants[0].ID != "svc-orders" {
		t.Errorf("Open(Sign(set)) = %+v", got)
	}
}

func TestOpenRefusesAnyAlteration(t *testing.T) {
	s, pub, priv := sample(t)
	file, err := grant.Sign(s, priv)
	if err != nil {
		t.Fatal(err)
	}
	var signed grant.Signed
	if err := json.Unmarshal(file, &signed); err != nil {
		t.Fatal(err)
	}
	for i := range signed.Set {
		torn := grant.Signed{Set: bytes.Clone(signed.Set), Signature: signed.Signature}
		torn.Set[i] ^= 1
		b, err := json.Marshal(torn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := grant.Open(b, pub); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Fatalf("byte %d altered: %v, want bad_config", i, err)
		}
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := grant.Open(file, other); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("signed by somebody else: %v, want bad_config", err)
	}
}

func TestOpenRefusesGrantsThatSayTooLittle(t *testing.T) {
	for name, spoil := range map[string]func(*grant.Set){
		"no number":             func(s *grant.Set) { s.Number = 0 },
		"no budget":             func(s *grant.Set) { s.Grants[0].Budget = 0 },
		"no location":           func(s *grant.Set) { s.Grants[0].Location = "" },
		"ends before it begins": func(s *grant.Set) { s.Grants[0].NotAfter = s.Grants[0].NotBefore },
		"could never ask":       func(s *grant.Set) { s.Grants[0].Key = "" },
		"key is no key":         func(s *grant.Set) { s.Grants[0].Key = "AAAA" },
		"named twice":           func(s *grant.Set) { s.Grants = append(s.Grants, s.Grants[0]) },
		"malformed id":          func(s *grant.Set) { s.Grants[0].ID = "Svc Orders" },
	} {
		t.Run(name, func(t *testing.T) {
			s, pub, priv := sample(t)
			spoil(s)
			if _, err := grant.Sign(s, priv); bonded.CodeOf(err) != bonded.CodeConfig {
				t.Errorf("Sign = %v, want bad_config", err)
			}
			// Signed by other means it is refused all the same.
			set, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256(set)
			file, err := json.Marshal(grant.Signed{Set: set, Signature: ed25519.Sign(priv, append([]byte("bonded/grants-signature/1"), digest[:]...))})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := grant.Open(file, pub); bonded.CodeOf(err) != bonded.CodeConfig {
				t.Errorf("Open = %v, want bad_config", err)
			}
		})
	}
}

func TestCoversOnlyTheScope(t *testing.T) {
	s, _, _ := sample(t)
	g := &s.Grants[0]
	for at, want := range map[[2]string]bool{
		{"users", "name"}: true, {"users", "phone"}: false, {"payments", "iban"}: true, {"staff", "name"}: false, {"users", "*"}: false,
	} {
		if got := g.Covers(at[0], at[1]); got != want {
			t.Errorf("Covers(%s, %s) = %v", at[0], at[1], got)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s, pub, priv := sample(f)
	file, err := grant.Sign(s, priv)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte(`{"set":"e30=","signature":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := grant.Open(b, pub); err == nil && got.Number != 7 {
			t.Error("opened a set that nobody signed")
		}
	})
}
