package frontdoor

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/nearest"
	"bonded/verify"
)

// Kinds of readers of a case.
const (
	readRequester = iota + 1 // the officer who filed it
	readOperator             // people of role intake or legal
	readGuardian             // sees the case and may object
	readCustodian            // once its scope was put before them
)

// A reader is somebody who may know of a case.
type reader struct {
	kind int
	role rules.Role
}

// A caller is who asks about cases, in the part that the register or the key
// set gives them.
type caller struct {
	reader

	id, agency string // the agency of officers alone
}

// filed reports whether the caller filed a case, as an officer of the agency
// that they are of now: who has left an agency has left its cases.
func (w *caller) filed(c *kase) bool { return c.row.Officer == w.id && c.row.Agency == w.agency }

// caller returns who asks; code withheld for people who are not in force in the
// register. Those who read no case have no kind.
func (s *Service) caller(q frontdoorsql.Q, call *apitype.PersonCall, now time.Time) (*caller, error) {
	if name := custodianOf(call); name != "" {
		w := &caller{reader: reader{role: rules.RoleCustodian}, id: name}
		if _, _, ok := s.custody.Load().custodian(name); ok {
			w.kind = readCustodian
		}
		return w, nil
	}
	p, err := s.person(q, call.Person, now)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, withheld()
	}
	w := &caller{reader: reader{role: rules.Role(p.Role)}, id: p.ID, agency: p.Agency}
	switch w.role { //nolint:exhaustive // the others read no case
	case rules.RoleRequester:
		w.kind = readRequester
	case rules.RoleIntake, rules.RoleLegal:
		w.kind = readOperator
	case rules.RoleGuardian:
		w.kind = readGuardian
	}
	return w, nil
}

// of returns in what part the caller reads a case; code withheld for everybody
// who may not know of it.
func (w *caller) of(c *kase) (*reader, error) {
	if w.kind == 0 || w.kind == readRequester && !w.filed(c) || !c.knownTo(&w.reader) {
		return nil, withheld()
	}
	return &w.reader, nil
}

// reader returns in what part somebody reads a case; errors as of caller and of.
func (s *Service) reader(q frontdoorsql.Q, c *kase, call *apitype.PersonCall, now time.Time) (*reader, error) {
	w, err := s.caller(q, call, now)
	if err != nil {
		return nil, err
	}
	return w.of(c)
}

// Case returns a case as the caller may see it: officers no reasons that are
// not for them, everybody what they can do now.
func (s *Service) Case(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID) (*apitype.CaseView, error) {
	now := s.now()
	if err := s.settle(ctx, id, now); err != nil {
		return nil, err
	}
	q, c, r, err := s.read(ctx, call, id, now)
	if err != nil {
		return nil, err
	}
	v, err := s.view(q, c, r, now)
	if err != nil {
		return nil, err
	}
	return v, s.viewEntries(ctx, q, c, r, v)
}

// Pending stands in place of a state and asks for the cases that wait for the caller.
const Pending = "pending"

// maxLooked is how many cases are looked at for one page. Custodians may know
// of few of them.
const maxLooked = 20 * apitype.MaxCasePage

// ListCases returns a page of the cases that the caller may know of, in order
// of filing: of all, of one state, or [Pending]. after is what Next said: while
// it says something there may be more, also after an empty page.
func (s *Service) ListCases(ctx context.Context, call *apitype.PersonCall, state, after string) (*apitype.CaseList, error) {
	now, q := s.now(), s.store.Read(ctx)
	who, err := s.caller(q, call, now)
	if err != nil {
		return nil, err
	}
	from := uint64(0)
	if after != "" {
		if from, err = strconv.ParseUint(after, 10, 62); err != nil {
			return nil, invalid("after", "not a place in this list", "use next as it was given")
		}
	}
	if asked := rules.State(state); state != "" && state != Pending {
		if err := asked.Validate(); err != nil {
			return nil, invalid("state", "there is no such state of a case", nearest.Hint(state, rules.StateNames()))
		}
	}
	out := &apitype.CaseList{Cases: []apitype.CaseView{}}
	if who.kind == 0 {
		return out, nil
	}
	for looked := 0; ; {
		rows, err := s.rowsOf(q, who, state, from)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			from = rows[i].N
			v, err := s.listed(q, &rows[i], who, now)
			if err != nil {
				return nil, err
			}
			if v == nil || state == Pending && !apitype.Awaits(v.Actions) {
				continue
			}
			if out.Cases = append(out.Cases, *v); len(out.Cases) == apitype.MaxCasePage {
				out.Next = strconv.FormatUint(from, 10)
				return out, nil
			}
		}
		if len(rows) < apitype.MaxCasePage {
			return out, nil
		}
		if looked += len(rows); looked >= maxLooked {
			out.Next = strconv.FormatUint(from, 10)
			return out, nil
		}
	}
}

// rowsOf returns cases after n that may be of a list of the caller's.
func (s *Service) rowsOf(q frontdoorsql.Q, who *caller, state string, n uint64) ([]frontdoorsql.Case, error) {
	officer := ""
	if who.kind == readRequester {
		officer = who.id
	}
	if state == Pending {
		return q.ListedSince(string(who.role), officer, n, apitype.MaxCasePage)
	}
	return q.Cases(officer, state, n, apitype.MaxCasePage)
}

// listed returns a case of a list without its entries, nil if the caller may
// not know of it.
func (s *Service) listed(q frontdoorsql.Q, row *frontdoorsql.Case, who *caller, now time.Time) (*apitype.CaseView, error) {
	c, err := s.open(row)
	if err != nil {
		return nil, err
	}
	r, err := who.of(c)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // as if it were not there
	}
	v, err := s.view(q, c, r, now)
	if err != nil {
		return nil, err
	}
	v.Entries = []apitype.CaseEntryView{}
	return v, nil
}

func (s *Service) view(q frontdoorsql.Q, c *kase, r *reader, now time.Time) (*apitype.CaseView, error) {
	f, err := s.file(q, c)
	if err != nil {
		return nil, err
	}
	v := s.viewHead(c)
	if g := c.Secrecy; g != nil {
		v.Secrecy = &apitype.SecrecyView{State: g.State, Until: g.Until, ReviewAt: g.ReviewAt}
	}
	if c.Scope != nil {
		v.Scope = hexOf(c.Scope.Digest)
	}
	if c.Package != nil {
		v.Package, v.Expires = c.Package.SHA256, &c.Package.Expires
	}
	s.viewTasks(c, f, r, v)
	if err := s.viewDocuments(q, c, f, v); err != nil {
		return nil, err
	}
	if r.kind == readRequester {
		s.viewQuestion(c, f, v)
	} else {
		digest := c.tasksDigest(f)
		v.Extra["tasks"] = hexOf(digest)
		v.Warnings = slices.Clone(c.Warnings)
		if !s.final(c.state) {
			st := &step{s: s, q: q, c: c, now: now}
			if err := st.stillAsks(); err != nil {
				v.Warnings = append(v.Warnings, err.Rules[0])
			}
		}
		if c.late(now) {
			v.Extra["late"] = lateText
		}
		if c.Approved != nil && c.Approved.Tasks == digest {
			v.Extra["first_approval"] = c.Approved.Person
		}
		rows, err := q.Approvals(c.row.ID, c.Round)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			a := apitype.ApprovalView{Custodian: rows[i].Custodian, Role: rows[i].Role, Approve: rows[i].Approve, Time: time.Unix(rows[i].Time, 0).UTC()}
			if d, err := verify.DecodeApproval(rows[i].Body); err == nil {
				a.Reason = d.Reason
			}
			v.Approvals = append(v.Approvals, a)
		}
	}
	if c.Hold.active() {
		v.Extra["hold_until"] = c.Hold.Until.Format(time.RFC3339)
	}
	if c.Outcome != "" {
		v.Extra["outcome"] = c.Outcome
	}
	v.Actions = s.actionsOf(c, r, now)
	return v, nil
}

// lateText says of a case that its deadline has passed.
const lateText = "the deadline has passed"

// viewHead is what of a case stands beside its statements.
func (s *Service) viewHead(c *kase) *apitype.CaseView {
	v := &apitype.CaseView{
		Case: c.id, Kind: c.Kind, State: string(c.state), Number: c.row.Number, Process: c.row.Process, Agency: c.row.Agency,
		Officer: c.row.Officer, Priority: c.row.Priority, Filed: time.Unix(c.row.Filed, 0).UTC(), RejectCode: c.Reject, Extra: map[string]string{},
	}
	if !c.Deadline.IsZero() {
		v.Deadline = &c.Deadline
	}
	return v
}

func (s *Service) viewTasks(c *kase, f *file, r *reader, v *apitype.CaseView) {
	v.Tasks = []apitype.CaseTaskView{}
	for i := range c.Tasks {
		t := &c.Tasks[i]
		tv := apitype.CaseTaskView{Kind: t.Kind, DataClass: t.Class, Status: string(t.Status), Reason: t.Code}
		if i < len(f.tasks) {
			d := &f.tasks[i]
			tv.Collection, tv.FieldsWanted, tv.From, tv.To, tv.MaxSubjects = d.Collection, d.FieldsWanted, d.From, d.To, max(1, d.MaxSubjects)
		}
		if r.kind != readRequester || t.Kind == "confirm_existence" && c.Package != nil {
			tv.Matched = t.Matched
		}
		v.Tasks = append(v.Tasks, tv)
	}
}

// viewQuestion shows the officer what is asked or offered.
func (s *Service) viewQuestion(c *kase, f *file, v *apitype.CaseView) {
	for _, d := range slices.Backward(f.decisions) {
		switch {
		case d.Action == "clarify" && c.state == rules.StateClarification:
			v.Extra["question"] = d.Reason
			return
		case d.Action == verify.ActionNarrow && c.state == rules.StateNarrowed:
			v.Extra["question"] = d.Reason
			if b, err := json.Marshal(d.Tasks); err == nil {
				v.Extra["offered"] = string(b)
			}
			return
		}
	}
}

func (s *Service) viewDocuments(q frontdoorsql.Q, c *kase, f *file, v *apitype.CaseView) error {
	have, err := q.Documents(c.row.ID)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, h := range have {
		there[hex.EncodeToString(h)] = true
	}
	for _, d := range f.request.Authorisation.Documents {
		v.Documents = append(v.Documents, apitype.CaseDocView{SHA256: d.SHA256, Name: d.Name, MediaType: d.MediaType, Language: d.Language, Size: d.Size, Uploaded: there[d.SHA256]})
		delete(there, d.SHA256)
	}
	for _, sum := range slices.Sorted(maps.Keys(there)) {
		v.Documents = append(v.Documents, apitype.CaseDocView{SHA256: sum, Uploaded: true})
	}
	return nil
}

// viewEntries adds the entries. An officer sees how the case goes, not why
// people within decided.
func (s *Service) viewEntries(ctx context.Context, q frontdoorsql.Q, c *kase, r *reader, v *apitype.CaseView) error {
	rows, err := q.Entries(c.row.ID)
	if err != nil {
		return err
	}
	v.Entries = []apitype.CaseEntryView{}
	for i := range rows {
		e := &rows[i]
		if r.kind == readRequester && (e.Event == verify.EventRefusal || e.Event == verify.EventAlarm || e.Event == verify.EventNotice) {
			continue
		}
		ev := apitype.CaseEntryView{Number: e.Number, Time: time.Unix(e.Time, 0).UTC(), Event: e.Event, From: e.From, State: e.State, Actor: e.Actor}
		placed, err := s.cfg.Book.Placed(ctx, e.Book)
		if err != nil {
			return err
		}
		if placed != nil {
			ev.Index, ev.Leaf = &placed.Index, hexOf(placed.Leaf)
		}
		if r.kind != readRequester || e.State == string(rules.StateRejected) || e.Event != verify.EventTransition {
			ev.Detail = e.Detail
		}
		if r.kind != readRequester {
			ev.Decision = e.Decision
		}
		v.Entries = append(v.Entries, ev)
	}
	return nil
}

// actionsOf returns what a reader can do now, in order of name: the rules have
// a way there for the part, and the case is such that it makes sense.
func (s *Service) actionsOf(c *kase, r *reader, now time.Time) []string {
	var out []string
	p, _ := s.rules.Process(c.row.Process)
	for _, name := range slices.Sorted(maps.Keys(actions)) {
		a := actions[name]
		if !slices.Contains(a.roles, r.role) {
			continue
		}
		by := r.role
		if a.by != "" {
			by = a.by
		}
		ok := a.may != nil && a.may(c, now)
		for _, to := range a.to {
			if _, way := s.rules.Transition(c.state, to, by); way {
				ok = true
			}
		}
		switch {
		case name == "accept" && c.state != rules.StateNarrowed,
			name == "respond" && c.state != rules.StateAwaitingOtherAuthority,
			(name == "clarify" || name == "approve") && c.state != rules.StateUnderReview,
			name == "proceed" && c.state != rules.StateNoticePending,
			name == "answer" && c.state != rules.StateClarification && c.state != rules.StateNarrowed,
			name == "forward" && c.state != rules.StateVerifying && c.state != rules.StatePreserved,
			name == "hold_extend" && p.Kind != rules.KindPreserve:
			ok = false
		}
		if ok {
			out = append(out, name)
		}
	}
	if r.kind == readCustodian && c.scopeWanted() && c.Scope != nil {
		out = append(out, "approve", "refuse")
	}
	if r.kind == readCustodian && c.Opening > 0 && c.Package == nil && c.Scope != nil && c.Scope.Sealed > 0 {
		out = append(out, "partials")
	}
	return out
}

// Openings returns what has been opened of the ledger's case leaves. Anyone
// may read it.
func (s *Service) Openings(ctx context.Context, from uint64) (*apitype.OpeningFeed, error) {
	return feedOf(s.cfg.Book.Openings(ctx, from))
}

// roleAuditor is a role in the register that has no part in any case.
const roleAuditor = "auditor"

// ClosedOpenings returns openings of entries that are not public yet, for the
// report. Counsel may read them, who may read every case, and auditors.
func (s *Service) ClosedOpenings(ctx context.Context, call *apitype.PersonCall, from uint64) (*apitype.OpeningFeed, error) {
	p, err := s.person(s.store.Read(ctx), call.Person, s.now())
	if err != nil {
		return nil, err
	}
	if p == nil || p.Role != string(rules.RoleLegal) && p.Role != roleAuditor {
		return nil, forbidden("separation.role", "entries that are not public are for counsel and auditors", "have one of them fetch the file")
	}
	return feedOf(s.cfg.Book.Closed(ctx, from))
}

func feedOf(list []*verify.CaseOpening, next uint64, err error) (*apitype.OpeningFeed, error) {
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []*verify.CaseOpening{}
	}
	return &apitype.OpeningFeed{Openings: list, Next: next}, nil
}

// Metrics are figures for operators; they hold no names.
type Metrics struct {
	Cases           []CaseCount
	Refused         map[string]uint64 // at the door, by reject code, since start
	Unauthenticated uint64            // calls of nobody known, since start
	Waiting         int64             // work that waits, due or not
	Overdue         int64             // seconds since the oldest due work was due
}

// A CaseCount is how many cases of a process are in a state.
type CaseCount struct {
	State, Process string
	Count          int64
}

// Metrics returns figures as of now.
func (s *Service) Metrics(ctx context.Context) (*Metrics, error) {
	q := s.store.Read(ctx)
	tallies, err := q.Tallies()
	if err != nil {
		return nil, err
	}
	m := new(Metrics)
	for _, t := range tallies {
		m.Cases = append(m.Cases, CaseCount(t))
	}
	m.Refused, m.Unauthenticated = s.refused.read()
	var oldest int64
	if m.Waiting, oldest, err = q.WorkWaiting(); err != nil {
		return nil, err
	}
	if oldest > 0 {
		m.Overdue = max(0, s.now().Unix()-oldest)
	}
	return m, nil
}
