package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"bonded"
)

// maxSecretFile is the largest key or passphrase file read, in bytes.
const maxSecretFile = 64 << 10

// readOwnFile reads a file that nobody but its owner may read.
func readOwnFile(path, what string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, "the "+what, err)
	}
	if fi.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the " + what + " can be read by others", Hint: "chmod 600 " + path}
	}
	if fi.Size() > maxSecretFile {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "too large for a " + what}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, "the "+what, err)
	}
	return b, nil
}

// passphrase reads a passphrase from the file named, else from a terminal,
// there twice if it is a new one.
func passphrase(s *streams, file string, twice bool) ([]byte, error) {
	if file != "" {
		b, err := readOwnFile(file, "passphrase file")
		if err != nil {
			return nil, err
		}
		for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
			b = b[:len(b)-1]
		}
		if len(b) == 0 {
			return nil, &bonded.Error{Code: bonded.CodeConfig, Field: file, Message: "the passphrase file is empty"}
		}
		return b, nil
	}
	in, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) { //nolint:gosec // a descriptor fits an int
		return nil, &bonded.Error{Code: bonded.CodeConfig, Message: "no passphrase", Hint: "give --passphrase-file or BONDED_PASSPHRASE_FILE, or run on a terminal"}
	}
	ask := func(text string) ([]byte, error) {
		fmt.Fprint(s.err, text)
		b, err := term.ReadPassword(int(in.Fd())) //nolint:gosec // a descriptor fits an int
		fmt.Fprintln(s.err)
		if err == nil && len(b) == 0 {
			err = bonded.Errorf(bonded.CodeConfig, "the passphrase is empty")
		}
		return b, err
	}
	first, err := ask("Passphrase: ")
	if err != nil || !twice {
		return first, err
	}
	second, err := ask("Again: ")
	defer clear(second)
	if err == nil && string(first) != string(second) {
		err = bonded.Errorf(bonded.CodeConfig, "the two passphrases differ")
	}
	return first, err
}

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
