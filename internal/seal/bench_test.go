package seal_test

import (
	"strings"
	"testing"

	"bonded"
	"bonded/internal/seal"
)

func BenchmarkOpen200Bytes(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite.String(), func(b *testing.B) {
			k := seal.NewKey()
			sealed := mustSeal(b, k, suite, strings.Repeat("x", 200))
			dst := make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.AppendOpen(dst, sealed, passport); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSeal200Bytes(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite.String(), func(b *testing.B) {
			k, plaintext := seal.NewKey(), make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Seal(suite, plaintext, passport); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVersionAndFieldKey(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite.String(), func(b *testing.B) {
			sk := seal.NewSubjectKey()
			b.ReportAllocs()
			for b.Loop() {
				sk.VersionKey(suite, "cn", "users", bonded.ID{1}, bonded.ID{2}).FieldKey("passport_no")
			}
		})
	}
}

func BenchmarkUnwrap(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite.String(), func(b *testing.B) {
			k := seal.NewKey()
			wrapped, err := seal.NewSubjectKey().Wrap(suite, k, "cn", bonded.ID{1}, 1)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := seal.UnwrapSubjectKey(suite, k, "cn", bonded.ID{1}, 1, wrapped); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIndexSum(b *testing.B) {
	for _, suite := range suites {
		b.Run(suite.String(), func(b *testing.B) {
			k := seal.InnerIndexKey(seal.NewKey(), suite, "users", "email")
			b.ReportAllocs()
			for b.Loop() {
				k.Sum([]byte("maria@example.com"))
			}
		})
	}
}
