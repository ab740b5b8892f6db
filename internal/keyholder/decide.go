package keyholder

import (
	"slices"
	"time"

	"bonded"
	"bonded/internal/policy"
	"bonded/internal/wire"
	"bonded/verify"
)

// A ruling is the decision on one entry as a whole.
type ruling struct {
	code   bonded.Code // empty: yes
	rule   string
	digest [32]byte // that was proven
}

func no(code bonded.Code, rule string) ruling { return ruling{code: code, rule: rule} }

// takePlace moves the stream of a node to the place at and returns "", or
// returns the rule that the place or the row breaks: the one is not after the
// last, the other was shown before. The caller holds mu.
func (k *Keyholder) takePlace(node uint16, at position, leaf [32]byte) string {
	if node == 0 || !k.state.streams[node].before(at) {
		return "keyholder.stream"
	}
	k.state.streams[node] = at
	if _, open := k.state.unanch.rows[leaf]; open || leaf == ([32]byte{}) || k.recent.has(leaf) {
		return "keyholder.row-reused"
	}
	return ""
}

// decide rules on an entry, in this order: form, freshness, stream, grant,
// assurance, proof, policy, budget. What depends on the single item comes
// after, see itemCode. The caller holds mu.
func (k *Keyholder) decide(u *wire.Unlock, e *wire.Entry, now time.Time) ruling {
	// 1. Form, and the place in the stream of the node. A malformed or late
	// entry does not move the stream.
	if rule := wellFormed(e); rule != "" {
		return no(bonded.CodeInvalid, rule)
	}
	if rule := k.takePlace(u.Node, position{u.Incarnation, e.Seq}, e.Leaf); rule != "" {
		return no(bonded.CodeKeyholderRefused, rule)
	}

	// 2. What the ledger has shown.
	if code, rule := k.witnessed(now); code != "" {
		return no(code, rule)
	}

	// 3. The grant.
	g := k.grants.find(e.Auth.Principal)
	if r := k.permits(g, e, now); r.code != "" {
		return r
	}

	// 4. How the asker is known.
	r := k.assured(g, e, now)
	if r.code != "" {
		return r
	}

	// 5. The policy that the vault evaluates as well.
	if d := k.trust.cache.Decide(k.policyRequest(g, e)); !d.Allow {
		return no(d.Code, first(d.Rules))
	}

	// 6. The budget.
	limit, perItem := g.Budget, e.Auth.Assurance == verify.AssuranceJob && g.JobRate > 0
	if perItem {
		limit = g.JobRate
	}
	if !k.state.budgets.spend(g.ID, millis(now), limit, costOf(e, perItem)) {
		return no(bonded.CodeBudget, "keyholder.budget")
	}
	return r
}

func first(ss []string) string {
	if len(ss) == 0 {
		return ""
	}
	return ss[0]
}

// wellFormed checks that an entry asks for what its operation can ask for, which
// is never a disclosure: see [Keyholder.Release]. A
// read names versions and so opens what is stored; a write names none, so it
// cannot. A record stands only once among what is written, so that it has one
// index value a field.
func wellFormed(e *wire.Entry) (rule string) {
	if !e.Operation.Unlocks() || e.Operation == verify.OpDisclose || !bonded.ValidName(e.Collection) || !e.Purpose.Valid() || len(e.Items) == 0 {
		return "keyholder.form"
	}
	var written map[[2]bonded.ID]struct{}
	if len(e.Items) > 1 && (e.Operation == verify.OpCreate || e.Operation == verify.OpWrite || e.Operation == verify.OpReseal) {
		written = make(map[[2]bonded.ID]struct{}, len(e.Items))
	}
	for i := range e.Items {
		it := &e.Items[i]
		search := e.Operation == verify.OpFind
		create := e.Operation == verify.OpCreate
		write := create || e.Operation == verify.OpWrite
		reseal := e.Operation == verify.OpReseal
		switch {
		case search != it.Subject.IsZero(),
			search && (len(it.Fields) > 0 || len(it.Index) == 0),
			!search && it.Record.IsZero(),
			!search && len(it.Fields) == 0,
			create && !it.Create,
			it.Create && !write,
			len(it.Index) > 0 && !write && !search && !reseal:
			return "keyholder.form"
		}
		if written != nil {
			at := [2]bonded.ID{it.Subject, it.Record}
			if _, twice := written[at]; twice && !it.Create { // creating twice gets nothing, see itemCode
				return "keyholder.form"
			}
			written[at] = struct{}{}
		}
		for j := range it.Fields {
			f := &it.Fields[j]
			if !bonded.ValidName(f.Name) || write && !f.Version.IsZero() || !write && !reseal && f.Version.IsZero() {
				return "keyholder.form"
			}
			for l := range j { // at most verify.MaxRowFields
				o := &it.Fields[l]
				if o.Name == f.Name && (!reseal || o.Version.IsZero() == f.Version.IsZero()) {
					return "keyholder.form"
				}
			}
		}
		for j := range it.Index {
			if !bonded.ValidName(it.Index[j].Field) {
				return "keyholder.form"
			}
			for l := range j { // one index value a field: no dictionary in one item
				if it.Index[l].Field == it.Index[j].Field {
					return "keyholder.form"
				}
			}
		}
	}
	return ""
}

// permits checks what the grant says by itself.
func (k *Keyholder) permits(g *grantEntry, e *wire.Entry, now time.Time) ruling {
	switch {
	case g == nil:
		return no(bonded.CodeKeyholderRefused, "keyholder.grant-unknown")
	case now.Before(g.NotBefore) || !now.Before(g.NotAfter):
		return no(bonded.CodeKeyholderRefused, "keyholder.grant-ended")
	case !slices.Contains(g.Purposes, e.Purpose):
		return no(bonded.CodeForbidden, "keyholder.purpose")
	}
	for i := range e.Items {
		for j := range e.Items[i].Fields {
			if !g.Covers(e.Collection, e.Items[i].Fields[j].Name) {
				return no(bonded.CodeForbidden, "keyholder.scope")
			}
		}
		for j := range e.Items[i].Index {
			if !g.Covers(e.Collection, e.Items[i].Index[j].Field) {
				return no(bonded.CodeForbidden, "keyholder.scope")
			}
		}
	}
	return ruling{}
}

// assured checks how the asker is known, and a proof against what is asked.
func (k *Keyholder) assured(g *grantEntry, e *wire.Entry, now time.Time) ruling {
	switch e.Auth.Assurance {
	case verify.AssuranceVault:
		if !g.Bearer {
			return no(bonded.CodeBearerForbidden, "keyholder.bearer")
		}
		return ruling{}
	case verify.AssuranceJob:
		if !g.Job || e.Operation != verify.OpReseal {
			return no(bonded.CodeForbidden, "keyholder.job")
		}
		return ruling{}
	case verify.AssuranceProven:
		if !coversItems(k.cfg.Cell, e) {
			return no(bonded.CodeProof, "keyholder.named")
		}
		named := e.Auth.Named
		if len(named) == 0 {
			named = wire.NamedItems(k.cfg.Cell, e.Items)
		}
		r := wire.Request{
			Cell: k.cfg.Cell, Operation: e.Operation, Collection: e.Collection, Purpose: e.Purpose,
			Reason: e.Reason, Basis: e.Basis, Named: named, Body: e.Auth.Body,
		}
		digest := r.Digest()
		if rule := k.sessions.prove(&e.Auth.Proof, g, digest, now); rule != "" {
			return no(bonded.CodeProof, rule)
		}
		return ruling{digest: digest}
	case verify.AssuranceNone, verify.AssuranceSubject, verify.AssuranceCase:
	}
	return no(bonded.CodeProof, "keyholder.assurance")
}

// policyRequest returns what the policy is asked. Fields are named once each,
// in the order asked; the keyholder knows no classes.
func (k *Keyholder) policyRequest(g *grantEntry, e *wire.Entry) *policy.Request {
	q := &policy.Request{
		Principal: g.principal, Operation: e.Operation.String(), Cell: k.cfg.Cell,
		Collection: e.Collection, Purpose: e.Purpose, Basis: e.Basis,
	}
	q.Principal.Proven = e.Auth.Assurance == verify.AssuranceProven
	if len(k.trust.cell.Jurisdictions) > 0 {
		q.CellJurisdiction = k.trust.cell.Jurisdictions[0]
	}
	var fields distinct
	for i := range e.Items {
		for j := range e.Items[i].Fields {
			fields.add(e.Items[i].Fields[j].Name)
		}
		for j := range e.Items[i].Index {
			fields.add(e.Items[i].Index[j].Field)
		}
	}
	q.Fields = fields.names
	return q
}

// itemCode returns why one item of an allowed entry gets nothing, or empty.
func (k *Keyholder) itemCode(it *wire.Item) bonded.Code {
	if it.Subject.IsZero() {
		return ""
	}
	st, known := k.state.subjects[it.Subject]
	switch {
	case known && st.destroyed():
		return bonded.CodeErased
	case it.Create && known:
		return bonded.CodeConflict
	case it.Create:
		if len(k.state.marks) > 0 {
			if _, gone := k.state.marks[k.keys.mark(it.Subject)]; gone {
				return bonded.CodeErased
			}
		}
		return ""
	case !known:
		return bonded.CodeWithheld
	}
	return ""
}
