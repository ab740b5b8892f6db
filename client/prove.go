package client

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/seal"
	"bonded/internal/wire"
)

// early is how long before its end a session is replaced.
const early = 30 * time.Second

// A prover proves calls to the keyholder within sessions that it opens.
type prover struct {
	client    *Client
	keyholder seal.HPKEPublic
	current   atomic.Pointer[session]
	opening   sync.Mutex
}

// A session is an agreement with the keyholder on a MAC key that the vault,
// which relays it, cannot read.
type session struct {
	id      [32]byte
	key     [32]byte
	counter atomic.Uint64
	expires time.Time
}

// prove returns the session and the value of the proof header for k.
func (p *prover) prove(ctx context.Context, k *call) (*session, string, error) {
	s, err := p.session(ctx)
	if err != nil {
		return nil, "", err
	}
	request, nonce := *k.prove, (*[16]byte)(nil)
	if k.nonce {
		nonce = new([16]byte)
		_, _ = rand.Read(nonce[:]) // never fails since Go 1.24
		request.Body = wire.BodyDigest(*nonce, k.body)
	}
	proof := wire.MakeProof(s.key, s.id, s.counter.Add(1), request.Digest())
	return s, apitype.FormatProof(&proof, nonce), nil
}

// drop forgets s, unless another has replaced it already.
func (p *prover) drop(s *session) { p.current.CompareAndSwap(s, nil) }

// session returns the current session or opens one. Many callers open one.
func (p *prover) session(ctx context.Context) (*session, error) {
	if s := p.valid(); s != nil {
		return s, nil
	}
	p.opening.Lock()
	defer p.opening.Unlock()
	if s := p.valid(); s != nil {
		return s, nil
	}
	s, err := p.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	p.current.Store(s)
	return s, nil
}

func (p *prover) valid() *session {
	s := p.current.Load()
	if s == nil || !p.client.cfg.Now().Before(s.expires) {
		return nil
	}
	return s
}

// open opens a session: PROTOCOL, "Who asks".
func (p *prover) open(ctx context.Context) (*session, error) {
	// 1. A fresh challenge, relayed by the vault.
	var c apitype.SessionChallenge
	if _, err := p.client.do(ctx, &call{route: routes["sessionChallenge"], path: routes["sessionChallenge"].Path}, &c); err != nil {
		return nil, err
	}
	open := wire.OpenSession{Grant: p.client.cfg.Grant}
	if len(c.Challenge) != len(open.Challenge) {
		return nil, bonded.Errorf(bonded.CodeInternal, "the challenge is not 32 bytes")
	}
	copy(open.Challenge[:], c.Challenge)

	// 2. A MAC key only the keyholder can read, signed by the grant key.
	s := new(session)
	_, _ = rand.Read(s.key[:]) // never fails since Go 1.24
	var err error
	if open.Blob, err = seal.SealTo(p.keyholder, []byte(open.Grant), open.Challenge[:], s.key[:]); err != nil {
		return nil, fmt.Errorf("seal session key: %w", err)
	}
	cell := p.client.cfg.Cell
	copy(open.Sig[:], ed25519.Sign(p.client.cfg.GrantKey, open.Message(cell)))
	s.id = open.ID(cell)

	// 3. Accepted, and as the session that was meant?
	body, err := json.Marshal(apitype.SessionRequest{Open: open.Encode()})
	if err != nil {
		return nil, fmt.Errorf("write session request: %w", err)
	}
	var r apitype.SessionResult
	// A challenge is good for one attempt: a lost answer means a new one.
	if _, err := p.client.do(ctx, &call{route: routes["sessionOpen"], path: routes["sessionOpen"].Path, body: body, once: true}, &r); err != nil {
		return nil, err
	}
	if string(r.Session) != string(s.id[:]) {
		return nil, bonded.Errorf(bonded.CodeProof, "the keyholder answered for another session")
	}
	now := p.client.cfg.Now()
	s.expires = r.Expires.Add(-early)
	if latest := now.Add(wire.MaxSession*time.Second - early); s.expires.After(latest) {
		s.expires = latest
	}
	if !now.Before(s.expires) {
		// A clock that runs ahead must not open a session for each call.
		s.expires = now.Add(early)
	}
	return s, nil
}
