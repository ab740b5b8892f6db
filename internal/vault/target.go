package vault

import (
	"context"
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

// A target is one record to open: what was named, what was found, what came
// out.
type target struct {
	item   *apitype.GetItem
	at     string // prefix of field names in errors
	fields []*Field
	record *Record
	stored []*StoredField // of fields, in the same order; nil where the record has no value
	place  int            // among the items of the ask, -1 for none
	chosen bool           // the vault chose the record
	result *apitype.GetResult
	err    error
}

// resolveAll returns the keys of the targets that name something, in order. A
// token of what the caller may not open is as one that is not there.
func (v *Vault) resolveAll(ctx context.Context, call *Call, op verify.Operation, c *Collection, targets []target) []Key {
	keys := make([]Key, 0, len(targets))
	for i := range targets {
		t := &targets[i]
		t.place = -1
		var key Key
		key, t.err = v.resolve(ctx, c, t)
		if t.err == nil && t.item.Token != nil {
			if _, err := v.decide(call, op, c, t.fields); err != nil {
				t.err, t.fields = withheld(t.at+"token"), nil
			}
		}
		if t.err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// load looks the records of the targets up. A record whose time is over or
// whose person is going is not there.
func (v *Vault) load(ctx context.Context, c *Collection, keys []Key, targets []target) {
	var loaded []Loaded
	if len(keys) == 1 {
		r, err := v.store.Record(ctx, c.ID, keys[0].Subject, keys[0].Record)
		loaded = []Loaded{{r, err}}
	} else {
		loaded = v.store.Lookup(ctx, keys)
	}
	k := 0
	for i := range targets {
		t := &targets[i]
		if t.err != nil {
			continue
		}
		l := &loaded[k]
		switch {
		case l.Err != nil:
			t.err = l.Err
		case l.Record == nil:
			t.err = v.absent(ctx, keys[k].Subject, t.at+"subject")
		default:
			t.err = v.accept(c, t, l.Record)
		}
		k++
	}
}

// resolve returns what a target names: a token, or a person with or without a
// record; and takes its fields.
func (v *Vault) resolve(ctx context.Context, c *Collection, t *target) (Key, error) {
	key := Key{Collection: c.ID}
	names := t.item.Fields
	switch {
	case t.item.Token != nil:
		if t.item.Subject != nil || t.item.Record != nil {
			return key, &bonded.Error{Code: bonded.CodeInvalid, Field: t.at + "token", Message: "a token stands alone: no subject or record beside it"}
		}
		if err := v.sameCell(t.item.Token.Cell, t.at+"token"); err != nil {
			return key, err
		}
		row, err := v.store.Token(ctx, t.item.Token.ID)
		if err != nil {
			return key, err
		}
		if row == nil || row.Collection != c.ID {
			return key, withheld(t.at + "token")
		}
		f := c.field(row.Field)
		if f == nil || len(names) > 1 || len(names) == 1 && names[0] != f.Name {
			return key, withheld(t.at + "token")
		}
		key.Subject, key.Record, names, t.chosen = row.Subject, row.Record, []string{f.Name}, true
	case t.item.Subject == nil:
		return key, &bonded.Error{Code: bonded.CodeInvalid, Field: t.at + "subject", Message: "neither a subject nor a token named"}
	default:
		if err := v.sameCell(t.item.Subject.Cell, t.at+"subject"); err != nil {
			return key, err
		}
		key.Subject = t.item.Subject.ID
		if t.item.Record != nil {
			if err := v.sameCell(t.item.Record.Cell, t.at+"record"); err != nil {
				return key, err
			}
			key.Record = t.item.Record.ID
		}
		t.chosen = key.Record.IsZero()
	}
	var err error
	t.fields, err = fieldsOf(c, names, t.at+"fields")
	return key, err
}

// accept takes the record of a target.
func (v *Vault) accept(c *Collection, t *target, r *Record) error {
	if r.State != StateActive {
		return erasing(t.at + "subject")
	}
	now := v.now().Unix()
	if r.expired(c, now) {
		return withheld(t.at + "record")
	}
	t.record = r
	t.stored = make([]*StoredField, len(t.fields))
	for i, f := range t.fields {
		for j := range r.Fields {
			if s := &r.Fields[j]; s.Field == f.ID && (s.Due == 0 || s.Due > now) {
				if s.Envelope != nil { // whatever the schema says today
					t.record = nil
					return needsQuorum(c.Name + "." + f.Name)
				}
				t.stored[i] = s
			}
		}
	}
	return nil
}

// absent says that a record is not there, or why.
func (v *Vault) absent(ctx context.Context, subject bonded.ID, at string) error {
	n, err := v.store.Tombstoned(ctx, v.mark(subject))
	if err != nil {
		return err
	}
	if n != 0 {
		return &bonded.Error{Code: bonded.CodeErased, Field: at, Message: "the person was erased"}
	}
	return withheld(at)
}

func withheld(at string) error {
	return &bonded.Error{Code: bonded.CodeWithheld, Field: at, Message: "absent, or not yours"}
}

func erasing(at string) error {
	return &bonded.Error{Code: bonded.CodeErasing, Field: at, Message: "the person is being erased; nothing is read meanwhile"}
}

// expired reports whether the record's own time is over.
func (r *Record) expired(c *Collection, now int64) bool {
	if c.Retention.IsZero() || r.Due == 0 || r.Due > now {
		return false
	}
	return c.Retention.due(unix(r.Created)) <= now
}

// fieldsUnion returns the fields of all targets, each once, in the order
// first named.
func fieldsUnion(targets []target) []*Field {
	if len(targets) == 1 {
		return targets[0].fields
	}
	var all []*Field
	for i := range targets {
		for _, f := range targets[i].fields {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// subjectsOf returns the people whose records were found.
func subjectsOf(targets []target) []bonded.ID {
	ids := make([]bonded.ID, 0, len(targets))
	for i := range targets {
		if targets[i].record != nil {
			ids = append(ids, targets[i].record.Subject)
		}
	}
	return ids
}

// namedTargets returns the targets as the client wrote them.
func namedTargets(targets []target) []wire.Named {
	named := make([]wire.Named, len(targets))
	for i := range targets {
		it := targets[i].item
		if it.Subject != nil {
			named[i].Subject = it.Subject.String()
		}
		if it.Record != nil {
			named[i].Record = it.Record.String()
		}
		if it.Token != nil {
			named[i].Token = it.Token.String()
		}
		named[i].Fields = it.Fields
	}
	return named
}

// namedItems returns what is known of the targets, for the row of a refusal.
func (v *Vault) namedItems(targets []target) []wire.Item {
	var items []wire.Item
	for i := range targets {
		t := &targets[i]
		var it wire.Item
		switch {
		case t.record != nil:
			it.Subject, it.Record = t.record.Subject, t.record.ID
		case t.item.Subject != nil && t.item.Subject.Cell == v.cfg.Cell:
			it.Subject = t.item.Subject.ID
			if t.item.Record != nil && t.item.Record.Cell == v.cfg.Cell {
				it.Record = t.item.Record.ID
			}
		default:
			continue
		}
		for _, f := range t.fields {
			it.Fields = append(it.Fields, wire.FieldVersion{Name: f.Name})
		}
		items = append(items, it)
	}
	return items
}
