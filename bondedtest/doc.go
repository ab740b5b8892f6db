// Package bondedtest starts a whole deployment for a test: real processes,
// files in a temporary folder, loopback ports, stopped and removed at the end.
//
// It builds the programs of this module once a test binary, so a test needs
// the Go toolchain and the module's source. It runs on Linux.
//
// Start at [Start].
package bondedtest
