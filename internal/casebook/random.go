//go:build unix

package casebook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"bonded/internal/canon"
	"bonded/verify"
)

func randomSalt() (s verify.Salt) {
	_, _ = rand.Read(s[:]) // never fails since Go 1.24
	return s
}

// draw returns a uniform number below n, for 1 <= n <= 2^62.
func draw(n int64) int64 {
	limit := ^uint64(0) - ^uint64(0)%uint64(n) //nolint:gosec // n is positive
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails since Go 1.24
		if v := binary.BigEndian.Uint64(b[:]); v < limit {
			return int64(v % uint64(n)) //nolint:gosec // below n
		}
	}
}

// chance is true with probability p.
func chance(p float64) bool { return float64(draw(1<<53)) < p*(1<<53) }

func shuffle[T any](s []T) {
	for i := len(s) - 1; i > 0; i-- {
		j := draw(int64(i) + 1)
		s[i], s[j] = s[j], s[i]
	}
}

// coverFields returns the fields of a cover. Their salts come out of one seed,
// so that a cover costs 32 bytes and not 700:
//
//	salt = HMAC-SHA-256(seed, lp("bonded/cover-salt/1", name of the field))
func coverFields(seed []byte) []verify.LeafField {
	i := 0
	return (&verify.CaseEntry{Type: verify.EntryCover}).Fields(func() verify.Salt {
		m := hmac.New(sha256.New, seed)
		m.Write(canon.LP([]byte("bonded/cover-salt/1"), []byte(verify.CaseFields[i])))
		i++
		return verify.Salt(m.Sum(nil))
	})
}
