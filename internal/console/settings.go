package console

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"bonded"
	"bonded/verify"
)

// to sends the visitor to another page of ours.
func (x *visit) to(path string) error {
	http.Redirect(x.w, x.r, path, http.StatusSeeOther) //nolint:gosec // see nextPage
	return nil
}

func (x *visit) settingsPage() error {
	keys, err := x.c.store.passkeys(x.r.Context(), x.who.Person)
	if err != nil {
		return err
	}
	all, err := x.c.store.sessions(x.r.Context(), x.who.Person)
	if err != nil {
		return err
	}
	live := all[:0]
	for _, s := range all {
		if !s.over(x.c.cfg.Now()) {
			live = append(live, s)
		}
	}
	x.scripts = append(x.scripts, "sign.js")
	return x.show(x.T("settings.title"), settingsView(x, keys, live))
}

// endOthers ends the other sessions of whoever asks.
func (x *visit) endOthers() error {
	if err := x.c.store.dropOthers(x.r.Context(), x.who.Person, x.session.Hash); err != nil {
		return err
	}
	return x.to("/console/settings")
}

// removePasskey forgets a passkey. The last one goes as well: an administrator
// makes a link to enrol again.
func (x *visit) removePasskey() error {
	if err := x.byPasskey(); err != nil {
		return err
	}
	id, err := hex.DecodeString(x.r.PostFormValue("id"))
	if err != nil || len(id) == 0 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "id", Message: "not a passkey"}
	}
	gone, err := x.c.store.dropPasskey(x.r.Context(), x.who.Person, id)
	if err != nil {
		return err
	}
	if !gone {
		return &bonded.Error{Code: bonded.CodeWithheld, Field: "id", Message: "you have no such passkey"}
	}
	return x.to("/console/settings")
}

// fingerprint is a key for reading aloud: the first half of its SHA-256, in
// groups of four digits.
func fingerprint(key string) string {
	k, err := verify.DecodePublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(k)
	s := hex.EncodeToString(sum[:16])
	var groups []string
	for i := 0; i < len(s); i += 4 {
		groups = append(groups, s[i:i+4])
	}
	return strings.Join(groups, " ")
}

func keyName(x *visit, p *passkey, i int) string {
	if p.Name != "" {
		return p.Name
	}
	return x.T("settings.passkey_n", "n", i+1)
}

func agent(x *visit, s *session) string {
	if s.Agent == "" {
		return x.T("settings.unknown_browser")
	}
	return s.Agent
}

func oidcLink(next string) string {
	return "/console/oidc/start?" + url.Values{"next": {next}}.Encode()
}
