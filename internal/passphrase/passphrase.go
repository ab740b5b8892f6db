// Package passphrase reads secrets that people keep: from a file that nobody
// but its owner may read, or from the terminal.
//
// It knows nothing of what they open, and takes none from the command line,
// where others see it. Start at [Get].
package passphrase

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/term"

	"bonded"
)

// MaxFile is the largest secret file read, in bytes.
const MaxFile = 64 << 10

// Get reads a passphrase from the file named, else from in, which must be a
// terminal then: there twice if it is a new one. The caller wipes the result.
// Errors have code bad_config.
func Get(file string, in io.Reader, out io.Writer, twice bool) ([]byte, error) {
	if file != "" {
		return ReadFile(file)
	}
	tty, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) { //nolint:gosec // a descriptor fits an int
		return nil, &bonded.Error{Code: bonded.CodeConfig, Message: "no passphrase", Hint: "give --passphrase-file or BONDED_PASSPHRASE_FILE, or run on a terminal"}
	}
	ask := func(text string) ([]byte, error) {
		_, _ = fmt.Fprint(out, text)
		b, err := term.ReadPassword(int(tty.Fd())) //nolint:gosec // a descriptor fits an int
		_, _ = fmt.Fprintln(out)
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

// ReadFile reads a passphrase from a file, without the ends of lines after it.
// The caller wipes the result. Errors are those of [OwnFile], and one for a
// file without a passphrase.
func ReadFile(path string) ([]byte, error) {
	b, err := OwnFile(path, "passphrase file")
	if err != nil {
		return nil, err
	}
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the passphrase file is empty"}
	}
	return b, nil
}

// OwnFile reads a file of at most [MaxFile] bytes that nobody but its owner may
// read. What it is said to be stands in errors, which have code bad_config and
// the path as field.
func OwnFile(path, what string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, what, err)
	}
	if fi.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the " + what + " can be read by others", Hint: "chmod 600 " + path}
	}
	if fi.Size() > MaxFile {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "too large for a " + what}
	}
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, unreadable(path, what, err)
	}
	return b, nil
}

// unreadable says why without the path, which the field names.
func unreadable(path, what string, err error) error {
	why := err
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		why = p.Err
	}
	return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the " + what + " cannot be read: " + why.Error(), Err: why}
}
