package verify_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"bonded/verify"
)

// announced is a control leaf in the ledger of a history.
type announced struct {
	index  int64
	leaf   []byte
	fields []verify.LeafField
}

// announce puts a control leaf into the ledger; change may alter the leaf.
func (h *history) announce(c *verify.Control, change ...func(*verify.Leaf)) announced {
	fields := c.Fields()
	for i := range fields {
		fields[i].Salt = salt(fmt.Sprint("control ", len(h.controls), fields[i].Name))
	}
	l := verify.Leaf{Kind: verify.LeafControl, Cell: h.cell, Time: 1_790_000_050, Prev: h.prevControl, Root: verify.CommitFields(fields)}
	for _, f := range change {
		f(&l)
	}
	a := announced{int64(len(h.entries)), l.Encode(), fields}
	h.entries, h.controls = append(h.entries, a.leaf), append(h.controls, a)
	h.prevControl = tlog.RecordHash(a.leaf)
	return a
}

// evidence returns the evidence of an announcement under a checkpoint cosigned
// at 1790000100 and 1790000101.
func (h *history) evidence(n int) []byte {
	a := h.controls[n]
	return (&verify.Evidence{Leaf: a.leaf, Fields: a.fields, Proof: string(staticProof(h.t, h.log(), a.index, nil))}).Encode()
}

func TestEvidenceShowsWhatTheLedgerAnnounces(t *testing.T) {
	h := newHistory(t, "Ca | ^")
	c := &verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: hash("grants")}
	h.announce(c)
	newHistoryWords(h, "Ra | ^")
	h.announce(&verify.Control{Subject: verify.ControlPolicy, Number: 1, Digest: hash("policy"), Approvals: make([]byte, 32)})
	a, err := verify.CheckEvidence(h.evidence(0), verify.ControlGrants, c.Digest, h.dirCell())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*c, a.Control); d != "" || a.Index != h.controls[0].index || a.Cell != "eu" || a.LeafHash != tlog.RecordHash(h.controls[0].leaf) {
		t.Errorf("announcement at %d: %s", a.Index, d)
	}
	if want := time.Unix(1_790_000_101, 0).UTC(); !a.Witnessed.Equal(want) || !a.Checkpoint.WitnessTime().Before(want) {
		t.Errorf("witnessed at %s, want the newest cosignature %s", a.Witnessed, want)
	}
	if a, err := verify.OpenEvidence(h.evidence(1), h.dirCell()); err != nil || a.Number != 1 || len(a.Approvals) != 32 {
		t.Errorf("the second announcement: %v", err)
	}
	rep, err := verify.CheckCellLedger(h.log().fetch, h.dirCell(), verify.LogOptions{})
	if err != nil || rep.Controls != 2 || rep.Anchors != 2 {
		t.Errorf("%d announcements, %d anchors: %v", rep.Controls, rep.Anchors, err)
	}
	if s := strings.Join(rep.Sentences(), "\n"); !strings.Contains(s, "2 announcements") {
		t.Error(s)
	}
}

func newHistoryWords(h *history, words string) {
	for w := range strings.FieldsSeq(words) {
		switch w {
		case "|":
			h.seal()
		case "^":
			h.anchor()
		default:
			h.act(w)
		}
	}
}

func TestEvidenceThatDoesNotHoldIsRefused(t *testing.T) {
	digest := hash("grants")
	good := verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: digest}
	for name, c := range map[string]struct {
		make func(h *history) []byte
		code string
	}{
		"of another file": {func(h *history) []byte {
			h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: hash("other")})
			return h.evidence(0)
		}, verify.FailControl},
		"of another subject": {func(h *history) []byte {
			h.announce(&verify.Control{Subject: verify.ControlPolicy, Number: 7, Digest: digest})
			return h.evidence(0)
		}, verify.FailControl},
		"without a number": {func(h *history) []byte {
			h.announce(&verify.Control{Subject: verify.ControlGrants, Digest: digest})
			return h.evidence(0)
		}, verify.FailControl},
		"with half an approval": {func(h *history) []byte {
			h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: digest, Approvals: make([]byte, 16)})
			return h.evidence(0)
		}, verify.FailControl},
		"of a leaf of another kind": {func(h *history) []byte {
			h.announce(&good, func(l *verify.Leaf) { l.Kind = verify.LeafDirectory })
			return h.evidence(0)
		}, verify.FailControl},
		"of a leaf that is still to be opened": {func(h *history) []byte {
			h.announce(&good, func(l *verify.Leaf) { l.OpenBy = 1 })
			return h.evidence(0)
		}, verify.FailControl},
		"of another cell": {func(h *history) []byte {
			h.announce(&good, func(l *verify.Leaf) { l.Cell = "cn" })
			return h.evidence(0)
		}, verify.FailCell},
		"with an altered leaf": {func(h *history) []byte {
			a := h.announce(&good)
			l, err := verify.DecodeLeaf(a.leaf)
			if err != nil {
				t.Fatal(err)
			}
			proof := staticProof(t, h.log(), a.index, nil)
			l.Time++
			return (&verify.Evidence{Leaf: l.Encode(), Fields: a.fields, Proof: string(proof)}).Encode()
		}, verify.FailInclusion},
		"with altered fields": {func(h *history) []byte {
			h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: hash("other")})
			h.controls[0].fields[2].Value = digest[:]
			return h.evidence(0)
		}, verify.FailControl},
		"of a leaf that no witness has seen": {func(h *history) []byte {
			a := h.announce(&good)
			l := h.log()
			signer, _ := namedLogSigner(t, "log.example/eu", "log eu")
			n := int64(len(h.entries))
			l.files["checkpoint"] = cosigned(t, signer, checkpointText("log.example/eu", n, l.root(t, n)), map[string]int64{"w1.example": 1})
			return (&verify.Evidence{Leaf: a.leaf, Fields: a.fields, Proof: string(staticProof(t, l, a.index, nil))}).Encode()
		}, verify.FailQuorum},
		"with extra data": {func(h *history) []byte {
			a := h.announce(&good)
			return (&verify.Evidence{Leaf: a.leaf, Fields: a.fields, Proof: string(staticProof(t, h.log(), a.index, []byte("x")))}).Encode()
		}, verify.FailMalformed},
		"in another spelling": {func(h *history) []byte { h.announce(&good); return append(h.evidence(0), ' ') }, verify.FailMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t, "Ca | ^")
			_, err := verify.CheckEvidence(c.make(h), verify.ControlGrants, digest, h.dirCell())
			if err == nil || verify.FailureOf(err).Code != c.code || verify.VerdictOf(err) != verify.DoesNotHold {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

func TestAnyChangedByteOfEvidenceIsNoticed(t *testing.T) {
	h := newHistory(t, "Ca | ^")
	h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: hash("grants")})
	good := h.evidence(0)
	quorum := 0
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		if _, err := verify.CheckEvidence(b, verify.ControlGrants, hash("grants"), h.dirCell()); err == nil {
			t.Fatalf("byte %d changed and nothing noticed: %q", i, b[max(0, i-20):min(len(b), i+20)])
		} else if verify.FailureOf(err).Code == verify.FailQuorum {
			quorum++
		}
	}
	if quorum == 0 {
		t.Error("no change reached the cosignatures")
	}
}

func TestBrokenChainOfAnnouncementsIsFound(t *testing.T) {
	c := &verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: hash("grants")}
	h := newHistory(t, "Ca | ^")
	h.announce(c)
	h.entries = append(h.entries, h.controls[0].leaf) // an answer was lost
	h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 8, Digest: hash("next")})
	if rep, err := verify.CheckCellLedger(h.log().fetch, h.dirCell(), verify.LogOptions{}); err != nil || rep.Controls != 2 {
		t.Errorf("%d announcements: %v", rep.Controls, err)
	}
	h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 9, Digest: hash("third")}, func(l *verify.Leaf) { l.Prev = hash("hidden") })
	_, err := verify.CheckCellLedger(h.log().fetch, h.dirCell(), verify.LogOptions{})
	if err == nil || verify.FailureOf(err).Code != verify.FailLeaf {
		t.Errorf("an announcement was cut out: %v", err)
	}
}

func TestVectorsOfControl(t *testing.T) {
	h := newHistory(t, "Ca | ^")
	h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 7, Digest: hash("grants")})
	h.announce(&verify.Control{Subject: verify.ControlPolicy, Number: 2, Digest: hash("policy"), Approvals: bytes.Repeat([]byte{0xab}, 32)})
	h.announce(&verify.Control{Subject: verify.ControlDirectory, Number: 2, Digest: verify.DirectoryDigest([]byte("directory"))})
	var list []any
	for n, a := range h.controls {
		leaf, err := verify.DecodeLeaf(a.leaf)
		if err != nil {
			t.Fatal(err)
		}
		got, err := verify.OpenEvidence(h.evidence(n), h.dirCell())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, obj{
			"control": plain(got.Control), "leaf": plain(leaf), "bytes": hex.EncodeToString(a.leaf), "leaf_hash": plain([32]byte(got.LeafHash)),
			"index": got.Index, "witnessed": got.Witnessed.Unix(), "fields_bytes": hex.EncodeToString(verify.EncodeFields(a.fields)), "evidence": string(h.evidence(n)),
		})
	}
	goldenJSON(t, "control.json", obj{
		"comment":   "Vectors of spec/control.md: announcements in one ledger. Bytes are hexadecimal, 64-bit numbers text; evidence is the file.",
		"directory": string(h.directory().Encode()), "announcements": list,
	})
}
