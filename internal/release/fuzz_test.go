package release_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded/internal/release"
	"bonded/verify"
)

func vectorFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzPackage: whatever the bytes, a check ends in a failure with a code, or
// they are those of the vector.
func FuzzPackage(f *testing.F) {
	good, dir := vectorFile(f, "case.bonded"), vectorFile(f, "cells.json")
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(verify.PackageMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := release.Check(bytes.NewReader(b), int64(len(b)), dir, made.Add(time.Hour))
		if fail := verify.FailureOf(err); err == nil && !bytes.Equal(b, good) || err != nil && (fail == nil || fail.Code == "") {
			t.Fatalf("err = %v", err)
		}
	})
}

// FuzzSection: what a section's reader takes, it writes again the same.
func FuzzSection(f *testing.F) {
	for _, s := range apart(f, vectorFile(f, "case.bonded")) {
		f.Add(byte(s.kind), s.b)
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		var again []byte
		switch verify.PackageSection(kind) {
		case verify.SectionManifest:
			if m, err := verify.ParsePackageManifest(b); err == nil {
				again = m.Encode()
			}
		case verify.SectionItem:
			if it, _, err := verify.ParsePackageItem(b); err == nil {
				again = it.Encode()
			}
		case verify.SectionEnd:
			if e, err := verify.ParsePackageEnd(b); err == nil {
				again = e.Encode()
			}
		case verify.SectionQuorum, verify.SectionOpening:
			if e, err := verify.ParsePackageEntry(b); err == nil { // JSON inside has many spellings
				x, err := verify.ParsePackageEntry(e.Encode())
				if err != nil || string(mustJSON(t, x)) != string(mustJSON(t, e)) {
					t.Fatal("two readings")
				}
			}
		case verify.SectionCustody:
			if e, err := verify.ParsePackageCustody(b); err == nil {
				x, err := verify.ParsePackageCustody(e.Encode())
				if err != nil || string(mustJSON(t, x)) != string(mustJSON(t, e)) {
					t.Fatal("two readings")
				}
			}
		case verify.SectionRegistry:
			if e, err := verify.ParsePackageRegistry(b); err == nil {
				x, err := verify.ParsePackageRegistry(e.Encode())
				if err != nil || string(mustJSON(t, x)) != string(mustJSON(t, e)) {
					t.Fatal("two readings")
				}
			}
		case verify.SectionCeremony, verify.SectionRequest, verify.SectionScope, verify.SectionApproval, verify.SectionReceipt:
		}
		if again != nil && !bytes.Equal(again, b) {
			t.Fatalf("two spellings:\n%x\n%x", again, b)
		}
	})
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
