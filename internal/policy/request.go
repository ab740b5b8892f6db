package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"bonded"
)

// operations are the actions a policy may name, as package verify spells
// them. Those in the group Action::"opening" turn ciphertext into plaintext
// for somebody.
var operations = []string{
	"read", "mask", "create", "write", "find", "list", "count", "history", "export", "erase",
	"erase_undo", "token_create", "token_delete", "token_read", "basis", "journal_read", "retention",
	"reseal", "rotate", "record_delete", "route", "schema", "receipt", "status", "disclose", "hold",
}

var openings = []string{"read", "mask", "token_read", "export"}

// Operations returns the operations a request and a policy may name.
func Operations() []string { return slices.Clone(operations) }

// A Principal is who asks.
type Principal struct {
	ID           string
	Cell         bonded.CellID       // where it sits
	Jurisdiction bonded.Jurisdiction // empty: that of the asked cell if it sits there
	Roles        []string
	Purposes     []bonded.Purpose // those granted to it
	Proven       bool             // it proved the request to the keyholder; false for a bearer key
}

// A Request is everything a decision depends on. Lists are sets: order does
// not matter to the decision, but does to the [Cache], so keep it steady.
type Request struct {
	Principal        Principal
	Operation        string // one of [Operations]
	Cell             bonded.CellID
	CellJurisdiction bonded.Jurisdiction
	Collection       string         // empty for operations on the whole cell
	Fields           []string       // as named by the caller
	Classes          []string       // classes of Fields: personal, sensitive, anonymous; empty if not known, which counts as personal
	BarredFields     []string       // those of Fields whose schema does not list Purpose
	Purpose          bonded.Purpose // empty refuses
	Basis            string         // legal basis the caller named, or empty
}

// A Decision is the answer. Its slices are shared: do not change them.
type Decision struct {
	Allow   bool
	Rules   []string    // ids of the policies that decided, sorted; never empty
	Reasons []string    // their reasons in the same order
	Code    bonded.Code // for the answer; empty if Allow
}

// Err returns nil for an allowing decision, else a [*bonded.Error] with the
// decision's code, first reason and rules. With [bonded.CodeWithheld] it has
// neither reason nor rules, which would tell outsiders that the thing exists.
func (d Decision) Err() error {
	if d.Allow {
		return nil
	}
	if d.Code == bonded.CodeWithheld {
		return &bonded.Error{Code: d.Code, Message: "not there, or not yours to see"}
	}
	e := &bonded.Error{Code: d.Code, Message: "refused by policy", Rules: d.Rules}
	if len(d.Reasons) > 0 {
		e.Message = d.Reasons[0]
	}
	return e
}

// entities are the principal, the resource and the actions of one evaluation.
type entities struct {
	principal, resource types.Entity
}

// Get implements Cedar's EntityGetter.
func (e entities) Get(uid types.EntityUID) (types.Entity, bool) {
	switch uid {
	case e.principal.UID:
		return e.principal, true
	case e.resource.UID:
		return e.resource, true
	}
	a, ok := actions[uid]
	return a, ok
}

var actions = func() types.EntityMap {
	m := types.EntityMap{}
	opening := cedar.NewEntityUID("Action", "opening")
	m[opening] = types.Entity{UID: opening}
	for _, o := range operations {
		uid := cedar.NewEntityUID("Action", types.String(o))
		e := types.Entity{UID: uid}
		if slices.Contains(openings, o) {
			e.Parents = cedar.NewEntityUIDSet(opening)
		}
		m[uid] = e
	}
	return m
}()

// principalAttributes and contextAttributes are the words a policy may use.
var (
	principalAttributes = []string{"id", "cell", "jurisdiction", "roles", "purposes", "proven"}
	contextAttributes   = []string{"cell", "cell_jurisdiction", "collection", "fields", "classes", "barred_fields", "purpose", "basis"}
)

// cedarRequest renders r in Cedar's terms.
func (r *Request) cedarRequest() (entities, cedar.Request) {
	jurisdiction := r.Principal.Jurisdiction
	if jurisdiction == "" && r.Principal.Cell == r.Cell {
		jurisdiction = r.CellJurisdiction
	}
	parents := make([]types.EntityUID, len(r.Principal.Roles))
	for i, role := range r.Principal.Roles {
		parents[i] = cedar.NewEntityUID("Role", types.String(role))
	}
	uid := cedar.NewEntityUID("Principal", types.String(r.Principal.ID))
	e := entities{principal: types.Entity{
		UID:     uid,
		Parents: cedar.NewEntityUIDSet(parents...),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"id":           types.String(r.Principal.ID),
			"cell":         types.String(r.Principal.Cell),
			"jurisdiction": types.String(jurisdiction),
			"roles":        setOf(r.Principal.Roles),
			"purposes":     setOf(r.Principal.Purposes),
			"proven":       types.Boolean(r.Principal.Proven),
		}),
	}}
	cell := cedar.NewEntityUID("Cell", types.String(r.Cell))
	e.resource = types.Entity{UID: cell}
	if r.Collection != "" {
		e.resource = types.Entity{
			UID:     cedar.NewEntityUID("Collection", types.String(r.Collection)),
			Parents: cedar.NewEntityUIDSet(cell),
		}
	}
	return e, cedar.Request{
		Principal: uid,
		Action:    cedar.NewEntityUID("Action", types.String(r.Operation)),
		Resource:  e.resource.UID,
		Context: cedar.NewRecord(cedar.RecordMap{
			"cell":              types.String(r.Cell),
			"cell_jurisdiction": types.String(r.CellJurisdiction),
			"collection":        types.String(r.Collection),
			"fields":            setOf(r.Fields),
			"classes":           setOf(r.Classes),
			"barred_fields":     setOf(r.BarredFields),
			"purpose":           types.String(r.Purpose),
			"basis":             types.String(r.Basis),
		}),
	}
}

func setOf[T ~string](list []T) types.Set {
	values := make([]types.Value, len(list))
	for i, v := range list {
		values[i] = types.String(v)
	}
	return types.NewSet(values...)
}
