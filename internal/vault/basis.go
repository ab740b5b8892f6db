package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

// basisFormat is the schema version of basis records.
const basisFormat = "bonded/basis/1"

// maxBasisEvents bounds the history of one basis record.
const maxBasisEvents = 1000

// isBasisID reports whether a basis names a record rather than a ground such
// as "contract".
func isBasisID(s string) bool {
	_, err := bonded.ParseHexID(s)
	return err == nil
}

// Basis records a consent or another basis, or a further event of one, such
// as its withdrawal. The history only grows.
func (v *Vault) Basis(ctx context.Context, call *Call, q *apitype.BasisRequest) (*apitype.BasisResult, error) {
	if out, err := replayed[apitype.BasisResult](ctx, v, call, verify.OpBasis); out != nil || err != nil {
		return out, err
	}
	if err := v.sameCell(q.Subject.Cell, "subject"); err != nil {
		return nil, v.refused(call, verify.OpBasis, "", nil, err)
	}
	a, err := v.begin(call, verify.OpBasis, []wire.Item{{Subject: q.Subject.ID}})
	if err != nil {
		return nil, err
	}
	s, err := v.store.Subject(ctx, q.Subject.ID)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, v.fail(a, v.absent(ctx, q.Subject.ID, "subject"))
	case s.State != StateActive:
		return nil, v.fail(a, erasing("subject"))
	}
	rec, id, err := v.nextBasis(ctx, s.ID, &q.Record)
	if err != nil {
		return nil, v.fail(a, err)
	}
	body, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode basis: %w", err)
	}
	out := &apitype.BasisResult{Record: *rec}
	err = v.enterReplayed(ctx, a, func(tx Tx) error {
		out.Entry = a.prepared.Row.RowRef.String()
		return tx.PutBasis(&BasisRow{ID: id, Subject: s.ID, Body: body})
	}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// nextBasis returns the record with the new events.
func (v *Vault) nextBasis(ctx context.Context, subject bonded.ID, q *apitype.BasisRecord) (*apitype.BasisRecord, bonded.ID, error) {
	if err := checkBasisRecord(q); err != nil {
		return nil, bonded.ID{}, err
	}
	text := v.subjectText(subject)
	if q.ID == "" {
		rec := *q
		id := bonded.NewID()
		rec.ID, rec.Subject, rec.Schema = id.Hex(), &text, basisFormat
		return &rec, id, nil
	}
	id, err := bonded.ParseHexID(q.ID)
	if err != nil {
		return nil, id, &bonded.Error{Code: bonded.CodeBadID, Field: "record.id", Message: "not the id of a basis record"}
	}
	row, err := v.store.Basis(ctx, id)
	if err != nil {
		return nil, id, err
	}
	if row == nil || row.Subject != subject {
		return nil, id, withheld("record.id")
	}
	rec := new(apitype.BasisRecord)
	if err := json.Unmarshal(row.Body, rec); err != nil {
		return nil, id, altered(err)
	}
	if len(rec.Events)+len(q.Events) > maxBasisEvents {
		return nil, id, &bonded.Error{Code: bonded.CodeTooLarge, Field: "record.events", Message: "a basis record has at most 1,000 events"}
	}
	if q.Events[0].Time.Before(rec.Events[len(rec.Events)-1].Time) {
		return nil, id, &bonded.Error{Code: bonded.CodeInvalid, Field: "record.events[0].time", Message: "the event is before the last one recorded"}
	}
	rec.Events = append(rec.Events, q.Events...)
	return rec, id, nil
}

func checkBasisRecord(q *apitype.BasisRecord) error {
	bad := func(field, message, hint string) error {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "record." + field, Message: message, Hint: hint}
	}
	if q.Schema != "" && q.Schema != basisFormat {
		return bad("schema_version", "not a version this server reads", "use "+basisFormat)
	}
	if len(q.Events) == 0 || len(q.Events) > maxBasisEvents {
		return bad("events", "a basis record has at least one event", "")
	}
	var last time.Time
	for i := range q.Events {
		e := &q.Events[i]
		at := fmt.Sprintf("events[%d]", i)
		if !slices.Contains([]string{"requested", "given", "refused", "withdrawn", "expired"}, e.State) {
			return bad(at+".state", "not a state", "use requested, given, refused, withdrawn or expired")
		}
		if e.Time.IsZero() || e.Time.Before(last) {
			return bad(at+".time", "times are given and do not go back", "")
		}
		last = e.Time
	}
	if q.ID != "" {
		return nil
	}
	if !bonded.ValidName(q.Processing.LegalBasis) {
		return bad("processing.legal_basis", "not a legal basis", "for example consent, contract or legal_obligation")
	}
	if len(q.Processing.Purposes) == 0 {
		return bad("processing.purposes", "no purposes named", "")
	}
	for _, p := range q.Processing.Purposes {
		if !p.Valid() {
			return bad("processing.purposes", "not a purpose", nameHint)
		}
	}
	return nil
}

// checkBasis checks that the basis record a call names, if it names one, is in
// force for this purpose, these people and these fields.
func (v *Vault) checkBasis(ctx context.Context, call *Call, c *Collection, subjects []bonded.ID, fields []*Field) error {
	if call.Why.Basis == "" {
		return nil
	}
	if !utf8.ValidString(call.Why.Basis) || !isBasisID(call.Why.Basis) && !bonded.ValidName(call.Why.Basis) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "basis", Message: "neither the id of a basis record nor a legal basis", Hint: "for example contract"}
	}
	id, err := bonded.ParseHexID(call.Why.Basis)
	if err != nil {
		return nil //nolint:nilerr // a legal basis by name
	}
	row, err := v.store.Basis(ctx, id)
	if err != nil {
		return err
	}
	ended := &bonded.Error{Code: bonded.CodeExpiredBasis, Field: "basis", Message: "no such basis is in force", Hint: "ask the person anew, or name another basis"}
	if row == nil || slices.ContainsFunc(subjects, func(s bonded.ID) bool { return s != row.Subject }) {
		return ended // a basis of somebody else is as one that is not there
	}
	rec := new(apitype.BasisRecord)
	if err := json.Unmarshal(row.Body, rec); err != nil || len(rec.Events) == 0 {
		return altered(err)
	}
	last := &rec.Events[len(rec.Events)-1]
	if last.State != "given" || last.Expires != nil && !last.Expires.After(v.now()) {
		return ended
	}
	p := &rec.Processing
	covered := slices.Contains(p.Purposes, call.Why.Purpose) && (p.Collection == "" || c == nil || p.Collection == c.Name)
	for _, f := range fields {
		covered = covered && (len(p.Fields) == 0 || slices.Contains(p.Fields, f.Name))
	}
	if !covered {
		return &bonded.Error{Code: bonded.CodeForbidden, Field: "basis", Message: "the basis named does not cover this", Rules: []string{"basis-scope"}, Hint: "name a basis of this person for this purpose and these fields"}
	}
	return nil
}
