package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/semver"

	"bonded"
	"bonded/internal/yamlstrict"
	"bonded/packs"
)

// Rules are the rules of the front door of one cell. They do not change; many
// goroutines may use them. What methods return is shared: do not write to it.
type Rules struct {
	p         *pack
	name      string // of the file, for errors
	canonical []byte
	digest    [sha256.Size]byte
	process   map[string]*Process
	approval  map[string]ApprovalRule
	from      map[State][]Transition
	state     map[State]StateRule
}

// A Transition is one way from one state to another.
type Transition struct {
	From, To State
	By       Role
	Duty     Duty
	Guards   []Guard // all of them must hold
	Timer    TimerID // by the clock: when; else: until when; "" if never
	At       DateOf  // by the clock: when, if that comes before the timer; "" if no date counts
}

// String names the transition.
func (t Transition) String() string {
	return string(t.From) + " → " + string(t.To) + " by " + string(t.By)
}

// Shipped returns the newest rules built into this program.
func Shipped() (*Rules, error) {
	names, err := fs.Glob(packs.FrontDoor, "frontdoor/*.yaml")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("list rules of the front door: %w", err)
	}
	var newest *Rules
	for _, name := range names {
		text, err := fs.ReadFile(packs.FrontDoor, name)
		if err != nil {
			return nil, fmt.Errorf("read rules of the front door: %w", err)
		}
		r, err := Load(name, text)
		if err != nil {
			return nil, err
		}
		if want := "frontdoor/" + r.Version() + ".yaml"; name != want {
			return nil, wrong(name+":1:1", "a pack is filed under its version", "rename it to "+want)
		}
		if newest == nil || newer(r.Version(), newest.Version()) {
			newest = r
		}
	}
	return newest, nil
}

// Load reads one pack. Name is the file's name, for errors: a pack that is
// wrong is a [*bonded.Error] with code [bonded.CodeConfig] whose Field names
// file, line and column.
func Load(name string, text []byte) (*Rules, error) {
	p := new(pack)
	if err := yamlstrict.Decode(name, text, p); err != nil {
		return nil, err
	}
	for i := range p.Processes {
		p.Processes[i].MaxSubjects = max(1, p.Processes[i].MaxSubjects)
	}
	return compile(name, p)
}

func compile(name string, p *pack) (*Rules, error) {
	r := &Rules{
		p: p, name: name,
		process: map[string]*Process{}, approval: map[string]ApprovalRule{},
		from: map[State][]Transition{}, state: map[State]StateRule{},
	}
	for i := range p.Processes {
		r.process[p.Processes[i].ID] = &p.Processes[i]
	}
	for _, a := range p.Approvals {
		r.approval[a.ID] = a
	}
	for _, s := range p.States {
		r.state[s.ID] = s
	}
	for _, e := range newMachine(p).edges {
		r.from[e.From] = append(r.from[e.From], e.Transition)
	}
	var err error
	if r.canonical, err = canonical(p); err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: name + ":1:1", Message: "the text holds a character that has two spellings in JSON", Hint: "take out line separators and what is not UTF-8"}
	}
	r.digest = sha256.Sum256(r.canonical)
	return r, nil
}

// canonical writes p as RFC 8785 does: members in order of their names, no
// spaces, one spelling of each string. Names are ASCII and numbers whole.
func canonical(p *pack) ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode rules: %w", err)
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("decode rules: %w", err)
	}
	if !plain(tree) {
		return nil, fmt.Errorf("encode rules: %w", bonded.Errorf(bonded.CodeConfig, "a character with two spellings"))
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return nil, fmt.Errorf("encode rules: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// plain reports whether encoding/json spells every string as RFC 8785 does,
// and orders the members alike.
func plain(v any) bool {
	switch v := v.(type) {
	case string:
		return !strings.ContainsAny(v, "\u2028\u2029\ufffd")
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !plain(e) })
	case map[string]any:
		for k, e := range v {
			if strings.ContainsFunc(k, func(c rune) bool { return c < ' ' || c >= utf8.RuneSelf }) || !plain(e) {
				return false
			}
		}
	}
	return true
}

// Version returns three numbers, as in 1.0.0.
func (r *Rules) Version() string { return r.p.Version }

// Name returns "frontdoor@1.0.0".
func (r *Rules) Name() string { return r.p.ID + "@" + r.p.Version }

// JSON returns the compiled rules as canonical JSON (RFC 8785), for those who
// recompute [Rules.Digest].
func (r *Rules) JSON() []byte { return bytes.Clone(r.canonical) }

// Digest returns the SHA-256 of [Rules.JSON], by which an entry names the
// rules in force.
func (r *Rules) Digest() [sha256.Size]byte { return r.digest }

// Transition returns the way from one state to another in a role, and whether
// there is one.
func (r *Rules) Transition(from, to State, by Role) (*Transition, bool) {
	for i, t := range r.from[from] {
		if t.To == to && t.By == by {
			return &r.from[from][i], true
		}
	}
	return nil, false
}

// Transitions returns every way out of a state, in the order of the pack; none
// for a final state.
func (r *Rules) Transitions(from State) []Transition { return r.from[from] }

// State returns what the pack says of a state.
func (r *Rules) State(s State) (StateRule, bool) { v, ok := r.state[s]; return v, ok }

// States returns every state of a case, in the order of the pack.
func (r *Rules) States() []StateRule { return r.p.States }

// TaskStates returns every state of a task.
func (r *Rules) TaskStates() []TaskStateRule { return r.p.TaskStates }

// StateTimers returns the timers that begin when a case enters a state.
func (r *Rules) StateTimers(s State) []Timer {
	var out []Timer
	for _, t := range r.p.Timers {
		if slices.Contains(t.From, s) {
			out = append(out, t)
		}
	}
	return out
}

// Timer returns how long a timer runs. For [TimerChallenge] and
// [TimerOtherAuthority] a process type may have its own: ask
// [Rules.ChallengeWindow] and [Rules.OtherAuthority].
func (r *Rules) Timer(id TimerID) time.Duration { return r.p.timer(id).After.Duration() }

// newer reports whether version a is higher than b. Both have [versionForm].
func newer(a, b string) bool { return semver.Compare("v"+a, "v"+b) > 0 }
