//go:build unix

package node_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded"
	"bonded/internal/node"
	"bonded/verify"
)

func TestOlderDirectoryIsNotTakenUp(t *testing.T) {
	raw, err := os.ReadFile("../../spec/vectors/cell/cells.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := verify.ParseDirectory(raw)
	if err != nil {
		t.Fatal(err)
	}
	pub, admin, _ := ed25519.GenerateKey(rand.Reader)
	d.Admin = verify.EncodePublicKey(pub)
	path, at := filepath.Join(t.TempDir(), "cells.json"), time.Now()
	write := func(version uint64) {
		t.Helper()
		d.Version = version
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second) // of the file: each write is a change
		for name, b := range map[string][]byte{path + ".sig": verify.SignDirectory(admin, b), path: b} {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(7)
	f, err := node.OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		write, want uint64
		code        bonded.Code
	}{{6, 7, bonded.CodeRestored}, {8, 8, ""}, {7, 8, bonded.CodeRestored}, {8, 8, ""}} {
		write(step.write)
		got, err := f.Get()
		if got != step.want || (err != nil) != (step.code != "") || err != nil && bonded.CodeOf(err) != step.code {
			t.Errorf("after version %d was written: version %d, %v, want %d, %s", step.write, got, err, step.want, step.code)
		}
	}
}
