package verify_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/verify"
)

func decisionKey(id string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("decision test " + id))
	return ed25519.NewKeyFromSeed(seed[:])
}

// staffOf is a register with one person of each role, named like it, and a
// second officer.
func staffOf(from, to time.Time) *verify.RegisterProof {
	p := &verify.RegisterProof{People: map[string]*verify.Person{}}
	for id, role := range map[string]string{
		"intake": "intake", "legal": "legal", "guardian": "guardian", "auditor": "auditor", "court": "court",
		"registrar": "registrar", "custodian": "custodian", "officer": "requester", "colleague": "requester",
	} {
		key, _ := decisionKey(id).Public().(ed25519.PublicKey)
		p.People[id] = &verify.Person{ID: id, Role: role, Key: verify.EncodePublicKey(key), NotBefore: from, NotAfter: to}
	}
	return p
}

func decision(t *testing.T, d *verify.CaseDecision, signer string) *verify.Statement {
	t.Helper()
	s, err := verify.NewStatement(d)
	if err != nil {
		t.Fatal(err)
	}
	s.Sign(verify.LabelDecision, d.Person, decisionKey(signer))
	return s
}

func TestDecisionCountsOnlyByWhoMayMakeIt(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	id := bonded.CaseID{Cell: "eu", ID: bonded.ID{1}}
	r := &verify.CaseRequest{Officer: "officer", Filed: now.Add(-time.Hour)}
	reg := staffOf(now.Add(-24*time.Hour), now.Add(24*time.Hour))
	may := map[string]string{ // action: who may, of those above
		"take": "intake", "preserve": "intake", "forward": "intake", "clarify": "legal", "narrow": "legal", "refer": "legal",
		"respond": "legal", "refuse_task": "legal", "approve": "legal", "emergency": "legal", "proceed": "legal", "ratify": "legal", "close": "legal",
		"secrecy_extend": "legal", "secrecy_end": "legal", "rule": "legal", "answer": "officer", "accept": "officer", "withdraw": "officer",
		"reject": "intake legal", "hold_extend": "intake legal", "hold_release": "intake legal", "fraud": "intake legal",
		"challenge": "legal guardian", "secrecy_challenge": "legal guardian", "shred": "",
	}
	for action, who := range may {
		for person := range reg.People {
			d := &verify.CaseDecision{Format: verify.LabelDecision, Case: id, Person: person, Role: reg.People[person].Role, Action: action, Time: now}
			_, _, err := reg.CheckDecision(decision(t, d, person), r, id)
			if want := slices.Contains(strings.Fields(who), person); (err == nil) != want {
				t.Errorf("%s by %s: %v", action, person, err)
			}
		}
	}

	good := verify.CaseDecision{Format: verify.LabelDecision, Case: id, Person: "legal", Role: "legal", Action: "approve", Time: now}
	for name, change := range map[string]func(*verify.CaseDecision){
		"another case":              func(d *verify.CaseDecision) { d.Case.ID = bonded.ID{2} },
		"another cell":              func(d *verify.CaseDecision) { d.Case.Cell = "cn" },
		"a role that is not theirs": func(d *verify.CaseDecision) { d.Role = "intake" },
		"an order not handed on":    func(d *verify.CaseDecision) { d.Role = "court" },
		"nobody":                    func(d *verify.CaseDecision) { d.Person = "legal-2" },
		"after their time":          func(d *verify.CaseDecision) { d.Time = now.Add(25 * time.Hour) },
		"before their time":         func(d *verify.CaseDecision) { d.Time = now.Add(-25 * time.Hour) },
		"before the request":        func(d *verify.CaseDecision) { d.Time = now.Add(-2 * time.Hour) },
		"another format":            func(d *verify.CaseDecision) { d.Format = verify.LabelRequest },
	} {
		d := good
		change(&d)
		if _, _, err := reg.CheckDecision(decision(t, &d, "legal"), r, id); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := reg.CheckDecision(decision(t, &good, "intake"), r, id); err == nil {
		t.Error("signed by somebody else: accepted")
	}
	for action, role := range map[string]string{"rule": "court", "challenge": "subject"} {
		d := good
		d.Action, d.Role = action, role
		if _, _, err := reg.CheckDecision(decision(t, &d, "legal"), r, id); err != nil {
			t.Errorf("%s handed on for a %s: %v", action, role, err)
		}
	}
	reg.People["legal"].Suspended = true
	if _, _, err := reg.CheckDecision(decision(t, &good, "legal"), r, id); err == nil {
		t.Error("suspended: accepted")
	}
}

func TestScopeEndsWhateverItsNumber(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	for expires, want := range map[uint64]bool{
		0: true, 1_799_999_999: true, 1_800_000_000: true, 1_800_000_001: false,
		math.MaxInt64: false, math.MaxInt64 + 1: false, math.MaxUint64: false,
	} {
		if got := (&verify.Scope{Expires: expires}).ExpiresBefore(at); got != want {
			t.Errorf("%d: %t", expires, got)
		}
	}
}
