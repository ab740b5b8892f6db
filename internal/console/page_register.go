package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/ui"
	"bonded/verify"
)

// registerPageSize is how many entries a page of the register shows.
const registerPageSize = 50

// registerGroups are the tabs of the register.
var registerGroups = []string{apitype.RegisterAgencies, apitype.RegisterOfficers, apitype.RegisterPeople, apitype.RegisterCustodians}

// A registerList is a page of the register.
type registerList struct {
	group   string
	search  string
	counts  map[string]int
	waiting []registered // with something that waits, of all groups
	entries []registered
	total   int
	prev    string
	next    string
}

func (x *visit) registerPage() error {
	q := x.r.URL.Query()
	l := &registerList{group: q.Get("show"), search: strings.TrimSpace(q.Get("q")), counts: map[string]int{}}
	if l.group == "" {
		l.group = registerGroups[0]
	}
	if !slices.Contains(registerGroups, l.group) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "show", Message: "there is no such part of the register"}
	}
	if len(l.search) > 200 {
		return &bonded.Error{Code: bonded.CodeTooLarge, Field: "q", Message: "too long to search for"}
	}
	skip, err := x.number("from", 0)
	if err != nil {
		return err
	}
	from := int(min(skip, 1<<30)) //nolint:gosec // bounded
	page, err := x.c.cfg.Cases.RegisterPage(x.r.Context(), &x.call, &apitype.RegisterQuery{Group: l.group, Search: l.search, From: from, Limit: registerPageSize})
	if err != nil {
		return err
	}
	l.counts, l.total = page.Counts, page.Total
	if l.waiting, err = readAllRegistered(page.Waiting); err != nil {
		return err
	}
	if l.entries, err = readAllRegistered(page.Entries); err != nil {
		return err
	}
	from = min(from, l.total)
	address := func(from int) string {
		v := url.Values{"show": {l.group}, "from": {strconv.Itoa(from)}}
		if l.search != "" {
			v.Set("q", l.search)
		}
		return "/console/register?" + v.Encode()
	}
	if from > 0 {
		l.prev = address(max(0, from-registerPageSize))
	}
	if from+registerPageSize < l.total {
		l.next = address(from + registerPageSize)
	}
	return x.show(x.T("register.title"), registerView(x, l))
}

func (x *visit) registerEntryPage() error {
	kind, id := x.r.PathValue("kind"), x.r.PathValue("id")
	e, err := x.c.cfg.Cases.RegisterEntry(x.r.Context(), &x.call, kind, id)
	if bonded.CodeOf(err) == bonded.CodeWithheld {
		return &bonded.Error{Code: bonded.CodeWithheld, Message: "the register has no such entry", Hint: "look at the list of the register"}
	}
	if err != nil {
		return err
	}
	r, err := readRegistered(e)
	if err != nil {
		return err
	}
	return x.show(plain(r.name()), registerEntryView(x, r))
}

func registerLink(kind, id string) string {
	return "/console/register/" + url.PathEscape(kind) + "/" + url.PathEscape(id)
}

// powers are the processes that an agency may use.
func (x *visit) powers(a *verify.Agency) string {
	names := make([]string, len(a.Powers))
	for i, p := range a.Powers {
		names[i] = x.processTitle(p)
	}
	return strings.Join(names, ", ")
}

// registerState is the mark of a version.
func registerState(v *registeredVersion) string {
	switch v.State {
	case "in_force":
		if v.agency != nil && v.agency.Trust == "probation" {
			return ui.Warn
		}
		return ui.Good
	case "suspended":
		return ui.Bad
	case "proposed", "confirmed":
		return ui.Warn
	}
	return ui.Plain
}

func trustKind(trust string) string {
	switch trust {
	case "verified":
		return ui.Good
	case "suspended":
		return ui.Bad
	}
	return ui.Warn
}

// waitsFor says what a version waits for.
func (x *visit) waitsFor(v *registeredVersion) string {
	switch {
	case v.State == "proposed" && !v.independent():
		return x.T("register.waits_custodian")
	case v.InForce == nil:
		return x.T("register.waits_witness")
	}
	return x.T("register.waits_time", "time", *v.InForce)
}

// confirmCommand is what an independent custodian types.
func confirmCommand(v *registeredVersion) string {
	return "bonded-custodian confirm DIR " + v.Kind + " " + v.ID + " --digest " + v.digest()
}

// signer names who signed.
func (x *visit) signer(s string) string {
	if id, ok := strings.CutPrefix(s, verify.SignerCustodian); ok {
		return x.T("register.by_custodian", "id", id)
	}
	if s == verify.SignerAdmin {
		return x.T("register.by_admin")
	}
	return s
}

func (x *visit) registerRole(role string) string { return x.Or("registerrole."+role, role) }
