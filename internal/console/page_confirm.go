package console

import (
	"bonded"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// A step is what somebody is asked to confirm by their passkey: one act on one
// person. It is confirmed once.
type step struct {
	act     string // erase, undo or export
	subject bonded.SubjectID
	data    *webauthn.SessionData
}

// confirmBegin begins the confirmation of an act on a person. Any passkey of
// the signed-in person will do: nothing is signed.
func (x *visit) confirmBegin() (any, error) {
	id, err := x.subject()
	if err != nil {
		return nil, err
	}
	act := x.r.PathValue("act")
	if act != "erase" && act != "undo" && act != "export" {
		return nil, x.nowhere()
	}
	o, err := x.c.owner(x.r.Context(), x.who.Person)
	if err != nil {
		return nil, err
	}
	if len(o.passkeys) == 0 {
		return nil, x.unconfirmed()
	}
	options, data, err := x.c.webauthn.BeginLogin(o, webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, err
	}
	name := x.c.begun.add(&ceremony{kind: "step", session: x.session.Hash, data: &step{act, id, data}}, x.c.cfg.Now())
	return begun{name, options.Response}, nil
}

// confirmed refuses a form whose act was not confirmed for this person, in this
// session, by a passkey of its owner.
func (x *visit) confirmed(act string, id bonded.SubjectID) error {
	if x.r.PostFormValue("ceremony") == "" {
		return x.unconfirmed()
	}
	data, err := x.c.begun.take("step", x.r.PostFormValue("ceremony"), x.session.Hash, x.c.cfg.Now())
	if err != nil {
		return err
	}
	s := data.(*step) //nolint:errcheck // of this kind
	if s.act != act || s.subject != id {
		return x.unconfirmed()
	}
	return x.confirm(s.data, []byte(x.r.PostFormValue("credential")))
}

func (x *visit) unconfirmed() error {
	return &bonded.Error{Code: bonded.CodeForbidden, Rules: []string{"console.unconfirmed"}, Field: "passkey", Message: x.T("rule.console.unconfirmed"), Hint: x.T("rule.console.unconfirmed_hint")}
}
