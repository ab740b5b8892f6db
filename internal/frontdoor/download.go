package frontdoor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// encodeReleased writes an item as it is kept until the package holds it.
func encodeReleased(it *verify.PackageItem) []byte {
	var w canon.Writer
	w.Uint(uint64(it.Index)) //nolint:gosec // counted from 0
	w.Bytes(it.Item)
	w.String(string(it.Code))
	w.String(it.Row)
	w.Uint(uint64(len(it.Ciphertexts)))
	for _, c := range it.Ciphertexts {
		w.Bytes(c)
	}
	w.Bytes(it.Sealed)
	w.Bytes(it.Envelope)
	return w.B
}

func decodeReleased(b []byte) (*verify.PackageItem, error) {
	r := canon.NewReader(b)
	it := &verify.PackageItem{Index: r.Count(verify.MaxScopeItems), Item: r.Bytes(16 << 10), Code: bonded.Code(r.String(64)), Row: r.String(64)}
	for range r.Count(verify.MaxScopeFields) {
		it.Ciphertexts = append(it.Ciphertexts, r.Bytes(verify.MaxPackageCiphertext))
	}
	it.Sealed, it.Envelope = r.Bytes(verify.MaxPackageSealed), r.Bytes(verify.MaxPackageEnvelope)
	if r.Done() != nil {
		return nil, altered("release", nil)
	}
	return it, nil
}

// Package opens the release package of a case for its officer, until it
// expires. That they have fetched it is noted: it counts as their receipt.
func (s *Service) Package(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID) (io.ReadCloser, int64, error) {
	q := s.store.Read(ctx)
	c, err := s.load(q, id)
	if err != nil {
		return nil, 0, err
	}
	now := s.now()
	if call.Person != c.row.Officer {
		return nil, 0, withheld()
	}
	if _, err := s.reader(q, c, call, now); err != nil {
		return nil, 0, err
	}
	agency, err := s.agency(q, c.row.Agency, now)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case c.Fraud || agency == nil || agency.Trust == trustSuspended:
		return nil, 0, forbidden("guard."+string(rules.GuardAgencyVerified), "the agency is suspended: it gets nothing until it is verified anew", "talk to intake")
	case c.Package == nil:
		return nil, 0, conflict("there is no package yet", "wait until the case is delivered")
	case c.Package.Gone || !now.Before(c.Package.Expires):
		return nil, 0, &bonded.Error{Code: bonded.CodeRefusedRequest, Rules: []string{string(rules.RejectExpired)}, Message: "the package has expired and is gone", Hint: "file a new request"}
	}
	f, err := os.Open(s.packagePath(id))
	if err != nil {
		return nil, 0, fmt.Errorf("open package of %s: %w", id, err)
	}
	err = s.change(ctx, id, now, func(st *step) error {
		st.c.Package.Fetched = true
		return nil
	})
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return newPackageOpener(f, s.cfg.Key, id.ID), c.Package.Size, nil
}

// runExpire removes an expired package.
func (s *Service) runExpire(ctx context.Context, w *frontdoorsql.Work) error {
	id := bonded.CaseID{Cell: s.cfg.Cell, ID: w.Case}
	if err := os.Remove(s.packagePath(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return bonded.Wrap(bonded.CodeNotWritable, err, "an expired package cannot be removed")
	}
	return s.change(ctx, id, s.now(), func(st *step) error {
		if st.c.Package != nil {
			st.c.Package.Gone = true
		}
		return errors.Join(st.q.DropReleased(st.c.row.ID), st.done(w))
	})
}

// produced ends the holds of cases that this one has produced from.
func (st *step) produced() error {
	f, err := st.file()
	if err != nil {
		return err
	}
	for _, l := range f.request.Authorisation.Linked {
		if l.Relation != "production_of" {
			continue
		}
		if err := st.q.AddWork(&frontdoorsql.Work{Case: l.Case.ID, Kind: workProduced, Due: st.now.Unix()}); err != nil {
			return err
		}
	}
	return nil
}
