// Package vaultsql keeps the tables of a vault in SQL: ciphertext, index
// values, tokens, basis records, tombstones. Each call is one statement or
// one commit; what may be written is the business of package vault, and the
// rows of the journal, which live in the same database, that of package
// journal.
//
// Start at [Open].
package vaultsql
