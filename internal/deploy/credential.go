package deploy

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bonded"
)

// A Credential is a principal's secret keys, a file of mode 0600: what an
// application is given to call the cells.
type Credential struct {
	Principal string                            `json:"principal"`
	Purposes  []bonded.Purpose                  `json:"purposes"` // those granted, for command lines that name none
	Cells     map[bonded.CellID]*CellCredential `json:"cells"`
}

// A CellCredential is a principal's keys for one cell.
type CellCredential struct {
	Bearer   string `json:"bearer,omitempty"`    // for Authorization: Bearer
	GrantKey []byte `json:"grant_key,omitempty"` // Ed25519 seed for sessions with the keyholder
}

// bearerPrefix marks bearer keys, so that secret scanners find leaked ones.
const bearerPrefix = "bonded_key_"

// NewBearer returns a fresh bearer key: 256 random bits in base64url.
func NewBearer() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return bearerPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// Key returns the session key, or nil if there is none.
func (c *CellCredential) Key() ed25519.PrivateKey {
	if len(c.GrantKey) != ed25519.SeedSize {
		return nil
	}
	return ed25519.NewKeyFromSeed(c.GrantKey)
}

// LoadCredential reads a credential file. It refuses one that others may read.
func LoadCredential(path string) (*Credential, error) {
	b, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &bonded.Error{
			Code: bonded.CodeConfig, Field: path, Message: "no such key file",
			Hint: "bonded dev writes keys under DIR/keys; bonded key create makes more", Err: err,
		}
	}
	if err != nil {
		return nil, err
	}
	c := new(Credential)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "not a key file"} // no cause: it could quote the file
	}
	return c, nil
}

// Save writes c to path, atomically and for its owner only.
func (c *Credential) Save(path string) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'))
}

func readSecret(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return nil, &bonded.Error{
			Code: bonded.CodeConfig, Field: path, Message: "this secret file can be read by others",
			Hint: "chmod 600 " + path,
		}
	}
	return os.ReadFile(path) //nolint:gosec // the operator names the file
}

// writeFile writes atomically and durably: a temporary file beside path,
// synced, then renamed. It is for its owner only.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing to remove
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
