package verify

import (
	"slices"
	"time"

	"bonded"
)

// decisionAhead is how far a decision may be dated before the request was
// filed: clocks differ, and a decision may be a quarter of an hour old when it
// is handed in.
const decisionAhead = 30 * time.Minute

// A decisionRule says who may sign an action.
type decisionRule struct {
	roles   []string // in the register, of those who may sign
	conveys string   // another role that the decision may be in: an order or objection that is handed on
}

var (
	signedByIntake    = []string{"intake"}
	signedByLegal     = []string{"legal"}
	signedByEither    = []string{"intake", "legal"}
	signedByGuard     = []string{"legal", "guardian"}
	signedByRequester = []string{"requester"}
)

// decisionRules are all actions of decisions, as spec/frontdoor.md lists them.
var decisionRules = map[string]decisionRule{
	"take": {roles: signedByIntake}, "preserve": {roles: signedByIntake}, "forward": {roles: signedByIntake},
	"reject": {roles: signedByEither}, "hold_extend": {roles: signedByEither}, "hold_release": {roles: signedByEither}, "fraud": {roles: signedByEither},
	"clarify": {roles: signedByLegal}, ActionNarrow: {roles: signedByLegal}, "refer": {roles: signedByLegal}, "respond": {roles: signedByLegal},
	ActionRefuseTask: {roles: signedByLegal}, "approve": {roles: signedByLegal}, "emergency": {roles: signedByLegal}, "proceed": {roles: signedByLegal},
	"ratify": {roles: signedByLegal}, "close": {roles: signedByLegal}, "secrecy_extend": {roles: signedByLegal}, "secrecy_end": {roles: signedByLegal},
	"secrecy_challenge": {roles: signedByGuard},
	"challenge":         {roles: signedByGuard, conveys: "subject"},
	"rule":              {roles: signedByLegal, conveys: "court"},
	ActionAnswer:        {roles: signedByRequester}, ActionAccept: {roles: signedByRequester}, "withdraw": {roles: signedByRequester},
}

// DecisionRoles returns the roles of the register whose people may sign an
// action, nil if there is no such action.
func DecisionRoles(action string) []string { return slices.Clone(decisionRules[action].roles) }

// CheckDecision reports whether s is a decision on a case that its author may
// make, and returns it with the author: signed by a person of the register who
// is not suspended and whose registration was in force, in a role that the
// action is for; and what is the requester's to do, by the officer who asks.
// What the action means for the case is for the caller. The error is a
// [Failure].
func (p *RegisterProof) CheckDecision(s *Statement, r *CaseRequest, id bonded.CaseID) (*CaseDecision, *Person, error) {
	d, err := ParseCaseDecision(s)
	if err != nil {
		return nil, nil, err
	}
	n := p.People[d.Person]
	if n == nil {
		return nil, nil, Fail(FailRegistry, "a decision is by somebody who does not stand in the register")
	}
	key, err := DecodePublicKey(n.Key)
	if err != nil || !s.SignedBy(LabelDecision, n.ID, key) {
		return nil, nil, Fail(FailStatement, "a decision is not signed by the person it names")
	}
	rule, ok := decisionRules[d.Action]
	switch {
	case d.Case != id:
		return nil, nil, Fail(FailStatement, "a decision is about another case")
	case !ok:
		return nil, nil, Fail(FailStatement, "a decision is of no known action")
	case !slices.Contains(rule.roles, n.Role) || d.Role != n.Role && (rule.conveys == "" || d.Role != rule.conveys):
		return nil, nil, Fail(FailRegistry, "a decision %s is not by somebody whose role it is for", d.Action)
	case n.Role == "requester" && n.ID != r.Officer:
		return nil, nil, Fail(FailRegistry, "a decision %s is by another officer than the one who asks", d.Action)
	case n.Suspended || !within(d.Time, n.NotBefore, n.NotAfter):
		return nil, nil, Fail(FailRegistry, "a decision is by somebody who is suspended, or whose registration was not in force")
	case d.Time.Before(r.Filed.Add(-decisionAhead)):
		return nil, nil, Fail(FailStatement, "a decision is older than the request")
	}
	return d, n, nil
}
