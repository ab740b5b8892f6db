package operator_test

import (
	"crypto/ed25519"
	"reflect"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/operator"
	"bonded/verify"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 500, time.UTC)

func wantCode(t *testing.T, err error, want bonded.Code) {
	t.Helper()
	if bonded.CodeOf(err) != want {
		t.Errorf("error %v, want code %s", err, want)
	}
}

func TestDecisionNamesWhatItsAuthorSaw(t *testing.T) {
	id := bonded.CaseID{Cell: "eu", ID: bonded.NewID()}
	v := &apitype.CaseView{Case: id, State: "submitted", Number: 7, Actions: []string{"reject", "take"}}
	d, err := operator.Decide(v, "intake-1", "intake", "take", now)
	if err != nil {
		t.Fatal(err)
	}
	want := &verify.CaseDecision{
		Format: verify.LabelDecision, Case: id, Person: "intake-1", Role: "intake", Action: "take", State: "submitted", Number: 7,
		Time: now.Truncate(time.Second),
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("%+v, want %+v", d, want)
	}
	st, err := verify.NewStatement(d)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := verify.ParseCaseDecision(st); err != nil || !reflect.DeepEqual(back, want) {
		t.Errorf("reads as %+v, %v", back, err)
	}
}

func TestDecisionThatIsNotPossibleNowIsRefused(t *testing.T) {
	for _, c := range []struct {
		role, action string
		actions      []string
		code         bonded.Code
		message      string
		hint         string
	}{
		{"intake", "take", []string{"fraud", "hold_release"}, bonded.CodeConflict, "the case is preserved: take is not possible now", "you may fraud, hold release"},
		{"legal", "secrecy_extend", nil, bonded.CodeConflict, "the case is preserved: secrecy extend is not possible now", "bonded case show says how it came to this; nothing is for you to do now"},
		{"intake", "ratify", []string{"fraud"}, bonded.CodeForbidden, "ratify is not for people of role intake", "it is for people of role legal"},
		{"requester", "refuse_task", nil, bonded.CodeForbidden, "refuse-task is not for people of role requester", "it is for people of role legal"},
		{"auditor", "secrecy_challenge", []string{"secrecy_challenge"}, bonded.CodeForbidden, "secrecy challenge is not for people of role auditor", "it is for people of role legal or guardian"},
	} {
		_, err := operator.Decide(&apitype.CaseView{State: "preserved", Actions: c.actions}, "somebody", c.role, c.action, now)
		wantCode(t, err, c.code)
		if e, ok := err.(*bonded.Error); !ok || e.Message != c.message || e.Hint != c.hint { //nolint:errorlint // made here
			t.Errorf("%s by %s: %v", c.action, c.role, err)
		}
	}
}

func TestRejectCodeSuggestsTheNearest(t *testing.T) {
	if err := operator.RejectCode("too_broad"); err != nil {
		t.Error(err)
	}
	err := operator.RejectCode("wrong_autority")
	wantCode(t, err, bonded.CodeInvalid)
	if e, ok := err.(*bonded.Error); !ok || e.Hint != "did you mean wrong_authority?" { //nolint:errorlint // made here
		t.Errorf("hint of %v", err)
	}
}

func TestRefusalsNameTasksOnceAndWithKnownCodes(t *testing.T) {
	got, err := operator.Refusals([]string{"1=too_broad", "0=expired"}, 2)
	want := []verify.TaskChange{{Task: 1, Code: "too_broad"}, {Task: 0, Code: "expired"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range [][]string{{"too_broad"}, {"2=too_broad"}, {"-1=too_broad"}, {"0=too_broad", "0=expired"}, {"0=no"}, {"0="}} {
		_, err := operator.Refusals(bad, 2)
		wantCode(t, err, bonded.CodeInvalid)
	}
}

func TestNarrowingOnlyTakesAway(t *testing.T) {
	from, to := now.AddDate(0, -1, 0), now
	tasks := []apitype.CaseTaskView{
		{FieldsWanted: []string{"name", "phone"}, MaxSubjects: 3},
		{FieldsWanted: []string{"ip"}, From: &from, To: &to, MaxSubjects: 1},
	}
	n := operator.Narrowing{Tasks: []int{0, 1}, Fields: []string{"name"}, MaxSubjects: []int{1}, To: []string{"", "2026-11-20"}}
	got, err := n.Changes(tasks)
	cut := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	want := []verify.TaskChange{{Task: 0, FieldsWanted: []string{"name"}, MaxSubjects: 1}, {Task: 1, To: &cut}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	decided := []verify.DecidedTask{
		{CaseTask: verify.CaseTask{FieldsWanted: []string{"name", "phone"}, MaxSubjects: 3}},
		{CaseTask: verify.CaseTask{FieldsWanted: []string{"ip"}, From: &from, To: &to, MaxSubjects: 1}},
	}
	if err := verify.CheckNarrowing(decided, got); err != nil {
		t.Errorf("the front door would refuse it: %v", err)
	}
	for name, bad := range map[string]operator.Narrowing{
		"a field more":       {Tasks: []int{0}, Fields: []string{"name,email"}},
		"more people":        {Tasks: []int{0}, MaxSubjects: []int{4}},
		"nothing":            {Tasks: []int{0}},
		"all of it":          {Tasks: []int{0}, Fields: []string{"name,phone"}, MaxSubjects: []int{3}},
		"a task twice":       {Tasks: []int{0, 0}, Fields: []string{"name", "phone"}},
		"no such task":       {Tasks: []int{2}, Fields: []string{"name"}},
		"an earlier start":   {Tasks: []int{1}, From: []string{"2026-01-01"}},
		"a window from none": {Tasks: []int{0}, From: []string{"2026-01-01"}},
		"no time":            {Tasks: []int{1}, To: []string{"soon"}},
		"more than tasks":    {Tasks: []int{0}, Fields: []string{"name", "phone"}},
	} {
		if _, err := bad.Changes(tasks); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A dossier of a request for one person, signed by its officer.
func dossier(t *testing.T) (*apitype.CaseDossier, *apitype.CaseView) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &verify.CaseRequest{
		Format: verify.LabelRequest, Cell: "eu", Kind: "disclosure", Officer: "officer-7", Agency: "bka",
		Authorisation: verify.Authorisation{
			Reference: "about ada@example.org", Necessity: "Because ada@example.org wrote it.",
			LegalBasis: []verify.LegalBasis{{Law: "StPO", Article: "100j"}}, Approvals: []verify.LegalApproval{}, Documents: []verify.CaseDocument{},
		},
		Recipient: []byte{1},
		Tasks: []verify.CaseTask{{
			Kind: "disclose", Collection: "users", FieldsWanted: []string{"name", "phone"}, MaxSubjects: 1,
			Targets: []verify.CaseTarget{{Format: "email", Value: "ada@example.org"}},
		}},
	}
	request, err := verify.NewStatement(r)
	if err != nil {
		t.Fatal(err)
	}
	request.Sign(verify.LabelRequest, "officer-7", key)
	officer, err := verify.NewStatement(&verify.Person{Format: verify.LabelPerson, ID: "officer-7", Agency: "bka", Key: verify.EncodePublicKey(pub)})
	if err != nil {
		t.Fatal(err)
	}
	return &apitype.CaseDossier{Request: request, Officer: officer}, &apitype.CaseView{
		Tasks:     []apitype.CaseTaskView{{FieldsWanted: []string{"name", "phone"}}},
		Documents: []apitype.CaseDocView{{Name: "order ada@example.org.pdf"}},
	}
}

func TestApproveComputesTheDigestFromWhatWasSigned(t *testing.T) {
	d, v := dossier(t)
	first, err := operator.ApproveTasks(v, d, "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := operator.ApproveTasks(v, d, strings.ToUpper(first)); err != nil || again != first {
		t.Errorf("looked at: %s, %v", again, err)
	}
	for _, c := range []struct {
		name   string
		change *verify.CaseDecision
	}{
		{"narrow", &verify.CaseDecision{Format: verify.LabelDecision, Action: verify.ActionNarrow, Tasks: []verify.TaskChange{{FieldsWanted: []string{"name"}}}}},
		{"accept", &verify.CaseDecision{Format: verify.LabelDecision, Action: verify.ActionAccept}},
	} {
		c.change.Case = bonded.CaseID{Cell: "eu", ID: bonded.NewID()}
		st, err := verify.NewStatement(c.change)
		if err != nil {
			t.Fatal(err)
		}
		d.Decisions = append(d.Decisions, st)
	}
	if narrowed, err := operator.ApproveTasks(v, d, ""); err != nil || narrowed == first {
		t.Errorf("a narrowing that was accepted changes nothing: %v", err)
	}
	_, err = operator.ApproveTasks(v, d, first)
	wantCode(t, err, bonded.CodeConflict)
}

func TestApproveRefusesADossierThatDoesNotFit(t *testing.T) {
	d, v := dossier(t)
	v.Extra = map[string]string{"tasks": strings.Repeat("0", 64)}
	_, err := operator.ApproveTasks(v, d, "")
	wantCode(t, err, bonded.CodeAltered)

	d, v = dossier(t)
	other, _ := dossier(t)
	d.Officer = other.Officer // another key
	_, err = operator.ApproveTasks(v, d, "")
	wantCode(t, err, bonded.CodeAltered)

	d, v = dossier(t)
	d.Request.Body = append([]byte(nil), strings.Replace(string(d.Request.Body), `"phone"`, `"email"`, 1)...)
	_, err = operator.ApproveTasks(v, d, "")
	wantCode(t, err, bonded.CodeAltered)
}

func TestFileHidesTargetsUnlessRevealed(t *testing.T) {
	d, v := dossier(t)
	asked, err := verify.NewStatement(&verify.CaseDecision{
		Format: verify.LabelDecision, Case: bonded.CaseID{Cell: "eu", ID: bonded.NewID()}, Person: "legal-1", Role: "legal", Action: "clarify",
		Reason: "Which account of ada@example.org?",
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Decisions = []*verify.Statement{asked}
	f, err := operator.NewFile(v, d, false)
	if err != nil {
		t.Fatal(err)
	}
	st, err := verify.NewStatement(f) // as -o json prints it
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(st.Body), "ada@example.org") || f.Targets != nil || f.Altered != "" {
		t.Errorf("shown: %s", st.Body)
	}
	if len(f.Decisions) != 1 || f.Decisions[0].Person != "legal-1" || f.Decisions[0].Reason != "Which account of [target]?" {
		t.Errorf("decisions %+v", f.Decisions)
	}
	if f.Authorisation.Necessity != "Because [target] wrote it." || f.Case.Documents[0].Name != "order [target].pdf" {
		t.Errorf("%q, %q", f.Authorisation.Necessity, f.Case.Documents[0].Name)
	}
	d, v = dossier(t)
	if f, err = operator.NewFile(v, d, true); err != nil || len(f.Targets) != 1 || f.Targets[0][0].Value != "ada@example.org" {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err = operator.NewFile(v, nil, true); err != nil || f.TasksDigest != "" || f.Authorisation != nil {
		t.Errorf("without a dossier: %+v, %v", f, err)
	}
}

func TestRoleIsThatOfTheRegisterUnderTheSameKey(t *testing.T) {
	entry := func(version uint64, state, role, key string) apitype.RegistryEntry {
		st, err := verify.NewStatement(&verify.Person{Format: verify.LabelPerson, ID: "legal-1", Role: role, Key: key, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		return apitype.RegistryEntry{Kind: verify.RegistryPerson, ID: "legal-1", Version: version, State: state, Statement: st}
	}
	list := &apitype.RegistryList{Entries: []apitype.RegistryEntry{entry(1, "superseded", "intake", "k1"), entry(2, "in_force", "legal", "k2"), entry(3, "proposed", "guardian", "k2")}}
	if role, err := operator.Role(list, "legal-1", "k2"); err != nil || role != "legal" {
		t.Errorf("%s, %v", role, err)
	}
	_, err := operator.Role(list, "legal-1", "k1")
	wantCode(t, err, bonded.CodeForbidden)
	_, err = operator.Role(list, "legal-2", "k2")
	wantCode(t, err, bonded.CodeForbidden)
	if v := operator.NextVersion(list, verify.RegistryPerson, "legal-1"); v != 4 {
		t.Errorf("next version %d", v)
	}
	if v := operator.NextVersion(list, verify.RegistryAgency, "legal-1"); v != 1 {
		t.Errorf("first version %d", v)
	}
}
