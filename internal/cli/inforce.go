package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/internal/nearest"
	"bonded/internal/node"
)

// grantWait is how long both parties get to take a new grant set up.
const grantWait = 15 * time.Second

// longWait is from which waiting time on a command does not wait itself.
const longWait = time.Minute

// inForce says when a cell's new grant set takes effect.
type inForce struct {
	Cell bonded.CellID `json:"cell"`
	Set  uint64        `json:"grant_set"`
	From *time.Time    `json:"from,omitempty"` // absent: now, or it cannot be seen
}

// awaitGrants waits until vault and keyholder of each cell have put the
// administrator's newest grant set in force, or say when they will.
func awaitGrants(ctx context.Context, s *streams, l deploy.Layout, cells []bonded.CellID) ([]inForce, error) {
	f := callFlags{deploymentFlags: deploymentFlags{Dir: l.Dir}, As: deploy.PrincipalApp, Bearer: true, anyPurpose: true}
	cs, err := f.connect()
	if err != nil {
		fmt.Fprintln(s.err, "bonded: whether both parties took the grants up cannot be seen without keys/app.json: look at their logs")
		return nil, nil //nolint:nilerr // the grants are written; only the look at them is not possible
	}
	var list []inForce
	for _, id := range cells {
		cl, err := cs.at(id)
		if err != nil {
			continue
		}
		v, err := awaitCell(ctx, s, l, id, cl)
		if err != nil {
			return nil, err
		}
		if v != nil {
			list = append(list, *v)
		}
	}
	return list, nil
}

func awaitCell(ctx context.Context, s *streams, l deploy.Layout, id bonded.CellID, cl *client.Client) (*inForce, error) {
	set, err := l.Grants(id)
	if err != nil {
		return nil, err
	}
	var last *client.StatusResult
	for deadline := time.Now().Add(grantWait); time.Now().Before(deadline); {
		st, err := cl.Status(ctx)
		if refused := new(net.OpError); errors.As(err, &refused) {
			fmt.Fprintf(s.err, "bonded: cell %s is not running: its grants are announced when it starts\n", id)
			return nil, nil
		}
		if err == nil {
			last = st
			if from, known := takesEffect(st, set.Number); known && from.IsZero() {
				return &inForce{Cell: id, Set: set.Number}, nil
			} else if known && time.Until(from) > longWait {
				return &inForce{id, set.Number, &from}, nil
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	e := &bonded.Error{
		Code: bonded.CodeKeyholderRefused, Field: "cell " + string(id), Message: fmt.Sprintf("grant set %d is not in force at both parties", set.Number),
		Hint: "their logs say why; most often a budget or validity above the ceilings in keyholder.yaml: revoke this principal and make it again below them",
	}
	if last != nil {
		e.Message = fmt.Sprintf("grant set %d is not in force at both parties: the vault has %d, the keyholder %d", set.Number, last.GrantSet, last.Keyholder.GrantSet)
	}
	return nil, e
}

// takesEffect returns from when on both parties have a set in force, the zero
// time if they do; known is false if one of them does not say.
func takesEffect(st *client.StatusResult, set uint64) (from time.Time, known bool) {
	for party, has := range map[string]uint64{"vault": st.GrantSet, "keyholder": st.Keyholder.GrantSet} {
		if has >= set {
			continue
		}
		found := false
		for _, w := range st.Waiting {
			if w.Party == party && w.Subject == "grants" && w.Number >= set {
				found = true
				if w.From.After(from) {
					from = w.From
				}
			}
		}
		if !found {
			return time.Time{}, false
		}
	}
	return from, true
}

// awaitPolicy waits until the policies with that digest are in force in each
// cell, or known to wait for longer.
func awaitPolicy(ctx context.Context, s *streams, l deploy.Layout, cells []bonded.CellID, digest [32]byte) ([]policyEffect, error) {
	f := callFlags{deploymentFlags: deploymentFlags{Dir: l.Dir}, As: deploy.PrincipalApp, Bearer: true, anyPurpose: true}
	cs, err := f.connect()
	if err != nil {
		fmt.Fprintln(s.err, "bonded: when the policies take effect cannot be seen without keys/app.json: look at bonded status")
		return nil, nil //nolint:nilerr // they are in the folders; only the look at them is not possible
	}
	list := []policyEffect{}
	for _, id := range cells {
		cl, err := cs.at(id)
		if err != nil {
			continue
		}
		v, err := awaitPolicyIn(ctx, s, id, cl, hex.EncodeToString(digest[:]))
		if err != nil {
			return nil, err
		}
		if v != nil {
			list = append(list, *v)
		}
	}
	return list, nil
}

func awaitPolicyIn(ctx context.Context, s *streams, id bonded.CellID, cl *client.Client, digest string) (*policyEffect, error) {
	for deadline := time.Now().Add(grantWait); time.Now().Before(deadline); {
		st, err := cl.Status(ctx)
		if refused := new(net.OpError); errors.As(err, &refused) {
			fmt.Fprintf(s.err, "bonded: cell %s is not running: its policies are announced when it starts\n", id)
			return nil, nil
		}
		if err == nil {
			var from time.Time
			for _, w := range st.Waiting {
				if w.Subject == "policy" && w.From.After(from) {
					from = w.From
				}
			}
			switch {
			case from.IsZero() && st.Policy == digest:
				return &policyEffect{Cell: id}, nil
			case time.Until(from) > longWait:
				return &policyEffect{id, &from}, nil
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, &bonded.Error{
		Code: bonded.CodeKeyholderRefused, Field: "cell " + string(id), Message: "the policies are not in force at both parties", Hint: "bonded status shows what waits, and the parties' logs say why",
	}
}

// sayInForce adds to a table when grants take effect, if not at once.
func sayInForce(w *tabwriter.Writer, list []inForce) {
	for _, v := range list {
		if v.From != nil {
			row(w, "in force in "+string(v.Cell), "from "+v.From.Format(time.RFC3339))
		}
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
