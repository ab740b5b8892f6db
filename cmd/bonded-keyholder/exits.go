package main

import "bonded"

// Exit codes by kind of failure, as bonded ends with them: its table is in
// package apitype, which stands for the public API and is not linked here. A
// test holds the two together.
const (
	exitOK        = 0
	exitInternal  = 1  // a defect or a fault of the machine
	exitBadInput  = 2  // the command line or what it names is wrong
	exitWho       = 3  // not authenticated, or a proof does not hold
	exitRefused   = 4  // decided: no
	exitAbsent    = 5  // not there
	exitConflict  = 6  // the state of the thing does not allow it now
	exitPlace     = 7  // another cell, or none, may hold this
	exitLater     = 8  // too much; try again later
	exitClosed    = 9  // the keyholder opens nothing at the moment, or none runs
	exitIntegrity = 10 // something was altered: stop and look
	exitConfig    = 11 // a configuration file is wrong
)

// exitOf returns the exit code of an error code.
func exitOf(code bonded.Code) int {
	switch code {
	case bonded.CodeInvalid, bonded.CodeBadID, bonded.CodeUnknownField, bonded.CodeWrongType, bonded.CodeTooLarge,
		bonded.CodeInvalidUTF8, bonded.CodeUnknownPurpose, bonded.CodeMissingPurpose, bonded.CodeUnsupported:
		return exitBadInput
	case bonded.CodeUnauthenticated, bonded.CodeProof:
		return exitWho
	case bonded.CodeExpiredBasis, bonded.CodeForbidden, bonded.CodeBearerForbidden, bonded.CodeKeyholderRefused, bonded.CodeRefusedRequest:
		return exitRefused
	case bonded.CodeUnknownCollection, bonded.CodeWithheld, bonded.CodeErased:
		return exitAbsent
	case bonded.CodeConflict, bonded.CodeErasing, bonded.CodeIdempotency, bonded.CodeFrozen,
		bonded.CodeBelowQuorum, bonded.CodeStaleShare:
		return exitConflict
	case bonded.CodeWrongCell, bonded.CodeRoutingConflict, bonded.CodeNoCell:
		return exitPlace
	case bonded.CodeRateLimited, bonded.CodeBudget, bonded.CodeBusy, bonded.CodeUndelivered:
		return exitLater
	case bonded.CodeSealed, bonded.CodeKeyholder, bonded.CodeNotWritable, bonded.CodeStale, bonded.CodeRestored:
		return exitClosed
	case bonded.CodeAltered, bonded.CodeAtFault:
		return exitIntegrity
	case bonded.CodeConfig:
		return exitConfig
	default:
		return exitInternal
	}
}
