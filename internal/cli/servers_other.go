//go:build !unix

package cli

// serverCommands is empty where the servers do not build.
type serverCommands struct{}
