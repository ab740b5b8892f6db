package locale_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"bonded"
	"bonded/internal/locale"
)

func shipped(t *testing.T) *locale.Catalogue {
	t.Helper()
	c, err := locale.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every language that ships has every word, the same placeholders, and the
// plural forms that it needs.
func TestShippedLanguagesAreWhole(t *testing.T) {
	c := shipped(t)
	if l := c.Languages(); l[0] != "en" || !slices.Contains(l, "zh-Hans") {
		t.Fatalf("the languages are %v", l)
	}
	for _, tag := range c.Languages()[1:] {
		for _, p := range c.Missing(tag) {
			t.Errorf("%s: %s", tag, p)
		}
	}
}

// Every key that a page names has words, and all words are used.
func TestKeysAndWordsBelongTogether(t *testing.T) {
	named := regexp.MustCompile(`\.(?:T|N|Has)\("([a-z][a-z0-9_.-]*)"`)
	quoted := regexp.MustCompile(`"([a-z][a-z0-9_-]*\.(?:[a-z0-9_-]+\.?)*)"`)
	p := shipped(t).Printer("en")
	keys := p.Keys()
	used := map[string]bool{}
	var prefixes []string
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		templ := strings.HasSuffix(path, ".templ")
		if !templ && (!strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_templ.go")) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range named.FindAllSubmatch(b, -1) {
			key := string(m[1])
			if strings.HasSuffix(key, ".") {
				continue // goes on with a code
			}
			if templ && !slices.Contains(keys, key) {
				t.Errorf("%s: there are no words for %q", strings.TrimPrefix(path, "../../"), key)
			}
		}
		for _, m := range quoted.FindAllSubmatch(b, -1) {
			if key := string(m[1]); strings.HasSuffix(key, ".") {
				prefixes = append(prefixes, key)
			} else {
				used[key] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if !used[k] && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(k, p) }) {
			t.Errorf("no page uses the words of %q", k)
		}
	}
}

func TestPrinterWritesAsTheLanguageDoes(t *testing.T) {
	c, err := locale.Load(fstest.MapFS{
		"en.yaml": {Data: []byte("language: English\ndate: 2 January 2006\nminute: 2 Jan 2006, 15:04 MST\nsecond: 15:04:05\nwords: {hello: 'Hello {who}', only: Only}\ncounts: {box: {one: '{n} box', other: '{n} boxes'}}\n")},
		"ru.yaml": {Data: []byte("language: Русский\ndate: 02.01.2006\nwords: {hello: 'Привет, {who}'}\ncounts: {box: {one: '{n} ящик', few: '{n} ящика', many: '{n} ящиков', other: '{n} ящика'}}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 28, 9, 30, 0, 0, time.FixedZone("", 3600))
	for _, x := range []struct{ want, got string }{
		{"Hello Ada", c.Printer("en").T("hello", "who", "Ada")},
		{"Привет, Ада", c.Printer("ru-RU,ru;q=0.9").T("hello", "who", "Ада")},
		{"Only", c.Printer("ru").T("only")},
		{"Hello Ada", c.Printer("xx").T("hello", "who", "Ada")},
		{"nothing.there", c.Printer("ru").T("nothing.there")},
		{"1 box", c.Printer("en").N("box", 1)},
		{"1,200 boxes", c.Printer("en").N("box", 1200)},
		{"3 ящика", c.Printer("ru").N("box", 3)},
		{"11 ящиков", c.Printer("ru").N("box", 11)},
		{"28 November 2026", c.Printer("en").Date(at)},
		{"28.11.2026", c.Printer("ru").Date(at)},
		{"28 Nov 2026, 08:30 UTC", c.Printer("ru").Minute(at)},
	} {
		if x.got != x.want {
			t.Errorf("got %q, want %q", x.got, x.want)
		}
	}
	if m := c.Missing("ru"); len(m) != 1 {
		t.Errorf("missing in ru: %v", m)
	}
}

func TestCatalogueErrorsNameTheFile(t *testing.T) {
	for name, dir := range map[string]fstest.MapFS{
		"en.yaml":   {"en.yaml": {Data: []byte("wrds: {}")}},
		"en":        {"de.yaml": {Data: []byte("language: Deutsch")}},
		"???.yaml":  {"en.yaml": {Data: []byte("language: English")}, "???.yaml": {Data: []byte("language: x")}},
		"en/b.yaml": {"en/a.yaml": {Data: []byte("words: {x: y}")}, "en/b.yaml": {Data: []byte("words: {x: z}")}},
	} {
		_, err := locale.Load(dir)
		var e *bonded.Error
		if e, _ = err.(*bonded.Error); e == nil || e.Code != bonded.CodeConfig || e.Field != name { //nolint:errorlint // of this package
			t.Errorf("%s: %v", name, err)
		}
	}
}
