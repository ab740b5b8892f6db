package vault

import (
	"context"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/handover"
	"bonded/internal/journal"
	"bonded/internal/wire"
	"bonded/verify"
)

// Release implements [handover.Records]. The way is that of a read: the row is
// entered here while the keyholder enters its own, and nothing is answered
// before both are durable. What comes back is sealed to the requester: the vault
// adds the ciphertexts and can open neither.
func (r caseRecords) Release(ctx context.Context, c *handover.Certificate, from int, items []verify.ScopeItem, each func(handover.Released) error) error {
	if from < 0 || len(items) == 0 || len(items) > handover.MaxReleaseItems || from+len(items) > len(c.ItemHashes) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "items", Message: "a release has 1 to 256 items of the scope"}
	}
	call, err := r.v.caseCall(c.Case, purposeFrontDoor)
	if err != nil {
		return err
	}
	call.Assurance = verify.AssuranceCase
	cs, loaded, err := r.lookup(ctx, items)
	if err != nil {
		return err
	}
	// 1. What is stored at exactly these versions, and what is not any more.
	out := make([]handover.Released, len(items))
	for i := range items {
		out[i].Index, out[i].Item = from+i, verify.EncodeScopeItem(&items[i])
		if loaded[i].Err != nil {
			return loaded[i].Err
		}
		ok, _, err := r.open(ctx, cs[i], loaded[i].Record)
		if err != nil {
			return err
		}
		fields, same := r.v.stored(cs[i], loaded[i].Record, &items[i])
		switch {
		case loaded[i].Record == nil:
			out[i].Code = bonded.CodeOf(r.v.absent(ctx, items[i].Subject, "subject"))
		case !ok && loaded[i].Record.State == StateActive: // its time is over
			out[i].Code = bonded.CodeWithheld
		case !ok:
			out[i].Code = bonded.CodeErasing
		case !same:
			out[i].Code = bonded.CodeConflict
		default:
			for _, s := range fields {
				out[i].Ciphertexts = append(out[i].Ciphertexts, slices.Clone(s.Sealed))
			}
			out[i].Envelope = slices.Clone(envelopeOf(fields))
		}
	}
	// 2. Enter and ask, run by run: a row is about one collection, and its items
	// stand side by side in the scope.
	for at := 0; at < len(items); {
		n := 1
		for at+n < len(items) && items[at+n].Collection == items[at].Collection && (out[at+n].Code == "") == (out[at].Code == "") && fitsRow(items[at:at+n+1]) {
			n++
		}
		if err := r.releaseRun(call, c, from+at, items[at:at+n], out[at:at+n]); err != nil {
			return err
		}
		at += n
	}
	// 3. Answer.
	for i := range out {
		if err := each(out[i]); err != nil {
			return err
		}
	}
	return nil
}

// fitsRow reports whether one row can name all the items.
func fitsRow(items []verify.ScopeItem) bool {
	n := 0
	for i := range items {
		n += perItem + 64
		for j := range items[i].Fields {
			n += len(items[i].Fields[j].Name) + perField + 8
		}
	}
	return n <= maxEntryBytes
}

// releaseRun enters one row, and asks for its items unless they are not to be
// had.
func (r caseRecords) releaseRun(call *Call, c *handover.Certificate, from int, items []verify.ScopeItem, out []handover.Released) error {
	one := *call
	one.RequestID = bonded.NewID()
	p := r.v.policy.Load()
	a := &ask{call: &one, op: verify.OpDisclose, collection: items[0].Collection, policy: p.Set().Digest()}
	for i := range items {
		a.items = append(a.items, scopeWireItem(&items[i]))
	}
	if code := out[0].Code; code != "" {
		err := &bonded.Error{Code: code, Message: "this is not stored at the version of the scope any more"}
		if entered := r.v.refused(&one, verify.OpDisclose, a.collection, a.items, err); bonded.CodeOf(entered) != code {
			return entered
		}
		return nil
	}
	x := &wire.Release{
		Principal: one.Grant.ID, Purpose: one.Why.Purpose, From: uint64(max(from, 0)),
		Certificate: wire.Certificate{
			ScopeHead: c.ScopeHead, Hashes: c.ItemHashes, Approvals: c.Approvals, Quorum: c.QuorumLeaf,
			Opening: c.Opening, Proof: c.Proof, Recipient: c.Recipient,
		},
	}
	for i := range out {
		x.Items = append(x.Items, out[i].Item)
	}
	hashes := make([]tlog.Hash, len(c.ItemHashes))
	for i := range hashes {
		hashes[i] = c.ItemHashes[i]
	}
	res, err := r.v.release(a, x, verify.ScopeDigest(c.ScopeHead, hashes))
	if err != nil {
		return err
	}
	var gone []verify.RowItem
	code := bonded.Code("")
	for i := range out {
		out[i].Entry = a.entered.Ref().String()
		out[i].Code, out[i].Sealed = res.Items[i].Code, res.Items[i].Sealed
		if out[i].Code != "" {
			out[i].Ciphertexts, out[i].Envelope, code = nil, nil, out[i].Code
			gone = append(gone, a.prepared.Row.Items[i])
		}
	}
	if len(gone) == 0 {
		return nil
	}
	row := *a.prepared.Row
	row.Outcome, row.Code, row.Refers, row.RowRef, row.Time, row.Items = verify.OutcomeRefused, code, row.RowRef, verify.RowRef{}, r.v.millis(), gone
	return r.v.enterRow(&row)
}

// release enters the row of a in both books at the same time, as a batch of
// reads does, and returns when both are durable. After a broken line the same
// holds: nothing opens until it is known what the keyholder released.
func (v *Vault) release(a *ask, x *wire.Release, digest [32]byte) (*wire.ReleaseResult, error) {
	v.gate.RLock()
	defer v.gate.RUnlock()
	// 1. May anything open now?
	if err := v.mayOpen(); err != nil {
		v.refuseAll([]*ask{a}, err)
		return nil, a.err
	}

	// 2. Number the row and ask, in one order with all others.
	ctx, cancel := context.WithTimeout(v.background, lineTimeout)
	defer cancel()
	draft := v.row(a)
	draft.Digest = digest
	v.order.Lock()
	a.prepared = v.journal.Prepare(draft)
	if err := a.prepared.Err(); err != nil {
		v.order.Unlock()
		return nil, err
	}
	row := a.prepared.Row
	x.Node, x.Incarnation, x.Seq, x.Leaf, x.Policy = row.Node, row.Incarnation, row.Seq, a.prepared.Leaf, row.Policy
	sent := v.link.depart()
	wait, sendErr := v.cfg.Keys.Release(ctx, x)
	v.order.Unlock()

	// 3. Enter the row here while the keyholder enters its own.
	type committed struct {
		entered []journal.Entered
		err     error
	}
	head := v.link.durableHead()
	commit := make(chan committed, 1)
	go func() {
		entered, err := v.store.Commit(v.background, []journal.Prepared{a.prepared}, v.keepHead(head))
		commit <- committed{entered, err}
	}()
	result, err := v.awaitRelease(wait, sendErr, len(x.Items))
	c := <-commit

	// 4. Both are durable, or nothing is passed on.
	v.headKept(head, c.err)
	if len(c.entered) != 1 {
		v.lost(c.err)
		return nil, notWritable(c.err)
	}
	if result != nil {
		v.link.arrived(sent, &result.Head)
	} else {
		v.link.arrived(sent, nil)
	}
	a.entered = c.entered[0]
	switch {
	case err != nil:
		a.err = err
	case result.Code != "":
		a.err = v.refusedByKeyholder(&wire.EntryResult{Code: result.Code, Rule: result.Rule})
	default:
		return result, a.entered.Check()
	}

	// 5. What the keyholder refused is a second row, before it is answered.
	v.enterSecond([]*ask{a})
	return nil, a.err
}

// awaitRelease returns the keyholder's answer. After a broken line it is
// unknown what was released, so nothing is unlocked until that is cleared up.
func (v *Vault) awaitRelease(wait func() (*wire.ReleaseResult, error), err error, items int) (*wire.ReleaseResult, error) {
	var result *wire.ReleaseResult
	if err == nil {
		result, err = wait()
	}
	if err == nil && (!result.Head.Verify(v.cfg.KeyholderKey) || result.Code == "" && len(result.Items) != items) {
		result, err = nil, bonded.Errorf(bonded.CodeKeyholder, "the keyholder's answer does not fit the question")
	}
	if err != nil {
		v.link.break_(err)
		v.kick()
		return nil, v.lineError(err)
	}
	return result, nil
}
