// Package vault keeps ciphertext in the subject's jurisdiction and hands out
// ids and tokens. It never holds the key of a value longer than one answer:
// it asks the keyholder for it through [KeyService], and wipes it after use.
// It writes no SQL (package vaultsql does), speaks no HTTP (package api does)
// and dials nobody.
//
// Every call goes one way, whose steps are numbered in the code:
//
//	authenticate → decide → enter and unlock → open → answer
//
// Nothing opens without an entry in two books, and the answer waits until
// both are durable. Refusals are entered too.
//
// The main path of a read, in this order: [Vault.Get] and open in read.go,
// what is named and found in target.go, decide in decide.go, the lane in
// readlane.go; of a write: [Vault.Put] in write.go with writecheck.go and
// writecommit.go, the lane in writelane.go. What happens after a commit
// failed, and at start, is in recover.go; how a person is erased in erase.go.
//
// Start at [Open] and [Config].
package vault
