//go:build unix

package bondedtest_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"bonded/bondedtest"
	"bonded/verify"
)

// tampering alters copies of what the cell shows in public, and of an export:
// bonded-verify names what was altered and exits 1.
func tampering(t *testing.T, d *bondedtest.Deployment) {
	app := d.Client(bondedtest.App, "eu", "service")
	anchored(t, app, create(t, app, "tamper", "Somebody").Entry)
	directory := []string{"--directory", d.Layout.Directory(), "--cell", "eu"}
	copied := func(t *testing.T) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "ledger")
		copyTree(t, filepath.Join(d.Layout.Vault("eu"), "ledger"), dir)
		if code, out := program(t, "bonded-verify", append([]string{"ledger", dir}, directory...)...); code != 0 {
			t.Fatalf("the copy does not hold: %s", out)
		}
		return dir
	}
	wrong := func(t *testing.T, words string, args ...string) {
		t.Helper()
		code, out := program(t, "bonded-verify", append(args, directory...)...)
		if code != 1 || !strings.Contains(out, words) {
			t.Errorf("it ended with %d and does not say %q:\n%s", code, words, out)
		}
	}
	for _, c := range []struct{ what, below, words string }{
		{"tile", filepath.Join("tile", "0"), "tile/0"}, {"entry", filepath.Join("tile", "entries"), "entries"},
	} {
		t.Run("a tampered "+c.what, func(t *testing.T) {
			dir := copied(t)
			// Every file of the kind: the check reads the newest of them.
			must(t, filepath.WalkDir(filepath.Join(dir, c.below), func(path string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				b[len(b)/2] ^= 1
				return os.WriteFile(path, b, 0o600)
			}))
			wrong(t, c.words, "ledger", dir)
		})
	}
	t.Run("a forked checkpoint", func(t *testing.T) {
		dir := copied(t)
		path := filepath.Join(dir, "checkpoint")
		honest, err := os.ReadFile(path)
		must(t, err)
		forked := fork(t, d, honest)
		must(t, os.WriteFile(path, forked, 0o600))
		wrong(t, "", "ledger", dir)

		seen := filepath.Join(t.TempDir(), "seen")
		must(t, os.WriteFile(seen, forked, 0o600))
		c, _ := d.Directory.Cell("eu")
		wrong(t, "fork", "ledger", c.Ledger, "--previous", seen)
	})
	t.Run("a checkpoint that its witnesses did not cosign", func(t *testing.T) {
		dir := copied(t)
		path := filepath.Join(dir, "checkpoint")
		b, err := os.ReadFile(path)
		must(t, err)
		text, _, _ := strings.Cut(string(b), "\n\n")
		must(t, os.WriteFile(path, signLog(t, d, text+"\n"), 0o600))
		wrong(t, "cosign", "ledger", dir)
	})
	t.Run("exports", func(t *testing.T) { tamperedExports(t, d) })
}

// tamperedExports leaves lines out of an export, with its last line corrected
// so that nothing looks cut off.
func tamperedExports(t *testing.T, d *bondedtest.Deployment) {
	journal, book := exportBooks(t, d)
	if code, out := reconcile(t, d, journal, book); code != 0 {
		t.Fatalf("the export does not hold: %s", out)
	}
	b, err := os.ReadFile(journal)
	must(t, err)
	without := func(kind string, n int) string {
		var out bytes.Buffer
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, `{"type":"`+kind+`"`) {
				if n--; n == 0 {
					continue
				}
			}
			if strings.Contains(line, `{"type":"end"`) {
				counted := strings.Count(string(b), `{"type":"`+kind+`"`)
				line = strings.Replace(line, fmt.Sprintf(`"%ss":%d`, kind, counted), fmt.Sprintf(`"%ss":%d`, kind, counted-1), 1)
			}
			out.WriteString(line)
		}
		path := filepath.Join(t.TempDir(), "journal.jsonl")
		must(t, os.WriteFile(path, out.Bytes(), 0o600))
		return path
	}
	for _, c := range []struct {
		kind  string
		n     int
		words string
	}{{"segment", 2, "segment"}, {"row", 3, "row"}, {"anchor", 2, "anchor"}} {
		code, out := reconcile(t, d, without(c.kind, c.n), book)
		if code != 1 || !strings.Contains(out, c.words) {
			t.Errorf("without a %s reconcile ended with %d:\n%s", c.kind, code, out)
		}
	}
}

// signLog signs a checkpoint with the key of the ledger of cell eu.
func signLog(t *testing.T, d *bondedtest.Deployment, text string) []byte {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(d.Layout.Vault("eu"), "keys", "ledger.key"))
	must(t, err)
	s, err := note.NewSigner(strings.TrimSpace(string(key)))
	must(t, err)
	b, err := note.Sign(&note.Note{Text: text}, s)
	must(t, err)
	return b
}

// fork returns another checkpoint of the same size, signed by the ledger and
// cosigned by two witnesses: what a ledger and a quorum that conspire can make.
func fork(t *testing.T, d *bondedtest.Deployment, honest []byte) []byte {
	t.Helper()
	text, _, _ := strings.Cut(string(honest), "\n\n")
	lines := strings.Split(text, "\n")
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(t, err)
	root[0] ^= 1
	lines[2] = base64.StdEncoding.EncodeToString(root)
	text = strings.Join(lines, "\n") + "\n"
	forked := signLog(t, d, text)
	at := time.Now()
	for n := 1; n <= 2; n++ {
		forked = append(forked, cosign(t, d, n, text, at)...)
	}
	return forked
}

// cosign returns the line of a witness for a checkpoint, made with its key.
func cosign(t *testing.T, d *bondedtest.Deployment, n int, text string, at time.Time) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.Layout.Witness(n), "witness.key"))
	must(t, err)
	f := strings.SplitN(strings.TrimSpace(string(b)), "+", 5) // PRIVATE, KEY, name, hash, key
	seed, err := base64.StdEncoding.DecodeString(f[4])
	must(t, err)
	key := ed25519.NewKeyFromSeed(seed[1:])
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("not an Ed25519 key")
	}
	return verify.CosignatureLine(f[2], pub, at.Unix(), ed25519.Sign(key, verify.CosignatureMessage(text, at.Unix())))
}
