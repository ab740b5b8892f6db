package release_test

import (
	"bytes"
	"testing"

	"bonded/internal/release"
	"bonded/verify"
)

// BenchmarkPackage checks and opens packages of 200 people, with a field in
// the quorum's custody each or without. Divide by 200 for one item.
func BenchmarkPackage(b *testing.B) {
	for _, quorum := range []bool{false, true} {
		name := "two-lock"
		records := users(200)
		if quorum {
			name = "quorum"
			for _, r := range records {
				r.item.Fields[1].Custody = verify.CustodyQuorum
				r.item.Fields[1].Name = "passport"
			}
		}
		w := newWorld(b)
		p := w.made(records)
		b.Run("check/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if _, err := w.check(p); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("open/"+name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				var out bytes.Buffer
				if _, err := release.Open(bytes.NewReader(p), int64(len(p)), w.directory, now, w.key, w.private, release.NewCSV(&out)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
