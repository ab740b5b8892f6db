package verify_test

import (
	"bytes"
	"strings"
	"testing"

	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

func staticProof(t testing.TB, l *staticLog, index int64, extra []byte) []byte {
	t.Helper()
	hs, err := tlog.ProveRecord(int64(len(l.entries)), index, l)
	if err != nil {
		t.Fatal(err)
	}
	return (&verify.TlogProof{Extra: extra, Index: index, Hashes: hs, Checkpoint: l.files["checkpoint"]}).Format()
}

func TestCheckInclusionHoldsForEveryEntry(t *testing.T) {
	l := newStaticLog(t, 33)
	_, vkey := logSigner(t)
	for i, e := range l.entries {
		in, err := verify.CheckInclusion(e, staticProof(t, l, int64(i), nil), vkey, logPolicy(t, 2, 3))
		if err != nil || in.Index != int64(i) || in.LeafHash != tlog.RecordHash(e) || in.Checkpoint.Size != 33 {
			t.Fatalf("entry %d: %v %+v", i, err, in)
		}
	}
}

func TestCheckInclusionRefuses(t *testing.T) {
	l := newStaticLog(t, 33)
	_, vkey := logSigner(t)
	good := staticProof(t, l, 5, []byte("note"))
	sub := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	hash := strings.Split(string(good), "\n")[3]
	cases := []struct {
		name  string
		leaf  []byte
		proof []byte
		code  string
	}{
		{"another leaf", []byte("entry 6"), good, verify.FailInclusion},
		{"another index", l.entries[5], sub("index 5", "index 4"), verify.FailInclusion},
		{"an index outside", l.entries[5], sub("index 5", "index 33"), verify.FailInclusion},
		{"a missing hash", l.entries[5], sub(hash+"\n", ""), verify.FailInclusion},
		{"an extra hash", l.entries[5], sub(hash+"\n", hash+"\n"+hash+"\n"), verify.FailInclusion},
		{"a leading zero", l.entries[5], sub("index 5", "index 05"), verify.FailMalformed},
		{"another header", l.entries[5], sub("@v1", "@v2"), verify.FailMalformed},
		{"two extras", l.entries[5], sub("extra ", "extra AAAA\nextra "), verify.FailMalformed},
		{"no checkpoint", l.entries[5], good[:bytes.Index(good, []byte("\n\n"))+2], verify.FailMalformed},
		{"a carriage return", l.entries[5], sub("index 5", "index 5\r"), verify.FailMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify.CheckInclusion(c.leaf, c.proof, vkey, logPolicy(t, 2, 3))
			wantFailure(t, err, verify.DoesNotHold, c.code)
		})
	}
	_, err := verify.CheckInclusion(l.entries[5], good, vkey, logPolicy(t, 3, 3))
	wantFailure(t, err, verify.DoesNotHold, verify.FailQuorum)
}

// Every flipped bit of a proof that is not inside the extra data is refused.
func TestCheckInclusionRefusesEveryFlippedBit(t *testing.T) {
	l := newStaticLog(t, 3)
	_, vkey := logSigner(t)
	policy := logPolicy(t, 2, 2)
	good := staticProof(t, l, 1, nil)
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if _, err := verify.CheckInclusion(l.entries[1], b, vkey, policy); err == nil {
				t.Fatalf("accepted with bit %d of byte %d flipped: %q", bit, i, b)
			}
		}
	}
}

func FuzzTlogProof(f *testing.F) {
	l := newStaticLog(f, 33)
	f.Add(staticProof(f, l, 5, []byte("note")))
	f.Add(staticProof(f, l, 32, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := verify.ParseTlogProof(b)
		if err != nil {
			wantFailure(t, err, verify.DoesNotHold, verify.FailMalformed)
			return
		}
		if again := p.Format(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings:\n%q\n%q", b, again)
		}
	})
}
