// Command bonded runs a vault with its ledger, and is the tool of operators
// and requesters. It starts bonded-keyholder beside it in dev, never inside.
package main

import (
	"os"

	"bonded/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
