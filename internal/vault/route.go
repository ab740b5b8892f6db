package vault

import (
	"context"
	"errors"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/regulation"
	"bonded/internal/wire"
	"bonded/verify"
)

// Route says which cell a person belongs to, and by which rule. The facts are
// not kept.
func (v *Vault) Route(ctx context.Context, call *Call, q *apitype.RouteRequest) (*apitype.RouteAnswer, error) {
	if err := v.checkCall(call); err != nil {
		return nil, v.refused(call, verify.OpRoute, "", nil, err)
	}
	d, err := v.decide(call, verify.OpRoute, nil, nil)
	if err != nil {
		return nil, v.refused(call, verify.OpRoute, "", nil, err)
	}
	r, err := v.route(&q.Facts)
	if err != nil {
		e := *problemOf(err)
		if e.Field != "" {
			e.Field = "facts." + e.Field
		}
		return nil, v.refused(call, verify.OpRoute, "", nil, &e)
	}
	if _, err := v.enter(ctx, v.newAsk(call, verify.OpRoute, nil, d), nil); err != nil {
		return nil, err
	}
	out := &apitype.RouteAnswer{Cell: r.Cell, Home: r.Home, Rule: r.RuleID, Rules: r.Rules, Reason: r.Reason, Cite: r.Cite, Unverified: r.Unverified}
	if c, ok := v.cfg.Directory.Cell(r.Cell); ok {
		out.API = c.API
	}
	return out, nil
}

// route asks the rule table.
func (v *Vault) route(f *apitype.Facts) (regulation.Decision, error) {
	return v.cfg.Routes.Route(v.now(), regulation.Facts{
		Residence: f.Residence, Citizenship: f.Citizenship, Collected: f.Collected, Service: f.Service, OperatorClass: f.OperatorClass,
	}, v.deployment)
}

// itemProblem shows the error of one item of a batch.
func itemProblem(err error) *apitype.Problem {
	e := problemOf(err)
	p := &apitype.Problem{Code: e.Code, Message: e.Message, Field: e.Field, Hint: e.Hint, Rules: e.Rules}
	if e.Code == bonded.CodeInternal {
		p.Message = "internal error"
	}
	return p
}

// begin is what every call without a collection begins with: check and decide.
func (v *Vault) begin(call *Call, op verify.Operation, items []wire.Item) (*ask, error) {
	err := v.checkCall(call)
	if err == nil {
		var d decided
		if d, err = v.decide(call, op, nil, nil); err == nil {
			a := v.newAsk(call, op, nil, d)
			a.items = items
			return a, nil
		}
	}
	return nil, v.refused(call, op, "", items, err)
}

// beginIn is begin for a call on fields of a collection.
func (v *Vault) beginIn(call *Call, op verify.Operation, collection string, fields []string, items []wire.Item) (*ask, *Collection, []*Field, error) {
	c, err := v.collection(call, collection)
	var fs []*Field
	if err == nil && len(fields) > 0 {
		fs, err = fieldsOf(c, fields, "fields")
	}
	if err == nil {
		var d decided
		if d, err = v.decide(call, op, c, fs); err == nil {
			a := v.newAsk(call, op, c, d)
			a.items = items
			return a, c, fs, nil
		}
	}
	return nil, nil, nil, v.refused(call, op, collection, items, err)
}

// fail enters that a decided call did not come to its end, and returns err.
func (v *Vault) fail(a *ask, err error) error {
	return v.refused(a.call, a.op, a.collection, a.items, err)
}

// isCode reports whether err has the code.
func isCode(err error, code bonded.Code) bool {
	var e *bonded.Error
	return errors.As(err, &e) && e.Code == code
}
