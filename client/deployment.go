package client

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"bonded"
	"bonded/verify"
)

// A DeploymentConfig says which cells a program asks and as whom.
type DeploymentConfig struct {
	Config                                   // Directory and whatever holds for every cell; Cell, URL and Credential are not used
	Credentials map[bonded.CellID]Credential // cells without one are not asked
	URLs        map[bonded.CellID]string     // absent: the addresses in the directory
}

// A Deployment is every cell a program may ask. It sends a new person to the
// cell the law names, and everything else to the cell inside its id. What it
// offers is what [Client] does; calls that name no id go through
// [Deployment.Cell]. It may be used by many goroutines.
type Deployment struct {
	cfg    DeploymentConfig
	cells  map[bonded.CellID]*Client
	router func() (*router, error)
}

// NewDeployment returns clients for every cell with a credential. Errors as
// [New].
func NewDeployment(c DeploymentConfig) (*Deployment, error) {
	if c.Directory == nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "Directory", Message: "the directory is missing"}
	}
	if len(c.Credentials) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "Credentials", Message: "no cell has a credential"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	d := &Deployment{cfg: c, cells: map[bonded.CellID]*Client{}, router: newRouterOnce(c.Directory, c.Packs)}
	for id, credential := range c.Credentials {
		one := c.Config
		one.Cell, one.Credential, one.URL = id, credential, c.URLs[id]
		cl, err := New(one)
		if err != nil {
			return nil, err
		}
		cl.router = d.router
		d.cells[id] = cl
	}
	return d, nil
}

// Cell returns the client of one cell, or code wrong_cell if the program has
// no credential there.
func (d *Deployment) Cell(id bonded.CellID) (*Client, error) {
	if c, ok := d.cells[id]; ok {
		return c, nil
	}
	e := &bonded.Error{Code: bonded.CodeWrongCell, Message: "no credential for cell " + string(id), Hint: "this program asks only the cells it has credentials for"}
	if !id.Valid() {
		e.Message = "the request names no cell"
	}
	return nil, e
}

// Cells returns the ids of the cells that d asks, sorted.
func (d *Deployment) Cells() []bonded.CellID { return slices.Sorted(maps.Keys(d.cells)) }

// Close closes idle connections.
func (d *Deployment) Close() {
	for _, c := range d.cells {
		c.Close()
	}
}

// Route says which cell a person belongs to; see [Client.Route].
func (d *Deployment) Route(f Facts) (*RouteAnswer, error) {
	r, err := d.router()
	if err != nil {
		return nil, err
	}
	return r.route(d.cfg.Now(), withOperator(f, d.cfg.Operator))
}

// ofPut returns the client for an item: by the subject's cell, or by law.
func (d *Deployment) ofPut(it *PutItem) (*Client, error) {
	if it.Subject != nil {
		return d.same(it.Subject.Cell, it.Record)
	}
	if it.Facts == nil {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "facts", Message: "a new person needs facts", Hint: "give at least the country of residence"}
	}
	a, err := d.Route(*it.Facts)
	if err != nil {
		return nil, err
	}
	return d.Cell(a.Cell)
}

func (d *Deployment) same(cell bonded.CellID, record *bonded.RecordID) (*Client, error) {
	if record != nil && record.Cell != cell {
		return nil, &bonded.Error{Code: bonded.CodeWrongCell, Field: "record", Message: "subject and record belong to two cells"}
	}
	return d.Cell(cell)
}

func (d *Deployment) ofGet(it *GetItem) (*Client, error) {
	switch {
	case it.Subject != nil:
		return d.same(it.Subject.Cell, it.Record)
	case it.Token != nil:
		return d.Cell(it.Token.Cell)
	case it.Record != nil:
		return d.Cell(it.Record.Cell)
	}
	return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "subject", Message: "the request names neither subject nor token"}
}

// with makes one call on the client that of returned.
func with[Q, R any](ctx context.Context, c *Client, err error, f func(*Client, context.Context, Q) (*R, error), q Q) (*R, error) {
	if err != nil {
		return nil, err
	}
	return f(c, ctx, q)
}

// Put creates a person where the law says, or writes a record where its
// person is.
func (d *Deployment) Put(ctx context.Context, q PutRequest) (*PutResult, error) {
	c, err := d.ofPut(&q.PutItem)
	return with(ctx, c, err, (*Client).Put, q)
}

// Get opens fields of a record; see [Client.Get].
func (d *Deployment) Get(ctx context.Context, q GetRequest) (*GetResult, error) {
	c, err := d.ofGet(&q.GetItem)
	return with(ctx, c, err, (*Client).Get, q)
}

// Mask shows fields of a record masked.
func (d *Deployment) Mask(ctx context.Context, q GetRequest) (*GetResult, error) {
	c, err := d.ofGet(&q.GetItem)
	return with(ctx, c, err, (*Client).Mask, q)
}

// History shows who opened a person's data.
func (d *Deployment) History(ctx context.Context, q SubjectRequest) (*HistoryResult, error) {
	c, err := d.Cell(q.Subject.Cell)
	return with(ctx, c, err, (*Client).History, q)
}

// Export returns a person's own copy.
func (d *Deployment) Export(ctx context.Context, q SubjectRequest) (*ExportResult, error) {
	c, err := d.Cell(q.Subject.Cell)
	return with(ctx, c, err, (*Client).Export, q)
}

// Erase begins the erasure of a person.
func (d *Deployment) Erase(ctx context.Context, q SubjectRequest) (*EraseResult, error) {
	c, err := d.Cell(q.Subject.Cell)
	return with(ctx, c, err, (*Client).Erase, q)
}

// EraseUndo takes an erasure back inside its window.
func (d *Deployment) EraseUndo(ctx context.Context, q SubjectRequest) (*EraseResult, error) {
	c, err := d.Cell(q.Subject.Cell)
	return with(ctx, c, err, (*Client).EraseUndo, q)
}

// RecordDelete deletes one record of a person.
func (d *Deployment) RecordDelete(ctx context.Context, q RecordDeleteRequest) (*EntryResult, error) {
	c, err := d.same(q.Subject.Cell, &q.Record)
	return with(ctx, c, err, (*Client).RecordDelete, q)
}

// TokenCreate makes tokens for fields of a record.
func (d *Deployment) TokenCreate(ctx context.Context, q TokenRequest) (*TokenResult, error) {
	c, err := d.same(q.Subject.Cell, &q.Record)
	return with(ctx, c, err, (*Client).TokenCreate, q)
}

// TokenDelete deletes a token.
func (d *Deployment) TokenDelete(ctx context.Context, q TokenDeleteRequest) (*EntryResult, error) {
	c, err := d.Cell(q.Token.Cell)
	return with(ctx, c, err, (*Client).TokenDelete, q)
}

// Basis records consent or another basis, or an event of one.
func (d *Deployment) Basis(ctx context.Context, q BasisRequest) (*BasisResult, error) {
	c, err := d.Cell(q.Subject.Cell)
	return with(ctx, c, err, (*Client).Basis, q)
}

// BatchPut writes many records, each where it belongs, with one call per
// cell. Items come back in the order asked; one that has no cell, or whose
// cell could not be asked, carries that error.
func (d *Deployment) BatchPut(ctx context.Context, q BatchPutRequest) (*BatchPutResult, error) {
	out := &BatchPutResult{Items: make([]PutItemResult, len(q.Items))}
	groups := map[*Client][]int{}
	for i := range q.Items {
		c, err := d.ofPut(&q.Items[i])
		if err != nil {
			out.Items[i].Error = problemOf(err)
			continue
		}
		groups[c] = append(groups[c], i)
	}
	each(groups, func(c *Client, at []int) {
		part := q
		part.Items = pick(q.Items, at)
		a, err := c.BatchPut(perCell(ctx, c), part)
		for n, i := range at {
			if err != nil {
				out.Items[i].Error = problemOf(err)
				continue
			}
			out.Items[i] = a.Items[n]
		}
	})
	return out, nil
}

// BatchGet opens fields of many records, with one call and one entry per
// cell. Items come back in the order asked, and the entry of each stands in
// it; that of the answer is empty if several cells were asked.
func (d *Deployment) BatchGet(ctx context.Context, q BatchGetRequest) (*BatchGetResult, error) {
	return d.batchGet(ctx, (*Client).BatchGet, q)
}

// BatchMask shows fields of many records masked; as [Deployment.BatchGet].
func (d *Deployment) BatchMask(ctx context.Context, q BatchGetRequest) (*BatchGetResult, error) {
	return d.batchGet(ctx, (*Client).BatchMask, q)
}

func (d *Deployment) batchGet(ctx context.Context, f func(*Client, context.Context, BatchGetRequest) (*BatchGetResult, error), q BatchGetRequest) (*BatchGetResult, error) {
	out := &BatchGetResult{Items: make([]GetItemResult, len(q.Items))}
	groups := map[*Client][]int{}
	for i := range q.Items {
		c, err := d.ofGet(&q.Items[i])
		if err != nil {
			out.Items[i].Error = problemOf(err)
			continue
		}
		groups[c] = append(groups[c], i)
	}
	var mu sync.Mutex
	each(groups, func(c *Client, at []int) {
		part := q
		part.Items = pick(q.Items, at)
		a, err := f(c, ctx, part)
		for n, i := range at {
			if err != nil {
				out.Items[i].Error = problemOf(err)
				continue
			}
			out.Items[i] = a.Items[n]
		}
		if err == nil && len(groups) == 1 {
			mu.Lock()
			out.Entry = a.Entry
			mu.Unlock()
		}
	})
	return out, nil
}

// each runs f for every group at the same time and waits.
func each(groups map[*Client][]int, f func(*Client, []int)) {
	var wg sync.WaitGroup
	for c, at := range groups {
		wg.Go(func() { f(c, at) })
	}
	wg.Wait()
}

func pick[T any](all []T, at []int) []T {
	out := make([]T, len(at))
	for n, i := range at {
		out[n] = all[i]
	}
	return out
}

// perCell keeps an idempotency key of the caller's apart for each cell: the
// parts of a batch are different requests.
func perCell(ctx context.Context, c *Client) context.Context {
	key, ok := ctx.Value(keyIdempotency).(string)
	if !ok {
		return ctx
	}
	return WithIdempotencyKey(ctx, key+"@"+string(c.cfg.Cell))
}

// VerifyReceipt checks a receipt of any cell; see [Client.VerifyReceipt].
func (d *Deployment) VerifyReceipt(r *Receipt) (*verify.ReceiptReport, error) {
	return verify.CheckReceipt(r, d.cfg.Directory)
}

func errorOf(err error) (*bonded.Error, bool) {
	var e *bonded.Error
	ok := errors.As(err, &e)
	return e, ok
}
