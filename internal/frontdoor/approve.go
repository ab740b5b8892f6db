package frontdoor

import (
	"context"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// Approve takes a custodian's signed decision on the scope of a case. With the
// last one that a quorum needs, the same commit enters the opening; nothing
// opens before that entry is witnessed. A custodian decides once. Errors:
// conflict if the scope is another one by now; bad_proof if the approval does
// not hold; forbidden by separation.
func (s *Service) Approve(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID, in *apitype.CaseApproval) (*apitype.CaseResult, error) {
	now := s.now()

	// 1. The approval itself: by the caller, of the key set in force.
	a, err := verify.DecodeApproval(in.Approval)
	if err != nil {
		return nil, invalid("approval", "not an approval in its canonical encoding", "")
	}
	if call.Person != verify.SignerCustodian+a.Custodian {
		return nil, invalid("approval", "the approval is another custodian's", "sign your own")
	}
	inForce := s.custody.Load()
	if inForce == nil {
		return nil, withheld()
	}
	if err := a.Check(inForce.custodians); err != nil {
		if a.KeySet != inForce.custodians.KeySet {
			return nil, &bonded.Error{Code: bonded.CodeStaleShare, Message: "the approval is by a key set that is no longer in force", Err: err, Hint: "the scope is put before the new custodians"}
		}
		return nil, &bonded.Error{Code: bonded.CodeProof, Field: "approval", Message: "the approval does not hold: it is not signed by that custodian", Err: err}
	}
	if err := s.settle(ctx, id, now); err != nil {
		return nil, err
	}

	// 2. What it is about: the scope of this round, under its witnessed entry.
	c, err := s.load(s.store.Read(ctx), id)
	if err != nil {
		return nil, err
	}
	if !c.scopeWanted() || c.Scope == nil {
		return nil, conflict("no scope of this case is before the custodians", "read the case again")
	}
	placed, err := s.placed(ctx, c.Scope.Entry, notWitnessed("the scope is not witnessed yet: nobody can have checked it"))
	if err != nil {
		return nil, err
	}
	if a.Case != id.ID || a.Cell != id.Cell || a.Scope != c.Scope.Digest || a.Leaf != placed.Leaf {
		return nil, conflict("the approval is for another case, scope or entry", "read the dossier again, check it, and sign that")
	}

	// 3. One commit: the approval, and what follows from it.
	var out *apitype.CaseResult
	err = s.change(ctx, id, now, func(st *step) error {
		if st.c.Scope == nil || st.c.Scope.Entry != c.Scope.Entry || !st.c.scopeWanted() {
			return conflict("the scope is another one by now", "read the case again")
		}
		_, member, ok := inForce.custodian(a.Custodian)
		if !ok || s.custody.Load() != inForce {
			return conflict("the custodians in force have changed", "read the case again")
		}
		if err := st.apart(a.Custodian, now); err != nil {
			return err
		}
		if err := st.take(call.Person, [32]byte(member.Key), rules.RoleCustodian); err != nil {
			return err
		}
		err := st.q.AddApproval(st.c.row.ID, st.c.Round, &frontdoorsql.Approval{
			Custodian: a.Custodian, Role: a.Role, Approve: a.Approve, Time: int64(a.Time), Body: in.Approval, //nolint:gosec // seconds
		})
		if frontdoorsql.IsTaken(err) {
			return conflict("you have decided on this scope already", "")
		}
		if err != nil {
			return err
		}
		if err := st.count(inForce, a); err != nil {
			return err
		}
		out = result(st.c)
		return nil
	})
	return out, err
}

// count looks at the decisions so far: a refusal is entered; a quorum opens;
// a quorum that cannot come about any more ends the wait.
func (st *step) count(now *custody, last *verify.Approval) error {
	rows, err := st.q.Approvals(st.c.row.ID, st.c.Round)
	if err != nil {
		return err
	}
	var approvals []*verify.Approval
	refused := map[string]int{}
	for i := range rows {
		a, err := verify.DecodeApproval(rows[i].Body)
		if err != nil {
			return altered("approval", err)
		}
		if a.Approve {
			approvals = append(approvals, a)
		} else {
			refused[a.Role]++
		}
	}

	// 1. A refusal is an entry; its reason stays with the case.
	if !last.Approve {
		if err := st.note(verify.EventRefusal, last.Role, &act{by: rules.RoleCustodian}); err != nil {
			return err
		}
		for _, r := range now.custodians.Roles {
			if len(r.Members)-refused[r.Name] < r.Threshold {
				return st.noQuorum()
			}
		}
		return nil
	}

	// 2. Enough in every role: the opening is entered.
	quorum := verify.CheckApprovals(now.custodians, st.c.row.ID, st.c.Scope.Digest, last.Leaf, approvals) == nil
	if !quorum {
		return nil // not yet
	}
	to := rules.StateOpening
	if st.c.state == rules.StateUnderReview {
		to = rules.StateEmergencyOpened
	}
	f, err := st.file()
	if err != nil {
		return err
	}
	a := &act{
		by: rules.RoleCustodian, event: verify.EventOpening, approvals: approvals,
		sum: verify.OpeningContent(st.c.Scope.Digest, verify.ApprovalsDigest(approvals), verify.RecipientDigest(f.request.Recipient)),
	}
	if to == rules.StateEmergencyOpened {
		st.c.Emergency, st.c.EmergencyAt, st.c.Asked = true, st.now, false
	}
	return st.move(to, a)
}

// noQuorum ends the wait for custodians of whom too many have refused: the
// case lapses; an emergency goes back to legal.
func (st *step) noQuorum() error {
	if st.c.state == rules.StateAwaitingQuorum {
		return st.move(rules.StateLapsed, &act{by: rules.RoleClock, detail: "quorum_refused"})
	}
	st.c.Asked = false
	return nil
}

// approvals returns the approvals of the round that opened.
func (s *Service) approvals(q frontdoorsql.Q, c *kase) ([][]byte, error) {
	rows, err := q.Approvals(c.row.ID, c.Round)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for i := range rows {
		if rows[i].Approve {
			out = append(out, rows[i].Body)
		}
	}
	return out, nil
}

// OpeningProof returns what a custodian checks before it computes partials;
// code not_witnessed until the entry of the opening is in a cosigned
// checkpoint.
func (s *Service) OpeningProof(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID) (*apitype.OpeningProof, error) {
	q, c, r, err := s.read(ctx, call, id, s.now())
	if err != nil {
		return nil, err
	}
	if r.kind == readRequester || c.Opening == 0 {
		if r.kind != readRequester && c.scopeWanted() {
			return nil, &bonded.Error{Code: bonded.CodeStale, Message: "no quorum has approved the scope yet", Hint: "wait for the other custodians"}
		}
		return nil, conflict("nothing of this case is opening", "read the case again")
	}
	placed, err := s.placed(ctx, c.Opening, notWitnessed("the opening is entered and not witnessed yet"))
	if err != nil {
		return nil, err
	}
	approvals, err := s.approvals(q, c)
	if err != nil {
		return nil, err
	}
	f, err := s.file(q, c)
	if err != nil {
		return nil, err
	}
	return &apitype.OpeningProof{Approvals: approvals, Opening: placed.Opening, Proof: string(placed.Proof), Recipient: f.request.Recipient}, nil
}

// custodianOf returns the id of the custodian who calls, empty if it is none.
func custodianOf(call *apitype.PersonCall) string {
	id, ok := strings.CutPrefix(call.Person, verify.SignerCustodian)
	if !ok {
		return ""
	}
	return id
}

// late reports whether a deadline of the law has passed before delivery.
func (c *kase) late(now time.Time) bool {
	return !c.Deadline.IsZero() && now.After(c.Deadline) && c.Package == nil
}
