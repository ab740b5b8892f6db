//go:build unix

package bondedtest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bonded/bondedtest"
	"bonded/internal/foundation"
	"bonded/verify"
)

// TestE2EDirectoryNeedsTheCustodians runs a cell whose custodians have held
// their ceremony: from then on the administrator alone changes no directory.
func TestE2EDirectoryNeedsTheCustodians(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell(), bondedtest.FrontDoor())
	f := foundation.New(d.Deployment, bondedtest.Binaries(t), "eu")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	admin, err := f.Admin()
	must(t, err)
	must(t, f.MakeCustodians(ctx))
	_, err = f.Ceremony(ctx, admin)
	must(t, err)
	poll(t, "the keyholder to know the custodians", func() error {
		code, out := program(t, "bonded-keyholder", "status", d.Layout.Keyholder("eu"))
		if code != 0 || !strings.Contains(out, "epoch 1,") {
			return fmt.Errorf("its status, %d, is %s", code, out)
		}
		return nil
	})

	// 1. The administrator's signature alone: neither party takes it.
	next := *d.Directory
	next.Version++
	file := next.Encode()
	seed, err := os.ReadFile(filepath.Join(d.Layout.Admin(), "admin.key"))
	must(t, err)
	put := func(dir string) {
		t.Helper()
		must(t, os.WriteFile(filepath.Join(dir, "cells.json.sig"), verify.SignDirectory(ed25519.NewKeyFromSeed(seed), file), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "cells.json"), file, 0o600))
	}
	draft := t.TempDir()
	for _, dir := range []string{draft, d.Layout.Keyholder("eu"), d.Layout.Vault("eu")} {
		put(dir)
	}
	waitLog(t, d, "eu/vault", "the approvals of the custodians cannot be read")
	waitLog(t, d, "eu/keyholder", "no evidence was shown")

	// 2. Custodians look at what changes and sign; below the quorum it is no use.
	path, out := filepath.Join(draft, "cells.json"), filepath.Join(draft, "cells.json.approvals")
	sign := func(id string) string {
		t.Helper()
		to := filepath.Join(draft, id)
		said, err := f.Custodian(ctx, id, "directory", "approve", d.Layout.Custodian("eu", id), path, "-f", to)
		must(t, err)
		if !strings.Contains(said, "version") || !strings.Contains(said, "-> ") {
			t.Errorf("the custodian was shown %q", said)
		}
		return to
	}
	files := []string{sign("firm-1"), sign("independent-2")}
	assemble := func() (int, string) {
		return program(t, "bonded", append([]string{"custodians", "directory", "assemble", "--dir", d.Layout.Dir, "-f", out}, files...)...)
	}
	if code, said := assemble(); code == 0 || !strings.Contains(said, "role firm has 1 of 2 approvals") {
		t.Errorf("below the quorum: %d %s", code, said)
	}
	below, err := os.ReadFile(files[0])
	must(t, err)
	approvals := filepath.Join(d.Layout.Vault("eu"), "cells.json.approvals")
	must(t, os.WriteFile(approvals, below, 0o600))
	waitLog(t, d, "eu/vault", "not approved by the quorum of the custodians in force")
	if _, err := f.Custodian(ctx, "firm-1", "directory", d.Layout.Custodian("eu", "firm-1"), path); err == nil {
		t.Error("a custodian goes by a directory that nobody has approved")
	}
	if bytes.Equal(servedDirectory(t, d), file) {
		t.Error("the vault serves a directory that nobody has approved")
	}

	// 3. With the quorum it is announced, and in force at both.
	files = append(files, sign("firm-3"))
	if code, said := assemble(); code != 0 {
		t.Fatalf("assemble: %d %s", code, said)
	}
	quorum, err := os.ReadFile(out)
	must(t, err)
	must(t, os.WriteFile(approvals, quorum, 0o600))
	poll(t, "the directory to be in force", func() error {
		if !bytes.Equal(servedDirectory(t, d), file) {
			return errors.New("the vault serves another directory")
		}
		return nil
	})
	booked(t, d, "directory 2 entry ")
	if said, err := f.Custodian(ctx, "firm-1", "directory", d.Layout.Custodian("eu", "firm-1"), path); err != nil || !strings.Contains(said, "version 2 is in force here") {
		t.Errorf("the custodian said %q: %v", said, err)
	}

	// 4. Whoever has the files can show who approved it.
	cell, _ := d.Directory.Cell("eu")
	evidence, err := os.ReadFile(filepath.Join(d.Layout.Vault("eu"), "cells.json.evidence"))
	must(t, err)
	a, err := verify.CheckEvidence(evidence, verify.ControlDirectory, verify.DirectoryDigest(file), cell)
	must(t, err)
	list, err := verify.ParseDirectoryApprovals(quorum)
	must(t, err)
	if sum := verify.DirectoryApprovalsDigest("eu", list); len(list) != 3 || !bytes.Equal(a.Approvals, sum[:]) {
		t.Errorf("the ledger names other approvals than the %d that stand beside the directory", len(list))
	}

	// 5. It outlives a restart of both.
	stop(t, d, "eu/vault", "eu/keyholder")
	restart(t, d, "eu/keyholder", "eu/vault")
	ready(t, d)
	if !bytes.Equal(servedDirectory(t, d), file) {
		t.Error("after a restart the vault serves another directory")
	}
}
