// Package operator makes what the people of a cell sign at the front door:
// entries of the register from files that people write, orders of ceremonies
// from the custodians' public files, decisions on cases from what the front
// door showed.
//
// It signs nothing and talks to nobody: package cli has the keys and the line.
// The front door checks all of it again.
//
// Start at [ParseAgency], [ParsePerson], [Ceremony] and [Decide].
package operator
