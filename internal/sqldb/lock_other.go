//go:build !unix

package sqldb

import (
	"os"

	"bonded"
)

// lockFile only makes the file: this system has no lock that ends with the
// process, so running two writers is the operator's to avoid.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's path
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeNotWritable, err, "the database's lock file cannot be opened for writing")
	}
	return f, nil
}
