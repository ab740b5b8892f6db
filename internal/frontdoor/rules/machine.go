package rules

import "slices"

// A machine is the state machine of cases, for checks.
type machine struct {
	p     *pack
	edges []edge
	rule  map[State]StateRule
}

// An edge is one transition and the line of the table it comes from.
type edge struct {
	Transition
	line int
}

func newMachine(p *pack) *machine {
	m := &machine{p: p, rule: map[State]StateRule{}}
	for _, s := range p.States {
		m.rule[s.ID] = s
	}
	for i, s := range p.Transitions {
		for _, from := range s.From {
			for _, to := range s.To {
				for _, by := range s.By {
					m.edges = append(m.edges, edge{Transition{From: from, To: to, By: by, Duty: s.Duty, Guards: s.Guards, Timer: s.Timer, At: s.At}, i})
				}
			}
		}
	}
	return m
}

// check holds the table against what must be true of every table.
func (m *machine) check() error {
	// 1. No line says what another says, and nothing follows a final state.
	seen := map[[3]string]bool{}
	for _, e := range m.edges {
		key := [3]string{string(e.From), string(e.To), string(e.By)}
		switch {
		case seen[key]:
			return wrong(at("transitions", e.line), "there twice: "+e.String(), "remove one of them")
		case e.From == e.To:
			return wrong(at("transitions", e.line), "leads back to "+string(e.From), "")
		case m.rule[e.From].Final:
			return wrong(at("transitions", e.line), "leads out of the final state "+string(e.From), "")
		}
		seen[key] = true
	}

	// 2. Every state can be reached, and from every state an end can.
	reached := m.from(StateDraft)
	for i, s := range m.p.States {
		switch {
		case !reached[s.ID]:
			return wrong(at("states", i), "no way leads to "+string(s.ID), "add a transition")
		case !s.Final && !slices.ContainsFunc(m.p.States, func(f StateRule) bool { return f.Final && m.from(s.ID)[f.ID] }):
			return wrong(at("states", i), "no way leads from "+string(s.ID)+" to an end", "add a transition")
		}
	}
	if err := m.checkOpening(); err != nil {
		return err
	}
	return m.checkClock()
}

// checkOpening wants two ways to plaintext, both by a quorum, and no way back
// from it.
func (m *machine) checkOpening() error {
	normal, emergency := m.from(StateOpening), m.from(StateEmergencyOpened)
	for i, s := range m.p.States {
		if s.Opens != ((normal[s.ID] || emergency[s.ID]) && !s.Final) {
			return wrong(at("states", i), "opens is true of opening, emergency_opened and what follows them, but an end", "")
		}
	}
	for _, e := range m.edges {
		field := at("transitions", e.line)
		switch {
		case e.To == StateWithdrawn && m.rule[e.From].Opens:
			return wrong(field, "withdraws after an opening, from "+string(e.From), "take it out of from")
		case e.To == StateOpening && (e.By != RoleCustodian || m.lacks(e, GuardQuorumSameScope)):
			return wrong(field, "opens without a quorum", "by: [custodian], guards: [quorum_same_scope]")
		case e.To == StateEmergencyOpened && e.By != RoleCustodian:
			return wrong(field, "opens without a quorum", "by: [custodian]")
		case e.To == StateEmergencyOpened && m.lacks(e, GuardCallBackDone, GuardDangerAttested, GuardEmergencyScope, GuardQuorumSameScope):
			return wrong(field, "an emergency without one of its guards", "guards: [danger_attested, call_back_done, emergency_scope, quorum_same_scope]")
		case e.To == StateDelivered && (e.From != StateOpening || m.lacks(e, GuardLogProof)):
			return wrong(field, "delivers without an entry", "from: [opening], guards: [log_proof]")
		case m.rule[e.To].Opens && !m.rule[e.From].Opens && e.To != StateOpening && e.To != StateEmergencyOpened:
			return wrong(field, "leads past the opening to "+string(e.To), "")
		}
	}
	return nil
}

// checkClock wants the clock to know when: a timer that can have begun, a
// date, or a guard that tells.
func (m *machine) checkClock() error {
	for _, e := range m.edges {
		field := at("transitions", e.line)
		if e.By == RoleClock && e.Timer == "" && e.At == "" && len(e.Guards) == 0 {
			return wrong(field, "the clock does not know when", "add timer, at or guards")
		}
		if e.Timer == "" {
			continue
		}
		begun := slices.ContainsFunc(m.p.timer(e.Timer).From, func(s State) bool { return s == e.From || m.from(s)[e.From] })
		if !begun {
			return wrong(field+".timer", "timer "+string(e.Timer)+" has not begun in "+string(e.From), "")
		}
	}
	return nil
}

func (m *machine) lacks(e edge, want ...Guard) bool {
	return slices.ContainsFunc(want, func(g Guard) bool { return !slices.Contains(e.Guards, g) })
}

// from returns the states that can be reached from s, s among them.
func (m *machine) from(s State) map[State]bool {
	reached, todo := map[State]bool{s: true}, []State{s}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		for _, e := range m.edges {
			if e.From == next && !reached[e.To] {
				reached[e.To] = true
				todo = append(todo, e.To)
			}
		}
	}
	return reached
}
