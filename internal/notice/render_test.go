package notice_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/notice"
)

// TestRenderGolden holds every message of every language against testdata.
// UPDATE=1 writes them anew: read them over before they go in.
func TestRenderGolden(t *testing.T) {
	for _, lang := range notice.Languages {
		var b strings.Builder
		add := func(title string, f notice.Facts) {
			text, err := notice.Render(lang, f)
			if err != nil {
				t.Fatalf("%s %s: %v", lang, title, err)
			}
			fmt.Fprintf(&b, "=== %s\nSubject: %s\n\n%s\n", title, text.Subject, text.Body)
		}
		for _, kind := range notice.Kinds {
			add(string(kind), facts(t, kind))
		}
		unopened := facts(t, notice.GagEnded)
		unopened.Opened, unopened.Fields, unopened.Basis = time.Time{}, nil, nil
		add("gag_ended without an opening", unopened)
		late := facts(t, notice.Disclosed)
		late.SecretUntil = at(t, "2028-12-31T23:59:00Z")
		late.Fields = []string{"a", "b", "c", "d", "e"}
		add("disclosed, deferred by secrecy, five fields", late)

		path := filepath.Join("testdata", lang+".txt")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
}

func TestCataloguesAreCompleteInEveryLanguage(t *testing.T) {
	english, err := notice.Entries("en")
	if err != nil {
		t.Fatal(err)
	}
	en := make(map[string]string)
	for _, e := range english {
		en[e.Name] = e.Text
	}
	// What is not a word of a language, and what two languages spell alike.
	alike := regexp.MustCompile(`^(date|list|basis_item|basis_list|months\[\d+\])$`)
	for _, lang := range notice.Languages {
		files, err := os.ReadDir("text")
		if err != nil || len(files) != len(notice.Languages) {
			t.Fatalf("%d catalogues in text, want %d (%v)", len(files), len(notice.Languages), err)
		}
		entries, err := notice.Entries(lang)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, e := range entries {
			seen[e.Name] = true
			if strings.TrimSpace(e.Text) == "" {
				t.Errorf("%s: %s has no text", lang, e.Name)
			}
			for _, p := range e.Placeholders {
				if strings.Count(e.Text, "{"+p+"}") != 1 {
					t.Errorf("%s: %s has {%s} not once", lang, e.Name, p)
				}
			}
			if lang != "en" && !alike.MatchString(e.Name) && e.Text == en[e.Name] {
				t.Errorf("%s: %s is English", lang, e.Name)
			}
		}
		for name := range en {
			if !seen[name] && !strings.HasPrefix(name, "facts.fields.") {
				t.Errorf("%s: lacks %s", lang, name)
			}
		}
		forms, err := notice.PluralForms(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range forms {
			if !seen["facts.fields."+form] {
				t.Errorf("%s: lacks the plural form %s", lang, form)
			}
		}
	}
}

// TestRenderLeavesNoEnglish looks for the commonest English words in every
// whole message of the other languages, names and addresses taken out.
func TestRenderLeavesNoEnglish(t *testing.T) {
	english := regexp.MustCompile(`(?i)\b(the|of|and|your|data|you|is|was|this|has|by|for|not|with|authority|request|field|fields|case|law|code|until|opened|January|March)\b`)
	// Words that German, French, Spanish or Portuguese share in spelling.
	shared := map[string][]string{"de": {"was", "code"}, "fr": {"code"}, "es": nil, "pt": {"data"}, "ru": nil, "zh": nil}
	for lang, words := range shared {
		for _, kind := range notice.Kinds {
			f := facts(t, kind)
			f.Contact, f.Operator, f.Place = "※", "※", "※"
			text, err := notice.Render(lang, f)
			if err != nil {
				t.Fatal(err)
			}
			s := strings.NewReplacer("bonded-verify", "", f.Case.String(), "", f.LedgerURL, "").Replace(text.Subject + "\n" + text.Body)
			for _, w := range english.FindAllString(s, -1) {
				if !slices.Contains(words, strings.ToLower(w)) {
					t.Errorf("%s %s: English word %q", lang, kind, w)
				}
			}
			if m := regexp.MustCompile(`[{}]`).FindString(s); m != "" {
				t.Errorf("%s %s: a placeholder is left", lang, kind)
			}
		}
	}
}

func TestRenderPicksPluralForms(t *testing.T) {
	for _, c := range []struct {
		lang, want string
		n          int
	}{
		{"en", ", 1 field: ", 1},
		{"en", ", 2 fields: ", 2},
		{"ru", ", 1 поле: ", 1},
		{"ru", ", 2 поля: ", 2},
		{"ru", ", 4 поля: ", 4},
		{"ru", ", 5 полей: ", 5},
		{"ru", ", 11 полей: ", 11},
		{"ru", ", 12 полей: ", 12},
		{"ru", ", 21 поле: ", 21},
		{"ru", ", 22 поля: ", 22},
		{"ru", ", 111 полей: ", 111},
		{"de", ", 1 Feld: ", 1},
		{"de", ", 2 Felder: ", 2},
		{"fr", ", 1 champ : ", 1},
		{"fr", ", 2 champs : ", 2},
		{"es", ", 1 campo: ", 1},
		{"es", ", 7 campos: ", 7},
		{"pt", ", 1 campo: ", 1},
		{"pt", ", 7 campos: ", 7},
		{"zh", "（1 个字段）", 1},
		{"zh", "（3 个字段）", 3},
	} {
		f := facts(t, notice.Disclosed)
		f.Fields = nil
		for i := range c.n {
			f.Fields = append(f.Fields, fmt.Sprintf("f%d", i))
		}
		text, err := notice.Render(c.lang, f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.Body, c.want) {
			t.Errorf("%s, %d fields: no %q", c.lang, c.n, c.want)
		}
	}
}

func TestMatchFallsBack(t *testing.T) {
	for _, c := range []struct{ lang, fallback, want string }{
		{"de", "en", "de"},
		{"de-AT", "en", "de"},
		{"DE_ch", "en", "de"},
		{"en-GB", "fr", "en"},
		{"es-419", "en", "es"},
		{"pt-PT", "en", "pt"},
		{"pt-BR", "en", "pt"},
		{"zh-CN", "en", "zh"},
		{"zh-Hans-SG", "en", "zh"},
		{"zh-Hant-TW", "en", "zh"},
		{"cmn", "en", "zh"},
		{"uk", "de", "de"}, // not Russian
		{"be", "de", "de"},
		{"ug", "en", "en"}, // not Chinese
		{"ja", "fr", "fr"},
		{"", "fr", "fr"},
		{"not a tag", "ru", "ru"},
		{"ja", "nl", "en"},
		{"", "", "en"},
	} {
		if got := notice.Match(c.lang, c.fallback); got != c.want {
			t.Errorf("Match(%q, %q) = %s, want %s", c.lang, c.fallback, got, c.want)
		}
	}
}

func TestRenderStripsWhatTurnsOrBreaksText(t *testing.T) {
	f := facts(t, notice.Disclosed)
	f.Authority = "Police\r\nSubject: x\x00\u202egnp.exe\u2066 \u200bof\u2028 Exa\u00admple\ufeff"
	f.Place = "\t EU \x1b[31m "
	text, err := notice.Render("en", f)
	if err != nil {
		t.Fatal(err)
	}
	if want := "- Asked for by: Police Subject: xgnp.exe of Example (Germany)\n"; !strings.Contains(text.Body, want) {
		t.Errorf("no line %q in\n%s", want, text.Body)
	}
	if want := "- Where your data is kept: EU [31m\n"; !strings.Contains(text.Body, want) {
		t.Errorf("no line %q", want)
	}
	f = facts(t, notice.Disclosed)
	f.Authority, f.Country = "النيابة العامة", "AE"
	if text, err = notice.Render("en", f); err != nil {
		t.Fatal(err)
	}
	if want := ": \u2068النيابة العامة\u2069 (United Arab Emirates)\n"; !strings.Contains(text.Body, want) {
		t.Errorf("a name that runs from right to left is not isolated")
	}
	f.Authority = "{country}{operator}"
	if text, err = notice.Render("en", f); err != nil || !strings.Contains(text.Body, ": {country}{operator} (") {
		t.Errorf("a name in braces is filled in (%v)", err)
	}
}

func TestRenderRefusesFactsThatAreNotWhole(t *testing.T) {
	for name, c := range map[string]struct {
		kind  notice.Kind
		field string
		spoil func(*notice.Facts)
	}{
		"no kind":                       {notice.Disclosed, "kind", func(f *notice.Facts) { f.Kind = "" }},
		"unknown kind":                  {notice.Disclosed, "kind", func(f *notice.Facts) { f.Kind = "leaked" }},
		"no operator":                   {notice.Disclosed, "operator", func(f *notice.Facts) { f.Operator = "" }},
		"authority that cannot be seen": {notice.Disclosed, "authority", func(f *notice.Facts) { f.Authority = "\u200b\u202e \u200d" }},
		"authority without end":         {notice.Disclosed, "authority", func(f *notice.Facts) { f.Authority = strings.Repeat("a", 201) }},
		"no place":                      {notice.Disclosed, "place", func(f *notice.Facts) { f.Place = "\n" }},
		"unknown country":               {notice.Disclosed, "country", func(f *notice.Facts) { f.Country = "XX" }},
		"country in lower case":         {notice.Disclosed, "country", func(f *notice.Facts) { f.Country = "de" }},
		"not asked for":                 {notice.Disclosed, "requested", func(f *notice.Facts) { f.Requested = at(t, "0001-01-01T00:00:00Z") }},
		"no case":                       {notice.Disclosed, "case", func(f *notice.Facts) { f.Case = bonded.CaseID{} }},
		"no code":                       {notice.Disclosed, "code", func(f *notice.Facts) { f.Code = notice.Code{} }},
		"ledger over http":              {notice.Disclosed, "ledger_url", func(f *notice.Facts) { f.LedgerURL = "http://ledger.example/" }},
		"ledger with a user name":       {notice.Disclosed, "ledger_url", func(f *notice.Facts) { f.LedgerURL = "https://bank.example@evil.example/" }},
		"ledger as a script":            {notice.Disclosed, "ledger_url", func(f *notice.Facts) { f.LedgerURL = "javascript:alert(1)" }},
		"no contact":                    {notice.Disclosed, "contact", func(f *notice.Facts) { f.Contact = " \n" }},
		"disclosed, never opened":       {notice.Disclosed, "opened", func(f *notice.Facts) { f.Opened = at(t, "0001-01-01T00:00:00Z") }},
		"disclosed, no field":           {notice.Disclosed, "fields", func(f *notice.Facts) { f.Fields = nil }},
		"value in place of a name":      {notice.Disclosed, "fields", func(f *notice.Facts) { f.Fields = []string{"ana@example.org"} }},
		"number in place of a name":     {notice.Disclosed, "fields", func(f *notice.Facts) { f.Fields = []string{"+8613800000000"} }},
		"disclosed without a law":       {notice.Disclosed, "basis", func(f *notice.Facts) { f.Basis = nil }},
		"law that cannot be seen":       {notice.Disclosed, "basis", func(f *notice.Facts) { f.Basis = []notice.LegalBasis{{Article: "5"}} }},
		"refused and opened":            {notice.Refused, "opened", func(f *notice.Facts) { f.Opened = f.Requested }},
		"refused with fields":           {notice.Refused, "fields", func(f *notice.Facts) { f.Fields = []string{"email"} }},
		"frozen with fields":            {notice.Preserved, "fields", func(f *notice.Facts) { f.Fields = []string{"email"} }},
		"refused with an end":           {notice.Refused, "until", func(f *notice.Facts) { f.Until = f.Requested }},
		"disclosed and decided":         {notice.Disclosed, "decided", func(f *notice.Facts) { f.Decided = f.Requested }},
		"gag without its end":           {notice.GagEnded, "secret_until", func(f *notice.Facts) { f.SecretUntil = at(t, "0001-01-01T00:00:00Z") }},
		"gag opened without fields":     {notice.GagEnded, "fields", func(f *notice.Facts) { f.Fields = nil }},
	} {
		f := facts(t, c.kind)
		c.spoil(&f)
		_, err := notice.Render("en", f)
		e := coded(err)
		if e == nil || e.Code != bonded.CodeInvalid || e.Field != c.field {
			t.Errorf("%s: %v, want invalid at %s", name, err, c.field)
		}
		if err != nil && (strings.Contains(err.Error(), "ana@") || strings.Contains(err.Error(), "138")) {
			t.Errorf("%s: the error holds a value", name)
		}
	}
}

func TestCountriesHaveNamesInEveryLanguage(t *testing.T) {
	n := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			j := bonded.Jurisdiction(string(a) + string(b))
			en := notice.CountryName("en", j)
			if en != "" {
				n++
			}
			for _, lang := range notice.Languages {
				if (notice.CountryName(lang, j) == "") != (en == "") {
					t.Errorf("%s has no name in %s", j, lang)
				}
			}
		}
	}
	if n < 250 {
		t.Errorf("%d countries have names", n)
	}
	for j, want := range map[bonded.Jurisdiction]string{"EU": "欧盟", "DE": "德国", "MK": "北马其顿", "ZZ": "", "QQ": ""} {
		if got := notice.CountryName("zh", j); got != want {
			t.Errorf("%s: %q, want %q", j, got, want)
		}
	}
}
