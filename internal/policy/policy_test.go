package policy_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bonded"
	"bonded/internal/policy"
	"bonded/internal/regulation"
)

func law(t testing.TB) []regulation.Forbid {
	t.Helper()
	packs, err := regulation.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	table, err := regulation.NewTable(packs)
	if err != nil {
		t.Fatal(err)
	}
	return table.Forbids(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
}

func compile(t testing.TB, operator string) *policy.Set {
	t.Helper()
	s, err := policy.Compile("ops.cedar", []byte(operator), law(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// request is one that the default policy allows.
func request() policy.Request {
	return policy.Request{
		Principal: policy.Principal{ID: "svc-orders", Cell: "cn", Roles: []string{"app"}, Purposes: []bonded.Purpose{"support", "fraud_check"}},
		Operation: "read", Cell: "cn", CellJurisdiction: "CN", Collection: "users",
		Fields: []string{"name", "email"}, Classes: []string{"personal"}, Purpose: "support",
	}
}

const anything = `@id("anything") @reason("all of it") permit (principal, action, resource);`

func TestDefaultPolicyDecidesItsTable(t *testing.T) {
	text, err := os.ReadFile("testdata/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	results, err := policy.RunTable(compile(t, string(policy.DefaultOperatorPolicy())), "testdata/default.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) < 15 {
		t.Errorf("%d cases, want the whole table", len(results))
	}
	for _, r := range results {
		if !r.Pass {
			t.Errorf("%s: got %s by %v (%v), want %s by %s", r.Name, r.Got, r.Rules, r.Reasons, r.Want, r.Rule)
		}
		if slices.Contains(r.Reasons, "") {
			t.Errorf("%s: a rule without a reason: %v", r.Name, r.Rules)
		}
	}
}

func TestRunTableSaysWhatDidNotPass(t *testing.T) {
	s := compile(t, anything)
	const c = "- name: n\n  principal: {id: a, cell: eu, purposes: [p]}\n  operation: read\n  cell: eu\n  cell_jurisdiction: EU\n  purpose: p\n"
	for text, pass := range map[string]bool{
		c + "  want: allow\n":                    true,
		c + "  want: deny\n":                     false,
		c + "  want: allow\n  rule: anything\n":  true,
		c + "  want: allow\n  rule: something\n": false,
	} {
		got, err := policy.RunTable(s, "t.yaml", []byte(text))
		if err != nil || len(got) != 1 || got[0].Pass != pass {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, field := range map[string]string{
		c + "  want: perhaps\n":                                   "t.yaml:7:9",
		strings.Replace(c, "read", "raed", 1) + "  want: allow\n": "t.yaml:3:14",
		c: "t.yaml:1:3",
	} {
		var e *bonded.Error
		if _, err := policy.RunTable(s, "t.yaml", []byte(text)); !errors.As(err, &e) || e.Code != bonded.CodeConfig || e.Field != field {
			t.Errorf("%s: %v, want an error at %s", text, err, field)
		}
	}
}

func TestForbidBeatsPermit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		operator := anything + `@id("no-mask") forbid (principal, action == Action::"mask", resource);` +
			`@id("own") @code("withheld") forbid (principal, action, resource in Cell::"cn") when { principal.roles.contains("guest") };`
		s := compile(t, operator)
		r := policy.Request{
			Principal: policy.Principal{
				ID:           "p",
				Cell:         rapid.SampledFrom([]bonded.CellID{"cn", "eu"}).Draw(rt, "from"),
				Jurisdiction: rapid.SampledFrom([]bonded.Jurisdiction{"", "CN", "DE"}).Draw(rt, "jurisdiction"),
				Roles:        rapid.SliceOf(rapid.SampledFrom([]string{"app", "guest"})).Draw(rt, "roles"),
				Purposes:     rapid.SliceOf(rapid.SampledFrom([]bonded.Purpose{"a", "b"})).Draw(rt, "purposes"),
			},
			Operation: rapid.SampledFrom(policy.Operations()).Draw(rt, "operation"),
			Cell:      "cn", CellJurisdiction: "CN",
			Collection:   rapid.SampledFrom([]string{"", "users"}).Draw(rt, "collection"),
			Classes:      rapid.SliceOf(rapid.SampledFrom([]string{"personal", "anonymous"})).Draw(rt, "classes"),
			BarredFields: rapid.SliceOfN(rapid.Just("x"), 0, 1).Draw(rt, "barred"),
			Purpose:      rapid.SampledFrom([]bonded.Purpose{"", "a", "b"}).Draw(rt, "purpose"),
		}
		inCN := r.Principal.Jurisdiction == "CN" || r.Principal.Jurisdiction == "" && r.Principal.Cell == "cn"
		opens := slices.Contains([]string{"read", "mask", "token_read", "export"}, r.Operation)
		personal := len(r.Classes) == 0 || slices.Contains(r.Classes, "personal")
		forbidden := r.Operation == "mask" || slices.Contains(r.Principal.Roles, "guest") || r.Principal.Cell != "cn" ||
			!slices.Contains(r.Principal.Purposes, r.Purpose) || len(r.BarredFields) > 0 || opens && personal && !inCN
		d := s.Decide(&r)
		if d.Allow == forbidden {
			rt.Fatalf("%+v: allow = %v by %v, forbidden = %v", r, d.Allow, d.Rules, forbidden)
		}
		if d.Allow != (d.Err() == nil) || len(d.Rules) == 0 || len(d.Rules) != len(d.Reasons) || d.Allow != (d.Code == "") {
			rt.Fatalf("malformed decision %+v", d)
		}
	})
}

func TestPolicyThatFailsToEvaluateRefuses(t *testing.T) {
	s := compile(t, anything+`@id("broken") forbid (principal, action, resource) when { principal.cell < 3 };`)
	r := request()
	d := s.Decide(&r)
	want := policy.Decision{
		Rules:   []string{"policy-error", "broken"},
		Reasons: []string{"a policy could not be evaluated, so nothing is allowed", "policy broken could not be evaluated"},
		Code:    bonded.CodeForbidden,
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
}

func TestDecisionCarriesCodeOfTheRule(t *testing.T) {
	s := compile(t, anything+`@id("hide") @code("withheld") @reason("not yours") forbid (principal, action == Action::"list", resource);`)
	for _, c := range []struct {
		change func(*policy.Request)
		code   bonded.Code
		rule   string
	}{
		{func(r *policy.Request) {}, "", "anything"},
		{func(r *policy.Request) { r.Purpose = "" }, bonded.CodeMissingPurpose, "builtin-purpose-missing"},
		{func(r *policy.Request) { r.Purpose = "ads" }, bonded.CodeForbidden, "builtin-purpose"},
		{func(r *policy.Request) { r.Principal.Cell = "" }, bonded.CodeForbidden, "builtin-location"},
		{func(r *policy.Request) { r.Operation = "list" }, bonded.CodeWithheld, "hide"},
		{func(r *policy.Request) { r.Operation = "drop" }, bonded.CodeInvalid, "unknown-operation"},
	} {
		r := request()
		c.change(&r)
		d := s.Decide(&r)
		if d.Code != c.code || !slices.Contains(d.Rules, c.rule) || bonded.CodeOf(d.Err()) != c.code {
			t.Errorf("decision %+v, want code %q by %s", d, c.code, c.rule)
		}
	}
}

func TestCompileErrorsNamePlace(t *testing.T) {
	for name, c := range map[string]struct{ text, field, message, hint string }{
		"syntax":            {"\n  permit (principal, action resource);", "ops.cedar:2:37", "not a Cedar policy", "check this place and the line before it"},
		"no id":             {"\npermit (principal, action, resource);", "ops.cedar:2:1", "a policy without an id", `write @id("…") before it: lower-case letters, digits and hyphens`},
		"id twice":          {anything + "\n" + anything, "ops.cedar:2:1", "policy anything is there twice", "give it another @id"},
		"id of a pack":      {`@id("cn-pipl-38-bases") permit (principal, action, resource);`, "ops.cedar:1:1", "policy cn-pipl-38-bases is there twice", "give it another @id"},
		"built-in id":       {`@id("builtin-mine") permit (principal, action, resource);`, "ops.cedar:1:1", "the id builtin-mine is taken", "give it another @id"},
		"code":              {`@id("a") @code("erased") forbid (principal, action, resource);`, "ops.cedar:1:1", "policy a has a code it may not give", "use forbidden, withheld or bearer_forbidden"},
		"unknown operation": {`@id("a") forbid (principal, action == Action::"reed", resource);`, "ops.cedar:1:1", "policy a: unknown operation reed", "did you mean read?"},
		"operation in list": {`@id("a") forbid (principal, action in [Action::"read", Action::"exprot"], resource);`, "ops.cedar:1:1", "policy a: unknown operation exprot", "did you mean export?"},
		"unknown attribute": {`@id("a") permit (principal, action, resource) when { context.purpsoe == "x" };`, "ops.cedar:1:1", "policy a: context has no attribute purpsoe", "did you mean purpose?"},
		"has, misspelt":     {`@id("a") forbid (principal, action, resource) when { principal has provn };`, "ops.cedar:1:1", "policy a: principal has no attribute provn", "did you mean proven?"},
		"is, misspelt":      {`@id("a") forbid (principal is Princpal, action, resource);`, "ops.cedar:1:1", "policy a: unknown kind of entity", "did you mean Principal?"},
		"unknown entity":    {`@id("a") permit (principal in Roles::"app", action, resource);`, "ops.cedar:1:1", "policy a: unknown kind of entity", "did you mean Role?"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Compile("ops.cedar", []byte(c.text), law(t))
			var e *bonded.Error
			if !errors.As(err, &e) || e.Code != bonded.CodeConfig {
				t.Fatalf("err = %v, want bad_config", err)
			}
			if e.Field != c.field || e.Message != c.message || e.Hint != c.hint {
				t.Errorf("got  %s | %s | %s\nwant %s | %s | %s", e.Field, e.Message, e.Hint, c.field, c.message, c.hint)
			}
		})
	}
}

func TestDigestIgnoresLayoutAndSeesMeaning(t *testing.T) {
	other := `@id("b") permit (principal, action == Action::"read", resource);`
	one := compile(t, anything+other).Digest()
	if two := compile(t, strings.Replace(anything, "all of it", "some of it", 1)+other).Digest(); two == one {
		t.Error("the digest misses a changed reason")
	}
	if two := compile(t, "// a comment\n"+strings.ReplaceAll(other, ", ", ",\n  ")+anything).Digest(); two != one {
		t.Error("the digest depends on layout or order")
	}
	if two := compile(t, anything+strings.Replace(other, "read", "mask", 1)).Digest(); two == one {
		t.Error("the digest misses a changed operation")
	}
	bare, err := policy.Compile("ops.cedar", []byte(anything+other), nil)
	if err != nil {
		t.Fatal(err)
	}
	if bare.Digest() == one {
		t.Error("the digest misses the law")
	}
}
