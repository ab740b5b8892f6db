package drivertest

import (
	"bytes"
	"sync"
	"testing"

	"bonded"
	"bonded/internal/keyholder"
)

// A Subject is a driver under test. New returns a locked driver over the same
// key each time, and Unlock unlocks it.
type Subject struct {
	New    func(t *testing.T) keyholder.Driver
	Unlock func(t *testing.T, d keyholder.Driver)
	Wrong  func(t *testing.T, d keyholder.Driver) error // tries to unlock it with a wrong secret
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	unlocked := func(t *testing.T) keyholder.Driver {
		t.Helper()
		d := s.New(t)
		s.Unlock(t, d)
		return d
	}
	secret := []byte("0123456789abcdef0123456789abcdef")

	t.Run("starts locked and opens nothing", func(t *testing.T) {
		d := s.New(t)
		if d.Unlocked() {
			t.Error("it is unlocked")
		}
		if _, err := d.Seal(t.Context(), "a", secret); bonded.CodeOf(err) != bonded.CodeSealed {
			t.Errorf("Seal = %v", err)
		}
		if _, err := d.Open(t.Context(), "a", []byte("x")); bonded.CodeOf(err) != bonded.CodeSealed {
			t.Errorf("Open = %v", err)
		}
	})
	t.Run("stays locked under a wrong secret", func(t *testing.T) {
		d := s.New(t)
		if err := s.Wrong(t, d); bonded.CodeOf(err) != bonded.CodeUnauthenticated {
			t.Errorf("unlock = %v", err)
		}
		if d.Unlocked() {
			t.Error("it is unlocked")
		}
	})
	t.Run("opens what it sealed, in another process as well", func(t *testing.T) {
		sealed, err := unlocked(t).Seal(t.Context(), "a", secret)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, secret) {
			t.Error("the secret shows")
		}
		got, err := unlocked(t).Open(t.Context(), "a", sealed)
		if err != nil || !bytes.Equal(got, secret) {
			t.Errorf("Open = %v", err)
		}
	})
	t.Run("seals the same twice to different bytes", func(t *testing.T) {
		d := unlocked(t)
		a, err1 := d.Seal(t.Context(), "a", secret)
		b, err2 := d.Seal(t.Context(), "a", secret)
		if err1 != nil || err2 != nil || bytes.Equal(a, b) {
			t.Errorf("equal, or %v, %v", err1, err2)
		}
	})
	t.Run("refuses another label and every flipped bit", func(t *testing.T) {
		d := unlocked(t)
		sealed, err := d.Seal(t.Context(), "a", secret)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Open(t.Context(), "b", sealed); bonded.CodeOf(err) != bonded.CodeAltered {
			t.Errorf("other label: %v", err)
		}
		for i := range len(sealed) {
			bad := bytes.Clone(sealed)
			bad[i] ^= 0x40
			if _, err := d.Open(t.Context(), "a", bad); bonded.CodeOf(err) != bonded.CodeAltered {
				t.Errorf("byte %d flipped: %v", i, err)
			}
		}
		if _, err := d.Open(t.Context(), "a", nil); bonded.CodeOf(err) != bonded.CodeAltered {
			t.Errorf("nothing: %v", err)
		}
	})
	t.Run("forgets its key when locked", func(t *testing.T) {
		d := unlocked(t)
		sealed, err := d.Seal(t.Context(), "a", secret)
		if err != nil {
			t.Fatal(err)
		}
		d.Lock()
		if _, err := d.Open(t.Context(), "a", sealed); bonded.CodeOf(err) != bonded.CodeSealed || d.Unlocked() {
			t.Errorf("Open = %v", err)
		}
		s.Unlock(t, d)
		if _, err := d.Open(t.Context(), "a", sealed); err != nil {
			t.Errorf("after unlocking again: %v", err)
		}
	})
	t.Run("serves many at once", func(t *testing.T) {
		d := unlocked(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				sealed, err := d.Seal(t.Context(), "a", secret)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := d.Open(t.Context(), "a", sealed); err != nil || !bytes.Equal(got, secret) {
					t.Errorf("Open = %v", err)
				}
			})
		}
		wg.Wait()
	})
}
