//go:build unix

package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bonded"
	"bonded/verify"
)

// keyPrefix begins the text form of a private key, as in
// golang.org/x/mod/sumdb/note; the type byte is that of a cosigner.
const (
	keyPrefix        = "PRIVATE+KEY+"
	algCosignatureV1 = 0x04
)

// A Key is a witness's private key. It prints as [key].
type Key struct {
	name string
	sign func(msg []byte) []byte
	pub  ed25519.PublicKey
}

// String returns "[key]".
func (Key) String() string { return "[key]" }

// GoString returns "[key]".
func (Key) GoString() string { return "[key]" }

// Name returns the key name, which is the witness's name in cosignatures.
func (k Key) Name() string { return k.name }

// VKey returns the public key as a vkey of type 0x04.
func (k Key) VKey() string {
	v, _ := verify.CosignatureVkey(k.name, k.pub) // the name was checked when k was made
	return v
}

// GenerateKey makes a key pair in text form: skey is secret, vkey goes into
// witness policies. The name should be a URL without a scheme, such as
// "witness.example/1"; spaces and plus are refused.
func GenerateKey(name string) (skey, vkey string, err error) {
	if !verify.ValidKeyName(name) {
		return "", "", bonded.Errorf(bonded.CodeConfig, "witness name has spaces, a plus, or is empty")
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("generate witness key: %w", err)
	}
	vkey, err = verify.CosignatureVkey(name, pub)
	if err != nil {
		return "", "", fmt.Errorf("generate witness key: %w", err)
	}
	id := strings.SplitN(vkey, "+", 3)[1]
	return keyPrefix + name + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{algCosignatureV1}, priv.Seed()...)), vkey, nil
}

// ParseKey reads the secret key that [GenerateKey] made. The error never
// repeats the input.
func ParseKey(skey string) (Key, error) {
	bad := bonded.Errorf(bonded.CodeConfig, "witness key is not a private cosigner key")
	rest, ok := strings.CutPrefix(strings.TrimSuffix(skey, "\n"), keyPrefix)
	if !ok {
		return Key{}, bad
	}
	f := strings.SplitN(rest, "+", 3)
	if len(f) != 3 {
		return Key{}, bad
	}
	seed, err := base64.StdEncoding.Strict().DecodeString(f[2])
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != algCosignatureV1 {
		return Key{}, bad
	}
	priv := ed25519.NewKeyFromSeed(seed[1:])
	pub, ok := priv.Public().(ed25519.PublicKey)
	if !ok {
		return Key{}, bad
	}
	k := Key{name: f[0], pub: pub, sign: func(msg []byte) []byte { return ed25519.Sign(priv, msg) }}
	vkey, err := verify.CosignatureVkey(k.name, k.pub)
	if err != nil || strings.SplitN(vkey, "+", 3)[1] != f[1] {
		return Key{}, bad
	}
	return k, nil
}

// LoadKey reads a key file. It refuses one that others may read.
func LoadKey(path string) (Key, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Key{}, fmt.Errorf("load witness key: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		e := bonded.Errorf(bonded.CodeConfig, "witness key file can be read by others")
		e.Hint = "chmod 600 it, and consider the key known to them"
		return Key{}, e
	}
	b, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if err != nil {
		return Key{}, fmt.Errorf("load witness key: %w", err)
	}
	return ParseKey(string(b))
}

// LoadOrCreateKey is [LoadKey] that makes a key of that name, durable before
// it returns, when there is no file. A key of another name is refused.
func LoadOrCreateKey(path, name string) (Key, error) {
	k, err := LoadKey(path)
	if err == nil && k.name != name {
		return Key{}, bonded.Errorf(bonded.CodeConfig, "witness key file holds the key of another witness")
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	skey, _, err := GenerateKey(name)
	if err != nil {
		return Key{}, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Key{}, fmt.Errorf("create witness key: %w", err)
	}
	if err := writeDurable(path, []byte(skey+"\n")); err != nil {
		return Key{}, fmt.Errorf("create witness key: %w", err)
	}
	return ParseKey(skey)
}
