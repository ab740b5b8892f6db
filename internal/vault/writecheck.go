package vault

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/wire"
)

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

// droppedFields returns the fields that whole writes take away without naming
// them: those of the records before.
func (v *Vault) droppedFields(c *Collection, ws []*putting) []*Field {
	var gone []*Field
	for _, w := range ws {
		if w.err == nil && w.result == nil && w.before != nil && !w.item.Partial {
			gone = appendFields(gone, v.storedFields(c, w.before))
		}
	}
	return gone
}

// storedFields returns the fields of a record whose time is not over.
func (v *Vault) storedFields(c *Collection, r *Record) []*Field {
	now := v.now().Unix()
	fields := make([]*Field, 0, len(r.Fields))
	for i := range r.Fields {
		s := &r.Fields[i]
		if f := c.field(s.Field); f != nil && (s.Due == 0 || s.Due > now) {
			fields = append(fields, f)
		}
	}
	return fields
}

// appendFields adds those of more that all lacks.
func appendFields(all, more []*Field) []*Field {
	for _, f := range more {
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

// mayNotDrop is the refusal to take stored fields away. It does not say which:
// who may not touch them need not know that they are there.
func mayNotDrop(err error) error {
	return &bonded.Error{
		Code: bonded.CodeOf(err), Message: "the record holds what this call may not take away",
		Hint: "write with partial to keep the other fields, or ask for a grant that covers them", Rules: problemOf(err).Rules,
	}
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
