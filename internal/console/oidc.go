package console

import (
	"context"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"bonded"
)

// OIDC says by which identity provider the people of a firm may sign in
// besides. It gives a session for reading; what they decide is signed by the
// key under their passkey all the same.
type OIDC struct {
	Issuer       string
	ClientID     string
	ClientSecret string            // empty: a public client, PKCE alone
	Claim        string            // of the id token, that says who it is
	People       map[string]string // value of the claim → id in the register
	Client       *http.Client      // nil: one with a timeout
}

const oidcTimeout = 10 * time.Second

// oidcCookie is named as the session's is: no neighbour sets it.
func (c *Console) oidcCookie() string { return c.cookieName() + "-oidc" }

// An oidcProvider is asked for its keys and addresses when it is first needed:
// the cell starts without it.
type oidcProvider struct {
	conf     *OIDC
	redirect string

	mu       sync.Mutex
	oauth    *oauth2.Config
	verifier *oidc.IDTokenVerifier
}

func newOIDC(conf *OIDC, origin string) (*oidcProvider, error) {
	if conf.Issuer == "" || conf.ClientID == "" || conf.Claim == "" || len(conf.People) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "console.oidc", Message: "issuer, client_id, claim and people are needed"}
	}
	if conf.Client == nil {
		conf.Client = &http.Client{Timeout: oidcTimeout}
	}
	return &oidcProvider{conf: conf, redirect: origin + "/console/oidc/callback"}, nil
}

// open returns the provider's client, after reading its configuration once.
func (p *oidcProvider) open(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.oauth != nil {
		return p.oauth, p.verifier, nil
	}
	// The provider keeps the context to fetch keys by later: not that of a visit.
	d, err := oidc.NewProvider(p.context(context.WithoutCancel(ctx)), p.conf.Issuer)
	if err != nil {
		return nil, nil, &bonded.Error{Code: bonded.CodeBusy, Field: "console.oidc.issuer", Message: "the identity provider does not answer", Hint: "sign in with your passkey, or try again later", Err: err}
	}
	p.verifier = d.Verifier(&oidc.Config{ClientID: p.conf.ClientID})
	p.oauth = &oauth2.Config{ClientID: p.conf.ClientID, ClientSecret: p.conf.ClientSecret, Endpoint: d.Endpoint(), RedirectURL: p.redirect, Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}
	return p.oauth, p.verifier, nil
}

func (p *oidcProvider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.conf.Client)
}

// asked is what a visitor was sent to the provider with.
type asked struct{ browser, nonce, verifier, next string }

func (x *visit) oidcStart() error {
	if err := x.allowBegin(); err != nil {
		return err
	}
	oauth, _, err := x.c.oidc.open(x.r.Context())
	if err != nil {
		return err
	}
	browser, _ := newSecret()
	nonce, _ := newSecret()
	a := &asked{browser, nonce, oauth2.GenerateVerifier(), nextPage(x.r.URL.Query().Get("next"))}
	state := x.c.begun.add(&ceremony{kind: "oidc", data: a}, x.c.cfg.Now())
	// Lax: it comes back with the visitor, whom another site sends.
	http.SetCookie(x.w, &http.Cookie{Name: x.c.oidcCookie(), Value: browser, Path: "/", MaxAge: int(ceremonyLife / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: x.c.secure()}) //nolint:gosec // secure with https
	http.Redirect(x.w, x.r, oauth.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(a.verifier)), http.StatusSeeOther)                                                                   //nolint:gosec // to the provider of the configuration
	return nil
}

func badToken(err error) error {
	return &bonded.Error{Code: bonded.CodeUnauthenticated, Field: "oidc", Message: "the identity provider's answer does not hold", Hint: "begin again from the sign-in page", Err: err}
}

func (x *visit) oidcCallback() error {
	var person, next string
	err := x.attempt(ruleOIDC, func() error {
		q := x.r.URL.Query()
		data, err := x.c.begun.take("oidc", q.Get("state"), [32]byte{}, x.c.cfg.Now())
		if err != nil {
			return err
		}
		a := data.(*asked) //nolint:errcheck // of this kind
		k, err := x.r.Cookie(x.c.oidcCookie())
		if err != nil || subtle.ConstantTimeCompare([]byte(k.Value), []byte(a.browser)) != 1 {
			return badToken(err)
		}
		if q.Get("error") != "" || q.Get("code") == "" {
			return badToken(nil)
		}
		next = a.next
		person, err = x.c.oidc.person(x.r.Context(), q.Get("code"), a)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := x.c.standing(x.r, person, ""); err != nil {
		x.c.cfg.Cases.CountRefused(ruleStanding, person)
		if e, ok := asError(err); ok && e.Code == bonded.CodeUnauthenticated {
			return &bonded.Error{Code: bonded.CodeUnauthenticated, Field: "person", Message: x.T("signin.awaited", "person", person), Hint: x.T("signin.awaited_hint")}
		}
		return err
	}
	if err := x.begin(person, wayOIDC, nil); err != nil {
		return err
	}
	// The session's cookie does not go with a visit that another site began, so
	// that this page, not a redirect, leads on.
	x.w.Header().Set("Refresh", "0; url="+next)
	return x.show(x.T("signin.done"), signedInView(x, next))
}

// person exchanges a code for an id token, checks it, and returns whom it is of.
func (p *oidcProvider) person(ctx context.Context, code string, a *asked) (string, error) {
	oauth, verifier, err := p.open(ctx)
	if err != nil {
		return "", err
	}
	ctx = p.context(ctx)
	token, err := oauth.Exchange(ctx, code, oauth2.VerifierOption(a.verifier))
	if err != nil {
		return "", badToken(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return "", badToken(nil)
	}
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return "", badToken(err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.nonce)) != 1 {
		return "", badToken(nil)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return "", badToken(err)
	}
	value, _ := claims[p.conf.Claim].(string) //nolint:errcheck // another type is no value
	if verified, there := claims["email_verified"].(bool); p.conf.Claim == "email" && (!there || !verified) {
		return "", badToken(nil)
	}
	person, ok := p.conf.People[value]
	if !ok || value == "" {
		return "", &bonded.Error{Code: bonded.CodeForbidden, Field: "oidc", Message: "the identity provider knows you, and the console does not", Hint: "whoever runs the cell names you under console.oidc.people"}
	}
	return person, nil
}
