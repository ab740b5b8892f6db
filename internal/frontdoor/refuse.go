package frontdoor

import (
	"maps"
	"sync"

	"bonded"
	"bonded/internal/frontdoor/rules"
)

// refuse is the refusal of a request with one of the reject codes of the
// rules. field is the path in the request.
func refuse(code rules.RejectCode, field, message, hint string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeRefusedRequest, Message: message, Field: field, Hint: hint, Rules: []string{string(code)}}
}

// rejectCodeOf returns the reject code of a refusal, empty if err is none.
func rejectCodeOf(err *bonded.Error) string {
	if err == nil || err.Code != bonded.CodeRefusedRequest || len(err.Rules) == 0 {
		return ""
	}
	return err.Rules[0]
}

// withheld is what outsiders get, whether a case is not theirs or not there.
func withheld() *bonded.Error {
	return &bonded.Error{Code: bonded.CodeWithheld, Message: "no such case, or it is not yours", Hint: "check the id; only those with a part in a case may know of it"}
}

// forbidden is a decision that the rules do not allow.
func forbidden(rule, message, hint string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeForbidden, Message: message, Hint: hint, Rules: []string{rule}}
}

func invalid(field, message, hint string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: message, Hint: hint}
}

// wrongEnd is an extension to a date that a rule does not allow.
func wrongEnd(rule, message, hint string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeInvalid, Field: "until", Message: message, Hint: hint, Rules: []string{rule}}
}

func conflict(message, hint string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeConflict, Message: message, Hint: hint}
}

// refusals counts what is refused at the door, for the metrics.
type refusals struct {
	mu              sync.Mutex
	byCode          map[string]uint64
	unauthenticated uint64
}

func (r *refusals) count(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byCode == nil {
		r.byCode = map[string]uint64{}
	}
	r.byCode[code]++
}

func (r *refusals) read() (map[string]uint64, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.byCode), r.unauthenticated
}

// CountUnauthenticated counts a call of nobody known.
func (s *Service) CountUnauthenticated() { s.CountRefused("cases.proof", "") }

// CountRefused counts what was refused by a rule at a door before this one:
// a call, a page or a sign-in, of a person or of nobody known. It is entered by
// [Config.Refused], with others of its kind.
func (s *Service) CountRefused(rule, person string) {
	if person == "" {
		s.refused.mu.Lock()
		s.refused.unauthenticated++
		s.refused.mu.Unlock()
	}
	if s.cfg.Refused != nil {
		s.cfg.Refused(rule, person)
	}
}
