package normal

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"bonded"
	"bonded/internal/nearest"
)

// MaxSize bounds a value that is normalised, and its indexed spelling, in
// bytes; "exact" has no bound of its own. Some characters grow elevenfold.
const MaxSize = 4096

// A Normaliser turns values into their indexed spelling. Get one from
// [Parse]; the zero value is not valid. It may be used by many goroutines.
type Normaliser struct {
	name   string
	region string
}

// names lists the normalisers a schema may name.
var names = []string{"exact", "nfkc", "email", "phone", "digits", "date"}

// Names returns the names [Parse] knows, without parameters.
func Names() []string { return slices.Clone(names) }

// Parse returns the normaliser a schema names:
//
//   - exact: the value byte for byte
//   - nfkc: for names. Unicode NFKC and full case folding, invisible format
//     characters removed, white space trimmed and inner runs made one space
//   - email: as nfkc for the whole address, local part included (RFC 5321
//     section 2.4 lets a host tell upper from lower case there; none in wide
//     use does, and a search that misses "Li.Na@…" is the worse fault);
//     separators around the address are dropped; dots and +tags are kept
//   - phone, or phone:CN: E.164. Without a region the value must begin with
//     "+"; with one, national numbers are read as that country's. Extensions
//     are dropped
//   - digits: the decimal digits of any script, as 0–9, and nothing else
//   - date: YYYY-MM-DD, from year-month-day orders only
//
// An unknown name is a [*bonded.Error] with code [bonded.CodeConfig] and a
// hint.
func Parse(name string) (Normaliser, error) {
	base, region, parameter := strings.Cut(name, ":")
	if !slices.Contains(names, base) {
		return Normaliser{}, &bonded.Error{Code: bonded.CodeConfig, Message: "unknown normaliser", Hint: nearest.Hint(base, names)}
	}
	if !parameter {
		return Normaliser{name: base}, nil
	}
	if base != "phone" {
		return Normaliser{}, &bonded.Error{Code: bonded.CodeConfig, Message: "normaliser " + base + " takes no parameter", Hint: "write " + base}
	}
	if !phonenumbers.GetSupportedRegions()[region] {
		return Normaliser{}, &bonded.Error{Code: bonded.CodeConfig, Message: "unknown region of the phone normaliser", Hint: "use an ISO country code, as in phone:CN"}
	}
	return Normaliser{name: base, region: region}, nil
}

// String returns the name that [Parse] read.
func (n Normaliser) String() string {
	if n.region != "" {
		return n.name + ":" + n.region
	}
	return n.name
}

// IsZero reports whether n came from nowhere.
func (n Normaliser) IsZero() bool { return n.name == "" }

// Normalise returns the indexed spelling of value. Normalising the result
// again returns it unchanged. It returns a [*bonded.Error] with code
// [bonded.CodeInvalidUTF8] for text that is not UTF-8, [bonded.CodeTooLarge]
// for a value or spelling over [MaxSize], and [bonded.CodeInvalid] for a value that has no such spelling, such as a phone
// number of three digits or a name of spaces; none holds the value.
func (n Normaliser) Normalise(value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", &bonded.Error{Code: bonded.CodeInvalidUTF8, Message: "value is not UTF-8"}
	}
	if len(value) > MaxSize && n.name != "exact" {
		return "", tooLarge()
	}
	var out, hint string
	switch n.name {
	case "exact":
		return value, nil
	case "nfkc":
		out, hint = fold(value), "it needs at least one visible character"
	case "email":
		out, hint = email(value), "give one address, as in name@example.org"
	case "phone":
		out = phone(value, n.region)
		hint = "give it with + and country code"
		if n.region != "" {
			hint += ", or as a national number of " + n.region
		}
	case "digits":
		out, hint = digits(value), "it needs at least one digit"
	case "date":
		out, hint = date(value), "give it as YYYY-MM-DD"
	default:
		return "", &bonded.Error{Code: bonded.CodeInternal, Message: "a normaliser that nobody parsed"}
	}
	if len(out) > MaxSize {
		return "", tooLarge()
	}
	if out == "" {
		return "", &bonded.Error{Code: bonded.CodeInvalid, Message: "value cannot be indexed as " + n.String(), Hint: hint}
	}
	return out, nil
}

func tooLarge() error {
	return &bonded.Error{Code: bonded.CodeTooLarge, Message: fmt.Sprintf("an indexed value is longer than %d bytes", MaxSize), Hint: "do not index long texts"}
}
