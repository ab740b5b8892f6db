package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	vectorCell   = "../../spec/vectors/cell"
	vectorReport = "../../spec/vectors/report"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bonded-verify": main})
}

// TestScripts runs testdata/script on the small cell of spec/vectors. Beside
// the commands of testscript there are
//
//	flip FILE OFFSET      flips the lowest bit of a byte
//	drop FILE TEXT        deletes the lines that hold TEXT
//	exits CODE COMMAND…   runs a command that must end with CODE
//	serve DIR             serves DIR over HTTP; its address is $URL
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			released, err := filepath.Abs("../../spec/vectors/package")
			if err != nil {
				return err
			}
			e.Setenv("PACKAGE", released)
			if err := os.CopyFS(filepath.Join(e.WorkDir, "reported"), os.DirFS(filepath.FromSlash(vectorReport))); err != nil {
				return err
			}
			return os.CopyFS(e.WorkDir, os.DirFS(filepath.FromSlash(vectorCell)))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"flip": func(ts *testscript.TestScript, _ bool, args []string) {
				b := []byte(ts.ReadFile(args[0]))
				at, err := strconv.Atoi(args[1])
				ts.Check(err)
				b[at] ^= 1
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
			},
			"drop": func(ts *testscript.TestScript, _ bool, args []string) {
				var kept bytes.Buffer
				for l := range strings.Lines(ts.ReadFile(args[0])) {
					if !strings.Contains(l, args[1]) {
						kept.WriteString(l)
					}
				}
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), kept.Bytes(), 0o600))
			},
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				code := "0"
				if err != nil {
					code = strings.TrimPrefix(err.Error(), "exit status ")
				}
				if code != args[0] {
					ts.Fatalf("ended with %s, not %s", code, args[0])
				}
			},
			"serve": func(ts *testscript.TestScript, _ bool, args []string) {
				s := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
				ts.Defer(s.Close)
				ts.Setenv("URL", s.URL)
			},
		},
	})
}

// The verifier is for everyone's machine, and for the browser.
func TestBuildsEverywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for four systems")
	}
	for _, target := range []string{"darwin/arm64", "windows/amd64", "linux/arm64", "js/wasm"} {
		goos, arch, _ := strings.Cut(target, "/")
		c := exec.Command("go", "build", "-o", filepath.Join(t.TempDir(), "out"), ".")
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", target, err, out)
		}
	}
}
