package frontdoor

import (
	"crypto/sha256"
	"slices"
	"sync"

	"bonded"
	"bonded/verify"
)

// maxParsed is how many requests are kept parsed. Work on a case of a thousand
// people comes a thousand times in a row, and reading its request each time
// would grow with the square of them.
const maxParsed = 4

// parsed are the requests that were read last, newest first, by the SHA-256 of
// the case and what is stored. Nobody changes what it gives out.
type parsed struct {
	mu  sync.Mutex
	all []parsedRequest
}

type parsedRequest struct {
	stored    [32]byte
	request   *verify.CaseRequest
	statement *verify.Statement
}

// request opens and reads the request of a case.
func (s *Service) request(id bonded.ID, sealed []byte) (*verify.CaseRequest, *verify.Statement, error) {
	key := sha256.Sum256(append(id[:len(id):len(id)], sealed...)) // what is stored opens in its own case only
	if p, ok := s.parsed.take(key); ok {
		return p.request, p.statement, nil
	}
	st, err := s.statement(id, sealed)
	if err != nil {
		return nil, nil, err
	}
	r, err := verify.ParseCaseRequest(st)
	if err != nil {
		return nil, nil, altered("request", err)
	}
	s.parsed.put(parsedRequest{key, r, st})
	return r, st, nil
}

// statement opens a statement of a case.
func (s *Service) statement(id bonded.ID, sealed []byte) (*verify.Statement, error) {
	b, err := s.unseal(id, "statement", sealed)
	if err != nil {
		return nil, err
	}
	st, err := verify.ParseStatement(b)
	if err != nil {
		return nil, altered("statement", err)
	}
	return st, nil
}

func (p *parsed) take(key [32]byte) (parsedRequest, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.all, func(r parsedRequest) bool { return r.stored == key })
	if i < 0 {
		return parsedRequest{}, false
	}
	r := p.all[i]
	p.all = slices.Insert(slices.Delete(p.all, i, i+1), 0, r)
	return r, true
}

func (p *parsed) put(r parsedRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = slices.Insert(p.all, 0, r)
	p.all = p.all[:min(len(p.all), maxParsed)]
}
