package frontdoor

import (
	"cmp"
	"context"
	"slices"
	"time"

	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
)

// maxBoard is how many cases that go on a board looks at.
const maxBoard = 1000

// ended are the states in which nothing more is due from people.
var ended = []rules.State{
	rules.StateDelivered, rules.StateRatified, rules.StateUnratified, rules.StateClosed, rules.StateRejected, rules.StateWithdrawn, rules.StateLapsed,
}

// Board returns how many cases are in each state, and those that go on, the
// most urgent first: emergencies, then by deadline. It is for those who may
// read every case; code withheld for everybody else.
func (s *Service) Board(ctx context.Context, call *apitype.PersonCall) (*apitype.CaseBoard, error) {
	now := s.now()
	q := s.store.Read(ctx)
	p, err := s.person(q, call.Person, now)
	if err != nil {
		return nil, err
	}
	if p == nil || !slices.Contains([]rules.Role{rules.RoleIntake, rules.RoleLegal, rules.RoleGuardian}, rules.Role(p.Role)) {
		return nil, withheld()
	}
	out := &apitype.CaseBoard{Cases: []apitype.CaseView{}, States: map[string]int64{}}
	tallies, err := q.StateTallies()
	if err != nil {
		return nil, err
	}
	var open []string
	for _, t := range tallies {
		if rules.State(t.State) == rules.StateDraft {
			continue // known to its officer alone
		}
		out.States[t.State] = t.Count
		if !slices.Contains(ended, rules.State(t.State)) {
			open = append(open, t.State)
		}
	}
	for _, state := range open {
		if err := s.boardOf(q, call, state, now, out); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out.Cases, func(a, b apitype.CaseView) int {
		return cmp.Or(urgency(&a)-urgency(&b), deadlineOf(&a).Compare(deadlineOf(&b)), a.Filed.Compare(b.Filed))
	})
	return out, nil
}

// boardOf adds the cases of one state.
func (s *Service) boardOf(q frontdoorsql.Q, call *apitype.PersonCall, state string, now time.Time, out *apitype.CaseBoard) error {
	rows, err := q.CasesOf(state, maxBoard+1-len(out.Cases))
	if err != nil {
		return err
	}
	for i := range rows {
		if len(out.Cases) == maxBoard {
			out.More = true
			return nil
		}
		c, err := s.open(&rows[i])
		if err != nil {
			return err
		}
		r, err := s.reader(q, c, call, now)
		if err != nil {
			return err
		}
		v, err := s.view(q, c, r, now)
		if err != nil {
			return err
		}
		v.Entries = []apitype.CaseEntryView{}
		out.Cases = append(out.Cases, *v)
	}
	return nil
}

func urgency(v *apitype.CaseView) int {
	if rules.Priority(v.Priority) == rules.PriorityEmergency {
		return 0
	}
	return 1
}

func deadlineOf(v *apitype.CaseView) time.Time {
	if v.Deadline == nil {
		return time.Unix(1<<40, 0)
	}
	return *v.Deadline
}
