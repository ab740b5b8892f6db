// Command bonded-verify checks, offline, what a Bonded deployment shows:
// ledgers, receipts, both books against each other, directories, batch
// promises and release packages. It trusts the directory file and nothing else.
//
// It ends with 0 if everything asked for was checked and holds, 1 if something
// does not hold, and 2 if it cannot tell: something is missing or unreadable,
// or the command line is wrong. What it checks is in package verify; this is
// files, the net for ledgers named by URL, and words.
package main

import (
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
