package operator

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"

	"bonded"
	"bonded/internal/personkey"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/verify"
)

// A Public is the public side of a person's key file: what they give to the
// registrar.
type Public struct {
	Person string        `json:"person"`
	Cell   bonded.CellID `json:"cell"`
	Key    string        `json:"key"` // Ed25519, base64
}

// PublicOf returns the public side of a key file.
func PublicOf(k *personkey.Key) *Public {
	return &Public{k.Person, k.Cell, verify.EncodePublicKey(k.Public())}
}

// Write writes p as JSON.
func (p *Public) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(p)
}

// A Member is the public file of a custodian, which bonded-custodian writes.
type Member struct {
	ID           string        `json:"id"`
	Organisation string        `json:"organisation"`
	Cell         bonded.CellID `json:"cell"`
	Approval     string        `json:"approval_key"`
	Transport    string        `json:"transport_key"`
}

// ParseMember reads the public file of a custodian. Errors have code invalid.
func ParseMember(b []byte) (*Member, error) {
	m := new(Member)
	if strict(b, m) != nil {
		return nil, notMember()
	}
	_, err := m.custody()
	return m, err
}

// custody returns m as a member of a ceremony.
func (m *Member) custody() (quorum.Custody, error) {
	c := quorum.Custody{ID: m.ID}
	key, err := verify.DecodePublicKey(m.Approval)
	t, err2 := base64.StdEncoding.Strict().DecodeString(m.Transport)
	if err != nil || err2 != nil || len(t) != len(c.Transport) || m.ID == "" || !m.Cell.Valid() {
		return c, notMember()
	}
	c.Approval = key
	copy(c.Transport[:], t)
	return c, nil
}

func notMember() error {
	return &bonded.Error{Code: bonded.CodeInvalid, Message: "not the public file of a custodian", Hint: "bonded-custodian public DIR prints it"}
}

// KeyOf returns the public key that a public file names: an officer's
// officer.json, an operator's, or a custodian's public.json. Errors have code
// invalid.
func KeyOf(b []byte) (ed25519.PublicKey, error) {
	if is, _ := personkey.Is(b); is {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Message: "this is a private key file: it stays with its owner", Hint: "name the public file that bonded register keygen wrote beside it"}
	}
	if o, err := recipient.ParseOfficerPublic(b); err == nil {
		return verify.DecodePublicKey(o.Key)
	}
	if m, err := ParseMember(b); err == nil {
		return verify.DecodePublicKey(m.Approval)
	}
	p := new(Public)
	if strict(b, p) == nil && p.Person != "" {
		if key, err := verify.DecodePublicKey(p.Key); err == nil {
			return key, nil
		}
	}
	return nil, &bonded.Error{
		Code: bonded.CodeInvalid, Message: "not a public key file of a person",
		Hint: "bonded request keygen writes officer.json, bonded register keygen ID.public.json, bonded-custodian public.json",
	}
}

func strict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

func itoa(n int) string { return strconv.Itoa(n) }
