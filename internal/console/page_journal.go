package console

import (
	"encoding/hex"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/ui"
	"bonded/verify"
)

// journalPageSize is how many rows a page of the journal shows.
const journalPageSize = 50

// A journalList is a page of the journal.
type journalList struct {
	grant    *grant.Grant
	purpose  bonded.Purpose
	query    url.Values // filters as they were asked, without the place
	found    *apitype.JournalFound
	first    bool
	older    string
	problem  *bonded.Error // of a filter
	filtered bool
}

// journalFilters are the filters by their name in the address.
var journalFilters = []string{"operation", "outcome", "principal", "subject", "from", "to", "purpose"}

func (x *visit) journalPage() error {
	g, why := x.grant()
	if g == nil {
		return x.show(x.T("journal.title"), noGrantView(x, x.T("journal.title"), x.T("journal.lead"), why, journalGrant(x)))
	}
	q := x.r.URL.Query()
	l := &journalList{grant: g, purpose: bonded.Purpose(q.Get("purpose")), query: url.Values{}, first: q.Get("before") == ""}
	if l.purpose == "" && len(g.Purposes) > 0 {
		l.purpose = g.Purposes[0]
	}
	for _, name := range journalFilters {
		if v := strings.TrimSpace(q.Get(name)); v != "" {
			l.query.Set(name, v)
			l.filtered = l.filtered || name != "purpose"
		}
	}
	s := &apitype.JournalSearch{Limit: journalPageSize, Principal: l.query.Get("principal")}
	var err error
	if s.Before, err = x.number("before", 0); err != nil {
		return err
	}
	if err := readFilters(s, l.query); err != nil {
		l.problem, _ = asError(err)
		return x.showStatus(apitype.InfoOf(l.problem.Code).Status, x.T("journal.title"), journalView(x, l))
	}
	l.found, err = x.c.cfg.Vault.SearchJournal(x.r.Context(), x.ask(g, apitype.Why{Purpose: l.purpose}), s)
	if bonded.CodeOf(err) == bonded.CodeForbidden {
		return x.showStatus(apitype.InfoOf(bonded.CodeForbidden).Status, x.T("journal.title"), noGrantView(x, x.T("journal.title"), x.T("journal.lead"), "role", journalGrant(x)))
	}
	if err != nil {
		return err
	}
	if l.found.Next > 0 {
		v := url.Values{"before": {strconv.FormatUint(l.found.Next, 10)}}
		maps.Copy(v, l.query)
		l.older = "/console/journal?" + v.Encode()
	}
	return x.show(x.T("journal.title"), journalView(x, l))
}

// journalGrant is the command for a grant that reads the journal.
func journalGrant(x *visit) string {
	return x.grantCommand("auditor", "audit")
}

// readFilters reads filters into a search.
func readFilters(s *apitype.JournalSearch, q url.Values) error {
	bad := func(field, message string) error {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: message}
	}
	if v := q.Get("operation"); v != "" {
		op, err := verify.ParseOperation(v)
		if err != nil {
			return bad("operation", "there is no such operation")
		}
		s.Operation = op
	}
	if v := q.Get("outcome"); v != "" {
		for o := verify.OutcomeAllowed; o <= verify.OutcomeAggregate; o++ {
			if o.String() == v {
				s.Outcome = o
			}
		}
		if s.Outcome == 0 {
			return bad("outcome", "there is no such outcome")
		}
	}
	if v := q.Get("subject"); v != "" {
		id, err := bonded.ParseSubjectID(v)
		if err != nil {
			return bad("subject", "not the id of a person")
		}
		s.Subject = &id
	}
	if len(s.Principal) > 512 {
		return bad("principal", "no principal has so long a name")
	}
	for name, t := range map[string]*time.Time{"from": &s.From, "to": &s.To} {
		v := q.Get(name)
		if v == "" {
			continue
		}
		at, err := time.Parse("2006-01-02T15:04", v)
		if err != nil {
			if at, err = time.Parse(time.DateOnly, v); err != nil {
				return bad(name, "not a time: write it as 2026-01-31T12:00")
			}
		}
		*t = at
	}
	return nil
}

// A journalRow is one row with what is about it.
type journalRow struct {
	purpose bonded.Purpose
	row     *apitype.JournalFoundRow
	about   []apitype.JournalFoundRow
}

func (x *visit) journalRowPage() error {
	g, why := x.grant()
	if g == nil {
		return x.show(x.T("journal.title"), noGrantView(x, x.T("journal.title"), x.T("journal.lead"), why, journalGrant(x)))
	}
	ref, ok := verify.ParseRowRef(x.r.PathValue("entry"))
	if !ok {
		return x.nowhere()
	}
	p := bonded.Purpose(x.r.URL.Query().Get("purpose"))
	if p == "" && len(g.Purposes) > 0 {
		p = g.Purposes[0]
	}
	found, err := x.c.cfg.Vault.SearchJournal(x.r.Context(), x.ask(g, apitype.Why{Purpose: p}), &apitype.JournalSearch{Ref: &ref, Limit: journalPageSize})
	if err != nil {
		return err
	}
	if len(found.Rows) == 0 {
		return x.nowhere()
	}
	r := &journalRow{purpose: p, row: &found.Rows[0], about: found.Rows[1:]}
	return x.show(x.T("journal.row_title", "entry", ref.String()), journalRowView(x, r))
}

// receipt hands out the receipt of an entry.
func (x *visit) receipt() error {
	g, why := x.grant()
	if g == nil {
		return x.show(x.T("journal.title"), noGrantView(x, x.T("journal.title"), x.T("journal.lead"), why, journalGrant(x)))
	}
	ref, ok := verify.ParseRowRef(x.r.PostFormValue("entry"))
	if !ok {
		return &bonded.Error{Code: bonded.CodeBadID, Field: "entry", Message: "not the name of an entry"}
	}
	r, err := x.c.cfg.Vault.Receipt(x.r.Context(), x.ask(g, x.why()), &apitype.ReceiptRequest{Entry: ref.String()})
	if err != nil {
		return err
	}
	return x.attach("receipt-"+ref.String()+".json", "application/json", append(r.Encode(), '\n'))
}

// Small words of the journal.

func (x *visit) operation(name string) string { return x.Or("op."+name, name) }
func (x *visit) outcome(name string) string   { return x.Or("outcome."+name, name) }

// assurance says how the asker was known.
func (x *visit) assurance(name string) string { return x.Or("assurance."+name, name) }

func outcomeKind(name string) string {
	switch name {
	case "allowed":
		return ui.Good
	case "refused", "aggregate":
		return ui.Warn
	case "orphan":
		return ui.Bad
	}
	return ui.Info
}

func rowTime(r *verify.Row) time.Time { return time.UnixMilli(int64(r.Time)).UTC() } //nolint:gosec // milliseconds

// people are the persons a row names, without repetition, at most five, and
// how many more there are.
func rowPeople(cell bonded.CellID, r *verify.Row) (out []bonded.SubjectID, more int) {
	seen := map[bonded.ID]bool{}
	for i := range r.Items {
		id := r.Items[i].Subject
		if id.IsZero() || seen[id] {
			continue
		}
		if seen[id] = true; len(out) == 5 {
			more++
			continue
		}
		out = append(out, bonded.SubjectID{Cell: cell, ID: id})
	}
	return out, more
}

// rowFields are the fields a row names, without repetition.
func rowFields(r *verify.Row) string {
	var out []string
	seen := map[string]bool{}
	for i := range r.Items {
		for _, list := range [][]string{r.Items[i].Fields, r.Items[i].Index} {
			for _, f := range list {
				if !seen[f] {
					seen[f] = true
					out = append(out, f)
				}
			}
		}
	}
	return strings.Join(out, ", ")
}

func hexOf(b [32]byte) string {
	if b == [32]byte{} {
		return ""
	}
	return hex.EncodeToString(b[:])
}

// operations and outcomes to choose from.
func operations() (out []string) {
	for op := verify.OpRead; op.Valid(); op++ {
		out = append(out, op.String())
	}
	return out
}

func outcomes() (out []string) {
	for o := verify.OutcomeAllowed; o <= verify.OutcomeAggregate; o++ {
		out = append(out, o.String())
	}
	return out
}
