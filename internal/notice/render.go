package notice

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"bonded"
)

// A Text is a notice ready to read: plain text, UTF-8, lines ended by \n.
type Text struct {
	Language string // of the text: see [Match]
	Subject  string // one line
	Body     string
}

// Render writes a notice in the language that [Match] finds for lang, English
// if there is none. It returns an error with code [bonded.CodeInvalid] if the
// facts are not whole; see [Facts.Check].
func Render(lang string, f Facts) (Text, error) {
	if err := f.Check(); err != nil {
		return Text{}, err
	}
	all, err := catalogues()
	if err != nil {
		return Text{}, bonded.Wrap(bonded.CodeInternal, err, "the texts of notices are not whole")
	}
	lang = Match(lang, "en")
	c := all[lang]

	// 1. What happened, in words.
	key := string(f.Kind)
	if f.Kind == GagEnded && f.Opened.IsZero() {
		key = gagUnopened
	}
	m := c.Messages[key]
	var b strings.Builder
	paragraph := func(lines ...string) { b.WriteString(strings.Join(lines, "\n") + "\n\n") }
	paragraph(c.Greeting)
	paragraph(fill(m.Lead, "operator", isolate(f.Operator)))

	// 2. The facts, one a line.
	paragraph(append([]string{c.Facts.Head}, c.facts(lang, &f)...)...)

	// 3. Why now; how to check; where to turn to.
	late := c.Late.Prompt
	if !f.SecretUntil.IsZero() {
		late = fill(c.Late.Secret, "date", c.date(f.SecretUntil))
	}
	paragraph(c.Late.Head, late)
	paragraph(c.Check.Head,
		fill(c.Check.Entry, "entry", strconv.FormatUint(f.Entry, 10)),
		fill(c.Check.URL, "url", f.LedgerURL),
		fill(c.Check.Code, "code", f.Code.Text()),
		c.Check.Keep)
	paragraph(c.Complain.Head, c.Complain.Text, "", cleanLines(f.Contact))
	b.WriteString(c.Closing + "\n" + isolate(f.Operator) + "\n")
	return Text{Language: lang, Subject: m.Subject, Body: b.String()}, nil
}

func (c *catalogue) facts(lang string, f *Facts) []string {
	var lines []string
	add := func(text string, pairs ...string) { lines = append(lines, "- "+fill(text, pairs...)) }

	add(c.Facts.Authority, "authority", isolate(f.Authority), "country", countryName(lang, f.Country))
	if len(f.Basis) > 0 {
		bases := make([]string, len(f.Basis))
		for i, basis := range f.Basis {
			if bases[i] = isolate(basis.Law); basis.Article != "" {
				bases[i] = fill(c.BasisItem, "law", isolate(basis.Law), "article", isolate(basis.Article))
			}
		}
		add(c.Facts.Basis, "basis", strings.Join(bases, c.BasisList))
	}
	add(c.Facts.Requested, "date", c.date(f.Requested))
	if !f.Opened.IsZero() {
		add(c.Facts.Opened, "date", c.date(f.Opened))
		add(c.Facts.Fields[pluralForm(c.lang, len(f.Fields))],
			"count", strconv.Itoa(len(f.Fields)), "fields", strings.Join(f.Fields, c.List))
	}
	if !f.Decided.IsZero() {
		add(c.Facts.Decided[decidedLabel[f.Kind]], "date", c.date(f.Decided))
	}
	if !f.Until.IsZero() {
		add(c.Facts.Until, "date", c.date(f.Until))
	}
	add(c.Facts.Place, "place", isolate(f.Place))
	add(c.Facts.Case, "case", f.Case.String())
	return lines
}

// date writes a time in UTC, to the minute, with the month as a word where the
// language has one.
func (c *catalogue) date(t time.Time) string {
	t = t.UTC()
	day := strconv.Itoa(t.Day())
	if t.Day() == 1 && c.FirstDay != "" {
		day = c.FirstDay
	}
	return fill(c.Date, "day", day, "month", c.Months[t.Month()-1], "year", strconv.Itoa(t.Year()),
		"clock", fmt.Sprintf("%02d:%02d", t.Hour(), t.Minute()))
}

// fill puts values in place of {names}. What a value holds is not looked into.
func fill(text string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
