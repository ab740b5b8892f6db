package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// TestVectorsOfAReportedCell writes a small cell whose ledger holds cases, some
// of them closed, and covers: bonded report and bonded-verify report are tested
// on it. Its half-year is 2026-H1.
func TestVectorsOfAReportedCell(t *testing.T) {
	h := newHistory(t, "Ca | ^")
	n := uint64(3)
	w := newReportWorld(func(m int) int { n = n*6364136223846793005 + 1442695040888963407; return int(n>>33) % m })
	for range 30 {
		w.add(startOf(2026) + int64(w.pick(90))*86400)
	}

	// 1. All entries in order of time, each naming the leaf of its case before it.
	var all []*verify.OpenedCase
	for _, c := range w.cases {
		all = append(all, c.entries...)
	}
	slices.SortStableFunc(all, func(a, b *verify.OpenedCase) int { return int(a.Leaf.Time) - int(b.Leaf.Time) })
	open := map[bonded.ID]bool{}
	for _, c := range w.cases {
		open[c.id] = c.open
	}
	last := map[bonded.ID][32]byte{}
	var public, closed bytes.Buffer
	var slot []tlog.Hash
	var before [32]byte // root of the slot before
	enter := func(e *verify.CaseEntry, at uint64, to *bytes.Buffer) {
		if e.Number > 1 {
			e.Previous = last[e.Case]
		}
		index := int64(len(h.entries))
		fields := e.Fields(func() verify.Salt { return salt(string(rune(index)) + e.Event) })
		leaf := &verify.Leaf{Kind: verify.LeafCase, Cell: historyCell, Time: at, OpenBy: at + 86400*180, Prev: before, Root: verify.CommitFields(fields)}
		h.entries = append(h.entries, leaf.Encode())
		o := verify.OpenCase(index, leaf.Encode(), fields, verify.FieldPerson)
		placed, err := o.Check()
		if err != nil {
			t.Fatal(err)
		}
		last[e.Case], slot = placed.Hash, append(slot, placed.Hash)
		if to == nil {
			return
		}
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		to.Write(append(b, '\n'))
	}
	const day, perSlot = 86400, 4
	for at := uint64(startOf(2026)); len(all) > 0; at += day {
		slot = slot[:0]
		for range perSlot {
			if len(all) == 0 || all[0].Entry.Time > at {
				enter(&verify.CaseEntry{Type: verify.EntryCover}, at, nil)
				continue
			}
			o, to := all[0], &closed
			if open[o.Entry.Case] {
				to = &public
			}
			enter(o.Entry, at, to)
			all = all[1:]
		}
		before = verify.SlotRoot(slot)
	}

	// 2. The files.
	golden(t, "report/cells.json", h.directory().Encode())
	golden(t, "report/admin.key", logKey("admin").Seed())
	golden(t, "report/openings.jsonl", public.Bytes())
	golden(t, "report/closed.jsonl", closed.Bytes())
	golden(t, "report/custody.json", []byte("{\"certificates\":[]}\n"))
	files := h.log().files
	for p, b := range files {
		golden(t, "report/ledger/"+p, b)
	}

	// 3. They make a report that holds.
	l, err := verify.ReadReportLedger(func(p string) ([]byte, error) { return files[p], nil }, h.dirCell(), -1, verify.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in := verify.ReportInput{Cell: historyCell, Period: period(t, "2026-H1"), Now: time.Unix(1_790_000_000, 0), Ledger: l, HasClosed: true, Salt: saltsInOrder()}
	if in.Public, err = l.PlaceAll(&public); err != nil {
		t.Fatal(err)
	}
	if in.Closed, err = l.PlaceAll(&closed); err != nil {
		t.Fatal(err)
	}
	r, salts, err := verify.NewReport(in)
	if err != nil {
		t.Fatal(err)
	}
	e := &verify.ReportEvidence{Ledger: l, Public: in.Public, Closed: in.Closed, HasClosed: true}
	s := r.Statement()
	s.Sign(verify.LabelReport, "admin", logKey("admin"))
	signatures, err := json.MarshalIndent(s.Signatures, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report/report.json", r.Encode())
	golden(t, "report/signatures.json", append(signatures, '\n'))
	golden(t, "report/salts.json", salts.Encode())
	e.Signatures, e.Operator.Key = s.Signatures, mustKey(t, h.directory().Admin)
	if check, err := verify.CheckReport(r, e); err != nil || check.Open == 0 || check.Closed == 0 {
		t.Fatalf("%v, %+v", err, check)
	}

	// 4. An opening that is not of its leaf, or of another place, is none.
	o, err := verify.ParseCaseOpening([]byte(bytesLine(t, "report/openings.jsonl")))
	if err != nil {
		t.Fatal(err)
	}
	o.Index++
	if _, err := l.Place(o); verify.VerdictOf(err) != verify.DoesNotHold {
		t.Errorf("an opening moved: %v", err)
	}
}

// mustKey reads a public key.
func mustKey(t *testing.T, s string) ed25519.PublicKey {
	t.Helper()
	k, err := verify.DecodePublicKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// bytesLine returns the first line of a vector.
func bytesLine(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorsDir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return string(line)
}
