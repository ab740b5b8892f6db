package frontdoor

import (
	"context"
	"encoding/json"
	"time"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/handover"
	"bonded/verify"
)

// maxReleased is the most bytes of one item that was released.
const maxReleased = verify.MaxPackageItem

// unanswered says why the quorum fields of a case stay shut though it was
// approved, empty while they do not: the custodians who approved have handed
// on, or they let half of the time pass that there was between the witnessed
// opening and the end of the scope. The other half is for the officer to fetch
// what there is.
func (s *Service) unanswered(c *kase, opened time.Time) bonded.Code {
	if c.Scope.Sealed == 0 {
		return ""
	}
	if now := s.custody.Load(); now == nil || now.custodians.Epoch != c.Scope.Epoch {
		return bonded.CodeStaleShare
	}
	if until := time.Unix(c.Scope.Expires, 0); s.now().After(opened.Add(until.Sub(opened) / 2)) {
		return bonded.CodeBelowQuorum
	}
	return ""
}

// runRelease takes a case from its entered opening to its delivery. Every step
// is found done or not done, so that it goes on wherever it was cut off:
//
//  1. the opening is witnessed;
//  2. of quorum fields, partials of a quorum are in, each verified, or it is
//     sure that none will come;
//  3. page by page, the vault and the keyholder release: each page once in the
//     tables, though each asking is an opening of its own in both books;
//  4. the package is written and moved into place;
//  5. one commit: delivered.
func (s *Service) runRelease(ctx context.Context, w *frontdoorsql.Work) error {
	q, c, err := s.workCase(ctx, w)
	if err != nil {
		return err
	}
	if c.Opening == 0 || c.Scope == nil || c.Package != nil {
		return s.drop(ctx, w)
	}

	// 1.
	placed, err := s.placed(ctx, c.Opening, errLater)
	if err != nil {
		return err
	}

	// 2.
	shut := bonded.Code("")
	if c.Scope.Sealed > 0 {
		now := s.custody.Load()
		in := false
		if now != nil && now.custodians.Epoch == c.Scope.Epoch {
			if in, err = s.partialsIn(q, c, now); err != nil {
				return err
			}
		}
		if !in {
			if shut = s.unanswered(c, placed.Witnessed); shut == "" {
				return errLater
			}
		}
	}

	// 3.
	ev, err := s.evidence(ctx, q, c, placed)
	if err != nil {
		return err
	}
	cert, err := ev.certificate(c)
	if err != nil {
		return err
	}
	for page := 0; page*scopePage < c.Scope.Items; page++ {
		done, err := q.Released(c.row.ID, c.Round, page)
		if err != nil {
			return err
		}
		if done != nil {
			continue
		}
		if err := s.releasePage(ctx, q, c, cert, page); err != nil {
			return err
		}
	}

	// 4.
	made, err := s.writePackage(ctx, q, c, ev, shut)
	if err != nil {
		return err
	}

	// 5.
	return s.change(ctx, c.id, s.now(), func(st *step) error {
		if st.c.Package != nil {
			return st.done(w)
		}
		return st.deliver(made, w)
	})
}

// An evidence is what shows that a case was approved and its opening entered:
// the keyholder is shown it, and the package holds it.
type evidence struct {
	file      *file
	hashes    [][32]byte // of the items of the scope
	approvals [][]byte
	quorum    *Placed // the entry that put the scope before the custodians
	opening   *Placed
}

func (s *Service) evidence(ctx context.Context, q frontdoorsql.Q, c *kase, opening *Placed) (*evidence, error) {
	put, err := s.placed(ctx, c.Scope.Entry, errLater)
	if err != nil {
		return nil, err
	}
	ev := &evidence{quorum: put, opening: opening}
	if ev.approvals, err = s.approvals(q, c); err != nil {
		return nil, err
	}
	if ev.file, err = s.file(q, c); err != nil {
		return nil, err
	}
	ev.hashes, err = s.itemHashes(q, c)
	return ev, err
}

// certificate is what the keyholder must be shown.
func (ev *evidence) certificate(c *kase) (*handover.Certificate, error) {
	shown, err := json.Marshal(ev.opening.Opening)
	if err != nil {
		return nil, err
	}
	return &handover.Certificate{
		Case: c.id, ScopeHead: c.Scope.Head, ItemHashes: ev.hashes, Approvals: ev.approvals, QuorumLeaf: ev.quorum.Leaf,
		Opening: shown, Proof: ev.opening.Proof, Recipient: ev.file.request.Recipient,
	}, nil
}

// releasePage has one page released and keeps what comes: ciphertext, and keys
// sealed to the requester.
func (s *Service) releasePage(ctx context.Context, q frontdoorsql.Q, c *kase, cert *handover.Certificate, page int) error {
	items, err := s.scopeItems(q, c.row.ID, c.Round, page)
	if err != nil {
		return err
	}
	got := make([]*handover.Released, len(items))
	from := page * scopePage
	err = s.cfg.Records.Release(ctx, cert, from, items, func(r handover.Released) error {
		if r.Index < from || r.Index >= from+len(items) || string(r.Item) != string(verify.EncodeScopeItem(&items[r.Index-from])) {
			return bonded.Errorf(bonded.CodeInternal, "the vault released what is not in the scope")
		}
		got[r.Index-from] = &r
		return nil
	})
	if err != nil {
		return err
	}
	opened := 0
	var w canon.Writer
	w.Uint(uint64(len(items)))
	for i, r := range got {
		if r == nil {
			return bonded.Errorf(bonded.CodeInternal, "the vault left out an item of the scope")
		}
		it := &verify.PackageItem{Index: from + i, Item: r.Item, Code: r.Code, Row: r.Entry, Ciphertexts: r.Ciphertexts, Sealed: r.Sealed, Envelope: r.Envelope}
		if r.Code != "" {
			it.Ciphertexts, it.Sealed, it.Envelope = nil, nil, nil
		} else {
			opened++
		}
		w.Bytes(encodeReleased(it))
	}
	return s.store.Update(ctx, func(q frontdoorsql.Q) error { return q.PutReleased(c.row.ID, c.Round, page, opened, w.B) })
}

// releasedPage calls each with every item of a page that was released.
func (s *Service) releasedPage(q frontdoorsql.Q, c *kase, page int, each func(*verify.PackageItem) error) error {
	b, err := q.Released(c.row.ID, c.Round, page)
	if err != nil {
		return err
	}
	if b == nil {
		return altered("release", nil)
	}
	r := canon.NewReader(b)
	for range r.Count(scopePage) {
		raw := r.Bytes(maxReleased)
		if r.Bad() {
			break
		}
		it, err := decodeReleased(raw)
		if err != nil {
			return err
		}
		if err := each(it); err != nil {
			return err
		}
	}
	if r.Done() != nil {
		return altered("release", nil)
	}
	return nil
}

// deliver ends the opening: the package is there.
func (st *step) deliver(made *made, w *frontdoorsql.Work) error {
	c := st.c
	c.Package, c.Outcome = &made.pack, made.outcome
	a := &act{by: rules.RoleKeyholder, event: verify.EventDelivery, detail: made.outcome, sum: made.digest, proof: true}

	// 1. The entry: to delivered, or, of an emergency, which waits for its
	// paper, as an event of its own.
	var err error
	if c.state == rules.StateOpening {
		err = st.move(rules.StateDelivered, a)
	} else {
		st.tasks(rules.TaskDelivered, rules.TaskOpened)
		err = st.note(verify.EventDelivery, made.outcome, a)
	}
	if err != nil {
		return err
	}

	// 2. What follows: new versions, so that the keys released open nothing that
	// is stored; the end of the package; whoever is to be told; the hold of a
	// case that this one produced from.
	if err := st.done(w); err != nil {
		return err
	}
	if err := st.work(workReseal, "", st.now, nil); err != nil {
		return err
	}
	if err := st.work(workExpire, "", c.Package.Expires, nil); err != nil {
		return err
	}
	if err := st.produced(); err != nil {
		return err
	}
	return st.tellLater()
}

// runReseal has the vault write the records of a delivered case anew.
func (s *Service) runReseal(ctx context.Context, w *frontdoorsql.Work) error {
	q, c, err := s.workCase(ctx, w)
	if err != nil {
		return err
	}
	for page := 0; page*scopePage < c.Scope.Items; page++ {
		items, err := s.scopeItems(q, c.row.ID, c.Round, page)
		if err != nil {
			return err
		}
		if err := s.cfg.Records.Reseal(ctx, c.id, items); err != nil {
			return err
		}
	}
	return s.change(ctx, c.id, s.now(), func(st *step) error {
		st.c.Resealed = true
		return st.done(w)
	})
}
