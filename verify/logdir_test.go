package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

func checkStatic(t *testing.T, l *staticLog, opts verify.LogOptions) (*verify.LogReport, error) {
	t.Helper()
	_, vkey := logSigner(t)
	return verify.CheckLog(l.fetch, vkey, logPolicy(t, 2, 3), opts)
}

func TestCheckLogHoldsAtEverySize(t *testing.T) {
	for _, n := range []int64{0, 1, 2, 255, 256, 257, 511, 512, 700, 65536, 65536 + 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			l := newStaticLog(t, n)
			next := int64(0)
			r, err := checkStatic(t, l, verify.LogOptions{Entry: func(i int64, data []byte) error {
				if i != next || !bytes.Equal(data, l.entries[i]) {
					return fmt.Errorf("entry %d: %q", i, data)
				}
				next++
				return nil
			}})
			if err != nil || r.Entries != n || next != n {
				t.Fatalf("%v, %+v", err, r)
			}
			if want := int64(len(l.files)) - 1 - r.Bundles; r.Tiles != want {
				t.Errorf("compared %d tiles of %d", r.Tiles, want)
			}
		})
	}
}

func TestCheckLogNamesWhatWasAltered(t *testing.T) {
	for path, want := range map[string]string{
		"tile/0/001":             "tile/0/001 does not match",
		"tile/0/002.p/188":       "tile/0/002.p/188 does not match",
		"tile/1/000.p/2":         "tile/1/000.p/2 does not match",
		"tile/entries/001":       "tile/0/001 does not match",
		"tile/entries/002.p/188": "tile/0/002.p/188 does not match",
	} {
		t.Run(path, func(t *testing.T) {
			l := newStaticLog(t, 700)
			l.files[path][len(l.files[path])-1] ^= 1
			_, err := checkStatic(t, l, verify.LogOptions{})
			wantFailure(t, err, verify.DoesNotHold, verify.FailTile)
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckLogNamesTheEntryThatWasAltered(t *testing.T) {
	l := newStaticLog(t, 700)
	b := l.files["tile/entries/001"]
	b[bytes.Index(b, []byte("entry 300"))] ^= 1
	_, err := checkStatic(t, l, verify.LogOptions{})
	if err == nil || !strings.Contains(err.Error(), "tile/0/001 does not match the entries it covers, first at entry 300") {
		t.Fatal(err)
	}
}

// Entries and tiles altered together still do not make the signed root.
func TestCheckLogFindsARewrittenLog(t *testing.T) {
	l, other := newStaticLog(t, 300), newStaticLog(t, 301)
	_ = other
	signer, _ := logSigner(t)
	root := l.root(t, 300)
	root[0] ^= 1
	l.files["checkpoint"] = cosigned(t, signer, checkpointText(logOrigin, 300, root), map[string]int64{"w1.example": 1, "w2.example": 1})
	_, err := checkStatic(t, l, verify.LogOptions{})
	wantFailure(t, err, verify.DoesNotHold, verify.FailRoot)
}

func TestCheckLogCannotTellWithoutAFile(t *testing.T) {
	for _, path := range []string{"checkpoint", "tile/0/001", "tile/1/000.p/2", "tile/entries/001"} {
		t.Run(path, func(t *testing.T) {
			l := newStaticLog(t, 700)
			delete(l.files, path)
			_, err := checkStatic(t, l, verify.LogOptions{})
			wantFailure(t, err, verify.CannotTell, verify.FailMissing)
			if !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a worse fault after a missing tile", func(t *testing.T) {
		l := newStaticLog(t, 700)
		delete(l.files, "tile/0/000")
		l.files["tile/0/001"][5] ^= 1
		_, err := checkStatic(t, l, verify.LogOptions{})
		wantFailure(t, err, verify.DoesNotHold, verify.FailTile)
	})
}

func TestCheckLogReadsTheFullTileInPlaceOfAPartialOne(t *testing.T) {
	l, grown := newStaticLog(t, 300), newStaticLog(t, 512)
	l.files = map[string][]byte{"checkpoint": l.files["checkpoint"]}
	for p, b := range grown.files {
		if p != "checkpoint" {
			l.files[p] = b
		}
	}
	l.files["tile/1/000.p/1"] = grown.files["tile/1/000.p/2"][:32]
	if _, err := checkStatic(t, l, verify.LogOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestCheckLogFindsAFork(t *testing.T) {
	l := newStaticLog(t, 700)
	at := func(n int64) *verify.Checkpoint {
		return &verify.Checkpoint{Origin: logOrigin, Size: n, Root: l.root(t, n)}
	}
	for _, n := range []int64{1, 256, 300, 700} {
		if _, err := checkStatic(t, l, verify.LogOptions{Previous: at(n)}); err != nil {
			t.Errorf("size %d: %v", n, err)
		}
		forked := at(n)
		forked.Root[3] ^= 1
		_, err := checkStatic(t, l, verify.LogOptions{Previous: forked})
		wantFailure(t, err, verify.DoesNotHold, verify.FailForked)
	}
	_, err := checkStatic(t, l, verify.LogOptions{Previous: &verify.Checkpoint{Origin: logOrigin, Size: 701}})
	wantFailure(t, err, verify.DoesNotHold, verify.FailForked)
}

func TestCheckLogReturnsTheErrorOfEntry(t *testing.T) {
	mine := errors.New("mine")
	_, err := checkStatic(t, newStaticLog(t, 3), verify.LogOptions{Entry: func(int64, []byte) error { return mine }})
	if !errors.Is(err, mine) {
		t.Fatal(err)
	}
}

func TestLogPathsMatchThoseOfXMod(t *testing.T) {
	for _, n := range []int64{0, 1, 999, 1000, 1234067, 999999999} {
		want := strings.Replace(tlog.Tile{H: 8, L: 3, N: n, W: 17}.Path(), "tile/8/", "tile/", 1)
		if got := verify.TilePath(3, n, 17); got != want || !validPath(got) {
			t.Errorf("got %s, want %s", got, want)
		}
		if p := verify.BundlePath(n, 256); !validPath(p) {
			t.Errorf("%s is refused", p)
		}
	}
	for _, bad := range []string{"", "/checkpoint", "checkpoint/", "tile/0/1", "tile/64/000", "tile/00/000", "tile/0/x000/001", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/../checkpoint", "tile/entries/../../.state/treeState", "tile/0/000/001", ".state/treeState", "tile/data/000", "tile/0/+01"} {
		if validPath(bad) {
			t.Errorf("accepted %q", bad)
		}
	}
}

func validPath(p string) bool {
	_, ok := verify.ParseLogPath(p)
	return ok
}

func TestLogResourceWithinASize(t *testing.T) {
	for path, want := range map[string]bool{
		"checkpoint": false, "tile/0/000": true, "tile/0/001": true, "tile/0/002.p/188": true, "tile/0/002.p/189": false,
		"tile/0/002": false, "tile/1/000.p/2": true, "tile/1/000.p/3": false, "tile/2/000.p/1": false, "tile/63/000.p/1": false,
		"tile/entries/002.p/188": true, "tile/entries/003.p/1": false,
	} {
		r, ok := verify.ParseLogPath(path)
		if !ok || r.Within(700) != want {
			t.Errorf("%s: %+v %v", path, r, ok)
		}
	}
}

func FuzzParseBundle(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		es, err := verify.ParseBundle(b)
		n := 0
		for _, e := range es {
			n += 2 + len(e)
		}
		if err == nil && n != len(b) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
	})
}
