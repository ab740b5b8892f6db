// Package normal brings a value into the one spelling under which the
// two-lock index finds it: a name by NFKC and case folding, a phone number as
// E.164, and so on. Both sides of an equality, the write and the search, go
// through the same normaliser.
//
// It is pure and keeps nothing. It does not judge whether a value is true or
// reachable, and it never puts a value into an error.
//
// A normaliser's output is part of the index: changing one means re-indexing
// every record that uses it. The tables of Unicode and of numbering plans come
// from golang.org/x/text and github.com/nyaruka/phonenumbers; raise those
// versions knowingly.
//
// Start at [Parse].
package normal
