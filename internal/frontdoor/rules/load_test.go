package rules_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/frontdoor/rules"
	"bonded/packs"
)

const shippedName = "frontdoor/1.0.0.yaml"

func shippedText(t testing.TB) string {
	t.Helper()
	text, err := fs.ReadFile(packs.FrontDoor, shippedName)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func shipped(t testing.TB) *rules.Rules {
	t.Helper()
	r, err := rules.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantError checks the parts of a configuration error.
func wantError(t *testing.T, err error, field, message string) {
	t.Helper()
	var e *bonded.Error
	if !errors.As(err, &e) || e.Code != bonded.CodeConfig {
		t.Fatalf("err = %v, want bad_config", err)
	}
	if e.Field != field || !strings.Contains(e.Message+"; "+e.Hint, message) {
		t.Errorf("got  %s | %s | %s\nwant %s | …%s…", e.Field, e.Message, e.Hint, field, message)
	}
}

// TestLoadNamesTheLineOfWhatIsWrong spoils the shipped pack in one way each.
// The place is that of the text in at, which the spoiled pack holds once.
func TestLoadNamesTheLineOfWhatIsWrong(t *testing.T) {
	text := shippedText(t)
	for name, c := range map[string]struct{ old, now, at, message string }{
		"other id":              {"id: frontdoor\n", "id: backdoor\n", "backdoor", "have the id frontdoor"},
		"bad version":           {"version: 1.0.0", "version: 1.0", "1.0\n", "three numbers"},
		"bad day":               {`as_of: "2026-11-23"`, `as_of: "2026-11"`, `"2026-11"`, "not a day"},
		"unknown key":           {"    voluntary: true\n", "    volountary: true\n", "volountary", "did you mean voluntary?"},
		"unknown class":         {"opens: [source_code]\n    needs: [contract", "opens: [sorce_code]\n    needs: [contract", "sorce_code]", "did you mean source_code?"},
		"unknown notice":        {"notice: firm_before", "notice: per_law", "per_law", "unknown way of notice"},
		"unknown kind":          {"kind: preserve\n    opens: []\n    needs: [prosecutor_or_agency]", "kind: freeze\n    opens: []\n    needs: [prosecutor_or_agency]", "freeze\n", "unknown kind"},
		"unknown state":         {"to: [lapsed], by: [clock], duty: keep_time, guards: [hold_ended]", "to: [lapsd], by: [clock], duty: keep_time, guards: [hold_ended]", "lapsd]", "did you mean lapsed?"},
		"unknown guard":         {"guards: [hold_ended]", "guards: [hold_endet]", "hold_endet]", "did you mean hold_ended?"},
		"unknown role":          {"by: [keyholder]", "by: [keyholdr]", "keyholdr]", "did you mean keyholder?"},
		"unknown duty":          {"duty: unlock", "duty: unlok", "unlok", "did you mean unlock?"},
		"unknown code":          {"id: wrong_cell,", "id: wrong_cel,", "wrong_cel,", "did you mean wrong_cell?"},
		"unknown field class":   {"covers: [personal, anonymous]}", "covers: [personal, anonymos]}", "anonymos]", "did you mean anonymous?"},
		"unknown need":          {"needs: [fisc]", "needs: [fics]", "id: us_fisa", "did you mean fisc?"},
		"unlisted source":       {"cite: [tspa-ler]", "cite: [tspaler]", "[tspaler]", "cites a source that the pack does not list"},
		"memory, not marked":    {"    cite: [tspa-ler]", "    cite: [memory]", "[memory]\n    confidence: high\n  - id: us_emergency", "rests on memory alone"},
		"marked, but sourced":   {"cite: [tspa-ler]\n", "cite: [tspa-ler]\n    unverified: true\n", "true\n    confidence: high\n  - id: us_emergency", "marked unverified, but cites a source"},
		"fraction of a second":  {"after: 4h", "after: 4.5h", "4.5h", "write a whole number and s, m, h or d"},
		"no unit":               {"after: 4h", "after: 4", "4, longest: 24h", "write a whole number and s, m, h or d"},
		"timer too long":        {"after: 72h, longest: 72h", "after: 73h, longest: 72h", "73h", "longer than longest"},
		"missing state":         {`  - {id: lapsed, text: "no answer, no quorum, or the instrument or hold ran out", log: entry, final: true}` + "\n", "", "- {id: draft, text", "states lacks lapsed"},
		"missing code":          {`  - {id: bulk, text: "no named target", cite: [own], confidence: high}` + "\n", "", "- {id: incomplete", "reject_codes lacks bulk"},
		"state twice":           {"id: lapsed, text: \"no answer", "id: closed, text: \"no answer", "id: closed, text: \"no answer", "there twice"},
		"classes out of order":  {"id: traffic, text", "id: metadata, text", "id: metadata, text: \"who", "traffic comes here"},
		"opens out of order":    {"opens: [existence, subscriber]\n    needs: [court]", "opens: [subscriber, existence]\n    needs: [court]", "[subscriber, existence]", "in the order of data_classes"},
		"preserving opens":      {"kind: preserve\n    opens: []\n    needs: [prosecutor", "kind: preserve\n    opens: [content]\n    needs: [prosecutor", "[content]", "a preservation opens nothing"},
		"no end to a hold":      {"    hold: 90d\n", "", "preserve\n    opens: []\n    needs: [prosecutor", "a preservation has an end"},
		"source delivered":      {"    room_only: true\n    cite: [own]\n    confidence: high\n  - id: regulator", "    cite: [own]\n    confidence: high\n  - id: regulator", "[source_code]\n    needs: [contract", "source code is read in the room"},
		"no window":             {"    window_days: 90\n", "", "id: dpa_audit", "without a limit to it"},
		"too many subjects":     {"    voluntary: true\n", "    voluntary: true\n    max_subjects: 1001\n", "1001", "not between 1 and 1000"},
		"haste takes longer":    {"deadlines: {routine: 24h, urgent: 3h}", "deadlines: {routine: 24h, urgent: 30h}", "routine: 24h, urgent: 30h", "more haste leaves more time"},
		"challenge too long":    {"    challenge_window: 0s\n    deadlines: {routine: 24h", "    deadlines: {routine: 24h", "id: vn_mps", "the challenge window is longer than the deadline"},
		"no call-back":          {"call_back: true", "call_back: false", "call_back: false", "no emergency without a call-back"},
		"gag for ever":          {"must_end: true", "must_end: false", "must_end: false", "every gag has an end"},
		"administrator decides": {"administrator_has_no_role: true", "administrator_has_no_role: false", "administrator_has_no_role: false", "holds no role"},
		"level left out":        {"level: 2", "level: 4", "level: 4", "level 2 comes here"},
		"permission left out":   {"allows: [content, emergency]", "allows: [content]", "- {level: 0", "no level allows emergency"},
		"unreachable state":     {"to: [challenged], by: [subject, legal, guardian], duty: object", "to: [notice_pending], by: [subject, legal, guardian], duty: object", "id: challenged, text", "no way leads to challenged"},
		"out of a final state":  {"from: [ratified, unratified], to: [closed]", "from: [ratified, unratified, lapsed], to: [closed]", "from: [ratified, unratified, lapsed]", "leads out of the final state lapsed"},
		"no way to an end":      {"  - {from: [ratified, unratified], to: [closed], by: [legal], duty: close, guards: [told_or_secret]}\n", "", "id: emergency_opened, text", "no way leads from emergency_opened to an end"},
		"withdrawn too late":    {"awaiting_quorum]\n    to: [withdrawn]", "awaiting_quorum, emergency_opened]\n    to: [withdrawn]", "from: [draft, submitted, ver", "withdraws after an opening, from emergency_opened"},
		"opening by legal":      {"to: [opening], by: [custodian], duty: approve_opening, guards: [instrument_valid, quorum_same_scope]", "to: [opening], by: [legal], duty: close, guards: [instrument_valid, quorum_same_scope]", "from: [awaiting_quorum], to: [opening]", "opens without a quorum"},
		"opening, no quorum":    {"guards: [instrument_valid, quorum_same_scope]", "guards: [instrument_valid]", "from: [awaiting_quorum], to: [opening]", "opens without a quorum"},
		"no entry":              {"guards: [log_proof, partials_verified", "guards: [partials_verified", "from: [opening], to: [delivered]", "delivers without an entry"},
		"past the opening":      {"from: [notice_pending], to: [awaiting_quorum]", "from: [notice_pending], to: [unratified]", "from: [notice_pending], to: [unratified]", "leads past the opening to unratified"},
		"unguarded emergency":   {"danger_attested, call_back_done, ", "danger_attested, ", "from: [under_review], to: [emergency_opened]", "an emergency without one of its guards"},
		"two duties of one":     {"to: [narrowed], by: [legal], duty: narrow", "to: [narrowed], by: [legal], duty: verify", "[legal], duty: approve_scope, guards: [rules_pass", "separation: legal has the duty verify already, and not approve_scope as well"},
		"clock without a time":  {"guards: [notice_sent]}", "guards: []}", "from: [notice_pending], to: [challenge_window]", "the clock does not know when"},
		"timer not begun":       {"from: [submitted], to: [verifying], by: [intake], duty: verify, timer: verify}", "from: [submitted], to: [verifying], by: [intake], duty: verify, timer: verify}\n  - {from: [verifying], to: [lapsed], by: [clock], duty: keep_time, timer: close}", "close}\n  - {from: [verifying, preserved], to: [rejected]", "has not begun in verifying"},
		"timer unused":          {"duty: verify, timer: verify", "duty: verify", "id: verify, from", "no transition names the timer verify"},
		"same step twice":       {"from: [under_review], to: [narrowed]", "from: [under_review], to: [clarification]", "from: [under_review], to: [clarification], by: [legal], duty: narrow", "there twice: under_review → clarification by legal"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Count(text, c.old) < 1 {
				t.Fatal("the shipped pack does not hold what the case changes")
			}
			spoiled := strings.Replace(text, c.old, c.now, 1)
			before, _, ok := strings.Cut(spoiled, c.at)
			if !ok {
				t.Fatal("the spoiled pack does not hold the place")
			}
			_, err := rules.Load("p", []byte(spoiled))
			var e *bonded.Error
			if !errors.As(err, &e) || e.Code != bonded.CodeConfig {
				t.Fatalf("err = %v, want bad_config", err)
			}
			line := strings.Count(before, "\n") + 1
			if got := lineOf(t, e.Field); got != line || !strings.Contains(e.Message+"; "+e.Hint, c.message) {
				t.Errorf("got line %d | %s | %s (%s)\nwant line %d | …%s…", got, e.Message, e.Hint, e.Field, line, c.message)
			}
		})
	}
}

func TestDigestIsThatOfTheCanonicalJSON(t *testing.T) {
	r := shipped(t)
	text := r.JSON()
	if r.Digest() != sha256.Sum256(text) {
		t.Error("the digest is not that of JSON")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil || !bytes.Equal(compact.Bytes(), text) {
		t.Errorf("JSON is not compact: %v", err)
	}
	again, err := rules.Load("elsewhere", []byte(shippedText(t)+"\n# a comment\n"))
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != r.Digest() {
		t.Error("a comment or the file's name changes the digest")
	}
	for _, c := range []struct{ old, now string }{{"after: 4h", "after: 3h"}, {"no named target", "no target"}, {"guards: [hold_ended], ", ""}} {
		other, err := rules.Load("p", []byte(strings.Replace(shippedText(t), c.old, c.now, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if other.Digest() == r.Digest() {
			t.Errorf("%q for %q leaves the digest", c.now, c.old)
		}
	}
}

func TestLoadRefusesTextWithTwoSpellings(t *testing.T) {
	for _, c := range []string{`no\u2028target`, "no\u2029target", "no\xfftarget"} {
		_, err := rules.Load("p", []byte(strings.Replace(shippedText(t), "no named target", c, 1)))
		wantError(t, err, "p:1:1", "two spellings")
	}
}

// TestLoadHoldsEveryChangedBit: a pack with one bit changed is refused with
// the code, or is another pack, or was changed where nothing is said.
func TestLoadHoldsEveryChangedBit(t *testing.T) {
	text, r := shippedText(t), shipped(t)
	refused, other := 0, 0
	for at := 7; at < len(text); at += 401 {
		changed := []byte(text)
		changed[at] ^= 1 << (at % 7)
		got, err := rules.Load("p", changed)
		switch {
		case err != nil && bonded.CodeOf(err) != bonded.CodeConfig:
			t.Fatalf("bit of byte %d: error without the code: %v", at, err)
		case err != nil:
			refused++
		case got.Digest() != r.Digest():
			other++
		default:
			line := text[strings.LastIndexByte(text[:at], '\n')+1:]
			if line, _, _ = strings.Cut(line, "\n"); !strings.HasPrefix(line, "#") && text[at] != ' ' {
				t.Errorf("bit of byte %d changes nothing: %s", at, line)
			}
		}
	}
	if refused == 0 || other == 0 {
		t.Errorf("%d refused, %d other packs: the test changes too little", refused, other)
	}
}

// FuzzLoad cuts some bytes out of the shipped pack and puts others there, all
// of it included: a whole pack is too long for the fuzzer to change well.
func FuzzLoad(f *testing.F) {
	shipped := shippedText(f)
	f.Add(uint16(0), uint16(0), []byte(nil))
	f.Add(uint16(0), uint16(len(shipped)), []byte("id: frontdoor\nversion: 1.0.0\n"))
	for _, c := range []struct{ cut, put string }{{"keep_time, guards: [hold_ended]", "keep_time"}, {"72h", "1h"}, {"own]", "memory]"}, {"approvals:", "approvals: []\nx:"}} {
		f.Add(uint16(strings.Index(shipped, c.cut)), uint16(len(c.cut)), []byte(c.put))
	}
	f.Fuzz(func(t *testing.T, at, cut uint16, put []byte) {
		from := min(int(at), len(shipped))
		text := slices.Concat([]byte(shipped[:from]), put, []byte(shipped[min(from+int(cut), len(shipped)):]))
		r, err := rules.Load("f", text)
		if err != nil {
			if bonded.CodeOf(err) != bonded.CodeConfig {
				t.Fatalf("error without the code: %v", err)
			}
			return
		}
		if !json.Valid(r.JSON()) {
			t.Fatal("rules that load make no JSON")
		}
		for _, s := range r.States() {
			if s.Final && len(r.Transitions(s.ID)) > 0 {
				t.Fatalf("a way out of %s", s.ID)
			}
			if _, ok := r.Transition(s.ID, rules.StateWithdrawn, rules.RoleRequester); ok && s.Opens {
				t.Fatalf("withdrawn after an opening, from %s", s.ID)
			}
		}
	})
}

func lineOf(t *testing.T, field string) int {
	t.Helper()
	parts := strings.Split(field, ":")
	if len(parts) != 3 {
		t.Fatalf("Field %q is not name:line:column", field)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
