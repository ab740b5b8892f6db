package rules_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bonded/internal/frontdoor/rules"
)

var everyClass = []rules.DataClass{
	rules.ClassExistence, rules.ClassSubscriber, rules.ClassUserIdentification, rules.ClassTraffic, rules.ClassMetadata,
	rules.ClassContent, rules.ClassFinancial, rules.ClassHealth, rules.ClassSourceCode,
}

// TestEveryProcessTypeOpensItsClassesAndNoOther: one letter for each class, in
// their order: e s u t m c f h x (source code); a dash refuses.
func TestEveryProcessTypeOpensItsClassesAndNoOther(t *testing.T) {
	table := map[string]struct {
		opens, emergency string
		notice           rules.NoticeBy
		unverified       bool
	}{
		"us_subpoena":             {"es-------", "es-------", rules.NoticeFirm, false},
		"us_2703d":                {"esutm----", "esutm----", rules.NoticeFirm, false},
		"us_warrant":              {"esutmcfh-", "esutmc---", rules.NoticeFirm, false},
		"us_nsl":                  {"es-------", "es-------", rules.NoticeDeferredBySecrecy, false},
		"us_fisa":                 {"esutmc---", "esutmc---", rules.NoticeDeferredBySecrecy, true},
		"us_2703f":                {"---------", "---------", rules.NoticeNone, false},
		"us_emergency_2702":       {"esutmc---", "esutmc---", rules.NoticeFirmAfterEmergency, false},
		"eu_epoc":                 {"esutmcfh-", "esutmc---", rules.NoticeAuthority, false},
		"eu_epoc_pr":              {"---------", "---------", rules.NoticeAuthority, false},
		"gb_ipa_warrant":          {"esutmc---", "esutmc---", rules.NoticeDeferredBySecrecy, true},
		"gb_comms_data":           {"esut-----", "esut-----", rules.NoticeDeferredBySecrecy, true},
		"cn_psb_notice":           {"esutmc---", "esutmc---", rules.NoticeFirm, true},
		"vn_mps_request":          {"esutmc---", "esutmc---", rules.NoticeFirm, false},
		"mlat":                    {"esutmcfh-", "esutmc---", rules.NoticeFirm, true},
		"dpa_audit":               {"esutm----", "esutm----", rules.NoticeNone, true},
		"lender_source_review":    {"--------x", "---------", rules.NoticeNone, false},
		"regulator_source_filing": {"--------x", "---------", rules.NoticeNone, false},
		"civil_subpoena":          {"es-------", "es-------", rules.NoticeFirmBefore, false},
		"subject_self":            {"esutmcfh-", "esutmc---", rules.NoticeSelf, true},
		"no_such_process":         {"---------", "---------", "", false},
	}
	r := shipped(t)
	for id, want := range table {
		var opens, emergency strings.Builder
		for i, c := range everyClass {
			for b, yes := range map[*strings.Builder]bool{&opens: r.Opens(id, c), &emergency: r.OpensInEmergency(id, c)} {
				if yes {
					b.WriteByte("esutmcfhx"[i])
				} else {
					b.WriteByte('-')
				}
			}
		}
		p, ok := r.Process(id)
		if ok != (id != "no_such_process") || opens.String() != want.opens || emergency.String() != want.emergency || p.Notice != want.notice || p.Unverified != want.unverified {
			t.Errorf("%s: %s %s %s %v\nwant %s %s %s %v", id, opens.String(), emergency.String(), p.Notice, p.Unverified, want.opens, want.emergency, want.notice, want.unverified)
		}
		if (p.Kind == rules.KindPreserve) != (ok && want.opens == "---------") {
			t.Errorf("%s: kind %s opens %s", id, p.Kind, want.opens)
		}
	}
	for _, p := range r.Processes() {
		if _, ok := table[p.ID]; !ok {
			t.Errorf("%s is not in the table", p.ID)
		}
		if p.MaxSubjects != 1 {
			t.Errorf("%s: %d subjects of one task, want 1", p.ID, p.MaxSubjects)
		}
	}
	if r.Opens("us_warrant", "everything") {
		t.Error("an unknown class opens")
	}
}

func TestMissingApprovals(t *testing.T) {
	r := shipped(t)
	content, subscriber := []rules.DataClass{rules.ClassContent}, []rules.DataClass{rules.ClassSubscriber}
	for name, c := range map[string]struct {
		process string
		classes []rules.DataClass
		given   []string
		want    []string
	}{
		"judge gives a warrant":                  {"us_warrant", content, []string{"judge"}, nil},
		"police gives none":                      {"us_warrant", content, []string{"police"}, []string{"judge"}},
		"nobody":                                 {"us_warrant", content, nil, []string{"judge"}},
		"prosecutor issues for a name":           {"eu_epoc", subscriber, []string{"prosecutor"}, nil},
		"police issues, prosecutor validates":    {"eu_epoc", subscriber, []string{"police", "prosecutor"}, nil},
		"police alone":                           {"eu_epoc", subscriber, []string{"police"}, []string{"validating_authority_if_police"}},
		"prosecutor issues for content":          {"eu_epoc", content, []string{"prosecutor"}, []string{"judge"}},
		"police issues, judge validates content": {"eu_epoc", content, []string{"police", "judge"}, nil},
		"one class of several needs a judge":     {"eu_epoc", append(subscriber, content...), []string{"prosecutor"}, []string{"judge"}},
		"half of the double lock":                {"gb_ipa_warrant", content, []string{"minister"}, []string{"judicial_commissioner"}},
		"treaty without a local order":           {"mlat", content, []string{"central_authority"}, []string{"local_court_order"}},
	} {
		var got []string
		for _, a := range r.MissingApprovals(c.process, c.classes, c.given) {
			got = append(got, a.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: missing %v, want %v", name, got, c.want)
		}
	}
	if got := r.MissingApprovals("no_such_process", content, []string{"judge", "court", "subject"}); len(got) == 0 {
		t.Error("an unknown process type lacks nothing")
	}
}

func TestDeadlines(t *testing.T) {
	const day = 24 * time.Hour
	r := shipped(t)
	for _, c := range []struct {
		process                            string
		routine, urgent, emergency         time.Duration
		challenge, other, otherInEmergency time.Duration
	}{
		{"eu_epoc", 10 * day, 10 * day, 8 * time.Hour, 0, 10 * day, 96 * time.Hour},
		{"vn_mps_request", 24 * time.Hour, 3 * time.Hour, 3 * time.Hour, 0, 10 * day, 10 * day},
		{"us_subpoena", 0, 0, 0, 7 * day, 10 * day, 10 * day},
		{"civil_subpoena", 0, 0, 0, 14 * day, 10 * day, 10 * day},
		{"no_such_process", 0, 0, 0, 7 * day, 10 * day, 10 * day},
	} {
		got := []time.Duration{
			r.Deadline(c.process, rules.PriorityRoutine), r.Deadline(c.process, rules.PriorityUrgent), r.Deadline(c.process, rules.PriorityEmergency),
			r.ChallengeWindow(c.process), r.OtherAuthority(c.process, rules.PriorityRoutine), r.OtherAuthority(c.process, rules.PriorityEmergency),
		}
		if want := []time.Duration{c.routine, c.urgent, c.emergency, c.challenge, c.other, c.otherInEmergency}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.process, got, want)
		}
	}
	for id, want := range map[string][3]time.Duration{"us_2703f": {90 * day, 90 * day, 1}, "eu_epoc_pr": {60 * day, 30 * day, 1}} {
		if p, _ := r.Process(id); p.Hold.Duration() != want[0] || p.Extend.Duration() != want[1] || p.ExtendTimes != int(want[2]) || !p.PreserveOnReceipt {
			t.Errorf("%s: hold %s, extend %s, %d times", id, p.Hold, p.Extend, p.ExtendTimes)
		}
	}
	for id, want := range map[rules.TimerID]time.Duration{
		rules.TimerVerify: 4 * time.Hour, rules.TimerClarification: 30 * day, rules.TimerOtherAuthority: 10 * day, rules.TimerChallenge: 7 * day,
		rules.TimerQuorum: 7 * day, rules.TimerRatify: 72 * time.Hour, rules.TimerClose: 30 * day,
	} {
		if got := r.Timer(id); got != want {
			t.Errorf("timer %s: %v, want %v", id, got, want)
		}
	}
}

func TestLadderAllowsWhatLowerLevelsAllow(t *testing.T) {
	r := shipped(t)
	all := []rules.Permission{rules.AllowDraft, rules.AllowSubmit, rules.AllowNormal, rules.AllowContent, rules.AllowEmergency}
	for level, n := range map[int]int{-1: 0, 0: 1, 1: 2, 2: 3, 3: 5, 4: 5} {
		for i, p := range all {
			if got := r.Allows(level, p); got != (i < n) {
				t.Errorf("level %d allows %s: %v", level, p, got)
			}
		}
	}
	if r.Allows(3, "everything") {
		t.Error("an unknown permission is allowed")
	}
}

func TestSeparationKeepsRolesApart(t *testing.T) {
	r := shipped(t)
	for _, c := range []struct {
		a, b rules.Role
		want bool
	}{
		{rules.RoleIntake, rules.RoleLegal, true},
		{rules.RoleLegal, rules.RoleCustodian, true},
		{rules.RoleCustodian, rules.RoleRequester, true},
		{rules.RoleGuardian, rules.RoleCustodian, true},
		{rules.RoleLegal, rules.RoleLegal, false},
		{rules.RoleRequester, rules.RoleSubject, false}, // the person asks for their own data
		{rules.RoleLegal, rules.RoleCourt, false},       // legal enters the court's order
	} {
		if r.Apart(c.a, c.b) != c.want || r.Apart(c.b, c.a) != c.want {
			t.Errorf("%s and %s apart: not %v", c.a, c.b, c.want)
		}
	}
	if !r.ApartDuties(rules.DutyNarrow, rules.DutyApproveScope) || r.ApartDuties(rules.DutyNarrow, rules.DutyClose) {
		t.Error("who drafts a narrowing must not approve the scope, and may close")
	}
}

func TestRejectCodes(t *testing.T) {
	r := shipped(t)
	form := 0
	for i, c := range r.RejectCodes() {
		if c.Form != "" {
			form++
			if i > 10 || !c.Unverified {
				t.Errorf("%s: names a form at place %d, unverified %v", c.ID, i, c.Unverified)
			}
		}
	}
	if form != 10 {
		t.Errorf("%d codes follow the form, want 10", form)
	}
	if c, ok := r.RejectCode(rules.RejectConflictOfLaw); !ok || len(c.Fields) != 6 {
		t.Errorf("conflict_of_law asks for %v", c.Fields)
	}
	if _, ok := r.RejectCode("because"); ok {
		t.Error("an unknown code is known")
	}
}

func TestEmergencyAndSecrecyLimits(t *testing.T) {
	r := shipped(t)
	if e := r.Emergency(); !e.CallBack || e.MaxSubjects != 1 || e.WindowDays != 7 {
		t.Errorf("emergency: %+v", e)
	}
	if s := r.Secrecy(); !s.MustEnd || s.Review.String() != "90d" || s.NoticeWithin.Duration() != 24*time.Hour {
		t.Errorf("secrecy: %+v", s)
	}
}
