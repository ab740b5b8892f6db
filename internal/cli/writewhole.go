package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"bonded"
)

// writeWhole writes a file for its owner only: whole, or not at all.
func writeWhole(path string, write func(w io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return unwritable(path, err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // after the rename there is nothing to remove
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return unwritable(path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the file cannot be written", Err: err, Hint: "see that the folder is there, is yours and has room"}
}

// at adds the name of a file to an error that has none.
func at(path string, err error) error {
	var e *bonded.Error
	if errors.As(err, &e) && e.Field == "" {
		e.Field = path
	}
	return err
}
