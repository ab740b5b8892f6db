package notice_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded"
	"bonded/internal/notice"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func code(t testing.TB, s string) notice.Code {
	t.Helper()
	c, err := notice.ParseCode(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func id(n byte) bonded.ID { return bonded.ID{0: 0x10, 15: n} }

const contact = "Example Ltd, Data Protection, 1 Example Street\nprivacy@example.org\nAuthority: https://authority.example"

// facts returns whole facts of a kind. Those of gag_ended have an opening.
func facts(t testing.TB, kind notice.Kind) notice.Facts {
	t.Helper()
	f := notice.Facts{
		Kind: kind, Place: "EU-1 (Frankfurt)", Operator: "Example Ltd", Authority: "Landgericht Beispielstadt", Country: "DE",
		Basis:     []notice.LegalBasis{{Law: "StPO", Article: "§ 100j"}, {Law: "TDDDG"}},
		Requested: at(t, "2027-03-01T09:05:00+01:00"),
		Case:      bonded.CaseID{Cell: "eu", ID: id(1)}, Entry: 4711, LedgerURL: "https://ledger.eu.example/",
		Code: code(t, "0123-4567-89AB-CDEF-GHJG"), Contact: contact,
	}
	opened := at(t, "2027-03-05T14:30:59Z")
	switch kind {
	case notice.Disclosed, notice.EmergencyDisclosed, notice.EmergencyUnratified:
		f.Opened, f.Fields = opened, []string{"email", "phone"}
	case notice.GagEnded:
		f.Opened, f.Fields, f.SecretUntil = opened, []string{"email"}, at(t, "2027-06-01T00:00:00Z")
	case notice.Preserved:
		f.Decided, f.Until = opened, at(t, "2027-06-03T00:00:00Z")
	case notice.Refused, notice.PreservationReleased:
		f.Decided = opened
	}
	return f
}

func message(t testing.TB, n byte) notice.Message {
	t.Helper()
	return notice.Message{
		ID: id(n), Subject: bonded.SubjectID{Cell: "eu", ID: id(0xee)}, Language: "en", To: "Ana Pérez <ana@example.org>",
		Due: at(t, "2027-03-06T00:00:00Z"), Facts: facts(t, notice.Disclosed),
	}
}

func config(channels ...notice.ChannelConfig) notice.Config {
	return notice.Config{Operator: "Example Ltd", Contact: map[string]string{"en": contact}, Channels: channels}
}

// sender makes a sender whose clock stands at the time the test message is
// due, plus late.
func sender(t testing.TB, dir string, late time.Duration, c notice.Config) *notice.Sender {
	t.Helper()
	now := at(t, "2027-03-06T00:00:00Z").Add(late)
	s, err := notice.New(c, dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secretFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// wantOutcome checks what came of a delivery, and that error and outcome
// agree.
func wantOutcome(t testing.TB, out notice.Outcome, err error, status notice.Status, reason notice.Reason) {
	t.Helper()
	if out.Status != status || out.Reason != reason {
		t.Errorf("outcome %s %s (%v), want %s %s", out.Status, out.Reason, err, status, reason)
	}
	want := bonded.CodeUndelivered
	if status == notice.Done {
		want = ""
	}
	if bonded.CodeOf(err) != want {
		t.Errorf("error %v, want code %q", err, want)
	}
}

// coded returns the coded error in err's chain, nil if there is none.
func coded(err error) *bonded.Error {
	e, _ := errors.AsType[*bonded.Error](err)
	return e
}
