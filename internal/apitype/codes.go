package apitype

import "bonded"

// A CodeInfo says how a [bonded.Code] is shown: the HTTP status of the API
// and the exit code of the command line. docs/errors.md is this table with
// its meanings; a test holds both against error.go.
type CodeInfo struct {
	Code   bonded.Code
	Status int
	Exit   int
}

// Exit codes of the command line, by kind of failure. 0 is success.
const (
	ExitInternal  = 1  // a defect or a fault of the machine
	ExitBadInput  = 2  // the request or its arguments are wrong
	ExitWho       = 3  // not authenticated, or a proof does not hold
	ExitRefused   = 4  // decided: no
	ExitAbsent    = 5  // not there, or not yours
	ExitConflict  = 6  // the state of the thing does not allow it now
	ExitPlace     = 7  // another cell, or none, may hold this
	ExitLater     = 8  // too much; try again later
	ExitClosed    = 9  // the cell opens nothing at the moment
	ExitIntegrity = 10 // something was altered: stop and look
	ExitConfig    = 11 // a configuration file is wrong
)

// Codes is every code with its status and exit code.
var Codes = []CodeInfo{
	{bonded.CodeInternal, 500, ExitInternal},
	{bonded.CodeInvalid, 400, ExitBadInput},
	{bonded.CodeBadID, 400, ExitBadInput},
	{bonded.CodeUnknownField, 400, ExitBadInput},
	{bonded.CodeWrongType, 400, ExitBadInput},
	{bonded.CodeTooLarge, 413, ExitBadInput},
	{bonded.CodeInvalidUTF8, 400, ExitBadInput},
	{bonded.CodeUnknownCollection, 404, ExitAbsent},
	{bonded.CodeUnknownPurpose, 400, ExitBadInput},
	{bonded.CodeMissingPurpose, 400, ExitBadInput},
	{bonded.CodeExpiredBasis, 403, ExitRefused},
	{bonded.CodeUnauthenticated, 401, ExitWho},
	{bonded.CodeForbidden, 403, ExitRefused},
	{bonded.CodeWithheld, 404, ExitAbsent},
	{bonded.CodeConflict, 409, ExitConflict},
	{bonded.CodeErasing, 409, ExitConflict},
	{bonded.CodeErased, 410, ExitAbsent},
	{bonded.CodeWrongCell, 421, ExitPlace},
	{bonded.CodeRoutingConflict, 422, ExitPlace},
	{bonded.CodeNoCell, 422, ExitPlace},
	{bonded.CodeRateLimited, 429, ExitLater},
	{bonded.CodeBudget, 429, ExitLater},
	{bonded.CodeIdempotency, 422, ExitConflict},
	{bonded.CodeSealed, 503, ExitClosed},
	{bonded.CodeKeyholder, 503, ExitClosed},
	{bonded.CodeNotWritable, 503, ExitClosed},
	{bonded.CodeStale, 503, ExitClosed},
	{bonded.CodeRestored, 503, ExitClosed},
	{bonded.CodeProof, 401, ExitWho},
	{bonded.CodeBearerForbidden, 403, ExitRefused},
	{bonded.CodeConfig, 500, ExitConfig},
	{bonded.CodeUnsupported, 501, ExitBadInput},
	{bonded.CodeBusy, 503, ExitLater},
	{bonded.CodeAltered, 500, ExitIntegrity},
	{bonded.CodeFrozen, 409, ExitConflict},
	{bonded.CodeRefusedRequest, 422, ExitRefused},
	{bonded.CodeKeyholderRefused, 403, ExitRefused},
	{bonded.CodeBelowQuorum, 409, ExitConflict},
	{bonded.CodeStaleShare, 409, ExitConflict},
	{bonded.CodeAtFault, 500, ExitIntegrity},
	{bonded.CodeUndelivered, 502, ExitLater},
}

// InfoOf returns the entry of a code; a code that is not in [Codes] is shown
// as [bonded.CodeInternal].
func InfoOf(code bonded.Code) CodeInfo {
	for _, c := range Codes {
		if c.Code == code {
			return c
		}
	}
	return Codes[0]
}
