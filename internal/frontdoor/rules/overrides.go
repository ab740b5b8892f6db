package rules

import (
	"maps"
	"slices"

	"bonded/internal/nearest"
)

// Overrides are what a cell sets otherwise than the pack. A cell may be
// quicker and stricter than its pack, and never laxer than the pack's limits;
// [Rules.With] refuses what would be. Absent values leave the pack's.
type Overrides struct {
	Timers       StateTimers                 `yaml:"timers"`        // times of the states
	Processes    map[string]ProcessOverrides `yaml:"processes"`     // by id of process type
	Review       *Span                       `yaml:"review"`        // of secrecy, when the entry names neither end nor review
	NoticeWithin *Span                       `yaml:"notice_within"` // of the end of secrecy
}

// StateTimers set the pack's timers, up to the longest that it allows and down
// to one second.
type StateTimers struct {
	Verify         *Span `yaml:"verify"`          // submitted to verifying
	Clarification  *Span `yaml:"clarification"`   // clarification, or a narrower scope offered, to lapsed
	OtherAuthority *Span `yaml:"other_authority"` // another authority's answer, where the process type sets none
	Challenge      *Span `yaml:"challenge"`       // challenge window, where the process type sets none
	Quorum         *Span `yaml:"quorum"`          // awaiting quorum to lapsed
	Ratify         *Span `yaml:"ratify"`          // emergency to unratified
	Close          *Span `yaml:"close"`           // delivered to closed
}

// ProcessOverrides set what one process type leaves to the cell.
type ProcessOverrides struct {
	MaxSubjects     *int  `yaml:"max_subjects"`     // named people of one task: 1 to [MaxSubjects]
	WindowDays      *int  `yaml:"window_days"`      // 1 to the pack's
	ChallengeWindow *Span `yaml:"challenge_window"` // up to the deadline of the process type and the longest of timer challenge
}

// With returns r as a cell sets it. What is laxer than the pack allows, or
// names what it does not know, is a [*bonded.Error] with code
// [bonded.CodeConfig] whose Field is the path of the key, as in
// timers.ratify. The new rules have a digest of their own.
func (r *Rules) With(o Overrides) (*Rules, error) {
	p := *r.p
	p.Timers, p.Processes = slices.Clone(p.Timers), slices.Clone(p.Processes)

	// 1. Times of states.
	for _, t := range []struct {
		id  TimerID
		set *Span
	}{
		{TimerVerify, o.Timers.Verify},
		{TimerClarification, o.Timers.Clarification},
		{TimerOtherAuthority, o.Timers.OtherAuthority},
		{TimerChallenge, o.Timers.Challenge},
		{TimerQuorum, o.Timers.Quorum},
		{TimerRatify, o.Timers.Ratify},
		{TimerClose, o.Timers.Close},
	} {
		if err := set(&p.timer(t.id).After, t.set, p.timer(t.id).Longest, "timers."+string(t.id)); err != nil {
			return nil, err
		}
	}

	// 2. Secrecy.
	if err := set(&p.Secrecy.Review, o.Review, p.Secrecy.Review, "review"); err != nil {
		return nil, err
	}
	if err := set(&p.Secrecy.NoticeWithin, o.NoticeWithin, p.Secrecy.NoticeWithin, "notice_within"); err != nil {
		return nil, err
	}

	// 3. Process types.
	for _, id := range slices.Sorted(maps.Keys(o.Processes)) {
		i := slices.IndexFunc(p.Processes, func(c Process) bool { return c.ID == id })
		if i < 0 {
			return nil, wrong("processes", "no process type of this name", nearest.Hint(id, slices.Collect(maps.Keys(r.process))))
		}
		if err := p.override(&p.Processes[i], o.Processes[id]); err != nil {
			return nil, err
		}
	}
	for _, c := range p.Processes {
		if c.Deadlines.Routine > 0 && p.challengeWindow(c) > c.Deadlines.Routine {
			return nil, wrong("timers.challenge", "longer than the deadline of "+c.ID, "at most "+c.Deadlines.Routine.String())
		}
	}
	return compile(r.name, &p)
}

func (p *pack) override(c *Process, o ProcessOverrides) error {
	field := "processes." + c.ID
	if o.MaxSubjects != nil {
		if *o.MaxSubjects < 1 || *o.MaxSubjects > MaxSubjects {
			return wrong(field+".max_subjects", "not between 1 and 1000", "more people are more tasks; without a name there is no task")
		}
		c.MaxSubjects = *o.MaxSubjects
	}
	if o.WindowDays != nil {
		if *o.WindowDays < 1 || *o.WindowDays > c.WindowDays {
			return wrong(field+".window_days", "the pack allows less", "from 1 to the pack's window_days")
		}
		c.WindowDays = *o.WindowDays
	}
	if o.ChallengeWindow == nil {
		return nil
	}
	longest := p.timer(TimerChallenge).Longest
	if c.Deadlines.Routine > 0 {
		longest = min(longest, c.Deadlines.Routine)
	}
	if c.ChallengeWindow == nil {
		c.ChallengeWindow = new(Span)
	}
	own := *c.ChallengeWindow // not the pack's
	c.ChallengeWindow = &own
	return set(&own, o.ChallengeWindow, longest, field+".challenge_window")
}

// set sets dst to a value that is there, if it is between a second and longest.
func set(dst, v *Span, longest Span, field string) error {
	switch {
	case v == nil:
		return nil
	case *v < 1:
		return wrong(field, "takes no time", "write a length of time, as in 30s")
	case *v > longest:
		return wrong(field, "longer than the rules allow", "at most "+longest.String())
	}
	*dst = *v
	return nil
}
