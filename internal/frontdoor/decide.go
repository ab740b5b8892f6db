package frontdoor

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// Limits of a decision.
const (
	MaxReason      = 4096
	MaxDecisionAge = 15 * time.Minute
)

// Decide acts on a case by a decision that whoever calls has signed. The same
// decision a second time changes nothing and has the same answer. Errors:
// conflict if the case is in another state or further on than its author saw;
// forbidden, with the guard or rule of separation in Rules; invalid for what
// the action needs and the decision lacks.
func (s *Service) Decide(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID, st *verify.Statement) (*apitype.CaseResult, error) {
	now := s.now()

	// 1. The decision is the caller's own.
	d, err := verify.ParseCaseDecision(st)
	if err != nil {
		return nil, invalid("body", "not a decision in the format "+verify.LabelDecision, "")
	}
	if d.Person != call.Person || d.Case != id {
		return nil, invalid("person", "the decision is of another person, or on another case", "sign your own")
	}
	if err := checkDecision(d, now); err != nil {
		return nil, err
	}

	// 2. What is due by the clock comes first.
	if err := s.settle(ctx, id, now); err != nil {
		return nil, err
	}

	// 3. One commit: who, what, the state it was decided on, and the action.
	var out *apitype.CaseResult
	err = s.change(ctx, id, now, func(step *step) error {
		p, key, err := s.signer(step.q, d.Person, now)
		if err != nil {
			return err
		}
		if !st.SignedBy(verify.LabelDecision, d.Person, key) {
			return &bonded.Error{Code: bonded.CodeProof, Field: "signatures", Message: "the decision is not signed by whoever hands it in", Hint: "sign it with the key that is in the register"}
		}
		if _, err := s.reader(step.q, step.c, call, now); err != nil {
			return err
		}
		if done, err := step.decided(st); err != nil || done {
			out = result(step.c)
			return err
		}
		if err := step.decide(p, key, d, st); err != nil {
			return err
		}
		out = result(step.c)
		return nil
	})
	return out, err
}

func checkDecision(d *verify.CaseDecision, now time.Time) error {
	switch {
	case d.Time.IsZero() || now.Sub(d.Time) > MaxDecisionAge || d.Time.Sub(now) > MaxFiledAhead:
		return invalid("time", "the decision is older than a quarter of an hour, or from the future", "sign it anew")
	case len(d.Reason) > MaxReason || len(d.Detail) > 256:
		return invalid("reason", "a reason has at most 4096 bytes, a detail 256", "")
	case d.Digest != "" && !isDigest(d.Digest):
		return invalid("digest", "not 64 hexadecimal digits", "")
	}
	return nil
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
}

// decided reports whether a statement stands in the case already.
func (st *step) decided(s *verify.Statement) (bool, error) {
	rows, err := st.q.Statements(st.c.row.ID)
	if err != nil {
		return false, err
	}
	digest := s.Digest(verify.LabelDecision)
	return slices.ContainsFunc(rows, func(r frontdoorsql.Statement) bool { return r.Digest == digest }), nil
}

// decide carries a decision out.
func (st *step) decide(p *verify.Person, key ed25519.PublicKey, d *verify.CaseDecision, s *verify.Statement) error {
	// 1. There is such an action, and it is for people of this role.
	action, ok := actions[d.Action]
	if !ok {
		return invalid("action", "there is no such action", "actions in the view of the case has what you can do")
	}
	if d.Role != p.Role && !slices.Contains(action.conveys, d.Role) || !slices.Contains(action.roles, rules.Role(p.Role)) {
		return forbidden("role."+d.Action, "this action is not for people of role "+p.Role, "it is for people of role "+strings.Join(verify.DecisionRoles(d.Action), " or "))
	}
	if rules.Role(p.Role) == rules.RoleRequester && p.ID != st.c.row.Officer {
		return withheld()
	}

	// 2. Its author saw the case as it is.
	if d.State != string(st.c.state) || d.Number != st.c.row.Number {
		return conflict("the case has moved on since: it is in state "+string(st.c.state), "read it again and decide anew")
	}

	// 3. Nobody has two parts.
	if err := st.take(p.ID, [32]byte(key), rules.Role(p.Role)); err != nil {
		return err
	}

	// 4. The action itself, on the case as it was decided on, then the statement.
	digest := s.Digest(verify.LabelDecision)
	a := &act{by: rules.Role(p.Role), person: p.ID, decision: d, content: [][32]byte{digest}, detail: d.Code}
	if err := action.do(st, a); err != nil {
		return err
	}
	return st.s.addStatement(st.q, st.c, s, frontdoorsql.Statement{Label: verify.LabelDecision, Person: p.ID, Version: p.Version, Action: d.Action})
}

// settle does what is due on a case by the clock before somebody looks at it.
func (s *Service) settle(ctx context.Context, id bonded.CaseID, now time.Time) error {
	row, err := s.store.Read(ctx).Case(id.ID)
	if err != nil || row == nil || id.Cell != s.cfg.Cell || row.Due == 0 || row.Due > now.Unix() {
		return err
	}
	return s.tick(ctx, id, now)
}
