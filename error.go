package bonded

import (
	"errors"
	"fmt"
)

// A Code is a stable name for what went wrong. Programs switch on it; it
// never changes its meaning.
type Code string

// Codes of errors. The API turns each into one HTTP status and the CLI into
// one exit code; see docs/errors.md.
const (
	CodeInternal          Code = "internal"           // a defect or a fault of the machine; the log has more under the request id
	CodeInvalid           Code = "invalid"            // the request is malformed; Field says where
	CodeBadID             Code = "bad_id"             // an id is not one Bonded made
	CodeUnknownField      Code = "unknown_field"      // a field, key or column that the schema does not have
	CodeWrongType         Code = "wrong_type"         // a value of another type than the schema's
	CodeTooLarge          Code = "too_large"          // a field over 64 KiB, a call over 1 MiB, or a reason over 256 bytes
	CodeInvalidUTF8       Code = "invalid_utf8"       // text that is not UTF-8
	CodeUnknownCollection Code = "unknown_collection" // no such collection in this cell
	CodeUnknownPurpose    Code = "unknown_purpose"    // a purpose this cell does not know
	CodeMissingPurpose    Code = "missing_purpose"    // every call names a purpose
	CodeExpiredBasis      Code = "expired_basis"      // the consent or other basis named has ended
	CodeUnauthenticated   Code = "unauthenticated"    // no valid key, certificate or proof
	CodeForbidden         Code = "forbidden"          // decided: no; the rule ids say why
	CodeWithheld          Code = "withheld"           // absent or not yours: outsiders are not told which
	CodeConflict          Code = "conflict"           // the version named is not the current one
	CodeErasing           Code = "erasing"            // the subject is being erased; nothing is read meanwhile
	CodeErased            Code = "erased"             // the subject's key is destroyed
	CodeWrongCell         Code = "wrong_cell"         // this belongs to another cell, which the hint names
	CodeRoutingConflict   Code = "routing_conflict"   // two laws bind the person to two homes
	CodeNoCell            Code = "no_cell"            // the law names a home that this deployment lacks
	CodeRateLimited       Code = "rate_limited"       // too many calls; retry after the time given
	CodeBudget            Code = "budget_exhausted"   // the hourly budget of distinct subjects is used up
	CodeIdempotency       Code = "idempotency_reused" // the idempotency key came with another request
	CodeSealed            Code = "sealed"             // the keyholder is sealed
	CodeKeyholder         Code = "keyholder_down"     // the keyholder cannot be reached
	CodeNotWritable       Code = "book_not_writable"  // a book cannot be written: disk full, read-only, I/O error
	CodeStale             Code = "not_witnessed"      // no fresh cosigned checkpoint: nothing opens
	CodeRestored          Code = "restored_old"       // a party's database is older than what the ledger has seen
	CodeProof             Code = "bad_proof"          // a proof of a principal does not hold, or was used before
	CodeBearerForbidden   Code = "bearer_forbidden"   // the grant asks for proofs and got a bearer key
	CodeConfig            Code = "bad_config"         // a configuration file is wrong; File, Line and Column say where
	CodeUnsupported       Code = "unsupported"        // asked for something this version does not do
	CodeBusy              Code = "busy"               // too much in flight; try again
	CodeAltered           Code = "altered"            // stored data does not open under its key and place: altered or moved
	CodeFrozen            Code = "frozen"             // a preservation holds this back
	CodeRefusedRequest    Code = "refused_request"    // a request to the front door is refused; Rules has the reject code
	CodeKeyholderRefused  Code = "keyholder_refused"  // the keyholder decided: no
	CodeBelowQuorum       Code = "below_quorum"       // a role has fewer partials than its threshold
	CodeStaleShare        Code = "stale_share"        // a share or partial of another key set than the current one
	CodeAtFault           Code = "party_at_fault"     // a proof names the party that did not do its part
	CodeUndelivered       Code = "undelivered"        // a notice did not reach the person's channel
)

// An Error is what every public function and endpoint returns. Message and
// Hint never hold personal data or key material.
type Error struct {
	Code    Code
	Message string   // what was wrong, lower case, no full stop
	Field   string   // where: a field, key or file:line:column; empty if nowhere in particular
	Hint    string   // what to do about it
	Rules   []string // ids of the rules that decided, for [CodeForbidden] and routing
	Err     error    // the cause, for logs only
}

// Error implements error. It includes the cause; show [Error.Message] to
// outsiders.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Field != "" {
		s += " (" + e.Field + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first [Error] in err's chain, "" for a nil
// err, and [CodeInternal] if there is none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Errorf returns an [Error] with the code and a message formatted as by
// [fmt.Sprintf]. Outsiders see the message: put a cause in with [Wrap].
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an [Error] with the code and message that has err as its
// cause, for logs.
func Wrap(code Code, err error, message string) *Error {
	return &Error{Code: code, Message: message, Err: err}
}
