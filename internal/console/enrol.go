package console

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/operator"
	"bonded/verify"
)

// inviteLife is how long a link to enrol can be used, once.
const inviteLife = time.Hour

// maxPasskeys is how many passkeys somebody may have.
const maxPasskeys = 10

// Invite makes a link by which a person enrols a passkey, once. The
// administrator and registrars may; what the person can do afterwards is not
// theirs to say: whoever signs in is somebody of the register whose key the
// register has.
func (c *Console) Invite(ctx context.Context, call *apitype.PersonCall, q *apitype.ConsoleInvite) (*apitype.ConsoleInvited, error) {
	if call.Person != verify.SignerAdmin {
		p, err := c.cfg.Cases.Person(ctx, call.Person)
		if err != nil {
			return nil, err
		}
		if p.Role != "registrar" {
			return nil, &bonded.Error{Code: bonded.CodeForbidden, Rules: []string{"role.invite"}, Message: "only the administrator and registrars invite people to the console"}
		}
	}
	if !bonded.ValidName(q.Person) || q.Person == verify.SignerAdmin {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "person", Message: "not an id of a person", Hint: "use the id that the register has, or will have, such as legal-1"}
	}
	code, hash := newSecret()
	now := c.cfg.Now()
	out := &apitype.ConsoleInvited{
		Person: q.Person, Link: c.cfg.Origin + "/console/enrol?" + url.Values{"code": {code}}.Encode(), Expires: now.Add(inviteLife).UTC().Truncate(time.Second),
	}
	return out, c.store.addInvite(ctx, hash, q.Person, call.Person, now, out.Expires)
}

// invited returns the invite of a code.
func (x *visit) invited(code string) (*invite, error) {
	var v *invite
	err := x.attempt(ruleInvite, func() (err error) {
		v, err = x.c.store.invite(x.r.Context(), hashOf(code), x.c.cfg.Now())
		if err == nil && v == nil {
			err = &bonded.Error{Code: bonded.CodeUnauthenticated, Field: "code", Message: x.T("enrol.no_invite"), Hint: x.T("enrol.no_invite_hint")}
		}
		return err
	})
	return v, err
}

func (x *visit) enrolPage() error {
	v, err := x.invited(x.r.URL.Query().Get("code"))
	if err != nil {
		return err
	}
	p, err := x.c.cfg.Cases.Person(x.r.Context(), v.Person)
	if err != nil && bonded.CodeOf(err) != bonded.CodeUnauthenticated {
		return err
	}
	x.scripts = append(x.scripts, "sign.js")
	return x.show(x.T("enrol.title"), enrolView(x, v, p, x.r.URL.Query().Get("code")))
}

// enrolling is what an enrolment is about, until it is finished.
type enrolling struct {
	person string
	data   *webauthn.SessionData
	salt   []byte
	nonce  []byte
}

// newKey is the first half of making a passkey.
type newKey struct {
	begun
	Salt  protocol.URLEncodedBase64 `json:"salt"`  // what the passkey makes its secret of
	Nonce protocol.URLEncodedBase64 `json:"nonce"` // to be signed
}

// beginKey begins a passkey for a person.
func (x *visit) beginKey(person string) (*protocol.PublicKeyCredentialCreationOptions, *enrolling, error) {
	o, err := x.c.owner(x.r.Context(), person)
	if err != nil {
		return nil, nil, err
	}
	if len(o.passkeys) >= maxPasskeys {
		return nil, nil, &bonded.Error{Code: bonded.CodeConflict, Field: "passkey", Message: "this person has as many passkeys as one may have", Hint: "remove one under settings first"}
	}
	options, data, err := x.c.webauthn.BeginRegistration(o,
		webauthn.WithExclusions(webauthn.Credentials(o.WebAuthnCredentials()).CredentialDescriptors()),
		webauthn.WithExtensions(webauthn.WithExtensionPRFSupport()))
	if err != nil {
		return nil, nil, err
	}
	return &options.Response, &enrolling{person: person, data: data, salt: random(), nonce: random()}, nil
}

func random() []byte {
	_, hash := newSecret()
	return hash[:]
}

func (x *visit) enrolBegin() (any, error) {
	var q struct {
		Code string `json:"code"`
	}
	if err := x.read(&q); err != nil {
		return nil, err
	}
	if err := x.allowBegin(); err != nil {
		return nil, err
	}
	v, err := x.invited(q.Code)
	if err != nil {
		return nil, err
	}
	options, e, err := x.beginKey(v.Person)
	if err != nil {
		return nil, err
	}
	name := x.c.begun.add(&ceremony{kind: "enrol", data: e}, x.c.cfg.Now())
	return newKey{begun{name, options}, e.salt, e.nonce}, nil
}

// madeKey is the second half: the passkey that was made, and the signing key
// sealed under it.
type madeKey struct {
	Credential json.RawMessage `json:"credential"`
	Wrapped    []byte          `json:"wrapped"` // nonce of 12 bytes, sealed seed; empty: the passkey keeps no key and lets its owner read
	Key        []byte          `json:"key"`     // public signing key
	Proof      []byte          `json:"proof"`   // its signature, see proofMessage
	Name       string          `json:"name"`    // of the passkey, for its owner
}

const (
	wrapNonce  = 12
	wrapSealed = ed25519.SeedSize + 16
)

// proofMessage is what the signing key signs to show that whoever enrols has
// it:
//
//	lp("bonded/console/enrol/1", cell, person, nonce, passkey id, SHA-256(wrapped))
func proofMessage(cell bonded.CellID, person string, nonce, passkey, wrapped []byte) []byte {
	h := sha256.Sum256(wrapped)
	return canon.LP([]byte("bonded/console/enrol/1"), []byte(cell), []byte(person), nonce, passkey, h[:])
}

// keep checks what was made and keeps it.
func (x *visit) keep(e *enrolling, m *madeKey, invited *[32]byte) (*passkey, error) {
	answer, err := protocol.ParseCredentialCreationResponseBytes(m.Credential)
	if err != nil {
		return nil, badPasskey(rulePasskey, err)
	}
	cred, err := x.c.webauthn.CreateCredential(&owner{cell: x.c.cfg.Cell, person: e.person}, *e.data, answer)
	if err != nil {
		return nil, badPasskey(rulePasskey, err)
	}
	switch {
	case len(m.Key) != ed25519.PublicKeySize || len(m.Wrapped) != 0 && len(m.Wrapped) != wrapNonce+wrapSealed:
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "key", Message: "not a signing key sealed as this page does it"}
	case !ed25519.Verify(m.Key, proofMessage(x.c.cfg.Cell, e.person, e.nonce, cred.ID, m.Wrapped), m.Proof):
		return nil, &bonded.Error{Code: bonded.CodeProof, Field: "proof", Message: "the signing key did not sign that it enrols", Hint: "begin again"}
	}
	name := strings.Join(strings.Fields(m.Name), " ")
	if r := []rune(name); len(r) > 60 {
		name = string(r[:60])
	}
	p := &passkey{
		ID: cred.ID, Person: e.person, Name: name, Key: verify.EncodePublicKey(m.Key), Salt: e.salt, Wrapped: append([]byte{}, m.Wrapped...), Credential: *cred,
	}
	err = x.c.store.addPasskey(x.r.Context(), p, invited, x.c.cfg.Now())
	if errors.Is(err, errUsed) {
		err = &bonded.Error{Code: bonded.CodeUnauthenticated, Field: "code", Message: x.T("enrol.no_invite"), Hint: x.T("enrol.no_invite_hint")}
	}
	return p, err
}

// enrolled is what somebody sees who has enrolled.
type enrolled struct {
	Person string `json:"person"`
	Key    string `json:"key"`
	State  string `json:"state"` // ready, awaited or other_key
	Public string `json:"public"`
	Reads  bool   `json:"reads"` // and no more: the passkey keeps no key
}

func (x *visit) enrolFinish() (any, error) {
	var q struct {
		Ceremony string `json:"ceremony"`
		Code     string `json:"code"`
		madeKey
	}
	if err := x.read(&q); err != nil {
		return nil, err
	}
	v, err := x.invited(q.Code)
	if err != nil {
		return nil, err
	}
	data, err := x.c.begun.take("enrol", q.Ceremony, [32]byte{}, x.c.cfg.Now())
	if err != nil {
		return nil, err
	}
	e := data.(*enrolling) //nolint:errcheck // of this kind
	if e.person != v.Person {
		return nil, &bonded.Error{Code: bonded.CodeForbidden, Field: "code", Message: "this link is for somebody else"}
	}
	hash := hashOf(q.Code)
	var p *passkey
	if err := x.attempt(rulePasskey, func() error { p, err = x.keep(e, &q.madeKey, &hash); return err }); err != nil {
		return nil, err
	}
	out := &enrolled{Person: p.Person, Key: p.Key, State: "ready", Reads: !p.signs()}
	switch _, err := x.c.standing(x.r, p.Person, p.Key); bonded.CodeOf(err) {
	case bonded.CodeUnauthenticated:
		out.State = "awaited"
	case bonded.CodeForbidden:
		out.State = "other_key"
	default:
		if err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	public := operator.Public{Person: p.Person, Cell: x.c.cfg.Cell, Key: p.Key}
	if err := public.Write(&b); err != nil {
		return nil, err
	}
	out.Public = b.String()
	return out, nil
}

// addKeyBegin begins another passkey for the same signing key, which one of
// those there are has to unseal.
func (x *visit) addKeyBegin() (any, error) {
	login, data, keys, err := x.stepUp()
	if err != nil {
		return nil, err
	}
	options, e, err := x.beginKey(x.who.Person)
	if err != nil {
		return nil, err
	}
	name := x.c.begun.add(&ceremony{kind: "add", session: x.session.Hash, data: &adding{e, data}}, x.c.cfg.Now())
	return struct {
		newKey
		Confirm any         `json:"confirm"` // publicKey of navigator.credentials.get
		Keys    []sealedKey `json:"keys"`
	}{newKey{begun{name, options}, e.salt, e.nonce}, login, keys}, nil
}

type adding struct {
	*enrolling
	confirm *webauthn.SessionData
}

func (x *visit) addKeyFinish() (any, error) {
	var q struct {
		Ceremony string          `json:"ceremony"`
		Confirm  json.RawMessage `json:"confirm"`
		madeKey
	}
	if err := x.read(&q); err != nil {
		return nil, err
	}
	data, err := x.c.begun.take("add", q.Ceremony, x.session.Hash, x.c.cfg.Now())
	if err != nil {
		return nil, err
	}
	a := data.(*adding) //nolint:errcheck // of this kind
	if err := x.confirm(a.confirm, q.Confirm); err != nil {
		return nil, err
	}
	if base64.StdEncoding.EncodeToString(q.Key) != x.who.Key || len(q.Wrapped) == 0 {
		return nil, forbidden(ruleKey)
	}
	_, err = x.keep(a.enrolling, &q.madeKey, nil)
	return map[string]string{"next": "/console/settings"}, err
}
