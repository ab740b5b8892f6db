package vault

import (
	"context"
	"fmt"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

// TokenCreate makes tokens for fields of a record. A token opens nothing by
// itself: it names the field to those who may read it.
func (v *Vault) TokenCreate(ctx context.Context, call *Call, q *apitype.TokenRequest) (*apitype.TokenResult, error) {
	if out, err := replayed[apitype.TokenResult](ctx, v, call, verify.OpTokenCreate); out != nil || err != nil {
		return out, err
	}
	if err := v.cellsOf(&q.Subject, &q.Record); err != nil {
		return nil, v.refused(call, verify.OpTokenCreate, q.Collection, nil, err)
	}
	items := recordItem(q.Subject.ID, q.Record.ID)
	if len(q.Fields) == 0 {
		return nil, v.refused(call, verify.OpTokenCreate, q.Collection, items, &bonded.Error{Code: bonded.CodeInvalid, Field: "fields", Message: "no fields named"})
	}
	a, c, fields, err := v.beginIn(call, verify.OpTokenCreate, q.Collection, q.Fields, items)
	if err != nil {
		return nil, err
	}
	if _, err := v.mustHave(ctx, c, q.Subject.ID, q.Record.ID); err != nil {
		return nil, v.fail(a, err)
	}
	for _, f := range fields {
		a.items[0].Fields = append(a.items[0].Fields, wire.FieldVersion{Name: f.Name})
	}
	out := &apitype.TokenResult{Tokens: make(map[string]bonded.Token, len(fields))}
	for _, f := range fields {
		out.Tokens[f.Name] = bonded.Token{Cell: v.cfg.Cell, ID: bonded.NewID()}
	}
	err = v.enterReplayed(ctx, a, func(tx Tx) error {
		out.Entry = a.prepared.Row.RowRef.String()
		r, err := tx.Record(c.ID, q.Subject.ID, q.Record.ID)
		if err != nil {
			return err
		}
		if r == nil || r.State != StateActive {
			return withheld("record")
		}
		for _, f := range fields {
			if err := tx.InsertToken(&TokenRow{ID: out.Tokens[f.Name].ID, Subject: r.Subject, Record: r.ID, Collection: c.ID, Field: f.ID}); err != nil {
				return err
			}
		}
		return nil
	}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// TokenDelete deletes a token; it names nothing from then on.
func (v *Vault) TokenDelete(ctx context.Context, call *Call, q *apitype.TokenDeleteRequest) (*apitype.EntryResult, error) {
	if out, err := replayed[apitype.EntryResult](ctx, v, call, verify.OpTokenDelete); out != nil || err != nil {
		return out, err
	}
	if err := v.sameCell(q.Token.Cell, "token"); err != nil {
		return nil, v.refused(call, verify.OpTokenDelete, "", nil, err)
	}
	if err := v.checkCall(call); err != nil {
		return nil, v.refused(call, verify.OpTokenDelete, "", nil, err)
	}
	row, err := v.store.Token(ctx, q.Token.ID)
	if err != nil {
		return nil, err
	}
	absent := func() error { return v.refused(call, verify.OpTokenDelete, "", nil, withheld("token")) }
	if row == nil {
		return nil, absent()
	}
	c := v.cfg.Schema.collectionByID(row.Collection)
	if c == nil || c.field(row.Field) == nil {
		return nil, v.refused(call, verify.OpTokenDelete, "", nil, altered(nil))
	}
	f := c.field(row.Field)
	d, err := v.decide(call, verify.OpTokenDelete, c, []*Field{f})
	if err != nil {
		return nil, absent() // what it names is not for this caller to know
	}
	a := v.newAsk(call, verify.OpTokenDelete, c, d)
	a.items = recordItem(row.Subject, row.Record)
	a.items[0].Fields, a.resolved = []wire.FieldVersion{{Name: f.Name}}, true
	out := new(apitype.EntryResult)
	err = v.enterReplayed(ctx, a, func(tx Tx) error {
		out.Entry = a.prepared.Row.RowRef.String()
		gone, err := tx.DeleteToken(q.Token.ID)
		if err == nil && !gone {
			err = withheld("token")
		}
		return err
	}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RecordDelete deletes one record of a person, its index values and tokens.
// The ciphertext in old backups stays openable until the person is erased.
func (v *Vault) RecordDelete(ctx context.Context, call *Call, q *apitype.RecordDeleteRequest) (*apitype.EntryResult, error) {
	if out, err := replayed[apitype.EntryResult](ctx, v, call, verify.OpRecordDelete); out != nil || err != nil {
		return out, err
	}
	if err := v.cellsOf(&q.Subject, &q.Record); err != nil {
		return nil, v.refused(call, verify.OpRecordDelete, q.Collection, nil, err)
	}
	a, c, _, err := v.beginIn(call, verify.OpRecordDelete, q.Collection, nil, recordItem(q.Subject.ID, q.Record.ID))
	if err != nil {
		return nil, err
	}
	was, err := v.mustHave(ctx, c, q.Subject.ID, q.Record.ID)
	if err != nil {
		return nil, v.fail(a, err)
	}
	if err := v.notHeld(ctx, q.Subject.ID); err != nil {
		return nil, v.fail(a, err)
	}
	d, err := v.decide(call, verify.OpRecordDelete, c, v.storedFields(c, was)) // again, with what the record holds
	if err != nil {
		return nil, v.fail(a, mayNotDrop(err))
	}
	a.rules, a.policy = d.rules, d.policy
	out := new(apitype.EntryResult)
	err = v.enterReplayed(ctx, a, func(tx Tx) error {
		out.Entry = a.prepared.Row.RowRef.String()
		r, err := tx.Record(c.ID, q.Subject.ID, q.Record.ID)
		if err != nil {
			return err
		}
		if r == nil || r.State != StateActive {
			return withheld("record")
		}
		if r.Version != was.Version { // it may hold more than was decided on
			return &bonded.Error{Code: bonded.CodeConflict, Field: "record", Message: "the record was written meanwhile", Hint: "decide anew"}
		}
		if held, err := tx.Held(q.Subject.ID); err != nil || held {
			if err == nil {
				err = frozen("record")
			}
			return err
		}
		return tx.DeleteRecord(r)
	}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func recordItem(subject, record bonded.ID) []wire.Item {
	return []wire.Item{{Subject: subject, Record: record}}
}

func (v *Vault) cellsOf(s *bonded.SubjectID, r *bonded.RecordID) error {
	if err := v.sameCell(s.Cell, "subject"); err != nil {
		return err
	}
	return v.sameCell(r.Cell, "record")
}

// mustHave returns the record, or an error unless the person has it and is not
// going.
func (v *Vault) mustHave(ctx context.Context, c *Collection, subject, record bonded.ID) (*Record, error) {
	r, err := v.store.Record(ctx, c.ID, subject, record)
	switch {
	case err != nil:
		return nil, err
	case r == nil || record.IsZero():
		return nil, v.absent(ctx, subject, "record")
	case r.State != StateActive:
		return nil, erasing("subject")
	case r.expired(c, v.now().Unix()):
		return nil, withheld("record")
	}
	return r, nil
}

// replayed returns the answer of an earlier call with the same idempotency
// key, nil if there was none.
func replayed[T any](ctx context.Context, v *Vault, call *Call, op verify.Operation) (*T, error) {
	if call.Idempotency == "" || call.Grant == nil {
		return nil, nil //nolint:nilnil // no earlier call
	}
	was, err := v.store.Replay(ctx, call.Grant.ID, call.Idempotency)
	if err != nil || was == nil || was.Expires <= v.now().Unix() {
		return nil, err
	}
	out := new(T)
	if err := was.take(call.BodyHash, out); err != nil {
		return nil, v.refused(call, op, "", nil, err)
	}
	return out, nil
}

// enterReplayed is enter for a write whose answer is kept for a retry.
func (v *Vault) enterReplayed(ctx context.Context, a *ask, change func(Tx) error, out any) error {
	_, err := v.enter(ctx, a, func(tx Tx) error {
		if a.call.Idempotency != "" {
			was, err := tx.Replay(a.call.Grant.ID, a.call.Idempotency)
			if err != nil {
				return err
			}
			if was != nil && was.Expires > v.now().Unix() {
				return &bonded.Error{Code: bonded.CodeBusy, Message: "the same request was served at the same time", Hint: "send it again to get its answer"}
			}
		}
		if err := change(tx); err != nil {
			return err
		}
		return v.keepReplay(tx, a.call, a.call.Idempotency, a.call.BodyHash, out)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", a.op, err)
	}
	return nil
}
