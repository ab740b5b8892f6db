package frontdoor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
)

// anyDeadline is later than every deadline, and than none.
const anyDeadline = frontdoorsql.NoDeadline + 1

// Board returns how many cases there are, and a page of those that filter
// names: [apitype.BoardOpen], [apitype.BoardMine] and [apitype.BoardLate] have
// those that go on, the most urgent first: emergencies, then by deadline. A
// state has its cases in order of filing. after is what Next said. The board is
// for those who may read every case; code withheld for everybody else.
func (s *Service) Board(ctx context.Context, call *apitype.PersonCall, filter, after string) (*apitype.CaseBoard, error) {
	// 1. Who asks, and for what.
	now, q := s.now(), s.store.Read(ctx)
	who, err := s.caller(q, call, now)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(readers, who.role) {
		return nil, withheld()
	}

	// 2. How many there are.
	out := &apitype.CaseBoard{Cases: []apitype.CaseView{}, States: map[string]int64{}}
	tallies, err := q.CountStates()
	if err != nil {
		return nil, err
	}
	for _, t := range tallies {
		if rules.State(t.State) != rules.StateDraft { // known to its officer alone
			out.States[t.State] = t.Count
		}
	}
	for _, n := range []struct {
		to     *int64
		list   string
		before int64
	}{{&out.Open, frontdoorsql.ListOpen, anyDeadline}, {&out.Mine, string(who.role), anyDeadline}, {&out.Late, frontdoorsql.ListOpen, now.Unix()}} {
		if *n.to, err = q.CountListed(n.list, n.before); err != nil {
			return nil, err
		}
	}

	// 3. The page.
	rows, next, err := boardRows(q, who, filter, after, now)
	if err != nil {
		return nil, err
	}
	out.Next = next
	for i := range rows {
		c, err := s.open(&rows[i])
		if err != nil {
			return nil, err
		}
		r, err := who.of(c)
		if err != nil {
			return nil, err
		}
		out.Cases = append(out.Cases, *s.brief(c, r, now))
	}
	return out, nil
}

// boardRows returns the cases of a page and where the next one begins.
func boardRows(q frontdoorsql.Q, who *caller, filter, after string, now time.Time) ([]frontdoorsql.Case, string, error) {
	list, before := frontdoorsql.ListOpen, int64(anyDeadline)
	switch filter {
	case apitype.BoardOpen:
	case apitype.BoardMine:
		list = string(who.role)
	case apitype.BoardLate:
		before = now.Unix()
	default:
		return rowsOfState(q, filter, after)
	}
	var from frontdoorsql.Place
	if after != "" {
		if n, err := fmt.Sscanf(after, "%d.%d.%d", &from.Urgency, &from.Deadline, &from.N); n != 3 || err != nil || from.Urgency < 0 || from.String() != after {
			return nil, "", invalid("after", "not a place on this board", "use next as it was given")
		}
	}
	rows, places, err := q.Listed(list, from, before, apitype.MaxBoardPage+1)
	if err != nil || len(rows) <= apitype.MaxBoardPage {
		return rows, "", err
	}
	return rows[:apitype.MaxBoardPage], places[apitype.MaxBoardPage-1].String(), nil
}

func rowsOfState(q frontdoorsql.Q, state, after string) ([]frontdoorsql.Case, string, error) {
	if s := rules.State(state); s.Validate() != nil || s == rules.StateDraft {
		return nil, "", invalid("state", "there is no such state of a case", "")
	}
	from := uint64(0)
	if after != "" {
		var err error
		if from, err = strconv.ParseUint(after, 10, 62); err != nil {
			return nil, "", invalid("after", "not a place on this board", "use next as it was given")
		}
	}
	rows, err := q.Cases("", state, from, apitype.MaxBoardPage+1)
	if err != nil || len(rows) <= apitype.MaxBoardPage {
		return rows, "", err
	}
	return rows[:apitype.MaxBoardPage], strconv.FormatUint(rows[apitype.MaxBoardPage-1].N, 10), nil
}

// brief is what a board shows of a case: nothing that stands in its statements.
func (s *Service) brief(c *kase, r *reader, now time.Time) *apitype.CaseView {
	v := s.viewHead(c)
	if c.late(now) {
		v.Extra["late"] = lateText
	}
	v.Actions, v.Entries = s.actionsOf(c, r, now), []apitype.CaseEntryView{}
	return v
}
