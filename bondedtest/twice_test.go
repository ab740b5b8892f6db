//go:build unix

package bondedtest_test

import (
	"testing"

	"bonded/bondedtest"
	"bonded/verify"
)

// TestE2EAnchorThatStandsTwice appends the newest anchor again, as a vault
// does whose ledger's answer was lost: a keyholder that starts anew is shown
// both.
func TestE2EAnchorThatStandsTwice(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell())
	app := d.Client(bondedtest.App, "eu", "service")
	p := create(t, app, "1", "Ada")
	anchored(t, app, p.Entry)
	stop(t, d, "eu/vault")
	log := newLiar(t, d).ledger()
	var cp *verify.Checkpoint
	poll(t, "a cosigned checkpoint", func() (err error) {
		cp, err = log.Latest()
		return err
	})
	for i := cp.Size - 1; ; i-- {
		b, err := log.ReadEntry(t.Context(), i)
		must(t, err)
		if leaf, err := verify.DecodeLeaf(b); err == nil && leaf.Kind == verify.LeafAnchor {
			if _, err := log.Append(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	must(t, log.Close(t.Context()))
	stop(t, d, "eu/keyholder")
	restart(t, d, "eu/keyholder", "eu/vault")
	ready(t, d)
	wantName(t, app, p, "Ada")
	wantBooksHold(t, d, "")
}
