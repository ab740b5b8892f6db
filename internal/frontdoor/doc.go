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
// The main path of a case, 1,600 lines of code at most:
//
//	file.go      a request is checked and filed
//	decide.go    people act by signed decisions
//	step.go      one commit: the state, exactly one entry, what follows
//	scope.go     targets are found, the scope is put before the custodians
//	approve.go   their approvals, and the entry that opens
//	release.go   once it is witnessed: partials, keys, the delivery
//	deliver.go   the release package
//
// What it leans on: check.go (what a request must be), documents.go,
// actions.go (what people can do), guards.go (one function for each guard),
// separation.go (who may have which part), partials.go, download.go, work.go
// and clock.go (what waits, and what is due). Beside it: secrecy.go, hold.go,
// notices.go, register.go, ceremony.go and custody.go, views.go and dossier.go.
//
// Start at [Service] and [New]; spec/frontdoor.md has the semantics.
package frontdoor
