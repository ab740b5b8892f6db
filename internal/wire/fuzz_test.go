package wire_test

import (
	"bytes"
	"testing"

	"bonded/internal/wire"
	"bonded/verify"
)

// roundTrip checks that whatever decodes has one spelling.
func roundTrip[T any](f *testing.F, seed []byte, decode func([]byte) (*T, error), encode func(*T) []byte) {
	f.Helper()
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		if again := encode(v); !bytes.Equal(again, b) {
			t.Errorf("decodes, but is encoded otherwise:\n%x\n%x", b, again)
		}
	})
}

func FuzzDecodeAnchorResult(f *testing.F) {
	roundTrip(f, (&wire.AnchorResult{Accepted: true, Missing: [][32]byte{{1}}, Head: verify.Head{Cell: "eu"}}).Encode(), wire.DecodeAnchorResult, (*wire.AnchorResult).Encode)
}

func FuzzDecodeSession(f *testing.F) {
	roundTrip(f, (&wire.Session{ID: [32]byte{1}, Expires: 2}).Encode(), wire.DecodeSession, (*wire.Session).Encode)
}

func FuzzDecodeBookSince(f *testing.F) {
	roundTrip(f, (&wire.BookSince{After: 300, Limit: 4096}).Encode(), wire.DecodeBookSince, (*wire.BookSince).Encode)
}

func FuzzDecodeList(f *testing.F) {
	roundTrip(f, (&wire.List{Items: [][]byte{{1}, nil}}).Encode(), wire.DecodeList, (*wire.List).Encode)
}

func FuzzDecodeTombstone(f *testing.F) {
	roundTrip(f, wire.EncodeTombstone(&verify.Tombstone{Cell: "eu", N: 1}), wire.DecodeTombstone, wire.EncodeTombstone)
}

func FuzzDecodeSubjectCount(f *testing.F) {
	roundTrip(f, wire.EncodeSubjectCount(&verify.SubjectCount{Cell: "eu", N: 1}), wire.DecodeSubjectCount, wire.EncodeSubjectCount)
}

func FuzzDecodeCatchUp(f *testing.F) {
	roundTrip(f, (&wire.CatchUp{Entry: []byte("entry"), Proof: []byte("proof")}).Encode(), wire.DecodeCatchUp, (*wire.CatchUp).Encode)
}

func FuzzDecodeCatchUpResult(f *testing.F) {
	roundTrip(f, (&wire.CatchUpResult{Next: 300}).Encode(), wire.DecodeCatchUpResult, (*wire.CatchUpResult).Encode)
}
