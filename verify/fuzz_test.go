package verify_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"bonded/verify"
)

// fuzzFormat checks that whatever is accepted has one spelling.
func fuzzFormat[V any](f *testing.F, seed []byte, encode func(*V) []byte, decode func([]byte) (*V, error)) {
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err == nil && !bytes.Equal(encode(v), b) {
			t.Fatalf("two spellings of %x", b)
		}
	})
}

func FuzzDecodeRow(f *testing.F) {
	fuzzFormat(f, verify.EncodeRow(newGen(1).row()), verify.EncodeRow, verify.DecodeRow)
}

func FuzzDecodeBookRow(f *testing.F) {
	fuzzFormat(f, verify.EncodeBookRow(newGen(1).bookRow()), verify.EncodeBookRow, verify.DecodeBookRow)
}

func FuzzDecodeSegment(f *testing.F) {
	fuzzFormat(f, verify.EncodeSegment(newGen(1).segment()), verify.EncodeSegment, verify.DecodeSegment)
}

func FuzzDecodeLeaf(f *testing.F) {
	fuzzFormat(f, newGen(1).leaf().Encode(), (*verify.Leaf).Encode, verify.DecodeLeaf)
}

func FuzzDecodeHead(f *testing.F) {
	fuzzFormat(f, (&verify.Head{Cell: "eu", Seq: 7}).Encode(), (*verify.Head).Encode, verify.DecodeHead)
}

func FuzzDecodeFields(f *testing.F) {
	encode := func(v *[]verify.LeafField) []byte { return verify.EncodeFields(*v) }
	decode := func(b []byte) (*[]verify.LeafField, error) {
		v, err := verify.DecodeFields(b)
		return &v, err
	}
	fuzzFormat(f, verify.EncodeFields([]verify.LeafField{{Name: "a", Value: []byte("b")}}), encode, decode)
}

func FuzzParsePromise(f *testing.F) {
	f.Add((&verify.Promise{Cell: "eu", Segment: 1, Size: 1}).String())
	f.Add(newHistory(f, "Ca Ra Rb F Ra | ^").promise(4, 1, 5).String())
	f.Fuzz(func(t *testing.T, s string) {
		p, err := verify.ParsePromise(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Fatalf("two spellings of %q", s)
		}
		p.Covers() // ends, whatever it says
	})
}

func FuzzParseDirectory(f *testing.F) {
	f.Add((&history{t: f, cell: historyCell}).directory().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := verify.ParseDirectory(b)
		if err != nil {
			return
		}
		if _, err := verify.ParseDirectory(d.Encode()); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzReconcile(f *testing.F) {
	h := newHistory(f, "Ca Ra Rb* | ^ Ra! | ^")
	f.Add(h.journal(nil), h.bookExport(nil))
	cell := h.dirCell()
	f.Fuzz(func(t *testing.T, journal, book []byte) {
		jr, err := verify.NewJournalReader(bytes.NewReader(journal))
		if err != nil {
			return
		}
		br, err := verify.NewBookReader(bytes.NewReader(book))
		if err != nil {
			return
		}
		_, _ = verify.Reconcile(jr, br, cell, verify.ReconcileOptions{})
	})
}

func FuzzJournalReader(f *testing.F) {
	f.Add(newHistory(f, "Ca Ra | ^").journal(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := verify.NewJournalReader(bytes.NewReader(b))
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) && verify.VerdictOf(err) != verify.CannotTell {
			t.Fatal(err)
		}
	})
}

func FuzzBookReader(f *testing.F) {
	f.Add(newHistory(f, "Ca Ra | ^").bookExport(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := verify.NewBookReader(bytes.NewReader(b))
		for err == nil {
			_, err = r.Next()
		}
		if errors.Is(err, io.EOF) != (r != nil && r.Head() != nil) {
			t.Fatal("an end without a head")
		}
	})
}

func FuzzParseEvidence(f *testing.F) {
	h := newHistory(f, "")
	h.announce(&verify.Control{Subject: verify.ControlGrants, Number: 1, Digest: hash("grants")})
	fuzzFormat(f, h.evidence(0), (*verify.Evidence).Encode, verify.ParseEvidence)
}
