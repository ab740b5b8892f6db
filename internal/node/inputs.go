//go:build unix

package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"bonded"
	"bonded/internal/grant"
	"bonded/internal/remote"
	"bonded/internal/seal"
	"bonded/internal/vault"
	"bonded/verify"
)

// inputs is what a vault's folder holds beside its data and its directory.
type inputs struct {
	origin    string // of the ledger
	ledgerKey string
	promise   ed25519.PrivateKey
	index     seal.Key
	suite     seal.Suite
	keyholder ed25519.PublicKey
	schema    *vault.Schema
	grants    *grant.Set
}

func (n *vaultNode) readInputs() (*inputs, error) {
	in := new(inputs)
	// 1. What the directory says of this cell.
	v, err := note.NewVerifier(n.cell.LedgerKey)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the directory has a malformed ledger key")
	}
	in.origin = v.Name()
	if in.suite, err = seal.ParseSuite(n.cell.Suite); err != nil {
		return nil, err
	}
	if in.keyholder, err = verify.DecodePublicKey(n.cell.KeyholderKey); err != nil {
		return nil, err
	}
	// 2. Keys.
	key, err := secret(n.dir, "ledger.key", 0)
	if err != nil {
		return nil, err
	}
	in.ledgerKey = string(key)
	seed, err := secret(n.dir, "promise.key", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	in.promise = ed25519.NewKeyFromSeed(seed)
	if pub, ok := in.promise.Public().(ed25519.PublicKey); !ok || verify.EncodePublicKey(pub) != n.cell.PromiseKey {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: filepath.Join(n.dir, "keys", "promise.key"), Message: "not the promise key of the directory"}
	}
	if in.index, err = n.readIndexKey(in.suite); err != nil {
		return nil, err
	}
	// 3. Schema and grants.
	path := resolve(n.dir, n.conf.Schema)
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the schema cannot be read", Err: err}
	}
	if in.schema, err = vault.LoadSchema(path, text); err != nil {
		return nil, err
	}
	in.grants, err = n.grants()
	return in, err
}

// readIndexKey reads the vault's lock on its index and holds it against the
// check value of the key that the index was made with: under another key
// every search would quietly find nothing.
func (n *vaultNode) readIndexKey(suite seal.Suite) (seal.Key, error) {
	b, err := secret(n.dir, "index.key", seal.KeySize)
	if err != nil {
		return seal.Key{}, err
	}
	key, err := seal.KeyFromBytes(b)
	if err != nil {
		return seal.Key{}, err
	}
	sum := seal.InnerIndexKey(key, suite, "bonded", "check").Sum([]byte("bonded/index-check/1"))
	want := []byte(hex.EncodeToString(sum[:16]) + "\n")
	path := filepath.Join(n.dir, "keys", "index.check")
	got, err := os.ReadFile(path) //nolint:gosec // inside the party's folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return key, remote.WriteFile(path, want)
	case err != nil:
		return seal.Key{}, bonded.Wrap(bonded.CodeConfig, err, "the check value of the index key cannot be read")
	case !bytes.Equal(got, want):
		return seal.Key{}, &bonded.Error{
			Code: bonded.CodeConfig, Field: filepath.Join(n.dir, "keys", "index.key"),
			Message: "not the key this vault's index was made with", Hint: "put the old index.key back: under another one no search finds anything",
		}
	}
	return key, nil
}
