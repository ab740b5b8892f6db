package console

import (
	"cmp"
	"encoding/hex"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/operator"
	"bonded/internal/ui"
	"bonded/verify"
)

// caseRoutes are the pages about cases.
func (c *Console) caseRoutes() {
	c.page("GET /console/cases", (*visit).board)
	c.page("GET /console/cases/{id}", (*visit).casePage)
	c.page("GET /console/cases/{id}/documents/{sha256}", (*visit).caseDocument)
	c.action("POST /console/cases/{id}/draft", (*visit).draft)
	c.action("POST /console/cases/{id}/decide", (*visit).decide)
}

// caseStates are the states in the order of a case's life.
var caseStates = []rules.State{
	rules.StateSubmitted, rules.StateVerifying, rules.StatePreserved, rules.StateUnderReview, rules.StateClarification, rules.StateNarrowed,
	rules.StateAwaitingOtherAuthority, rules.StateNoticePending, rules.StateChallengeWindow, rules.StateChallenged, rules.StateAwaitingQuorum,
	rules.StateEmergencyOpened, rules.StateOpening, rules.StateDelivered, rules.StateRatified, rules.StateUnratified, rules.StateClosed,
	rules.StateRejected, rules.StateWithdrawn, rules.StateLapsed,
}

// A boardList is what one look at the board shows.
type boardList struct {
	filter string // open, mine, late, or a state
	board  *apitype.CaseBoard
	first  string // address of the first page; empty: this is it
	next   string // address of the next page; empty: this is the last
}

func (x *visit) board() error {
	if !slices.Contains([]string{"intake", "legal", "guardian"}, x.who.Role) {
		return x.show(x.T("case.title"), noCasesView(x))
	}
	q := x.r.URL.Query()
	l := &boardList{filter: cmp.Or(q.Get("state"), apitype.BoardOpen)}
	after := q.Get("after")
	var err error
	if l.board, err = x.c.cfg.Cases.Board(x.r.Context(), &x.call, l.filter, after); err != nil {
		return err
	}
	if after != "" {
		l.first = statusLink(l.filter)
	}
	if l.board.Next != "" {
		l.next = "/console/cases?" + url.Values{"state": {l.filter}, "after": {l.board.Next}}.Encode()
	}
	return x.show(x.T("case.title"), boardView(x, l))
}

// stateKind is the mark of a state.
func stateKind(state string) string {
	kinds := map[rules.State]string{
		rules.StateDelivered: ui.Good, rules.StateRatified: ui.Good, rules.StateClosed: ui.Good,
		rules.StateRejected: ui.Plain, rules.StateWithdrawn: ui.Plain, rules.StateLapsed: ui.Plain, rules.StateUnratified: ui.Plain,
		rules.StateEmergencyOpened: ui.Warn, rules.StateChallenged: ui.Warn,
	}
	return kindOf(kinds, rules.State(state))
}

// A caseFile is one case as its page shows it.
type caseFile struct {
	*operator.File
	v       *apitype.CaseView
	d       *apitype.CaseDossier // nil: not for this reader
	request *verify.CaseRequest
	agency  *verify.Agency
	officer *verify.Person
	process rules.Process
	reveal  bool

	approved bool   // by its reader, and somebody else has to
	done     string // number of the entry that the reader has just made
}

func (x *visit) caseID() (bonded.CaseID, error) {
	id, err := bonded.ParseCaseID(x.r.PathValue("id"))
	if err != nil || id.Cell != x.c.cfg.Cell {
		return id, x.nowhere()
	}
	return id, nil
}

// readCase reads a case with what stands behind it.
func (x *visit) readCase(reveal bool) (*caseFile, error) {
	id, err := x.caseID()
	if err != nil {
		return nil, err
	}
	ctx := x.r.Context()
	v, err := x.c.cfg.Cases.Case(ctx, &x.call, id)
	if err != nil {
		return nil, err
	}
	d, err := x.c.cfg.Cases.Dossier(ctx, &x.call, id)
	switch code := bonded.CodeOf(err); {
	case err == nil:
	case code == bonded.CodeForbidden || code == bonded.CodeWithheld || code == bonded.CodeConflict || code == bonded.CodeStale:
		d = nil // not for people of this role, or not yet
	default:
		return nil, err
	}
	f := &caseFile{v: v, d: d, reveal: reveal}
	if f.File, err = operator.NewFile(v, d, reveal); err != nil {
		return nil, err
	}
	f.process, _ = x.c.rules.Process(v.Process)
	if d == nil {
		return f, nil
	}
	// Whoever approved first has nothing to approve.
	if f.approved = f.v.Extra["first_approval"] == x.who.Person; f.approved {
		f.v.Actions = slices.DeleteFunc(slices.Clone(f.v.Actions), func(name string) bool { return name == "approve" })
	}
	// What the dossier has was signed, and NewFile has read the request.
	if d.Request != nil {
		f.request, _ = verify.ParseCaseRequest(d.Request)
	}
	if d.Agency != nil {
		f.agency, _ = verify.ParseAgency(d.Agency)
	}
	if d.Officer != nil {
		f.officer, _ = verify.ParsePerson(d.Officer)
	}
	return f, nil
}

func (x *visit) casePage() error {
	q := x.r.URL.Query()
	f, err := x.readCase(q.Get("reveal") == "1")
	if err != nil {
		return err
	}
	if n := q.Get("done"); n != "" {
		if _, err := strconv.ParseUint(n, 10, 63); err == nil {
			f.done = n
		}
	}
	keys, err := x.c.store.passkeys(x.r.Context(), x.who.Person)
	if err != nil {
		return err
	}
	_, why := x.signing(keys)
	x.scripts = append(x.scripts, "sign.js")
	return x.show(f.v.Case.String(), caseView(x, f, why))
}

// caseDocument hands a document out, always to be kept and never to be shown
// in the place of a page: it is other people's.
func (x *visit) caseDocument() error {
	id, err := x.caseID()
	if err != nil {
		return err
	}
	sum := x.r.PathValue("sha256")
	if b, err := hex.DecodeString(sum); err != nil || len(b) != 32 || hex.EncodeToString(b) != sum {
		return x.nowhere()
	}
	v, err := x.c.cfg.Cases.Case(x.r.Context(), &x.call, id)
	if err != nil {
		return err
	}
	b, err := x.c.cfg.Cases.Document(x.r.Context(), &x.call, id, sum)
	if err != nil {
		return err
	}
	name := sum[:16]
	for i := range v.Documents {
		if v.Documents[i].SHA256 == sum && v.Documents[i].Name != "" {
			name = fileName(v.Documents[i].Name)
		}
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = x.w.Write(b) //nolint:gosec // to be kept, never shown; the asker is gone if this fails
	return nil
}

// fileName is a name that an officer gave to a document, safe on any disk.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20 || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r):
			return '_'
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f:
			return -1 // would turn the name around
		}
		return r
	}, s)
	s = strings.Trim(s, ". ")
	if r := []rune(s); len(r) > 100 {
		s = string(r[len(r)-100:])
	}
	return cmp.Or(s, "document")
}

// Small words of the pages.

func (x *visit) state(s string) string { return x.Or("casestate."+s, s) }

func (x *visit) rejectText(code string) string {
	if r, ok := x.c.rules.RejectCode(rules.RejectCode(code)); ok {
		return x.Or("casereject."+code, r.Text)
	}
	return code
}

func (x *visit) className(class string) string { return x.Or("caseclass."+class, class) }

// stateCount is one filter of the board.
type stateCount struct {
	state string
	n     int64
}

func (l *boardList) states() (out []stateCount) {
	for _, s := range caseStates {
		if n := l.board.States[string(s)]; n > 0 {
			out = append(out, stateCount{string(s), n})
		}
	}
	return out
}

func (l *boardList) all() (n int64) {
	for v := range maps.Values(l.board.States) {
		n += v
	}
	return n
}

// left says how long there is until a deadline.
func (x *visit) left(t time.Time) string {
	d := t.Sub(x.c.cfg.Now())
	switch {
	case d < 0:
		return x.T("case.over")
	case d < time.Hour:
		return x.N("case.minutes_left", int(d.Minutes()))
	case d < 48*time.Hour:
		return x.N("case.hours_left", int(d.Hours()))
	}
	return x.N("case.days_left", int(d.Hours()/24))
}

// held returns until when the data of a case is frozen; nil: it is not.
func held(v *apitype.CaseView) *time.Time {
	at, err := time.Parse(time.RFC3339, v.Extra["hold_until"])
	if err != nil {
		return nil
	}
	return &at
}

func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

func statusLink(state string) string {
	return "/console/cases?" + url.Values{"state": {state}}.Encode()
}

func caseLink(id bonded.CaseID, rest string) string { return "/console/cases/" + id.String() + rest }

func size(x *visit, n int64) string {
	if n < 10_240 {
		return x.N("case.bytes", int(n))
	}
	return x.T("case.kib", "n", (n+1023)/1024)
}

func priorityKind(p string) string {
	return map[rules.Priority]string{rules.PriorityEmergency: ui.Bad, rules.PriorityUrgent: ui.Warn}[rules.Priority(p)]
}

func taskKind(status string) string {
	kinds := map[rules.TaskState]string{
		rules.TaskRefused: ui.Warn, rules.TaskLapsed: ui.Warn, rules.TaskWithdrawn: ui.Warn,
		rules.TaskOpened: ui.Good, rules.TaskDelivered: ui.Good, rules.TaskApproved: ui.Good,
	}
	return kindOf(kinds, rules.TaskState(status))
}

// kindOf returns the mark of something on its way, which all are that have no
// other.
func kindOf[T comparable](kinds map[T]string, v T) string {
	if k, ok := kinds[v]; ok {
		return k
	}
	return ui.Info
}

func (x *visit) processTitle(id string) string {
	if p, ok := x.c.rules.Process(id); ok {
		return x.Or("officer.process."+id, p.Title)
	}
	return id
}

// instrument is what the rules say of a process, which they say in English.
func (x *visit) instrument(p rules.Process) string {
	if x.Has("officer.process."+p.ID) && x.Lang != "en" {
		return ""
	}
	return p.Instrument
}

// ruleText says a rule by which a request passed.
func (x *visit) ruleText(id string) string {
	switch words := strings.Fields(id); {
	case len(words) == 1 && strings.Contains(id, "#"):
		pack, process, _ := strings.Cut(id, "#")
		return x.T("case.rule_process", "pack", pack, "process", x.processTitle(process))
	case len(words) == 3 && words[1] == "opens":
		return x.T("case.rule_opens", "process", x.processTitle(words[0]), "class", x.className(words[2]))
	case len(words) == 2 && words[0] == "approval":
		return x.T("case.rule_approval", "approval", x.Or("officer.need."+words[1], words[1]))
	}
	return ""
}

// opens tells whether a task of the case still asks for values.
func (f *caseFile) opens() bool {
	return slices.ContainsFunc(f.v.Tasks, func(t apitype.CaseTaskView) bool { return t.Kind != "preserve" && t.Reason == "" })
}

// actionNames lists what a case waits for.
func (x *visit) actionNames(can []string) string {
	var out []string
	for _, name := range can {
		if apitype.Awaits([]string{name}) && x.Has("caseact."+name) {
			out = append(out, x.T("caseact."+name))
		}
	}
	return strings.Join(out, ", ")
}

// asked is a task as the request has it.
func (f *caseFile) asked(i int) *verify.CaseTask {
	if f.request == nil || i >= len(f.request.Tasks) {
		return nil
	}
	return &f.request.Tasks[i]
}

func documentName(x *visit, d apitype.CaseDocView) string {
	return cmp.Or(d.Name, x.T("case.document_of_decision"))
}

// detail says what an entry says besides.
func (x *visit) detail(e *apitype.CaseEntryView) string {
	if _, ok := x.c.rules.RejectCode(rules.RejectCode(e.Detail)); ok {
		return x.rejectText(e.Detail)
	}
	words := strings.Fields(e.Detail)
	for i, w := range words {
		w = strings.TrimSuffix(w, ":")
		switch {
		case x.Has("casedetail." + w):
			words[i] = x.T("casedetail." + w)
		case x.Has("caseprio." + w):
			words[i] = x.T("caseprio." + w)
		case x.Has("custodyrole." + w):
			words[i] = x.T("custodyrole." + w)
		default:
			words[i] = x.processTitle(w)
		}
	}
	return strings.Join(words, ", ")
}
