package console //nolint:testpackage // a seam for the tests beside it

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// ServePagesAs serves the pages to somebody who is taken to be signed in. How
// people sign in has tests of its own.
func (c *Console) ServePagesAs(person, name, role string) http.Handler {
	return c.servePagesAs(person, name, role, wayPasskey)
}

// ServePagesByOIDC does so to somebody for whom an identity provider vouches.
func (c *Console) ServePagesByOIDC(person, name, role string) http.Handler {
	return c.servePagesAs(person, name, role, wayOIDC)
}

func (c *Console) servePagesAs(person, name, role, way string) http.Handler {
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
			x.who, x.session = &who{Person: person, Name: name, Role: role}, &session{Way: way}
			x.call.Person = person
			if err := p.answer(x); err != nil {
				x.fail(err)
			}
		})
	}
	mux.HandleFunc("POST /console/people/{subject}/confirm/{act}", func(w http.ResponseWriter, r *http.Request) {
		x := c.visit(w, r)
		x.who, x.session = &who{Person: person, Name: name, Role: role}, &session{Way: way}
		x.answer(x.confirmBegin())
	})
	return mux
}

// SignedIn begins a session of somebody who was last seen at a time, and returns
// its cookie and when they were seen since.
func (c *Console) SignedIn(ctx context.Context, person string, seen time.Time) (*http.Cookie, func() (time.Time, error)) {
	secret, hash := newSecret()
	err := c.store.addSession(ctx, &session{Hash: hash, Person: person, Way: wayPasskey, Made: seen, Seen: seen}, nil)
	return &http.Cookie{Name: c.cookieName(), Value: secret}, func() (time.Time, error) {
		if err != nil {
			return time.Time{}, err
		}
		s, err := c.store.session(ctx, hash)
		if err != nil {
			return time.Time{}, err
		}
		return s.Seen, nil
	}
}

// Plain is what a text of others looks like.
func Plain(s string) string { return plain(s) }

// LiveOfPerson is how many streams one person has at most.
const LiveOfPerson = liveOfPerson
