package vault

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/verify"
)

// A Call is who asks, why, and how that is known. Package api makes them.
type Call = apitype.Call

// principals is a grant set, ready to look askers up in.
type principals struct {
	set      *grant.Set
	bearer   map[string]*grant.Grant // by base64 SHA-256 of the key
	spki     map[string]*grant.Grant // by base64 SHA-256 of the public key
	byID     map[string]*grant.Grant
	purposes map[bonded.Purpose]bool
}

func newPrincipals(set *grant.Set) *principals {
	p := &principals{set: set, bearer: map[string]*grant.Grant{}, spki: map[string]*grant.Grant{}, byID: map[string]*grant.Grant{}, purposes: map[bonded.Purpose]bool{}}
	for i := range set.Grants {
		g := &set.Grants[i]
		p.byID[g.ID] = g
		for _, purpose := range g.Purposes {
			p.purposes[purpose] = true
		}
		if g.BearerHash != "" {
			p.bearer[g.BearerHash] = g
		}
		if g.CertSPKI != "" {
			p.spki[g.CertSPKI] = g
		}
	}
	return p
}

// Authenticate returns the grant of a bearer key. The key is looked up by its
// hash, so that time tells nothing. It returns an [bonded.Error] with code
// unauthenticated.
func (v *Vault) Authenticate(bearer string) (*grant.Grant, error) {
	h := sha256.Sum256([]byte(bearer))
	return v.known(v.principals.Load().bearer[base64.StdEncoding.EncodeToString(h[:])])
}

// Grant returns the grant of a principal that is in force, for somebody whom
// another party has authenticated: the console does so with people. The
// vault's own grants, for its jobs and for the front door, are nobody's.
func (v *Vault) Grant(principal string) (*grant.Grant, bool) {
	g, err := v.known(v.principals.Load().byID[principal])
	if err != nil || g.Job || g.ID == v.cfg.JobGrant || g.ID == v.cfg.FrontDoorGrant || slices.Contains(g.Roles, "front_door") {
		return nil, false
	}
	return g, true
}

// AuthenticateCert returns the grant of a client certificate by the SHA-256
// of its public key. Errors as [Vault.Authenticate].
func (v *Vault) AuthenticateCert(spki [32]byte) (*grant.Grant, error) {
	return v.known(v.principals.Load().spki[base64.StdEncoding.EncodeToString(spki[:])])
}

func (v *Vault) known(g *grant.Grant) (*grant.Grant, error) {
	now := v.now()
	if g == nil || now.Before(g.NotBefore) || !now.Before(g.NotAfter) {
		return nil, &bonded.Error{Code: bonded.CodeUnauthenticated, Message: "no valid key, certificate or proof", Hint: "send a key of this cell that has not ended"}
	}
	return g, nil
}

// checkWhy holds purpose, reason and basis of a call against their form.
func checkWhy(w *apitype.Why) error {
	switch {
	case w.Purpose == "":
		return &bonded.Error{Code: bonded.CodeMissingPurpose, Field: "purpose", Message: "the call names no purpose", Hint: "name one in the body or in " + apitype.HeaderPurpose}
	case !w.Purpose.Valid():
		return &bonded.Error{Code: bonded.CodeUnknownPurpose, Field: "purpose", Message: "not a purpose", Hint: nameHint}
	case len(w.Reason) > verify.MaxReason:
		return &bonded.Error{Code: bonded.CodeTooLarge, Field: "reason", Message: "the reason is over 256 bytes"}
	case len(w.Basis) > 128:
		return &bonded.Error{Code: bonded.CodeTooLarge, Field: "basis", Message: "the basis is over 128 bytes"}
	case !utf8.ValidString(w.Reason) || !utf8.ValidString(w.Basis):
		return &bonded.Error{Code: bonded.CodeInvalidUTF8, Field: "reason", Message: "reason or basis is not UTF-8"}
	}
	return nil
}

// sameCell returns an error that names the cell an id belongs to, unless it
// is this one.
func (v *Vault) sameCell(cell bonded.CellID, at string) error {
	if cell == v.cfg.Cell {
		return nil
	}
	return &bonded.Error{Code: bonded.CodeWrongCell, Field: at, Message: "this belongs to cell " + string(cell), Hint: "ask cell " + string(cell), Rules: nil}
}

func (v *Vault) subjectText(id bonded.ID) bonded.SubjectID {
	return bonded.SubjectID{Cell: v.cfg.Cell, ID: id}
}

func (v *Vault) recordText(id bonded.ID) bonded.RecordID {
	return bonded.RecordID{Cell: v.cfg.Cell, ID: id}
}
