// Package cli parses the commands of bonded and runs them. It is the only
// place besides the API that turns errors into exit codes and text for people.
//
// Start at [Run]. Commands that run servers build on Unix systems only; the
// others are a client and build everywhere.
package cli
