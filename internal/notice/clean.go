package notice

import (
	"strings"
	"unicode"
)

// Names come from requests, so whoever files one chooses them. In a notice a
// name must not break the line, turn the direction of the text around it, or
// hide anything.

// Marks that say where a piece of another direction begins and ends (Unicode
// Standard Annex 9, section 2.4). Their effect ends with the piece, unlike
// that of the embeddings and overrides that clean takes out.
const (
	firstStrongIsolate = "\u2068"
	popIsolate         = "\u2069"
)

// clean returns s as one line of visible text: control, format and private
// characters and broken UTF-8 are taken out, white space becomes one space.
// Joiners stay, since names in Indic and Arabic script are spelled with them.
func clean(s string) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case r == unicode.ReplacementChar,
			unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) && r != '\u200c' && r != '\u200d':
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	out := b.String()
	if strings.Trim(out, "\u200c\u200d ") == "" {
		return ""
	}
	return out
}

// isolate returns s cleaned and, if it has letters that run from right to
// left, in isolation marks, so that what stands around it keeps its order.
func isolate(s string) string {
	s = clean(s)
	if strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam)
	}) {
		return firstStrongIsolate + s + popIsolate
	}
	return s
}

// cleanLines cleans each line of a text of several and drops empty lines at
// both ends.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = isolate(l)
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
