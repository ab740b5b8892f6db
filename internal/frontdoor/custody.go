package frontdoor

import (
	"context"
	"errors"
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/quorum"
	"bonded/verify"
)

// A custody is the custodians in force.
type custody struct {
	keys       *quorum.KeySet
	custodians *verify.Custodians
}

// loadCustody finds the newest key set whose certificate is witnessed.
func (s *Service) loadCustody(ctx context.Context) error {
	rows, err := s.store.Read(ctx).Custodies()
	if err != nil {
		return err
	}
	for i := range slices.Backward(rows) {
		placed, err := s.cfg.Book.Placed(ctx, rows[i].Book)
		if err != nil {
			return err
		}
		if placed == nil {
			continue
		}
		c, err := quorum.ParseCertificate(rows[i].Certificate)
		if err != nil {
			return altered("certificate of the custodians", err)
		}
		now := s.custody.Load()
		if now == nil || now.keys.Digest() != c.KeySet().Digest() {
			s.custody.Store(&custody{keys: c.KeySet(), custodians: c.KeySet().Custodians()})
		}
		return nil
	}
	return nil
}

// runCustody brings a certified key set into force once its certificate is
// witnessed: the node learns of the chain, and scopes that are before the old
// custodians are made anew.
func (s *Service) runCustody(ctx context.Context, w *frontdoorsql.Work) error {
	rows, err := s.store.Read(ctx).Custodies()
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return s.drop(ctx, w)
	}
	if _, err := s.placed(ctx, rows[len(rows)-1].Book, errLater); err != nil {
		return err
	}
	if s.cfg.Custody != nil {
		chain, err := s.Custody(ctx)
		if err != nil {
			return err
		}
		if err := s.cfg.Custody(ctx, chain); err != nil {
			return err
		}
	}
	if err := s.loadCustody(ctx); err != nil {
		return err
	}
	return s.store.Update(ctx, func(q frontdoorsql.Q) error {
		ids, err := q.CasesIn("awaiting_quorum", "under_review")
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := q.AddWork(&frontdoorsql.Work{Case: id, Kind: workScope, Due: s.now().Unix()}); err != nil {
				return err
			}
		}
		_, err = q.DropWork(w)
		return err
	})
}

// Custody returns the certificates of every key set that are witnessed, oldest
// first. Anyone may see them.
func (s *Service) Custody(ctx context.Context) (*apitype.CustodyChain, error) {
	q := s.store.Read(ctx)
	rows, err := q.Custodies()
	if err != nil {
		return nil, err
	}
	out := &apitype.CustodyChain{Certificates: []apitype.CustodyLink{}}
	for i := range rows {
		placed, err := s.cfg.Book.Placed(ctx, rows[i].Book)
		if err != nil {
			return nil, err
		}
		if placed == nil {
			break
		}
		link := apitype.CustodyLink{Certificate: rows[i].Certificate, Opening: placed.Opening, Proof: string(placed.Proof)}
		if i == 0 {
			if link.Order, err = s.firstOrder(q, rows[i].Certificate); err != nil {
				return nil, err
			}
		}
		out.Certificates = append(out.Certificates, link)
	}
	return out, nil
}

// custodian returns a custodian of the key set in force by id.
func (c *custody) custodian(id string) (role string, member verify.Custodian, ok bool) {
	if c == nil {
		return "", verify.Custodian{}, false
	}
	for _, r := range c.custodians.Roles {
		for _, m := range r.Members {
			if m.ID == id {
				return r.Name, m, true
			}
		}
	}
	return "", verify.Custodian{}, false
}

// errLater says that work is to be looked at again soon: nothing is wrong.
var errLater = errors.New("not yet")

// isLater reports whether err says that something is not ready yet.
func isLater(err error) bool {
	code := bonded.CodeOf(err)
	return errors.Is(err, errLater) || code == bonded.CodeBusy || code == bonded.CodeStale || code == bonded.CodeKeyholder || code == bonded.CodeSealed
}
