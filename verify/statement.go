package verify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"

	"bonded/internal/canon"
)

// FailStatement is the code of a signed statement that does not hold.
const FailStatement = "statement"

// MaxStatement is the most bytes a signed statement has.
const MaxStatement = 1 << 20

// A Statement is a document that somebody signed: a request, a decision, the
// entry of an officer in the register. Body is signed as it stands, so that
// nobody has to write JSON in the one right way. In JSON byte strings are
// standard base64.
type Statement struct {
	Body       b64bytes    `json:"body"`
	Signatures []Signature `json:"signatures"`
}

// A Signature is one signature of a [Statement] by Ed25519 (RFC 8032) over
//
//	lp("bonded/statement/1", label, signer, SHA-256(body))
//
// Labels keep documents of different kinds apart.
type Signature struct {
	Signer string   `json:"signer"` // id of the signer in the register, or of a custodian
	Value  b64bytes `json:"value"`
}

func statementMessage(label, signer string, body []byte) []byte {
	h := sha256.Sum256(body)
	return canon.LP([]byte("bonded/statement/1"), []byte(label), []byte(signer), h[:])
}

// NewStatement encodes v as JSON and returns it without signatures.
func NewStatement(v any) (*Statement, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return &Statement{Body: b}, nil
}

// Sign adds a signature.
func (s *Statement) Sign(label, signer string, key ed25519.PrivateKey) {
	s.Signatures = append(s.Signatures, Signature{signer, ed25519.Sign(key, statementMessage(label, signer, s.Body))})
}

// SignedBy reports whether s has a signature of signer under key that holds.
func (s *Statement) SignedBy(label, signer string, key ed25519.PublicKey) bool {
	for i := range s.Signatures {
		g := &s.Signatures[i]
		if g.Signer == signer && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, statementMessage(label, signer, s.Body), g.Value) {
			return true
		}
	}
	return false
}

// Digest returns the digest of a statement under its label, which does not
// depend on the signatures:
//
//	SHA-256("bonded/statement-digest/1" ‖ lp(label, body))
func (s *Statement) Digest(label string) [32]byte {
	return sha256.Sum256(append([]byte("bonded/statement-digest/1"), canon.LP([]byte(label), s.Body)...))
}

// ContentDigest returns the digest that the field content of a ledger entry
// holds for the statements behind it, in their order.
func ContentDigest(digests ...[32]byte) [32]byte {
	parts := make([][]byte, len(digests))
	for i := range digests {
		parts[i] = digests[i][:]
	}
	return sha256.Sum256(append([]byte("bonded/content/1"), canon.LP(parts...)...))
}

// Encode returns s as JSON.
func (s *Statement) Encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // byte strings and text always marshal
	}
	return b
}

// ParseStatement reads a statement strictly. It checks no signature. Any other
// spelling is a [Failure] with code malformed.
func ParseStatement(b []byte) (*Statement, error) {
	s := new(Statement)
	if len(b) > 2*MaxStatement || strictJSON(b, s) != nil || len(s.Body) == 0 || len(s.Body) > MaxStatement || len(s.Signatures) > 64 {
		return nil, Fail(FailMalformed, "not a signed statement")
	}
	return s, nil
}

// DecodeBody reads the body of s strictly into v: unknown members, members
// named twice and anything after the end are refused.
func (s *Statement) DecodeBody(v any) error {
	if err := strictJSON(s.Body, v); err != nil {
		return &Failure{Verdict: DoesNotHold, Code: FailMalformed, Message: "the statement is not the JSON this version reads", Err: err}
	}
	return nil
}
