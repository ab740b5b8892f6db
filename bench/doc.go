//go:build linux

// Command bench measures a cell against a bare net/http JSON echo server on
// the same machine in the same run, and prints each figure beside its bar.
//
// bench/README.md says what is measured, how, and what came out. It is not a
// test: nothing fails because a machine is slow.
package main
