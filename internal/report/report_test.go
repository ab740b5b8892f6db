package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bonded/internal/report"
	"bonded/verify"
)

// vector is the report of spec/vectors.
func vector(t testing.TB) *verify.Report {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash("../../spec/vectors/report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Report string }
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	r, err := verify.ParseReport([]byte(v.Report))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFilesAreThoseOfTheVector(t *testing.T) {
	files, err := report.Files(vector(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range files {
		path := filepath.Join("testdata", name)
		if os.Getenv("UPDATE") != "" {
			if err := os.MkdirAll("testdata", 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what it was; if it was meant to change, run UPDATE=1 go test", name)
		}
	}
}

func TestPageRunsNothingAndFetchesNothing(t *testing.T) {
	files, err := report.Files(vector(t))
	if err != nil {
		t.Fatal(err)
	}
	page := string(files[report.HTML])
	for _, banned := range []string{"<script", "javascript:", "<img", "<link", "@import", "url("} {
		if strings.Contains(page, banned) {
			t.Errorf("the page has %q", banned)
		}
	}
	if regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(page) {
		t.Error("the page has a handler")
	}
	if strings.Count(page, "<table") != strings.Count(page, "<caption>") {
		t.Error("a table has no caption")
	}
}

func TestTextOfEntriesIsNoMarkupAndNoFormula(t *testing.T) {
	r := vector(t)
	r.Tables[0].Rows[0].Key[0] = `=1+2<b>`
	files, err := report.Files(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(files[report.HTML]), "<b>") {
		t.Error("text of an entry is markup on the page")
	}
	if !strings.Contains(string(files["requests.csv"]), "'=1+2<b>") {
		t.Error("text of an entry is a formula in the table")
	}
}
