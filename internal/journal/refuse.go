package journal

import (
	"context"

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

// CountUnauthenticated counts one refusal of somebody nobody knows. Such
// refusals get one row together each [Config.AggregateEvery], so that flooding
// cannot fill the books.
func (j *Journal) CountUnauthenticated() { j.unauthenticated.Add(1) }

// Aggregate enters the unauthenticated refusals counted since the last time,
// if there are any.
func (j *Journal) Aggregate(ctx context.Context) error {
	n := j.unauthenticated.Swap(0)
	if n == 0 {
		return nil
	}
	row := &verify.Row{Outcome: verify.OutcomeAggregate, Code: bonded.CodeUnauthenticated, Count: n}
	if _, err := j.Commit(ctx, []Prepared{j.Prepare(row)}, nil); err != nil {
		j.unauthenticated.Add(n) // they are still owed
		return err
	}
	return nil
}
