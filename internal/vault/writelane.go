package vault

import (
	"context"
	"sync"

	"bonded/internal/journal"
)

// writeLane takes waiting writes and asks for their keys in one batch. The
// rows come after: data and row are one commit, which each writer makes for
// itself and the database gathers.
func (v *Vault) writeLane() {
	for {
		select {
		case first := <-v.writes:
			v.runWrites(gather(v.writes, first, 1))
		case <-v.stop:
			return
		}
	}
}

func (v *Vault) runWrites(batch []*ask) {
	v.gate.RLock()
	defer v.gate.RUnlock()

	// 1. May anything open now?
	if err := v.mayOpen(); err != nil {
		v.refuseAll(batch, err)
		for _, a := range batch {
			close(a.done)
		}
		return
	}

	// 2. Keys under fresh version ids.
	ctx, cancel := context.WithTimeout(v.background, lineTimeout)
	defer cancel()
	all := batch
	batch, _, sent, wait, sendErr := v.send(ctx, all)
	for _, a := range all {
		if a.err != nil { // it was not sent
			close(a.done)
		}
	}
	if len(batch) == 0 {
		return
	}
	result, err := v.await(wait, sendErr, batch)

	// 3. Each writer seals, commits, and says when it is done: the gate stays
	// shut for recovery until every row of the batch is durable.
	var durable sync.WaitGroup
	durable.Add(len(batch))
	var second []*ask
	for i, a := range batch {
		a.finished = sync.OnceFunc(durable.Done)
		switch {
		case err != nil:
			a.err = err
			second = append(second, a)
		case result.Entries[i].Code != "":
			a.err = v.refusedByKeyholder(&result.Entries[i])
			second = append(second, a)
		default:
			a.result = &result.Entries[i]
			close(a.done)
		}
	}

	// 4. What the keyholder refused is entered here, first row and second.
	v.enterRefusedWrites(second)
	for _, a := range second {
		a.finished()
		close(a.done)
	}
	durable.Wait()
	v.link.arrived(sent, headOf(result))
}

func (v *Vault) enterRefusedWrites(asks []*ask) {
	if len(asks) == 0 {
		return
	}
	rows := make([]journal.Prepared, len(asks))
	for i, a := range asks {
		rows[i] = a.prepared
	}
	entered, err := v.store.Commit(v.background, rows, nil)
	if len(entered) != len(asks) {
		v.lost(err)
		for _, a := range asks {
			a.err = notWritable(err)
		}
		return
	}
	for i, a := range asks {
		a.entered = entered[i]
		a.call.Promise = a.entered.Promise().String()
	}
	v.enterSecond(asks)
}
