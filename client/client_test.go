package client_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/wire"
	"bonded/verify"
)

var (
	subject = bonded.SubjectID{Cell: "eu", ID: bonded.ID{1}}
	record  = bonded.RecordID{Cell: "eu", ID: bonded.ID{2}}
	getting = client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &subject, Record: &record, Fields: []string{"email", "name"}}}
	putting = client.PutRequest{Collection: "users", PutItem: client.PutItem{Subject: &subject, Values: client.Values{"name": client.Text("<Ada> & co"), "email": client.Text("a@b.c")}}}
)

func TestErrorsComeBackWithTheirCode(t *testing.T) {
	f := newFar(t, "eu")
	f.mux.HandleFunc("POST /v1/get", func(w http.ResponseWriter, _ *http.Request) {
		f.problem(w, 421, apitype.Problem{Code: bonded.CodeWrongCell, Message: "this belongs to cell cn", Field: "subject", Hint: "ask cell cn", Rules: []string{"r1"}, Cell: "cn"})
	})
	_, err := f.client(nil).Get(t.Context(), getting)
	var e *bonded.Error
	var a *client.Answer
	if !errors.As(err, &e) || !errors.As(err, &a) {
		t.Fatalf("error %v is not coded", err)
	}
	if e.Code != bonded.CodeWrongCell || e.Message != "this belongs to cell cn" || e.Field != "subject" || e.Hint != "ask cell cn" || !cmp.Equal(e.Rules, []string{"r1"}) {
		t.Errorf("error is %+v", e)
	}
	if *a != (client.Answer{Status: 421, RequestID: "0123456789abcdef0123456789abcdef", Cell: "cn"}) {
		t.Errorf("answer is %+v", a)
	}
}

func TestFaultsOfTheLineAreTriedAgainUnderOneKey(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    func(*far, http.ResponseWriter)
		attempts int
	}{
		{"busy", func(f *far, w http.ResponseWriter) { f.problem(w, 503, apitype.Problem{Code: bonded.CodeBusy}) }, 3},
		{"keyholder down", func(f *far, w http.ResponseWriter) { f.problem(w, 503, apitype.Problem{Code: bonded.CodeKeyholder}) }, 3},
		{"bad gateway", func(_ *far, w http.ResponseWriter) { w.WriteHeader(502) }, 3},
		{"proxy's 503", func(_ *far, w http.ResponseWriter) { w.WriteHeader(503) }, 3},
		{"connection cut", func(_ *far, _ http.ResponseWriter) { panic(http.ErrAbortHandler) }, 3},
		{"sealed", func(f *far, w http.ResponseWriter) { f.problem(w, 503, apitype.Problem{Code: bonded.CodeSealed}) }, 1},
		{"forbidden", func(f *far, w http.ResponseWriter) { f.problem(w, 403, apitype.Problem{Code: bonded.CodeForbidden}) }, 1},
		{"internal", func(f *far, w http.ResponseWriter) { f.problem(w, 500, apitype.Problem{Code: bonded.CodeInternal}) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFar(t, "eu")
			var keys, bodies []string
			f.mux.HandleFunc("POST /v1/put", func(w http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(b))
				if len(keys) < 3 {
					c.fault(f, w)
					return
				}
				f.answer(w, "", apitype.PutResult{Subject: subject, Record: record, Version: 7})
			})
			got, err := f.client(nil).Put(t.Context(), putting)
			if len(keys) != c.attempts || (err == nil) != (c.attempts == 3) {
				t.Fatalf("%d attempts and error %v, want %d attempts", len(keys), err, c.attempts)
			}
			if err == nil && got.Version != 7 {
				t.Errorf("answer %+v", got)
			}
			for i := range keys {
				if keys[i] == "" || keys[i] != keys[0] || bodies[i] != bodies[0] {
					t.Errorf("attempt %d has key %q and body %s, the first %q and %s", i, keys[i], bodies[i], keys[0], bodies[0])
				}
			}
			if !strings.Contains(bodies[0], `"<Ada> & co"`) {
				t.Errorf("body %s does not hold the value as it was written", bodies[0])
			}
		})
	}
}

func TestAttemptsEndWithTheContext(t *testing.T) {
	f := newFar(t, "eu")
	ctx, cancel := context.WithCancel(t.Context())
	f.mux.HandleFunc("POST /v1/get", func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(502)
	})
	_, err := f.client(func(c *client.Config) { c.Backoff = 3600e9 }).Get(ctx, getting)
	if err == nil {
		t.Error("no error after the context ended")
	}
}

func TestPromisesThatDoNotHoldAreErrors(t *testing.T) {
	good := func(f *far) (string, string) { return f.sign(nil) }
	for _, c := range []struct {
		name string
		give func(*far) (header, entry string)
		ok   bool
	}{
		{"good", good, true},
		{"missing", func(f *far) (string, string) { _, e := good(f); return "", e }, false},
		{"malformed", func(f *far) (string, string) { h, e := good(f); return h[1:], e }, false},
		{"of another entry", func(f *far) (string, string) { h, _ := good(f); return h, "1.2.99" }, false},
		{"of another cell", func(f *far) (string, string) { return f.sign(func(p *verify.Promise) { p.Cell = "cn" }) }, false},
		{"row beyond its size", func(f *far) (string, string) { return f.sign(func(p *verify.Promise) { p.Index = p.Size }) }, false},
		{"signed by another", func(f *far) (string, string) {
			o := newFar(f.t, "eu")
			return o.sign(nil)
		}, false},
		{"two states of one segment", func(f *far) (string, string) {
			return f.sign(func(p *verify.Promise) { p.Begin, p.Size, p.Index, p.Root = 0, 1, 0, [32]byte{99} })
		}, false},
		{"two commits at one place", func(f *far) (string, string) {
			return f.sign(func(p *verify.Promise) { p.Begin, p.Size, p.Index, p.Root = 0, 1, 0, [32]byte{1} })
		}, false},
		{"a signed commit without the row", func(f *far) (string, string) { return f.sign(func(p *verify.Promise) { p.Leaf[0]++ }) }, false},
		{"a signed commit that names another row", func(f *far) (string, string) { return f.sign(func(p *verify.Promise) { p.Ref.Seq++ }) }, false},
		{"a place outside its commit", func(f *far) (string, string) { return f.sign(func(p *verify.Promise) { p.Index-- }) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFar(t, "eu")
			first := true
			f.mux.HandleFunc("POST /v1/get", func(w http.ResponseWriter, _ *http.Request) {
				give := c.give
				if first {
					first, give = false, good
				}
				header, entry := give(f)
				f.answer(w, header, apitype.GetResult{Subject: subject, Record: record, Entry: entry})
			})
			cl := f.client(nil)
			if _, err := cl.Get(t.Context(), getting); err != nil {
				t.Fatal(err)
			}
			_, err := cl.Get(t.Context(), getting)
			if c.ok != (err == nil) || err != nil && bonded.CodeOf(err) != bonded.CodeAltered {
				t.Errorf("error %v, want altered: %v", err, !c.ok)
			}
			if ps := cl.Promises(); len(ps) == 0 || ps[0].Segment != 4 || ps[0].Size != 1 || c.ok && len(ps) != 2 {
				t.Errorf("promises kept: %v", ps)
			}
		})
	}
}

func TestProvenCallsCarryProofsTheKeyholderAccepts(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := newFar(t, "eu")
	f.keyholder("svc-app", pub)
	forget := false
	counters := map[uint64]bool{}
	expect := func(path string, request wire.Request, body bool, result func(entry string) any) {
		f.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			proof, nonce, err := apitype.ParseProof(r.Header.Get("Bonded-Proof"))
			if err != nil || (nonce != nil) != body {
				t.Fatalf("%s: proof %q: %v", path, r.Header.Get("Bonded-Proof"), err)
			}
			if forget {
				forget = false
				clear(f.sessions)
			}
			mac, ok := f.sessions[proof.Session]
			if !ok {
				f.problem(w, 401, apitype.Problem{Code: bonded.CodeProof, Message: "no such session"})
				return
			}
			request.Cell, request.Purpose, request.Collection = "eu", "support", "users"
			if body {
				request.Body = wire.BodyDigest(*nonce, b)
			}
			if !proof.Check(mac, request.Digest()) || counters[proof.Counter] {
				t.Errorf("%s: the proof does not hold, or was used before", path)
			}
			counters[proof.Counter] = true
			header, entry := f.sign(nil)
			f.answer(w, header, result(entry))
		})
	}
	two := wire.Named{Subject: subject.String(), Record: record.String(), Fields: []string{"email", "name"}}
	expect("/v1/get", wire.Request{Operation: verify.OpRead, Named: []wire.Named{two}}, false, func(e string) any { return apitype.GetResult{Subject: subject, Record: record, Entry: e} })
	expect("/v1/put", wire.Request{Operation: verify.OpWrite, Named: []wire.Named{{Subject: subject.String(), Fields: []string{"email", "name"}}}}, true, func(e string) any { return apitype.PutResult{Subject: subject, Record: record, Entry: e} })
	expect("/v1/find", wire.Request{Operation: verify.OpFind, Named: []wire.Named{{Fields: []string{"email"}}}}, true, func(e string) any { return apitype.FindResult{Entry: e} })
	expect("/v1/batch/mask", wire.Request{Operation: verify.OpMask, Named: []wire.Named{two, two}}, false, func(e string) any {
		return apitype.BatchGetResult{Entry: e, Items: make([]apitype.GetItemResult, 2)}
	})

	cl := f.client(func(c *client.Config) { c.Grant, c.GrantKey = "svc-app", key })
	calls := []func() error{
		func() error { _, err := cl.Get(t.Context(), getting); return err },
		func() error { _, err := cl.Put(t.Context(), putting); return err },
		func() error {
			_, err := cl.Find(t.Context(), client.FindRequest{Collection: "users", Where: map[string]string{"email": "a@b.c"}})
			return err
		},
		func() error {
			_, err := cl.BatchMask(t.Context(), client.BatchGetRequest{Collection: "users", Items: []client.GetItem{getting.GetItem, getting.GetItem}})
			return err
		},
	}
	for i, call := range calls {
		if err := call(); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if f.opened != 1 {
		t.Errorf("%d sessions opened, want 1", f.opened)
	}
	// The keyholder restarts: one new session, and the call goes through.
	forget = true
	clear(counters)
	if err := calls[0](); err != nil || f.opened != 2 {
		t.Errorf("after a restart: %v with %d sessions, want 2", err, f.opened)
	}
}

func TestBadProofIsTriedOnceMoreOnly(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := newFar(t, "eu")
	f.keyholder("svc-app", pub)
	n := 0
	f.mux.HandleFunc("POST /v1/get", func(w http.ResponseWriter, _ *http.Request) {
		n++
		f.problem(w, 401, apitype.Problem{Code: bonded.CodeProof})
	})
	cl := f.client(func(c *client.Config) { c.Grant, c.GrantKey = "svc-app", key })
	if _, err := cl.Get(t.Context(), getting); bonded.CodeOf(err) != bonded.CodeProof || n != 2 || f.opened != 2 {
		t.Errorf("error %v after %d calls in %d sessions, want bad_proof after 2 in 2", err, n, f.opened)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	f := newFar(t, "eu")
	f.mux.HandleFunc("POST /v1/get", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	f.mux.HandleFunc("POST /elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("the key travelled") })
	if _, err := f.client(nil).Get(t.Context(), getting); bonded.CodeOf(err) != bonded.CodeInternal {
		t.Errorf("error %v", err)
	}
}

func TestCertificateReachesACellOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			t.Errorf("%d certificates came", len(r.TLS.PeerCertificates))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"cell":"eu"}`)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // one handshake is refused on purpose
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	f := newFar(t, "eu")
	d := f.directory()
	d.Cells[0].APITLS = server.URL
	d.Cells[0].VaultCA = pemOf(server.Certificate())
	cert := server.TLS.Certificates[0] // any certificate will do here
	cl, err := client.New(client.Config{Directory: d, Cell: "eu", Credential: client.Credential{Certificate: &cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if s, err := cl.Status(t.Context()); err != nil || s.Cell != "eu" {
		t.Errorf("status %+v, %v", s, err)
	}
	d.Cells[0].VaultCA = pemOf(other(t))
	cl, err = client.New(client.Config{Directory: d, Cell: "eu", Credential: client.Credential{Certificate: &cert}, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := cl.Status(t.Context()); !errors.As(err, &unknown) {
		t.Errorf("a server of another authority: %v", err)
	}
}

func TestGrantKeysRoundTrip(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "grant.key")
	if err := os.WriteFile(path, client.EncodeGrantKey(key), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := client.ReadGrantKey(path)
	if err != nil || !got.Equal(key) {
		t.Errorf("read %v", err)
	}
	for _, bad := range []string{"", "AAAA", "not base64!", strings.Repeat("A", 88)} {
		if _, err := client.ParseGrantKey([]byte(bad)); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestConfigIsHeldAgainstTheDirectory(t *testing.T) {
	f := newFar(t, "eu")
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, field string
		change      func(*client.Config)
	}{
		{"no directory", "Directory", func(c *client.Config) { c.Directory = nil }},
		{"unknown cell", "Cell", func(c *client.Config) { c.Cell = "cn" }},
		{"no credential", "Bearer", func(c *client.Config) { c.Bearer = "" }},
		{"grant without key", "GrantKey", func(c *client.Config) { c.Grant = "app" }},
		{"key without grant", "GrantKey", func(c *client.Config) { c.GrantKey = key }},
		{"no URL", "URL", func(c *client.Config) { c.URL = "eu.example.org" }},
		{"certificate without TLS", "api", func(c *client.Config) { c.Certificate = new(tls.Certificate) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := client.Config{Directory: f.directory(), Cell: "eu", Credential: client.Credential{Bearer: "k"}}
			c.change(&cfg)
			_, err := client.New(cfg)
			var e *bonded.Error
			if !errors.As(err, &e) || e.Code != bonded.CodeConfig || e.Field != c.field {
				t.Errorf("error %v, want bad_config of %s", err, c.field)
			}
		})
	}
}

// answering is a transport that always gives one answer.
type answering struct {
	status int
	header http.Header
	body   string
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), ProtoMajor: 1, ProtoMinor: 1}, nil
}

// FuzzProblem holds the client to: whatever comes with an error status is a
// coded error, and nothing unchecked becomes its request id.
func FuzzProblem(f *testing.F) {
	f.Add(403, "application/problem+json", `{"code":"forbidden","message":"no","rules":["a"]}`, "0123456789abcdef0123456789abcdef")
	f.Add(502, "text/html", "<html>", "x\ny")
	f.Add(503, "application/problem+json; charset=utf-8", `{"code":""}`, "")
	far := newFar(f, "eu")
	dir := far.directory()
	f.Fuzz(func(t *testing.T, status int, contentType, body, id string) {
		if status < 201 || status > 599 {
			return
		}
		h := http.Header{"Content-Type": {contentType}, "X-Request-Id": {id}}
		cl, err := client.New(client.Config{
			Directory: dir, Cell: "eu", Credential: client.Credential{Bearer: "k"}, Attempts: 1,
			HTTPClient: &http.Client{Transport: answering{status, h, body}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = cl.Get(t.Context(), getting)
		var e *bonded.Error
		if !errors.As(err, &e) || e.Code == "" {
			t.Fatalf("status %d gave %v", status, err)
		}
		var a *client.Answer
		if errors.As(err, &a) && a.RequestID != "" && (len(a.RequestID) != 32 || a.RequestID != id) {
			t.Errorf("request id %q", a.RequestID)
		}
	})
}
