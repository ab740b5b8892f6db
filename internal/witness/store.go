//go:build unix

package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"bonded"
)

// An unsureError says that a write failed in a way after which nobody knows
// what the disk holds.
type unsureError struct{ err error }

func (e *unsureError) Error() string { return "write not known to be durable: " + e.err.Error() }
func (e *unsureError) Unwrap() error { return e.err }

// writeDurable replaces the file at path by data, mode 0600: after it returns
// nil, a crash leaves data there. On error the old content stands, unless the
// error is an [unsureError].
func writeDurable(path string, data []byte) error {
	// 1. A new file beside the old one, synced.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*") // mode 0600
	if err != nil {
		return err
	}
	tmp := f.Name()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
		if err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
			err = &unsureError{err}
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	// 2. In its place, and the folder synced.
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return &unsureError{err}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// statePath returns where the newest cosigned checkpoint of a log is kept. The
// origin is hashed because it may hold slashes.
func statePath(dir, origin string) string {
	h := sha256.Sum256([]byte(origin))
	return filepath.Join(dir, hex.EncodeToString(h[:16])+".checkpoint")
}

// readState returns the note kept for a log, nil if none was ever cosigned.
func readState(dir, origin string) ([]byte, error) {
	b, err := os.ReadFile(statePath(dir, origin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// lockDir makes sure that one process at a time uses the folder.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, bonded.Wrap(bonded.CodeBusy, fmt.Errorf("lock: %w", err), "another process uses this folder")
	}
	return f, nil
}
