// Package grant is the numbered, signed set of grants: which principal may
// ask for what, where it sits, and how much of it. The firm's administrator
// signs it; vault and keyholder both read it; the keyholder installs it under
// ceilings of its own operator. It decides nothing: package policy does.
//
// Start at [Set].
package grant

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"bonded"
)

// Format is the format name of this version of grant sets.
const Format = "bonded/grants/1"

// A Set is every grant of one cell. Sets are numbered: a keyholder installs
// only a higher number than it has.
type Set struct {
	Format string        `json:"format"`
	Cell   bonded.CellID `json:"cell"`
	Number uint64        `json:"number"`
	Issued time.Time     `json:"issued"`
	Grants []Grant       `json:"grants"`
}

// A Grant lets one principal ask.
type Grant struct {
	ID         string              `json:"id"`                   // principal id, such as "svc-orders"
	Key        string              `json:"key,omitempty"`        // Ed25519 public key in base64 for sessions; empty: bearer only
	Location   bonded.CellID       `json:"location"`             // cell the principal sits in
	Roles      []string            `json:"roles"`                // such as "app", "privacy", "auditor"
	Purposes   []bonded.Purpose    `json:"purposes"`             // purposes it may name
	Scope      map[string][]string `json:"scope"`                // collection → fields; "*" alone means every field of that collection; as a collection, every one
	Budget     uint32              `json:"budget"`               // distinct subjects an hour, and 16 index values for each; must be above 0
	Bearer     bool                `json:"bearer"`               // may ask without a proof (vault-asserted)
	NotBefore  time.Time           `json:"not_before"`           //
	NotAfter   time.Time           `json:"not_after"`            //
	Job        bool                `json:"job,omitempty"`        // background work of the vault: re-seal, retention
	JobRate    uint32              `json:"job_rate,omitempty"`   // items an hour for a job; 0 means its budget of subjects
	Erase      bool                `json:"erase,omitempty"`      // may ask for the destruction of subject keys
	HourlyCap  uint32              `json:"hourly_cap,omitempty"` // destructions an hour; 0 means 100
	BearerHash string              `json:"bearer_hash,omitempty"`
	CertSPKI   string              `json:"cert_spki,omitempty"` // base64 SHA-256 of the client certificate's public key, for mTLS
}

// Covers reports whether the scope of g holds field of collection.
func (g *Grant) Covers(collection, field string) bool {
	for _, f := range g.Scope[collection] {
		if f == field || f == "*" {
			return true
		}
	}
	for _, f := range g.Scope["*"] {
		if f == field || f == "*" {
			return true
		}
	}
	return false
}

// Touches reports whether the scope of g holds anything of a collection.
func (g *Grant) Touches(collection string) bool {
	return len(g.Scope[collection]) > 0 || len(g.Scope["*"]) > 0
}

// Signed is the file: the bytes of a set and the administrator's signature
// over "bonded/grants-signature/1" ‖ SHA-256(set).
type Signed struct {
	Set       []byte `json:"set"`
	Signature []byte `json:"signature"`
}

func message(set []byte) []byte {
	h := sha256.Sum256(set)
	return append([]byte("bonded/grants-signature/1"), h[:]...)
}

// Sign returns the file for s. A set that [Open] would refuse is refused here.
func Sign(s *Set, admin ed25519.PrivateKey) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	set, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Signed{set, ed25519.Sign(admin, message(set))})
}

// Open reads a file that [Sign] wrote, checks the signature and the form of
// every grant. It returns an [bonded.Error] with code bad_config.
func Open(file []byte, admin ed25519.PublicKey) (*Set, error) {
	var f Signed
	if err := strict(file, &f); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "grant file is not the JSON this version reads")
	}
	if len(admin) != ed25519.PublicKeySize || !ed25519.Verify(admin, message(f.Set), f.Signature) {
		return nil, bonded.Errorf(bonded.CodeConfig, "grant file is not signed by the administrator of the directory")
	}
	s := new(Set)
	if err := strict(f.Set, s); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "grant set is not the JSON this version reads")
	}
	return s, s.check()
}

// Digest returns SHA-256 of the set as signed, for logs and status.
func Digest(file []byte) [32]byte { return sha256.Sum256(file) }

// PublicKey returns the session key of g, or false if it has none.
func (g *Grant) PublicKey() (ed25519.PublicKey, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(g.Key)
	return b, err == nil && len(b) == ed25519.PublicKeySize
}

func (s *Set) check() error {
	bad := func(id, why string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "grants." + id, Message: "grant set: " + why}
	}
	if s.Format != Format || !s.Cell.Valid() || s.Number == 0 {
		return bad("", "format, cell or number missing")
	}
	seen := map[string]bool{}
	for i := range s.Grants {
		g := &s.Grants[i]
		switch {
		case !bonded.ValidName(g.ID) || seen[g.ID]:
			return bad(g.ID, "id malformed or named twice")
		case g.Key == "" && !g.Bearer && !g.Job:
			return bad(g.ID, "neither a key nor bearer allowed: it could never ask")
		case g.Budget == 0:
			return bad(g.ID, "budget missing: distinct subjects an hour, above 0")
		case !g.NotAfter.After(g.NotBefore):
			return bad(g.ID, "not_after is not after not_before")
		case !g.Location.Valid():
			return bad(g.ID, "location missing: the cell the principal sits in")
		}
		if _, ok := g.PublicKey(); g.Key != "" && !ok {
			return bad(g.ID, "key is not an Ed25519 public key in base64")
		}
		seen[g.ID] = true
	}
	return nil
}

func strict(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return io.ErrUnexpectedEOF
	}
	return nil
}
