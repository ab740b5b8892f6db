package keyholder

import (
	"bonded"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// Unlock serves one batch. What it returns is to be called once, beside other
// requests; Unlock itself is to be called in the order in which the batches of
// a node came. The keys in the result are the caller's to wipe.
//
// An error means that nothing was released: the keyholder is sealed, or its
// book cannot be written. Refusals of single entries and items are in the
// result, and in the book.
func (k *Keyholder) Unlock(u *wire.Unlock) func() (*wire.UnlockResult, error) {
	// 1. Outside the lock: fresh version ids, and keys of new subjects.
	fresh := prepare(u)

	// 2. Decide every entry, enter all of them, in order.
	k.mu.Lock()
	b, err := k.enter(u, fresh)
	k.mu.Unlock()
	if err != nil {
		for i := range fresh {
			fresh[i].wipe()
		}
		return func() (*wire.UnlockResult, error) { return nil, err }
	}
	return func() (*wire.UnlockResult, error) {
		k.inUse.RLock()
		defer k.inUse.RUnlock()
		if *b.keys.wiped {
			return nil, errLocked
		}
		// 3. Derive the keys while the book is being written.
		b.derive(k, u)

		// 4. Answer only when it is durable.
		if err := b.pending.wait(); err != nil {
			b.wipe()
			return nil, err
		}
		b.result.Head = b.keys.signHead(b.pending.head)
		return b.result, nil
	}
}

// fresh is what an item may need that takes time to make.
type freshItem struct {
	version bonded.ID
	key     seal.SubjectKey // of a new subject
}

func (f *freshItem) wipe() { f.key.Wipe() }

func prepare(u *wire.Unlock) []freshItem {
	n := 0
	for i := range u.Entries {
		n += len(u.Entries[i].Items)
	}
	fresh := make([]freshItem, 0, n)
	for i := range u.Entries {
		for j := range u.Entries[i].Items {
			var f freshItem
			it := &u.Entries[i].Items[j]
			for l := range it.Fields {
				if it.Fields[l].Version.IsZero() {
					f.version = bonded.NewID()
					break
				}
			}
			if it.Create {
				f.key = seal.NewSubjectKey()
			}
			fresh = append(fresh, f)
		}
	}
	return fresh
}

// A batch is an Unlock that has been entered.
type batch struct {
	keys    *keys
	pending *pending
	fresh   []freshItem
	result  *wire.UnlockResult
}

// enter decides and books a batch. The caller holds mu.
func (k *Keyholder) enter(u *wire.Unlock, fresh []freshItem) (*batch, error) {
	if err := k.ready(); err != nil {
		return nil, err
	}
	now := k.now()
	b := &batch{keys: k.keys, pending: k.begin(), fresh: fresh}
	b.result = &wire.UnlockResult{Entries: make([]wire.EntryResult, len(u.Entries))}
	p := b.pending
	s := k.state
	if at, had := s.streams[u.Node]; had {
		p.undo = append(p.undo, func() { s.streams[u.Node] = at })
	} else {
		p.undo = append(p.undo, func() { delete(s.streams, u.Node) })
	}

	at := 0
	for i := range u.Entries {
		e := &u.Entries[i]
		res := &b.result.Entries[i]
		res.Items = make([]wire.ItemResult, len(e.Items))
		r := k.decide(u, e, now)
		row := k.unlockRow(u, e, r)
		for j := range e.Items {
			k.enterItem(p, row, &e.Items[j], j, r, &res.Items[j], &fresh[at+j])
		}
		at += len(e.Items)
		res.Code, res.Rule = r.code, r.rule
		if r.code != "" {
			k.refused.Add(1)
		} else if s.released(row, &p.undo) {
			leaf := row.RowLeaf
			s.unanch.add(leaf, s.seq+1, int64(row.Time), k.fresh.next()) //nolint:gosec // milliseconds
			k.recent.add(leaf, int64(row.Time), k.cfg.Limits.Freshness)  //nolint:gosec // milliseconds
			p.undo = append(p.undo, func() { s.unanch.remove(leaf) })
			for j := range e.Items {
				res.Items[j].N = row.Items[j].N
			}
		}
		k.append(p, row)
	}
	k.enqueue(p)
	return b, nil
}

// unlockRow returns the book row of an entry, without its items.
func (k *Keyholder) unlockRow(u *wire.Unlock, e *wire.Entry, r ruling) *verify.BookRow {
	row := k.newRow(verify.BookUnlock)
	row.Row = verify.RowRef{Node: u.Node, Incarnation: u.Incarnation, Seq: e.Seq}
	row.RowLeaf, row.Operation = e.Leaf, e.Operation
	if _, err := verify.ParseOperation(e.Operation.String()); err != nil {
		row.Operation = verify.OpNone // the book holds only rows that can be read again
	}
	row.Principal, row.Assurance, row.Resolved = e.Auth.Principal, e.Auth.Assurance, e.Auth.Resolved
	row.Collection, row.Purpose, row.Reason, row.Basis = e.Collection, e.Purpose, e.Reason, e.Basis
	row.Digest, row.Policy = r.digest, k.trust.digest
	if r.code != "" {
		row.Outcome, row.Code, row.Detail = verify.OutcomeRefused, r.code, r.rule
	}
	row.Items = make([]verify.BookItem, len(e.Items))
	return row
}

// enterItem fills in item j of row and of the answer.
func (k *Keyholder) enterItem(p *pending, row *verify.BookRow, it *wire.Item, j int, r ruling, res *wire.ItemResult, f *freshItem) {
	bi := &row.Items[j]
	bi.Subject, bi.Record = it.Subject, it.Record
	bi.Code = r.code
	if bi.Code == "" {
		bi.Code = k.itemCode(it)
	}
	res.Code = bi.Code
	bi.Fields = make([]verify.BookField, len(it.Fields))
	for l := range it.Fields {
		v := it.Fields[l].Version
		if v.IsZero() && bi.Code == "" {
			v = f.version
		}
		bi.Fields[l] = verify.BookField{Name: it.Fields[l].Name, Version: v}
	}
	for l := range it.Index {
		bi.Index = append(bi.Index, it.Index[l].Field)
	}
	if bi.Code != "" {
		f.wipe()
		return
	}
	res.Version = f.version
	if it.Create {
		k.createSubject(p, it.Subject, f)
	}
}

// createSubject enters the key of a new subject. That the subject is there is
// known from then on; released counts it.
func (k *Keyholder) createSubject(p *pending, subject bonded.ID, f *freshItem) {
	wrapped, err := f.key.Wrap(k.keys.suite, k.keys.cell[k.keys.current], k.cfg.Cell, subject, k.keys.current)
	if err != nil {
		panic("keyholder: wrap under a valid cell key: " + err.Error()) // both keys were checked
	}
	w := WrappedKey{subject, k.keys.current, wrapped}
	p.commit.New = append(p.commit.New, w)
	k.cache.put(&w)
	k.state.live++
	s := k.state
	p.undo = append(p.undo, func() {
		s.live--
		k.cache.drop(subject)
	})
	s.subjects[subject] = subjectState{} // a second one in the same batch conflicts
	p.undo = append(p.undo, func() { delete(s.subjects, subject) })
}
