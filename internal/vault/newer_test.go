//go:build unix

package vault_test

import (
	"slices"
	"testing"

	"bonded"
	"bonded/internal/grant"
)

func TestOlderGrantsAndDirectoriesAreRefusedAlsoAfterARestart(t *testing.T) {
	c := newCell(t)
	old := c.grants
	next := *old
	next.Number, next.Grants = 2, slices.DeleteFunc(slices.Clone(old.Grants), func(g grant.Grant) bool { return g.ID == "narrow" })
	const key = "key-of-narrow"
	_, err := c.v.Authenticate(key)
	must(t, err)
	must(t, c.v.SetGrants(t.Context(), &next))
	must(t, c.v.SetGrants(t.Context(), &next)) // the same again
	for range 2 {
		wantCode(t, c.v.SetGrants(t.Context(), old), bonded.CodeRestored)
		_, err := c.v.Authenticate(key)
		wantCode(t, err, bonded.CodeUnauthenticated)
		c.stop()
		c.grants = &next
		c.cells.Version = 2
		c.start()
	}
	c.stop()
	c.cells.Version = 1
	wantCode(t, c.tryOpen(), bonded.CodeRestored)
	c.cells.Version, c.grants = 2, old
	wantCode(t, c.tryOpen(), bonded.CodeRestored)
	c.grants = &next
	c.start()
}
