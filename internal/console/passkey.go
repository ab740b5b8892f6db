package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"bonded"
	"bonded/internal/canon"
)

func newWebAuthn(origin string, cell bonded.CellID) (*webauthn.WebAuthn, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	return webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Bonded " + string(cell), RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired,
		},
	})
}

// An owner is whose passkeys they are, as the protocol wants to know it.
type owner struct {
	cell     bonded.CellID
	person   string
	passkeys []*passkey
}

// WebAuthnID implements [webauthn.User]. Cells on one host share their
// authenticators, so that it holds the cell.
func (o *owner) WebAuthnID() []byte {
	h := sha256.Sum256(canon.LP([]byte("bonded/console/user/1"), []byte(o.cell), []byte(o.person)))
	return h[:]
}

// WebAuthnName implements [webauthn.User].
func (o *owner) WebAuthnName() string { return o.person + " (" + string(o.cell) + ")" }

// WebAuthnDisplayName implements [webauthn.User].
func (o *owner) WebAuthnDisplayName() string { return o.person }

// WebAuthnCredentials implements [webauthn.User].
func (o *owner) WebAuthnCredentials() []webauthn.Credential {
	out := make([]webauthn.Credential, len(o.passkeys))
	for i, p := range o.passkeys {
		out[i] = p.Credential
	}
	return out
}

func (c *Console) owner(ctx context.Context, person string) (*owner, error) {
	keys, err := c.store.passkeys(ctx, person)
	return &owner{c.cfg.Cell, person, keys}, err
}

func badPasskey(rule string, err error) error {
	return &bonded.Error{Code: bonded.CodeUnauthenticated, Rules: []string{rule}, Field: "passkey", Message: "this passkey is not known here, or its answer does not hold", Hint: "use the passkey that you enrolled at this address, or ask an administrator for a link to enrol again", Err: err}
}

// allowBegin bounds what somebody not signed in may begin.
func (x *visit) allowBegin() error {
	if !x.c.begins.take(address(x.r), x.c.cfg.Now()) {
		x.count(ruleRate)
		return tooMany()
	}
	return nil
}

// begun is the first half of a ceremony, for the page's script.
type begun struct {
	Ceremony string `json:"ceremony"`
	Options  any    `json:"options"` // publicKey of navigator.credentials
}

func (x *visit) signInPage() error {
	if x.who != nil {
		return x.to(nextPage(x.r.URL.Query().Get("next")))
	}
	x.scripts = append(x.scripts, "sign.js")
	return x.show(x.T("signin.title"), signInView(x, nextPage(x.r.URL.Query().Get("next"))))
}

func (x *visit) signInBegin() (any, error) {
	if err := x.allowBegin(); err != nil {
		return nil, err
	}
	options, data, err := x.c.webauthn.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, err
	}
	name := x.c.begun.add(&ceremony{kind: "sign-in", data: data}, x.c.cfg.Now())
	return begun{name, options.Response}, nil
}

func (x *visit) signInFinish() (any, error) {
	var q struct {
		Ceremony   string          `json:"ceremony"`
		Credential json.RawMessage `json:"credential"`
		Next       string          `json:"next"`
	}
	if err := x.read(&q); err != nil {
		return nil, err
	}
	var p *passkey
	err := x.attempt(rulePasskey, func() error {
		data, err := x.c.begun.take("sign-in", q.Ceremony, [32]byte{}, x.c.cfg.Now())
		if err != nil {
			return err
		}
		answer, err := protocol.ParseCredentialRequestResponseBytes(q.Credential)
		if err != nil {
			return badPasskey(rulePasskey, err)
		}
		if p, err = x.c.store.passkey(x.r.Context(), answer.RawID); err != nil {
			return err
		}
		if p == nil {
			return badPasskey(ruleUnknown, nil)
		}
		user := &owner{x.c.cfg.Cell, p.Person, []*passkey{p}}
		_, cred, err := x.c.webauthn.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
			if !bytes.Equal(handle, user.WebAuthnID()) {
				return nil, errors.New("another user")
			}
			return user, nil
		}, *data.(*webauthn.SessionData), answer) //nolint:errcheck // of this kind
		if err != nil {
			return badPasskey(rulePasskey, err)
		}
		return x.usePasskey(p, cred)
	})
	if err != nil {
		return nil, err
	}
	// Whom we know now; whether they may come in, the register says.
	if _, err := x.c.standing(x.r, p.Person, p.Key); err != nil {
		x.c.cfg.Cases.CountRefused(ruleStanding, p.Person)
		if e, ok := asError(err); ok && e.Code == bonded.CodeUnauthenticated {
			return nil, &bonded.Error{Code: bonded.CodeUnauthenticated, Field: "person", Message: x.T("signin.awaited", "person", p.Person), Hint: x.T("signin.awaited_hint")}
		}
		return nil, err
	}
	if err := x.begin(p.Person, wayPasskey, p); err != nil {
		return nil, err
	}
	return map[string]string{"next": nextPage(q.Next)}, nil
}

// usePasskey notes that a passkey was used. One whose counter went back is a
// copy.
func (x *visit) usePasskey(p *passkey, cred *webauthn.Credential) error {
	if cred.Authenticator.CloneWarning {
		return &bonded.Error{Code: bonded.CodeUnauthenticated, Rules: []string{rulePasskey + "_copy"}, Field: "passkey", Message: "this passkey counts backwards: there may be a copy of it", Hint: "remove it under settings, with another passkey, and enrol a new one"}
	}
	p.Credential = *cred
	return x.c.store.usedPasskey(x.r.Context(), p, x.c.cfg.Now())
}

// signs reports whether a passkey keeps its owner's signing key: one without
// the extension PRF cannot, and lets them read.
func (p *passkey) signs() bool { return len(p.Wrapped) > 0 }

// A sealedKey is what the script needs to use a passkey for signing.
type sealedKey struct {
	ID      protocol.URLEncodedBase64 `json:"id"`
	Salt    protocol.URLEncodedBase64 `json:"salt"`
	Wrapped protocol.URLEncodedBase64 `json:"wrapped"`
}

// signing returns those of the signed-in person's passkeys that sign, or why none
// does.
func (x *visit) signing(all []*passkey) (sign []*passkey, why *bonded.Error) {
	reads := false
	for _, p := range all {
		if p.Key != x.who.Key {
			continue
		}
		if reads = true; p.signs() {
			sign = append(sign, p)
		}
	}
	switch {
	case len(sign) > 0:
		return sign, nil
	case reads:
		return nil, &bonded.Error{Code: bonded.CodeForbidden, Field: "passkey", Message: x.T("sign.reads_only"), Hint: x.T("sign.reads_only_hint")}
	}
	return nil, &bonded.Error{Code: bonded.CodeForbidden, Field: "passkey", Message: x.T("sign.no_passkey"), Hint: x.T("sign.no_passkey_hint")}
}

// stepUp begins a use of the signing key: what passkeys may confirm it, and
// the key sealed under each.
func (x *visit) stepUp() (options *protocol.PublicKeyCredentialRequestOptions, data *webauthn.SessionData, keys []sealedKey, err error) {
	o, err := x.c.owner(x.r.Context(), x.who.Person)
	if err != nil {
		return nil, nil, nil, err
	}
	mine, why := x.signing(o.passkeys)
	if why != nil {
		return nil, nil, nil, why
	}
	for _, p := range mine {
		keys = append(keys, sealedKey{p.ID, p.Salt, p.Wrapped})
	}
	o.passkeys = mine
	a, data, err := x.c.webauthn.BeginLogin(o, webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, nil, err
	}
	return &a.Response, data, keys, nil
}

// confirm checks that one of the signed-in person's passkeys confirmed a step.
func (x *visit) confirm(data *webauthn.SessionData, credential []byte) error {
	return x.attempt(rulePasskey, func() error {
		o, err := x.c.owner(x.r.Context(), x.who.Person)
		if err != nil {
			return err
		}
		answer, err := protocol.ParseCredentialRequestResponseBytes(credential)
		if err != nil {
			return badPasskey(rulePasskey, err)
		}
		cred, err := x.c.webauthn.ValidateLogin(o, *data, answer)
		if err != nil {
			return badPasskey(rulePasskey, err)
		}
		for _, p := range o.passkeys {
			if bytes.Equal(p.ID, cred.ID) {
				return x.usePasskey(p, cred)
			}
		}
		return badPasskey(ruleUnknown, nil)
	})
}
