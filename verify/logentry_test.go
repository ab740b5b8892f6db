package verify_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"bonded/verify"
)

func TestReadEntryProvesEveryEntry(t *testing.T) {
	_, vkey := logSigner(t)
	for _, n := range []int64{1, 2, 256, 257, 700} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			l := newStaticLog(t, n)
			cp, err := verify.OpenCheckpoint(l.files["checkpoint"], vkey, logPolicy(t, 2, 3))
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if got, err := verify.ReadEntry(l.fetch, cp, i); err != nil || !bytes.Equal(got, l.entries[i]) {
					t.Fatalf("entry %d: %q, %v", i, got, err)
				}
			}
			for _, i := range []int64{-1, n} {
				if _, err := verify.ReadEntry(l.fetch, cp, i); verify.VerdictOf(err) != verify.CannotTell {
					t.Errorf("entry %d: %v", i, err)
				}
			}
		})
	}
}

func TestReadEntryFindsWhatWasChanged(t *testing.T) {
	_, vkey := logSigner(t)
	l := newStaticLog(t, 300)
	cp, err := verify.OpenCheckpoint(l.files["checkpoint"], vkey, logPolicy(t, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{verify.BundlePath(0, 256), verify.TilePath(0, 0, 256)} {
		good := l.files[path]
		l.files[path] = slices.Clone(good)
		l.files[path][40] ^= 1 // of entry 4, or of the hash of entry 1 beside it
		if _, err := verify.ReadEntry(l.fetch, cp, 4); verify.VerdictOf(err) != verify.DoesNotHold {
			t.Errorf("%s with a flipped bit: %v", path, err)
		}
		delete(l.files, path)
		if _, err := verify.ReadEntry(l.fetch, cp, 4); verify.VerdictOf(err) != verify.CannotTell {
			t.Errorf("without %s: %v", path, err)
		}
		l.files[path] = good
	}
}
