package vault

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

// Ready returns nil if the cell would open something now: both books agree
// and can be written, the keyholder is unsealed, and a cosigned checkpoint is
// fresh. Else it says why not.
func (v *Vault) Ready(ctx context.Context) error {
	if err := v.mayOpen(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	s, err := v.cfg.Keys.Status(ctx)
	if err != nil {
		return v.lineError(err)
	}
	return keyholderReady(s)
}

const statusTimeout = 3 * time.Second

func keyholderReady(s *wire.Status) error {
	switch {
	case s.Sealed:
		return &bonded.Error{Code: bonded.CodeSealed, Message: "the keyholder is sealed", Hint: "unseal it"}
	case s.Reason != "":
		return &bonded.Error{Code: bonded.CodeStale, Message: "the keyholder unlocks nothing: " + s.Reason}
	}
	return nil
}

// Status says how the cell stands. It names no person. It answers when
// nothing opens, too, and then says why.
func (v *Vault) Status(ctx context.Context, call *Call) (*apitype.StatusResult, error) {
	a, err := v.begin(call, verify.OpStatus, nil)
	if err != nil {
		return nil, err
	}
	out := v.stands()
	reason := v.mayOpen()
	if _, err := v.enter(ctx, a, nil); err != nil && reason == nil {
		reason = err
	}
	v.askKeyholder(ctx, out, reason)
	return out, nil
}

// stands returns what the vault knows by itself.
func (v *Vault) stands() *apitype.StatusResult {
	head := v.journal.Head()
	subjects, records := v.store.Count(0)
	digest := v.policy.Load().Set().Digest()
	out := &apitype.StatusResult{
		Cell: v.cfg.Cell, Suite: v.cfg.Suite.String(), Version: v.cfg.Version, Subjects: subjects, Records: records,
		JournalRows: head.Rows, Policy: hex.EncodeToString(digest[:]), Collections: sortedNames(v.cfg.Schema.Collections),
	}
	if c, ok := v.cfg.Directory.Cell(v.cfg.Cell); ok {
		out.Jurisdictions = c.Jurisdictions
	}
	if v.cfg.LedgerSize != nil {
		out.LedgerSize = v.cfg.LedgerSize()
	}
	out.GrantSet = v.principals.Load().set.Number
	if v.cfg.Waiting != nil {
		out.Waiting = slices.Clone(v.cfg.Waiting())
	}
	if t := v.journal.Freshness(); !t.IsZero() {
		out.Witnessed = &t
	}
	return out
}

// askKeyholder adds how the keyholder stands, and whether the cell is ready. A
// reason why not is given if one is known.
func (v *Vault) askKeyholder(ctx context.Context, out *apitype.StatusResult, reason error) {
	sctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if s, err := v.cfg.Keys.Status(sctx); err == nil {
		out.Keyholder = apitype.KeyholderStatus{
			Reachable: true, Sealed: s.Sealed, Reason: s.Reason, Subjects: s.Subjects, KeyVersion: s.KeyVersion, Rewrapped: s.Rewrapped,
			GrantSet: s.GrantSet, Asserted: s.Asserted, Resolved: s.Resolved, Proven: s.Proven,
		}
		for _, w := range s.Waiting {
			out.Waiting = append(out.Waiting, apitype.WaitingChange{
				Party: "keyholder", Subject: string(w.Subject), Number: w.Number, Entry: int64(w.Index), From: unix(int64(w.Until)), //nolint:gosec // of a ledger, of this century
			})
		}
		if reason == nil {
			reason = keyholderReady(s)
		}
	} else if reason == nil {
		reason = v.lineError(err)
	}
	if out.Ready = reason == nil; !out.Ready {
		out.Reason = problemOf(reason).Message
	}
}
