package keyholder

import (
	"bonded"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// Release serves one row of the front door: keys of items of a case, sealed to
// its requester, under a quorum of custodians. It keeps order as
// [Keyholder.Unlock] does, and what it returns is to be called once, beside
// other requests. The vault can read nothing of what it passes on.
//
// An error means that nothing was released. Refusals are in the result and in
// the book, each with its rule.
func (k *Keyholder) Release(x *wire.Release) func() (*wire.ReleaseResult, error) {
	for {
		k.mu.Lock()
		t, c, err := k.trust, k.custody, k.ready()
		k.mu.Unlock()
		if err != nil {
			return func() (*wire.ReleaseResult, error) { return nil, err }
		}
		// 1. Outside the lock: everything the vault shows, by itself.
		seen := openCertificate(x, t, c)

		// 2. Decide and enter, in order.
		k.mu.Lock()
		if k.trust != t || k.custody != c { // changed meanwhile: look again
			k.mu.Unlock()
			continue
		}
		d, err := k.enterRelease(x, seen)
		k.mu.Unlock()
		if err != nil {
			return func() (*wire.ReleaseResult, error) { return nil, err }
		}
		return func() (*wire.ReleaseResult, error) {
			k.inUse.RLock()
			defer k.inUse.RUnlock()
			if *d.keys.wiped {
				return nil, errLocked
			}
			// 3. Derive and seal while the book is being written.
			if d.result.Code == "" {
				d.seal(k)
			}

			// 4. Answer only when it is durable.
			if err := d.pending.wait(); err != nil {
				return nil, err
			}
			d.result.Head = d.keys.signHead(d.pending.head)
			return d.result, nil
		}
	}
}

// A disclosure is a release that has been entered.
type disclosure struct {
	keys    *keys
	pending *pending
	seen    *certificateSeen
	result  *wire.ReleaseResult
}

// enterRelease decides and books a release. The caller holds mu.
func (k *Keyholder) enterRelease(x *wire.Release, seen *certificateSeen) (*disclosure, error) {
	if err := k.ready(); err != nil {
		return nil, err
	}
	d := &disclosure{keys: k.keys, pending: k.begin(), seen: seen}
	d.result = &wire.ReleaseResult{Items: make([]wire.SealedItem, len(seen.items))}
	p, s := d.pending, k.state
	if at, had := s.streams[x.Node]; had {
		p.undo = append(p.undo, func() { s.streams[x.Node] = at })
	} else {
		p.undo = append(p.undo, func() { delete(s.streams, x.Node) })
	}

	r := k.decideRelease(x, seen)
	row := k.releaseRow(x, seen, r)
	d.result.Code, d.result.Rule = r.code, r.rule
	if r.code != "" {
		k.refused.Add(1)
	} else if s.released(row, &p.undo) {
		s.unanch.add(x.Leaf, s.seq+1, int64(row.Time), k.fresh.next()) //nolint:gosec // milliseconds
		k.recent.add(x.Leaf, int64(row.Time), k.cfg.Limits.Freshness)  //nolint:gosec // milliseconds
		p.undo = append(p.undo, func() { s.unanch.remove(x.Leaf) })
	}
	for j := range row.Items {
		d.result.Items[j].Code, d.result.Items[j].N = row.Items[j].Code, row.Items[j].N
	}
	k.append(p, row)
	k.enqueue(p)
	return d, nil
}

// releaseRow returns the book row of a release.
func (k *Keyholder) releaseRow(x *wire.Release, seen *certificateSeen, r ruling) *verify.BookRow {
	row := k.newRow(verify.BookUnlock)
	row.Row = verify.RowRef{Node: x.Node, Incarnation: x.Incarnation, Seq: x.Seq}
	row.RowLeaf, row.Operation = x.Leaf, verify.OpDisclose
	row.Principal, row.Assurance = x.Principal, verify.AssuranceCase
	row.Purpose, row.Policy = x.Purpose, k.trust.digest
	if seen.scope != nil {
		row.Basis, row.Digest = bonded.CaseID{Cell: seen.scope.Cell, ID: seen.scope.Case}.String(), seen.digest
	}
	if r.code != "" {
		row.Outcome, row.Code, row.Detail = verify.OutcomeRefused, r.code, r.rule
	}
	row.Items = make([]verify.BookItem, len(seen.items))
	for j, it := range seen.items {
		bi := &row.Items[j]
		row.Collection, bi.Subject, bi.Record = it.Collection, it.Subject, it.Record
		if bi.Code = r.code; bi.Code == "" {
			bi.Code = k.itemCode(&wire.Item{Subject: it.Subject})
		}
		bi.Fields = make([]verify.BookField, len(it.Fields))
		for l := range it.Fields {
			bi.Fields[l] = verify.BookField{Name: it.Fields[l].Name, Version: it.Fields[l].Version}
		}
	}
	return row
}

// seal derives the field keys of every item that was not refused and seals
// them to the recipient. An item that cannot be sealed gets a code: the book
// counts it as released, which errs on the right side.
func (d *disclosure) seal(k *Keyholder) {
	info := verify.ReleaseInfo(bonded.CaseID{Cell: k.cfg.Cell, ID: d.seen.scope.Case}, d.seen.digest)
	for j, it := range d.seen.items {
		res := &d.result.Items[j]
		if res.Code != "" {
			continue
		}
		var plain []byte
		if plain, res.Code = d.fieldKeys(k, it); res.Code != "" {
			continue
		}
		hash := d.seen.hashes[j]
		sealed, err := seal.SealTo(d.seen.recipient, info, hash[:], plain)
		clear(plain)
		if err != nil {
			res.Code = bonded.CodeInternal
			continue
		}
		res.Sealed = sealed
	}
}

// fieldKeys returns the field keys of an item, one after the other. The caller
// wipes them.
func (d *disclosure) fieldKeys(k *Keyholder, it *verify.ScopeItem) ([]byte, bonded.Code) {
	sk, code := k.subjectKey(d.keys, it.Subject)
	if code != "" {
		return nil, code
	}
	defer sk.Wipe()
	out := make([]byte, 0, seal.KeySize*len(it.Fields))
	var vk seal.VersionKey
	defer func() { vk.Wipe() }()
	var of bonded.ID
	for l := range it.Fields {
		if v := it.Fields[l].Version; v != of {
			vk.Wipe()
			vk, of = sk.VersionKey(d.keys.suite, k.cfg.Cell, it.Collection, it.Record, v), v
		}
		fk := vk.FieldKey(it.Fields[l].Name)
		raw := fk.Bytes()
		out = append(out, raw...)
		clear(raw)
		fk.Wipe()
	}
	return out, ""
}
