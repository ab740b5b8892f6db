package demo

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"
)

// TestScannerFindsEverySpelling shows that "0 hits" means something.
func TestScannerFindsEverySpelling(t *testing.T) {
	const name = "Владимир Ильич 𠮷野家"
	var wide []byte
	for _, u := range utf16.Encode([]rune(name)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for how, content := range map[string]string{
		"as it is":      "x" + name + "y",
		"hexadecimal":   "x" + hex.EncodeToString([]byte(name)),
		"base64":        base64.StdEncoding.EncodeToString([]byte(name)),
		"base64, mid 1": base64.StdEncoding.EncodeToString([]byte("a" + name + "zz")),
		"base64, mid 2": base64.RawURLEncoding.EncodeToString([]byte("ab" + name + "z")),
		"UTF-16":        "\x00" + string(wide),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := newScanner(map[string]bool{name: true, "short": true}).scan(func(string) bool { return false }, dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Hits) == 0 || r.Files != 1 {
			t.Errorf("%s: not found", how)
		}
	}
}
