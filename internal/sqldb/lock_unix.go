//go:build unix

package sqldb

import (
	"os"
	"syscall"

	"bonded"
)

// lockFile takes an exclusive lock that ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's path
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeNotWritable, err, "the database's lock file cannot be opened for writing")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the lock is what counts
		return nil, &bonded.Error{Code: bonded.CodeConfig, Message: "another process has this database open", Err: err, Hint: "stop it first, or give this one its own folder"}
	}
	return f, nil
}
