package journal

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"bonded"
	"bonded/verify"
)

// Refuse enters a refusal that was decided here. The outcome is set; the row
// must say a code.
func (j *Journal) Refuse(ctx context.Context, row *verify.Row) (Entered, error) {
	row.Outcome = verify.OutcomeRefused
	if row.Code == "" {
		return Entered{}, bonded.Errorf(bonded.CodeInternal, "a refusal says its code")
	}
	e, err := j.Commit(ctx, []Prepared{j.Prepare(row)}, nil)
	if err != nil {
		return Entered{}, err
	}
	return e[0], nil
}

// MaxCounted is how many kinds of refusals are told apart between two
// aggregates; what comes after them is counted without its person, or at last
// as a refusal of nobody known.
const MaxCounted = 256

// A kind of refusals has one row together.
type kind struct{ rule, principal string }

// refusals are those that are counted and not entered yet.
type refusals struct {
	mu sync.Mutex
	of map[kind]uint64
}

// add counts n refusals of a kind, and reports whether there was room for it.
func (r *refusals) add(k kind, n uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[kind]uint64{}
	}
	if _, ok := r.of[k]; !ok && len(r.of) >= MaxCounted {
		return false
	}
	r.of[k] += n
	return true
}

// take returns what was counted and begins anew.
func (r *refusals) take() map[kind]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.of
	r.of = nil
	return of
}

// CountUnauthenticated counts one refusal of somebody nobody knows. Such
// refusals get one row together each [Config.AggregateEvery], so that flooding
// cannot fill the books.
func (j *Journal) CountUnauthenticated() { j.unauthenticated.Add(1) }

// CountRefused counts one refusal by a rule, of a principal or, if that is
// empty, of somebody nobody knows. Those of one rule and principal get one row
// together each [Config.AggregateEvery]. The rule is one of the program's, never
// a text that came from outside.
func (j *Journal) CountRefused(rule, principal string) {
	if !j.refused.add(kind{rule, principal}, 1) && !j.refused.add(kind{rule, ""}, 1) {
		j.CountUnauthenticated()
	}
}

// Aggregate enters the refusals counted since the last time, if there are any:
// one row for each kind, in one commit.
func (j *Journal) Aggregate(ctx context.Context) error {
	nobody, of := j.unauthenticated.Swap(0), j.refused.take()
	var rows []Prepared
	if nobody > 0 {
		rows = append(rows, j.Prepare(&verify.Row{Outcome: verify.OutcomeAggregate, Code: bonded.CodeUnauthenticated, Count: nobody}))
	}
	for _, k := range slices.SortedFunc(maps.Keys(of), func(a, b kind) int {
		return cmp.Or(strings.Compare(a.rule, b.rule), strings.Compare(a.principal, b.principal))
	}) {
		row := &verify.Row{Outcome: verify.OutcomeAggregate, Code: bonded.CodeUnauthenticated, Principal: k.principal, Rules: []string{k.rule}, Count: of[k]}
		if k.principal != "" {
			row.Code = bonded.CodeForbidden
		}
		rows = append(rows, j.Prepare(row))
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := j.Commit(ctx, rows, nil); err != nil { // they are still owed
		j.unauthenticated.Add(nobody)
		for k, n := range of {
			if !j.refused.add(k, n) {
				j.unauthenticated.Add(n)
			}
		}
		return err
	}
	return nil
}
