package notice

import (
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"bonded/internal/yamlstrict"
)

//go:embed text/*.yaml
var texts embed.FS

// languages are those of the catalogues; the first is the last resort.
var languages = []string{"en", "de", "es", "fr", "pt", "ru", "zh"}

// A catalogue is text/LANG.yaml: everything a notice says in one language.
// Words in braces are placeholders; entries lists those of each text.
type catalogue struct {
	lang language.Tag

	Months    []string              `yaml:"months" required:"true"` // twelve, as they stand in a date
	FirstDay  string                `yaml:"first_day"`              // of a month, where it is an ordinal; absent: 1
	Date      string                `yaml:"date" required:"true"`
	List      string                `yaml:"list" required:"true"` // between the names of fields
	BasisItem string                `yaml:"basis_item" required:"true"`
	BasisList string                `yaml:"basis_list" required:"true"` // between legal bases
	Greeting  string                `yaml:"greeting" required:"true"`
	Messages  map[string]messageSet `yaml:"messages" required:"true"` // by kind; gag_ended has one with and one without an opening
	Facts     factSet               `yaml:"facts" required:"true"`
	Late      lateSet               `yaml:"late" required:"true"`
	Check     checkSet              `yaml:"check" required:"true"`
	Complain  complainSet           `yaml:"complain" required:"true"`
	Closing   string                `yaml:"closing" required:"true"`
}

type messageSet struct {
	Subject string `yaml:"subject" required:"true"`
	Lead    string `yaml:"lead" required:"true"`
}

type factSet struct {
	Head      string            `yaml:"head" required:"true"`
	Authority string            `yaml:"authority" required:"true"`
	Basis     string            `yaml:"basis" required:"true"`
	Requested string            `yaml:"requested" required:"true"`
	Opened    string            `yaml:"opened" required:"true"`
	Decided   map[string]string `yaml:"decided" required:"true"` // by kind
	Until     string            `yaml:"until" required:"true"`
	Fields    map[string]string `yaml:"fields" required:"true"` // by plural form of CLDR
	Place     string            `yaml:"place" required:"true"`
	Case      string            `yaml:"case" required:"true"`
}

type lateSet struct {
	Head   string `yaml:"head" required:"true"`
	Prompt string `yaml:"prompt" required:"true"` // nothing held the notice back
	Secret string `yaml:"secret" required:"true"`
}

type checkSet struct {
	Head  string `yaml:"head" required:"true"`
	Entry string `yaml:"entry" required:"true"`
	URL   string `yaml:"url" required:"true"`
	Code  string `yaml:"code" required:"true"`
	Keep  string `yaml:"keep" required:"true"`
}

type complainSet struct {
	Head string `yaml:"head" required:"true"`
	Text string `yaml:"text" required:"true"`
}

// gagUnopened is the message of a [GagEnded] notice without an opening.
const gagUnopened = "gag_ended_unopened"

// decidedLabel names the label of [Facts.Decided] for the kinds that have one.
var decidedLabel = map[Kind]string{
	Refused: string(Refused), Preserved: string(Preserved), PreservationReleased: string(PreservationReleased),
}

// An entry is one text of a catalogue and the placeholders it must have.
type entry struct {
	name, text   string
	placeholders []string
}

// entries lists every text of the catalogue.
func (c *catalogue) entries() []entry {
	all := []entry{
		{"date", c.Date, []string{"clock", "day", "month", "year"}},
		{"list", c.List, nil},
		{"basis_item", c.BasisItem, []string{"article", "law"}},
		{"basis_list", c.BasisList, nil},
		{"greeting", c.Greeting, nil},
		{"facts.head", c.Facts.Head, nil},
		{"facts.authority", c.Facts.Authority, []string{"authority", "country"}},
		{"facts.basis", c.Facts.Basis, []string{"basis"}},
		{"facts.requested", c.Facts.Requested, []string{"date"}},
		{"facts.opened", c.Facts.Opened, []string{"date"}},
		{"facts.until", c.Facts.Until, []string{"date"}},
		{"facts.place", c.Facts.Place, []string{"place"}},
		{"facts.case", c.Facts.Case, []string{"case"}},
		{"late.head", c.Late.Head, nil},
		{"late.prompt", c.Late.Prompt, nil},
		{"late.secret", c.Late.Secret, []string{"date"}},
		{"check.head", c.Check.Head, nil},
		{"check.entry", c.Check.Entry, []string{"entry"}},
		{"check.url", c.Check.URL, []string{"url"}},
		{"check.code", c.Check.Code, []string{"code"}},
		{"check.keep", c.Check.Keep, nil},
		{"complain.head", c.Complain.Head, nil},
		{"complain.text", c.Complain.Text, nil},
		{"closing", c.Closing, nil},
	}
	for i, m := range c.Months {
		all = append(all, entry{fmt.Sprintf("months[%d]", i), m, nil})
	}
	for _, k := range messageKeys() {
		all = append(all,
			entry{"messages." + k + ".subject", c.Messages[k].Subject, nil},
			entry{"messages." + k + ".lead", c.Messages[k].Lead, []string{"operator"}})
	}
	for _, k := range decidedLabel {
		all = append(all, entry{"facts.decided." + k, c.Facts.Decided[k], []string{"date"}})
	}
	for _, form := range pluralForms(c.lang) {
		all = append(all, entry{"facts.fields." + form, c.Facts.Fields[form], []string{"count", "fields"}})
	}
	return all
}

func messageKeys() []string {
	keys := []string{gagUnopened}
	for _, k := range Kinds {
		keys = append(keys, string(k))
	}
	return keys
}

var placeholder = regexp.MustCompile(`\{([a-z]*)\}`)

// check returns every way in which the catalogue is not whole.
func (c *catalogue) check() error {
	var errs []error
	if len(c.Months) != 12 {
		errs = append(errs, errors.New("months: not twelve"))
	}
	for _, e := range c.entries() {
		var have []string
		for _, m := range placeholder.FindAllStringSubmatch(e.text, -1) {
			have = append(have, m[1])
		}
		slices.Sort(have)
		switch {
		case strings.TrimSpace(e.text) == "":
			errs = append(errs, fmt.Errorf("%s: no text", e.name))
		case !slices.Equal(have, e.placeholders):
			errs = append(errs, fmt.Errorf("%s: placeholders %v, want %v", e.name, have, e.placeholders))
		}
	}
	for _, n := range []struct {
		what       string
		have, want int
	}{
		{"messages", len(c.Messages), len(messageKeys())},
		{"facts.decided", len(c.Facts.Decided), len(decidedLabel)},
		{"facts.fields", len(c.Facts.Fields), len(pluralForms(c.lang))},
	} {
		if n.have != n.want {
			errs = append(errs, fmt.Errorf("%s: %d texts, want %d", n.what, n.have, n.want))
		}
	}
	return errors.Join(errs...)
}

// catalogues reads all catalogues once.
var catalogues = sync.OnceValues(func() (map[string]*catalogue, error) {
	all := make(map[string]*catalogue, len(languages))
	for _, lang := range languages {
		name := "text/" + lang + ".yaml"
		b, err := texts.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read catalogue: %w", err)
		}
		c := &catalogue{lang: language.Make(lang)}
		if err := yamlstrict.Decode(name, b, c); err != nil {
			return nil, fmt.Errorf("read catalogue: %w", err)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("check catalogue %s: %w", name, err)
		}
		all[lang] = c
	}
	return all, nil
})

var formNames = map[plural.Form]string{
	plural.Other: "other", plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many",
}

// pluralForm returns the CLDR plural form of n things.
func pluralForm(lang language.Tag, n int) string {
	return formNames[plural.Cardinal.MatchPlural(lang, n, 0, 0, 0, 0)]
}

// pluralForms returns the forms that whole numbers of things up to [MaxFields]
// take in a language.
func pluralForms(lang language.Tag) []string {
	var forms []string
	for n := 1; n <= MaxFields; n++ {
		if f := pluralForm(lang, n); !slices.Contains(forms, f) {
			forms = append(forms, f)
		}
	}
	return forms
}

var matcher = sync.OnceValue(func() language.Matcher {
	var tags []language.Tag
	for _, l := range languages {
		tags = append(tags, language.Make(l))
	}
	return language.NewMatcher(tags)
})

// Match returns the language a notice is written in for a person who reads
// lang, a BCP 47 tag: "en", "zh", "de", "fr", "ru", "es" or "pt". If there is
// no text in that language, it is the operator's default, and en if that has
// none either. Regions and scripts do not matter (RFC 4647 lookup, with the
// aliases of CLDR), but a person is never given a neighbour's language because
// many there read it: Ukrainian does not become Russian.
func Match(lang, fallback string) string {
	for _, l := range []string{lang, fallback} {
		tag, err := language.Parse(l)
		if err != nil {
			continue
		}
		_, i, confidence := matcher().Match(tag)
		base, _ := tag.Base()
		if confidence == language.Exact || confidence != language.No && base.String() == languages[i] {
			return languages[i]
		}
	}
	return languages[0]
}
