//go:build unix

package bondedtest_test

import (
	"testing"

	"bonded/bondedtest"
)

// TestE2E asks one deployment everything that leaves it whole; what breaks a
// party has tests of its own in this package.
func TestE2E(t *testing.T) {
	d := bondedtest.Start(t)
	t.Run("32 writers at once", func(t *testing.T) { manyWriters(t, d) })
	t.Run("names in real scripts", func(t *testing.T) { namesSurvive(t, d) })
	t.Run("an import that is killed goes on", func(t *testing.T) { importGoesOn(t, d) })
	t.Run("bad input", func(t *testing.T) { badInput(t, d) })
	t.Run("tampering", func(t *testing.T) { tampering(t, d) })
	t.Run("both books hold", func(t *testing.T) { wantBooksHold(t, d, "") })
}
