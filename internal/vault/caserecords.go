package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/handover"
	"bonded/internal/wire"
	"bonded/verify"
)

var _ handover.Records = caseRecords{}

// Schema implements [handover.Records].
func (r caseRecords) Schema(collection string) (map[string]handover.Field, bool) {
	c := r.v.cfg.Schema.Collections[collection]
	if c == nil {
		return nil, false
	}
	fields := make(map[string]handover.Field, len(c.Fields))
	for n, f := range c.Fields {
		fields[n] = handover.Field{Class: string(f.Class), Custody: custodyOf(f.Custody == CustodyQuorum), Indexed: f.Indexed()}
	}
	return fields, true
}

func custodyOf(quorum bool) verify.Custody {
	if quorum {
		return verify.CustodyQuorum
	}
	return verify.CustodyTwoLock
}

// Resolve implements [handover.Records].
func (r caseRecords) Resolve(ctx context.Context, id bonded.CaseID, targets []handover.Target, limit int) ([]handover.Match, error) {
	call, err := r.v.caseCall(id, purposeFrontDoor)
	if err != nil {
		return nil, err
	}
	var matches []handover.Match
	people := make(map[bonded.ID]bool)
	byID := make(map[string][]wire.Item) // looked up by id, by collection
	for i := range targets {
		t := &targets[i]
		c := r.v.cfg.Schema.Collections[t.Collection]
		if c == nil {
			return nil, &bonded.Error{Code: bonded.CodeUnknownCollection, Field: "collection", Message: "no such collection in this cell"}
		}
		found, field, err := r.find(ctx, call, c, t, limit)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if !people[p.Subject] {
				if len(people) >= limit {
					break
				}
				people[p.Subject] = true
			}
			matches = append(matches, handover.Match{Task: t.Task, Target: i, Subject: p.Subject, Record: p.Record, Field: field})
			if field == "" {
				byID[c.Name] = append(byID[c.Name], wire.Item{Subject: p.Subject, Record: p.Record})
			}
		}
		if field == "" && len(found) == 0 {
			byID[c.Name] = append(byID[c.Name], []wire.Item{}...) // asked for, and nobody there: a row without items
		}
	}
	for _, name := range sortedNames(byID) {
		if err := r.v.enterCase(ctx, call, verify.OpList, name, "targets by id", byID[name], nil); err != nil {
			return nil, err
		}
	}
	return matches, nil
}

// find returns where one target leads: by an id, or by the value of an indexed
// field, which is an entered search.
func (r caseRecords) find(ctx context.Context, call *Call, c *Collection, t *handover.Target, limit int) (found []Place, field string, err error) {
	bad := func(err error) ([]Place, string, error) { return nil, "", err }
	switch t.Format {
	case "subject":
		id, err := bonded.ParseSubjectID(t.Value)
		if err != nil || id.Cell != r.v.cfg.Cell {
			return nil, "", nil //nolint:nilerr // nobody of this cell: no match
		}
		records, err := r.v.store.Records(ctx, id.ID)
		if err != nil {
			return bad(err)
		}
		for _, rec := range records {
			if rec.Collection == c.ID {
				found = append(found, Place{N: rec.N, Subject: rec.Subject, Record: rec.ID})
			}
		}
	case "record":
		id, err := bonded.ParseRecordID(t.Value)
		if err != nil || id.Cell != r.v.cfg.Cell {
			return nil, "", nil //nolint:nilerr // as above
		}
		if found, err = r.v.store.PlacesOf(ctx, c.ID, id.ID); err != nil {
			return bad(err)
		}
	case "token":
		id, err := bonded.ParseToken(t.Value)
		if err != nil || id.Cell != r.v.cfg.Cell {
			return nil, "", nil //nolint:nilerr // as above
		}
		row, err := r.v.store.Token(ctx, id.ID)
		if err != nil {
			return bad(err)
		}
		if row != nil && row.Collection == c.ID {
			found = append(found, Place{Subject: row.Subject, Record: row.Record})
		}
	default:
		return r.search(ctx, call, c, t, limit)
	}
	found, err = r.there(ctx, c, found)
	return found, "", err
}

// search looks a value up: one opening, booked vault-resolved.
func (r caseRecords) search(ctx context.Context, call *Call, c *Collection, t *handover.Target, limit int) ([]Place, string, error) {
	one := *call
	one.RequestID = bonded.NewID()
	where := map[string]string{t.Format: t.Value}
	s, err := r.v.beginFind(&one, c.Name, where)
	if err != nil {
		return nil, "", err
	}
	conditions, err := r.v.enterFind(ctx, s, where)
	if err != nil {
		return nil, "", err
	}
	found, err := r.v.store.Find(ctx, conditions, uint64(c.ID)<<40, limit)
	if err != nil {
		return nil, "", err
	}
	held, err := r.v.store.FindHeld(ctx, conditions, limit)
	if err != nil {
		return nil, "", err
	}
	found, err = r.there(ctx, c, append(found, held...))
	return found, t.Format, err
}

// there returns the places whose person is here, or is kept here by a hold.
func (r caseRecords) there(ctx context.Context, c *Collection, places []Place) ([]Place, error) {
	keys := make([]Key, len(places))
	for i, p := range places {
		keys[i] = Key{Collection: c.ID, Subject: p.Subject, Record: p.Record}
	}
	var out []Place
	for i, l := range r.v.store.Lookup(ctx, keys) {
		if l.Err != nil {
			return nil, l.Err
		}
		ok, _, err := r.open(ctx, c, l.Record)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, places[i])
		}
	}
	return out, nil
}

// open reports whether a case may see a record, and whether a hold keeps it: a
// record of somebody who is being erased, or whose time is over, is there for
// whoever kept it from that, and for nobody else.
func (r caseRecords) open(ctx context.Context, c *Collection, rec *Record) (ok, held bool, err error) {
	if rec == nil {
		return false, false, nil
	}
	if held, err = r.v.store.Held(ctx, rec.Subject); err != nil || held {
		return held, held, err
	}
	return rec.State == StateActive && !rec.expired(c, r.v.now().Unix()), false, nil
}

// Snapshot implements [handover.Records]. A record whose quorum fields were
// written at different times has several envelopes, and an item for each.
func (r caseRecords) Snapshot(ctx context.Context, id bonded.CaseID, wants []handover.Want) ([]verify.ScopeItem, error) {
	call, err := r.v.caseCall(id, purposeFrontDoor)
	if err != nil {
		return nil, err
	}
	var items []verify.ScopeItem
	seen := make(map[string][]wire.Item)
	for i := range wants {
		w := &wants[i]
		c := r.v.cfg.Schema.Collections[w.Collection]
		if c == nil {
			return nil, &bonded.Error{Code: bonded.CodeUnknownCollection, Field: "collection", Message: "no such collection in this cell"}
		}
		rec, err := r.v.store.Record(ctx, c.ID, w.Subject, w.Record)
		if err != nil {
			return nil, err
		}
		ok, held, err := r.open(ctx, c, rec)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		its, err := r.items(c, rec, w, held)
		if err != nil {
			return nil, err
		}
		items = append(items, its...)
		for j := range its {
			seen[c.Name] = append(seen[c.Name], scopeWireItem(&its[j]))
		}
	}
	for _, name := range sortedNames(seen) {
		if err := r.v.enterCase(ctx, call, verify.OpList, name, "versions for the scope", seen[name], nil); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// items returns the scope items of one record: the first has its two-lock fields
// and those of its first envelope.
func (r caseRecords) items(c *Collection, rec *Record, w *handover.Want, held bool) ([]verify.ScopeItem, error) {
	names := slices.Clone(w.Fields)
	if w.Match != "" && !slices.Contains(names, w.Match) {
		names = append(names, w.Match)
	}
	fields, err := fieldsOf(c, names, "fields")
	if err != nil {
		return nil, err
	}
	now := r.v.now().Unix()
	var out []verify.ScopeItem
	var envelopes [][]byte // of each item of out, nil for none yet
	for _, f := range fields {
		i := slices.IndexFunc(rec.Fields, func(s StoredField) bool { return s.Field == f.ID })
		if i < 0 || !held && rec.Fields[i].Due != 0 && rec.Fields[i].Due <= now {
			continue
		}
		s := &rec.Fields[i]
		at := slices.IndexFunc(envelopes, func(e []byte) bool { return s.Envelope == nil || e == nil || bytes.Equal(e, s.Envelope) })
		if at < 0 {
			at = len(out)
			out = append(out, verify.ScopeItem{Task: uint32(max(w.Task, 0)), Subject: rec.Subject, Record: rec.ID, Collection: c.Name}) //nolint:gosec // a task of a request
			envelopes = append(envelopes, nil)
		}
		it := &out[at]
		if s.Envelope != nil && envelopes[at] == nil {
			envelopes[at], it.Envelope = s.Envelope, verify.EnvelopeHash(s.Envelope)
		}
		it.Fields = append(it.Fields, verify.ScopeField{Name: f.Name, Version: s.Version, Custody: custodyOf(s.Envelope != nil), Match: f.Name == w.Match})
	}
	return out, nil
}

func scopeWireItem(it *verify.ScopeItem) wire.Item {
	w := wire.Item{Subject: it.Subject, Record: it.Record, Fields: make([]wire.FieldVersion, len(it.Fields))}
	for i := range it.Fields {
		w.Fields[i] = wire.FieldVersion{Name: it.Fields[i].Name, Version: it.Fields[i].Version}
	}
	return w
}

// stored returns the fields of a scope item as they are stored; false if they
// are no longer those.
func (v *Vault) stored(c *Collection, rec *Record, it *verify.ScopeItem) ([]*StoredField, bool) {
	if rec == nil {
		return nil, false
	}
	out := make([]*StoredField, len(it.Fields))
	for i := range it.Fields {
		sf := &it.Fields[i]
		f := c.Fields[sf.Name]
		if f == nil {
			return nil, false
		}
		j := slices.IndexFunc(rec.Fields, func(s StoredField) bool { return s.Field == f.ID })
		if j < 0 || rec.Fields[j].Version != sf.Version {
			return nil, false
		}
		s := &rec.Fields[j]
		if sf.Custody != custodyOf(s.Envelope != nil) || s.Envelope != nil && verify.EnvelopeHash(s.Envelope) != it.Envelope {
			return nil, false
		}
		out[i] = s
	}
	return out, true
}

func envelopeOf(fields []*StoredField) []byte {
	for _, s := range fields {
		if s.Envelope != nil {
			return s.Envelope
		}
	}
	return nil
}

// lookup reads the records of scope items, in their order.
func (r caseRecords) lookup(ctx context.Context, items []verify.ScopeItem) ([]*Collection, []Loaded, error) {
	cs, keys := make([]*Collection, len(items)), make([]Key, len(items))
	for i := range items {
		it := &items[i]
		c := r.v.cfg.Schema.Collections[it.Collection]
		if c == nil {
			return nil, nil, &bonded.Error{Code: bonded.CodeUnknownCollection, Field: "collection", Message: "no such collection in this cell"}
		}
		cs[i], keys[i] = c, Key{Collection: c.ID, Subject: it.Subject, Record: it.Record}
	}
	return cs, r.v.store.Lookup(ctx, keys), nil
}

// Envelopes implements [handover.Records]. Envelopes are public: nothing is
// opened and nobody is looked up.
func (r caseRecords) Envelopes(ctx context.Context, items []verify.ScopeItem, from int, each func(i int, envelope []byte) error) error {
	const page = 256
	for at := 0; at < len(items); at += page {
		part := items[at:min(at+page, len(items))]
		cs, loaded, err := r.lookup(ctx, part)
		if err != nil {
			return err
		}
		for i := range part {
			if part[i].Envelope == ([32]byte{}) {
				continue
			}
			if loaded[i].Err != nil {
				return loaded[i].Err
			}
			fields, ok := r.v.stored(cs[i], loaded[i].Record, &part[i])
			if !ok {
				return &bonded.Error{Code: bonded.CodeConflict, Message: fmt.Sprintf("item %d of the scope is no longer stored at its version", from+at+i), Hint: "make the scope anew"}
			}
			if err := each(from+at+i, envelopeOf(fields)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Receipt implements [handover.Records].
func (r caseRecords) Receipt(ctx context.Context, entry string, subject bonded.ID) (json.RawMessage, error) {
	call, err := r.v.caseCall(bonded.CaseID{}, purposeFrontDoor)
	if err != nil {
		return nil, err
	}
	ref, ok := verify.ParseRowRef(entry)
	if !ok {
		return nil, &bonded.Error{Code: bonded.CodeBadID, Field: "entry", Message: "not the name of an entry"}
	}
	row, err := r.v.journal.RowByRef(ctx, ref)
	if err != nil {
		return nil, err
	}
	if row.Row.Principal != call.Grant.ID {
		return nil, withheld("entry")
	}
	var shown []int
	for i := range row.Row.Items {
		if row.Row.Items[i].Subject == subject {
			shown = append(shown, i)
		}
	}
	receipt, err := r.v.journal.Receipt(ctx, ref, shown)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(receipt)
	if err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	return b, r.v.enterCase(ctx, call, verify.OpReceipt, "", "entry "+entry, []wire.Item{{Subject: subject}}, nil)
}

// Contact implements [handover.Records].
func (r caseRecords) Contact(ctx context.Context, id bonded.CaseID, subject bonded.ID) (address, language string, err error) {
	where := r.v.cfg.Contact
	if where.Collection == "" || where.Address == "" {
		return "", "", nil
	}
	call, err := r.v.caseCall(id, purposeNotice)
	if err != nil {
		return "", "", err
	}
	fields := []string{where.Address}
	if where.Language != "" {
		fields = append(fields, where.Language)
	}
	s := r.v.subjectText(subject)
	res, err := r.v.Get(ctx, call, &apitype.GetRequest{Collection: where.Collection, GetItem: apitype.GetItem{Subject: &s, Fields: fields}})
	switch bonded.CodeOf(err) {
	case "":
	case bonded.CodeWithheld, bonded.CodeErased, bonded.CodeErasing:
		return "", "", nil // nobody to tell any more
	default:
		return "", "", err
	}
	text := func(name string) (s string) {
		if raw, ok := res.Values[name]; ok && json.Unmarshal(raw, &s) != nil {
			return string(raw)
		}
		return s
	}
	return text(where.Address), text(where.Language), nil
}
