package custodian

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/verify"
)

// A Decision is a line of the custodian's own book.
type Decision struct {
	Time    time.Time     `json:"time"`
	Case    bonded.CaseID `json:"case"`
	What    string        `json:"what"`   // approved, refused, computed, confirmed, directory
	Scope   string        `json:"scope"`  // hexadecimal digest; of a directory that of the file
	Leaf    string        `json:"leaf"`   // hexadecimal leaf hash
	Reason  string        `json:"reason"` // of a refusal; of a directory its version
	Epoch   uint64        `json:"epoch"`
	Index   int64         `json:"index"` // of the entry in the ledger
	Subject int           `json:"people"`
	Items   int           `json:"items"`
}

// Approve signs the scope of a case that was checked, notes it in the
// custodian's own book, and hands it in.
func (f *Folder) Approve(ctx context.Context, door Door, c *Checked) (*apitype.CaseResult, error) {
	return f.decide(ctx, door, c, true, "")
}

// Refuse signs that this custodian refuses, with a reason of at most 256
// bytes that the ledger commits to.
func (f *Folder) Refuse(ctx context.Context, door Door, c *Checked, reason string) (*apitype.CaseResult, error) {
	if reason == "" || len(reason) > verify.MaxReason {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "reason", Message: "a refusal has a reason of at most 256 bytes", Hint: "say why in a sentence, without personal data"}
	}
	return f.decide(ctx, door, c, false, reason)
}

func (f *Folder) decide(ctx context.Context, door Door, c *Checked, approve bool, reason string) (*apitype.CaseResult, error) {
	a, err := f.approval(c, approve, reason)
	if err != nil {
		return nil, err
	}
	what := "approved"
	if !approve {
		what = "refused"
	}
	if err := f.enter(c, what, reason); err != nil {
		return nil, err
	}
	return door.Approve(ctx, c.Case, a.Encode())
}

func (f *Folder) approval(c *Checked, approve bool, reason string) (*verify.Approval, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.last().set
	role, index, ok := set.Find(publicOf(f.sec.Approval))
	if !ok {
		return nil, refuse("seat", "this custodian has no seat in the key set in force")
	}
	if set.Digest() != c.Scope.KeySet {
		return nil, refuse("key-set", "the scope is for other custodians than those in force")
	}
	a := &verify.Approval{
		Cell: f.conf.Cell, Case: c.Case.ID, Scope: c.Digest, Leaf: c.Leaf, KeySet: set.Digest(), Epoch: set.Epoch(),
		Role: role, Index: uint64(index), Custodian: f.conf.ID, Approve: approve, Reason: reason, Time: uint64(f.now().Unix()), //nolint:gosec // positive
	}
	a.Sign(ed25519.NewKeyFromSeed(f.sec.Approval))
	return a, nil
}

func (f *Folder) enter(c *Checked, what, reason string) error {
	return f.note(Decision{
		Time: f.now().UTC(), Case: c.Case, What: what, Scope: hex.EncodeToString(c.Digest[:]), Leaf: hex.EncodeToString(c.Leaf[:]),
		Reason: reason, Epoch: c.Scope.Epoch, Index: c.Index, Subject: c.People, Items: c.Items,
	})
}

// approved reports whether this custodian's own book says that it approved the
// scope.
func (f *Folder) approved(c *Checked) (bool, error) {
	yes := false
	err := f.Decisions(func(d Decision) error {
		if d.Case == c.Case && d.Scope == hex.EncodeToString(c.Digest[:]) {
			yes = d.What == "approved" || d.What == "computed" || yes && d.What != "refused"
		}
		return nil
	})
	return yes, err
}

// Compute hands in this custodian's partial decryptions of a case that it
// approved, once the quorum's opening stands in the ledger under a cosigned
// checkpoint. It verifies that itself, and everything the scope says again. It
// reports false while the opening is not there yet, and does nothing for a
// case without quorum fields.
func (f *Folder) Compute(ctx context.Context, door Door, id bonded.CaseID) (bool, error) {
	// 1. The opening in the ledger. It is asked for first: while a case waits,
	// that is all a look costs.
	p, err := door.Opening(ctx, id)
	code := bonded.CodeOf(err)
	switch {
	case code == bonded.CodeBusy, code == bonded.CodeStale:
		return false, nil
	case code == bonded.CodeConflict:
		d, err := door.Dossier(ctx, id)
		if err != nil || waits(d.Case.State) {
			return false, err
		}
		return false, bonded.Errorf(bonded.CodeConflict, "nothing of this case opens any more: it is %s", d.Case.State)
	case err != nil:
		return false, err
	}
	// 2. The case, as if it were seen for the first time, and our own word.
	c, err := f.check(ctx, door, id, false, func(Step) {})
	if err != nil {
		return false, err
	}
	if yes, err := f.approved(c); err != nil || !yes {
		if err == nil {
			err = refuse("not-approved", "this custodian has not approved this scope")
		}
		return false, err
	}
	rel, err := f.opened(c, p)
	if err != nil {
		return false, notHeld(err)
	}
	if c.Envelopes == 0 {
		return true, nil
	}
	// 3. Partials, page by page.
	cust, err := f.holder(rel)
	if err != nil {
		return false, err
	}
	set := f.KeySet()
	err = eachPage(ctx, door, id, func(p *apitype.ScopePage) error {
		all, err := f.partials(c, cust, set, p)
		if err != nil {
			return err
		}
		for from := 0; from < len(all); from += apitype.MaxPartialPage {
			part := all[from:min(len(all), from+apitype.MaxPartialPage)]
			if _, err := door.Partials(ctx, id, &apitype.CasePartials{From: p.From + from, Partials: part}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return true, f.enter(c, "computed", "")
}

// waits reports whether an opening may still come in a state.
func waits(state string) bool {
	switch rules.State(state) { //nolint:exhaustive // no other state comes before an opening
	case rules.StateUnderReview, rules.StateAwaitingQuorum, rules.StateOpening, rules.StateEmergencyOpened:
		return true
	}
	return false
}

// opened verifies the entry of the opening: a quorum approved exactly this
// scope for exactly this key, and the ledger has it.
func (f *Folder) opened(c *Checked, p *apitype.OpeningProof) (*quorum.Release, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var approvals []*verify.Approval
	for _, b := range p.Approvals {
		a, err := verify.DecodeApproval(b)
		if err != nil {
			return nil, verify.Fail(verify.FailApproval, "an approval is not in the format")
		}
		approvals = append(approvals, a)
	}
	if err := verify.CheckApprovals(f.last().set.Custodians(), c.Case.ID, c.Digest, c.Leaf, approvals); err != nil {
		return nil, err
	}
	if p.Opening == nil {
		return nil, verify.Fail(verify.FailEntry, "the opening is not shown")
	}
	entry := verify.PackageEntry{Opening: p.Opening, Proof: []byte(p.Proof)}
	in, err := entry.Check(f.cell)
	if err != nil {
		return nil, err
	}
	e := in.Entry
	want := verify.OpeningContent(c.Digest, verify.ApprovalsDigest(approvals), c.Scope.Recipient)
	if e.Type != verify.EntryCase || e.Event != verify.EventOpening || e.Case != c.Case.ID || e.Scope != c.Digest || e.Content != want {
		return nil, verify.Fail(verify.FailEntry, "entry %d of the ledger does not open this scope for this key", in.Index)
	}
	if c.Scope.ExpiresBefore(in.Checkpoint.WitnessTime()) {
		return nil, verify.Fail(verify.FailEntry, "the release has expired")
	}
	key, err := recipient.Parse(c.Request.Recipient)
	if err != nil {
		return nil, err
	}
	rel := key.Release(c.Case.ID, [32]byte(in.Hash))
	return &rel, nil
}

func (f *Folder) holder(rel *quorum.Release) (*quorum.Custodian, error) {
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if len(f.sec.Share) == 0 {
		return nil, bonded.Errorf(bonded.CodeStaleShare, "this custodian holds no share of the key set in force")
	}
	share, err := quorum.ParseShare(f.sec.Share)
	if err != nil {
		return nil, err
	}
	return quorum.NewCustodian(f.last().set, share, *rel)
}

// Work computes for every case that this custodian approved and that is open,
// until ctx ends. Errors are given to report and what failed is tried again.
func (f *Folder) Work(ctx context.Context, door Door, every time.Duration, report func(bonded.CaseID, error)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	over := map[string]bool{}
	for {
		if _, err := f.Refresh(ctx, door); err != nil && ctx.Err() == nil {
			report(bonded.CaseID{}, err)
		}
		f.workOnce(ctx, door, over, report)
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// workOnce goes through the custodian's own book; over has the scopes that
// ask for nothing any more.
func (f *Folder) workOnce(ctx context.Context, door Door, over map[string]bool, report func(bonded.CaseID, error)) {
	open := map[string]bonded.CaseID{}
	err := f.Decisions(func(d Decision) error {
		key := d.Case.String() + " " + d.Scope
		switch d.What {
		case "approved":
			open[key] = d.Case
		case "computed", "refused":
			over[key] = true
		}
		return nil
	})
	if err != nil {
		report(bonded.CaseID{}, err)
	}
	for key, id := range open {
		if over[key] || ctx.Err() != nil {
			continue
		}
		ok, err := f.Compute(ctx, door, id)
		switch code := bonded.CodeOf(err); {
		case ok, code == bonded.CodeWithheld, code == bonded.CodeConflict: // over, one way or the other
			over[key] = true
		case err != nil && ctx.Err() == nil:
			report(id, err)
		}
	}
}
