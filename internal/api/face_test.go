package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/internal/wire"
	"bonded/verify"
)

func TestUnauthenticatedCallsAreCountedAndNotEntered(t *testing.T) {
	for _, c := range []struct{ name, header string }{
		{"no header", ""},
		{"another scheme", "Basic a2V5"},
		{"empty key", "Bearer "},
		{"unknown key", "Bearer nobody"},
		{"endless key", "Bearer " + strings.Repeat("x", 600)},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &edge{}
			w := ask(newFace(t, e, api.Limits{}, nil), "POST", "/v1/get", `{"unknown":1}`, "Authorization", c.header)
			if p := problemOf(t, w); p.Code != bonded.CodeUnauthenticated || w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("status %d code %q challenge %q, want 401 with a challenge", w.Code, p.Code, w.Header().Get("WWW-Authenticate"))
			}
			if e.unknowns != 1 || len(e.refused) != 0 {
				t.Errorf("counted %d and entered %d, want 1 and 0", e.unknowns, len(e.refused))
			}
		})
	}
}

func TestCallCarriesWhatTheCallerSaid(t *testing.T) {
	var got api.Call
	e := &edge{onPut: func(_ context.Context, c *api.Call, q *apitype.PutRequest) (*apitype.PutResult, error) {
		got = *c
		if q.Why != c.Why {
			t.Errorf("the request says %+v and the call %+v", q.Why, c.Why)
		}
		return &apitype.PutResult{}, nil
	}}
	proof, nonce := wire.Proof{Session: [32]byte{1}, Counter: 7, MAC: [32]byte{2}}, [16]byte{3}
	const body = `{"purpose":"support","values":{}}`
	id := bonded.NewID()
	w := ask(newFace(t, e, api.Limits{}, nil), "POST", "/v1/put", body,
		"X-Bonded-Purpose", "support", "X-Bonded-Reason", "ticket 1", "X-Bonded-Basis", "contract",
		"Idempotency-Key", "k-1", "X-Request-Id", id.Hex(), "Bonded-Proof", apitype.FormatProof(&proof, &nonce))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if got.Grant != appGrant || got.Assurance != verify.AssuranceProven || got.Proof == nil || *got.Proof != proof ||
		got.Body != wire.BodyDigest(nonce, []byte(body)) || got.RequestID != id || got.Idempotency != "k-1" || got.BodyHash == [32]byte{} ||
		got.Why != (apitype.Why{Purpose: "support", Reason: "ticket 1", Basis: "contract"}) {
		t.Errorf("call is %+v", got)
	}
	if w.Header().Get("X-Request-Id") != id.Hex() {
		t.Errorf("request id %q came back, want %s", w.Header().Get("X-Request-Id"), id.Hex())
	}
}

func TestHeadersThatDoNotHoldAreRefusedAndEntered(t *testing.T) {
	proof := wire.Proof{Session: [32]byte{0xab}, Counter: 7, MAC: [32]byte{2}}
	bare := apitype.FormatProof(&proof, nil)
	for _, c := range []struct {
		name, path, header, value string
		code                      bonded.Code
		field                     string
	}{
		{"purpose disagrees", "/v1/get", "X-Bonded-Purpose", "marketing", bonded.CodeInvalid, "purpose"},
		{"reason disagrees", "/v1/get", "X-Bonded-Reason", "other", bonded.CodeInvalid, "reason"},
		{"basis over its limit", "/v1/get", "X-Bonded-Basis", strings.Repeat("x", 129), bonded.CodeTooLarge, "basis"},
		{"basis not UTF-8", "/v1/get", "X-Bonded-Basis", "\xff", bonded.CodeInvalidUTF8, "basis"},
		{"key with a space", "/v1/put", "Idempotency-Key", "a b", bonded.CodeInvalid, "Idempotency-Key"},
		{"key too long", "/v1/put", "Idempotency-Key", strings.Repeat("k", 129), bonded.CodeInvalid, "Idempotency-Key"},
		{"key beyond ASCII", "/v1/put", "Idempotency-Key", "é", bonded.CodeInvalid, "Idempotency-Key"},
		{"proof malformed", "/v1/get", "Bonded-Proof", "x;1;y;", bonded.CodeProof, "Bonded-Proof"},
		{"proof in capitals", "/v1/get", "Bonded-Proof", strings.ToUpper(bare), bonded.CodeProof, "Bonded-Proof"},
		{"counter 0", "/v1/get", "Bonded-Proof", strings.Replace(bare, ";7;", ";0;", 1), bonded.CodeProof, "Bonded-Proof"},
		{"counter spelled otherwise", "/v1/get", "Bonded-Proof", strings.Replace(bare, ";7;", ";07;", 1), bonded.CodeProof, "Bonded-Proof"},
		{"proof with something behind", "/v1/get", "Bonded-Proof", bare + ";", bonded.CodeProof, "Bonded-Proof"},
		{"nonce where none belongs", "/v1/get", "Bonded-Proof", apitype.FormatProof(&proof, new([16]byte)), bonded.CodeProof, "Bonded-Proof"},
		{"nonce missing", "/v1/put", "Bonded-Proof", bare, bonded.CodeProof, "Bonded-Proof"},
		{"no content type", "/v1/get", "Content-Type", "", bonded.CodeInvalid, "Content-Type"},
		{"another content type", "/v1/get", "Content-Type", "text/plain", bonded.CodeInvalid, "Content-Type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &edge{}
			p := problemOf(t, ask(newFace(t, e, api.Limits{}, nil), "POST", c.path, `{"purpose":"support","reason":"ticket 1"}`, c.header, c.value))
			if p.Code != c.code || p.Field != c.field {
				t.Errorf("got code %q field %q (%s), want %q %q", p.Code, p.Field, p.Message, c.code, c.field)
			}
			if len(e.refused) != 1 {
				t.Errorf("entered %d refusals, want 1", len(e.refused))
			}
		})
	}
}

func TestBodyHashTellsRetriesFromOtherRequests(t *testing.T) {
	var hashes [][32]byte
	e := &edge{onPut: func(_ context.Context, c *api.Call, _ *apitype.PutRequest) (*apitype.PutResult, error) {
		hashes = append(hashes, c.BodyHash)
		return &apitype.PutResult{}, nil
	}}
	a := newFace(t, e, api.Limits{}, nil)
	ask(a, "POST", "/v1/put", `{"values":{}}`)
	ask(a, "POST", "/v1/put", `{"values":{}}`)
	ask(a, "POST", "/v1/put", `{"values":{} }`)
	ask(a, "POST", "/v1/put", `{"values":{}}`, "X-Bonded-Purpose", "support")
	if len(hashes) != 4 || hashes[0] != hashes[1] || hashes[0] == hashes[2] || hashes[0] == hashes[3] {
		t.Errorf("hashes %x: want the first two equal and the others not", hashes)
	}
}

func TestClientCertificateNamesThePrincipal(t *testing.T) {
	e := &certEdge{edge: edge{onStatus: func(_ context.Context, c *api.Call) (*apitype.StatusResult, error) {
		return &apitype.StatusResult{Cell: "eu", Reason: c.Grant.ID}, nil
	}}}
	a, err := api.New(api.Config{Service: e, Directory: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	with := func(spki, key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/v1/status", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{RawSubjectPublicKeyInfo: []byte(spki)}}}
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w
	}
	if w := with("key of cert", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"reason":"app"`) {
		t.Errorf("certificate alone: status %d %s", w.Code, w.Body)
	}
	if w := with("key of cert", goodKey); w.Code != 200 {
		t.Errorf("certificate and key of one principal: status %d %s", w.Code, w.Body)
	}
	if w := with("key of cert", "key-of-other"); w.Code != 401 {
		t.Errorf("certificate and key of two principals: status %d, want 401", w.Code)
	}
	if w := with("another key", ""); w.Code != 401 {
		t.Errorf("unknown certificate: status %d, want 401", w.Code)
	}
}

type certEdge struct{ edge }

func (*certEdge) AuthenticateCert(spki [32]byte) (*grant.Grant, error) {
	if spki == [32]byte(sha("key of cert")) {
		return appGrant, nil
	}
	return nil, bonded.Errorf(bonded.CodeUnauthenticated, "no such certificate")
}

func TestUncodedErrorsAndPanicsAreInternal(t *testing.T) {
	const secret = "ada@example.org"
	var log bytes.Buffer
	e := &edge{onGet: func(_ context.Context, _ *api.Call, q *apitype.GetRequest) (*apitype.GetResult, error) {
		if q.Collection == "panic" {
			panic("a broken invariant")
		}
		return nil, errors.New("disk on fire")
	}}
	a := newFace(t, e, api.Limits{}, &log)
	for _, collection := range []string{"panic", "error"} {
		w := ask(a, "POST", "/v1/get", `{"collection":"`+collection+`","reason":"`+secret+`"}`)
		p := problemOf(t, w)
		if w.Code != 500 || p.Code != bonded.CodeInternal || p.Message != "internal error" || strings.Contains(w.Body.String(), "fire") {
			t.Errorf("%s: status %d problem %+v", collection, w.Code, p)
		}
		if !strings.Contains(log.String(), p.RequestID) {
			t.Errorf("%s: the log does not have request id %s", collection, p.RequestID)
		}
	}
	if s := log.String(); !strings.Contains(s, "disk on fire") || !strings.Contains(s, "a broken invariant") && !strings.Contains(s, "goroutine") {
		t.Errorf("the log lacks the cause: %s", s)
	} else if strings.Contains(s, secret) {
		t.Error("the log has something of the body")
	}
}

func TestPrincipalsAreLimitedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &edge{onGet: func(context.Context, *api.Call, *apitype.GetRequest) (*apitype.GetResult, error) {
			return &apitype.GetResult{}, nil
		}}
		a := newFace(t, e, api.Limits{PerSecond: 1, Burst: 2}, nil)
		for range 2 {
			if w := ask(a, "POST", "/v1/get", `{}`); w.Code != 200 {
				t.Fatalf("inside the limit: status %d", w.Code)
			}
		}
		w := ask(a, "POST", "/v1/get", `{}`)
		if p := problemOf(t, w); p.Code != bonded.CodeRateLimited || w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("over the limit: status %d code %q Retry-After %q", w.Code, p.Code, w.Header().Get("Retry-After"))
		}
		if len(e.refused) != 1 || e.refused[0].op != verify.OpRead {
			t.Errorf("entered %d refusals, want 1 of a read", len(e.refused))
		}
		if w := ask(a, "POST", "/v1/get", `{}`, "Authorization", "Bearer key-of-other"); w.Code != 200 {
			t.Errorf("another principal: status %d, want 200", w.Code)
		}
		time.Sleep(time.Second) // of the bubble
		if w := ask(a, "POST", "/v1/get", `{}`); w.Code != 200 {
			t.Errorf("a second later: status %d, want 200", w.Code)
		}
	})
}

func TestCallsInFlightAreLimited(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	e := &edge{onGet: func(context.Context, *api.Call, *apitype.GetRequest) (*apitype.GetResult, error) {
		in <- struct{}{}
		<-out
		return &apitype.GetResult{}, nil
	}}
	a := newFace(t, e, api.Limits{InFlight: 1}, nil)
	done := make(chan int)
	go func() { done <- ask(a, "POST", "/v1/get", `{}`).Code }()
	<-in
	w := ask(a, "POST", "/v1/get", `{}`)
	if p := problemOf(t, w); p.Code != bonded.CodeBusy || w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("second call: status %d code %q", w.Code, p.Code)
	}
	close(out)
	if code := <-done; code != 200 {
		t.Errorf("first call: status %d", code)
	}
}

func TestSlowCallIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &edge{onGet: func(ctx context.Context, _ *api.Call, _ *apitype.GetRequest) (*apitype.GetResult, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		start := time.Now()
		w := ask(newFace(t, e, api.Limits{CallTimeout: 5 * time.Second}, nil), "POST", "/v1/get", `{}`)
		if p := problemOf(t, w); p.Code != bonded.CodeBusy || time.Since(start) != 5*time.Second {
			t.Errorf("code %q after %v, want busy after 5s", p.Code, time.Since(start))
		}
	})
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	a := newFace(t, &edge{}, api.Limits{}, nil)
	if w := ask(a, "GET", "/v1/nothing", ""); w.Code != 404 || problemOf(t, w).Code != bonded.CodeUnsupported {
		t.Errorf("unknown path: status %d", w.Code)
	}
	if w := ask(a, "GET", "/v1/get", ""); w.Code != 405 || w.Header().Get("Allow") != "POST" || problemOf(t, w).Code != bonded.CodeUnsupported {
		t.Errorf("GET of a POST path: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestHealthReadyAndMetrics(t *testing.T) {
	e := &edge{onGet: getOK}
	a := newFace(t, e, api.Limits{}, nil)
	if w := ask(a, "GET", "/healthz", "", "Authorization", ""); w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
	if w := ask(a, "GET", "/readyz", "", "Authorization", ""); w.Code != 200 {
		t.Errorf("/readyz: %d", w.Code)
	}
	e.ready = bonded.Errorf(bonded.CodeSealed, "the keyholder is sealed")
	if w := ask(a, "GET", "/readyz", "", "Authorization", ""); w.Code != 503 || problemOf(t, w).Code != bonded.CodeSealed {
		t.Errorf("/readyz of a sealed cell: %d", w.Code)
	}
	ask(a, "POST", "/v1/get", `{"subject":"`+someSubject+`","record":"`+someRecord+`"}`)
	ask(a, "POST", "/v1/get", `{"x":1}`)
	w := httptest.NewRecorder()
	a.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`bonded_api_calls_total{code="ok",route="get"} 1`, `bonded_api_calls_total{code="unknown_field",route="get"} 1`,
		`bonded_api_call_seconds_count{route="get"} 2`, `bonded_api_in_flight 0`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestChunkedBodyOverTheLimitIsRefused(t *testing.T) {
	e := &edge{}
	s := httptest.NewServer(newFace(t, e, api.Limits{}, nil))
	defer s.Close()
	body := io.MultiReader(strings.NewReader(`{"values":{"a":"`), strings.NewReader(strings.Repeat("x", 1<<20)), strings.NewReader(`"}}`))
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/v1/put", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+goodKey)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 || len(e.refused) != 1 {
		t.Errorf("status %d, %d refusals entered; want 413 and 1", resp.StatusCode, len(e.refused))
	}
}

func TestEveryAnswerForbidsCachesAndCarriesItsPromise(t *testing.T) {
	w := ask(newFace(t, &edge{onGet: getOK}, api.Limits{}, nil), "POST", "/v1/get", `{"subject":"`+someSubject+`","record":"`+someRecord+`"}`)
	if w.Code != 200 || w.Header().Get("Bonded-Receipt") != "v1;cell=eu" || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("status %d headers %v", w.Code, w.Header())
	}
}

func TestWrongCellNamesTheRightOne(t *testing.T) {
	e := &edge{onGet: func(context.Context, *api.Call, *apitype.GetRequest) (*apitype.GetResult, error) {
		return nil, &bonded.Error{Code: bonded.CodeWrongCell, Message: "this belongs to cell cn", Hint: "ask cell cn"}
	}}
	w := ask(newFace(t, e, api.Limits{}, nil), "POST", "/v1/get", `{}`)
	if p := problemOf(t, w); w.Code != 421 || p.Cell != "cn" {
		t.Errorf("status %d cell %q, want 421 and cn", w.Code, p.Cell)
	}
}

// FuzzProofHeader holds the header to one spelling.
func FuzzProofHeader(f *testing.F) {
	proof, nonce := wire.Proof{Session: [32]byte{1}, Counter: 7, MAC: [32]byte{2}}, [16]byte{3}
	f.Add(apitype.FormatProof(&proof, &nonce))
	f.Add(apitype.FormatProof(&proof, nil))
	f.Fuzz(func(t *testing.T, s string) {
		p, n, err := apitype.ParseProof(s)
		if err != nil {
			if bonded.CodeOf(err) != bonded.CodeProof {
				t.Errorf("code %q", bonded.CodeOf(err))
			}
			return
		}
		if got := apitype.FormatProof(p, n); got != s {
			t.Errorf("%q is read and written as %q", s, got)
		}
	})
}

func TestSessionCallsAskForAPrincipalAndAreLimited(t *testing.T) {
	e := new(edge)
	a := newFace(t, e, api.Limits{PerSecond: 0.001, Burst: 1}, nil)
	for _, path := range []string{"/v1/session/challenge", "/v1/session"} {
		if w := ask(a, "POST", path, "{}", "Authorization", ""); w.Code != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d", path, w.Code)
		}
	}
	if w := ask(a, "POST", "/v1/session", `{"nope":1}`); w.Code != http.StatusBadRequest { // takes the one call there is
		t.Errorf("malformed: %d", w.Code)
	}
	for _, path := range []string{"/v1/session/challenge", "/v1/session"} {
		if w := ask(a, "POST", path, "{}"); w.Code != http.StatusTooManyRequests {
			t.Errorf("%s beyond the rate: %d", path, w.Code)
		}
	}
}
