package keyholder_test

import (
	"crypto/ed25519"
	"testing"

	"bonded"
	"bonded/verify"
)

func TestDirectoryThatChangesWhoIsTrustedIsNotTakenUp(t *testing.T) {
	w := newWorld(t)
	stranger, _, _ := ed25519.GenerateKey(nil)
	next := func(change func(*verify.Directory)) *verify.Directory {
		d := *w.cells
		d.Version = 2
		d.Cells = append([]verify.DirectoryCell(nil), w.cells.Cells...)
		change(&d)
		return &d
	}
	try := func(change func(*verify.Directory)) error {
		d := *next(change)
		return w.k.SetTrust(w.trust(&d, nil, false))
	}
	for name, change := range map[string]func(*verify.Directory){
		"another administrator": func(d *verify.Directory) { d.Admin = verify.EncodePublicKey(stranger) },
		"another ledger":        func(d *verify.Directory) { d.Cells[0].LedgerKey += "x" },
		"another keyholder":     func(d *verify.Directory) { d.Cells[0].KeyholderKey = verify.EncodePublicKey(stranger) },
		"another suite":         func(d *verify.Directory) { d.Cells[0].Suite = "sm4-gcm" },
		"an older version":      func(d *verify.Directory) { d.Version = 0 },
		"no such cell":          func(d *verify.Directory) { d.Cells[0].ID = "us" },
		"no witnesses":          func(d *verify.Directory) { d.Cells[0].WitnessPolicy = "" },
	} {
		if err := try(change); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := w.create() // what was in force still is
	plain := next(func(*verify.Directory) {})
	if err := try(func(*verify.Directory) {}); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("the next version without evidence: %v", err)
	}
	if _, err := w.k.Evidence(t.Context(), w.announce(verify.ControlDirectory, 2, verify.DirectoryDigest(plain.Encode())))(); err != nil {
		t.Fatal(err)
	}
	if err := try(func(*verify.Directory) {}); err != nil {
		t.Fatal(err)
	}
	if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Errorf("under the next version: %q", res.Entries[0].Rule)
	}
}
