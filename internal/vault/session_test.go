//go:build unix

package vault_test

import (
	"testing"
	"time"

	"bonded"
	"bonded/internal/vault"
	"bonded/verify"
)

func TestOnePrincipalCannotTakeTheSessionsOfOthers(t *testing.T) {
	c := newCell(t)
	ask := func(principal string) error {
		_, err := c.v.SessionChallenge(t.Context(), c.call(principal))
		return err
	}
	for range 32 {
		must(t, ask("app"))
	}
	wantCode(t, ask("app"), bonded.CodeRateLimited)
	if row := c.lastRow(verify.OpNone); row.Outcome != verify.OutcomeRefused || row.Principal != "app" || row.Code != bonded.CodeRateLimited {
		t.Errorf("not entered: %+v", row)
	}
	c.session("proofs-only") // others go on

	// Challenges that were used are not open, but they were asked for.
	for range 59 {
		c.session("proofs-only")
	}
	wantCode(t, ask("proofs-only"), bonded.CodeRateLimited)
	must(t, ask("narrow"))
}

func TestQuotaOfSessionsComesBackAfterAMinute(t *testing.T) {
	c := newCell(t)
	for range 32 {
		_, err := c.v.SessionChallenge(t.Context(), c.call("app"))
		must(t, err)
	}
	c.skew.Store(int64(59 * time.Second))
	_, err := c.v.SessionChallenge(t.Context(), c.call("app"))
	wantCode(t, err, bonded.CodeRateLimited)
	c.skew.Store(int64(61 * time.Second))
	_, err = c.v.SessionChallenge(t.Context(), c.call("app"))
	must(t, err)
	_, err = c.v.SessionChallenge(t.Context(), &vault.Call{RequestID: bonded.NewID()})
	wantCode(t, err, bonded.CodeUnauthenticated)
}
