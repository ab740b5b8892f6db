package vault

import (
	"context"

	"bonded"
	"bonded/verify"
)

// Reseal implements [handover.Records]: it works as the re-seal of a collection
// does, under the grant for background work and with the case as its basis. The
// outer seal alone is new; what is inside in custody of a quorum stays.
func (r caseRecords) Reseal(ctx context.Context, id bonded.CaseID, items []verify.ScopeItem) error {
	g := r.v.jobGrant()
	if g == nil {
		return bonded.Errorf(bonded.CodeConfig, "the vault has no grant for background work")
	}
	if err := r.v.sameCell(id.Cell, "case"); err != nil {
		return err
	}
	byCollection := make(map[string][]verify.ScopeItem)
	for i := range items {
		byCollection[items[i].Collection] = append(byCollection[items[i].Collection], items[i])
	}
	for _, name := range sortedNames(byCollection) {
		its := byCollection[name]
		for at := 0; at < len(its); at += resealBatch {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := r.resealSome(ctx, id, its[at:min(at+resealBatch, len(its))]); err != nil {
				return err
			}
		}
	}
	return nil
}

// resealSome re-seals the records of items of one collection that still hold a
// version which was released.
func (r caseRecords) resealSome(ctx context.Context, id bonded.CaseID, items []verify.ScopeItem) error {
	cs, loaded, err := r.lookup(ctx, items)
	if err != nil {
		return err
	}
	c := cs[0]
	var records []*Record
	seen := make(map[bonded.ID]bool)
	for i := range items {
		rec := loaded[i].Record
		if loaded[i].Err != nil {
			return loaded[i].Err
		}
		if rec == nil || seen[rec.ID] || !holdsAny(c, rec, &items[i]) {
			continue
		}
		seen[rec.ID] = true
		records = append(records, rec)
	}
	for len(records) > 0 {
		n := r.v.fitting(records, resealBatch, 2) // the old key and the new one of each field
		if err := r.resealRecords(id, c, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// holdsAny reports whether a record still holds a version of an item.
func holdsAny(c *Collection, rec *Record, it *verify.ScopeItem) bool {
	for i := range it.Fields {
		f := c.Fields[it.Fields[i].Name]
		for j := range rec.Fields {
			if s := &rec.Fields[j]; f != nil && s.Field == f.ID && s.Version == it.Fields[i].Version {
				return true
			}
		}
	}
	return false
}

func (r caseRecords) resealRecords(id bonded.CaseID, c *Collection, records []*Record) error {
	g := r.v.jobGrant()
	if g == nil {
		return bonded.Errorf(bonded.CodeConfig, "the vault has no grant for background work")
	}
	call := r.v.jobCall(g, bonded.NewID())
	call.Why.Basis = id.String()
	d, err := r.v.decide(call, verify.OpReseal, c, c.byID)
	if err != nil {
		return r.v.refused(call, verify.OpReseal, c.Name, nil, err)
	}
	widest := 0
	for _, rec := range records {
		widest = max(widest, len(rec.Fields))
	}
	for from := 0; from < widest; from += resealFields {
		a := r.v.newAsk(call, verify.OpReseal, c, d)
		a.job, a.resolved = id.ID, true
		if err := r.v.resealPart(a, c, records, from, func(Tx) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
