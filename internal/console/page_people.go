package console

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
)

// Sizes of lists about people.
const (
	foundPage   = 20 // people of one page of a search
	recordsPage = 20 // records of one person
	historyPage = 30 // openings of one person
)

// A peopleSearch is the form of a search and, once it was sent, what it found.
type peopleSearch struct {
	grant  *grant.Grant
	fields []searchField
	field  string // collection.field
	value  string
	why    apitype.Why
	found  []foundPerson
	entry  string
	next   string
	done   bool
	masks  error // why nothing is shown of those found
}

// A searchField is one that can be searched by.
type searchField struct{ collection, name string }

func (f searchField) id() string { return f.collection + "." + f.name }

// A foundPerson is one record found, masked.
type foundPerson struct {
	subject bonded.SubjectID
	record  bonded.RecordID
	values  []shownField
	gone    bool // could not be shown
}

// A shownField is a field with what is shown of it.
type shownField struct {
	name   string
	value  string
	class  string
	quorum bool
	absent bool
}

// collections are those of which the grant covers something, with the fields
// it covers.
func (x *visit) collections(g *grant.Grant) (out []apitype.CollectionInfo) {
	for _, c := range x.c.cfg.Vault.Collections() {
		in := apitype.CollectionInfo{Name: c.Name}
		for _, f := range c.Fields {
			if g.Covers(c.Name, f.Name) {
				in.Fields = append(in.Fields, f)
			}
		}
		if len(in.Fields) > 0 {
			out = append(out, in)
		}
	}
	return out
}

// shown are the fields of a collection that can be masked for a purpose.
func shown(c *apitype.CollectionInfo, p bonded.Purpose) (out []string) {
	for _, f := range c.Fields {
		if !f.Quorum && (len(f.Purposes) == 0 || slices.Contains(f.Purposes, p)) {
			out = append(out, f.Name)
		}
	}
	return out
}

func (x *visit) newSearch(g *grant.Grant) *peopleSearch {
	s := &peopleSearch{grant: g}
	for _, c := range x.collections(g) {
		for _, f := range c.Fields {
			if f.Indexed && !f.Quorum {
				s.fields = append(s.fields, searchField{c.Name, f.Name})
			}
		}
	}
	return s
}

// peopleGrant is the command for a grant that these pages need.
func (x *visit) peopleGrant() string { return x.grantCommand("app", "support") }

// grantCommand is the command that adds a role and a purpose to the reader's
// grant, or makes one.
func (x *visit) grantCommand(role string, purpose bonded.Purpose) string {
	roles, purposes, erase := []string{}, []bonded.Purpose{}, false
	if g, _ := x.grant(); g != nil {
		roles, purposes, erase = slices.Clone(g.Roles), slices.Clone(g.Purposes), g.Erase
	}
	if !slices.Contains(roles, role) {
		roles = append(roles, role)
	}
	if !slices.Contains(purposes, purpose) {
		purposes = append(purposes, purpose)
	}
	words := []string{"bonded key create", x.who.Person, "--console"}
	for _, r := range roles {
		words = append(words, "--role", r)
	}
	for _, p := range purposes {
		words = append(words, "--purpose", string(p))
	}
	if erase {
		words = append(words, "--erase")
	}
	return strings.Join(append(words, "--budget 100 --cell", string(x.c.cfg.Cell)), " ")
}

// withGrant runs a page under the person's grant, or shows why there is none.
func (x *visit) withGrant(page func(*grant.Grant) error) error {
	g, why := x.grant()
	if g == nil {
		return x.show(x.T("people.title"), noGrantView(x, x.T("people.title"), x.T("people.lead"), why, x.peopleGrant()))
	}
	return page(g)
}

func (x *visit) peoplePage() error {
	return x.withGrant(func(g *grant.Grant) error { return x.show(x.T("people.title"), peopleView(x, x.newSearch(g))) })
}

// peopleFind searches. What is searched for is personal data: it comes in a
// form and stands in no address.
func (x *visit) peopleFind() error {
	return x.withGrant(func(g *grant.Grant) error {
		s := x.newSearch(g)
		s.field, s.value, s.why, s.done = x.r.PostFormValue("field"), x.r.PostFormValue("value"), x.why(), true
		// Somebody may have an id at hand.
		if id, err := bonded.ParseSubjectID(strings.TrimSpace(s.value)); err == nil {
			return x.person(g, id)
		}
		i := slices.IndexFunc(s.fields, func(f searchField) bool { return f.id() == s.field })
		if i < 0 {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "field", Message: "no field to search by", Hint: "choose one of the list"}
		}
		f := s.fields[i]
		res, err := x.c.cfg.Vault.Find(x.r.Context(), x.ask(g, s.why), &apitype.FindRequest{
			Collection: f.collection, Where: map[string]string{f.name: s.value}, Limit: foundPage, After: x.r.PostFormValue("after"),
		})
		if err != nil {
			return err
		}
		s.entry, s.next = res.Entry, res.Next
		for _, r := range res.Records {
			s.found = append(s.found, foundPerson{subject: r.Subject, record: r.Record})
		}
		s.masks = x.maskFound(g, f.collection, s)
		if code := bonded.CodeOf(s.masks); s.masks != nil && code != bonded.CodeForbidden && code != bonded.CodeBudget {
			return s.masks
		}
		return x.show(x.T("people.title"), peopleView(x, s))
	})
}

// maskFound shows what is found masked, all under one entry.
func (x *visit) maskFound(g *grant.Grant, collection string, s *peopleSearch) error {
	c := x.collection(g, collection)
	fields := shown(c, s.why.Purpose)
	if len(s.found) == 0 || len(fields) == 0 {
		return nil
	}
	q := &apitype.BatchGetRequest{Collection: collection}
	for i := range s.found {
		q.Items = append(q.Items, apitype.GetItem{Subject: &s.found[i].subject, Record: &s.found[i].record, Fields: fields})
	}
	res, err := x.c.cfg.Vault.BatchMask(x.r.Context(), x.ask(g, s.why), q)
	if err != nil {
		return err
	}
	for i := range res.Items {
		if r := res.Items[i].Result; r != nil {
			s.found[i].values = valuesOf(c, r.Values, nil)
		} else {
			s.found[i].gone = true
		}
	}
	return nil
}

func (x *visit) collection(g *grant.Grant, name string) *apitype.CollectionInfo {
	list := x.collections(g)
	i := slices.IndexFunc(list, func(c apitype.CollectionInfo) bool { return c.Name == name })
	if i < 0 {
		return &apitype.CollectionInfo{Name: name}
	}
	return &list[i]
}

// valuesOf are values in the order of the schema's names, those of a record
// that are held by custodians among them.
func valuesOf(c *apitype.CollectionInfo, values apitype.Values, quorum []string) (out []shownField) {
	for _, f := range c.Fields {
		raw, ok := values[f.Name]
		held := slices.Contains(quorum, f.Name)
		if !ok && !held {
			continue
		}
		out = append(out, shownField{name: f.Name, value: textOf(raw), class: f.Class, quorum: held, absent: string(raw) == "null"})
	}
	return out
}

// textOf is a value as people read it.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// A personFile is one person as a page shows them.
type personFile struct {
	grant    *grant.Grant
	subject  bonded.SubjectID
	why      apitype.Why
	view     string
	outline  *apitype.PersonOutline
	records  []shownRecord
	page     int
	more     bool
	masks    error
	history  *apitype.HistoryResult
	revealed *revealed
	erased   *apitype.EraseResult
	entries  []string // that this page made
}

// A shownRecord is a record with masked values.
type shownRecord struct {
	*apitype.RecordOutline
	values []shownField
}

// A revealed value is shown once.
type revealed struct {
	collection, field, value, entry string
	absent                          bool
}

// personViews are the parts of a person's page.
var personViews = []string{"records", "openings", "basis", "copy", "erase"}

func (x *visit) subject() (bonded.SubjectID, error) {
	id, err := bonded.ParseSubjectID(x.r.PathValue("subject"))
	if err != nil {
		return id, x.nowhere()
	}
	return id, nil
}

// personAsk asks for a purpose before it shows anything: what is shown is
// entered under it.
func (x *visit) personAsk() error {
	id, err := x.subject()
	if err != nil {
		return err
	}
	return x.withGrant(func(g *grant.Grant) error { return x.show(x.T("person.title"), personAskView(x, g, id)) })
}

func (x *visit) personPage() error {
	id, err := x.subject()
	if err != nil {
		return err
	}
	return x.withGrant(func(g *grant.Grant) error { return x.person(g, id) })
}

func (x *visit) person(g *grant.Grant, id bonded.SubjectID) error {
	f := &personFile{grant: g, subject: id, why: x.why(), view: cmp.Or(x.r.PostFormValue("view"), "records")}
	if !slices.Contains(personViews, f.view) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "view", Message: "there is no such part of this page"}
	}
	return x.showPerson(f)
}

// showPerson reads what the part of the page needs, and shows it.
func (x *visit) showPerson(f *personFile) error {
	ctx := x.r.Context()
	x.scripts = append(x.scripts, "sign.js")
	var err error
	f.outline, err = x.c.cfg.Vault.Outline(ctx, x.ask(f.grant, f.why), &apitype.SubjectRequest{Subject: f.subject})
	if err != nil {
		return err
	}
	f.entries = append(f.entries, f.outline.Entry)
	switch {
	case f.view == "openings":
		f.history, err = x.c.cfg.Vault.History(ctx, x.ask(f.grant, f.why), &apitype.SubjectRequest{Subject: f.subject, Limit: historyPage, After: x.r.PostFormValue("after")})
	case f.view == "records" && f.outline.State == "active":
		err = x.maskRecords(f)
	}
	if err != nil {
		return err
	}
	return x.show(x.T("person.title"), personView(x, f))
}

// maskRecords shows a page of the records masked, each collection under one
// entry.
func (x *visit) maskRecords(f *personFile) error {
	if n, err := strconv.Atoi(x.r.PostFormValue("page")); err == nil && n > 0 && n < 1000 {
		f.page = n
	}
	all := f.outline.Records
	from := min(f.page*recordsPage, len(all))
	to := min(from+recordsPage, len(all))
	f.more = to < len(all)
	for i := from; i < to; i++ {
		f.records = append(f.records, shownRecord{RecordOutline: &all[i]})
	}
	by := map[string][]int{}
	for i := range f.records {
		by[f.records[i].Collection] = append(by[f.records[i].Collection], i)
	}
	for _, c := range x.collections(f.grant) {
		fields := shown(&c, f.why.Purpose)
		if len(by[c.Name]) == 0 || len(fields) == 0 {
			continue
		}
		q := &apitype.BatchGetRequest{Collection: c.Name}
		for _, i := range by[c.Name] {
			q.Items = append(q.Items, apitype.GetItem{Subject: &f.subject, Record: &f.records[i].Record, Fields: fields})
		}
		res, err := x.c.cfg.Vault.BatchMask(x.r.Context(), x.ask(f.grant, f.why), q)
		if code := bonded.CodeOf(err); err != nil && code != bonded.CodeForbidden && code != bonded.CodeBudget {
			return err
		}
		if err != nil {
			f.masks = err
			continue
		}
		f.entries = append(f.entries, res.Entry)
		for k, i := range by[c.Name] {
			if r := res.Items[k].Result; r != nil {
				f.records[i].values = valuesOf(&c, r.Values, f.records[i].Quorum)
			}
		}
	}
	return nil
}

// reveal opens one field. The value stands in this one answer and nowhere
// else.
func (x *visit) reveal() error {
	id, err := x.subject()
	if err != nil {
		return err
	}
	return x.withGrant(func(g *grant.Grant) error {
		f := &personFile{grant: g, subject: id, why: x.why(), view: "records"}
		if f.why.Reason == "" {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "reason", Message: "opening a field needs a reason", Hint: "say in a few words why, without personal data"}
		}
		record, err := bonded.ParseRecordID(x.r.PostFormValue("record"))
		if err != nil {
			return &bonded.Error{Code: bonded.CodeBadID, Field: "record", Message: "not the id of a record"}
		}
		field := x.r.PostFormValue("field")
		collection := x.r.PostFormValue("collection")
		res, err := x.c.cfg.Vault.Get(x.r.Context(), x.ask(g, f.why), &apitype.GetRequest{
			Collection: collection, GetItem: apitype.GetItem{Subject: &id, Record: &record, Fields: []string{field}},
		})
		if err != nil {
			return err
		}
		raw, ok := res.Values[field]
		f.revealed = &revealed{collection: collection, field: field, value: textOf(raw), entry: res.Entry, absent: !ok || string(raw) == "null"}
		f.entries = append(f.entries, res.Entry)
		return x.showPerson(f)
	})
}

// export hands out the person's copy.
func (x *visit) export() error {
	id, err := x.subject()
	if err != nil {
		return err
	}
	return x.withGrant(func(g *grant.Grant) error {
		if err := x.confirmed("export", id); err != nil {
			return err
		}
		res, err := x.c.cfg.Vault.Export(x.r.Context(), x.ask(g, x.why()), &apitype.SubjectRequest{Subject: id})
		if err != nil {
			return err
		}
		b, err := json.MarshalIndent(res, "", "  ")
		if err != nil {
			return err
		}
		return x.attach(id.String()+".json", "application/json", append(b, '\n'))
	})
}

// erasing is the purpose that an erasure has if nobody says another.
func erasing(g *grant.Grant) bonded.Purpose {
	const asked bonded.Purpose = "subject_request"
	if slices.Contains(g.Purposes, asked) {
		return asked
	}
	return ""
}

// typed is what has to be typed before a person is erased.
func typed(id bonded.SubjectID) string {
	s := id.String()
	return s[len(s)-6:]
}

func (x *visit) erase() error {
	id, err := x.subject()
	if err != nil {
		return err
	}
	return x.withGrant(func(g *grant.Grant) error {
		f := &personFile{grant: g, subject: id, why: x.why(), view: "erase"}
		switch {
		case f.why.Reason == "":
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "reason", Message: "an erasure needs a reason", Hint: "say in a few words why, without personal data"}
		case strings.TrimSpace(x.r.PostFormValue("confirm")) != typed(id):
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "confirm", Message: "what was typed are not the last six characters of the person's id", Hint: "go back and type them as they stand there; nothing was erased"}
		}
		if err := x.confirmed("erase", id); err != nil {
			return err
		}
		f.erased, err = x.c.cfg.Vault.Erase(x.r.Context(), x.ask(g, f.why), &apitype.SubjectRequest{Subject: id})
		if err != nil {
			return err
		}
		f.entries = append(f.entries, f.erased.Entry)
		return x.showPerson(f)
	})
}

func (x *visit) eraseUndo() error {
	id, err := x.subject()
	if err != nil {
		return err
	}
	return x.withGrant(func(g *grant.Grant) error {
		f := &personFile{grant: g, subject: id, why: x.why(), view: "erase"}
		if err := x.confirmed("undo", id); err != nil {
			return err
		}
		f.erased, err = x.c.cfg.Vault.EraseUndo(x.r.Context(), x.ask(g, f.why), &apitype.SubjectRequest{Subject: id})
		if err != nil {
			return err
		}
		f.entries = append(f.entries, f.erased.Entry)
		return x.showPerson(f)
	})
}

func personLink(id bonded.SubjectID) string { return "/console/people/" + id.String() }

// classKind is the mark of a class of fields.
func classKind(class string) string {
	if class == "sensitive" {
		return "warn"
	}
	return ""
}

// fieldName names a field: schemas make their own.
func (x *visit) fieldName(name string) string { return x.Or("fieldname."+name, name) }

// basisKind is the mark of a state of a basis.
func basisKind(state string) string {
	switch state {
	case "given":
		return "good"
	case "refused", "withdrawn":
		return "bad"
	case "expired":
		return "warn"
	}
	return ""
}
