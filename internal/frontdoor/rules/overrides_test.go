package rules_test

import (
	"testing"
	"time"

	"bonded"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/yamlstrict"
)

func overrides(t testing.TB, text string) rules.Overrides {
	t.Helper()
	var o rules.Overrides
	if err := yamlstrict.Decode("cell.yaml", []byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWithSetsWhatTheCellSets(t *testing.T) {
	r := shipped(t)
	digest := r.Digest()
	short, err := r.With(overrides(t, `
timers: {verify: 5s, clarification: 10s, other_authority: 3s, challenge: 2s, quorum: 20s, ratify: 4s, close: 30s}
review: 6s
notice_within: 1s
processes:
  us_warrant: {max_subjects: 1000, window_days: 30}
  civil_subpoena: {challenge_window: 1s}
`))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[rules.TimerID]string{
		rules.TimerVerify: "5s", rules.TimerClarification: "10s", rules.TimerOtherAuthority: "3s", rules.TimerChallenge: "2s",
		rules.TimerQuorum: "20s", rules.TimerRatify: "4s", rules.TimerClose: "30s",
	} {
		if got := short.Timer(id).String(); got != want {
			t.Errorf("timer %s: %s, want %s", id, got, want)
		}
	}
	if s := short.Secrecy(); s.Review.Duration() != 6*time.Second || s.NoticeWithin.Duration() != time.Second {
		t.Errorf("secrecy: review %s, notice within %s", s.Review, s.NoticeWithin)
	}
	if p, _ := short.Process("us_warrant"); p.MaxSubjects != 1000 || p.WindowDays != 30 {
		t.Errorf("us_warrant: %d subjects, %d days", p.MaxSubjects, p.WindowDays)
	}
	if got := short.ChallengeWindow("civil_subpoena"); got != time.Second {
		t.Errorf("challenge window of civil_subpoena: %v", got)
	}
	if got := short.ChallengeWindow("us_subpoena"); got != 2*time.Second {
		t.Errorf("challenge window of us_subpoena: %v", got)
	}
	if short.Digest() == digest {
		t.Error("other rules have the same digest")
	}

	// The rules it was made from are as before.
	if r.Digest() != digest || r.Timer(rules.TimerVerify) != 4*time.Hour || r.ChallengeWindow("civil_subpoena") != 14*24*time.Hour {
		t.Error("With changed the rules it was called on")
	}
	same, err := r.With(rules.Overrides{})
	if err != nil || same.Digest() != digest {
		t.Errorf("nothing set, and another digest: %v", err)
	}
}

func TestWithRefusesWhatIsLaxerThanThePack(t *testing.T) {
	for name, c := range map[string]struct{ text, field, message string }{
		"ratify after 72 hours":      {"timers: {ratify: 73h}", "timers.ratify", "at most 3d"},
		"no time":                    {"timers: {quorum: 0s}", "timers.quorum", "takes no time"},
		"late notice":                {"notice_within: 25h", "notice_within", "at most 1d"},
		"late review":                {"review: 91d", "review", "at most 90d"},
		"unknown process":            {"processes: {us_warant: {max_subjects: 2}}", "processes", "did you mean us_warrant?"},
		"bulk":                       {"processes: {us_warrant: {max_subjects: 1001}}", "processes.us_warrant.max_subjects", "not between 1 and 1000"},
		"nobody":                     {"processes: {us_warrant: {max_subjects: 0}}", "processes.us_warrant.max_subjects", "not between 1 and 1000"},
		"wider window":               {"processes: {us_warrant: {window_days: 366}}", "processes.us_warrant.window_days", "the pack allows less"},
		"window of none":             {"processes: {us_subpoena: {window_days: 1}}", "processes.us_subpoena.window_days", "the pack allows less"},
		"challenge past the clock":   {"processes: {vn_mps_request: {challenge_window: 25h}}", "processes.vn_mps_request.challenge_window", "at most 1d"},
		"challenge past the longest": {"processes: {us_subpoena: {challenge_window: 31d}}", "processes.us_subpoena.challenge_window", "at most 30d"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shipped(t).With(overrides(t, c.text))
			wantError(t, err, c.field, c.message)
		})
	}
}

func TestSpanReadsWhatItWrites(t *testing.T) {
	for text, want := range map[string]string{"0s": "0s", "90s": "90s", "60s": "1m", "48h": "2d", "36h": "36h", "1m": "1m", "36500d": "36500d"} {
		var s, again rules.Span
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.String(); got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s read again: %s, %v", s, again, err)
		}
	}
	for _, text := range []string{"", "s", "5", "-5s", "+5s", "05s", "5 s", "5w", "5S", "1h30m", "1.5h", "36501d", "99999999999s", "1_0s", "５s"} {
		var s rules.Span
		if err := s.UnmarshalText([]byte(text)); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%q: %v, want bad_config", text, err)
		}
	}
}
