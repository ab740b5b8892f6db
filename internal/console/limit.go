package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bonded"
)

// Limits of people who are not signed in: what fails, and what is begun. What
// fails is counted by client address and of all together, so that neither one
// machine nor many can go through codes.
const (
	failBurst    = 10
	failEvery    = 30 * time.Second // one more attempt of an address
	failAllBurst = 200
	failAllEvery = time.Second
	beginBurst   = 60
	beginEvery   = time.Second
	maxAddresses = 10_000
)

// limits counts per client address and of all together.
type limits struct {
	mu     sync.Mutex
	every  time.Duration
	burst  int
	byAddr map[string]*rate.Limiter
	all    *rate.Limiter // nil: addresses only
}

func newLimits(every time.Duration, burst int, all *rate.Limiter) *limits {
	return &limits{every: every, burst: burst, byAddr: map[string]*rate.Limiter{}, all: all}
}

func (l *limits) of(addr string) *rate.Limiter {
	b := l.byAddr[addr]
	if b == nil {
		if len(l.byAddr) >= maxAddresses { // whoever comes from so many addresses meets the limit of all
			clear(l.byAddr)
		}
		b = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.byAddr[addr] = b
	}
	return b
}

// open reports whether one more attempt may be made. What many addresses do
// shuts out those that have failed themselves, and nobody else: it must not be
// for strangers to say that nobody signs in.
func (l *limits) open(addr string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of(addr).TokensAt(now)
	return own >= 1 && (l.all == nil || l.all.TokensAt(now) >= 1 || own >= float64(l.burst))
}

// take counts one, and reports whether there was room for it.
func (l *limits) take(addr string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := l.of(addr).AllowN(now, 1)
	return (l.all == nil || l.all.AllowN(now, 1)) && ok
}

// address is where a request comes from. Of IPv6 it is the first 64 bits: whoever
// has one address has all that begin so.
func address(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	host := at.Addr().Unmap().WithZone("")
	if host.Is6() {
		return netip.PrefixFrom(host, 64).Masked().String()
	}
	return host.String()
}

func tooMany() error {
	return &bonded.Error{Code: bonded.CodeRateLimited, Message: "too many attempts from here", Hint: "wait some minutes and try again"}
}

// What is refused here is counted by one of these rules and entered in the
// journal, many together: see [Cases].
const (
	ruleInvite   = "console.invite"          // a link to enrol that does not work
	rulePasskey  = "console.passkey"         // an answer of a passkey that does not hold
	ruleUnknown  = "console.passkey_unknown" // a passkey that is not enrolled
	ruleOIDC     = "console.oidc"            // what came from an identity provider, or nobody of the firm
	ruleStanding = "console.standing"        // somebody whom the register has not in force, or under another key
	ruleRate     = "console.rate"            // one attempt too many
	ruleForm     = "console.form"            // a form of another session
	ruleOrigin   = "console.origin"          // a form of a page elsewhere
	ruleKey      = "console.key"             // a passkey for another signing key
	ruleDraft    = "console.draft"           // a decision that was not drafted here
	ruleWithheld = "console.withheld"        // a case, or a page of one, that is not theirs
)

// count counts a refusal, of whoever is signed in.
func (x *visit) count(rule string) {
	person := ""
	if x.who != nil {
		person = x.who.Person
	}
	x.c.cfg.Cases.CountRefused(rule, person)
}

// countRefusal counts what somebody signed in was refused: a form that is not
// theirs, or a case that they may not know of. What the vault refuses is entered
// there, and what the front door's rules refuse is no attempt at anything.
func (x *visit) countRefusal(err error) {
	e, ok := asError(err)
	switch {
	case !ok:
	case e.Code == bonded.CodeForbidden && len(e.Rules) > 0 && slices.Contains([]string{ruleForm, ruleOrigin, ruleKey, ruleDraft}, e.Rules[0]):
		x.count(e.Rules[0])
	case e.Code == bonded.CodeWithheld && strings.HasPrefix(x.r.URL.Path, "/console/cases/"):
		x.count(ruleWithheld)
	}
}

// attempt runs what somebody tries who has to prove something. What was wrong
// and they could know is counted: here, so that nobody goes through codes, and
// by the rule that it failed by, or this one if it says none. People signed in
// are counted by who they are: what strangers fail at keeps nobody from signing.
func (x *visit) attempt(rule string, try func() error) error {
	c, addr, now := x.c, address(x.r), x.c.cfg.Now()
	failures := c.failures
	if x.who != nil {
		failures, addr = c.steps, x.who.Person
	}
	if !failures.open(addr, now) {
		x.count(ruleRate)
		return tooMany()
	}
	err := try()
	if code := bonded.CodeOf(err); err != nil && code != bonded.CodeInternal && code != bonded.CodeNotWritable && code != bonded.CodeBusy {
		if e, ok := asError(err); ok && len(e.Rules) > 0 {
			rule = e.Rules[0]
		}
		x.count(rule)
		failures.take(addr, now)
	}
	return err
}

// Ceremonies are what was begun and waits for its second half: an enrolment, a
// sign-in, a decision. They live for minutes, in memory.
const (
	ceremonyLife  = 5 * time.Minute
	maxCeremonies = 4096 // of people not signed in, all together
	maxOfSession  = 32   // of one session
)

type ceremony struct {
	kind    string
	session [32]byte // that began it; zero: nobody was signed in
	expires time.Time
	data    any
}

type ceremonies struct {
	mu    sync.Mutex
	all   map[[32]byte]*ceremony
	n     map[[32]byte]int // how many there are of a session
	swept time.Time
}

func newCeremonies() *ceremonies {
	return &ceremonies{all: map[[32]byte]*ceremony{}, n: map[[32]byte]int{}}
}

// add keeps a ceremony and returns what ends it, once. Where there are too many,
// the oldest goes: of the same session, or of those that nobody signed in began.
// So whoever begins many is in the way of themselves, or of others for as long
// as they go on, and never of people who are signed in.
func (k *ceremonies) add(c *ceremony, now time.Time) string {
	name, hash := newSecret()
	c.expires = now.Add(ceremonyLife)
	most := maxOfSession
	if c.session == ([32]byte{}) {
		most = maxCeremonies
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.After(k.swept.Add(ceremonyLife)) {
		k.swept = now
		for h, old := range k.all {
			if old.expires.Before(now) {
				k.drop(h)
			}
		}
	}
	if k.n[c.session] >= most {
		var oldest [32]byte
		var at time.Time
		for h, old := range k.all {
			if old.session == c.session && (at.IsZero() || old.expires.Before(at)) {
				oldest, at = h, old.expires
			}
		}
		k.drop(oldest)
	}
	k.n[c.session]++
	k.all[hash] = c
	return name
}

// drop forgets a ceremony that there is. The caller holds mu.
func (k *ceremonies) drop(hash [32]byte) {
	c := k.all[hash]
	delete(k.all, hash)
	if k.n[c.session]--; k.n[c.session] == 0 {
		delete(k.n, c.session)
	}
}

// take returns a ceremony and forgets it.
func (k *ceremonies) take(kind, name string, session [32]byte, now time.Time) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hash := hashOf(name)
	c := k.all[hash]
	if c == nil || c.kind != kind || c.session != session || c.expires.Before(now) {
		return nil, &bonded.Error{Code: bonded.CodeConflict, Field: "ceremony", Message: "this was begun too long ago, or somewhere else", Hint: "open the page again and begin anew"}
	}
	k.drop(hash)
	return c.data, nil
}

// newSecret returns 32 random bytes as text, and the hash by which they are
// known again.
func newSecret() (string, [32]byte) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	s := base64.RawURLEncoding.EncodeToString(b[:])
	return s, hashOf(s)
}

func hashOf(secret string) [32]byte {
	return sha256.Sum256([]byte("bonded/console/secret/1\x00" + secret))
}
