package vault

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Mask shows part of a value. The zero Mask shows nothing.
type Mask struct {
	kind string
	keep int // characters shown
}

// MaskChar stands for each hidden character, at most eight times, so that the
// mask does not tell the length of a long value.
const MaskChar = '*'

const maxMask = 8

// ParseMask reads the mask of a field:
//
//   - all, or nothing: hides everything
//   - keep_first, keep_first:N: shows the first N characters (default 1)
//   - keep_last, keep_last:N: shows the last N characters (default 4)
//   - email: the first character and the domain
//   - phone: the country code's plus and the last two digits
//
// A value too short for its mask (at most twice what would show) is hidden
// whole. Errors are [bonded.Error]s with code bad_config.
func ParseMask(s string) (Mask, error) {
	kind, param, has := strings.Cut(s, ":")
	m := Mask{kind: kind}
	switch kind {
	case "", "all", "email", "phone":
		if has {
			return Mask{}, configError("mask", "this mask takes no number", "")
		}
		return m, nil
	case "keep_first":
		m.keep = 1
	case "keep_last":
		m.keep = 4
	default:
		return Mask{}, configError("mask", "unknown mask", "use all, keep_first, keep_last, email or phone")
	}
	if has {
		n, err := strconv.ParseUint(param, 10, 8)
		if err != nil || n == 0 || n > 16 {
			return Mask{}, configError("mask", "a mask shows 1 to 16 characters", "for example keep_last:4")
		}
		m.keep = int(n) //nolint:gosec // at most 16
	}
	return m, nil
}

// Apply returns what m shows of value.
func (m Mask) Apply(value string) string {
	r := []rune(value)
	switch m.kind {
	case "keep_first":
		if len(r) > 2*m.keep {
			return string(r[:m.keep]) + stars(len(r)-m.keep)
		}
	case "keep_last":
		if len(r) > 2*m.keep {
			return stars(len(r)-m.keep) + string(r[len(r)-m.keep:])
		}
	case "email":
		at := strings.LastIndexByte(value, '@')
		if at > 0 {
			local := utf8.RuneCountInString(value[:at])
			if local == 1 {
				return "*" + value[at:]
			}
			_, n := utf8.DecodeRuneInString(value)
			return value[:n] + stars(local-1) + value[at:]
		}
	case "phone":
		if len(r) > 6 {
			plus := ""
			if r[0] == '+' {
				plus, r = "+", r[1:]
			}
			return plus + stars(len(r)-2) + string(r[len(r)-2:])
		}
	}
	return stars(len(r))
}

func stars(n int) string { return strings.Repeat(string(MaskChar), min(max(n, 1), maxMask)) }
