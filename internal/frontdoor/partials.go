package frontdoor

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/verify"
)

// PutPartials takes a custodian's partials of one page of items, in order. Each
// is verified; one that does not hold names its custodian in the ledger. A page
// that is in already changes nothing. Errors: at_fault for a partial that is
// not what its maker's share gives; not_witnessed before the opening is.
func (s *Service) PutPartials(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID, in *apitype.CasePartials) (*apitype.CasePartialsResult, error) {
	// 1. Who, and whether this is the time.
	q, c, r, err := s.read(ctx, call, id, s.now())
	if err != nil {
		return nil, err
	}
	name := custodianOf(call)
	if r.kind != readCustodian {
		return nil, withheld()
	}
	if c.Opening == 0 || c.Scope == nil || c.Package != nil {
		return nil, conflict("this case takes no partials now", "read it again")
	}
	o, err := s.opening(ctx, q, c)
	if err != nil {
		return nil, err
	}
	role, member, ok := s.custody.Load().custodian(name)
	if !ok {
		return nil, withheld()
	}

	// 2. The page: where the custodian stands.
	have, err := q.PartialsHave(c.row.ID, c.Round, name)
	if err != nil {
		return nil, err
	}
	n := len(in.Partials)
	switch {
	case n == 0 || n > apitype.MaxPartialPage || in.From < 0 || in.From+n > c.Scope.Items:
		return nil, invalid("partials", "a page has 1 to 256 partials, for items of the scope", "")
	case in.From+n <= have:
		return &apitype.CasePartialsResult{Have: have, Complete: have == c.Scope.Items}, nil
	case in.From != have:
		return nil, conflict("partials come in order: the next item is another one", "go on where have points to")
	}

	// 3. Each partial, against its envelope.
	envelopes, items, err := s.envelopes(ctx, q, c, in.From, n)
	if err != nil {
		return nil, err
	}
	err = each(n, func(i int) error {
		raw := in.Partials[i]
		if items[i].Envelope == ([32]byte{}) {
			if len(raw) > 0 {
				return invalid("partials", "a partial for an item without quorum fields", "")
			}
			return nil
		}
		p, err := quorum.ParsePartial(raw)
		if err != nil || p.Role != role || uint64(p.Index) != member.Index { //nolint:gosec // at most 32
			return invalid("partials", "not a partial of the custodian who sends it", "")
		}
		e, label, err := s.envelope(&items[i], envelopes[i])
		if err != nil {
			return err
		}
		return o.Verify(p, e, label)
	})
	if err != nil {
		return nil, s.blame(ctx, id, name, err)
	}

	// 4. Kept, and the release looked at again with the last of them.
	var w canon.Writer
	w.Uint(uint64(n)) //nolint:gosec // at most 256
	for _, raw := range in.Partials {
		w.Bytes(raw)
	}
	round := c.Round
	err = s.change(ctx, id, s.now(), func(st *step) error {
		if st.c.Round != round || st.c.Package != nil {
			return conflict("this case takes no partials now", "read it again")
		}
		err := st.q.AddPartials(st.c.row.ID, round, &frontdoorsql.Partials{Custodian: name, Start: in.From, Count: n, Body: w.B})
		if frontdoorsql.IsTaken(err) {
			return nil
		}
		if err == nil && in.From+n == st.c.Scope.Items {
			err = st.again(workRelease)
		}
		return err
	})
	return &apitype.CasePartialsResult{Have: in.From + n, Complete: in.From+n == c.Scope.Items}, err
}

// each calls do with 0 to n-1 on all processors, and returns the error of the
// lowest.
func each(n int, do func(i int) error) error { return eachOf(n, runtime.GOMAXPROCS(0), do) }

// eachOf calls do with 0 to n-1, so many at once, and returns the error of the
// lowest.
func eachOf(n, atOnce int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, atOnce) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		})
	}
	group.Wait()
	return firstErr(errs...)
}

// blame enters that a custodian gave a partial that is not of its share, once
// in a case, and returns the error: whoever lies again and again does not keep
// the entries of others waiting.
func (s *Service) blame(ctx context.Context, id bonded.CaseID, name string, err error) error {
	if bonded.CodeOf(err) != bonded.CodeAtFault {
		return err
	}
	if cerr := s.change(ctx, id, s.now(), func(st *step) error {
		detail := "partial_refused: custodian " + name
		rows, err := st.q.Entries(st.c.row.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(rows, func(e frontdoorsql.Entry) bool { return e.Event == verify.EventAlarm && e.Detail == detail }) {
			return nil
		}
		return st.note(verify.EventAlarm, detail, &act{by: rules.RoleVaultkeeper})
	}); cerr != nil {
		return cerr
	}
	return err
}

// opening returns what checks partials of the case; code not_witnessed until
// its entry is.
func (s *Service) opening(ctx context.Context, q frontdoorsql.Q, c *kase) (*quorum.Opening, error) {
	now := s.custody.Load()
	if now == nil || now.custodians.Epoch != c.Scope.Epoch {
		return nil, &bonded.Error{Code: bonded.CodeStaleShare, Message: "the scope was approved by custodians who have handed on since", Hint: "the case is delivered without what they would have opened"}
	}
	placed, err := s.placed(ctx, c.Opening, notWitnessed("the opening is entered and not witnessed yet"))
	if err != nil {
		return nil, err
	}
	f, err := s.file(q, c)
	if err != nil {
		return nil, err
	}
	key, err := recipient.Parse(f.request.Recipient)
	if err != nil {
		return nil, altered("recipient key", err)
	}
	return quorum.NewOpening(now.keys, key.Release(c.row.ID, placed.Leaf))
}

// envelopes returns n scope items from an index on, with their envelopes; none
// where there are no quorum fields.
func (s *Service) envelopes(ctx context.Context, q frontdoorsql.Q, c *kase, from, n int) ([][]byte, []verify.ScopeItem, error) {
	var items []verify.ScopeItem
	for page := from / scopePage; page*scopePage < from+n; page++ {
		all, err := s.scopeItems(q, c.row.ID, c.Round, page)
		if err != nil {
			return nil, nil, err
		}
		lo, hi := max(0, from-page*scopePage), min(len(all), from+n-page*scopePage)
		if lo > hi {
			return nil, nil, altered("scope", nil)
		}
		items = append(items, all[lo:hi]...)
	}
	if len(items) != n {
		return nil, nil, altered("scope", nil)
	}
	out := make([][]byte, n)
	if c.Scope.Sealed == 0 {
		return out, items, nil
	}
	err := s.cfg.Records.Envelopes(ctx, items, 0, func(i int, envelope []byte) error {
		if i < 0 || i >= n || verify.EnvelopeHash(envelope) != items[i].Envelope {
			return bonded.Errorf(bonded.CodeInternal, "the vault gave another envelope than the one in the scope")
		}
		out[i] = envelope
		return nil
	})
	return out, items, err
}

// envelope reads an envelope and returns what it is bound to.
func (s *Service) envelope(it *verify.ScopeItem, raw []byte) (*quorum.Envelope, []byte, error) {
	e, err := quorum.ParseEnvelope(raw)
	if err != nil {
		return nil, nil, err
	}
	return e, verify.EnvelopeLabel(s.cfg.Cell, it.Collection, it.Record, e.ReleaseKey()), nil
}

// partialsOf returns the partials of the items [from, from+n), item by item.
func (s *Service) partialsOf(q frontdoorsql.Q, c *kase, from, n int) ([][]*quorum.Partial, error) {
	pages, err := q.PartialsOver(c.row.ID, c.Round, from, from+n)
	if err != nil {
		return nil, err
	}
	out := make([][]*quorum.Partial, n)
	for i := range pages {
		r := canon.NewReader(pages[i].Body)
		for j := range r.Count(apitype.MaxPartialPage) {
			raw := r.Bytes(quorum.MaxPartialSize)
			at := pages[i].Start + j - from
			if len(raw) == 0 || at < 0 || at >= n {
				continue
			}
			p, err := quorum.ParsePartial(raw)
			if err != nil {
				return nil, altered("partial", err)
			}
			out[at] = append(out[at], p)
		}
		if r.Done() != nil {
			return nil, altered("partials", nil)
		}
	}
	return out, nil
}

// partialsIn reports whether in every role enough custodians have covered the
// whole scope.
func (s *Service) partialsIn(q frontdoorsql.Q, c *kase, now *custody) (bool, error) {
	for _, role := range now.custodians.Roles {
		done := 0
		for _, m := range role.Members {
			have, err := q.PartialsHave(c.row.ID, c.Round, m.ID)
			if err != nil {
				return false, err
			}
			if have == c.Scope.Items {
				done++
			}
		}
		if done < role.Threshold {
			return false, nil
		}
	}
	return true, nil
}
