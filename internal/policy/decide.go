package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"

	"bonded"
)

// Decide evaluates r against every policy of the set. It allows only if some
// policy permits, none forbids, and all could be evaluated.
func (s *Set) Decide(r *Request) Decision {
	// 1. Is it a request at all?
	if !slices.Contains(operations, r.Operation) {
		return Decision{Rules: []string{RuleOperation}, Reasons: []string{"an operation this version does not know"}, Code: bonded.CodeInvalid}
	}

	// 2. Evaluate.
	e, request := r.cedarRequest()
	decision, found := cedar.Authorize(s.policies, e, request)

	// 3. A policy that failed might have forbidden.
	if len(found.Errors) > 0 {
		d := Decision{Code: bonded.CodeForbidden}
		for _, f := range found.Errors {
			d.Rules = append(d.Rules, string(f.PolicyID))
		}
		slices.Sort(d.Rules)
		for _, id := range d.Rules {
			d.Reasons = append(d.Reasons, "policy "+id+" could not be evaluated")
		}
		d.Rules = append([]string{RuleError}, d.Rules...)
		d.Reasons = append([]string{"a policy could not be evaluated, so nothing is allowed"}, d.Reasons...)
		return d
	}

	// 4. Word the outcome.
	if len(found.Reasons) == 0 {
		return Decision{Rules: []string{RuleDefaultDeny}, Reasons: []string{"no policy permits it"}, Code: bonded.CodeForbidden}
	}
	d := Decision{Allow: decision == cedar.Allow}
	for _, f := range found.Reasons {
		d.Rules = append(d.Rules, string(f.PolicyID))
	}
	slices.Sort(d.Rules)
	for _, id := range d.Rules {
		n := s.notes[cedar.PolicyID(id)]
		d.Reasons = append(d.Reasons, n.reason)
		if !d.Allow && (d.Code == "" || n.code == bonded.CodeWithheld) {
			d.Code = n.code // one rule that withholds hides what the others say
		}
	}
	return d
}
