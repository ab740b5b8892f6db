package foundation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// Decide acts on a case as a person of the plan: it looks at the case, signs
// the decision for the state it saw, and hands it in. Change fills in what the
// action needs besides; it may be nil.
func (f *Founder) Decide(ctx context.Context, person string, id bonded.CaseID, action string, change func(*apitype.CaseView, *verify.CaseDecision)) (*apitype.CaseResult, error) {
	door, key, err := f.As(person)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(f.Plan.People, func(p Person) bool { return p.ID == person })
	if i < 0 {
		return nil, bonded.Errorf(bonded.CodeInvalid, "the plan has no person %s", person)
	}
	view, err := door.Case(ctx, id)
	if err != nil {
		return nil, err
	}
	d := &verify.CaseDecision{
		Format: verify.LabelDecision, Case: id, Person: person, Role: f.Plan.People[i].Role, Action: action,
		State: view.State, Number: view.Number, Time: f.Now().UTC().Truncate(time.Second),
	}
	if change != nil {
		change(view, d)
	}
	s, err := verify.NewStatement(d)
	if err != nil {
		return nil, err
	}
	s.Sign(verify.LabelDecision, person, key.Private())
	r, err := door.Decide(ctx, id, s)
	if err != nil {
		return nil, fmt.Errorf("%s by %s: %w", action, person, err)
	}
	return r, nil
}

// ApproveTasks names the tasks as they stand in a decision to approve them.
func ApproveTasks(v *apitype.CaseView, d *verify.CaseDecision) { d.Digest = v.Extra["tasks"] }

// Await looks at a case as a person of the plan until it is in one of the
// states named.
func (f *Founder) Await(ctx context.Context, person string, id bonded.CaseID, states ...string) (*apitype.CaseView, error) {
	return f.await(ctx, person, id, fmt.Sprintf("not %v", states), func(v *apitype.CaseView) bool { return slices.Contains(states, v.State) })
}

// AwaitScope looks at a case until its scope is before the custodians under a
// cosigned checkpoint.
func (f *Founder) AwaitScope(ctx context.Context, person string, id bonded.CaseID) (*apitype.CaseView, error) {
	return f.await(ctx, person, id, "and its scope is not before the custodians", func(v *apitype.CaseView) bool {
		return slices.ContainsFunc(v.Entries, func(e apitype.CaseEntryView) bool { return e.Event == verify.EventQuorum && e.Index != nil })
	})
}

// await looks at a case until done; otherwise says what it is not by then.
func (f *Founder) await(ctx context.Context, person string, id bonded.CaseID, otherwise string, done func(*apitype.CaseView) bool) (*apitype.CaseView, error) {
	door, _, err := f.As(person)
	if err != nil {
		return nil, err
	}
	for {
		v, err := door.Case(ctx, id)
		if err != nil {
			return nil, err
		}
		if done(v) {
			return v, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return v, fmt.Errorf("case %s is %s, %s: %w", id, v.State, otherwise, ctx.Err())
		}
	}
}
