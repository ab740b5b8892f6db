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

// Get opens fields of one record.
func (v *Vault) Get(ctx context.Context, call *Call, q *apitype.GetRequest) (*apitype.GetResult, error) {
	return v.getOne(ctx, call, verify.OpRead, q)
}

// Mask opens fields of one record and returns them masked.
func (v *Vault) Mask(ctx context.Context, call *Call, q *apitype.GetRequest) (*apitype.GetResult, error) {
	return v.getOne(ctx, call, verify.OpMask, q)
}

// BatchGet opens fields of many records under one entry; each item succeeds
// or fails alone.
func (v *Vault) BatchGet(ctx context.Context, call *Call, q *apitype.BatchGetRequest) (*apitype.BatchGetResult, error) {
	return v.getMany(ctx, call, verify.OpRead, q)
}

// BatchMask is [Vault.BatchGet] with masked values.
func (v *Vault) BatchMask(ctx context.Context, call *Call, q *apitype.BatchGetRequest) (*apitype.BatchGetResult, error) {
	return v.getMany(ctx, call, verify.OpMask, q)
}

func (v *Vault) getOne(ctx context.Context, call *Call, op verify.Operation, q *apitype.GetRequest) (*apitype.GetResult, error) {
	if q.Token != nil && op == verify.OpRead {
		op = verify.OpTokenRead
	}
	targets := []target{{item: &q.GetItem}}
	a, err := v.open(ctx, call, op, q.Collection, targets)
	t := &targets[0]
	if err == nil {
		err = t.err
	}
	if err != nil {
		return nil, err
	}
	t.result.Rules, t.result.Entry = a.rules, a.entered.Ref().String()
	return t.result, nil
}

func (v *Vault) getMany(ctx context.Context, call *Call, op verify.Operation, q *apitype.BatchGetRequest) (*apitype.BatchGetResult, error) {
	if len(q.Items) == 0 || len(q.Items) > apitype.MaxBatch {
		return nil, v.refused(call, op, q.Collection, nil, batchSize())
	}
	targets := make([]target, len(q.Items))
	for i := range q.Items {
		targets[i] = target{item: &q.Items[i], at: fmt.Sprintf("items[%d].", i)}
	}
	a, err := v.open(ctx, call, op, q.Collection, targets)
	if err != nil {
		return nil, err
	}
	out := &apitype.BatchGetResult{Items: make([]apitype.GetItemResult, len(targets)), Entry: a.entered.Ref().String()}
	for i := range targets {
		t := &targets[i]
		if t.err != nil {
			out.Items[i].Error = itemProblem(t.err)
			continue
		}
		t.result.Entry = out.Entry
		out.Items[i].Result = t.result
	}
	return out, nil
}

func batchSize() error {
	return &bonded.Error{Code: bonded.CodeTooLarge, Field: "items", Message: "a batch has 1 to 1,000 items", Hint: "send several batches"}
}

// open is the main path of reading. It returns an error if nothing could be
// opened at all; what went wrong with one target is in it.
func (v *Vault) open(ctx context.Context, call *Call, op verify.Operation, collection string, targets []target) (*ask, error) {
	// 1. Check what is named, without looking whether it is there.
	c, err := v.collection(call, collection)
	if err != nil {
		return nil, v.refused(call, op, collection, nil, err)
	}
	if slices.ContainsFunc(targets, func(t target) bool { return t.item.Token != nil }) {
		if err := v.mustProve(call, op); err != nil { // whether or not the token is there
			return nil, v.refused(call, op, c.Name, v.namedItems(targets), err)
		}
	}
	keys := v.resolveAll(ctx, call, op, c, targets)
	if len(keys) == 0 {
		return nil, v.refused(call, op, c.Name, v.namedItems(targets), targets[0].err)
	}

	// 2. Decide, and only then look.
	d, err := v.decide(call, op, c, fieldsUnion(targets))
	if err == nil {
		v.load(ctx, c, keys, targets)
		if len(targets) == 1 {
			err = targets[0].err
		}
	}
	if err != nil {
		return nil, v.refused(call, op, c.Name, v.namedItems(targets), err)
	}
	return v.openTargets(ctx, call, op, c, d, targets)
}

// openTargets opens what was found and decided.
func (v *Vault) openTargets(ctx context.Context, call *Call, op verify.Operation, c *Collection, d decided, targets []target) (*ask, error) {
	if err := v.checkBasis(ctx, call, c, subjectsOf(targets), fieldsUnion(targets)); err != nil {
		return nil, v.refused(call, op, c.Name, v.namedItems(targets), err)
	}

	// 3. Enter and unlock.
	a := v.newAsk(call, op, c, d)
	v.fill(a, targets)
	if len(a.items) == 0 {
		return v.openNothing(ctx, a, targets)
	}
	if err := v.submit(ctx, v.reads, a); err != nil {
		return nil, err
	}
	defer wipeKeys(a.result)

	// 4. Open.
	if err := a.entered.Check(); err != nil {
		return nil, err
	}
	for i := range targets {
		if t := &targets[i]; t.err == nil {
			t.err = v.openTarget(a, c, t)
		}
	}

	// 5. What did not open is entered before it is answered.
	return a, v.enterFailed(a, targets)
}

// fill makes the items of an ask from the targets that were found, and what
// the client named from all of them.
func (v *Vault) fill(a *ask, targets []target) {
	a.items = make([]wire.Item, 0, len(targets))
	whole := true
	for i := range targets {
		t := &targets[i]
		a.resolved = a.resolved || t.chosen
		if t.err != nil || t.record == nil {
			whole = false
			continue
		}
		item := wire.Item{Subject: t.record.Subject, Record: t.record.ID, Fields: make([]wire.FieldVersion, 0, len(t.fields))}
		for j, f := range t.fields {
			if t.stored[j] != nil {
				item.Fields = append(item.Fields, wire.FieldVersion{Name: f.Name, Version: t.stored[j].Version})
			}
		}
		whole = whole && len(item.Fields) == len(t.fields)
		if len(item.Fields) == 0 {
			continue // nothing of it is sealed: nothing to unlock
		}
		t.place = len(a.items)
		a.items = append(a.items, item)
	}
	if len(a.items) < len(targets) {
		a.resolved = true // the vault left something out of what was named
	}
	if a.proven() && (a.resolved || !whole) {
		a.named = namedTargets(targets)
	}
}

// openNothing enters a read of records that have none of the fields named:
// there is nothing to unlock, and still somebody asked.
func (v *Vault) openNothing(ctx context.Context, a *ask, targets []target) (*ask, error) {
	a.items = v.namedItems(targets)
	if err := v.fresh(); err != nil {
		return nil, v.refused(a.call, a.op, a.collection, a.items, err)
	}
	if _, err := v.enter(ctx, a, nil); err != nil {
		return nil, err
	}
	for i := range targets {
		if t := &targets[i]; t.err == nil {
			t.result = v.emptyResult(t)
		}
	}
	return a, nil
}

func (v *Vault) emptyResult(t *target) *apitype.GetResult {
	return &apitype.GetResult{
		Subject: v.subjectText(t.record.Subject), Record: v.recordText(t.record.ID),
		Version: t.record.Version, Values: make(apitype.Values, len(t.fields)),
	}
}

// openTarget opens the values of one target with the keys that came.
func (v *Vault) openTarget(a *ask, c *Collection, t *target) error {
	t.result = v.emptyResult(t)
	if t.place < 0 {
		return nil
	}
	answer := &a.result.Items[t.place]
	if answer.Code != "" {
		t.result = nil
		return itemRefused(answer.Code, t.at)
	}
	if v.going.has(t.record.Subject) { // since the record was read
		t.result = nil
		return erasing(t.at + "subject")
	}
	k := 0
	for j, f := range t.fields {
		if t.stored[j] == nil {
			continue
		}
		plain, err := v.openField(c, t.record, f, t.stored[j], &answer.Keys[k])
		k++
		if err != nil {
			t.result = nil
			return err
		}
		if a.op == verify.OpMask {
			t.result.Values[f.Name] = quote([]byte(f.mask.Apply(string(plain))))
		} else {
			t.result.Values[f.Name] = f.render(plain)
		}
		clear(plain)
	}
	return nil
}

// openField decrypts one value with the key that was released for it, and
// wipes the key.
func (v *Vault) openField(c *Collection, r *Record, f *Field, s *StoredField, raw *[32]byte) ([]byte, error) {
	key, err := seal.KeyFromBytes(raw[:])
	clear(raw[:])
	if err != nil {
		return nil, altered(err)
	}
	defer key.Wipe()
	if len(s.Sealed) == 0 || seal.Suite(s.Sealed[0]) != v.cfg.Suite {
		return nil, altered(seal.ErrOpen)
	}
	plain, err := key.Open(s.Sealed, v.context(c, r, f, s.Version))
	if err != nil {
		return nil, altered(err)
	}
	return plain, nil
}

// context says where a value belongs.
func (v *Vault) context(c *Collection, r *Record, f *Field, version bonded.ID) seal.Context {
	return seal.Context{Cell: v.cfg.Cell, Subject: r.Subject, Record: r.ID, Collection: c.Name, Field: f.Name, Version: version}
}

// itemRefused returns the error of an item that the keyholder refused.
func itemRefused(code bonded.Code, at string) error {
	e := &bonded.Error{Code: code, Field: at + "subject", Message: "the keyholder refused this item"}
	switch code {
	case bonded.CodeErased:
		e.Message = "the person was erased"
	case bonded.CodeWithheld:
		e.Message = "absent, or not yours"
	case bonded.CodeConflict:
		e.Message = "the person is there already"
	}
	return e
}

// enterFailed enters, in one more row, the targets that failed after all. For
// a single target its error is that of the call.
func (v *Vault) enterFailed(a *ask, targets []target) error {
	var items []verify.RowItem
	var first error
	for i := range targets {
		t := &targets[i]
		if t.err == nil {
			continue
		}
		if first == nil {
			first = t.err
		}
		it := verify.RowItem{}
		if t.place >= 0 {
			it = a.prepared.Row.Items[t.place]
		} else if t.item.Subject != nil && t.item.Subject.Cell == v.cfg.Cell {
			it.Subject = t.item.Subject.ID
		}
		items = append(items, it)
	}
	if first == nil {
		return nil
	}
	r := *a.prepared.Row
	r.Outcome, r.Code, r.Refers, r.RowRef, r.Time, r.Items = verify.OutcomeRefused, bonded.CodeOf(first), r.RowRef, verify.RowRef{}, v.millis(), items
	if err := v.enterRow(&r); err != nil {
		for i := range targets {
			targets[i].err, targets[i].result = err, nil
		}
		return err
	}
	return nil
}
