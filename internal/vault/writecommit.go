package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/journal"
	"bonded/internal/wire"
	"bonded/verify"
)

// commitPut makes the items and their row durable at once. An item that lost
// a race is a conflict, entered in a second row.
func (v *Vault) commitPut(a *ask, ws []*putting) error {
	entry := a.prepared.Row.RowRef.String()
	entered, err := v.store.Commit(v.background, []journal.Prepared{a.prepared}, func(tx Tx) error {
		for _, w := range ws {
			if w.err == nil && w.result == nil {
				if err := v.writePut(tx, a, w, entry); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if len(entered) != 1 {
		v.lost(err)
		return notWritable(err)
	}
	a.entered = entered[0]
	a.call.Promise = a.entered.Promise().String()
	if err != nil { // the rows stand, the data does not
		a.err = conflictOf(err)
		v.enterConflict(a, nil)
		return a.err
	}
	if err := v.enterFailedPuts(a, ws); err != nil {
		return err
	}
	if !ws[0].batch && ws[0].err != nil {
		return ws[0].err
	}
	return nil
}

// writePut changes the tables for one item. What it finds changed meanwhile
// is the item's conflict, not an error of the commit.
func (v *Vault) writePut(tx Tx, a *ask, w *putting, entry string) error {
	// 1. Again, on the writer: the key, the person, the version.
	if w.key != "" {
		was, err := tx.Replay(a.call.Grant.ID, w.key)
		if err != nil {
			return err
		}
		if was != nil && was.Expires > v.now().Unix() {
			w.err = w.replay(was)
			if w.err == nil {
				w.err = &bonded.Error{Code: bonded.CodeBusy, Message: "the same request was served at the same time", Hint: "send it again to get its answer"}
			}
			w.result = nil
			return nil
		}
	}
	if !w.creates() {
		s, err := tx.Subject(w.record.Subject)
		if err != nil {
			return err
		}
		if s == nil || s.State != StateActive {
			w.err = erasing(w.at + "subject")
			return nil
		}
	} else if err := tx.InsertSubject(&Subject{ID: w.record.Subject, State: StateActive, Created: w.record.Created, Rule: w.rule}); err != nil {
		return err
	}

	// 2. The record.
	var err error
	if w.before != nil {
		err = tx.UpdateRecord(w.record, w.before)
	} else {
		err = tx.InsertRecord(w.record)
	}
	if bonded.CodeOf(err) == bonded.CodeConflict {
		w.err = conflict(w.at)
		return nil
	}
	if err != nil {
		return err
	}

	// 3. Tokens, and the answer for whoever asks again.
	w.result = &apitype.PutResult{
		Subject: v.subjectText(w.record.Subject), Record: v.recordText(w.record.ID), Version: w.record.Version,
		Created: w.creates(), Rules: append(slices.Clone(a.rules), w.rules...), Entry: entry,
	}
	for _, f := range w.tokens {
		t := bonded.Token{Cell: v.cfg.Cell, ID: bonded.NewID()}
		if err := tx.InsertToken(&TokenRow{ID: t.ID, Subject: w.record.Subject, Record: w.record.ID, Collection: w.record.Collection, Field: f.ID}); err != nil {
			return err
		}
		if w.result.Tokens == nil {
			w.result.Tokens = make(map[string]bonded.Token, len(w.tokens))
		}
		w.result.Tokens[f.Name] = t
	}
	return v.keepReplay(tx, a.call, w.key, w.hash, w.result)
}

// replayFor is how long the answer of a write with an idempotency key is kept.
const replayFor = 24 * time.Hour

// keepReplay stores the answer of a write, which holds ids only.
func (v *Vault) keepReplay(tx Tx, call *Call, key string, hash [32]byte, answer any) error {
	if key == "" {
		return nil
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	return tx.PutReplay(&Replay{Principal: call.Grant.ID, Key: key, BodyHash: hash, Answer: b, Expires: v.now().Add(replayFor).Unix()})
}

// enterFailedPuts enters the items that did not happen: conflicts, items the
// keyholder refused, and those refused before it was asked.
func (v *Vault) enterFailedPuts(a *ask, ws []*putting) error {
	byOutcome := make(map[verify.Outcome][]verify.RowItem)
	codes := make(map[verify.Outcome]bonded.Code)
	for _, w := range ws {
		if w.err == nil {
			continue
		}
		o := verify.OutcomeRefused
		if c := bonded.CodeOf(w.err); w.record != nil && (c == bonded.CodeConflict || c == bonded.CodeBusy) {
			o = verify.OutcomeConflict // keys were released, and the write did not happen
		}
		it := verify.RowItem{}
		switch {
		case w.place >= 0:
			it = a.prepared.Row.Items[w.place]
		case w.item.Subject != nil && w.item.Subject.Cell == v.cfg.Cell:
			it.Subject = w.item.Subject.ID
		}
		byOutcome[o] = append(byOutcome[o], it)
		if codes[o] == "" {
			codes[o] = bonded.CodeOf(w.err)
		}
	}
	for _, o := range []verify.Outcome{verify.OutcomeConflict, verify.OutcomeRefused} {
		if len(byOutcome[o]) == 0 {
			continue
		}
		r := *a.prepared.Row
		r.Outcome, r.Code, r.Refers, r.RowRef, r.Time, r.Items = o, codes[o], r.RowRef, verify.RowRef{}, v.millis(), byOutcome[o]
		if err := v.enterRow(&r); err != nil {
			return err
		}
	}
	return nil
}

// refusedItems enters a batch of which no item got as far as the keyholder.
func (v *Vault) refusedItems(call *Call, op verify.Operation, c *Collection, ws []*putting) error {
	var items []wire.Item
	var first error
	for _, w := range ws {
		if w.err != nil {
			items = append(items, v.putItem(w)...)
			if first == nil {
				first = w.err
			}
		}
	}
	if err := v.refused(call, op, c.Name, items, first); !errors.Is(err, first) {
		return err
	}
	return nil
}
