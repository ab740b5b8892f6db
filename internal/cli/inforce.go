package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/internal/nearest"
	"bonded/internal/node"
)

// grantWait is how long both parties get to take a new grant set up.
const grantWait = 10 * time.Second

// awaitGrants waits until vault and keyholder of each cell have taken up the
// administrator's newest grant set, and says so when one does not.
func awaitGrants(ctx context.Context, s *streams, l deploy.Layout, cells []bonded.CellID) error {
	f := callFlags{deploymentFlags: deploymentFlags{Dir: l.Dir}, As: deploy.PrincipalApp, Bearer: true, anyPurpose: true}
	cs, err := f.connect()
	if err != nil {
		fmt.Fprintln(s.err, "bonded: whether both parties took the grants up cannot be seen without keys/app.json: look at their logs")
		return nil //nolint:nilerr // the grants are written; only the look at them is not possible
	}
	for _, id := range cells {
		cl, err := cs.at(id)
		if err != nil {
			continue
		}
		if err := awaitCell(ctx, s, l, id, cl); err != nil {
			return err
		}
	}
	return nil
}

func awaitCell(ctx context.Context, s *streams, l deploy.Layout, id bonded.CellID, cl *client.Client) error {
	set, err := l.Grants(id)
	if err != nil {
		return err
	}
	var has uint64
	for deadline := time.Now().Add(grantWait); time.Now().Before(deadline); {
		st, err := cl.Status(ctx)
		if refused := new(net.OpError); errors.As(err, &refused) {
			fmt.Fprintf(s.err, "bonded: cell %s is not running: its grants take effect when it starts\n", id)
			return nil
		}
		if err == nil {
			if has = st.Keyholder.GrantSet; has >= set.Number {
				return nil
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return &bonded.Error{
		Code: bonded.CodeKeyholderRefused, Field: "cell " + string(id),
		Message: fmt.Sprintf("the keyholder has not taken up grant set %d; it has %d", set.Number, has),
		Hint:    "its log says why; most often a budget or validity above the ceilings in its keyholder.yaml: revoke this principal and make it again below them",
	}
}

// knownWords refuses purposes and collections that no schema of the cells
// has, so that a typing mistake does not become a grant.
func (c *keyCreate) knownWords(l deploy.Layout, cells []bonded.CellID, s *streams) error {
	var collections, purposes []string
	for _, id := range cells {
		colls, words, err := node.SchemaWords(l.Vault(id))
		if err != nil {
			fmt.Fprintf(s.err, "bonded: purposes and collections were not checked: the schema of cell %s is not at hand\n", id)
			return nil //nolint:nilerr // the vault is on another machine
		}
		collections, purposes = append(collections, colls...), append(purposes, words...)
	}
	check := func(flag, word string, known []string) error {
		if slices.Contains(known, word) || len(known) == 0 {
			return nil
		}
		slices.Sort(known)
		hint := nearest.Hint(word, known)
		if hint == "" {
			hint = "the schemas have " + join(slices.Compact(known))
		}
		return &bonded.Error{Code: bonded.CodeInvalid, Field: flag, Message: "no schema of these cells has " + word, Hint: hint}
	}
	for _, p := range c.Purpose {
		if p == "audit" || p == "maintenance" { // of principals that open nothing
			continue
		}
		if err := check("--purpose", string(p), purposes); err != nil {
			return err
		}
	}
	for _, coll := range c.Scope {
		if err := check("--scope", coll, collections); err != nil {
			return err
		}
	}
	return nil
}
