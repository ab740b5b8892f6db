package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"bonded"
	"bonded/verify"
)

// Limits of what is read.
const (
	maxFile     = 64 << 20 // bytes of a file read whole
	maxResource = 32 << 20 // bytes of a ledger file: an entry bundle is at most 16 MiB and a bit
)

// directoryFlags name the keys to trust.
type directoryFlags struct {
	Directory string `required:"" placeholder:"cells.json" help:"Directory file: whose keys to trust."`
}

func (f *directoryFlags) read() (*verify.Directory, error) {
	b, err := readFile(f.Directory)
	if err != nil {
		return nil, err
	}
	d, err := verify.ParseDirectory(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Directory, err)
	}
	return d, nil
}

// cellFlags name a cell of the directory.
type cellFlags struct {
	directoryFlags `embed:""`

	Cell string `placeholder:"ID" help:"Cell of the directory; may be left out if there is only one."`
}

func (f *cellFlags) cell() (*verify.DirectoryCell, error) {
	d, err := f.read()
	if err != nil {
		return nil, err
	}
	var ids []string
	for i := range d.Cells {
		ids = append(ids, string(d.Cells[i].ID))
	}
	if f.Cell == "" && len(ids) == 1 {
		return &d.Cells[0], nil
	}
	if f.Cell == "" {
		return nil, &usageError{errors.New("the directory has several cells and --cell names none"), "add --cell with one of " + strings.Join(ids, ", ")}
	}
	c, ok := d.Cell(bonded.CellID(f.Cell))
	if !ok {
		return nil, &usageError{fmt.Errorf("the directory has no cell %q", f.Cell), "it has " + strings.Join(ids, ", ")}
	}
	return c, nil
}

// cellOr is cell for what names its own: that, unless --cell names another, as
// which it then is checked.
func (f *cellFlags) cellOr(id bonded.CellID) (*verify.DirectoryCell, error) {
	if f.Cell == "" && id.Valid() {
		g := *f
		g.Cell = string(id)
		return g.cell()
	}
	return f.cell()
}

// readFile reads a whole file of at most maxFile bytes.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, &usageError{err, "name a file that is there"}
	}
	defer f.Close() //nolint:errcheck // read only
	return readLimited(f, name, maxFile)
}

// readInput is readFile that reads standard input for "-".
func readInput(name string, e *env) ([]byte, error) {
	if name == "-" {
		return readLimited(e.stdin, "standard input", maxFile)
	}
	return readFile(name)
}

func readLimited(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: over %d bytes", name, limit)
	}
	return b, nil
}

// openInput opens an export, "-" for standard input.
func openInput(name string, e *env) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(e.stdin), nil
	}
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, &usageError{err, "name the file that was exported"}
	}
	return f, nil
}

// ledgerSource returns how to fetch files of a ledger: from a directory, or by
// HTTP from a base URL. caFile names extra roots for HTTPS and may be empty.
// Close it with the function returned.
func ledgerSource(where, caFile string) (fetch func(string) ([]byte, error), closer func(), err error) {
	if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		root, err := os.OpenRoot(where)
		if err != nil {
			return nil, nil, &usageError{err, "name the folder with the file checkpoint in it, or an http or https URL"}
		}
		return func(path string) ([]byte, error) { return readRooted(root, path) }, func() { _ = root.Close() }, nil
	}
	return overHTTP(strings.TrimSuffix(where, "/"), caFile)
}

func readRooted(root *os.Root, path string) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	return readLimited(f, path, maxResource)
}
