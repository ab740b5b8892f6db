package policy_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/policy"
	"bonded/internal/regulation"
)

type digestVector struct {
	Name     string              `json:"name"`
	Operator string              `json:"operator"`
	Law      []regulation.Forbid `json:"law"`
	Rules    []string            `json:"rules"`
	Digest   string              `json:"digest"`
}

// TestDigestVectors pins the digest: two parties of different builds must
// agree on it, so a change of the built-in policies or of Cedar's formatter is
// a change of the protocol. UPDATE=1 rewrites.
func TestDigestVectors(t *testing.T) {
	const file = "../../spec/vectors/policy.json"
	got := []digestVector{
		{Name: "built-in policies only"},
		{Name: "one permit", Operator: "// comment\n" + anything},
		{
			Name: "law in another script, with quotes", Operator: anything,
			Law: []regulation.Forbid{{RuleID: "xx-1", Reason: "individual \"basis\" 依据\n", HeldIn: "CN", Inside: []bonded.Jurisdiction{"CN", "HK"}, Classes: []string{"personal"}}},
		},
	}
	for i := range got {
		s, err := policy.Compile("ops.cedar", []byte(got[i].Operator), got[i].Law)
		if err != nil {
			t.Fatal(err)
		}
		d := s.Digest()
		got[i].Rules, got[i].Digest = s.Rules(), hex.EncodeToString(d[:])
	}
	if os.Getenv("UPDATE") != "" {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want []digestVector
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("digests differ from %s; review, then UPDATE=1 (-want +got):\n%s", file, diff)
	}
}
