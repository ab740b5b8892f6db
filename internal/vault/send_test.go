//go:build unix

package vault_test

import (
	"fmt"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/policy"
	"bonded/verify"
)

// A row can name 64 rules. Under a policy of which more permit a call the row
// cannot be entered: then no key may be asked for.
func TestNoKeyIsAskedForUnderARowThatCannotBeEntered(t *testing.T) {
	c := newCell(t)
	p := c.create(values("name", `"Anna"`))
	before, err := c.kh.Status(t.Context())()
	must(t, err)

	var many strings.Builder
	for i := range 70 {
		fmt.Fprintf(&many, "@id(\"rule-%d\") permit (principal, action, resource);\n", i)
	}
	set, err := policy.Compile("policy.cedar", []byte(many.String()), nil)
	must(t, err)
	c.v.SetPolicy(policy.NewCache(set, 100))
	_, err = c.get(p, "name")
	wantCode(t, err, bonded.CodeInvalid)
	_, err = c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "users", PutItem: apitype.PutItem{Values: values("name", `"B"`), Facts: germany}})
	wantCode(t, err, bonded.CodeInvalid)
	after, err := c.kh.Status(t.Context())()
	must(t, err)
	if after.Head.Seq != before.Head.Seq {
		t.Errorf("the keyholder's book grew by %d rows", after.Head.Seq-before.Head.Seq)
	}

	// Nothing is broken by it.
	c.v.SetPolicy(policy.NewCache(c.policy(), 100))
	_, err = c.get(p, "name")
	must(t, err)
	if row := c.lastRow(verify.OpRead); row.Outcome != verify.OutcomeAllowed {
		t.Errorf("%+v", row)
	}
	c.reconcile()
}
