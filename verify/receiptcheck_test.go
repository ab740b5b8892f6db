package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded/verify"
)

func signAs(label string, msg []byte) []byte { return ed25519.Sign(logKey(label), msg) }

func TestCheckReceiptHolds(t *testing.T) {
	h := newHistory(t, "Ca Ra Ba+b+c | F Rb | ^ Rc@ Ra Ra! | ^")
	for pos := 1; pos <= 9; pos++ {
		for _, show := range [][]int{nil, {}} {
			r := h.receipt(pos, show)
			parsed, err := verify.ParseReceipt(r.Encode())
			if err != nil {
				t.Fatal(err)
			}
			rep, err := verify.CheckReceipt(parsed, h.directory())
			if err != nil {
				t.Fatalf("row %d: %v", pos, err)
			}
			if rep.Position != uint64(pos) || rep.ItemCount == 0 || show == nil && len(rep.Items) != rep.ItemCount || show != nil && len(rep.Items) != 0 {
				t.Errorf("row %d: %+v", pos, rep)
			}
			if rep.WitnessedBy.Unix() != 1_790_000_101 {
				t.Errorf("witnessed by %v", rep.WitnessedBy)
			}
		}
	}
	rep, err := verify.CheckReceipt(h.receipt(3, []int{1}), h.directory())
	if err != nil {
		t.Fatal(err)
	}
	want := verify.RowItem{Subject: id("subject b"), Record: id("record b"), Fields: []string{"name", "email"}}
	if d := cmp.Diff(want, rep.Items[0].RowItem); d != "" || rep.Items[0].Place != 1 || rep.ItemCount != 3 {
		t.Error(d)
	}
}

// Receipts must not hold after any change, whichever byte it hits.
func TestReceiptHoldsWithNoBitFlipped(t *testing.T) {
	h := newHistory(t, "Ca Ba+b | Rb | ^")
	d := h.directory()
	good := h.receipt(2, []int{1}).Encode()
	good = bytes.TrimSuffix(good, []byte("\n"))
	// How far the path from a segment to its anchor runs is not claimed, only
	// that it leads there: see spec/receipt.md.
	free := func(i int) bool {
		at := bytes.Index(good, []byte(`"segment_count":`))
		return i >= at && i < at+len(`"segment_count":2`)
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			r, err := verify.ParseReceipt(b)
			if err != nil {
				continue
			}
			if _, err := verify.CheckReceipt(r, d); err == nil && !free(i) {
				t.Fatalf("holds with bit %d of byte %d flipped: …%s…", bit, i, b[max(0, i-20):min(len(b), i+20)])
			}
		}
	}
}

func TestCheckReceiptRefuses(t *testing.T) {
	h := newHistory(t, "Ca Ba+b+c | Rb | ^ Ra | ^")
	other := h.receipt(4, nil)
	for _, c := range []struct {
		name, code string
		alter      func(*verify.Receipt)
	}{
		{"another row's item", verify.FailItem, func(r *verify.Receipt) { r.Items.Shown[0] = h.receipt(4, nil).Items.Shown[0] }},
		{"items out of order", verify.FailItem, func(r *verify.Receipt) {
			r.Items.Shown[0], r.Items.Shown[1] = r.Items.Shown[1], r.Items.Shown[0]
		}},
		{"an item under another number", verify.FailItem, func(r *verify.Receipt) { r.Items.Shown = r.Items.Shown[:1]; r.Items.Shown[0].Index = 1 }},
		{"an item number beyond the row", verify.FailItem, func(r *verify.Receipt) { r.Items.Shown[2].Index = 3 }},
		{"an inner node as an item root", verify.FailItem, func(r *verify.Receipt) { r.Items.Root = r.Items.Shown[2].Path[0] }},
		{"a short salt", verify.FailMalformed, func(r *verify.Receipt) { r.Salt = r.Salt[:31] }},
		{"another row's head", verify.FailRow, func(r *verify.Receipt) { r.Head = other.Head; r.Items.Shown = nil }},
		{"another place in the segment", verify.FailRow, func(r *verify.Receipt) { r.Segment.Index = 0 }},
		{"another segment", verify.FailRow, func(r *verify.Receipt) { r.Segment.Bytes = other.Segment.Bytes }},
		{"another anchor", verify.FailAnchor, func(r *verify.Receipt) { r.Anchor.Leaf = other.Anchor.Leaf }},
		{"another proof", verify.FailInclusion, func(r *verify.Receipt) { r.Proof = other.Proof }},
		{"a field elsewhere in the leaf", verify.FailAnchor, func(r *verify.Receipt) { r.Anchor.FieldIndex = 1 }},
		{"a leaf of more fields", verify.FailAnchor, func(r *verify.Receipt) { r.Anchor.FieldCount = 7 }},
		{"a huge count", verify.FailSegment, func(r *verify.Receipt) { r.Anchor.SegmentCount = 1<<63 - 1 }},
		{"a negative place", verify.FailSegment, func(r *verify.Receipt) { r.Anchor.SegmentIndex = -1 }},
		{"the directory leaf as an anchor", verify.FailAnchor, func(r *verify.Receipt) { r.Anchor.Leaf = h.entries[0] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := h.receipt(2, nil)
			c.alter(r)
			_, err := verify.CheckReceipt(r, h.directory())
			wantFailure(t, err, verify.DoesNotHold, c.code)
		})
	}
	r := h.receipt(2, nil)
	r.Cell = "cn"
	_, err := verify.CheckReceipt(r, h.directory())
	wantFailure(t, err, verify.CannotTell, verify.FailCell)
}

func TestParseReceiptRefusesOtherSpellings(t *testing.T) {
	good := string(newHistory(t, "Ca | ^").receipt(1, nil).Encode())
	for name, b := range map[string]string{
		"an unknown member":   strings.Replace(good, `{"format"`, `{"extra":1,"format"`, 1),
		"a repeated member":   strings.Replace(good, `{"format"`, `{"cell":"eu","format"`, 1),
		"a member in capital": strings.Replace(good, `"cell"`, `"Cell"`, 1),
		"something after":     good + "{}",
		"another format":      strings.Replace(good, "receipt/1", "receipt/2", 1),
		"no JSON":             "receipt",
		"a line end inside":   strings.Replace(good, `"head":"`, `"head":"\n`, 1),
		"a number as bytes":   strings.Replace(good, `"head":"`, `"head":7,"x":"`, 1),
		"deep nesting":        strings.Repeat("[", 100) + strings.Repeat("]", 100),
	} {
		_, err := verify.ParseReceipt([]byte(b))
		if err == nil {
			t.Errorf("accepted %s", name)
			continue
		}
		wantFailure(t, err, verify.DoesNotHold, verify.FailMalformed)
	}
}

func FuzzParseReceipt(f *testing.F) {
	h := newHistory(f, "Ca Ba+b | ^")
	f.Add(h.receipt(2, nil).Encode())
	f.Add([]byte(`{"format":"bonded/receipt/1"}`))
	d := h.directory()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := verify.ParseReceipt(b)
		if err != nil {
			return
		}
		again, err := verify.ParseReceipt(r.Encode())
		if err != nil {
			t.Fatal(err)
		}
		x, _ := json.Marshal(r)
		y, _ := json.Marshal(again)
		if !bytes.Equal(x, y) {
			t.Fatal("two readings")
		}
		_, _ = verify.CheckReceipt(r, d)
	})
}
