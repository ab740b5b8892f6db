// Package intake brings people from a CSV file into the cells of their
// jurisdictions: it streams, routes every row, writes in batches, resumes
// after an interruption without duplicates, and reports each bad row by line,
// column and code, never by value.
//
// It speaks to cells through [Target] and stores nothing but its own state
// file, which holds ids and salted hashes. Start at [Run].
package intake
