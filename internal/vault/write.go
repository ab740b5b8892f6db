package vault

import (
	"context"
	"fmt"
	"slices"

	"bonded"
	"bonded/internal/apitype"
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
	seen := make(map[bonded.ID]bool) // records written by this batch
	for _, w := range ws {
		if w.err != nil || w.result != nil {
			continue
		}
		if w.err = v.checkPlace(ctx, c, w); w.err != nil && !w.batch {
			return v.refused(call, op, collection, v.putItem(w), w.err)
		}
		if w.err == nil && w.before != nil {
			if seen[w.before.ID] { // an entry writes a record once
				w.err = &bonded.Error{Code: bonded.CodeInvalid, Field: w.at + "record", Message: "the batch writes this record twice", Hint: "put its values into one item"}
			}
			seen[w.before.ID] = true
		}
		open = open || w.err == nil
	}
	written := writtenFields(ws)
	if gone := v.droppedFields(c, ws); len(gone) > 0 { // decided again, with what the records hold
		written = appendFields(written, gone)
		if d, err = v.decide(call, op, c, written); err != nil {
			return v.refused(call, op, collection, putItems(v, ws), mayNotDrop(err))
		}
	}
	if err := v.checkBasis(ctx, call, c, changedSubjects(ws), written); err != nil {
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
		if err := a.prepared.Err(); err != nil {
			return err
		}
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
		var inside *quorumSeal // of the quorum fields of this write
		defer func() { inside.wipe() }()
		for i := range w.values.set {
			p := &w.values.set[i]
			key, err := seal.KeyFromBytes(answer.Keys[i][:])
			clear(answer.Keys[i][:])
			if err != nil {
				return fmt.Errorf("take key: %w", err)
			}
			s := StoredField{Field: p.field.ID, Version: answer.Version, Due: p.field.Retention.due(now)}
			value := p.value
			if p.field.Custody == CustodyQuorum {
				if inside == nil {
					if inside, err = v.newQuorumSeal(c, r); err != nil {
						key.Wipe()
						return err
					}
				}
				if value, err = inside.inner(v, c, r, p.field, p.value); err != nil {
					key.Wipe()
					return fmt.Errorf("seal record: %w", err)
				}
				s.Envelope = inside.envelope
			}
			s.Sealed, err = key.Seal(v.cfg.Suite, value, v.context(c, r, p.field, s.Version))
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
