//go:build unix

package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bonded"
	"bonded/internal/remote"
	"bonded/verify"
)

// directoryFile is cells.json of a party, read again when it changes. It is
// safe for concurrent use.
type directoryFile struct {
	path string

	mu   sync.Mutex
	stat os.FileInfo
	raw  []byte
	dir  *verify.Directory
}

// openDirectory reads and checks the directory with its signature.
func openDirectory(path string) (*directoryFile, error) {
	f := &directoryFile{path: path}
	_, _, err := f.get()
	return f, err
}

// get returns the directory in force. A new file that does not check leaves
// the old one in force and is reported.
func (f *directoryFile) get() (*verify.Directory, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fi, err := os.Stat(f.path)
	if err == nil && f.stat != nil && fi.ModTime().Equal(f.stat.ModTime()) && fi.Size() == f.stat.Size() {
		return f.dir, f.raw, nil
	}
	raw, rerr := os.ReadFile(f.path)
	sig, serr := os.ReadFile(f.path + ".sig")
	if err := errors.Join(err, rerr, serr); err != nil {
		return f.dir, f.raw, &bonded.Error{
			Code: bonded.CodeConfig, Field: f.path, Message: "the directory and its signature cannot be read", Err: err,
			Hint: "cells.json and cells.json.sig stand side by side and belong together",
		}
	}
	d, err := verify.ParseDirectory(raw)
	if err != nil {
		return f.dir, f.raw, err
	}
	if !verify.CheckDirectorySignature(d, raw, sig) || f.dir != nil && d.Admin != f.dir.Admin {
		return f.dir, f.raw, &bonded.Error{
			Code: bonded.CodeConfig, Field: f.path, Message: "the directory is not signed by the administrator",
			Hint: "copy cells.json and cells.json.sig together",
		}
	}
	if f.dir != nil && d.Version < f.dir.Version {
		return f.dir, f.raw, olderDirectory(f.path, d.Version, f.dir.Version)
	}
	f.stat, f.raw, f.dir = fi, raw, d
	return d, raw, nil
}

// olderDirectory refuses a directory with a lower version than one seen before:
// it may name keys and authorities that were replaced for a reason.
func olderDirectory(path string, version, seen uint64) error {
	return &bonded.Error{
		Code: bonded.CodeRestored, Field: path, Message: fmt.Sprintf("directory version %d is older than %d, which was in force here", version, seen),
		Hint: "put the newest cells.json and cells.json.sig back",
	}
}

// authority returns a pin's view of one PEM of the directory.
func (f *directoryFile) authority(pem func(*verify.Directory) string) func() []byte {
	return func() []byte {
		d, _, _ := f.get() // after an error the one before stays in force
		if d == nil {
			return nil
		}
		return []byte(pem(d))
	}
}

// identity opens a party's certificate and keeps it issued if its authority's
// key is at hand.
func identity(ctx context.Context, dir string, leaf remote.Leaf, log *slog.Logger) (*remote.Identity, error) {
	tlsDir := filepath.Join(dir, "tls")
	if ca, err := remote.OpenAuthority(tlsDir); err == nil {
		if err := ca.IssueFiles(tlsDir, leaf, time.Now()); err != nil {
			return nil, err
		}
		go remote.KeepIssued(ctx, ca, tlsDir, leaf, log) //nolint:errcheck // it returns when ctx ends
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return remote.OpenIdentity(tlsDir)
}

// secret reads a key file of exactly size bytes (any size if 0) that only its
// owner may read.
func secret(dir, name string, size int) ([]byte, error) {
	path := filepath.Join(dir, "keys", name)
	bad := func(why string, err error) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: why, Err: err}
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, bad("the key file cannot be read", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, bad("the key file can be read by others: chmod 600", nil)
	}
	b, err := os.ReadFile(path) //nolint:gosec // inside the party's folder
	if err != nil {
		return nil, bad("the key file cannot be read", err)
	}
	if size != 0 && len(b) != size {
		return nil, bad("the key file has the wrong length", nil)
	}
	if size == 0 { // a text; in a key of bytes a space is no space
		b = bytes.TrimSpace(b)
	}
	return b, nil
}

// serveHTTP runs an HTTP server until ctx ends, then lets calls in work
// finish for five seconds.
func serveHTTP(ctx context.Context, addr string, conf *tls.Config, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Addr: addr, Handler: h, TLSConfig: conf,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() {
		if conf != nil {
			ended <- srv.ListenAndServeTLS("", "")
			return
		}
		ended <- srv.ListenAndServe()
	}()
	select {
	case err := <-ended:
		return bonded.Wrap(bonded.CodeConfig, err, "cannot listen at "+addr)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // what is left is cut off
	}
	return nil
}
