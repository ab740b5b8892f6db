// Package frontdoorsql keeps the tables of the front door in SQL: cases and
// what was said and done in them, the register, ceremonies, and work that
// waits. Each function is one statement. What may be written, and what is
// sealed before it comes here, is the business of package frontdoor; the
// ledger's entries, which live in the same database so that a change and its
// entry are one commit, that of package casebook.
//
// Start at [Open], then [Store.Update] for changes and [Store.Read] for
// reading.
package frontdoorsql
