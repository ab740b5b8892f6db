package keyholder_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"bonded"
	"bonded/verify"
)

func TestLoweredCeilingsBindInstalledGrants(t *testing.T) {
	w := newWorld(t)
	p, q := w.create(), w.create()
	w.anchor()
	w.limits.AllowBearer, w.limits.MaxBudget, w.limits.MaxValidity = false, 1, 24*time.Hour
	w.restart()
	w.anchor()
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeBearerForbidden, "keyholder.bearer")
	session, key, _ := openSession(t, w, "sessions-only")
	counter := uint64(0)
	proven := func(p person) bonded.Code {
		e := w.entry(verify.OpRead, p.read("name"))
		e.Auth.Principal = "sessions-only"
		counter++
		prove(&e, session, key, counter, nil)
		return w.unlock(e).Entries[0].Code
	}
	if a, b := proven(p), proven(q); a != "" || b != bonded.CodeBudget {
		t.Errorf("two people under a ceiling of one: %q and %q", a, b)
	}
	w.pass(25 * time.Hour)
	w.anchor()
	if c := proven(p); c != bonded.CodeKeyholderRefused {
		t.Errorf("after the longest validity: %q", c)
	}
}

func TestNewAdministratorFindsNoGrantsInstalled(t *testing.T) {
	w := newWorld(t)
	p := w.create()
	w.anchor()
	w.k.Close()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	cells := *w.cells
	cells.Version++
	_, w.admin, _ = ed25519.GenerateKey(nil)
	cells.Admin = verify.EncodePublicKey(w.admin.Public().(ed25519.PublicKey))
	w.cells = &cells
	w.openStore()
	w.start()
	if st := w.status(); st.GrantSet != 0 || st.Reason == "" {
		t.Errorf("grant set %d is in force, reason %q", st.GrantSet, st.Reason)
	}
	w.anchor()
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeKeyholderRefused, "keyholder.grant-unknown")

	// Its own set must have a higher number.
	number := w.set.Number
	file, err := w.signed(number)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.k.InstallGrants(t.Context(), file, nil); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("a set with the number of the one before: %v", err)
	}
	w.set.Number = number
	w.install()
	if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Errorf("under its own set: %q", res.Entries[0].Rule)
	}
}
