package verify_test

import (
	"bytes"
	"strings"
	"testing"

	"bonded/verify"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func wantFailure(t *testing.T, err error, v verify.Verdict, code string) {
	t.Helper()
	f := verify.FailureOf(err)
	if f == nil || f.Verdict != v || f.Code != code {
		t.Fatalf("got %v, want %v with code %s", err, v, code)
	}
}

func TestOpenCheckpointCountsTheQuorum(t *testing.T) {
	signer, vkey := logSigner(t)
	text := checkpointText(logOrigin, 1, tlog.RecordHash([]byte("x")))
	all := map[string]int64{"w1.example": 100, "w2.example": 300, "w3.example": 200}

	cp, err := verify.OpenCheckpoint(cosigned(t, signer, text, all), vkey, logPolicy(t, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	if len(cp.Cosignatures) != 3 || cp.WitnessTime().Unix() != 200 {
		t.Errorf("got %d cosignatures, witness time %v", len(cp.Cosignatures), cp.WitnessTime())
	}
	_, err = verify.OpenCheckpoint(cosigned(t, signer, text, map[string]int64{"w1.example": 100}), vkey, logPolicy(t, 2, 3))
	wantFailure(t, err, verify.DoesNotHold, verify.FailQuorum)
}

func TestOneDishonestWitnessCannotPushWitnessTimeForward(t *testing.T) {
	signer, vkey := logSigner(t)
	text := checkpointText(logOrigin, 1, tlog.RecordHash([]byte("x")))
	raw := cosigned(t, signer, text, map[string]int64{"w1.example": 100, "w2.example": 101, "w3.example": 1 << 40})
	cp, err := verify.OpenCheckpoint(raw, vkey, logPolicy(t, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	if got := cp.WitnessTime().Unix(); got != 101 {
		t.Errorf("witness time %d, want 101", got)
	}
}

func TestRepeatedCosignatureCountsOnce(t *testing.T) {
	signer, vkey := logSigner(t)
	raw := cosigned(t, signer, checkpointText(logOrigin, 1, tlog.RecordHash([]byte("x"))), map[string]int64{"w1.example": 100})
	last := raw[bytes.LastIndex(raw[:len(raw)-1], []byte("\n"))+1:]
	raw = append(raw, last...)
	_, err := verify.OpenCheckpoint(raw, vkey, logPolicy(t, 2, 3))
	wantFailure(t, err, verify.DoesNotHold, verify.FailQuorum)
}

func TestOpenCheckpointRefuses(t *testing.T) {
	signer, vkey := logSigner(t)
	other, otherVkey := namedLogSigner(t, logOrigin, "another log")
	root := tlog.RecordHash([]byte("x"))
	two := map[string]int64{"w1.example": 100, "w2.example": 100}
	good := cosigned(t, signer, checkpointText(logOrigin, 1, root), two)
	policy := logPolicy(t, 2, 3)

	flip := func(b []byte, at int) []byte { // the sixth character of a signature line's base64
		b = bytes.Clone(b)
		if b[at] == 'A' {
			b[at] = 'B'
		} else {
			b[at] = 'A'
		}
		return b
	}
	cases := []struct {
		name string
		raw  []byte
		vkey string
		code string
	}{
		{"the signature of another log", cosigned(t, other, checkpointText(logOrigin, 1, root), two), vkey, verify.FailLogSignature},
		{"the key of another log", good, otherVkey, verify.FailLogSignature},
		{"another origin", cosigned(t, signer, checkpointText("log.example/eu", 1, root), two), vkey, verify.FailOrigin},
		{"an altered size", bytes.Replace(good, []byte("\n1\n"), []byte("\n2\n"), 1), vkey, verify.FailLogSignature},
		{"an altered cosignature", flip(good, len(good)-20), vkey, verify.FailQuorum},
		{"a size with a leading zero", cosigned(t, signer, logOrigin+"\n01\n"+root.String()+"\n", two), vkey, verify.FailMalformed},
		{"a short root", cosigned(t, signer, logOrigin+"\n1\nAAAA\n", two), vkey, verify.FailMalformed},
		{"an empty tree with another root", cosigned(t, signer, checkpointText(logOrigin, 0, root), two), vkey, verify.FailMalformed},
		{"no signatures", []byte(checkpointText(logOrigin, 1, root)), vkey, verify.FailMalformed},
		{"trailing bytes", append(bytes.Clone(good), 'x'), vkey, verify.FailMalformed},
		{"nothing", nil, vkey, verify.FailMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify.OpenCheckpoint(c.raw, c.vkey, policy)
			wantFailure(t, err, verify.DoesNotHold, c.code)
		})
	}
	_, err := verify.OpenCheckpoint(good, "not a key", policy)
	wantFailure(t, err, verify.CannotTell, verify.FailKey)
}

func TestOpenCheckpointHoldsToTheLogsOfThePolicy(t *testing.T) {
	signer, vkey := logSigner(t)
	_, otherVkey := namedLogSigner(t, "log.example/eu", "eu")
	raw := cosigned(t, signer, checkpointText(logOrigin, 1, tlog.RecordHash([]byte("x"))), map[string]int64{"w1.example": 1, "w2.example": 1})
	for _, c := range []struct{ log, code string }{{vkey, ""}, {otherVkey, verify.FailOrigin}} {
		p, err := verify.ParseWitnessPolicy([]byte("log " + c.log + "\n" + logPolicyText(t, 2, 2)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify.OpenCheckpoint(raw, vkey, p)
		if c.code == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		wantFailure(t, err, verify.DoesNotHold, c.code)
	}
}

func TestCheckConsistencyNamesForks(t *testing.T) {
	l := newStaticLog(t, 20)
	at := func(n int64) *verify.Checkpoint {
		return &verify.Checkpoint{Origin: logOrigin, Size: n, Root: l.root(t, n)}
	}
	proof, err := tlog.ProveTree(20, 7, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.CheckConsistency(at(7), at(20), proof); err != nil {
		t.Error(err)
	}
	if err := verify.CheckConsistency(at(20), at(20), nil); err != nil {
		t.Error(err)
	}
	forked := at(7)
	forked.Root[0] ^= 1
	wantFailure(t, verify.CheckConsistency(forked, at(20), proof), verify.DoesNotHold, verify.FailForked)
	wantFailure(t, verify.CheckConsistency(forked, at(7), nil), verify.DoesNotHold, verify.FailForked)
	wantFailure(t, verify.CheckConsistency(at(20), at(7), nil), verify.DoesNotHold, verify.FailForked)
	wantFailure(t, verify.CheckConsistency(at(7), at(20), nil), verify.DoesNotHold, verify.FailForked)
}

func TestCosignatureVkeyRoundTrips(t *testing.T) {
	vkey := witnessVkey(t, "w1.example")
	k, err := verify.ParseCosignatureVkey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := verify.CosignatureVkey(k.Name(), k.PublicKey()); again != vkey {
		t.Errorf("got %s", again)
	}
	_, logVkey := logSigner(t)
	f := strings.Split(vkey, "+")
	for _, bad := range []string{"", logVkey, "x" + vkey, f[0] + "+00000000+" + f[2], f[0] + "+" + f[1] + "+AAAA", strings.ToUpper(vkey), vkey + "\n"} {
		if _, err := verify.ParseCosignatureVkey(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	var _ note.Verifier = k
}

func FuzzOpenCheckpoint(f *testing.F) {
	signer, vkey := logSigner(f)
	good := cosigned(f, signer, checkpointText(logOrigin, 1, tlog.RecordHash([]byte("x"))), map[string]int64{"w1.example": 1, "w2.example": 2})
	f.Add(good)
	f.Add([]byte("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a AAAAAAA=\n"))
	policy := logPolicy(f, 2, 3)
	text := string(good[:bytes.Index(good, []byte("\n\n"))+1])
	f.Fuzz(func(t *testing.T, raw []byte) {
		cp, err := verify.OpenCheckpoint(raw, vkey, policy)
		if err == nil && cp.Text != text {
			t.Fatalf("accepted another text: %q", cp.Text)
		}
		if err != nil && verify.VerdictOf(err) != verify.DoesNotHold {
			t.Fatal(err)
		}
	})
}

func FuzzCosignatureVkey(f *testing.F) {
	f.Add(witnessVkey(f, "w1.example"))
	f.Fuzz(func(t *testing.T, s string) {
		k, err := verify.ParseCosignatureVkey(s)
		if err != nil {
			return
		}
		if again, err := verify.CosignatureVkey(k.Name(), k.PublicKey()); err != nil || again != s {
			t.Fatalf("two spellings: %q and %q, %v", s, again, err)
		}
	})
}
