// Package web is what every page of Bonded is made of besides its words and
// numbers: one style sheet, the scripts, the marks, and a catalogue of words
// for each language. Console, custodian's page and portal share them.
//
// It holds files and does nothing with them. Start at [Static] and [Locales].
package web

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

//go:embed locales
var locales embed.FS

// Static returns the files that pages load.
func Static() fs.FS { return sub(static, "static") }

// Locales returns a folder TAG of catalogue files for each language.
func Locales() fs.FS { return sub(locales, "locales") }

func sub(f fs.FS, dir string) fs.FS {
	s, err := fs.Sub(f, dir)
	if err != nil {
		panic(err) // the folder is in the program
	}
	return s
}

// A File is a static file under the name it is served by, which holds part of
// its SHA-256, so that it may be kept for ever.
type File struct {
	Name      string // such as bonded.3f2a….css
	Integrity string // Subresource Integrity, SHA-384
	Type      string // media type
	Body      []byte
}

// Files are all static files by their plain name.
var Files = func() map[string]*File {
	out := map[string]*File{}
	err := fs.WalkDir(Static(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(Static(), name)
		if err != nil {
			return err
		}
		out[name] = NewFile(name, b)
		return nil
	})
	if err != nil {
		panic(err) // the files are in the program
	}
	return out
}()

// NewFile names a file by its plain name and what is in it.
func NewFile(name string, b []byte) *File {
	sum, integrity := sha256.Sum256(b), sha512.Sum384(b)
	ext := path.Ext(name)
	return &File{
		Name:      strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext,
		Integrity: "sha384-" + base64.StdEncoding.EncodeToString(integrity[:]),
		Type:      types[ext],
		Body:      b,
	}
}

// types are the media types of static files. The system's table is not asked:
// it differs from machine to machine.
var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".wasm": "application/wasm",
	".gz":   "application/gzip",
	".html": "text/html; charset=utf-8",
	".json": "application/json",
}

// ServeHTTP implements [http.Handler]: the name changes with the content, so
// that browsers may keep it.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.Body))
}
