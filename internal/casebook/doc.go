// Package casebook is the ledger of cases: it turns entries of the front door
// into leaves that do not show how much is going on, and opens them when they
// are due.
//
// In every slot of time it appends the same number of leaves. What no entry
// needs is filled with covers, which look the same. Each leaf owes its opening
// at one date, the same time after its slot for all. At that date covers open
// as covers, entries as what they are, and entries of a case that is still
// secret are extended by an ordinary entry that names a later date; a share of
// covers is extended as well, so that an extension says nothing either.
//
// It does not know what entries mean, decides nothing about cases, and serves
// nobody. Formats and their checks are in package verify ([verify.CaseEntry],
// [verify.CaseOpening], [verify.CaseMonitor]); spec/casebook.md has the rules.
// It builds on Unix systems only, as package ledger does.
//
// Start at [Book.Tick], which is the one main path; [Book.Add] is how an entry
// comes in, [Book.Await] how its receipt goes out.
package casebook
