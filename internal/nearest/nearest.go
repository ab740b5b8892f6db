// Package nearest finds the known word closest to a mistyped one, for hints
// such as "did you mean purposes?".
//
// It does not search large vocabularies: every call compares the word with
// all known ones. Start at [Hint].
package nearest

import (
	"slices"
	"strings"
)

// listed is how many known words a hint prints when none is close.
const listed = 16

// Word returns the known word with the fewest slips from word, and whether it
// is close enough to be what was meant: at most one slip in three letters. A
// slip is a letter too many, too few, wrong, or swapped with its neighbour.
// Case and the difference between '-', '_' and ' ' do not count. Of equally
// close words the first in alphabetical order is returned.
func Word(word string, known []string) (string, bool) {
	w := fold(word)
	best, bestSlips := "", 1<<30
	for _, k := range slices.Sorted(slices.Values(known)) {
		if n := slips(w, fold(k)); n < bestSlips {
			best, bestSlips = k, n
		}
	}
	return best, best != "" && bestSlips <= max(1, min(len(w), len(fold(best)))/3)
}

// Hint returns "did you mean x?" if a known word is close to word, else a
// list of the known words, else "" if there are none.
func Hint(word string, known []string) string {
	if k, ok := Word(word, known); ok {
		return "did you mean " + k + "?"
	}
	all := slices.Compact(slices.Sorted(slices.Values(known)))
	switch {
	case len(all) == 0:
		return ""
	case len(all) > listed:
		return "known here: " + strings.Join(all[:listed], ", ") + ", …"
	}
	return "known here: " + strings.Join(all, ", ")
}

func fold(s string) string {
	if len(s) > 128 { // nobody mistypes a word this long
		s = s[:128]
	}
	return strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(s))
}

// slips is the optimal string alignment distance of a and b.
func slips(a, b string) int {
	two, one, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(one[j]+1, now[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], two[j-2]+1)
			}
		}
		two, one, now = one, now, two
	}
	return one[len(b)]
}
