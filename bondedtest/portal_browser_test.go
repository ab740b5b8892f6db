//go:build unix

package bondedtest_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"bonded/bondedtest"
	"bonded/verify"
)

// served serves a folder as any web server does.
func served(t *testing.T, dir string) string {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	return s.URL
}

// await waits until an expression is true in a page.
func (b *tab) await(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience))); err != nil {
		b.t.Fatalf("%s did not come: %v\n%s", expression, err, b.text("body"))
	}
}

// wasmOf builds the verifier for pages.
func wasmOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../scripts/wasm", dir).CombinedOutput(); err != nil {
		t.Fatalf("build the WebAssembly: %v\n%s", err, out)
	}
	return dir
}

// verdictOf presses the button of the verification page and returns the answer.
func verdictOf(w *tab) string {
	w.t.Helper()
	w.await(`!document.querySelector("#verify-run").closest("section").hidden`)
	eval[bool](w, `(document.querySelector("#verify-run").click(), true)`)
	w.await(`document.querySelector("#verdict").dataset.verdict !== "none" && !document.querySelector("#verify-run").disabled`)
	return eval[string](w, `document.querySelector("#verdict").dataset.verdict`)
}

// The public portal of a cell with a front door: built by the command, announced
// in the ledger, read and checked in a browser in both languages, at both widths,
// with and without scripts; The story of the front door changes a byte of a tile.
func TestE2EPortalChecksInTheBrowser(t *testing.T) {
	w := openTab(t, "en")
	o := openDoor(t)
	wasm, work := wasmOf(t), t.TempDir()
	admin := filepath.Join(o.d.Layout.Admin(), "admin.key")
	dir := filepath.Join(o.d.Layout.Vault("eu"), "portal")

	// 1. A person's data is opened, and there is something to report and to state.
	entry := create(t, o.app, "portal", "Somebody").Entry
	receipt := anchored(t, o.app, entry)
	report, statement := filepath.Join(work, "report"), filepath.Join(work, "statement.json")
	o.bonded("report", "make", "--admin", admin, "--from", "2026-01-01", "--to", time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly), "--out", report)
	o.bonded(stating(admin, statement)...)
	before := stating(admin, statement+".before")
	before[slices.Index(before, "--since")+1] = "2026-01-01"
	if _, err := o.try(before...); err == nil || !strings.Contains(err.Error(), "--since") || !strings.Contains(err.Error(), "first witnessed entry") {
		t.Errorf("a statement about the time before the cell: %v", err)
	}

	// 2. The portal, which the vault announces.
	o.bonded("portal", "build", "--admin", admin, "--out", dir, "--wasm", wasm, "--report", report, "--statement", statement, "--organisation", "independent-1=Example Notaries")
	announced(t, dir)
	site := served(t, dir)

	// 3. Every page, in both languages and at both widths.
	for _, page := range portalPages(t, dir) {
		w.open(site + "/" + page)
		for _, width := range []int64{390, 1280} {
			w.do(chromedp.EmulateViewport(width, 900))
			if over := eval[int](w, `document.documentElement.scrollWidth - innerWidth`); over > 1 {
				t.Errorf("%s at %d px is %d px too wide", page, width, over)
			}
		}
		w.shoot("portal-" + strings.NewReplacer("/", "-", ".html", "").Replace(page))
	}

	// 4. What it checks holds: twice, so that a visit can be compared with the one before.
	for _, lang := range []string{"en", "zh-Hans"} {
		w.open(site + "/" + lang + "/verify.html")
		if v := verdictOf(w); v != "holds" {
			t.Errorf("%s: %s\n%s", lang, v, eval[string](w, `document.querySelector("main").innerText`))
		}
		w.shoot("portal-" + lang + "-verified")
	}
	if seen := eval[string](w, `document.querySelector("#step-visit").innerText`); !strings.Contains(seen, "全部仍在") {
		t.Errorf("the second visit is not compared with the first: %s", seen)
	}
	t.Run("receipt", func(t *testing.T) { portalReceipt(t, w, site, string(receipt.Encode())) })
	t.Run("entry", func(t *testing.T) {
		w.open(site + "/en/ledger.html")
		eval[bool](w, `(document.querySelector("#entry-index").value = "0", document.querySelector("#entry-form").requestSubmit(), true)`)
		w.await(`document.querySelector("#entry-result .badge.good") !== null`)
	})
	t.Run("report", func(t *testing.T) {
		w.open(site + "/en/report.html")
		eval[bool](w, `(document.querySelector("#report-check").click(), true)`)
		w.await(`document.querySelector("#report-result .badge.good") !== null`)
		w.shoot("portal-en-report-checked")
	})
	t.Run("commands", func(t *testing.T) { portalCommands(t, o.d, dir, statement) })
	t.Run("without scripts", func(t *testing.T) { portalWithoutScripts(t, site) })
	t.Run("without WebAssembly", func(t *testing.T) { portalWithoutWasm(t, dir) })
	t.Run("not signed", func(t *testing.T) { portalUnsigned(t, dir) })
	t.Run("size", func(t *testing.T) { portalSize(t, dir) })
}

// stating are the arguments that sign a statement for a portal.
func stating(admin, out string) []string {
	return []string{
		"portal", "statement", "--admin", admin, "--since", time.Now().UTC().Format(time.DateOnly), "--operator", "Example AG", "--out", out,
		"--says", "en=No authority has obtained data of this cell but through a case in its ledger.", "--says", "zh-Hans=除账本所载案件外，任何机关均未从本单元获得数据。",
	}
}

// announced waits until the vault has put the evidence beside the manifest.
func announced(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if fi, err := os.Stat(filepath.Join(dir, "manifest.json.evidence")); err == nil && fi.Size() > 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("the vault did not announce the portal")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func portalPages(t *testing.T, dir string) (pages []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(dir, path); err == nil && filepath.Ext(name) == ".html" && !strings.HasPrefix(name, "report/") && !strings.Contains(name, "/ledger-") {
			pages = append(pages, filepath.ToSlash(name))
		}
		return err
	}))
	if len(pages) != 13 {
		t.Errorf("%d pages: %v", len(pages), pages)
	}
	return pages
}

func portalReceipt(t *testing.T, w *tab, site, receipt string) {
	check := func(text string) string {
		w.open(site + "/en/my-data.html")
		b, err := json.Marshal(text)
		must(t, err)
		eval[bool](w, `(document.querySelector("#receipt-text").value = `+string(b)+`, document.querySelector("#receipt-form").requestSubmit(), true)`)
		w.await(`document.querySelector("#receipt-result .badge") !== null`)
		return eval[string](w, `document.querySelector("#receipt-result").innerText`)
	}
	if said := check(receipt); !strings.Contains(said, "The receipt is genuine") || !strings.Contains(said, "still holds the state") {
		t.Error(said)
	}
	w.shoot("portal-en-receipt")
	if said := check(strings.Replace(receipt, `"head_salt":"`, `"head_salt":"A`, 1)); !strings.Contains(said, "Does not hold") {
		t.Error(said)
	}
	w.open(site + "/en/my-data.html")
	code := func(typed string) string {
		eval[bool](w, `(document.querySelector("#code-text").value = "`+typed+`", document.querySelector("#code-form").requestSubmit(), true)`)
		w.await(`document.querySelector("#code-result .badge") !== null`)
		return eval[string](w, `document.querySelector("#code-result").innerText`)
	}
	if said := code("0000-0000-0000-0000-0000"); !strings.Contains(said, "not a notice code") {
		t.Error(said)
	}
}

func portalCommands(t *testing.T, d *bondedtest.Deployment, dir, statement string) {
	trust := []string{"--directory", d.Layout.Directory()} // of two cells: each names its own
	for _, args := range [][]string{{"portal", dir}, {"statement", statement}, {"statement", statement, "--ledger", filepath.Join(d.Layout.Vault("eu"), "ledger")}} {
		if code, out := program(t, "bonded-verify", append(args, trust...)...); code != 0 {
			t.Errorf("%v ended with %d: %s", args, code, out)
		}
	}
	bad := filepath.Join(t.TempDir(), "portal")
	copyTree(t, dir, bad)
	page := filepath.Join(bad, "en", "verify.html")
	b, err := os.ReadFile(page)
	must(t, err)
	must(t, os.WriteFile(page, append(b, ' '), 0o600))
	if code, out := program(t, "bonded-verify", append([]string{"portal", bad}, trust...)...); code != 1 || !strings.Contains(out, "en/verify.html") {
		t.Errorf("a changed page: it ended with %d: %s", code, out)
	}
}

// portalWithoutScripts opens every kind of page without scripts: it says what
// cannot be checked here, and by which command.
func portalWithoutScripts(t *testing.T, site string) {
	w := openTab(t, "en")
	_, err := chromedp.Call(w.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	must(t, err)
	for page, command := range map[string]string{
		"verify.html": "bonded-verify ledger", "ledger.html": "bonded-verify ledger", "report.html": "bonded-verify report",
		"my-data.html": "bonded-verify receipt", "statement.html": "bonded-verify statement",
	} {
		w.open(site + "/en/" + page)
		said := eval[string](w, `document.querySelector("main").innerText`)
		if !strings.Contains(said, "cannot be checked") || !strings.Contains(said, command) {
			t.Errorf("%s without scripts: %s", page, said)
		}
		if n := eval[int](w, `[...document.querySelectorAll("main button, main form")].filter((e) => e.checkVisibility()).length`); n != 0 {
			t.Errorf("%s shows %d controls that do nothing without scripts", page, n)
		}
	}
}

// portalWithoutWasm serves the portal without the WebAssembly: the small verifier
// checks alone, and the page says what it left out.
func portalWithoutWasm(t *testing.T, dir string) {
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "verify.wasm") {
			http.NotFound(rw, r)
			return
		}
		files.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	w := openTab(t, "en")
	w.expect("404")
	w.open(s.URL + "/en/verify.html")
	if v := verdictOf(w); v != "cannot tell" {
		t.Errorf("without WebAssembly: %s", v)
	}
	said := eval[string](w, `document.querySelector("#steps").innerText`)
	if !strings.Contains(said, "could not be loaded in this browser") || !strings.Contains(said, "The small program read all") {
		t.Error(said)
	}
	w.shoot("portal-en-without-wasm")
}

// portalUnsigned serves the portal without the signature on its list of files:
// that the ledger announces it does not stand in for that.
func portalUnsigned(t *testing.T, dir string) {
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/manifest.signatures.json" {
			_, _ = rw.Write([]byte("[]\n"))
			return
		}
		files.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	w := openTab(t, "en")
	w.open(s.URL + "/en/verify.html")
	if v := verdictOf(w); v != "cannot tell" {
		t.Errorf("a list of files that nobody signed: %s", v)
	}
	if v := eval[string](w, `document.querySelector("#step-build").dataset.verdict`); v != "cannot tell" {
		t.Errorf("its step: %s", v)
	}
}

// portalTampered serves a copy of the ledger with one byte changed: the page
// names the file and the entry, and what that means in the words given.
func portalTampered(t *testing.T, w *tab, d *bondedtest.Deployment, wasm, lang, shot string, words ...string) {
	t.Helper()
	work := t.TempDir()
	ledger := filepath.Join(work, "ledger")
	copyTree(t, filepath.Join(d.Layout.Vault("eu"), "ledger"), ledger)
	files := http.FileServer(http.Dir(ledger))
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)

	// 1. A directory of the same keys that names the copy.
	raw, err := os.ReadFile(d.Layout.Directory())
	must(t, err)
	dir, err := verify.ParseDirectory(raw)
	must(t, err)
	c, _ := dir.Cell("eu")
	c.Ledger = s.URL + "/"
	key, err := d.Layout.AdminKey()
	must(t, err)
	cells := filepath.Join(work, "cells.json")
	must(t, os.WriteFile(cells, dir.Encode(), 0o600))
	must(t, os.WriteFile(cells+".sig", verify.SignDirectory(key, dir.Encode()), 0o600))
	out := filepath.Join(work, "portal")
	if code, said := program(t, "bonded", "portal", "build", "--directory", cells, "--cell", "eu", "--out", out, "--wasm", wasm, "--offline"); code != 0 {
		t.Fatal(said)
	}
	site := served(t, out)

	// 2. As it is, then with one byte of every tile changed.
	w.open(site + "/" + lang + "/verify.html")
	verdictOf(w)
	if v := eval[string](w, `document.querySelector("#step-ledger").dataset.verdict + "/" + document.querySelector("#step-second").dataset.verdict`); v != "holds/holds" {
		t.Errorf("the copy as it is: %s", v)
	}
	must(t, filepath.WalkDir(filepath.Join(ledger, "tile", "0"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) < 96 { // too few hashes yet
			return err
		}
		b[70] ^= 1 // of the hash of entry 2
		return os.WriteFile(path, b, 0o600)
	}))
	if v := verdictOf(w); v != "does not hold" {
		t.Errorf("a tampered tile: %s", v)
	}
	for _, step := range []string{"ledger", "second"} {
		said := eval[string](w, `document.querySelector("#step-`+step+`").innerText`)
		for _, word := range append(words, "tile/0/000") {
			if !strings.Contains(said, word) {
				t.Errorf("step %s does not say %q: %s", step, word, said)
			}
		}
	}
	w.shoot(shot)
}

// portalSize holds what a page loads, but the WebAssembly, to its limit.
func portalSize(t *testing.T, dir string) {
	var assets, wasm int64
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(path, "/a-") {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".wasm.gz") {
			wasm = fi.Size()
		} else {
			assets += fi.Size()
		}
		return nil
	}))
	if wasm == 0 || wasm >= 1_500_000 {
		t.Errorf("the WebAssembly has %d bytes", wasm)
	}
	for _, page := range portalPages(t, dir) {
		fi, err := os.Stat(filepath.Join(dir, page))
		must(t, err)
		if n := fi.Size() + assets; n > 150_000 {
			t.Errorf("%s loads %d bytes", page, n)
		}
	}
	t.Logf("WebAssembly %d bytes; scripts, style and mark %d bytes", wasm, assets)
}
