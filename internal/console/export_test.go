package console

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"bonded/internal/sqldb"
)

// NextPage and the rest are what tests look at from outside.
var (
	NextPage     = nextPage
	FileName     = fileName
	AgentOf      = agentOf
	Fingerprint  = fingerprint
	ProofMessage = proofMessage
)

// SessionOver reports whether a session of so old, last seen so long ago, has
// ended.
func SessionOver(age, idle time.Duration) bool {
	now := time.Now()
	return (&session{Made: now.Add(-age), Seen: now.Add(-idle)}).over(now)
}

// Limits are those of failures, by a clock.
func Limits(burst int, every time.Duration) func(addr string, now time.Time) bool {
	l := newLimits(every, burst, nil)
	return func(addr string, now time.Time) bool { return l.open(addr, now) && l.take(addr, now) }
}

// Flooded are the same limits after many addresses have used up what all have
// together, and none of them again.
func Flooded(burst int, every time.Duration, now time.Time) func(addr string) bool {
	l := newLimits(every, burst, rate.NewLimiter(rate.Every(every), 1))
	l.all.AllowN(now, 1)
	return func(addr string) bool { ok := l.open(addr, now); l.take(addr, now); return ok }
}

// AddressOf says by what a request from somewhere is counted.
func AddressOf(remote string) string { return address(&http.Request{RemoteAddr: remote}) }

// Ceremonies are what was begun.
type Ceremonies struct{ *ceremonies }

// NewCeremonies returns none.
func NewCeremonies() *Ceremonies { return &Ceremonies{newCeremonies()} }

// Begin begins one.
func (c *Ceremonies) Begin(kind string, session [32]byte, data any, now time.Time) string {
	return c.add(&ceremony{kind: kind, session: session, data: data}, now)
}

// End ends one.
func (c *Ceremonies) End(kind, name string, session [32]byte, now time.Time) (any, error) {
	return c.take(kind, name, session, now)
}

// Invites is what the store does with invites.
type Invites struct{ *store }

// OpenInvites opens the tables in a database.
func OpenInvites(ctx context.Context, db *sqldb.DB) (*Invites, error) {
	s, err := openStore(ctx, db)
	return &Invites{s}, err
}

// Add keeps an invite, and returns its code.
func (i *Invites) Add(ctx context.Context, person string, now, expires time.Time) (string, error) {
	code, hash := newSecret()
	return code, i.addInvite(ctx, hash, person, "admin", now, expires)
}

// Person returns whom a code invites, empty for nobody.
func (i *Invites) Person(ctx context.Context, code string, now time.Time) (string, error) {
	v, err := i.invite(ctx, hashOf(code), now)
	if v == nil {
		return "", err
	}
	return v.Person, err
}

// Use uses a code up for a passkey.
func (i *Invites) Use(ctx context.Context, code, person string, id []byte, now time.Time) error {
	h := hashOf(code)
	return i.addPasskey(ctx, &passkey{ID: id, Person: person, Key: "k", Salt: id, Wrapped: id}, &h, now)
}
