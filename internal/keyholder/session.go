package keyholder

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"time"

	"bonded"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// Limits of sessions.
const (
	challengeLife    = time.Minute
	maxChallenges    = 4096
	sessionsPerGrant = 256
	windowWords      = wire.CounterWindow / 64
)

// sessions live in memory only and end with the process.
type sessions struct {
	challenges map[[32]byte]time.Time // until when each is good
	live       map[[32]byte]*session
}

type session struct {
	grant   string
	pub     ed25519.PublicKey
	key     [32]byte
	expires time.Time
	opened  uint64 // order of opening
	window  window
}

// window remembers which counters of the last [wire.CounterWindow] were used.
type window struct {
	highest uint64
	used    [windowWords]uint64
}

// take accepts each counter once; it refuses 0 and those too far behind.
func (w *window) take(n uint64) bool {
	if n == 0 || n+wire.CounterWindow <= w.highest {
		return false
	}
	bit := n % wire.CounterWindow
	if n <= w.highest {
		if w.used[bit/64]&(1<<(bit%64)) != 0 {
			return false
		}
		w.used[bit/64] |= 1 << (bit % 64)
		return true
	}
	if n-w.highest >= wire.CounterWindow {
		w.used = [windowWords]uint64{}
	} else {
		for c := w.highest + 1; c < n; c++ {
			b := c % wire.CounterWindow
			w.used[b/64] &^= 1 << (b % 64)
		}
	}
	w.used[bit/64] |= 1 << (bit % 64)
	w.highest = n
	return true
}

// Challenge returns 32 bytes that are good for one session and one minute.
func (k *Keyholder) Challenge() (c [32]byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return c, err
	}
	s := &k.sessions
	if s.challenges == nil {
		s.challenges, s.live = map[[32]byte]time.Time{}, map[[32]byte]*session{}
	}
	now := k.now()
	if len(s.challenges) >= maxChallenges {
		for old, until := range s.challenges {
			if until.Before(now) {
				delete(s.challenges, old)
			}
		}
		if len(s.challenges) >= maxChallenges {
			return c, bonded.Errorf(bonded.CodeBusy, "too many challenges are open")
		}
	}
	_, _ = rand.Read(c[:]) // never fails since Go 1.24
	s.challenges[c] = now.Add(challengeLife)
	return c, nil
}

// OpenSession opens a principal's session: its challenge must be ours and
// fresh, its signature that of the grant, its blob sealed to this keyholder.
// The session is booked before it is answered. Refusals have code bad_proof.
func (k *Keyholder) OpenSession(_ context.Context, o *wire.OpenSession) func() (*wire.Session, error) {
	no := func(err error) func() (*wire.Session, error) {
		return func() (*wire.Session, error) { return nil, err }
	}
	bad := func(why string) func() (*wire.Session, error) {
		k.refused.Add(1)
		return no(bonded.Errorf(bonded.CodeProof, "session refused: %s", why))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ready(); err != nil {
		return no(err)
	}
	now := k.now()

	// 1. The challenge, once.
	until, ok := k.sessions.challenges[o.Challenge]
	delete(k.sessions.challenges, o.Challenge)
	if !ok || now.After(until) {
		return bad("its challenge is not open")
	}

	// 2. The grant and its signature.
	g := k.grants.find(o.Grant)
	if g == nil || now.Before(g.NotBefore) || !now.Before(g.NotAfter) || g.pub == nil {
		return bad("no grant in force lets this principal open one")
	}
	if !ed25519.Verify(g.pub, o.Message(k.cfg.Cell), o.Sig[:]) {
		return bad("it is not signed by the key of the grant")
	}

	// 3. The key inside.
	secret, err := seal.OpenFrom(k.keys.hpke, []byte(o.Grant), o.Challenge[:], o.Blob)
	if err != nil || len(secret) != 32 {
		return bad("its key does not open")
	}
	defer clear(secret)
	s := &session{grant: o.Grant, pub: g.pub, key: [32]byte(secret), expires: now.Add(wire.MaxSession * time.Second)}
	if g.NotAfter.Before(s.expires) {
		s.expires = g.NotAfter
	}
	id := o.ID(k.cfg.Cell)

	// 4. The entry, then the answer.
	row := k.newRow(verify.BookSession)
	row.Principal, row.Detail = o.Grant, hex.EncodeToString(id[:])
	p := k.begin()
	k.append(p, row)
	s.opened = row.Seq
	k.enqueue(p)
	return func() (*wire.Session, error) {
		if err := p.wait(); err != nil {
			return nil, err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.sealed {
			return nil, errLocked
		}
		if g := k.grants.find(s.grant); g == nil || !g.pub.Equal(s.pub) { // gone, or another key, meanwhile
			return nil, bonded.Errorf(bonded.CodeProof, "session refused: no grant in force lets this principal open one")
		}
		k.sessions.add(id, s, now)
		return &wire.Session{ID: id, Expires: uint64(s.expires.Unix())}, nil //nolint:gosec // after 1970
	}
}

// add keeps s and drops what has expired, and the grant's oldest beyond its
// number.
func (ss *sessions) add(id [32]byte, s *session, now time.Time) {
	if ss.live == nil {
		ss.live = map[[32]byte]*session{}
	}
	n := 0
	var oldest [32]byte
	for i, o := range ss.live {
		if !now.Before(o.expires) {
			delete(ss.live, i)
			continue
		}
		if o.grant == s.grant {
			if n++; n == 1 || o.opened < ss.live[oldest].opened {
				oldest = i
			}
		}
	}
	if n >= sessionsPerGrant {
		delete(ss.live, oldest)
	}
	ss.live[id] = s
}

// prove checks a proof under a grant over digest and uses up its counter. A
// session opened with another key than the grant has now is over.
func (ss *sessions) prove(p *wire.Proof, g *grantEntry, digest [32]byte, now time.Time) (rule string) {
	s := ss.live[p.Session]
	switch {
	case s == nil || !now.Before(s.expires):
		return "keyholder.session-ended"
	case s.grant != g.ID:
		return "keyholder.session-of-another"
	case !bytes.Equal(s.pub, g.pub):
		return "keyholder.session-ended"
	case !p.Check(s.key, digest):
		return "keyholder.proof-mac"
	case !s.window.take(p.Counter):
		return "keyholder.proof-replayed"
	}
	return ""
}
