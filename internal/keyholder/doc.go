// Package keyholder keeps wrapped subject keys, decides by itself whether a
// vault gets the keys of an opening, and books every release and refusal. It
// never sees ciphertext. Destroying a subject's key here is erasure.
//
// It opens no sockets and no database: keyholderd serves it, and a [Store]
// keeps its rows. It does not judge the vault's answers; reconciliation does.
//
// The main path, in reading order:
//
//	unlock.go    [Keyholder.Unlock]: decide, book, derive, answer
//	decide.go    the decision of one entry
//	release.go   deriving the keys of what was decided
//	commit.go    group commit of the book, and what happens when it fails
//	anchor.go    what the ledger must show before anything is unlocked
//	destroy.go   erasure
//
// A release to the requester of a case takes another way:
//
//	disclose.go     [Keyholder.Release]: enter, derive, seal, answer
//	certificate.go  what a quorum of custodians and the ledger must show first
//	custody.go      which custodians are in force
//
// Start at [New], [Keyholder.Unseal] and [Keyholder.Unlock].
package keyholder
