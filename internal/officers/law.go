package officers

import "bonded/internal/frontdoor/rules"

// A law is what the form of a request shows of the rules.
type law struct {
	Processes []process      `json:"processes"`
	Classes   []class        `json:"classes"`
	Approvals []approval     `json:"approvals"`
	Codes     []code         `json:"codes"`
	Levels    []level        `json:"levels"`
	Emergency emergencyRules `json:"emergency"`
}

type process struct {
	ID         string     `json:"id"`
	Title      string     `json:"title"`
	Instrument string     `json:"instrument"`
	Country    string     `json:"jurisdiction"`
	Kind       string     `json:"kind"`
	Opens      []string   `json:"opens"`
	Needs      []string   `json:"needs"`
	NeedsFor   []needsFor `json:"needs_for"`
	Offence    bool       `json:"offence"`
	WindowDays int        `json:"window_days"`
	People     int        `json:"people"`
	HoldDays   int        `json:"hold_days"`
	RoomOnly   bool       `json:"room_only"`
}

type needsFor struct {
	Classes []string `json:"classes"`
	Needs   []string `json:"needs"`
}

type class struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Window bool   `json:"window"`
}

type approval struct {
	ID    string   `json:"id"`
	Text  string   `json:"text"`
	MetBy []string `json:"met_by"`
}

type code struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

type level struct {
	Level  int      `json:"level"`
	Allows []string `json:"allows"`
}

type emergencyRules struct {
	Classes    []string `json:"classes"`
	People     int      `json:"people"`
	WindowDays int      `json:"window_days"`
}

func lawOf(r *rules.Rules) *law {
	e := r.Emergency()
	out := &law{Emergency: emergencyRules{Classes: words(e.Classes), People: e.MaxSubjects, WindowDays: e.WindowDays}}
	for _, p := range r.Processes() {
		v := process{
			ID: p.ID, Title: p.Title, Instrument: p.Instrument, Country: p.Jurisdiction, Kind: string(p.Kind), Opens: words(p.Opens), Needs: p.Needs,
			NeedsFor: []needsFor{}, Offence: p.OffenceNeeded, WindowDays: p.WindowDays, People: p.MaxSubjects,
			HoldDays: int(p.Hold.Duration().Hours() / 24), RoomOnly: p.RoomOnly,
		}
		for _, n := range p.NeedsFor {
			v.NeedsFor = append(v.NeedsFor, needsFor{words(n.Classes), n.Needs})
		}
		out.Processes = append(out.Processes, v)
	}
	for _, c := range r.DataClasses() {
		out.Classes = append(out.Classes, class{string(c.ID), c.Text, c.Window})
	}
	for _, a := range r.Approvals() {
		out.Approvals = append(out.Approvals, approval{a.ID, a.Text, a.MetBy})
	}
	for _, c := range r.RejectCodes() {
		out.Codes = append(out.Codes, code{string(c.ID), c.Text})
	}
	for _, l := range r.Ladder() {
		out.Levels = append(out.Levels, level{l.Level, words(l.Allows)})
	}
	return out
}

// words are ids as plain text; never nil, for JSON.
func words[T ~string](ids []T) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}
