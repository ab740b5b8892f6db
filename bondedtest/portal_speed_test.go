//go:build unix

package bondedtest_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// largeLedger writes a ledger of n leaves, four of cases to each anchor, under
// keys of its own, and a signed directory that names where it is served.
func largeLedger(t *testing.T, dir, where string, n int64) (cells string) {
	t.Helper()
	// 1. Leaves, chained as a vault chains them.
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, x := range at {
			out[i] = hashes[x]
		}
		return out, nil
	})
	var anchor, slot [32]byte
	var open []tlog.Hash
	var bundle []byte
	const begin = 1_790_000_000
	for i := range n {
		leaf := verify.Leaf{Kind: verify.LeafCase, Cell: "eu", Time: uint64(begin + i/5), OpenBy: uint64(begin + i/5 + 600), Prev: slot}
		_, _ = rand.Read(leaf.Root[:])
		if i%5 == 4 {
			leaf.Kind, leaf.OpenBy, leaf.Prev = verify.LeafAnchor, 0, anchor
		}
		b := leaf.Encode()
		h := tlog.RecordHash(b)
		if i%5 == 4 {
			anchor, slot, open = h, verify.SlotRoot(open), nil
		} else {
			open = append(open, h)
		}
		hs, err := tlog.StoredHashes(i, b, read)
		must(t, err)
		hashes = append(hashes, hs...)
		bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(b))), b...)
		if (i+1)%verify.TileWidth == 0 || i+1 == n {
			putFile(t, dir, verify.BundlePath(i/verify.TileWidth, int(i%verify.TileWidth)+1), bundle)
			bundle = nil
		}
	}
	for _, tile := range tlog.NewTiles(8, 0, n) {
		b, err := tlog.ReadTileData(tile, read)
		must(t, err)
		putFile(t, dir, verify.TilePath(tile.L, tile.N, tile.W), b)
	}

	// 2. The signed head, with one witness.
	root, err := tlog.TreeHash(n, read)
	must(t, err)
	skey, vkey, err := note.GenerateKey(rand.Reader, "large.example/eu")
	must(t, err)
	signer, err := note.NewSigner(skey)
	must(t, err)
	text := fmt.Sprintf("large.example/eu\n%d\n%s\n", n, base64.StdEncoding.EncodeToString(root[:]))
	raw, err := note.Sign(&note.Note{Text: text}, signer)
	must(t, err)
	pub, witness, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	now := time.Now().Unix()
	raw = append(raw, verify.CosignatureLine("w.example", pub, now, ed25519.Sign(witness, verify.CosignatureMessage(text, now)))...)
	putFile(t, dir, "checkpoint", raw)
	wkey, err := verify.CosignatureVkey("w.example", pub)
	must(t, err)

	// 3. The directory.
	admin, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	d := &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Issued: "2026-01-01T00:00:00Z", Admin: verify.EncodePublicKey(admin), Default: "eu",
		Cells: []verify.DirectoryCell{{
			ID: "eu", Jurisdictions: []bonded.Jurisdiction{"EU"}, Suite: "aes-256-gcm", Ledger: where, LedgerKey: vkey,
			WitnessPolicy: "log " + vkey + "\nwitness w " + wkey + "\nquorum w\n",
			PromiseKey:    verify.EncodePublicKey(admin), KeyholderKey: verify.EncodePublicKey(admin),
		}},
	}
	cells = filepath.Join(t.TempDir(), "cells.json")
	must(t, os.WriteFile(cells, d.Encode(), 0o600))
	must(t, os.WriteFile(cells+".sig", verify.SignDirectory(key, d.Encode()), 0o600))
	return cells
}

func putFile(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, b, 0o600))
}

// A hundred thousand entries are checked in a browser by each of the two
// verifiers. What it took is printed, against five seconds that are meant: a
// busy machine fails no test.
func TestPortalChecksALargeLedger(t *testing.T) {
	w := openTab(t, "en")
	const n = 100_000
	dir := t.TempDir()
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	cells, out := largeLedger(t, dir, s.URL+"/", n), filepath.Join(t.TempDir(), "portal")
	if code, said := program(t, "bonded", "portal", "build", "--directory", cells, "--cell", "eu", "--out", out, "--wasm", wasmOf(t), "--offline"); code != 0 {
		t.Fatal(said)
	}
	_, err := chromedp.Call(w.ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	must(t, err)
	w.open(served(t, out) + "/en/verify.html")
	before := worked(t, w)
	verdictOf(w)
	took := worked(t, w) - before
	t.Logf("the page's thread worked %.2f s for %d entries, with both verifiers", took, n)
	for _, step := range []string{"ledger", "second"} {
		if v := eval[string](w, `document.querySelector("#step-`+step+`").dataset.verdict`); v != "holds" {
			t.Fatalf("step %s: %s", step, v)
		}
		clock, err := strconv.ParseFloat(eval[string](w, `/took ([\d.]+) seconds/.exec(document.querySelector("#step-`+step+`").innerText)?.[1] ?? ""`), 64)
		must(t, err)
		t.Logf("%s: %.2f s by the clock", step, clock)
	}
}

// worked returns the seconds that the thread of the page has worked.
func worked(t *testing.T, w *tab) float64 {
	t.Helper()
	m, err := chromedp.Call(w.ctx, performance.GetMetrics, cdp.Empty{})
	must(t, err)
	for _, x := range m.Metrics {
		if x.Name == "TaskDuration" {
			return x.Value
		}
	}
	t.Fatal("the browser does not say how long it worked")
	return 0
}
