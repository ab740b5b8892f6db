package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// A PersonConfig says as whom a [PersonClient] acts, and where.
type PersonConfig struct {
	Directory  *verify.Directory  // required; see [ReadDirectory]
	Cell       bonded.CellID      // required
	Person     string             // id in the register, "admin", or "custodian:" and an id; empty: public calls only
	Key        ed25519.PrivateKey // that signs each call
	URL        string             // absent: the address in the directory
	HTTPClient *http.Client       // absent: one that trusts the cell's authority
	Attempts   int                // for calls that met a fault of the line; absent: 4
	Backoff    time.Duration      // before the second attempt, doubled each time up to 2 s; absent: 50 ms
	Now        func() time.Time   // absent: time.Now
}

// A PersonClient is one person at the front door of a cell: an officer of an
// agency, an operator, a custodian. Each call is signed with the person's key.
// It may be used by many goroutines.
//
// Errors are [bonded.Error]s with the code the front door answered. A call that
// changes something carries its own signed statement, so repeating it after a
// fault of the line does no harm: the front door answers with code conflict
// what was done already.
type PersonClient struct {
	cfg  PersonConfig
	base string
	http *http.Client
}

// NewPerson returns the client of a person. It does no I/O. Errors have code
// bad_config.
func NewPerson(c PersonConfig) (*PersonClient, error) {
	as := Config{
		Directory: c.Directory, Cell: c.Cell, URL: c.URL, HTTPClient: c.HTTPClient, Attempts: c.Attempts, Backoff: c.Backoff, Now: c.Now,
	}
	cell, err := as.settle()
	if err != nil {
		return nil, err
	}
	if (c.Person == "") != (len(c.Key) == 0) || len(c.Key) != 0 && len(c.Key) != ed25519.PrivateKeySize {
		return nil, bad("Key", "a person and their key come together")
	}
	c.Attempts, c.Backoff, c.Now = as.Attempts, as.Backoff, as.Now
	p := &PersonClient{cfg: c}
	if p.base, p.http, err = as.dial(cell); err != nil {
		return nil, err
	}
	return p, nil
}

// Person returns the id that the client acts under.
func (p *PersonClient) Person() string { return p.cfg.Person }

// Cell returns the id of the cell.
func (p *PersonClient) Cell() bonded.CellID { return p.cfg.Cell }

// do makes one call with its retries. in is encoded as JSON unless it is
// bytes; out is decoded unless it is an [io.Writer].
func (p *PersonClient) do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	media := ""
	switch v := in.(type) {
	case nil:
	case []byte:
		body, media = v, "application/octet-stream"
	default:
		var err error
		if body, err = marshal(v); err != nil {
			return err
		}
		media = "application/json"
	}
	for attempt := 1; ; attempt++ {
		err := p.attempt(ctx, method, path, media, body, out)
		if err == nil || attempt >= p.cfg.Attempts || !again(err) || !pause(ctx, p.cfg.Backoff<<(attempt-1)) {
			return err
		}
	}
}

func (p *PersonClient) attempt(ctx context.Context, method, path, media string, body []byte, out any) error {
	r, err := http.NewRequestWithContext(ctx, method, p.base+path, bytes.NewReader(body))
	if err != nil {
		return bonded.Wrap(bonded.CodeInvalid, err, "the call cannot be made")
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	if p.cfg.Person != "" { // each attempt has a nonce of its own
		proof := apitype.PersonProof{Person: p.cfg.Person, Time: p.cfg.Now().Unix()}
		_, _ = rand.Read(proof.Nonce[:]) // never fails since Go 1.24
		proof.Sign(p.cfg.Key, p.cfg.Cell, method, r.URL.RequestURI(), body)
		r.Header.Set(apitype.HeaderPerson, proof.Format())
	}
	resp, err := p.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return bonded.Wrap(bonded.CodeBusy, ctx.Err(), "the call was given up; it may still have happened")
		}
		return &bonded.Error{
			Code: bonded.CodeBusy, Message: "cell " + string(p.cfg.Cell) + " does not answer", Hint: "is it running, and is the address in the directory right?",
			Err: &lineFault{err},
		}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, 2<<20)) //nolint:errcheck // what came is shown
		return problem(resp.StatusCode, resp.Header, answer)
	}
	if w, ok := out.(io.Writer); ok {
		n, err := io.Copy(w, resp.Body)
		if err != nil || resp.ContentLength >= 0 && n != resp.ContentLength {
			return bonded.Wrap(bonded.CodeBusy, errors.Join(err, io.ErrUnexpectedEOF), "the answer did not arrive whole")
		}
		return nil
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(answer) > maxAnswer {
		return bonded.Wrap(bonded.CodeBusy, err, "the answer did not arrive whole, or is too large")
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return bonded.Wrap(bonded.CodeInternal, err, "the answer of the cell is not the JSON this version reads")
	}
	return nil
}

func personCall[R any](ctx context.Context, p *PersonClient, method, path string, in any) (*R, error) {
	out := new(R)
	if err := p.do(ctx, method, path, in, out); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, pathOnly(path), err)
	}
	return out, nil
}

// pathOnly leaves the query out of what is shown.
func pathOnly(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

func casePath(id bonded.CaseID, rest string) string { return "/v1/cases/" + id.String() + rest }

// FileCase files a request signed by the officer.
func (p *PersonClient) FileCase(ctx context.Context, s *verify.Statement) (*apitype.CaseResult, error) {
	return personCall[apitype.CaseResult](ctx, p, http.MethodPost, "/v1/cases", s)
}

// ListCases pages through the cases that concern the person. State is one
// state, "pending" for what waits for the person, or empty.
func (p *PersonClient) ListCases(ctx context.Context, state, after string) (*apitype.CaseList, error) {
	q := url.Values{}
	for k, v := range map[string]string{"state": state, "after": after} {
		if v != "" {
			q.Set(k, v)
		}
	}
	path := "/v1/cases"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return personCall[apitype.CaseList](ctx, p, http.MethodGet, path, nil)
}

// Case shows a case.
func (p *PersonClient) Case(ctx context.Context, id bonded.CaseID) (*apitype.CaseView, error) {
	return personCall[apitype.CaseView](ctx, p, http.MethodGet, casePath(id, ""), nil)
}

// PutDocument uploads a document that the request names by its SHA-256, in
// hexadecimal.
func (p *PersonClient) PutDocument(ctx context.Context, id bonded.CaseID, sha256 string, body []byte) (*apitype.CaseResult, error) {
	return personCall[apitype.CaseResult](ctx, p, http.MethodPost, casePath(id, "/documents/"+url.PathEscape(sha256)), body)
}

// Document writes a document of a case to w.
func (p *PersonClient) Document(ctx context.Context, id bonded.CaseID, sha256 string, w io.Writer) error {
	return p.do(ctx, http.MethodGet, casePath(id, "/documents/"+url.PathEscape(sha256)), nil, w)
}

// Decide acts on a case by a signed decision.
func (p *PersonClient) Decide(ctx context.Context, id bonded.CaseID, s *verify.Statement) (*apitype.CaseResult, error) {
	return personCall[apitype.CaseResult](ctx, p, http.MethodPost, casePath(id, "/decisions"), s)
}

// Dossier returns all that a custodian verifies before signing.
func (p *PersonClient) Dossier(ctx context.Context, id bonded.CaseID) (*apitype.CaseDossier, error) {
	return personCall[apitype.CaseDossier](ctx, p, http.MethodGet, casePath(id, "/dossier"), nil)
}

// Scope returns a page of the items of a case's scope.
func (p *PersonClient) Scope(ctx context.Context, id bonded.CaseID, from int) (*apitype.ScopePage, error) {
	return personCall[apitype.ScopePage](ctx, p, http.MethodGet, casePath(id, "/scope?from="+strconv.Itoa(from)), nil)
}

// Approve hands in a canonical [verify.Approval].
func (p *PersonClient) Approve(ctx context.Context, id bonded.CaseID, approval []byte) (*apitype.CaseResult, error) {
	return personCall[apitype.CaseResult](ctx, p, http.MethodPost, casePath(id, "/approvals"), apitype.CaseApproval{Approval: approval})
}

// Opening returns the proof that a case's opening is entered and witnessed;
// code busy while it is not.
func (p *PersonClient) Opening(ctx context.Context, id bonded.CaseID) (*apitype.OpeningProof, error) {
	return personCall[apitype.OpeningProof](ctx, p, http.MethodGet, casePath(id, "/opening"), nil)
}

// Partials hands in a page of partial decryptions.
func (p *PersonClient) Partials(ctx context.Context, id bonded.CaseID, c *apitype.CasePartials) (*apitype.CasePartialsResult, error) {
	return personCall[apitype.CasePartialsResult](ctx, p, http.MethodPost, casePath(id, "/partials"), c)
}

// Package writes the release package of a case to w. What was written before
// an error is not a package.
func (p *PersonClient) Package(ctx context.Context, id bonded.CaseID, w io.Writer) error {
	return p.attempt(ctx, http.MethodGet, casePath(id, "/package"), "", nil, w)
}

// Register returns the register.
func (p *PersonClient) Register(ctx context.Context) (*apitype.RegistryList, error) {
	return personCall[apitype.RegistryList](ctx, p, http.MethodGet, "/v1/register", nil)
}

// ProposeAgency proposes an entry of an agency, signed by a registrar.
func (p *PersonClient) ProposeAgency(ctx context.Context, s *verify.Statement) (*apitype.RegistryEntry, error) {
	return personCall[apitype.RegistryEntry](ctx, p, http.MethodPost, "/v1/register/agencies", s)
}

// ProposePerson proposes an entry of an officer or operator, signed by a
// registrar.
func (p *PersonClient) ProposePerson(ctx context.Context, s *verify.Statement) (*apitype.RegistryEntry, error) {
	return personCall[apitype.RegistryEntry](ctx, p, http.MethodPost, "/v1/register/persons", s)
}

// Confirm confirms a proposed entry as an independent custodian.
func (p *PersonClient) Confirm(ctx context.Context, c *apitype.RegistryConfirm) (*apitype.RegistryEntry, error) {
	return personCall[apitype.RegistryEntry](ctx, p, http.MethodPost, "/v1/register/confirm", c)
}

// InviteToConsole makes a link by which a person enrols at the cell's console,
// once. It is for the administrator and registrars.
func (p *PersonClient) InviteToConsole(ctx context.Context, person string) (*apitype.ConsoleInvited, error) {
	return personCall[apitype.ConsoleInvited](ctx, p, http.MethodPost, "/v1/console/invites", &apitype.ConsoleInvite{Person: person})
}

// StartCeremony begins a ceremony of the custodians.
func (p *PersonClient) StartCeremony(ctx context.Context, c *apitype.CeremonyStart) (*apitype.CeremonyMessages, error) {
	return personCall[apitype.CeremonyMessages](ctx, p, http.MethodPost, "/v1/ceremonies", c)
}

// Ceremony reads the board of a ceremony from a message on.
func (p *PersonClient) Ceremony(ctx context.Context, id string, from int) (*apitype.CeremonyMessages, error) {
	return personCall[apitype.CeremonyMessages](ctx, p, http.MethodGet, "/v1/ceremonies/"+url.PathEscape(id)+"?from="+strconv.Itoa(from), nil)
}

// PostCeremony puts a message on the board of a ceremony.
func (p *PersonClient) PostCeremony(ctx context.Context, id string, message []byte) (*apitype.CeremonyMessages, error) {
	return personCall[apitype.CeremonyMessages](ctx, p, http.MethodPost, "/v1/ceremonies/"+url.PathEscape(id)+"/messages", apitype.CeremonyPost{Message: message})
}

// Custody returns the certificates of the custodians' key sets. Anyone may.
func (p *PersonClient) Custody(ctx context.Context) (*apitype.CustodyChain, error) {
	return personCall[apitype.CustodyChain](ctx, p, http.MethodGet, "/v1/custody", nil)
}

// Openings returns openings of case leaves from a place of the feed on. Anyone
// may.
func (p *PersonClient) Openings(ctx context.Context, from uint64) (*apitype.OpeningFeed, error) {
	return p.feed(ctx, "/v1/openings", from)
}

// ClosedOpenings returns openings of case leaves that are not public yet, from
// a place on. Counsel and auditors may: they are what a report counts closed
// cases by, and as confidential as the cases.
func (p *PersonClient) ClosedOpenings(ctx context.Context, from uint64) (*apitype.OpeningFeed, error) {
	return p.feed(ctx, "/v1/openings/closed", from)
}

func (p *PersonClient) feed(ctx context.Context, path string, from uint64) (*apitype.OpeningFeed, error) {
	return personCall[apitype.OpeningFeed](ctx, p, http.MethodGet, path+"?from="+strconv.FormatUint(from, 10), nil)
}
