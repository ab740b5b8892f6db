package locale

import (
	"maps"
	"regexp"
	"slices"

	"golang.org/x/text/feature/plural"
)

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// Missing says what a catalogue lacks that English has: words, plural forms
// that the language needs, placeholders. For whoever translates.
func (c *Catalogue) Missing(tag string) (problems []string) {
	f, base := c.files[tag], c.files[Base]
	if f.Language == "" {
		problems = append(problems, "it has no name")
	}
	for _, k := range slices.Sorted(maps.Keys(base.Words)) {
		s, ok := f.Words[k]
		switch {
		case !ok:
			problems = append(problems, "there are no words for "+k)
		case !same(placeholder.FindAllString(s, -1), placeholder.FindAllString(base.Words[k], -1)):
			problems = append(problems, "other placeholders than in English: "+k)
		}
	}
	for k := range f.Words {
		if _, ok := base.Words[k]; !ok {
			problems = append(problems, "English has no "+k)
		}
	}
	needed := map[string]bool{}
	for n := range 200 {
		needed[names[plural.Cardinal.MatchPlural(f.tag, n, 0, 0, 0, 0)]] = true
	}
	for _, k := range slices.Sorted(maps.Keys(base.Counts)) {
		for form := range needed {
			if _, ok := f.Counts[k][form]; !ok {
				problems = append(problems, "there is no form "+form+" of "+k)
			}
		}
	}
	return problems
}

func same(a, b []string) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// Keys returns every key of English, sorted.
func (p *Printer) Keys() []string {
	keys := slices.Collect(maps.Keys(p.base.Words))
	keys = slices.AppendSeq(keys, maps.Keys(p.base.Counts))
	slices.Sort(keys)
	return keys
}
