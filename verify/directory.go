package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"bonded"
)

// A Directory is the file cells.json: who the parties of every cell are and
// by which keys they are known. Everything offline checking trusts is here.
type Directory struct {
	Format  string          `json:"format"`  // "bonded/directory/1"
	Version uint64          `json:"version"` // rises by one with each change, from 1
	Issued  string          `json:"issued"`  // RFC 3339, UTC
	Admin   string          `json:"admin"`   // Ed25519 public key of the firm's administrator, base64
	Default bonded.CellID   `json:"default"` // cell of people whose law names no home
	Cells   []DirectoryCell `json:"cells"`
}

// A DirectoryCell is one cell in the directory. Keys are standard base64.
type DirectoryCell struct {
	ID            bonded.CellID         `json:"id"`
	Jurisdictions []bonded.Jurisdiction `json:"jurisdictions"`
	Suite         string                `json:"suite"`          // "aes-256-gcm" or "sm4-gcm"
	API           string                `json:"api"`            // base URL of the cell's API
	APITLS        string                `json:"api_tls"`        // base URL of the same API over mTLS; empty if there is none
	Ledger        string                `json:"ledger"`         // base URL of the ledger's tiles
	LedgerKey     string                `json:"ledger_key"`     // C2SP signed-note verifier key of the log
	WitnessPolicy string                `json:"witness_policy"` // C2SP tlog-policy
	PromiseKey    string                `json:"promise_key"`    // Ed25519, signs batch promises
	KeyholderKey  string                `json:"keyholder_key"`  // Ed25519, signs heads, counts and tombstones
	KeyholderHPKE string                `json:"keyholder_hpke"` // HPKE MLKEM768X25519 public key for sessions
	Keyholder     string                `json:"keyholder"`      // host:port of the keyholder's line
	VaultCA       string                `json:"vault_ca"`       // PEM of the vault's certificate authority
	KeyholderCA   string                `json:"keyholder_ca"`   // PEM of the keyholder's certificate authority
	WitnessCA     string                `json:"witness_ca"`     // PEM of the witnesses' certificate authorities, one or more
}

// DirectoryFormat is the format name of this version of the directory.
const DirectoryFormat = "bonded/directory/1"

const maxDirectorySize = 1 << 20

// ParseDirectory reads a directory file strictly: an unknown field, a
// duplicate cell, or a malformed key is an [bonded.Error] with code
// bad_config that names it.
func ParseDirectory(b []byte) (*Directory, error) {
	if len(b) > maxDirectorySize {
		return nil, bonded.Errorf(bonded.CodeConfig, "directory is over 1 MiB")
	}
	d := new(Directory)
	if err := strictJSON(b, d); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "directory is not the JSON this version reads")
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Directory) check() error {
	bad := func(field, why string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: "directory: " + why}
	}
	if d.Format != DirectoryFormat {
		return bad("format", "not "+DirectoryFormat)
	}
	if _, err := DecodePublicKey(d.Admin); err != nil {
		return bad("admin", "not an Ed25519 public key in base64")
	}
	seen := map[bonded.CellID]bool{}
	for i := range d.Cells {
		c := &d.Cells[i]
		at := func(f string) string { return fmt.Sprintf("cells[%d].%s", i, f) }
		if !c.ID.Valid() || seen[c.ID] {
			return bad(at("id"), "cell id malformed or named twice")
		}
		seen[c.ID] = true
		for _, j := range c.Jurisdictions {
			if !j.Valid() {
				return bad(at("jurisdictions"), "not an ISO 3166-1 alpha-2 code")
			}
		}
		for f, k := range map[string]string{"promise_key": c.PromiseKey, "keyholder_key": c.KeyholderKey} {
			if _, err := DecodePublicKey(k); err != nil {
				return bad(at(f), "not an Ed25519 public key in base64")
			}
		}
	}
	if !seen[d.Default] {
		return bad("default", "names no cell of the directory")
	}
	return nil
}

// Cell returns the cell with the given id.
func (d *Directory) Cell(id bonded.CellID) (*DirectoryCell, bool) {
	for i := range d.Cells {
		if d.Cells[i].ID == id {
			return &d.Cells[i], true
		}
	}
	return nil, false
}

// Encode returns d as indented JSON, the way it is written to cells.json.
func (d *Directory) Encode() []byte {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return append(b, '\n')
}

// DirectoryDigest returns SHA-256 of the bytes of a directory file. A
// directory leaf and every anchor commit to it.
func DirectoryDigest(file []byte) [32]byte { return sha256.Sum256(file) }

// SignDirectory returns the content of cells.json.sig: the administrator's
// Ed25519 signature over "bonded/directory-signature/1" and the digest.
func SignDirectory(admin ed25519.PrivateKey, file []byte) []byte {
	d := DirectoryDigest(file)
	sig := ed25519.Sign(admin, append([]byte("bonded/directory-signature/1"), d[:]...))
	return []byte(base64.StdEncoding.EncodeToString(sig) + "\n")
}

// CheckDirectorySignature reports whether sig, the content of cells.json.sig,
// is the signature of the administrator that the directory itself names.
// Compare that key with one you have from elsewhere to trust it.
func CheckDirectorySignature(d *Directory, file, sig []byte) bool {
	s, err := decodeBase64(string(bytes.TrimSuffix(sig, []byte("\n"))))
	key, kerr := DecodePublicKey(d.Admin)
	if err != nil || kerr != nil {
		return false
	}
	digest := DirectoryDigest(file)
	return ed25519.Verify(key, append([]byte("bonded/directory-signature/1"), digest[:]...), s)
}

// EncodePublicKey returns an Ed25519 public key in standard base64.
func EncodePublicKey(k ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(k) }

// DecodePublicKey reads what [EncodePublicKey] wrote.
func DecodePublicKey(s string) (ed25519.PublicKey, error) {
	b, err := decodeBase64(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, bonded.Errorf(bonded.CodeConfig, "not an Ed25519 public key in base64")
	}
	return b, nil
}
