package vault

import (
	"context"
	"slices"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/journal"
	"bonded/internal/policy"
	"bonded/internal/wire"
	"bonded/verify"
)

// Ids of refusals that no policy makes.
const (
	ruleScope = "grant-scope"   // the grant does not name the collection or field
	ruleProof = "require-proof" // the vault's configuration asks for proofs
)

// SetPolicy puts a policy set in force. Calls under way finish under the one
// they were decided by.
func (v *Vault) SetPolicy(p *policy.Cache) { v.policy.Store(p) }

// collection checks who asks and why, and returns the collection named.
func (v *Vault) collection(call *Call, name string) (*Collection, error) {
	if err := v.checkCall(call); err != nil {
		return nil, err
	}
	c := v.cfg.Schema.Collections[name]
	if c == nil {
		return nil, &bonded.Error{Code: bonded.CodeUnknownCollection, Field: "collection", Message: "no such collection in this cell", Hint: meant(name, sortedNames(v.cfg.Schema.Collections), "the status of the cell names its collections")}
	}
	return c, nil
}

// checkCall checks that somebody asks, and why.
func (v *Vault) checkCall(call *Call) error {
	if call.Grant == nil {
		return &bonded.Error{Code: bonded.CodeUnauthenticated, Message: "no valid key, certificate or proof", Hint: "send a key of this cell"}
	}
	if err := checkWhy(&call.Why); err != nil {
		return err
	}
	if !v.principals.Load().purposes[call.Why.Purpose] && !v.schemaPurposes[call.Why.Purpose] {
		return &bonded.Error{Code: bonded.CodeUnknownPurpose, Field: "purpose", Message: "this cell does not know the purpose", Hint: "use a purpose of a grant or of the schema"}
	}
	return nil
}

// fieldsOf returns the fields named. Errors name them under at.
func fieldsOf(c *Collection, names []string, at string) ([]*Field, error) {
	if len(names) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: at, Message: "no fields named", Hint: "name the fields to open; there is no star"}
	}
	if len(names) > MaxFields {
		return nil, &bonded.Error{Code: bonded.CodeTooLarge, Field: at, Message: "more fields than a collection can have"}
	}
	fields := make([]*Field, len(names))
	for i, n := range names {
		f := c.Fields[n]
		if f == nil {
			return nil, unknownField(c, n, at)
		}
		if slices.Contains(fields[:i], f) {
			return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: at, Message: "a field is named twice"}
		}
		fields[i] = f
	}
	return fields, nil
}

// decide asks the policy whether the call may do op to the fields. It returns
// the ids of the rules that permit it, or the refusal.
func (v *Vault) decide(call *Call, op verify.Operation, c *Collection, fields []*Field) (decided, error) {
	set := v.policy.Load()
	d := decided{policy: set.Set().Digest()}
	g := call.Grant

	// 1. The grant: proofs, collections and fields.
	if err := v.mustProve(call, op); err != nil {
		return d, err
	}
	if c != nil {
		if !g.Touches(c.Name) {
			return d, outOfScope(c.Name)
		}
		for _, f := range fields {
			if !g.Covers(c.Name, f.Name) {
				return d, outOfScope(c.Name + "." + f.Name)
			}
			if f.Custody == CustodyQuorum && opensDaily(op) {
				return d, needsQuorum(c.Name + "." + f.Name)
			}
		}
	}

	// 2. The policy: operator's permits, law's forbids, purposes of fields.
	q := policy.Request{
		Principal: policy.Principal{
			ID: g.ID, Cell: g.Location, Jurisdiction: v.jurisdictions[g.Location], Roles: g.Roles, Purposes: g.Purposes,
			Proven: op.Unlocks() && call.Assurance == verify.AssuranceProven,
		},
		Operation: op.String(), Cell: v.cfg.Cell, CellJurisdiction: v.jurisdictions[v.cfg.Cell],
		Purpose: call.Why.Purpose, Basis: call.Why.Basis,
	}
	if c != nil {
		q.Collection = c.Name
		q.Fields, q.Classes = make([]string, len(fields)), make([]string, 0, 3)
		for i, f := range fields {
			q.Fields[i] = f.Name
			if !slices.Contains(q.Classes, string(f.Class)) {
				q.Classes = append(q.Classes, string(f.Class))
			}
			if op != verify.OpReseal && !v.isFrontDoor(call) && !f.allows(c, q.Purpose) { // a re-seal shows nothing to anybody; what a case may see is for its rules
				q.BarredFields = append(q.BarredFields, f.Name)
			}
		}
		slices.Sort(q.Classes)
	}
	if isBasisID(q.Basis) {
		q.Basis = "record" // which record is checked against the person; policies know bases by name
	}
	answer := set.Decide(&q)
	d.rules = answer.Rules
	return d, answer.Err()
}

// mustProve refuses a bearer key where the grant or the vault asks for proofs.
func (v *Vault) mustProve(call *Call, op verify.Operation) error {
	if op.Unlocks() && call.Assurance == verify.AssuranceVault && (v.cfg.RequireProof && !v.isFrontDoor(call) || !call.Grant.Bearer) {
		return &bonded.Error{Code: bonded.CodeBearerForbidden, Message: "this grant asks for proofs and got a bearer key", Hint: "open a session; the client does it by itself", Rules: []string{ruleProof}}
	}
	return nil
}

// decided is what a decision leaves in the row.
type decided struct {
	rules  []string
	policy [32]byte
}

func outOfScope(what string) error {
	return &bonded.Error{Code: bonded.CodeForbidden, Message: "the grant does not cover " + what, Hint: "ask the administrator for a grant that does", Rules: []string{ruleScope}}
}

// allows reports whether the schema lists the purpose for f: its own list,
// else that of its collection, else any.
func (f *Field) allows(c *Collection, p bonded.Purpose) bool {
	list := f.Purposes
	if len(list) == 0 {
		list = c.Purposes
	}
	return len(list) == 0 || slices.Contains(list, p)
}

// newAsk returns a decided call for a lane.
func (v *Vault) newAsk(call *Call, op verify.Operation, c *Collection, d decided) *ask {
	a := &ask{call: call, op: op, rules: d.rules, policy: d.policy}
	if c != nil {
		a.collection = c.Name
	}
	return a
}

// enter commits the row of a call that unlocks nothing, together with change.
// If change fails the row stands, and a second one says that nothing happened.
func (v *Vault) enter(ctx context.Context, a *ask, change func(Tx) error) (journal.Entered, error) {
	a.prepared = v.journal.Prepare(v.row(a))
	if err := a.prepared.Err(); err != nil {
		return journal.Entered{}, err
	}
	entered, err := v.store.Commit(ctx, []journal.Prepared{a.prepared}, change)
	if len(entered) != 1 {
		return journal.Entered{}, notWritable(err)
	}
	a.entered = entered[0]
	a.call.Promise = a.entered.Promise().String()
	if err != nil {
		a.err = conflictOf(err)
		v.enterConflict(a, nil)
		return a.entered, a.err
	}
	return a.entered, nil
}

// conflictOf gives an error of a change a code.
func conflictOf(err error) error {
	if c := bonded.CodeOf(err); c != bonded.CodeInternal {
		return err
	}
	return notWritable(err)
}

// enterConflict enters that what the row of a named did not happen: all of
// it, or the items given.
func (v *Vault) enterConflict(a *ask, items []verify.RowItem) {
	r := *a.prepared.Row
	r.Outcome, r.Code, r.Refers, r.Time, r.RowRef = verify.OutcomeConflict, bonded.CodeOf(a.err), r.RowRef, v.millis(), verify.RowRef{}
	if items != nil {
		r.Items = items
	}
	if _, err := v.store.Commit(v.background, []journal.Prepared{v.journal.Prepare(&r)}, nil); err != nil {
		a.err = notWritable(err)
	}
}

// refused enters that a call was refused and returns err, or the error that
// kept it from being entered. Items name what was asked for, as far as known.
func (v *Vault) refused(call *Call, op verify.Operation, collection string, items []wire.Item, err error) error {
	if call.Grant == nil {
		v.CountUnauthenticated()
		return err
	}
	e := problemOf(err)
	if itemBytes(items) > maxEntryBytes {
		items = slices.Clone(items) // who was asked for is kept, which fields of them is not
		for i := range items {
			items[i].Fields, items[i].Index = nil, nil
		}
	}
	row := v.row(&ask{call: v.presentable(call), op: op, collection: v.knownCollection(collection), items: items, rules: e.Rules})
	row.Outcome, row.Code = verify.OutcomeRefused, e.Code
	p := v.policy.Load()
	row.Policy = p.Set().Digest()
	entered, cerr := v.store.Commit(v.background, []journal.Prepared{v.journal.Prepare(row)}, nil)
	if cerr != nil {
		return notWritable(cerr)
	}
	call.Promise = entered[0].Promise().String()
	return err
}

// presentable returns a call whose purpose, reason and basis have the form a
// row can hold: what was refused for its form is not kept.
func (v *Vault) presentable(call *Call) *Call {
	if checkWhy(&call.Why) == nil {
		return call
	}
	c := *call
	c.Why = apitype.Why{}
	if call.Why.Purpose.Valid() {
		c.Why.Purpose = call.Why.Purpose
	}
	if c.Assurance == verify.AssuranceProven {
		c.Assurance, c.Proof = verify.AssuranceVault, nil
	}
	return &c
}

func (v *Vault) knownCollection(name string) string {
	if v.cfg.Schema.Collections[name] == nil {
		return ""
	}
	return name
}

// Refuse enters a refusal that the API itself made, such as a malformed body,
// and returns err, or the error that kept it from being entered.
func (v *Vault) Refuse(_ context.Context, call *Call, op verify.Operation, err error) error {
	return v.refused(call, op, "", nil, err)
}
