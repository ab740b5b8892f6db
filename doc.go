// Package bonded is the vocabulary every Bonded party shares: jurisdictions,
// cells, subjects, records, tokens, case numbers, purposes and error codes.
//
// It holds no keys, does no I/O, and imports only the standard library. Use
// package [bonded/client] to talk to a Bonded server and package
// [bonded/verify] to check what a server says without trusting it.
//
// Start at [SubjectID] for how things are named and at [Error] for how they
// go wrong.
package bonded
