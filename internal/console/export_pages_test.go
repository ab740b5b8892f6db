package console //nolint:testpackage // a seam for the tests beside it

import (
	"net/http"
	"slices"
)

// ServePagesAs serves the pages to somebody who is taken to be signed in. How
// people sign in has tests of its own.
func (c *Console) ServePagesAs(person, name, role string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", c)
	others := []pageRoute{
		{"GET /console/cases", (*visit).board},
		{"GET /console/cases/{id}", (*visit).casePage},
		{"GET /console/settings", (*visit).settingsPage},
	}
	for _, p := range slices.Concat(pages, others) {
		mux.HandleFunc(p.pattern, func(w http.ResponseWriter, r *http.Request) {
			harden(w.Header())
			x := c.visit(w, r)
			x.who, x.session = &who{Person: person, Name: name, Role: role}, new(session)
			x.call.Person = person
			if err := p.answer(x); err != nil {
				x.fail(err)
			}
		})
	}
	return mux
}

// Plain is what a text of others looks like.
func Plain(s string) string { return plain(s) }

// LiveOfPerson is how many streams one person has at most.
const LiveOfPerson = liveOfPerson
