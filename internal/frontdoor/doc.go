// Package frontdoor is the door that nobody opens alone: it takes requests of
// authorities, leads each through the states that the rules allow, puts its
// scope before the custodians, and hands over exactly what a quorum has agreed
// to, after the ledger's witnesses have seen that it did.
//
// It opens nothing itself: of a release it sees ciphertext, and keys sealed to
// the requester. It knows no HTTP (package api), finds no records (the vault,
// through package handover), makes no ledger leaf (package casebook) and writes
// no rules (package rules). What is said in cases is sealed at rest and in no
// log.
//
// The main path, in the order of a case:
//
//	file.go, check.go        a request is checked and filed
//	documents.go             its documents; with the last of them it is submitted
//	decide.go, actions.go    people act by signed decisions
//	step.go, guards.go       one commit: state, entry, what follows; each guard
//	separation.go            who may have which part
//	scope.go                 targets are found, the scope is put before custodians
//	approve.go               approvals, and the entry that opens
//	partials.go, release.go  keys and partials, after that entry is witnessed
//	deliver.go               the package, delivery, what follows
//	work.go, clock.go        what waits, and what is due
//
// Beside it: secrecy.go, hold.go, notices.go, register.go, ceremony.go and
// custody.go, views.go and dossier.go.
//
// Start at [Service] and [New]; spec/frontdoor.md has the semantics.
package frontdoor
