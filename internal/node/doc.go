// Package node builds a running Bonded process from its folder: the vault
// with its ledger ([RunVault]) and a witness ([RunWitness]).
//
// A folder holds one party's configuration, keys and data, and nothing of any
// other party but what is public. The package wires what others build; it
// decides nothing. Start at [RunVault].
package node
