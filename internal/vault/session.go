package vault

import (
	"context"
	"slices"
	"sync"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

// Limits of one principal, so that nobody takes the keyholder's room for
// sessions from the others.
const (
	challengeLife       = time.Minute // as the keyholder counts it
	challengesPerMinute = 60
	openChallenges      = 32 // asked for and not yet used
	sessionsPerMinute   = 60
)

// SessionChallenge relays the keyholder's challenge. Beyond 60 a minute, or
// with 32 not yet used, a principal gets code rate_limited.
func (v *Vault) SessionChallenge(ctx context.Context, call *Call) (*apitype.SessionChallenge, error) {
	if call.Grant == nil {
		return nil, v.refused(call, verify.OpNone, "", nil, v.checkCall(call))
	}
	if !v.sessions.ask(call.Grant.ID, v.now()) {
		return nil, v.refused(call, verify.OpNone, "", nil, tooManySessions())
	}
	c, err := v.cfg.Keys.Challenge(ctx)
	if err != nil {
		return nil, v.lineError(err)
	}
	v.sessions.issued(call.Grant.ID, c)
	return &apitype.SessionChallenge{Challenge: c[:]}, nil
}

// SessionOpen relays a principal's request for a session with the keyholder;
// the vault can read nothing of the key in it. Beyond 60 a minute a principal
// gets code rate_limited.
func (v *Vault) SessionOpen(ctx context.Context, call *Call, open []byte) (*apitype.SessionResult, error) {
	if call.Grant == nil {
		return nil, v.refused(call, verify.OpNone, "", nil, v.checkCall(call))
	}
	o, err := wire.DecodeOpenSession(open)
	if err != nil {
		return nil, v.refused(call, verify.OpNone, "", nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "open", Message: "not a request for a session", Err: err})
	}
	if !v.sessions.open(call.Grant.ID, o.Challenge, v.now()) {
		return nil, v.refused(call, verify.OpNone, "", nil, tooManySessions())
	}
	s, err := v.cfg.Keys.OpenSession(ctx, o)
	if err != nil {
		return nil, v.lineError(err)
	}
	return &apitype.SessionResult{Session: s.ID[:], Expires: time.Unix(int64(s.Expires), 0).UTC()}, nil //nolint:gosec // seconds
}

func tooManySessions() error {
	return &bonded.Error{Code: bonded.CodeRateLimited, Message: "too many sessions are opened by this principal", Hint: "use a session for many calls; it lives for an hour"}
}

// quotas hold what each principal asked for lately. Principals are known by
// grant, so there are never more than grants.
type quotas struct {
	mu sync.Mutex
	by map[string]*quota
}

type quota struct {
	challenges []challenge // of the last minute, oldest first
	sessions   []time.Time // tried in the last minute, oldest first
}

type challenge struct {
	at   time.Time
	c    [32]byte // zero until the keyholder has answered
	used bool
}

// of returns the quota of a principal without what is over.
func (q *quotas) of(principal string, now time.Time) *quota {
	p := q.by[principal]
	if p == nil {
		if q.by == nil {
			q.by = make(map[string]*quota)
		}
		p = new(quota)
		q.by[principal] = p
	}
	since := now.Add(-challengeLife)
	p.challenges = slices.DeleteFunc(p.challenges, func(c challenge) bool { return !c.at.After(since) })
	p.sessions = slices.DeleteFunc(p.sessions, func(t time.Time) bool { return !t.After(since) })
	return p
}

// ask counts a challenge, unless it is one too many.
func (q *quotas) ask(principal string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.of(principal, now)
	waiting := 0
	for i := range p.challenges {
		if !p.challenges[i].used {
			waiting++
		}
	}
	if len(p.challenges) >= challengesPerMinute || waiting >= openChallenges {
		return false
	}
	p.challenges = append(p.challenges, challenge{at: now})
	return true
}

// issued names a challenge that was counted before.
func (q *quotas) issued(principal string, c [32]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p := q.by[principal]; p != nil {
		for i := range p.challenges {
			if p.challenges[i].c == ([32]byte{}) {
				p.challenges[i].c = c
				return
			}
		}
	}
}

// open counts a session and takes its challenge as used, unless it is one too
// many.
func (q *quotas) open(principal string, c [32]byte, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.of(principal, now)
	if len(p.sessions) >= sessionsPerMinute {
		return false
	}
	p.sessions = append(p.sessions, now)
	for i := range p.challenges {
		if p.challenges[i].c == c {
			p.challenges[i].used = true
		}
	}
	return true
}
