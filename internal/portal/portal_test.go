package portal_test

import (
	"bytes"
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
		Now: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), Program: "test", Cell: cell.ID, Operator: "Example AG", Directory: read(t, "cells.json"), Signature: []byte("signature"),
		Counts: map[verify.LeafKind]int64{}, ReportFiles: map[string][]byte{"report.json": read(t, "report.json")},
		Wasm: []byte("\x00asm"), WasmGzip: []byte("\x1f\x8b"), WasmExec: []byte("//"),
	}
	opened := map[int64]*verify.OpenedCase{}
	if err := verify.ReadOpenings(bytes.NewReader(read(t, "openings.jsonl")), func(o *verify.CaseOpening) error {
		x, err := o.Check()
		if err == nil {
			opened[x.Index] = x
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	rep, err := verify.CheckCellLedger(func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(vectors, "ledger", path)) }, cell,
		verify.LogOptions{Entry: func(index int64, data []byte) error {
			leaf, err := verify.DecodeLeaf(data)
			if err != nil {
				return err
			}
			in.Counts[leaf.Kind]++
			if o := opened[index]; o != nil {
				in.Opened.Add(o)
			}
			in.Entries = append(in.Entries, portal.Entry{Index: index, Leaf: leaf, Opened: opened[index]})
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

func TestLedgerDoesNotCallSealedEntriesCases(t *testing.T) {
	files := built(t)
	for page, words := range map[string][]string{
		"en/ledger.html":      {"sealed entries (cases and covers)", "The number of sealed entries is not a number of cases", "covers among them", "<summary>"},
		"zh-Hans/ledger.html": {"密封条目（案件和空白条目）", "密封条目的数量不是案件的数量", "其中空白条目"},
	} {
		for _, w := range words {
			if !strings.Contains(string(files[page]), w) {
				t.Errorf("%s does not say %q", page, w)
			}
		}
	}
	if n := strings.Count(string(files["en/ledger.html"]), `<li class="result"`); n > 125 {
		t.Errorf("%d rows: the routine is not folded", n)
	}
}

func TestPagesNameTheOperator(t *testing.T) {
	files := built(t)
	for _, page := range []string{"index.html", "en/index.html", "zh-Hans/verify.html"} {
		if !strings.Contains(string(files[page]), "Example AG") {
			t.Errorf("%s does not name the operator", page)
		}
	}
	m, err := verify.ParsePortalManifest(files[portal.Manifest])
	if err != nil || m.Operator != "Example AG" {
		t.Errorf("the manifest has operator %q, %v", m.Operator, err)
	}
	if said := string(files["zh-Hans/report.html"]); strings.Contains(said, ">other<") || strings.Contains(said, "· other") {
		t.Error("the Chinese report says other")
	}
}
