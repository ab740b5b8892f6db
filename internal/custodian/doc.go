// Package custodian is one custodian's side of the front door: a folder with
// its secrets, the ceremonies it takes part in, what it checks before it
// signs, and what it computes.
//
// It believes nobody. Everything it signs or computes for, it has verified by
// itself, from the directory that its operator put into the folder: who asked,
// who decided, what exactly opens, and that the ledger holds the entry under a
// cosigned checkpoint. It talks to the front door of its cell and to nobody
// else, never to the keyholder, and never sees ciphertext of a value.
//
// The main path, in reading order:
//
//	folder.go    [Folder]: secrets at rest, what was accepted before
//	chain.go     the certificates of the key sets, and this custodian's place
//	check.go     [Folder.Check]: a case, held against all that proves it
//	decide.go    [Folder.Approve], [Folder.Refuse], and partials after them
//	join.go      [Folder.Join]: a ceremony, message by message
//	page.go      the same on a page at 127.0.0.1
//
// Start at [Init] and [Open].
package custodian
