package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"
)

// MinNeedle is the shortest value searched for, in bytes: shorter ones occur
// by chance.
const MinNeedle = 6

const window = 6 // bytes looked up at each position

// A scanner finds known plaintext in files, as it is and in base64 (every
// alignment, both alphabets), hexadecimal and UTF-16.
type scanner struct {
	byPrefix map[[window]byte][][]byte
	Needles  int // values searched for
}

func newScanner(values map[string]bool) *scanner {
	s := &scanner{byPrefix: map[[window]byte][][]byte{}}
	for v := range values {
		if len(v) < MinNeedle {
			continue
		}
		s.Needles++
		for _, p := range spellings(v) {
			k := [window]byte([]byte(p))
			s.byPrefix[k] = append(s.byPrefix[k], []byte(p))
		}
	}
	return s
}

func spellings(v string) []string {
	b := []byte(v)
	h := hex.EncodeToString(b)
	out := []string{v, h, strings.ToUpper(h)}
	for skip := range 3 {
		if len(b)-skip < MinNeedle {
			break
		}
		// Bytes that share a base64 group with something unknown are left out.
		whole := b[skip : len(b)-(len(b)-skip)%3]
		if len(whole) >= MinNeedle {
			out = append(out, base64.StdEncoding.EncodeToString(whole), base64.URLEncoding.EncodeToString(whole))
		}
	}
	var le, be []byte
	for _, u := range utf16.Encode([]rune(v)) {
		le = binary.LittleEndian.AppendUint16(le, u)
		be = binary.BigEndian.AppendUint16(be, u)
	}
	for _, w := range [][]byte{le, be} {
		if len(w) >= window {
			out = append(out, string(w))
		}
	}
	return out
}

// scanResult says what was searched.
type scanResult struct {
	Files int
	Bytes int64
	Hits  []string // "path at offset"; never the value
}

// scan searches every regular file below the folders, except those for which
// skip returns true.
func (s *scanner) scan(skip func(path string) bool, dirs ...string) (*scanResult, error) {
	r := new(scanResult)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || skip(path) {
				return err
			}
			return s.scanFile(path, r)
		})
		if err != nil {
			return nil, fmt.Errorf("search for plaintext: %w", err)
		}
	}
	return r, nil
}

func (s *scanner) scanFile(path string, r *scanResult) error {
	f, err := os.Open(path) //nolint:gosec // a file of our own deployment
	if os.IsNotExist(err) {
		return nil // a temporary file that is gone
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	r.Files++
	r.Bytes += int64(len(b))
	for i := 0; i+window <= len(b); i++ {
		for _, n := range s.byPrefix[[window]byte(b[i:])] {
			if bytes.HasPrefix(b[i:], n) {
				r.Hits = append(r.Hits, fmt.Sprintf("%s at %d", path, i))
			}
		}
	}
	return nil
}
