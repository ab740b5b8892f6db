package recipient

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"io"

	"bonded"
	"bonded/internal/seal"
	"bonded/verify"
)

// Format names of the two files of an officer.
const (
	FormatOfficerKey = "bonded/officer-key/1" // private: [Officer.Encode]
	FormatOfficer    = "bonded/officer/1"     // public: [Officer.Public]
)

// officerSecretSize is the length of what an officer's key file keeps secret:
// the Ed25519 seed and the private recipient key.
const officerSecretSize = ed25519.SeedSize + PrivateSize

// maxOfficerFile is the largest key file read, in bytes.
const maxOfficerFile = 16 << 10

// An Officer is what somebody who files requests has: a key to sign with, and
// one to receive under. It prints as [recipient key] at most.
type Officer struct {
	Signing ed25519.PrivateKey
	Private *Private
	Key     *Key
}

// NewOfficer returns fresh keys.
func NewOfficer() (*Officer, error) {
	_, sign, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	p, k, err := New()
	return &Officer{sign, p, k}, err
}

// officerFile is an officer's key file in JSON.
type officerFile struct {
	Format    string `json:"format"`
	Recipient []byte `json:"recipient"`        // public
	Sealed    []byte `json:"sealed,omitempty"` // secret under a passphrase
	Secret    []byte `json:"secret,omitempty"` // secret in clear
}

// An OfficerPublic is what the officer gives to the registrar.
type OfficerPublic struct {
	Format    string `json:"format"` // [FormatOfficer]
	Key       string `json:"key"`    // Ed25519, base64: goes into the register
	Recipient []byte `json:"recipient"`
	Digest    string `json:"recipient_digest"` // hexadecimal; to compare by telephone
}

// Public returns the officer's public side.
func (o *Officer) Public() *OfficerPublic {
	d := o.Key.Digest()
	return &OfficerPublic{
		Format: FormatOfficer, Key: verify.EncodePublicKey(o.Signing.Public().(ed25519.PublicKey)), //nolint:errcheck,forcetypeassert // always one
		Recipient: o.Key.Bytes(), Digest: hex.EncodeToString(d[:]),
	}
}

// Write writes p as indented JSON.
func (p *OfficerPublic) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(p)
}

// Encode returns the officer's key file: the secret sealed under a passphrase,
// or in clear if passphrase is nil.
func (o *Officer) Encode(passphrase []byte) ([]byte, error) {
	p, err := o.Private.Bytes()
	if err != nil {
		return nil, err
	}
	defer clear(p)
	secret := append(append(make([]byte, 0, officerSecretSize), o.Signing.Seed()...), p...)
	defer clear(secret)
	f := officerFile{Format: FormatOfficerKey, Recipient: o.Key.Bytes()}
	if passphrase == nil {
		f.Secret = secret
	} else if f.Sealed, err = seal.SealWithPassphrase(passphrase, FormatOfficerKey, secret); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(f, "", "  ") //nolint:gosec // G117: an unsealed key file is what was asked for, and goes to its owner alone
	return append(b, '\n'), err
}

// OfficerSealed reports whether a key file needs a passphrase. The error has
// code bad_config.
func OfficerSealed(b []byte) (bool, error) {
	f, err := parseOfficer(b)
	if err != nil {
		return false, err
	}
	return f.Sealed != nil, nil
}

// ParseOfficer reads a key file. Errors have code bad_config: another file, a
// wrong passphrase, or halves that do not belong together.
func ParseOfficer(b, passphrase []byte) (*Officer, error) {
	f, err := parseOfficer(b)
	if err != nil {
		return nil, err
	}
	secret := f.Secret
	if f.Sealed != nil {
		if secret, err = seal.OpenWithPassphrase(passphrase, FormatOfficerKey, f.Sealed); err != nil {
			return nil, &bonded.Error{Code: bonded.CodeConfig, Message: "the key file does not open", Err: err, Hint: "the passphrase is wrong, or the file is altered"}
		}
	}
	defer clear(secret)
	if len(secret) != officerSecretSize {
		return nil, notOfficer()
	}
	o := &Officer{Signing: ed25519.NewKeyFromSeed(secret[:ed25519.SeedSize])}
	if o.Private, err = ParsePrivate(secret[ed25519.SeedSize:]); err != nil {
		return nil, notOfficer()
	}
	if o.Key, err = Parse(f.Recipient); err != nil || !o.Private.Of(o.Key) {
		return nil, notOfficer()
	}
	return o, nil
}

func parseOfficer(b []byte) (*officerFile, error) {
	f := new(officerFile)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if len(b) > maxOfficerFile || dec.Decode(f) != nil || f.Format != FormatOfficerKey || (f.Sealed == nil) == (f.Secret == nil) {
		return nil, notOfficer()
	}
	return f, nil
}

func notOfficer() error { // no cause: it could quote the file
	return &bonded.Error{Code: bonded.CodeConfig, Message: "not the key file of an officer", Hint: "bonded request keygen makes one"}
}

// ParseOfficerPublic reads the public side of an officer and checks that the
// recipient key proves itself. Errors have code invalid or bad_proof.
func ParseOfficerPublic(b []byte) (*OfficerPublic, error) {
	bad := &bonded.Error{Code: bonded.CodeInvalid, Message: "not the public file of an officer", Hint: "bonded request keygen writes officer.json beside the key"}
	p := new(OfficerPublic)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if len(b) > maxOfficerFile || dec.Decode(p) != nil || p.Format != FormatOfficer {
		return nil, bad
	}
	if _, err := verify.DecodePublicKey(p.Key); err != nil {
		return nil, bad
	}
	k, err := Parse(p.Recipient)
	if err != nil {
		return nil, err
	}
	if d := k.Digest(); p.Digest != hex.EncodeToString(d[:]) {
		return nil, bad
	}
	return p, nil
}
