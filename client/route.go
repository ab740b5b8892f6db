package client

import (
	"context"
	"io/fs"
	"sync"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/regulation"
	"bonded/verify"
)

// A router decides where people belong by the rules of the packs.
type router struct {
	table *regulation.Table
	cells regulation.Deployment
	dir   *verify.Directory
}

func newRouterOnce(dir *verify.Directory, packs fs.FS) func() (*router, error) {
	return sync.OnceValues(func() (*router, error) {
		all, err := regulation.Shipped()
		if packs != nil {
			all, err = regulation.Load(packs)
		}
		if err != nil {
			return nil, err
		}
		table, err := regulation.NewTable(all)
		if err != nil {
			return nil, err
		}
		r := &router{table: table, dir: dir, cells: regulation.Deployment{Default: dir.Default}}
		for i := range dir.Cells {
			r.cells.Cells = append(r.cells.Cells, regulation.Cell{ID: dir.Cells[i].ID, Jurisdictions: dir.Cells[i].Jurisdictions})
		}
		return r, nil
	})
}

func (r *router) route(on time.Time, f Facts) (*RouteAnswer, error) {
	d, err := r.table.Route(on, regulation.Facts{
		Residence: f.Residence, Citizenship: f.Citizenship, Collected: f.Collected, Service: f.Service, OperatorClass: f.OperatorClass,
	}, r.cells)
	if err != nil {
		return nil, err
	}
	a := &RouteAnswer{Cell: d.Cell, Home: d.Home, Rule: d.RuleID, Rules: d.Rules, Reason: d.Reason, Cite: d.Cite, Unverified: d.Unverified}
	if c, ok := r.dir.Cell(d.Cell); ok {
		a.API = c.API
	}
	return a, nil
}

// Route says which cell a person belongs to, without asking anyone: by the
// packs and the directory that the client has, on the day it is. Errors have
// code invalid (a fact is missing or unknown), routing_conflict (two homes)
// or no_cell (a home without a cell): nothing may be stored then.
func (c *Client) Route(f Facts) (*RouteAnswer, error) {
	r, err := c.router()
	if err != nil {
		return nil, err
	}
	return r.route(c.cfg.Now(), withOperator(f, c.cfg.Operator))
}

// withOperator adds the firm's own classes to facts that name none.
func withOperator(f Facts, classes []string) Facts {
	if len(f.OperatorClass) == 0 {
		f.OperatorClass = classes
	}
	return f
}

// facts completes the facts of an item as [Client.Route] does, in a copy.
func (c *Client) facts(it *PutItem) {
	if it.Facts != nil && len(it.Facts.OperatorClass) == 0 && len(c.cfg.Operator) > 0 {
		f := withOperator(*it.Facts, c.cfg.Operator)
		it.Facts = &f
	}
}

// AskRoute asks the cell the same, by the packs that it has.
func (c *Client) AskRoute(ctx context.Context, q RouteRequest) (*RouteAnswer, error) {
	q.Facts = withOperator(q.Facts, c.cfg.Operator)
	return ask[RouteAnswer](ctx, c, "route", q, nil)
}

// problemOf turns an error of one cell into that of an item.
func problemOf(err error) *apitype.Problem {
	code := bonded.CodeOf(err)
	p := &apitype.Problem{Code: code, Message: err.Error(), Status: apitype.InfoOf(code).Status}
	if e, ok := errorOf(err); ok {
		p.Message, p.Field, p.Hint, p.Rules = e.Message, e.Field, e.Hint, e.Rules
		if a, ok := e.Err.(*Answer); ok { //nolint:errorlint // we put it there
			p.RequestID, p.Cell = a.RequestID, a.Cell
		}
	}
	return p
}
