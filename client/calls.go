package client

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

// ask makes a call with a body and reads its answer. prove says what the call
// names, for calls that are proven; its purpose is taken from why.
func ask[R any](ctx context.Context, c *Client, name string, body any, prove *wire.Request) (*R, error) {
	r := routes[name]
	b, err := marshal(body)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxCall {
		return nil, &bonded.Error{Code: bonded.CodeTooLarge, Message: "the request is over 1 MiB", Hint: "send fewer items at a time"}
	}
	k := &call{route: r, path: r.Path, body: b, prove: prove, nonce: name == "put" || name == "batchPut" || name == "find"}
	out := new(R)
	promise, err := c.do(ctx, k, out)
	if err != nil {
		return nil, err
	}
	if err := promised(r, promise, out); err != nil {
		return nil, err
	}
	return out, nil
}

// promised holds the entry that an answer names against its promise. Reads
// must have one; the answer to a repeated write names the entry of the first.
func promised(r *apitype.Route, p *verify.Promise, answer any) error {
	var entry string
	switch a := answer.(type) {
	case *GetResult:
		entry = a.Entry
	case *BatchGetResult:
		entry = a.Entry
	case *FindResult:
		entry = a.Entry
	default:
		return nil
	}
	if r.Write {
		return nil
	}
	if p == nil {
		return broken("the answer has no batch promise")
	}
	if p.Ref.String() != entry {
		return broken("the batch promise is for another entry than the answer")
	}
	return nil
}

// why fills what a call does not say with what the client says by default.
func (c *Client) why(w *Why) {
	if w.Purpose == "" {
		w.Purpose = c.cfg.Why.Purpose
	}
	if w.Reason == "" {
		w.Reason = c.cfg.Why.Reason
	}
	if w.Basis == "" {
		w.Basis = c.cfg.Why.Basis
	}
}

// request returns what a call proves, nil if the client proves nothing.
func (c *Client) request(op verify.Operation, w *Why, collection string, named ...wire.Named) *wire.Request {
	if c.prover == nil {
		return nil
	}
	return &wire.Request{Cell: c.cfg.Cell, Operation: op, Collection: collection, Purpose: w.Purpose, Reason: w.Reason, Basis: w.Basis, Named: named}
}

func text[T interface {
	String() string
	comparable
}](id *T) string {
	if id == nil {
		return ""
	}
	return (*id).String()
}

func namedPut(it *PutItem) wire.Named {
	n := wire.Named{Subject: text(it.Subject), Record: text(it.Record)}
	for f := range it.Values {
		n.Fields = append(n.Fields, f)
	}
	slices.Sort(n.Fields)
	return n
}

func namedGet(it *GetItem) wire.Named {
	return wire.Named{Subject: text(it.Subject), Record: text(it.Record), Token: text(it.Token), Fields: it.Fields}
}

// Put creates a person or writes a record.
func (c *Client) Put(ctx context.Context, q PutRequest) (*PutResult, error) {
	c.why(&q.Why)
	c.facts(&q.PutItem)
	op := verify.OpWrite
	if q.Subject == nil {
		op = verify.OpCreate
	}
	return ask[PutResult](ctx, c, "put", q, c.request(op, &q.Why, q.Collection, namedPut(&q.PutItem)))
}

// Get opens fields of a record.
func (c *Client) Get(ctx context.Context, q GetRequest) (*GetResult, error) {
	c.why(&q.Why)
	op := verify.OpRead
	if q.Token != nil {
		op = verify.OpTokenRead
	}
	return ask[GetResult](ctx, c, "get", q, c.request(op, &q.Why, q.Collection, namedGet(&q.GetItem)))
}

// Mask shows fields of a record masked.
func (c *Client) Mask(ctx context.Context, q GetRequest) (*GetResult, error) {
	c.why(&q.Why)
	return ask[GetResult](ctx, c, "mask", q, c.request(verify.OpMask, &q.Why, q.Collection, namedGet(&q.GetItem)))
}

// Find looks records up by equality. It returns ids, never values.
func (c *Client) Find(ctx context.Context, q FindRequest) (*FindResult, error) {
	c.why(&q.Why)
	named := wire.Named{}
	for f := range q.Where {
		named.Fields = append(named.Fields, f)
	}
	slices.Sort(named.Fields)
	return ask[FindResult](ctx, c, "find", q, c.request(verify.OpFind, &q.Why, q.Collection, named))
}

// List pages through the ids of a collection.
func (c *Client) List(ctx context.Context, q ListRequest) (*FindResult, error) {
	c.why(&q.Why)
	return ask[FindResult](ctx, c, "list", q, nil)
}

// Count counts a collection.
func (c *Client) Count(ctx context.Context, q CountRequest) (*CountResult, error) {
	c.why(&q.Why)
	return ask[CountResult](ctx, c, "count", q, nil)
}

// BatchPut writes many records, at most [MaxBatch]; each succeeds or fails
// alone.
func (c *Client) BatchPut(ctx context.Context, q BatchPutRequest) (*BatchPutResult, error) {
	c.why(&q.Why)
	q.Items = slices.Clone(q.Items) // facts are completed in a copy
	named := make([]wire.Named, len(q.Items))
	for i := range q.Items {
		c.facts(&q.Items[i])
		named[i] = namedPut(&q.Items[i])
	}
	a, err := ask[BatchPutResult](ctx, c, "batchPut", q, c.request(verify.OpWrite, &q.Why, q.Collection, named...))
	if err == nil && len(a.Items) != len(q.Items) {
		return nil, bonded.Errorf(bonded.CodeInternal, "%d items were asked and %d answered", len(q.Items), len(a.Items))
	}
	return a, err
}

// BatchGet opens fields of many records, at most [MaxBatch], under one entry.
func (c *Client) BatchGet(ctx context.Context, q BatchGetRequest) (*BatchGetResult, error) {
	return c.batchGet(ctx, "batchGet", verify.OpRead, q)
}

// BatchMask shows fields of many records masked, under one entry.
func (c *Client) BatchMask(ctx context.Context, q BatchGetRequest) (*BatchGetResult, error) {
	return c.batchGet(ctx, "batchMask", verify.OpMask, q)
}

func (c *Client) batchGet(ctx context.Context, name string, op verify.Operation, q BatchGetRequest) (*BatchGetResult, error) {
	c.why(&q.Why)
	named := make([]wire.Named, len(q.Items))
	for i := range q.Items {
		named[i] = namedGet(&q.Items[i])
	}
	a, err := ask[BatchGetResult](ctx, c, name, q, c.request(op, &q.Why, q.Collection, named...))
	if err == nil && len(a.Items) != len(q.Items) {
		return nil, bonded.Errorf(bonded.CodeInternal, "%d items were asked and %d answered", len(q.Items), len(a.Items))
	}
	return a, err
}

// History shows who opened a person's data, with the keyholder's signed
// count of them.
func (c *Client) History(ctx context.Context, q SubjectRequest) (*HistoryResult, error) {
	c.why(&q.Why)
	return ask[HistoryResult](ctx, c, "history", q, nil)
}

// Export returns a person's own copy. It names a person and not what is kept
// of them, so no proof can cover it: the vault vouches for the asker.
func (c *Client) Export(ctx context.Context, q SubjectRequest) (*ExportResult, error) {
	c.why(&q.Why)
	return ask[ExportResult](ctx, c, "export", q, nil)
}

// Erase begins the erasure of a person.
func (c *Client) Erase(ctx context.Context, q SubjectRequest) (*EraseResult, error) {
	c.why(&q.Why)
	return ask[EraseResult](ctx, c, "erase", q, nil)
}

// EraseUndo takes an erasure back inside its window.
func (c *Client) EraseUndo(ctx context.Context, q SubjectRequest) (*EraseResult, error) {
	c.why(&q.Why)
	return ask[EraseResult](ctx, c, "eraseUndo", q, nil)
}

// RecordDelete deletes one record of a person.
func (c *Client) RecordDelete(ctx context.Context, q RecordDeleteRequest) (*EntryResult, error) {
	c.why(&q.Why)
	return ask[EntryResult](ctx, c, "recordDelete", q, nil)
}

// TokenCreate makes tokens for fields of a record.
func (c *Client) TokenCreate(ctx context.Context, q TokenRequest) (*TokenResult, error) {
	c.why(&q.Why)
	return ask[TokenResult](ctx, c, "tokenCreate", q, nil)
}

// TokenDelete deletes a token.
func (c *Client) TokenDelete(ctx context.Context, q TokenDeleteRequest) (*EntryResult, error) {
	c.why(&q.Why)
	return ask[EntryResult](ctx, c, "tokenDelete", q, nil)
}

// Basis records consent or another basis, or an event of one.
func (c *Client) Basis(ctx context.Context, q BasisRequest) (*BasisResult, error) {
	c.why(&q.Why)
	return ask[BasisResult](ctx, c, "basis", q, nil)
}

// Journal reads a page of the journal.
func (c *Client) Journal(ctx context.Context, q JournalRequest) (*JournalResult, error) {
	c.why(&q.Why)
	return ask[JournalResult](ctx, c, "journal", q, nil)
}

// Receipt returns the receipt of an entry as the cell gives it; check it with
// [Client.VerifyReceipt]. An entry that is not anchored yet has none: code
// busy, try again after the next anchor.
func (c *Client) Receipt(ctx context.Context, q ReceiptRequest) (*Receipt, error) {
	c.why(&q.Why)
	return ask[Receipt](ctx, c, "receipt", q, nil)
}

// receiptPoll is how often [Client.AwaitReceipt] asks.
const receiptPoll = 250 * time.Millisecond

// AwaitReceipt is [Client.Receipt] that asks again until the entry is
// anchored: seconds. When ctx ends first the error has code busy, or is that
// of ctx.
func (c *Client) AwaitReceipt(ctx context.Context, q ReceiptRequest) (*Receipt, error) {
	for {
		r, err := c.Receipt(ctx, q)
		if bonded.CodeOf(err) != bonded.CodeBusy {
			return r, err
		}
		select {
		case <-time.After(receiptPoll):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// VerifyReceipt checks a receipt by the keys of the directory alone. The
// error is a [verify.Failure].
func (c *Client) VerifyReceipt(r *Receipt) (*verify.ReceiptReport, error) {
	return verify.CheckReceipt(r, c.cfg.Directory)
}

// JobStart starts background work.
func (c *Client) JobStart(ctx context.Context, q JobRequest) (*Job, error) {
	c.why(&q.Why)
	return ask[Job](ctx, c, "jobStart", q, nil)
}

// JobStatus says how background work stands.
func (c *Client) JobStatus(ctx context.Context, id string) (*Job, error) {
	r := routes["jobStatus"]
	return get[Job](ctx, c, r, strings.Replace(r.Path, "{id}", url.PathEscape(id), 1))
}

// Status says how the cell stands.
func (c *Client) Status(ctx context.Context) (*StatusResult, error) {
	return get[StatusResult](ctx, c, routes["status"], routes["status"].Path)
}

// FetchDirectory returns the directory file that the cell serves. Trust it
// only if it is signed by an administrator you know.
func (c *Client) FetchDirectory(ctx context.Context) ([]byte, error) {
	var b []byte
	_, err := c.do(ctx, &call{route: routes["directory"], path: routes["directory"].Path}, &b)
	return b, err
}

// OpenAPI returns the OpenAPI document of the cell.
func (c *Client) OpenAPI(ctx context.Context) ([]byte, error) {
	var b []byte
	_, err := c.do(ctx, &call{route: routes["openapi"], path: routes["openapi"].Path}, &b)
	return b, err
}

// get makes a call without a body; what it is for stands in headers.
func get[R any](ctx context.Context, c *Client, r *apitype.Route, path string) (*R, error) {
	out := new(R)
	_, err := c.do(ctx, &call{route: r, path: path, why: &c.cfg.Why}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}
