package keyholder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"bonded"
	"bonded/internal/seal"
)

// A Driver holds the driver key, under which the secrets of the keyholder are
// sealed at rest. It starts locked; how it is unlocked is its own affair
// (passphrase, shares, PIN). Package drivertest is its behaviour suite.
type Driver interface {
	// Unlocked reports whether Seal and Open can be used.
	Unlocked() bool

	// Seal seals at most 64 KiB for rest. label says what it is and is
	// authenticated, not stored. It returns [bonded.CodeSealed] while locked.
	Seal(ctx context.Context, label string, secret []byte) ([]byte, error)

	// Open opens what Seal sealed with the same label. It returns
	// [bonded.CodeSealed] while locked and [bonded.CodeAltered] for anything
	// else. The caller wipes the result.
	Open(ctx context.Context, label string, sealed []byte) ([]byte, error)

	// Lock forgets the driver key.
	Lock()
}

const driverLabel = "bonded/keyholder/driver-key/1"

var errLocked = &bonded.Error{Code: bonded.CodeSealed, Message: "the keyholder is sealed", Hint: "its operator unseals it: bonded-keyholder unseal DIR"}

// A FileDriver keeps the driver key in a file sealed by a passphrase, or in no
// file at all but in Shamir shares, whose first half of the file then only
// says so. Writing is the caller's: [NewFileDriver] and [NewSharedDriver]
// return the content.
type FileDriver struct {
	path string

	mu  sync.RWMutex
	key seal.Key
}

// sharedMark is the content of the driver file when the key is in shares.
const sharedMark = "bonded-driver-shares-1\n"

// NewFileDriver returns the content of a driver file: a fresh key sealed by a
// passphrase.
func NewFileDriver(passphrase []byte) ([]byte, error) {
	k := seal.NewKey()
	defer k.Wipe()
	b := k.Bytes()
	defer clear(b)
	file, err := seal.SealWithPassphrase(passphrase, driverLabel, b)
	if err != nil {
		return nil, fmt.Errorf("make driver file: %w", err)
	}
	return file, nil
}

// NewSharedDriver returns the content of a driver file whose key is in n
// shares, m of which unlock it, and the texts of the shares: show each to one
// person and keep none.
func NewSharedDriver(n, m int) (file []byte, shares []string, key seal.Key, err error) {
	k, parts, err := seal.SplitUnsealKey(n, m)
	if err != nil {
		return nil, nil, seal.Key{}, fmt.Errorf("make driver shares: %w", err)
	}
	for _, s := range parts {
		shares = append(shares, s.Text())
		s.Wipe()
	}
	return []byte(sharedMark), shares, k, nil
}

// OpenFileDriver returns the driver of the file at path, locked.
func OpenFileDriver(path string) *FileDriver { return &FileDriver{path: path} }

// UnlockedDriver returns a driver with a key at hand, for the one moment after
// [NewSharedDriver] in which the first secrets are sealed.
func UnlockedDriver(key seal.Key) *FileDriver { return &FileDriver{key: key} }

// UnlockPassphrase unlocks d. Its error has code unauthenticated for a wrong
// passphrase or an altered file, and bad_config if the file is missing, open
// to others, or one of shares.
func (d *FileDriver) UnlockPassphrase(passphrase []byte) error {
	file, err := d.read()
	if err != nil {
		return err
	}
	if string(file) == sharedMark {
		return bonded.Errorf(bonded.CodeConfig, "this keyholder is unsealed by shares, not by a passphrase")
	}
	b, err := seal.OpenWithPassphrase(passphrase, driverLabel, file)
	if err != nil {
		return bonded.Wrap(bonded.CodeUnauthenticated, err, "wrong passphrase, or the driver file is altered")
	}
	defer clear(b)
	k, err := seal.KeyFromBytes(b)
	if err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "driver file holds no key")
	}
	d.set(k)
	return nil
}

// UnlockShares unlocks d by the texts of enough shares. Its error has code
// unauthenticated and says what is wrong with the shares, and bad_config as
// with [FileDriver.UnlockPassphrase].
func (d *FileDriver) UnlockShares(texts []string) error {
	file, err := d.read()
	if err != nil {
		return err
	}
	if string(file) != sharedMark {
		return bonded.Errorf(bonded.CodeConfig, "this keyholder is unsealed by a passphrase, not by shares")
	}
	shares := make([]seal.UnsealShare, len(texts))
	defer func() {
		for _, s := range shares {
			s.Wipe()
		}
	}()
	for i, t := range texts {
		if shares[i], err = seal.ParseUnsealShare(t); err != nil {
			return bonded.Wrap(bonded.CodeUnauthenticated, err, fmt.Sprintf("share %d given is not an unseal share: it is mistyped or incomplete", i+1))
		}
	}
	k, err := seal.RecoverUnsealKey(shares)
	if err != nil {
		return bonded.Wrap(bonded.CodeUnauthenticated, err, "the shares do not unseal: "+err.Error())
	}
	d.set(k)
	return nil
}

func (d *FileDriver) read() ([]byte, error) {
	info, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "driver file is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("read driver file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: d.path, Message: "driver file can be read by others", Hint: "chmod 600 " + d.path}
	}
	b, err := os.ReadFile(d.path)
	if err != nil {
		return nil, fmt.Errorf("read driver file: %w", err)
	}
	return b, nil
}

func (d *FileDriver) set(k seal.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.key = k
}

// Unlocked implements [Driver].
func (d *FileDriver) Unlocked() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.key.Valid()
}

// Seal implements [Driver].
func (d *FileDriver) Seal(_ context.Context, label string, secret []byte) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.key.Valid() {
		return nil, errLocked
	}
	return seal.SealSecret(d.key, label, secret)
}

// Open implements [Driver].
func (d *FileDriver) Open(_ context.Context, label string, sealed []byte) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.key.Valid() {
		return nil, errLocked
	}
	b, err := seal.OpenSecret(d.key, label, sealed)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeAltered, err, "sealed secret "+label+" does not open under this driver key")
	}
	return b, nil
}

// Lock implements [Driver].
func (d *FileDriver) Lock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.key.Wipe()
	d.key = seal.Key{}
}
