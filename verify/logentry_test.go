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

func TestReadConsistencyProvesGrowth(t *testing.T) {
	_, vkey := logSigner(t)
	open := func(l *staticLog) *verify.Checkpoint {
		cp, err := verify.OpenCheckpoint(l.files["checkpoint"], vkey, logPolicy(t, 2, 3))
		if err != nil {
			t.Fatal(err)
		}
		return cp
	}
	small, large := newStaticLog(t, 300), newStaticLog(t, 700)
	older, newer := open(small), open(large)
	if err := verify.ReadConsistency(large.fetch, older, newer); err != nil {
		t.Errorf("a log that grew: %v", err)
	}
	if err := verify.ReadConsistency(large.fetch, newer, newer); err != nil {
		t.Errorf("the same log: %v", err)
	}
	if err := verify.ReadConsistency(small.fetch, newer, older); verify.VerdictOf(err) != verify.DoesNotHold {
		t.Errorf("a log that shrank: %v", err)
	}
	forked := *older
	forked.Root[0] ^= 1
	if err := verify.ReadConsistency(large.fetch, &forked, newer); verify.VerdictOf(err) != verify.DoesNotHold {
		t.Errorf("a log with another past: %v", err)
	}
	path := verify.TilePath(0, 1, 256)
	large.files[path][40] ^= 1
	if err := verify.ReadConsistency(large.fetch, older, newer); verify.VerdictOf(err) != verify.DoesNotHold {
		t.Errorf("%s with a flipped bit: %v", path, err)
	}
	delete(large.files, path)
	if err := verify.ReadConsistency(large.fetch, older, newer); verify.VerdictOf(err) != verify.CannotTell {
		t.Errorf("without %s: %v", path, err)
	}
}
