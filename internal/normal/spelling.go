package normal

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fold is the spelling of names: close to NFKC_Casefold of Unicode's UAX #44,
// plus one kind of space. Folding can undo normalisation and the reverse, so
// it goes round until nothing changes; real text settles in one or two turns.
func fold(s string) string {
	for range 8 {
		next := squeeze(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))))
		if next == s {
			break
		}
		s = next
	}
	return s
}

// squeeze drops invisible characters and makes runs of white space one space.
func squeeze(s string) string {
	s = strings.Map(func(r rune) rune {
		if invisible(r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// invisible reports whether r leaves no mark: joiners, direction marks, soft
// hyphens, variation selectors, byte order marks.
func invisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) ||
		unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// email returns "" unless s is one address.
func email(s string) string {
	s = strings.Trim(fold(s), " ,;<>")
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(domain, "@ ,;") || strings.HasSuffix(local, " ") {
		return ""
	}
	return s
}

// phone returns "" for a number that no plan of its country could hold. It
// asks for a possible length, not for a range in use: ranges change.
func phone(s, region string) string {
	number, err := phonenumbers.Parse(strings.TrimSpace(norm.NFKC.String(s)), region)
	if err != nil || !phonenumbers.IsPossibleNumber(number) {
		return ""
	}
	out := phonenumbers.Format(number, phonenumbers.E164)
	again, err := phonenumbers.Parse(out, region)
	if err != nil || phonenumbers.Format(again, phonenumbers.E164) != out {
		return "" // leading zeros that some plan reads two ways
	}
	return out
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case unicode.Is(unicode.Nd, r):
			return '0' + digitValue(r)
		}
		return -1
	}, norm.NFKC.String(s))
}

// digitValue uses that Unicode keeps the ten digits of a script in a row that
// begins with zero (stability policy since 6.3), and that these rows lie one
// after the other inside a range.
func digitValue(r rune) rune {
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if lo, hi := rune(t.Lo), rune(t.Hi); r >= lo && r <= hi { //nolint:gosec // code points
			return (r - lo) % 10
		}
	}
	return 0
}

var dates = regexp.MustCompile(`^([0-9]{4})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})|\.([0-9]{1,2})\.([0-9]{1,2})|([0-9]{2})([0-9]{2})|年([0-9]{1,2})月([0-9]{1,2})日)$`)

// date returns "" for anything but a day of the calendar, year first: other
// orders read two ways.
func date(s string) string {
	m := dates.FindStringSubmatch(strings.TrimSpace(norm.NFKC.String(s)))
	if m == nil {
		return ""
	}
	var parts []int
	for _, p := range m[1:] {
		if p != "" {
			n, _ := strconv.Atoi(p)
			parts = append(parts, n)
		}
	}
	out := fmt.Sprintf("%04d-%02d-%02d", parts[0], parts[1], parts[2])
	if _, err := time.Parse(time.DateOnly, out); err != nil {
		return ""
	}
	return out
}
