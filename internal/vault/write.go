package vault

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/journal"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// Put creates a person or writes a record.
func (v *Vault) Put(ctx context.Context, call *Call, q *apitype.PutRequest) (*apitype.PutResult, error) {
	op := verify.OpWrite
	if q.Subject == nil {
		op = verify.OpCreate
	}
	w := []*putting{{item: &q.PutItem, key: call.Idempotency, hash: call.BodyHash}}
	if w[0].key == "" && q.Key != "" {
		w[0].key, w[0].hash = q.Key, itemHash(q.Collection, &q.PutItem)
	}
	if err := v.put(ctx, call, op, q.Collection, w); err != nil {
		return nil, err
	}
	return w[0].result, w[0].err
}

// BatchPut writes many records under one entry; each item succeeds or fails
// alone.
func (v *Vault) BatchPut(ctx context.Context, call *Call, q *apitype.BatchPutRequest) (*apitype.BatchPutResult, error) {
	if len(q.Items) == 0 || len(q.Items) > apitype.MaxBatch {
		return nil, v.refused(call, verify.OpWrite, q.Collection, nil, batchSize())
	}
	ws := make([]*putting, len(q.Items))
	for i := range q.Items {
		ws[i] = &putting{item: &q.Items[i], at: fmt.Sprintf("items[%d].", i), key: q.Items[i].Key, batch: true}
		if ws[i].key != "" {
			ws[i].hash = itemHash(q.Collection, &q.Items[i])
		} else if call.Idempotency != "" {
			ws[i].key, ws[i].hash = fmt.Sprintf("%s/%d", call.Idempotency, i), call.BodyHash
		}
	}
	if err := v.put(ctx, call, verify.OpWrite, q.Collection, ws); err != nil {
		return nil, err
	}
	out := &apitype.BatchPutResult{Items: make([]apitype.PutItemResult, len(ws))}
	for i, w := range ws {
		if w.err != nil {
			out.Items[i].Error = itemProblem(w.err)
			continue
		}
		out.Items[i].Result = w.result
	}
	return out, nil
}

// A putting is one record on its way in.
type putting struct {
	item  *apitype.PutItem
	at    string // prefix of field names in errors
	key   string // idempotency key
	hash  [32]byte
	batch bool

	values *checkedValues
	tokens []*Field
	rule   string   // that chose the cell of a new person
	rules  []string // all that matched
	before *Record  // nil for a new record
	record *Record
	made   map[string]bonded.Token
	place  int // among the items of the ask, -1 for none
	result *apitype.PutResult
	err    error
}

func (w *putting) creates() bool { return w.item.Subject == nil }

// put is the main path of writing. It returns an error if nothing could be
// written at all; for a batch, what went wrong with one item is in it.
func (v *Vault) put(ctx context.Context, call *Call, op verify.Operation, collection string, ws []*putting) error {
	defer func() {
		for _, w := range ws {
			if w.values != nil {
				w.values.wipe()
			}
		}
	}()
	// 1. Check: collection, values, ids, home; and what was asked before.
	c, err := v.collection(call, collection)
	if err != nil {
		return v.refused(call, op, collection, nil, err)
	}
	for _, w := range ws {
		w.place = -1
		if w.err = v.checkForm(ctx, call, c, w); w.err != nil && !w.batch {
			return v.refused(call, op, collection, v.putItem(w), w.err)
		}
	}
	if !slices.ContainsFunc(ws, func(w *putting) bool { return w.err != nil || w.result == nil }) {
		return nil // all of it was done before: the stored answers stand
	}

	// 2. Decide, and only then look who is there.
	d, err := v.decide(call, op, c, writtenFields(ws))
	if err != nil {
		return v.refused(call, op, collection, putItems(v, ws), err)
	}
	open := false
	for _, w := range ws {
		if w.err != nil || w.result != nil {
			continue
		}
		if w.err = v.checkPlace(ctx, c, w); w.err != nil && !w.batch {
			return v.refused(call, op, collection, v.putItem(w), w.err)
		}
		open = open || w.err == nil
	}
	if err := v.checkBasis(ctx, call, c, changedSubjects(ws), writtenFields(ws)); err != nil {
		return v.refused(call, op, collection, putItems(v, ws), err)
	}
	if !open {
		return v.refusedItems(call, op, c, ws)
	}

	// 3. Unlock: fresh keys under a version the keyholder chooses.
	a := v.newAsk(call, op, c, d)
	v.fillPut(a, ws)
	if a.unlocks() {
		if err := v.submit(ctx, v.writes, a); err != nil {
			return err
		}
		defer wipeKeys(a.result)
		defer a.finished()
	} else if err := v.fresh(); err != nil {
		return v.refused(call, op, collection, a.items, err)
	} else {
		a.prepared = v.journal.Prepare(v.row(a))
	}

	// 4. Seal.
	for _, w := range ws {
		if w.err == nil && w.result == nil {
			w.err = v.sealPut(a, c, w)
		}
	}

	// 5. Data and row in one commit.
	return v.commitPut(a, ws)
}

// unlocks reports whether an item of a names a field: taking values away asks
// for no key.
func (a *ask) unlocks() bool {
	return slices.ContainsFunc(a.items, func(it wire.Item) bool { return len(it.Fields) > 0 })
}

// checkForm checks what one item says by itself.
func (v *Vault) checkForm(ctx context.Context, call *Call, c *Collection, w *putting) error {
	// 1. Was it done before?
	if w.key != "" {
		was, err := v.store.Replay(ctx, call.Grant.ID, w.key)
		if err != nil {
			return err
		}
		if was != nil && was.Expires > v.now().Unix() {
			return w.replay(was)
		}
	}

	// 2. Values and tokens.
	var err error
	if w.values, err = checkValues(c, w.item.Values, w.at); err != nil {
		return err
	}
	if len(w.item.Tokens) > 0 {
		if w.tokens, err = fieldsOf(c, w.item.Tokens, w.at+"tokens"); err != nil {
			return err
		}
	}
	return nil
}

// checkPlace finds out whose one item is: a new person of this cell, or one
// who is here; and loads what it changes.
func (v *Vault) checkPlace(ctx context.Context, c *Collection, w *putting) error {
	if w.creates() {
		return v.checkCreate(c, w)
	}
	return v.checkChange(ctx, c, w)
}

// replay takes the answer of an earlier call with the same key.
func (w *putting) replay(was *Replay) error {
	out := new(apitype.PutResult)
	if err := was.take(w.hash, out); err != nil {
		return err
	}
	w.result = out
	return nil
}

// take reads the stored answer for the same request into out.
func (r *Replay) take(hash [32]byte, out any) error {
	if r.BodyHash != hash {
		return &bonded.Error{Code: bonded.CodeIdempotency, Field: apitype.HeaderIdempotency, Message: "the idempotency key came with another request", Hint: "use a fresh key for each request"}
	}
	if err := json.Unmarshal(r.Answer, out); err != nil {
		return altered(err)
	}
	return nil
}

// itemHash is the body hash of one item of a batch with a key of its own.
func itemHash(collection string, item *apitype.PutItem) [32]byte {
	b, err := json.Marshal(item)
	if err != nil {
		b = nil // a value that is not JSON is refused when it is checked
	}
	return sha256.Sum256(canon.LP([]byte("bonded/item/1"), []byte(collection), b))
}

func (v *Vault) checkCreate(c *Collection, w *putting) error {
	if w.item.Record != nil {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: w.at + "record", Message: "a record without its subject"}
	}
	if w.item.Facts == nil {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: w.at + "facts", Message: "a new person needs the facts that decide the home", Hint: "give at least the country of residence"}
	}
	if w.item.IfVersion != nil && *w.item.IfVersion != 0 {
		return conflict(w.at)
	}
	if len(w.values.set) == 0 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: w.at + "values", Message: "a new record needs at least one value"}
	}
	d, err := v.route(w.item.Facts)
	if err != nil {
		e := *problemOf(err)
		if e.Field != "" {
			e.Field = w.at + "facts." + e.Field
		}
		return &e
	}
	if d.Cell != v.cfg.Cell {
		return &bonded.Error{
			Code: bonded.CodeWrongCell, Field: w.at + "facts", Message: "this person belongs to cell " + string(d.Cell),
			Hint: "write to cell " + string(d.Cell), Rules: append([]string{d.RuleID}, d.Rules...),
		}
	}
	w.rule, w.rules = d.RuleID, d.Rules
	now := v.now()
	w.record = &Record{ID: bonded.NewID(), Subject: bonded.NewID(), Collection: c.ID, Version: 1, Created: now.Unix()}
	return nil
}

func (v *Vault) checkChange(ctx context.Context, c *Collection, w *putting) error {
	if err := v.sameCell(w.item.Subject.Cell, w.at+"subject"); err != nil {
		return err
	}
	s, err := v.store.Subject(ctx, w.item.Subject.ID)
	if err != nil {
		return err
	}
	switch {
	case s == nil:
		return v.absent(ctx, w.item.Subject.ID, w.at+"subject")
	case s.State != StateActive:
		return erasing(w.at + "subject")
	}
	if w.item.Record == nil {
		if w.item.IfVersion != nil && *w.item.IfVersion != 0 {
			return conflict(w.at)
		}
		if len(w.values.set) == 0 {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: w.at + "values", Message: "a new record needs at least one value"}
		}
		w.record = &Record{ID: bonded.NewID(), Subject: s.ID, Collection: c.ID, Version: 1, Created: v.now().Unix()}
		return nil
	}
	if err := v.sameCell(w.item.Record.Cell, w.at+"record"); err != nil {
		return err
	}
	if w.before, err = v.store.Record(ctx, c.ID, s.ID, w.item.Record.ID); err != nil {
		return err
	}
	if w.before == nil || w.before.expired(c, v.now().Unix()) {
		return withheld(w.at + "record")
	}
	if w.item.IfVersion != nil && *w.item.IfVersion != w.before.Version {
		return conflict(w.at)
	}
	w.record = &Record{N: w.before.N, ID: w.before.ID, Subject: s.ID, Collection: c.ID, Version: w.before.Version + 1, Created: w.before.Created}
	return nil
}

func conflict(at string) error {
	return &bonded.Error{Code: bonded.CodeConflict, Field: at + "if_version", Message: "the version named is not the current one", Hint: "read the record again and decide anew"}
}

// writtenFields returns the fields that all items write, remove or make tokens
// for, each once, by name.
func writtenFields(ws []*putting) []*Field {
	seen := make(map[string]*Field)
	for _, w := range ws {
		if w.values == nil {
			continue
		}
		for i := range w.values.set {
			seen[w.values.set[i].field.Name] = w.values.set[i].field
		}
		for _, f := range w.values.remove {
			seen[f.Name] = f
		}
		for _, f := range w.tokens {
			seen[f.Name] = f
		}
	}
	all := make([]*Field, 0, len(seen))
	for _, n := range sortedNames(seen) {
		all = append(all, seen[n])
	}
	return all
}

// changedSubjects returns the people who are here already and whose records
// are written.
func changedSubjects(ws []*putting) []bonded.ID {
	var ids []bonded.ID
	for _, w := range ws {
		if w.record != nil && !w.creates() {
			ids = append(ids, w.record.Subject)
		}
	}
	return ids
}

// fillPut makes the items of an ask: the fields to be sealed, and the inner
// half of each index value.
func (v *Vault) fillPut(a *ask, ws []*putting) {
	a.items = make([]wire.Item, 0, len(ws))
	for _, w := range ws {
		if w.err != nil || w.result != nil {
			a.resolved = true // the vault left something out of what was named
			continue
		}
		it := wire.Item{Create: w.creates(), Subject: w.record.Subject, Record: w.record.ID, Fields: make([]wire.FieldVersion, len(w.values.set))}
		for i := range w.values.set {
			p := &w.values.set[i]
			it.Fields[i].Name = p.field.Name
			if p.field.Indexed() {
				it.Index = append(it.Index, wire.IndexValue{Field: p.field.Name, Inner: v.inner[p.field].Sum([]byte(p.index))})
			}
		}
		if len(it.Fields) == 0 && len(ws) > 1 {
			continue // in a batch, an item that only takes away asks for no key
		}
		w.place = len(a.items)
		a.items = append(a.items, it)
	}
	if a.proven() {
		a.named = make([]wire.Named, len(ws))
		for i, w := range ws {
			n := &a.named[i]
			if w.item.Subject != nil {
				n.Subject = w.item.Subject.String()
			}
			if w.item.Record != nil {
				n.Record = w.item.Record.String()
			}
			n.Fields = sortedNames(w.item.Values)
		}
		a.resolved = a.resolved || len(a.items) != len(ws)
	}
}

// sealPut seals the values of one item under the keys that came, and puts the
// record together: what was there before and stays, and what is new.
func (v *Vault) sealPut(a *ask, c *Collection, w *putting) error {
	now := v.now()
	r := w.record
	keep := w.item.Partial && w.before != nil
	if w.before != nil && keep {
		for _, s := range w.before.Fields {
			if !w.touches(s.Field) {
				r.Fields = append(r.Fields, s)
			}
		}
	}
	if w.place >= 0 && len(w.values.set) > 0 {
		answer := &a.result.Items[w.place]
		if answer.Code != "" {
			return itemRefused(answer.Code, w.at)
		}
		outer := 0
		for i := range w.values.set {
			p := &w.values.set[i]
			key, err := seal.KeyFromBytes(answer.Keys[i][:])
			clear(answer.Keys[i][:])
			if err != nil {
				return fmt.Errorf("take key: %w", err)
			}
			s := StoredField{Field: p.field.ID, Version: answer.Version, Due: p.field.Retention.due(now)}
			s.Sealed, err = key.Seal(v.cfg.Suite, p.value, v.context(c, r, p.field, s.Version))
			key.Wipe()
			if err != nil {
				return fmt.Errorf("seal record: %w", err)
			}
			if p.field.Indexed() {
				s.Index = slices.Clone(answer.Outer[outer][:])
				outer++
			}
			r.Fields = append(r.Fields, s)
		}
	}
	slices.SortFunc(r.Fields, func(x, y StoredField) int { return int(x.Field) - int(y.Field) })
	r.Due = dueAt(c, unix(r.Created), r.Fields)
	return nil
}

func (w *putting) touches(field uint16) bool {
	return slices.ContainsFunc(w.values.set, func(p plainField) bool { return p.field.ID == field }) ||
		slices.ContainsFunc(w.values.remove, func(f *Field) bool { return f.ID == field })
}

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
				w.err = &bonded.Error{Code: bonded.CodeConflict, Message: "the same request was served at the same time", Hint: "send it again to get its answer"}
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
		if bonded.CodeOf(w.err) == bonded.CodeConflict && w.record != nil {
			o = verify.OutcomeConflict
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

func putItems(v *Vault, ws []*putting) []wire.Item {
	var items []wire.Item
	for _, w := range ws {
		items = append(items, v.putItem(w)...)
	}
	return items
}

// putItem returns what is known of an item, for the row of a refusal.
func (v *Vault) putItem(w *putting) []wire.Item {
	if w.item.Subject == nil || w.item.Subject.Cell != v.cfg.Cell {
		return nil
	}
	it := wire.Item{Subject: w.item.Subject.ID}
	if w.item.Record != nil && w.item.Record.Cell == v.cfg.Cell {
		it.Record = w.item.Record.ID
	}
	return []wire.Item{it}
}
