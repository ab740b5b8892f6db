// Package terminal keeps other people's text from doing anything to the
// terminal that shows it: moving the cursor, breaking a table, or turning the
// direction of writing.
//
// It knows no colours and no widths. Start at [Clean].
package terminal

import (
	"strings"
	"unicode/utf8"
)

// Clean returns s with U+FFFD in place of every control character, every
// character that turns the direction of writing, and every byte that is not
// UTF-8.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0, // C0, DEL and C1
			r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, // embeddings, overrides, isolates
			r == 0x200e, r == 0x200f, r == 0x61c, // marks
			r == 0x2028, r == 0x2029: // separators of lines and paragraphs
			return utf8.RuneError
		}
		return r
	}, s)
}
