package portal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bonded/internal/portal"
	"bonded/verify"
)

const vectors = "../../spec/vectors/report"

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// built is the portal of the report of spec/vectors.
func built(t *testing.T) map[string][]byte {
	t.Helper()
	d, err := verify.ParseDirectory(read(t, "cells.json"))
	if err != nil {
		t.Fatal(err)
	}
	cell := &d.Cells[0]
	in := &portal.Input{
		Now: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), Program: "test", Cell: cell.ID, Directory: read(t, "cells.json"), Signature: []byte("signature"),
		Counts: map[verify.LeafKind]int64{}, ReportFiles: map[string][]byte{"report.json": read(t, "report.json")},
		Wasm: []byte("\x00asm"), WasmGzip: []byte("\x1f\x8b"), WasmExec: []byte("//"),
	}
	rep, err := verify.CheckCellLedger(func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(vectors, "ledger", path)) }, cell,
		verify.LogOptions{Entry: func(index int64, data []byte) error {
			leaf, err := verify.DecodeLeaf(data)
			if err != nil {
				return err
			}
			in.Counts[leaf.Kind]++
			in.Entries = append(in.Entries, portal.Entry{Index: index, Leaf: leaf})
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	in.Checkpoint = rep.Checkpoint
	if in.Report, err = verify.ParseReport(read(t, "report.json")); err != nil {
		t.Fatal(err)
	}
	files, err := portal.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPagesAreWholeAndLoadNothingElse(t *testing.T) {
	files := built(t)
	left := regexp.MustCompile(`\{[a-z_]+\}|\b(?:portal|rtable|rcolumn)[a-z]*\.[a-z_]+[<"]`)
	data := regexp.MustCompile(`(?s)<script id="portal-data".*?</script>`)
	link := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	pages := 0
	for name, body := range files {
		if filepath.Ext(name) != ".html" || strings.HasPrefix(name, "report/") {
			continue
		}
		pages++
		text := strings.ReplaceAll(data.ReplaceAllString(string(body), ""), `/portal.js"`, `/"`)
		if m := left.FindString(text); m != "" {
			t.Errorf("%s shows %s", name, m)
		}
		if strings.Contains(text, " style=") || strings.Contains(text, "<style") || strings.Contains(text, " onclick") {
			t.Errorf("%s has style or script in it, which its policy refuses", name)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" {
				continue
			}
			if strings.Contains(to, "://") {
				t.Errorf("%s leads to %s", name, to)
			} else if to = strings.TrimSuffix(to, "/"); strings.HasPrefix(to, "../a-") || strings.HasPrefix(to, "a-") {
				continue // held by the manifest
			} else if path := filepath.ToSlash(filepath.Join(filepath.Dir(name), to)); files[path] == nil {
				t.Errorf("%s leads to %s, which is not there", name, to)
			}
		}
	}
	if pages != 1+2*(5+3) {
		t.Errorf("%d pages", pages)
	}
	if !strings.Contains(string(files["en/report.html"]), `<svg class="chart"`) || !strings.Contains(string(files["zh-Hans/report.html"]), "密钥使用") {
		t.Error("the report has no charts, or is not in Chinese")
	}
}

func TestManifestNamesEveryFile(t *testing.T) {
	files := built(t)
	m, err := verify.ParsePortalManifest(files[portal.Manifest])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		sum := sha256.Sum256(files[f.Path])
		if hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(files[f.Path])) != f.Size {
			t.Errorf("%s is not what the manifest says", f.Path)
		}
		delete(files, f.Path)
	}
	for _, name := range []string{portal.Manifest, portal.Signatures, portal.Evidence} {
		delete(files, name)
	}
	for name := range files {
		t.Errorf("%s is not in the manifest", name)
	}
}
