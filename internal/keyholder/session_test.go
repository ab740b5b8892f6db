package keyholder_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"

	"bonded"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// TestSessionBegunBeforeItsKeyIsReplacedIsRefused replaces the key of a grant
// while a session under the old one is being booked.
func TestSessionBegunBeforeItsKeyIsReplacedIsRefused(t *testing.T) {
	w := newWorld(t)
	c, err := w.k.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := seal.ParseHPKEPublic(w.public.HPKE)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := seal.SealTo(pub, []byte("app"), c[:], make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	o := &wire.OpenSession{Grant: "app", Challenge: c, Blob: blob}
	copy(o.Sig[:], ed25519.Sign(w.apps["app"], o.Message("eu")))
	finish := w.k.OpenSession(t.Context(), o)

	next, _, _ := ed25519.GenerateKey(nil)
	w.set.Grants[0].Key = base64.StdEncoding.EncodeToString(next)
	w.install()
	if _, err := finish(); bonded.CodeOf(err) != bonded.CodeProof {
		t.Errorf("OpenSession = %v", err)
	}
}

func TestSealingForgetsWhatTheLedgerHasShown(t *testing.T) {
	w := newWorld(t, func(w *world) { w.noLock = true })
	p := w.create()
	w.anchor()
	w.k.Seal()
	if err := w.k.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w.unlock(w.entry(verify.OpRead, p.read("name"))), bonded.CodeStale, "keyholder.start-check")
	w.anchor()
	if res := w.unlock(w.entry(verify.OpRead, p.read("name"))); res.Entries[0].Code != "" {
		t.Errorf("after an anchor: %q", res.Entries[0].Rule)
	}
}

func TestVaultRotatesAtMostOnceAMinute(t *testing.T) {
	w := newWorld(t)
	rotate := func() error {
		_, err := w.k.Handle(t.Context(), wire.MsgRotate, nil)()
		return err
	}
	if err := rotate(); err != nil {
		t.Fatal(err)
	}
	if err := w.k.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rotate(); bonded.CodeOf(err) != bonded.CodeBusy {
		t.Errorf("again: %v", err)
	}
	if err := w.k.Rotate(t.Context()); err != nil {
		t.Errorf("its own operator: %v", err)
	}
}
