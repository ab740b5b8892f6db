package officers

import (
	"errors"
	"io/fs"

	"bonded"
	"bonded/web"
)

// A Program is what the pages compute with, and what runs it.
type Program struct{ wasm, exec *web.File }

// Names of the files of a [Program], as make wasm writes them.
const (
	WasmFile = "officer.wasm.gz" // cmd/bonded-officer-wasm, compressed
	ExecFile = "officer-exec.js" // wasm_exec.js of the compiler that built it
)

// Largest files read, in bytes.
const maxProgram = 16 << 20

// ReadProgram reads a program from a folder; nil if there is none. Errors have
// code bad_config.
func ReadProgram(dir fs.FS) (*Program, error) {
	wasm, err := read(dir, WasmFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // the pages do without
	}
	if err != nil {
		return nil, err
	}
	exec, err := read(dir, ExecFile)
	if err != nil {
		return nil, err
	}
	return &Program{wasm: wasm, exec: exec}, nil
}

func read(dir fs.FS, name string) (*web.File, error) {
	fi, err := fs.Stat(dir, name)
	if err == nil && (!fi.Mode().IsRegular() || fi.Size() > maxProgram) {
		err = errors.New("not a file, or too large")
	}
	var b []byte
	if err == nil {
		b, err = fs.ReadFile(dir, name)
	}
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: name, Message: "the program of the officers' pages cannot be read", Err: err, Hint: "make wasm builds both files into bin/"}
	}
	return web.NewFile(name, b), nil
}
