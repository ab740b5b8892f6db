package rules

import "strings"

// SameNumber reports whether two telephone numbers have the same digits, five
// of them or more. Front door and custodians compare a call back with the
// register by it.
func SameNumber(a, b string) bool {
	digits := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, s)
	}
	return len(digits(a)) >= 5 && digits(a) == digits(b)
}
