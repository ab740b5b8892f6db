//go:build unix

package bondedtest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
)

// An idp is an OpenID Connect provider that knows one person at a time, and
// signs by RS256 or ES256.
type idp struct {
	url  string
	rsa  *rsa.PrivateKey
	ec   *ecdsa.PrivateKey
	mu   sync.Mutex
	alg  string
	spin func(claims map[string]any) // spoils a token
	code map[string]url.Values       // what each code was asked with
}

const clientSecret = "a secret of the client"

func openProvider(t *testing.T) *idp {
	t.Helper()
	p := &idp{alg: "RS256", code: map[string]url.Values{}}
	var err error
	p.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	reply := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // the asker is gone if this fails
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"issuer": p.url, "authorization_endpoint": p.url + "/auth", "token_endpoint": p.url + "/token", "jwks_uri": p.url + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "ES256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		b64 := base64.RawURLEncoding.EncodeToString
		ec, err := p.ec.PublicKey.Bytes()
		must(t, err)
		reply(w, map[string]any{"keys": []any{
			map[string]any{"kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig", "n": b64(p.rsa.N.Bytes()), "e": b64(big.NewInt(int64(p.rsa.E)).Bytes())},
			map[string]any{"kty": "EC", "kid": "e", "alg": "ES256", "use": "sig", "crv": "P-256", "x": b64(ec[1:33]), "y": b64(ec[33:])},
		}})
	})
	mux.HandleFunc("GET /auth", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		q := r.URL.Query()
		code := bonded.NewID().Hex()
		p.code[code] = q
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		asked := p.code[r.PostFormValue("code")]
		delete(p.code, r.PostFormValue("code"))
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		id, secret, _ := r.BasicAuth()
		if id == "" {
			id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		}
		secret, _ = url.QueryUnescape(secret)
		if asked == nil || asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || id != "console" || secret != clientSecret {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		claims := map[string]any{
			"iss": p.url, "aud": "console", "sub": "17", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": asked.Get("nonce"),
			"email": "guardian@example.org", "email_verified": true,
		}
		if p.spin != nil {
			p.spin(claims)
		}
		reply(w, map[string]any{"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": p.token(t, claims)})
	})
	return p
}

func (p *idp) token(t *testing.T, claims map[string]any) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		must(t, err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	kid := map[string]string{"RS256": "r", "ES256": "e", "none": "r"}[p.alg]
	text := part(map[string]any{"alg": p.alg, "kid": kid, "typ": "JWT"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	switch p.alg {
	case "RS256":
		var err error
		sig, err = rsa.SignPKCS1v15(rand.Reader, p.rsa, crypto.SHA256, sum[:])
		must(t, err)
	case "ES256":
		r, s, err := ecdsa.Sign(rand.Reader, p.ec, sum[:])
		must(t, err)
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// set says how the next tokens are made.
func (p *idp) set(alg string, spin func(map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alg, p.spin = alg, spin
}

// provider signs people in by an identity provider, to read.
func provider(o *door, id bonded.CaseID) {
	p := openProvider(o.t)
	path := filepath.Join(o.d.Layout.Vault("eu"), "vault.yaml")
	b, err := os.ReadFile(path)
	must(o.t, err)
	origin := "  origin: " + o.origin() + "\n"
	next := strings.Replace(string(b), origin, origin+fmt.Sprintf("  oidc:\n    issuer: %s\n    client_id: console\n    client_secret_file: keys/oidc.secret\n    claim: email\n    people: {guardian@example.org: guardian-1, nobody@example.org: nobody-1, officer@example.org: %s}\n", p.url, doorOfficer), 1)
	if next == string(b) {
		o.t.Fatal("the configuration has no console")
	}
	must(o.t, os.WriteFile(filepath.Join(o.d.Layout.Vault("eu"), "keys", "oidc.secret"), []byte(clientSecret+"\n"), 0o600))
	stop(o.t, o.d, "eu/vault")
	must(o.t, os.WriteFile(path, []byte(next), 0o600))
	restart(o.t, o.d, "eu/vault")
	ready(o.t, o.d)

	// 1. Somebody signs in, by either algorithm.
	for _, alg := range []string{"RS256", "ES256"} {
		p.set(alg, nil)
		c := o.client()
		res := o.through(c, "/console/oidc/start?next="+url.QueryEscape("/console/cases/"+id.String()))
		if res.status != http.StatusOK || res.header.Get("Refresh") != "0; url=/console/cases/"+id.String() {
			o.t.Fatalf("%s: %d %s", alg, res.status, res.header.Get("Refresh"))
		}
		if res := o.through(c, "/console/cases/"+id.String()); res.status != http.StatusOK || res.at.Path != "/console/cases/"+id.String() {
			o.t.Errorf("the guardian does not read the case: %d %s", res.status, res.at)
		}
	}

	// 2. Tokens that do not hold, and people who are not known.
	for what, x := range map[string]struct {
		alg  string
		spin func(map[string]any)
	}{
		"unsigned":            {"none", nil},
		"another issuer":      {"RS256", func(c map[string]any) { c["iss"] = "https://evil.example" }},
		"another client":      {"RS256", func(c map[string]any) { c["aud"] = "other" }},
		"expired":             {"ES256", func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }},
		"another nonce":       {"RS256", func(c map[string]any) { c["nonce"] = "old" }},
		"an unproven email":   {"RS256", func(c map[string]any) { c["email_verified"] = false }},
		"nobody we know":      {"RS256", func(c map[string]any) { c["email"] = "eve@example.org" }},
		"not in the register": {"RS256", func(c map[string]any) { c["email"] = "nobody@example.org" }},
		"an officer":          {"RS256", func(c map[string]any) { c["email"] = "officer@example.org" }},
	} {
		p.set(x.alg, x.spin)
		c := o.client()
		if res := o.through(c, "/console/oidc/start"); res.status != http.StatusUnauthorized && res.status != http.StatusForbidden {
			o.t.Errorf("%s: %d", what, res.status)
		}
		if res := o.through(c, "/console/settings"); res.at.Path != "/console/sign-in" {
			o.t.Errorf("%s: signed in", what)
		}
	}
}

// client is a browser without pages.
func (o *door) client() *http.Client {
	jar, err := cookiejar.New(nil)
	must(o.t, err)
	return &http.Client{Jar: jar}
}

func (o *door) through(c *http.Client, path string) *landed {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.ctx(), http.MethodGet, o.origin()+path, nil)
	must(o.t, err)
	res, err := c.Do(r)
	must(o.t, err)
	must(o.t, res.Body.Close())
	return &landed{res.StatusCode, res.Header, res.Request.URL}
}

// A landed is where a request has led.
type landed struct {
	status int
	header http.Header
	at     *url.URL
}
