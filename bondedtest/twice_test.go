//go:build unix

package bondedtest_test

import (
	"path/filepath"
	"testing"

	"bonded/bondedtest"
)

// TestE2EAnchorThatStandsTwice lets a vault forget that the ledger answered for
// its newest anchor, as a crash does: it appends it again, and a keyholder that
// starts anew is shown both places.
func TestE2EAnchorThatStandsTwice(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell())
	app := d.Client(bondedtest.App, "eu", "service")
	p := create(t, app, "1", "Ada")
	anchored(t, app, p.Entry)
	stop(t, d, "eu/vault", "eu/keyholder")
	db := database(t, filepath.Join(d.Layout.Vault("eu"), "vault.db"))
	for _, q := range []string{
		`DROP TRIGGER IF EXISTS journal_anchored_no_delete`,
		`DELETE FROM journal_anchored WHERE number = (SELECT max(number) FROM journal_anchored)`,
	} {
		_, err := db.ExecContext(t.Context(), q)
		must(t, err)
	}
	must(t, db.Close())
	restart(t, d, "eu/keyholder", "eu/vault")
	ready(t, d)
	wantName(t, d.Client(bondedtest.App, "eu", "service"), p, "Ada")
	wantBooksHold(t, d, "")
}
