package console //nolint:testpackage // a seam for the tests beside it

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
)

// An Authenticator has one passkey, and says yes to whatever it is asked.
type Authenticator struct {
	id     []byte
	key    *ecdsa.PrivateKey
	rp     string
	origin string
	used   uint32
}

// Authenticator enrols a passkey of somebody.
func (c *Console) Authenticator(ctx context.Context, person string) (*Authenticator, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		return nil, err
	}
	// A COSE key: EC2, ES256, P-256 (RFC 9053).
	cose := append([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33]...)
	cose = append(append(cose, 0x22, 0x58, 32), point[33:]...)
	u, err := url.Parse(c.cfg.Origin)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{id: []byte("passkey of " + person), key: key, rp: u.Hostname(), origin: c.cfg.Origin}
	cred := webauthn.Credential{ID: a.id, PublicKey: cose, Flags: webauthn.CredentialFlags{UserPresent: true, UserVerified: true}}
	return a, c.store.addPasskey(ctx, &passkey{ID: a.id, Person: person, Key: "k", Salt: a.id, Wrapped: a.id, Credential: cred}, nil, time.Now())
}

// Begun reads what a page's script is sent when a ceremony begins.
func Begun(answer []byte) (ceremony, challenge string, err error) {
	var b struct {
		Ceremony string
		Options  struct{ Challenge string }
	}
	err = json.Unmarshal(answer, &b)
	return b.Ceremony, b.Options.Challenge, err
}

// Answer answers a challenge, as the page's script sends it.
func (a *Authenticator) Answer(challenge string) (string, error) {
	a.used++
	client, err := json.Marshal(map[string]string{"type": "webauthn.get", "challenge": challenge, "origin": a.origin})
	if err != nil {
		return "", err
	}
	rp, hash := sha256.Sum256([]byte(a.rp)), sha256.Sum256(client)
	data := binary.BigEndian.AppendUint32(append(rp[:], 0x05), a.used) // present and verified
	digest := sha256.Sum256(append(slices.Clip(data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString
	out, err := json.Marshal(map[string]any{
		"id": text(a.id), "rawId": text(a.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]string{"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature)},
	})
	return string(out), err
}
