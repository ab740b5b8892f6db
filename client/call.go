package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

// maxAnswer is how much of an answer is read, in bytes: an export or a page
// of the journal may be large.
const maxAnswer = 256 << 20

// maxBackoff bounds the wait between two attempts.
const maxBackoff = 2 * time.Second

type contextKey int

const (
	keyIdempotency contextKey = iota
	keyRequestID
)

// WithIdempotencyKey returns a context whose next write carries the key: 1 to
// 128 visible ASCII characters. Without it each write gets a key of its own,
// the same for all its attempts. Use one context for one write.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyIdempotency, key)
}

// WithRequestID returns a context whose calls carry the request id.
func WithRequestID(ctx context.Context, id bonded.ID) context.Context {
	return context.WithValue(ctx, keyRequestID, id)
}

// An Answer is the cause of an error that came from a server: use it with
// [errors.As] to tell the operator which call it was.
type Answer struct {
	Status    int
	RequestID string
	Cell      string // for code wrong_cell, if the server named it: where it belongs
}

// Error implements error.
func (a *Answer) Error() string { return fmt.Sprintf("status %d, request %s", a.Status, a.RequestID) }

// A call is one use of a route.
type call struct {
	route  *apitype.Route
	path   string // with its id filled in
	body   []byte // nil: none
	prove  *wire.Request
	nonce  bool // the proof covers the body
	once   bool // no second attempt
	why    *Why // goes into headers; nil: it is in the body, or not needed
	header http.Header
}

var routes = func() map[string]*apitype.Route {
	m := map[string]*apitype.Route{}
	for i := range apitype.Routes {
		m[apitype.Routes[i].Name] = &apitype.Routes[i]
	}
	return m
}()

// marshal is json.Marshal that leaves <, > and & alone: what is signed and
// sent is what the caller wrote.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, bonded.Wrap(bonded.CodeInvalid, err, "the request is not JSON")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// do makes a call with its retries and reads the answer into out. It returns
// the promise of the answer, nil if there was none.
func (c *Client) do(ctx context.Context, k *call, out any) (*verify.Promise, error) {
	k.header = http.Header{"Accept": {"application/json"}}
	if k.body != nil {
		k.header.Set("Content-Type", "application/json")
	}
	if c.cfg.Bearer != "" {
		k.header.Set("Authorization", "Bearer "+c.cfg.Bearer)
	}
	if id, ok := ctx.Value(keyRequestID).(bonded.ID); ok {
		k.header.Set(apitype.HeaderRequestID, id.Hex())
	}
	if k.why != nil {
		for name, v := range map[string]string{apitype.HeaderPurpose: string(k.why.Purpose), apitype.HeaderReason: k.why.Reason, apitype.HeaderBasis: k.why.Basis} {
			if v != "" {
				k.header.Set(name, v)
			}
		}
	}
	if k.route.Write {
		key, ok := ctx.Value(keyIdempotency).(string)
		if !ok {
			key = bonded.NewID().Hex()
		}
		k.header.Set(apitype.HeaderIdempotency, key)
	}
	reproved := false
	for attempt := 1; ; attempt++ {
		promise, used, err := c.attempt(ctx, k, out)
		switch {
		case err == nil:
			return promise, nil
		case used != nil && bonded.CodeOf(err) == bonded.CodeProof && !reproved:
			// The session ended early: the keyholder restarted, or its
			// window has moved on. One new session, at once.
			reproved = true
			c.prover.drop(used)
			attempt--
		case k.once || attempt >= c.cfg.Attempts || !again(err):
			return nil, err
		default:
			if !pause(ctx, c.cfg.Backoff<<(attempt-1)) {
				return nil, err
			}
		}
	}
}

// again reports whether a call that ended like this may do better.
func again(err error) bool {
	if _, ok := errors.AsType[*lineFault](err); ok {
		return true
	}
	var a *Answer
	if !errors.As(err, &a) {
		return false
	}
	switch a.Status {
	case http.StatusBadGateway:
		return true
	case http.StatusServiceUnavailable:
		code := bonded.CodeOf(err)
		return code == bonded.CodeBusy || code == bonded.CodeKeyholder
	}
	return false
}

// pause waits d with up to a quarter more, so that many clients do not come
// back together. It reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	d = min(d, maxBackoff)
	t := time.NewTimer(d + rand.N(d/4+1)) //nolint:gosec // spreads load, no secret
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A lineFault is the cause of an error when no answer came.
type lineFault struct{ err error }

func (f *lineFault) Error() string { return f.err.Error() }
func (f *lineFault) Unwrap() error { return f.err }

// attempt sends the call once. It returns the session that proved it, if one
// did.
func (c *Client) attempt(ctx context.Context, k *call, out any) (*verify.Promise, *session, error) {
	// 1. Prove: each attempt needs a counter of its own.
	var used *session
	h := k.header
	if k.prove != nil && c.prover != nil {
		s, value, err := c.prover.prove(ctx, k)
		if err != nil {
			return nil, nil, err
		}
		used = s
		h = k.header.Clone()
		h.Set(apitype.HeaderProof, value)
	}

	// 2. Send.
	var body io.Reader
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	r, err := http.NewRequestWithContext(ctx, k.route.Method, c.base+k.path, body)
	if err != nil {
		return nil, used, bonded.Wrap(bonded.CodeInvalid, err, "the call cannot be made")
	}
	r.Header = h
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, used, c.noAnswer(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, used, c.noAnswer(ctx, err)
	}
	if len(answer) > maxAnswer {
		return nil, used, bonded.Errorf(bonded.CodeTooLarge, "the answer is over %d MiB", maxAnswer>>20)
	}

	// 3. Hold what came against the promise, then read it.
	promise, perr := c.promises.check(resp.Header.Get(apitype.HeaderReceipt))
	if resp.StatusCode != http.StatusOK {
		return nil, used, problem(resp.StatusCode, resp.Header, answer)
	}
	if perr != nil {
		return nil, used, perr
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = answer
		return promise, used, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, used, bonded.Wrap(bonded.CodeInternal, err, "the answer of the cell is not the JSON this version reads")
	}
	return promise, used, nil
}

func (c *Client) noAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return bonded.Wrap(bonded.CodeBusy, ctx.Err(), "the call was given up; it may still have happened")
	}
	return &bonded.Error{
		Code: bonded.CodeBusy, Message: "cell " + string(c.cfg.Cell) + " does not answer", Hint: "is it running, and is the address in the directory right?",
		Err: &lineFault{err},
	}
}

// problem rebuilds the error that a server showed.
func problem(status int, h http.Header, body []byte) error {
	a := &Answer{Status: status, RequestID: cleanID(h.Get(apitype.HeaderRequestID))}
	var p apitype.Problem
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if len(body) > 1<<20 || strings.TrimSpace(media) != "application/problem+json" || json.Unmarshal(body, &p) != nil || p.Code == "" {
		code := bonded.CodeInternal
		if status == http.StatusServiceUnavailable || status == http.StatusBadGateway {
			code = bonded.CodeBusy // of something on the way, not of a cell
		}
		return &bonded.Error{Code: code, Message: "something that is no cell answered with status " + strconv.Itoa(status), Hint: "check the address and the proxies on the way", Err: a}
	}
	a.Cell = p.Cell
	return &bonded.Error{Code: p.Code, Message: p.Message, Field: p.Field, Hint: p.Hint, Rules: p.Rules, Err: a}
}

// cleanID returns id if it has the form of a request id: it ends up in logs.
func cleanID(id string) string {
	if _, err := bonded.ParseHexID(id); err != nil {
		return ""
	}
	return id
}
