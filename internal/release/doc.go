// Package release makes and opens release packages: the one file in which a
// case hands over what its scope covers, sealed to the key of the officer who
// asked, with everything needed to check it offline.
//
// The front door writes with [Writer], an item at a time, while the vault
// releases. The requester opens with [Open]: it checks everything first, by
// package verify and by the group of the quorum, and only then decrypts, on
// its own machine. Neither holds more than one item in memory.
//
// It decides nothing and does no I/O but on what it is given: who may get a
// package is the business of the front door, and the keys in it were sealed by
// the keyholder. The format is in spec/package.md.
//
// Start at [Writer] and [Open].
package release
