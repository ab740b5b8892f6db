package vault

import (
	"context"
	"slices"
	"time"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/wire"
	"bonded/verify"
)

// How many batches of a kind are in flight at once. Reads fly one by one: those
// that come meanwhile are the next batch, and larger batches share the price of
// commits and signatures. A batch of writes is in flight until every writer has
// committed, so that the next one asks for its keys meanwhile.
const (
	readLanes  = 1
	writeLanes = 2
)

// lineTimeout bounds how long a batch waits for the keyholder.
const lineTimeout = 20 * time.Second

// Where many call at once, those who were just answered call again within a
// moment: waiting for nine in ten of them makes half as many batches, and each
// caller is answered sooner. Few callers are not waited for.
const (
	patience = 2 * time.Millisecond
	many     = 8 // callers from which it pays
)

// expected returns how many asks are worth waiting for, by how many were in
// the last batch or came while it was in flight.
func expected(callers int) int {
	if callers < many {
		return 1
	}
	return callers * 9 / 10
}

// readLane takes waiting reads and runs them as one batch: one commit and one
// message for all of them.
func (v *Vault) readLane() {
	callers := 0
	for {
		select {
		case first := <-v.reads:
			batch := gather(v.reads, first, expected(callers))
			v.runReads(batch)
			callers = len(batch) + len(v.reads)
		case <-v.stop:
			return
		}
	}
}

// runReads enters a batch in both books at the same time and answers when
// both are durable.
func (v *Vault) runReads(batch []*ask) {
	v.gate.RLock()
	defer v.gate.RUnlock()
	defer func(all []*ask) {
		for _, a := range all {
			close(a.done)
		}
	}(batch)

	// 1. May anything open now?
	if err := v.mayOpen(); err != nil {
		v.refuseAll(batch, err)
		return
	}

	// 2. Number the rows and ask for the keys, in one order.
	ctx, cancel := context.WithTimeout(v.background, lineTimeout)
	defer cancel()
	batch, rows, sent, wait, sendErr := v.send(ctx, batch)
	if len(batch) == 0 {
		return
	}

	// 3. Enter the rows here while the keyholder enters its own.
	head := v.link.durableHead()
	type committed struct {
		entered []journal.Entered
		err     error
	}
	commit := make(chan committed, 1)
	go func() {
		entered, err := v.store.Commit(v.background, rows, v.keepHead(head))
		commit <- committed{entered, err}
	}()
	result, err := v.await(wait, sendErr, batch)
	c := <-commit

	// 4. Both are durable, or nothing opens.
	v.headKept(head, c.err)
	if len(c.entered) != len(batch) {
		v.lost(c.err)
		for i, a := range batch {
			if result != nil {
				wipeKeys(&result.Entries[i])
			}
			a.err = notWritable(c.err)
		}
		return
	}
	v.link.arrived(sent, headOf(result))
	var second []*ask
	for i, a := range batch {
		a.entered = c.entered[i]
		a.call.Promise = a.entered.Promise().String()
		switch {
		case err != nil:
			a.err = err
			second = append(second, a)
		case result.Entries[i].Code != "":
			a.err = v.refusedByKeyholder(&result.Entries[i])
			second = append(second, a)
		default:
			a.result = &result.Entries[i]
		}
	}

	// 5. What the keyholder refused is a second row, before it is answered.
	v.enterSecond(second)
}

// send numbers the rows of a batch and sends it to the keyholder. It returns
// the asks that were sent, whose rows must be committed whatever becomes of the
// message. An ask whose row cannot be entered has its error and is not sent: no
// key is asked for under a leaf that the journal will not hold.
func (v *Vault) send(ctx context.Context, batch []*ask) (of []*ask, rows []journal.Prepared, sent *flight, wait func() (*wire.UnlockResult, error), err error) {
	drafts := make([]*verify.Row, len(batch))
	for i, a := range batch {
		drafts[i] = v.row(a)
	}
	v.order.Lock()
	defer v.order.Unlock()
	fit := true
	for i, a := range batch {
		a.prepared = v.journal.Prepare(drafts[i])
		if a.err = a.prepared.Err(); a.err != nil {
			fit = false
		}
	}
	if !fit {
		batch = slices.DeleteFunc(slices.Clone(batch), func(a *ask) bool { return a.err != nil })
		if len(batch) == 0 {
			return nil, nil, nil, nil, nil
		}
	}
	rows = make([]journal.Prepared, len(batch))
	u := &wire.Unlock{Entries: make([]wire.Entry, len(batch))}
	for i, a := range batch {
		rows[i] = a.prepared
		u.Entries[i] = v.entry(a)
	}
	u.Node, u.Incarnation = drafts[0].Node, drafts[0].Incarnation
	sent = v.link.depart()
	wait, err = v.cfg.Keys.Unlock(ctx, u)
	return batch, rows, sent, wait, err
}

// await returns the keyholder's answer to a batch. After a broken line it is
// unknown what was released, so nothing is unlocked until that is cleared up.
func (v *Vault) await(wait func() (*wire.UnlockResult, error), err error, batch []*ask) (*wire.UnlockResult, error) {
	var result *wire.UnlockResult
	if err == nil {
		result, err = wait()
	}
	if err == nil && (len(result.Entries) != len(batch) || !result.Head.Verify(v.cfg.KeyholderKey)) {
		for i := range result.Entries {
			wipeKeys(&result.Entries[i])
		}
		result, err = nil, bonded.Errorf(bonded.CodeKeyholder, "the keyholder's answer does not fit the question")
	}
	if err != nil {
		v.link.break_(err)
		v.kick()
		return nil, v.lineError(err)
	}
	for i, a := range batch {
		if e := &result.Entries[i]; e.Code == "" && !fits(e, a.items) {
			wipeKeys(e)
			*e = wire.EntryResult{Code: bonded.CodeKeyholder}
		}
	}
	return result, nil
}

// fits reports whether an answer has a key for each field asked and a value
// for each index asked.
func fits(e *wire.EntryResult, items []wire.Item) bool {
	if len(e.Items) != len(items) {
		return false
	}
	for i := range items {
		r := &e.Items[i]
		if r.Code == "" && (len(r.Keys) != len(items[i].Fields) || len(r.Outer) != len(items[i].Index)) {
			return false
		}
	}
	return true
}

// refusedByKeyholder returns the error of an entry that was refused whole.
func (v *Vault) refusedByKeyholder(e *wire.EntryResult) error {
	out := &bonded.Error{Code: e.Code, Message: "the keyholder refused"}
	if e.Rule != "" {
		out.Rules = []string{e.Rule}
	}
	switch e.Code {
	case bonded.CodeSealed:
		out.Message, out.Hint = "the keyholder is sealed", "unseal it"
		v.link.break_(out)
		v.kick()
	case bonded.CodeStale:
		out.Message, out.Hint = "the keyholder has seen no fresh cosigned checkpoint", "see whether ledger and witnesses run"
	case bonded.CodeBudget:
		out.Message, out.Hint = "the hourly budget of distinct subjects is used up", "wait, or ask for a larger budget"
	}
	return out
}

func (v *Vault) lineError(err error) error {
	if c := bonded.CodeOf(err); c != bonded.CodeInternal {
		return err
	}
	return &bonded.Error{Code: bonded.CodeKeyholder, Message: "the keyholder cannot be reached", Hint: "try again in a moment", Err: err}
}

func notWritable(err error) error {
	if bonded.CodeOf(err) == bonded.CodeNotWritable {
		return err
	}
	return &bonded.Error{Code: bonded.CodeNotWritable, Message: "the journal cannot be written: nothing opens", Hint: "see the disk of the vault", Err: err}
}

// enterSecond enters, for each ask with an error, a row that names its first.
// If that fails the first row stands alone, which reconciliation shows.
func (v *Vault) enterSecond(asks []*ask) {
	if len(asks) == 0 {
		return
	}
	rows := make([]journal.Prepared, len(asks))
	for i, a := range asks {
		r := *a.prepared.Row
		r.Outcome, r.Code, r.Refers, r.Time = verify.OutcomeRefused, bonded.CodeOf(a.err), r.RowRef, v.millis()
		r.RowRef = verify.RowRef{}
		if r.Code == bonded.CodeKeyholder {
			r.Outcome = verify.OutcomeUnanswered
		}
		rows[i] = v.journal.Prepare(&r)
	}
	if _, err := v.store.Commit(v.background, rows, nil); err != nil {
		for _, a := range asks {
			a.err = notWritable(err)
		}
	}
}

// refuseAll refuses a batch before it is numbered.
func (v *Vault) refuseAll(batch []*ask, err error) {
	rows := make([]journal.Prepared, len(batch))
	for i, a := range batch {
		a.err = err
		r := v.row(a)
		r.Outcome, r.Code = verify.OutcomeRefused, bonded.CodeOf(err)
		rows[i] = v.journal.Prepare(r)
	}
	entered, cerr := v.store.Commit(v.background, rows, nil)
	for i, a := range batch {
		if cerr != nil {
			a.err = notWritable(cerr)
			continue
		}
		a.call.Promise = entered[i].Promise().String()
	}
}
