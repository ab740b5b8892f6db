// Package locale has the words of pages in every language, and writes numbers,
// dates and plural forms as that language does. A language is one catalogue
// file; English is the one that is always whole.
//
// It knows no page. Start at [Load] and [Catalogue.Printer].
package locale

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"

	"bonded"
	"bonded/internal/yamlstrict"
	"bonded/web"
)

// Base is the language that every other falls back to.
const Base = "en"

// A Catalogue is the languages there are.
type Catalogue struct {
	tags    []language.Tag
	matcher language.Matcher
	files   map[string]*file
}

// A file is the catalogue of one language.
type file struct {
	Language string                       `yaml:"language"` // its own name, such as Deutsch
	Date     string                       `yaml:"date"`     // layouts of package time
	Minute   string                       `yaml:"minute"`
	Second   string                       `yaml:"second"`
	Words    map[string]string            `yaml:"words"`
	Counts   map[string]map[string]string `yaml:"counts"` // by plural form
	tag      language.Tag
}

// Shipped returns the catalogue that ships with the program.
var Shipped = sync.OnceValues(func() (*Catalogue, error) { return Load(web.Locales()) })

// Load reads the catalogues of a folder: for each language one file TAG.yaml,
// or a folder TAG of files that count as one. Errors have code bad_config and
// name the file.
func Load(dir fs.FS) (*Catalogue, error) {
	c := &Catalogue{files: map[string]*file{}}
	var paths []string
	for _, pattern := range []string{"*.yaml", "*/*.yaml"} {
		found, err := fs.Glob(dir, pattern)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	for _, name := range paths {
		if err := c.read(dir, name); err != nil {
			return nil, &bonded.Error{Code: bonded.CodeConfig, Field: name, Message: "not a catalogue of words", Err: err, Hint: "begin with a copy of the English one, named by a BCP 47 tag"}
		}
	}
	base := c.files[Base]
	if base == nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: Base, Message: "there is no catalogue of English"}
	}
	// The matcher takes the first where nothing fits.
	c.tags = []language.Tag{base.tag}
	for _, tag := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[tag]
		for _, layout := range []struct{ to, from *string }{{&f.Date, &base.Date}, {&f.Minute, &base.Minute}, {&f.Second, &base.Second}} {
			if *layout.to == "" {
				*layout.to = *layout.from
			}
		}
		if tag != Base {
			c.tags = append(c.tags, f.tag)
		}
	}
	c.matcher = language.NewMatcher(c.tags)
	return c, nil
}

// read adds one file to the language that its path begins with.
func (c *Catalogue) read(dir fs.FS, name string) error {
	b, err := fs.ReadFile(dir, name)
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(name, "/")
	tag, err := language.Parse(strings.TrimSuffix(first, ".yaml"))
	if err != nil {
		return err
	}
	f := c.files[tag.String()]
	if f == nil {
		f = &file{tag: tag, Words: map[string]string{}, Counts: map[string]map[string]string{}}
		c.files[tag.String()] = f
	}
	var more file
	if err := yamlstrict.Decode(name, b, &more); err != nil {
		return err
	}
	f.Language, f.Date = cmp.Or(f.Language, more.Language), cmp.Or(f.Date, more.Date)
	f.Minute, f.Second = cmp.Or(f.Minute, more.Minute), cmp.Or(f.Second, more.Second)
	for k, v := range more.Words {
		if _, twice := f.Words[k]; twice {
			return fmt.Errorf("the words of %s stand in two files", k)
		}
		f.Words[k] = v
	}
	for k, v := range more.Counts {
		if _, twice := f.Counts[k]; twice {
			return fmt.Errorf("the counts of %s stand in two files", k)
		}
		f.Counts[k] = v
	}
	return nil
}

// Languages returns the tags there are, English first.
func (c *Catalogue) Languages() []string {
	out := make([]string, len(c.tags))
	for i, t := range c.tags {
		out[i] = t.String()
	}
	return out
}

// Name returns a language's own name.
func (c *Catalogue) Name(tag string) string { return c.files[tag].Language }

// Printer returns the words of the first of these languages that there is:
// tags, or values of Accept-Language.
func (c *Catalogue) Printer(wanted ...string) *Printer {
	_, i := language.MatchStrings(c.matcher, wanted...)
	f := c.files[c.tags[i].String()]
	return &Printer{Catalogue: c, Lang: f.tag.String(), file: f, base: c.files[Base], numbers: message.NewPrinter(f.tag)}
}

// A Printer writes in one language.
type Printer struct {
	*Catalogue

	Lang    string
	file    *file
	base    *file
	numbers *message.Printer
}

// T returns the words of a key, with {name} replaced by the value that follows
// that name in args. A key that no catalogue has comes back as it is: the tests
// find those.
func (p *Printer) T(key string, args ...any) string {
	s, ok := p.file.Words[key]
	if !ok {
		if s, ok = p.base.Words[key]; !ok {
			return key
		}
	}
	return p.fill(s, args)
}

// Has reports whether there are words for a key.
func (p *Printer) Has(key string) bool {
	_, ok := p.base.Words[key]
	return ok
}

// Or returns the words of a key, or other if there are none: for codes that
// come from data.
func (p *Printer) Or(key, other string) string {
	if p.Has(key) {
		return p.T(key)
	}
	return other
}

// N returns the words of a key for n of something, in the plural form of the
// language (CLDR); {n} is the number.
func (p *Printer) N(key string, n int, args ...any) string {
	f := p.file
	forms, ok := f.Counts[key]
	if !ok {
		if forms, ok = p.base.Counts[key]; !ok {
			return key
		}
		f = p.base
	}
	form := forms["other"]
	if s, ok := forms[names[plural.Cardinal.MatchPlural(f.tag, n, 0, 0, 0, 0)]]; ok {
		form = s
	}
	return p.fill(form, append(args, "n", n))
}

var names = map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other"}

func (p *Printer) fill(s string, args []any) string {
	if len(args) == 0 {
		return s
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{%v}", args[i]), p.value(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

func (p *Printer) value(v any) string {
	switch v := v.(type) {
	case int:
		return p.Number(int64(v))
	case int64:
		return p.Number(v)
	case uint64:
		return p.Number(int64(v)) //nolint:gosec // counts
	case time.Time:
		return p.Minute(v)
	}
	return fmt.Sprint(v)
}

// Number writes a count with the language's separators.
func (p *Printer) Number(n int64) string { return p.numbers.Sprint(number.Decimal(n)) }

// Percent writes a share of 1.
func (p *Printer) Percent(x float64) string {
	return p.numbers.Sprint(number.Percent(x, number.MaxFractionDigits(1)))
}

// Date writes a day in UTC, as Minute and Second write its times.
func (p *Printer) Date(t time.Time) string { return t.UTC().Format(p.file.Date) }

// Minute writes a time to the minute.
func (p *Printer) Minute(t time.Time) string { return t.UTC().Format(p.file.Minute) }

// Second writes a time to the second.
func (p *Printer) Second(t time.Time) string { return t.UTC().Format(p.file.Second) }
