// Package personkey is the key file of somebody who acts at the front door: an
// operator of the cell, such as intake, counsel, guardian, auditor or
// registrar. Officers of agencies have a file with their recipient key as
// well, which package recipient makes.
//
// It keeps keys and uses none. Start at [New] and [Parse].
package personkey

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"bonded"
	"bonded/internal/seal"
)

// Format is the format name of this version of key files.
const Format = "bonded/person-key/1"

const label = "person-key/1"

// A Key is who acts, where, and with which key. It prints without the key.
type Key struct {
	Person string
	Cell   bonded.CellID
	key    ed25519.PrivateKey
}

// New returns a key for a person, fresh.
func New(person string, cell bonded.CellID) (*Key, error) {
	if !bonded.ValidName(person) || !cell.Valid() {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "person", Message: "not an id of a person, or not a cell", Hint: "use up to 64 characters a–z, 0–9, '_', '-' and '.', beginning with a letter"}
	}
	_, priv, _ := ed25519.GenerateKey(rand.Reader) // never fails since Go 1.24
	return &Key{person, cell, priv}, nil
}

// Of returns the key file of a person whose private key is known from
// elsewhere, such as the administrator's.
func Of(person string, cell bonded.CellID, key ed25519.PrivateKey) *Key {
	return &Key{person, cell, key}
}

// Private returns the key that signs.
func (k *Key) Private() ed25519.PrivateKey { return k.key }

// Public returns what the register holds.
func (k *Key) Public() ed25519.PublicKey {
	p, _ := k.key.Public().(ed25519.PublicKey) //nolint:errcheck // an Ed25519 key
	return p
}

// Format implements [fmt.Formatter]: a Key prints without its key under every
// verb.
func (k Key) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "%s of cell %s [key]", k.Person, k.Cell)
}

// LogValue implements [slog.LogValuer].
func (k Key) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

// file is the JSON of a key file: one of Key and Sealed.
type file struct {
	Format string        `json:"format"`
	Person string        `json:"person"`
	Cell   bonded.CellID `json:"cell"`
	Key    string        `json:"key,omitempty"`    // seed, base64
	Sealed string        `json:"sealed,omitempty"` // seed under a passphrase, base64
}

// Encode returns the file of k, sealed by a passphrase unless that is empty:
// keep an unsealed one in a file of mode 0600.
func (k *Key) Encode(passphrase []byte) ([]byte, error) {
	f := file{Format: Format, Person: k.Person, Cell: k.Cell}
	seed := k.key.Seed()
	defer clear(seed)
	if len(passphrase) == 0 {
		f.Key = base64.StdEncoding.EncodeToString(seed)
	} else {
		sealed, err := seal.SealWithPassphrase(passphrase, label, seed)
		if err != nil {
			return nil, err
		}
		f.Sealed = base64.StdEncoding.EncodeToString(sealed)
	}
	b, err := json.MarshalIndent(f, "", "  ")
	return append(b, '\n'), err
}

// Is reports whether b has the form of a key file, and whether it is sealed.
func Is(b []byte) (is, sealed bool) {
	f, err := parse(b)
	return err == nil, err == nil && f.Sealed != ""
}

// Parse reads what [Key.Encode] wrote. Errors have code bad_config and never
// repeat the file.
func Parse(b, passphrase []byte) (*Key, error) {
	f, err := parse(b)
	if err != nil {
		return nil, err
	}
	text := f.Key
	if f.Sealed != "" {
		text = f.Sealed
	}
	seed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, malformed()
	}
	defer func() { clear(seed) }()
	if f.Sealed != "" {
		if len(passphrase) == 0 {
			return nil, &bonded.Error{Code: bonded.CodeConfig, Message: "the key of this person is sealed by a passphrase", Hint: "give --passphrase-file"}
		}
		if seed, err = seal.OpenWithPassphrase(passphrase, label, seed); err != nil {
			return nil, bonded.Wrap(bonded.CodeConfig, err, "the passphrase is wrong, or the key file is altered")
		}
	}
	if len(seed) != ed25519.SeedSize {
		return nil, malformed()
	}
	return &Key{f.Person, f.Cell, ed25519.NewKeyFromSeed(seed)}, nil
}

func parse(b []byte) (*file, error) {
	f := new(file)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(f); err != nil {
		return nil, malformed()
	}
	if _, err := dec.Token(); err != io.EOF || f.Format != Format || (f.Key == "") == (f.Sealed == "") || !f.Cell.Valid() || f.Person == "" { //nolint:errorlint // the sentinel itself comes back
		return nil, malformed()
	}
	return f, nil
}

func malformed() error { // no cause: it could quote the file
	return &bonded.Error{Code: bonded.CodeConfig, Message: "not the key file of a person", Hint: "bonded register keygen makes one"}
}
