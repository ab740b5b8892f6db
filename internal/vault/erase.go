package vault

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/journal"
	"bonded/internal/wire"
	"bonded/verify"
)

// Limits of erasing.
const (
	eraseWait   = 5 * time.Second     // how long a call waits for an erasure without a window
	eraseClaim  = 30 * time.Second    // how long one attempt may take before another begins
	backupsDead = 30 * 24 * time.Hour // old cell keys are destroyed within this
	erasePoll   = 20 * time.Millisecond
)

// Erase erases a person: reads are refused from now on, and when the undo
// window is over the keyholder destroys the key. Without a window it waits a
// little for the end.
func (v *Vault) Erase(ctx context.Context, call *Call, q *apitype.SubjectRequest) (*apitype.EraseResult, error) {
	if out, err := replayed[apitype.EraseResult](ctx, v, call, verify.OpErase); out != nil || err != nil {
		return out, err
	}
	// 1. Check and decide.
	if err := v.sameCell(q.Subject.Cell, "subject"); err != nil {
		return nil, v.refused(call, verify.OpErase, "", nil, err)
	}
	a, err := v.begin(call, verify.OpErase, []wire.Item{{Subject: q.Subject.ID}})
	if err != nil {
		return nil, err
	}
	if !call.Grant.Erase {
		return nil, v.fail(a, &bonded.Error{Code: bonded.CodeForbidden, Message: "the grant does not allow erasing", Rules: []string{"grant-erase"}})
	}
	s, err := v.store.Subject(ctx, q.Subject.ID)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, v.fail(a, v.absent(ctx, q.Subject.ID, "subject"))
	case s.State != StateActive:
		return nil, v.fail(a, &bonded.Error{Code: bonded.CodeErasing, Field: "subject", Message: "the person is being erased already"})
	}

	// 2. Enter it. From here on nothing of this person is read.
	held, err := v.store.Held(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	now := v.now()
	due := now.Add(v.cfg.Undo)
	atOnce := v.cfg.Undo == 0 && !held // a hold is waited for as a window is
	out := &apitype.EraseResult{Subject: q.Subject, State: "scheduled", Due: &due, Note: "scheduled; holds may apply"}
	if atOnce {
		out.State, out.Note = "erasing", ""
	}
	if v.cfg.Undo == 0 {
		out.Due = nil
	}
	order := &eraseOrder{Principal: call.Grant.ID, Purpose: call.Why.Purpose, Reason: call.Why.Reason, Request: call.RequestID.Hex()}
	if a.eraseNow = atOnce; a.proven() {
		order.Proof = call.Proof
	}
	e := &Erasure{Subject: s.ID, Asked: now.Unix(), Due: due.Unix()}
	if atOnce { // it is due at once: the background work leaves it to us
		if !v.finishing.begin(s.ID) {
			return nil, v.fail(a, erasing("subject"))
		}
		defer v.finishing.end(s.ID)
	}
	v.going.add(s.ID)
	err = v.enterReplayed(ctx, a, func(tx Tx) error {
		out.Entry = a.prepared.Row.RowRef.String()
		ok, err := tx.SetState(s.ID, StateActive, StateErasing)
		if err != nil {
			return err
		}
		if !ok {
			return erasing("subject")
		}
		order.name(&a.prepared, 0)
		if e.Body, err = json.Marshal(order); err != nil {
			return err
		}
		return tx.PutErasure(e)
	}, out)
	if err != nil {
		v.going.remove(s.ID)
		return nil, err
	}
	if !atOnce {
		v.kick()
		return out, nil
	}

	// 3. Without a window, see whether it ends soon.
	wait, cancel := context.WithTimeout(ctx, eraseWait)
	defer cancel()
	t, err := v.finish(wait, e)
	if err != nil {
		v.kick() // the background work goes on with it
		v.log.LogAttrs(ctx, slog.LevelInfo, "erasure goes on in the background", slog.String("request", call.RequestID.Hex()), slog.Any("cause", err))
		return out, nil
	}
	by := now.Add(backupsDead)
	out.State, out.Tombstone, out.BackupsBy = "erased", t.N, &by
	return out, nil
}

// EraseUndo takes an erasure back inside its window.
func (v *Vault) EraseUndo(ctx context.Context, call *Call, q *apitype.SubjectRequest) (*apitype.EraseResult, error) {
	if out, err := replayed[apitype.EraseResult](ctx, v, call, verify.OpEraseUndo); out != nil || err != nil {
		return out, err
	}
	if err := v.sameCell(q.Subject.Cell, "subject"); err != nil {
		return nil, v.refused(call, verify.OpEraseUndo, "", nil, err)
	}
	a, err := v.begin(call, verify.OpEraseUndo, []wire.Item{{Subject: q.Subject.ID}})
	if err != nil {
		return nil, err
	}
	e, err := v.store.Erasure(ctx, q.Subject.ID)
	if err != nil {
		return nil, err
	}
	late := &bonded.Error{Code: bonded.CodeConflict, Field: "subject", Message: "no erasure of this person can be taken back", Hint: "it was not asked for, or its window is over"}
	if e == nil || e.Due <= v.now().Unix() {
		return nil, v.fail(a, late)
	}
	out := &apitype.EraseResult{Subject: q.Subject, State: string(StateActive)}
	err = v.enterReplayed(ctx, a, func(tx Tx) error {
		out.Entry = a.prepared.Row.RowRef.String()
		if e.Due <= v.now().Unix() {
			return late
		}
		gone, err := tx.DeleteErasure(e.Subject)
		if err != nil {
			return err
		}
		ok, err := tx.SetState(e.Subject, StateErasing, StateActive)
		if err == nil && (!gone || !ok) {
			return late
		}
		return err
	}, out)
	if err != nil {
		return nil, err
	}
	v.going.remove(e.Subject)
	return out, nil
}

// An eraseOrder is what a destruction must say: who asked, and which entry
// shows it.
type eraseOrder struct {
	Row       string         `json:"row"`
	Leaf      string         `json:"leaf"`
	Item      int            `json:"item"` // of the row
	Retention bool           `json:"retention,omitempty"`
	Principal string         `json:"principal"`
	Purpose   bonded.Purpose `json:"purpose"`
	Reason    string         `json:"reason,omitempty"`
	Request   string         `json:"request"`
	Proof     *wire.Proof    `json:"proof,omitempty"`
}

func (o *eraseOrder) name(p *journal.Prepared, item int) {
	o.Row, o.Leaf, o.Item = p.Row.RowRef.String(), hex.EncodeToString(p.Leaf[:]), item
}

func (e *Erasure) order() (*eraseOrder, verify.RowRef, [32]byte, error) {
	o := new(eraseOrder)
	err := json.Unmarshal(e.Body, o)
	ref, ok := verify.ParseRowRef(o.Row)
	leaf, lerr := hex.DecodeString(o.Leaf)
	if err != nil || lerr != nil || !ok || len(leaf) != 32 {
		return nil, ref, [32]byte{}, altered(errors.Join(err, lerr))
	}
	return o, ref, [32]byte(leaf), nil
}

// finishErasure has the key destroyed once the entry of the erasure is
// anchored, and clears the tables. It waits for the anchor until ctx ends.
func (v *Vault) finishErasure(ctx context.Context, e *Erasure) (*verify.Tombstone, error) {
	if !v.finishing.begin(e.Subject) {
		return nil, bonded.Errorf(bonded.CodeBusy, "the erasure is being finished already")
	}
	defer v.finishing.end(e.Subject)
	return v.finish(ctx, e)
}

// finish is [Vault.finishErasure] for who has begun it.
func (v *Vault) finish(ctx context.Context, e *Erasure) (*verify.Tombstone, error) {
	// 1. The proof that it was entered.
	o, ref, leaf, err := e.order()
	if err != nil {
		return nil, err
	}
	proof, err := v.awaitReceipt(ctx, ref, []int{o.Item})
	if err != nil {
		return nil, fmt.Errorf("receipt of erasure %s: %w", ref, err)
	}
	if err := v.awaitWindow(ctx, proof); err != nil {
		return nil, err
	}
	receipt, err := json.Marshal(proof)
	if err != nil {
		return nil, fmt.Errorf("encode receipt of erasure %s: %w", ref, err)
	}

	// 2. What is under way for this person ends first.
	v.gate.Lock()
	v.gate.Unlock() //nolint:staticcheck // an empty section: it waits for the batches under way
	v.gate.RLock()
	defer v.gate.RUnlock()
	if err := v.mayOpen(); err != nil {
		return nil, err
	}

	// 3. Destroy: tombstones come one after the other.
	v.destroying.Lock()
	defer v.destroying.Unlock()
	if err := v.notHeld(ctx, e.Subject); err != nil { // since it was begun
		return nil, err
	}
	t, err := v.destroy(ctx, e, o, &wire.Destroy{Subject: e.Subject, Purpose: o.Purpose, Reason: o.Reason, Ref: ref, Leaf: leaf, Receipt: receipt})
	if err != nil {
		if isCode(err, bonded.CodeKeyholder) {
			v.link.break_(err) // it may have happened: the tombstones are compared before anything else
			v.kick()
		}
		return nil, err
	}

	// 4. Nothing of the person stays here but the tombstone.
	if err := v.bury(ctx, e, t); err != nil {
		v.link.break_(err)
		v.kick()
		return nil, err
	}
	return t, nil
}

// awaitReceipt returns the receipt of a row as soon as it is anchored.
func (v *Vault) awaitReceipt(ctx context.Context, ref verify.RowRef, items []int) (*verify.Receipt, error) {
	tick := time.NewTicker(erasePoll)
	defer tick.Stop()
	for {
		r, err := v.journal.Receipt(ctx, ref, items)
		if err == nil {
			return r, nil
		}
		if !isCode(err, bonded.CodeBusy) {
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// awaitWindow waits until the undo window is over as the keyholder counts it:
// from the witnesses' time of the entry. To ask before would be a refusal in
// its book, each time.
func (v *Vault) awaitWindow(ctx context.Context, r *verify.Receipt) error {
	rep, err := verify.CheckReceipt(r, v.cfg.Directory)
	if err != nil {
		return altered(err)
	}
	until := rep.Checkpoint.WitnessTime().Add(v.cfg.Undo)
	tick := time.NewTicker(erasePoll)
	defer tick.Stop()
	for v.now().Before(until) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return bonded.Errorf(bonded.CodeBusy, "the undo window is over %s from now by the witnesses' time", until.Sub(v.now()).Round(time.Second))
		}
	}
	return nil
}

// destroy asks with the proof of the asker if there is one, else in the name
// of the asker, else under the grant for background work.
func (v *Vault) destroy(ctx context.Context, e *Erasure, o *eraseOrder, d *wire.Destroy) (*verify.Tombstone, error) {
	if o.Proof != nil {
		d.Auth = wire.Auth{Principal: o.Principal, Assurance: verify.AssuranceProven, Proof: *o.Proof, Named: []wire.Named{{Subject: v.subjectText(e.Subject).String()}}}
		t, err := v.cfg.Keys.Destroy(ctx, d)
		if !isCode(err, bonded.CodeProof) {
			return t, err
		}
		// The session has ended since: what follows is asserted by the vault.
	}
	if g := v.principals.Load().byID[o.Principal]; g != nil && g.Bearer && !o.Retention {
		d.Auth = wire.Auth{Principal: o.Principal, Assurance: verify.AssuranceVault}
	} else if v.cfg.JobGrant != "" {
		id, err := bonded.ParseHexID(o.Request)
		if err != nil {
			return nil, altered(err)
		}
		d.Auth = wire.Auth{Principal: v.cfg.JobGrant, Assurance: verify.AssuranceJob, Job: id}
	} else {
		return nil, bonded.Errorf(bonded.CodeConfig, "nobody may ask for this destruction any more: the vault has no grant for background work")
	}
	return v.cfg.Keys.Destroy(ctx, d)
}

// bury keeps the tombstone and clears the tables, in one commit with a row
// that says so.
func (v *Vault) bury(ctx context.Context, e *Erasure, t *verify.Tombstone) error {
	if err := v.checkTombstone(t); err != nil {
		return err
	}
	if t.Mark != v.mark(e.Subject) {
		return bonded.Errorf(bonded.CodeKeyholderRefused, "the keyholder's tombstone is of another person")
	}
	o, ref, _, err := e.order()
	if err != nil {
		return err
	}
	row := &verify.Row{
		Time: v.millis(), Operation: verify.OpErase, Outcome: verify.OutcomeAllowed, Principal: o.Principal, Assurance: verify.AssuranceVault,
		Purpose: o.Purpose, Reason: o.Reason, Refers: ref, Items: []verify.RowItem{{Subject: e.Subject}},
	}
	if o.Retention {
		row.Operation, row.Assurance = verify.OpRetention, verify.AssuranceJob
	}
	if id, err := bonded.ParseHexID(o.Request); err == nil {
		row.RequestID = id
	}
	_, err = v.store.Commit(ctx, []journal.Prepared{v.journal.Prepare(row)}, func(tx Tx) error {
		if err := tx.InsertTombstone(&TombstoneRow{N: t.N, Mark: t.Mark, Body: wire.EncodeTombstone(t)}); err != nil {
			return err
		}
		return tx.DeleteSubject(e.Subject)
	})
	if err != nil {
		return notWritable(err)
	}
	v.link.mu.Lock()
	v.link.tombs, v.link.chain = t.N, t.Chain
	v.link.mu.Unlock()
	v.going.remove(e.Subject)
	return nil
}

// A people is a set of persons for whom something is under way.
type people struct {
	mu sync.RWMutex
	m  map[bonded.ID]bool
}

func (p *people) add(id bonded.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		p.m = make(map[bonded.ID]bool)
	}
	p.m[id] = true
}

func (p *people) remove(id bonded.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, id)
}

func (p *people) has(id bonded.ID) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.m[id]
}

// begin adds id and reports whether it was not there.
func (p *people) begin(id bonded.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m[id] {
		return false
	}
	if p.m == nil {
		p.m = make(map[bonded.ID]bool)
	}
	p.m[id] = true
	return true
}

func (p *people) end(id bonded.ID) { p.remove(id) }
