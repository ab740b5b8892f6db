package console

import (
	"slices"
	"strings"

	"bonded/internal/ui"
)

// routes names every page. Whoever is not signed in reaches those of [open]
// alone.
func (c *Console) routes() {
	c.open("/", (*visit).nowhere)
	c.sessionRoutes()
	c.caseRoutes()
	c.pageRoutes()
}

// sections are the lines of the menu, each for the roles that have use of it.
var sections = []struct {
	key, href string
	roles     []string // empty: everybody
}{
	{"menu.overview", "/console/", nil},
	{"menu.people", "/console/people", nil},
	{"menu.cases", "/console/cases", nil},
	{"menu.register", "/console/register", nil},
	{"menu.custody", "/console/custody", nil},
	{"menu.journal", "/console/journal", nil},
	{"menu.ledger", "/console/ledger", nil},
	{"menu.settings", "/console/settings", nil},
}

func (x *visit) menu() []ui.Item {
	if x.who == nil {
		return nil
	}
	var out []ui.Item
	best := ""
	for _, s := range sections {
		if len(s.roles) > 0 && !slices.Contains(s.roles, x.who.Role) {
			continue
		}
		if strings.HasPrefix(x.r.URL.Path, s.href) && len(s.href) > len(best) {
			best = s.href
		}
		out = append(out, ui.Item{Key: s.key, Href: s.href})
	}
	for i := range out {
		out[i].Current = out[i].Href == best
	}
	return out
}
