//go:build unix

package bondedtest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"bonded/bondedtest"
)

// A tab is a browser of somebody before a page, with a folder for what they
// save. What the browser complains of fails the test.
type tab struct {
	t     *testing.T
	ctx   context.Context //nolint:containedctx // of the browser
	saved string

	mu       sync.Mutex
	expected []string // parts of complaints that have to come
}

// openTab starts a browser, or skips the test if this machine has none.
func openTab(t *testing.T, language string) *tab {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("this machine has no browser")
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("lang", language), chromedp.Flag("accept-lang", language), chromedp.Flag("force-prefers-reduced-motion", true))
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, saved: t.TempDir()}
	b.do(chromedp.EmulateViewport(1280, 900))
	_, err := chromedp.CallBrowser(ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: b.saved,
	})
	must(t, err)
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			if (m.Type == "error" || m.Type == chromedp.ConsoleException) && !b.awaited(m.Text) {
				t.Errorf("the browser complains: %s", m.Text)
			}
		}
	}()
	return b
}

// expect names a complaint that has to come.
func (b *tab) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}

func (b *tab) awaited(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.expected {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// do takes steps, which have the time of a test's patience.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil { // the first starts the browser and must not have a shorter life
		b.t.Fatal(err)
	}
}

// within takes steps, or shows the page and fails after a while.
func (b *tab) within(d time.Duration, what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, d)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.text("body"))
	}
}

func (b *tab) open(address string) {
	b.t.Helper()
	b.within(patience, address, chromedp.Navigate(address))
}

func (b *tab) see(selector string) {
	b.t.Helper()
	b.within(patience, "see "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.within(patience, "click "+selector, chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.within(patience, "write into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *tab) choose(selector, file string) {
	b.t.Helper()
	b.within(patience, "choose a file for "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{file}))
}

// set chooses an answer, or a time, which keys write differently in every
// language.
func (b *tab) set(selector, value string) {
	b.t.Helper()
	got := eval[string](b, `(() => { const e = document.querySelector(`+quote(selector)+`); e.value = `+quote(value)+`; e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true})); return e.value; })()`)
	if got != value {
		b.t.Fatalf("%s takes no %q: it has %q", selector, value, got)
	}
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector(`+quote(selector)+`)?.innerText ?? ''`)
}

// texts returns the text of every element.
func (b *tab) texts(selector string) []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll(`+quote(selector)+`)].map((e) => e.textContent)`)
}

func eval[R any](b *tab, script string) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[R](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`).Replace(s) + "'"
}

// file waits for a file that the browser saves.
func (b *tab) file(name string) []byte {
	b.t.Helper()
	var got []byte
	poll(b.t, "the browser saves "+name, func() error {
		var err error
		got, err = os.ReadFile(filepath.Join(b.saved, name))
		if err == nil && len(got) == 0 { // the browser holds the name first
			return errors.New(name + " is empty")
		}
		return err
	})
	return got
}

// audit has axe-core look at the page, light and dark.
func (b *tab) audit(name string) {
	b.t.Helper()
	axe, err := os.ReadFile(filepath.Join("testdata", "axe", "axe.min.js"))
	must(b.t, err)
	if !eval[bool](b, "typeof axe !== 'undefined'") {
		eval[any](b, string(axe)+"; true")
	}
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](
			`axe.run().then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 200))))`, chromedp.EvalAwaitPromise))
		must(b.t, err)
		for _, f := range found {
			b.t.Errorf("%s, %s: %s", name, scheme, f)
		}
	}
}

// officerProgram builds what the officers' pages compute with, beside the
// programs of the deployment.
func officerProgram(t *testing.T) {
	t.Helper()
	dir := bondedtest.Binaries(t)
	if _, err := os.Stat(filepath.Join(dir, "officer.wasm.gz")); err == nil {
		return
	}
	for _, args := range [][]string{
		{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "officer.wasm"), "bonded/cmd/bonded-officer-wasm"},
		{"gzip", "-n", "-f", filepath.Join(dir, "officer.wasm")},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...) //nolint:gosec // of this test
		cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	must(t, err)
	exe, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "officer-exec.js"), exe, 0o600))
}
