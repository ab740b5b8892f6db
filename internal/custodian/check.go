package custodian

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/recipient"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// DefaultMaxLife is the longest life of a release that a custodian signs for,
// unless its configuration says otherwise.
const DefaultMaxLife = 90 * 24 * time.Hour

// A Checked is a case that this custodian has verified: all of it follows from
// signatures, the ledger and the rules, and nothing from the front door's
// word.
type Checked struct {
	Case      bonded.CaseID
	State     string
	Request   *verify.CaseRequest
	Officer   *verify.Person
	Agency    *verify.Agency
	Decisions []*verify.CaseDecision
	Tasks     []verify.DecidedTask
	Scope     *verify.Scope // without items
	Digest    [32]byte      // of the scope
	Leaf      [32]byte      // of the entry that put it before the custodians
	Witnessed time.Time     // of that entry
	Index     int64         // of that entry
	Items     int
	People    int
	Records   int
	Fields    []string // names, in order of first use
	Envelopes int
	Rules     []string
	Documents []verify.CaseDocument

	content [32]byte    // that the entry commits to
	hashes  []tlog.Hash // of the items, which the digest of the scope is made of
}

// refuse is why a custodian does not sign.
func refuse(rule, format string, args ...any) error {
	return &bonded.Error{
		Code: bonded.CodeForbidden, Message: fmt.Sprintf(format, args...), Rules: []string{"custodian." + rule},
		Hint: "do not approve; tell the other custodians and the guardian",
	}
}

// Check fetches a case and verifies it. An error with code forbidden says what
// does not hold: nothing of the case is to be signed then.
func (f *Folder) Check(ctx context.Context, door Door, id bonded.CaseID) (*Checked, error) {
	return f.check(ctx, door, id, true, func(Step) {})
}

// A Step is one part of [Folder.Check].
type Step string

// Steps of a check, in their order. A step that was not passed when the check
// ended is the one that does not hold.
const (
	StepCustody   Step = "custody"   // the custodians' key sets, ordered, certified and witnessed
	StepRegister  Step = "register"  // everybody in the register, confirmed and witnessed
	StepRequest   Step = "request"   // the request, signed by the officer
	StepDecisions Step = "decisions" // who decided, and two people who did not draft
	StepConflict  Step = "conflict"  // this custodian does not belong to whoever asks
	StepRules     Step = "rules"     // the rules that this program was built with
	StepScope     Step = "scope"     // the scope, and its witnessed entry
	StepEntry     Step = "entry"     // what that entry commits to, and the term
	StepItems     Step = "items"     // every item, against the tasks and the digest
)

// Steps are all of them, in their order.
var Steps = []Step{StepCustody, StepRegister, StepRequest, StepDecisions, StepConflict, StepRules, StepScope, StepEntry, StepItems}

// CheckStepwise is [Folder.Check] and says of each step that it was passed.
func (f *Folder) CheckStepwise(ctx context.Context, door Door, id bonded.CaseID, passed func(Step)) (*Checked, error) {
	return f.check(ctx, door, id, true, passed)
}

// check is [Folder.Check]. Without proofs those of the envelopes are left out,
// for a caller who computes from each and checks it then.
func (f *Folder) check(ctx context.Context, door Door, id bonded.CaseID, proofs bool, passed func(Step)) (*Checked, error) {
	if _, err := f.Refresh(ctx, door); err != nil {
		return nil, err
	}
	d, err := door.Dossier(ctx, id)
	if err != nil {
		return nil, err
	}
	passed(StepCustody)
	c, err := f.checkDossier(id, d, passed)
	if err != nil {
		return nil, notHeld(err)
	}
	if err := f.checkItems(ctx, door, c, d, proofs); err != nil {
		return nil, notHeld(err)
	}
	passed(StepItems)
	return c, nil
}

// notHeld turns a failure of a check into a refusal.
func notHeld(err error) error {
	if v := verify.FailureOf(err); v != nil {
		return &bonded.Error{
			Code: bonded.CodeForbidden, Message: "the case does not hold: " + v.Message, Rules: []string{"custodian.verify." + v.Code},
			Hint: "do not approve; tell the other custodians and the guardian", Err: err,
		}
	}
	return err
}

func (f *Folder) checkDossier(id bonded.CaseID, d *apitype.CaseDossier, passed func(Step)) (*Checked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	chain, err := f.proven()
	if err != nil {
		return nil, err
	}
	if d.Case.Case != id || d.Request == nil || d.Agency == nil || d.Officer == nil || d.Opening == nil {
		return nil, refuse("dossier", "the dossier is of another case, or incomplete")
	}
	// 1. Everybody in the register, each entry witnessed.
	reg, err := f.register(chain, d)
	if err != nil {
		return nil, err
	}
	passed(StepRegister)
	// 2. Who asks, for what.
	req, officer, agency, err := reg.CheckRequest(d.Request, f.conf.Cell)
	if err != nil {
		return nil, err
	}
	c := &Checked{Case: id, State: d.Case.State, Request: req, Officer: officer, Agency: agency, Documents: req.Authorisation.Documents, Items: d.Items}
	passed(StepRequest)
	// 3. Who decided, and what is left of the tasks.
	if err := c.decided(reg, d); err != nil {
		return nil, err
	}
	passed(StepDecisions)
	if err := f.conflict(c, reg); err != nil {
		return nil, err
	}
	passed(StepConflict)
	// 4. By which rule.
	if err := c.allowed(); err != nil {
		return nil, err
	}
	passed(StepRules)
	// 5. The scope that stands in the ledger, and what its entry commits to.
	if err := f.scope(c, d); err != nil {
		return nil, err
	}
	passed(StepScope)
	if err := f.held(c, reg, d); err != nil {
		return nil, err
	}
	passed(StepEntry)
	return c, nil
}

// register verifies the entries of the register that the dossier shows.
func (f *Folder) register(chain *verify.CustodyChain, d *apitype.CaseDossier) (*verify.RegisterProof, error) {
	reg, err := verify.NewRegisterProof(f.all, chain)
	if err != nil {
		return nil, err
	}
	byID := map[string]*verify.PackageRegistry{}
	add := func(kind string, s *verify.Statement, id string) {
		if s != nil && byID[id] == nil {
			byID[id] = &verify.PackageRegistry{Kind: kind, Statement: s}
		}
	}
	if a, err := verify.ParseAgency(d.Agency); err == nil {
		add(verify.RegistryAgency, d.Agency, a.ID)
	}
	for _, s := range append([]*verify.Statement{d.Officer}, d.People...) {
		if p, err := verify.ParsePerson(s); err == nil {
			add(verify.RegistryPerson, s, p.ID)
		}
	}
	for i := range d.Registry {
		p := &d.Registry[i]
		g := byID[p.ID]
		if g == nil || p.Opening == nil {
			return nil, refuse("register", "a proof of the register is of nobody in the dossier")
		}
		g.Entry = verify.PackageEntry{Opening: p.Opening, Proof: []byte(p.Proof)}
		if err := reg.Add(g); err != nil {
			return nil, err
		}
	}
	return reg, nil
}

// private are the kinds of agency that belong to no government.
var private = []string{"lender", "auditor", "private_party"}

// conflict refuses a custodian that is of the requester's own chain, and one
// that has a part in the case already.
func (f *Folder) conflict(c *Checked, reg *verify.RegisterProof) error {
	own := func(organisation string) bool {
		return strings.EqualFold(strings.TrimSpace(organisation), strings.TrimSpace(f.conf.Organisation))
	}
	switch {
	case own(c.Officer.Organisation), own(c.Agency.Name):
		return refuse("conflict", "this custodian belongs to the agency that asks")
	case f.conf.Government != "" && f.conf.Government == string(c.Agency.Country) && !slices.Contains(private, c.Agency.Kind):
		return refuse("conflict", "this custodian belongs to the state whose agency asks")
	}
	me := verify.EncodePublicKey(publicOf(f.sec.Approval))
	for _, id := range append([]string{c.Officer.ID}, deciders(c.Decisions)...) {
		if id == f.conf.ID || reg.People[id].Key == me {
			return refuse("conflict", "this custodian has a part in the case already")
		}
	}
	return nil
}

func deciders(decisions []*verify.CaseDecision) (ids []string) {
	for _, d := range decisions {
		ids = append(ids, d.Person)
	}
	return ids
}

// decided verifies every decision and holds them against the separation of
// roles.
func (c *Checked) decided(reg *verify.RegisterProof, d *apitype.CaseDossier) error {
	roles := map[string]string{c.Officer.Key: requester} // by key: one person under two ids is one person
	ids := map[string]string{c.Officer.Key: c.Officer.ID}
	for _, s := range d.Decisions {
		dec, err := c.decision(reg, s)
		if err != nil {
			return err
		}
		key := reg.People[dec.Person].Key
		role := reg.People[dec.Person].Role
		if was, ok := roles[key]; ok && (was != role || ids[key] != dec.Person) {
			return refuse("separation", "one person has two roles in this case, or two names")
		}
		roles[key], ids[key] = role, dec.Person
		c.Decisions = append(c.Decisions, dec)
	}
	var err error
	if c.Tasks, err = verify.DecideTasks(c.Request, c.Decisions); err != nil {
		return err
	}
	if c.emergency() {
		return c.calledBack()
	}
	return c.twoPeople(verify.TasksDigest(d.Request.Digest(verify.LabelRequest), c.Tasks))
}

// decision verifies one decision.
func (c *Checked) decision(reg *verify.RegisterProof, s *verify.Statement) (*verify.CaseDecision, error) {
	dec, err := verify.ParseCaseDecision(s)
	if err != nil {
		return nil, err
	}
	p := reg.People[dec.Person]
	if p == nil {
		return nil, refuse("decision", "a decision is by somebody who does not stand in the register")
	}
	key, err := verify.DecodePublicKey(p.Key)
	if err != nil || !s.SignedBy(verify.LabelDecision, p.ID, key) {
		return nil, refuse("decision", "a decision is not signed by the person it names")
	}
	// A word of the subject, or of a court, by whom it was told.
	conveyed := dec.Action == "challenge" && dec.Role == "subject" || dec.Action == "rule" && dec.Role == "court"
	switch {
	case dec.Case != c.Case || p.Role != dec.Role && !conveyed || p.Suspended:
		return nil, refuse("decision", "a decision is about another case, or by somebody without that role")
	case dec.Time.Before(p.NotBefore) || dec.Time.After(p.NotAfter):
		return nil, refuse("decision", "a decision is by somebody whose registration was not in force then")
	case !mayDecide(dec):
		return nil, refuse("decision", "a decision to %s is not one of the role %s", dec.Action, dec.Role)
	}
	return dec, nil
}

const requester = "requester"

// mayDecide holds the actions that this custodian builds upon against the role
// that has them.
func mayDecide(d *verify.CaseDecision) bool {
	switch d.Action {
	case verify.ActionNarrow, verify.ActionRefuseTask, "approve", "emergency":
		return d.Role == "legal"
	case verify.ActionAccept, verify.ActionAnswer:
		return d.Role == requester
	case "forward":
		return d.Role == "intake"
	}
	return true
}

// twoPeople asks for two approvals of the tasks as they stand, neither by
// whoever drafted the narrowing.
func (c *Checked) twoPeople(tasks [32]byte) error {
	drafters, approvers := map[string]bool{}, map[string]bool{}
	for _, d := range c.Decisions {
		switch d.Action {
		case verify.ActionNarrow:
			drafters[d.Person] = true
		case "approve":
			approvers[d.Person] = d.Digest == hex.EncodeToString(tasks[:])
		}
	}
	n := 0
	for person, yes := range approvers {
		if yes && !drafters[person] {
			n++
		}
	}
	if n < 2 {
		return refuse("two-people", "fewer than two people who did not draft the narrowing have approved these tasks")
	}
	return nil
}

// emergency reports whether the case is to open before the paper is there.
func (c *Checked) emergency() bool {
	return slices.ContainsFunc(c.Decisions, func(d *verify.CaseDecision) bool { return d.Action == "emergency" })
}

// calledBack asks for the record of a call to a number that stands in the
// register, not in the request.
func (c *Checked) calledBack() error {
	if c.Request.Authorisation.Priority != string(rules.PriorityEmergency) {
		return refuse("emergency", "the request is no emergency")
	}
	for _, d := range c.Decisions {
		if d.Action == "forward" && (rules.SameNumber(d.Detail, c.Officer.Phone) || rules.SameNumber(d.Detail, c.Agency.Switchboard)) {
			return nil
		}
	}
	return refuse("call-back", "nobody called the agency back at a number from the register")
}

// allowed asks the rules that this custodian's own program was built with.
func (c *Checked) allowed() error {
	r, err := rules.Shipped()
	if err != nil {
		return err
	}
	process, emergency := c.Request.Authorisation.ProcessType, c.emergency()
	for i := range c.Tasks {
		t := &c.Tasks[i]
		if t.Refused != "" {
			continue
		}
		class := rules.DataClass(t.DataClass)
		if !r.Opens(process, class) || emergency && !r.OpensInEmergency(process, class) {
			return refuse("process", "process %s does not open data of class %s this way", process, t.DataClass)
		}
		if rule := r.Name() + ".process." + process + ".opens." + t.DataClass; !slices.Contains(c.Rules, rule) {
			c.Rules = append(c.Rules, rule)
		}
	}
	if len(c.Rules) == 0 {
		return refuse("tasks", "every task is refused")
	}
	return nil
}

// scope verifies the head of the scope and its entry in the ledger. The
// caller holds mu.
func (f *Folder) scope(c *Checked, d *apitype.CaseDossier) error {
	entry := verify.PackageEntry{Opening: d.Opening, Proof: []byte(d.Proof)}
	in, err := entry.Check(f.cell)
	if err != nil {
		return err
	}
	e := in.Entry
	if e.Type != verify.EntryCase || e.Event != verify.EventQuorum || e.Case != c.Case.ID {
		return refuse("entry", "entry %d of the ledger does not put this case before the custodians", in.Index)
	}
	if c.Scope, err = verify.DecodeScopeHead(d.ScopeHead); err != nil {
		return refuse("scope", "the scope is not in the format")
	}
	c.Digest, c.Leaf, c.Index, c.Witnessed = e.Scope, [32]byte(in.Hash), in.Index, in.Checkpoint.WitnessTime()
	set := f.last().set
	c.content = e.Content
	if _, err := recipient.Parse(c.Request.Recipient); err != nil {
		return refuse("recipient", "the recipient key of the request cannot be used: %v", bonded.CodeOf(err))
	}
	s := c.Scope
	life := f.maxLife()
	switch {
	case s.Cell != f.conf.Cell || s.Case != c.Case.ID || s.Kind != c.Request.Kind || s.Request != d.Request.Digest(verify.LabelRequest):
		return refuse("scope", "the scope is of another case or request")
	case s.Recipient != verify.RecipientDigest(c.Request.Recipient):
		return refuse("recipient", "the scope is for another recipient key than the request's")
	case s.KeySet != set.Digest() || s.Epoch != set.Epoch():
		return refuse("key-set", "the scope is for other custodians than those in force")
	case s.Expires > uint64(c.Witnessed.Add(life).Unix()): //nolint:gosec // after 1970
		return refuse("life", "the release would live for longer than %s", life)
	case c.Witnessed.After(c.Request.Authorisation.ValidTo) || f.now().After(c.Request.Authorisation.ValidTo):
		return refuse("expired", "the instrument was valid to %s", c.Request.Authorisation.ValidTo.Format(time.RFC3339))
	}
	return nil
}

func (f *Folder) maxLife() time.Duration {
	if d, err := time.ParseDuration(f.conf.MaxLife); err == nil { // checked when the folder was opened
		return d
	}
	return DefaultMaxLife
}

func publicOf(seed []byte) ed25519.PublicKey {
	k, _ := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey) //nolint:errcheck // an Ed25519 key
	return k
}
