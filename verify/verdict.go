package verify

import (
	"errors"
	"fmt"
)

// A Verdict is the answer of a check. Its number is the exit code of
// bonded-verify.
type Verdict int

// The three answers. Absence of evidence is never [Holds].
const (
	Holds       Verdict = 0 // everything asked for was checked and is so
	DoesNotHold Verdict = 1 // something checked is not so: evidence of a fault or of fraud
	CannotTell  Verdict = 2 // something needed is missing or unreadable
)

// String returns the verdict in words, as printed for people.
func (v Verdict) String() string {
	switch v {
	case Holds:
		return "holds"
	case DoesNotHold:
		return "does not hold"
	case CannotTell:
		return "cannot tell"
	default:
		return fmt.Sprintf("verdict %d", int(v))
	}
}

// Codes of failures that this package's checks of the log report. Other
// checks add their own beside them.
const (
	FailMalformed    = "malformed"     // bytes are not in the format
	FailLogSignature = "log_signature" // the log has not signed the checkpoint
	FailOrigin       = "origin"        // the checkpoint is of another log
	FailQuorum       = "quorum"        // too few witnesses of the policy have cosigned
	FailInclusion    = "inclusion"     // the entry is not in the tree of the checkpoint
	FailForked       = "forked"        // two checkpoints of one log contradict each other
	FailTile         = "tile"          // a stored tile is not what its entries make
	FailRoot         = "root"          // the entries do not make the root of the checkpoint
	FailMissing      = "missing"       // a file that is needed is not there or cannot be read
	FailKey          = "key"           // a public key given to the check is not usable
)

// A Failure is why a check did not end in [Holds]. Every check of this package
// that takes evidence returns one, possibly wrapped, or nil.
type Failure struct {
	Verdict Verdict // DoesNotHold or CannotTell
	Code    string  // a stable name, such as FailQuorum
	Message string  // a plain sentence without a full stop; no personal data
	Err     error   // the cause, if there is one
}

// Error implements error.
func (f *Failure) Error() string {
	s := f.Verdict.String() + ": " + f.Message
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Fail returns a [Failure] that says the evidence does not hold, with a
// message formatted as by [fmt.Sprintf].
func Fail(code, format string, args ...any) *Failure {
	return &Failure{Verdict: DoesNotHold, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Unknown returns a [Failure] that says the check cannot tell because of err,
// which may be nil.
func Unknown(code string, err error, format string, args ...any) *Failure {
	return &Failure{Verdict: CannotTell, Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// VerdictOf returns [Holds] for nil, the verdict of the first [Failure] in
// err's chain, and [CannotTell] for any other error.
func VerdictOf(err error) Verdict {
	if err == nil {
		return Holds
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Verdict
	}
	return CannotTell
}

// FailureOf returns the first [Failure] in err's chain, or nil.
func FailureOf(err error) *Failure {
	f, _ := errors.AsType[*Failure](err)
	return f
}
