package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/verify"
)

// edge is a service for tests of the face alone: it answers from functions
// and keeps what reached it. What a cell does is tested against a real one in
// package client.
type edge struct {
	api.Service // methods a test does not give panic
	onGet       func(context.Context, *api.Call, *apitype.GetRequest) (*apitype.GetResult, error)
	onPut       func(context.Context, *api.Call, *apitype.PutRequest) (*apitype.PutResult, error)
	onStatus    func(context.Context, *api.Call) (*apitype.StatusResult, error)
	ready       error

	mu       sync.Mutex
	refused  []refusal
	unknowns int
}

type refusal struct {
	call api.Call
	op   verify.Operation
	err  error
}

const goodKey = "key-of-app"

var appGrant = &grant.Grant{ID: "app"}

func (e *edge) Get(ctx context.Context, c *api.Call, q *apitype.GetRequest) (*apitype.GetResult, error) {
	return e.onGet(ctx, c, q)
}

func (e *edge) Put(ctx context.Context, c *api.Call, q *apitype.PutRequest) (*apitype.PutResult, error) {
	return e.onPut(ctx, c, q)
}

func (e *edge) Status(ctx context.Context, c *api.Call) (*apitype.StatusResult, error) {
	return e.onStatus(ctx, c)
}

func (e *edge) Ready(context.Context) error { return e.ready }

func (e *edge) Authenticate(key string) (*grant.Grant, error) {
	switch key {
	case goodKey:
		return appGrant, nil
	case "key-of-other":
		return &grant.Grant{ID: "other"}, nil
	}
	return nil, bonded.Errorf(bonded.CodeUnauthenticated, "no such key")
}

func (e *edge) Refuse(_ context.Context, c *api.Call, op verify.Operation, err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = append(e.refused, refusal{*c, op, err})
	return err
}

func (e *edge) CountUnauthenticated() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unknowns++
}

func newFace(t testing.TB, e *edge, limits api.Limits, logTo *bytes.Buffer) *api.API {
	t.Helper()
	c := api.Config{Service: e, Directory: []byte(`{"format":"bonded/directory/1"}`), Limits: limits}
	if logTo != nil {
		c.Logger = slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	a, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ask sends one call; headers stand as name, value, name, value.
func ask(a http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+goodKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func problemOf(t testing.TB, w *httptest.ResponseRecorder) apitype.Problem {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("content type %q of status %d, want application/problem+json; body %s", got, w.Code, w.Body)
	}
	var p apitype.Problem
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func getOK(_ context.Context, c *api.Call, q *apitype.GetRequest) (*apitype.GetResult, error) {
	c.Promise = "v1;cell=eu"
	return &apitype.GetResult{
		Subject: *q.Subject, Record: *q.Record, Version: 3,
		Values: apitype.Values{"email": json.RawMessage(`"ada@example.org"`)}, Entry: "1.3.4711",
	}, nil
}

func sha(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}
