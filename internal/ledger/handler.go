//go:build unix

package ledger

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"bonded/verify"
)

// Handler serves the log read-only in the C2SP tlog-tiles layout: the cosigned
// checkpoint, hash tiles and entry bundles, and nothing else of the folder.
// Mount it below a prefix with [http.StripPrefix]. Pages of any origin may read it.
func (l *Ledger) Handler() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			rw.Header().Set("Allow", "GET, HEAD")
			http.Error(rw, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		path := strings.TrimPrefix(r.URL.Path, "/")
		res, ok := verify.ParseLogPath(path)
		cp, err := l.Latest()
		switch {
		case !ok:
			http.NotFound(rw, r)
		case err != nil:
			http.Error(rw, "no cosigned checkpoint yet", http.StatusServiceUnavailable)
		case res.Checkpoint:
			serveCheckpoint(rw, cp)
		case res.Within(cp.Size):
			l.serveTile(rw, path)
		default: // not published: after a failed write it may still become another
			http.NotFound(rw, r)
		}
	})
}

// serveCheckpoint serves the newest checkpoint that we have verified ourselves.
func serveCheckpoint(rw http.ResponseWriter, cp *verify.Checkpoint) {
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-cache")
	_, _ = rw.Write(cp.Raw)
}

// serveTile serves a settled tile or bundle. Partial ones that were collected as
// garbage are not there: readers ask for the full one.
func (l *Ledger) serveTile(rw http.ResponseWriter, path string) {
	f, err := l.files.root.Open(path)
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, fs.ErrNotExist) {
			status = http.StatusNotFound
		}
		http.Error(rw, http.StatusText(status), status)
		return
	}
	defer func() { _ = f.Close() }()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		http.Error(rw, http.StatusText(http.StatusNotFound), http.StatusNotFound)
		return
	}
	rw.Header().Set("Content-Type", "application/octet-stream")
	rw.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = io.Copy(rw, f)
}
