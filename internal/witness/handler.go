//go:build unix

package witness

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"bonded"
)

// Handler returns the witness's HTTP interface:
//
//	POST /add-checkpoint      the C2SP tlog-witness call
//	GET  /latest?origin=LOG   the newest note cosigned of a log (our own addition)
//
// Transport security and who may connect are the caller's. Mount it below a
// path with [http.StripPrefix].
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.serveAdd)
	mux.HandleFunc("GET /latest", w.serveLatest)
	return mux
}

func (w *Witness) serveAdd(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, int64(maxRequestBytes)))
	if err != nil {
		http.Error(rw, "request is too large or was cut", http.StatusBadRequest)
		return
	}
	line, size, err := w.add(r.Context(), body)
	var why refusal
	switch {
	case err == nil:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(rw, line)
	case errors.As(err, &why):
		refuse(rw, why, size)
	default:
		w.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "cannot cosign", slog.Any("error", err))
		text := "cannot cosign now"
		if e, ok := errors.AsType[*bonded.Error](err); ok {
			text = e.Message
		}
		http.Error(rw, text, http.StatusServiceUnavailable)
	}
}

// refuse answers with the status of c2sp.org/tlog-witness, "add-checkpoint".
func refuse(rw http.ResponseWriter, why refusal, size int64) {
	status := map[refusal]int{
		refusedMalformed:    http.StatusBadRequest,
		refusedUnknownLog:   http.StatusNotFound,
		refusedSignature:    http.StatusForbidden,
		refusedStale:        http.StatusConflict,
		refusedFork:         http.StatusConflict, // without a size: trying again does not help
		refusedInconsistent: http.StatusUnprocessableEntity,
	}[why]
	if why == refusedStale {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, strconv.FormatInt(size, 10)+"\n")
		return
	}
	http.Error(rw, why.Error(), status)
}

func (w *Witness) serveLatest(rw http.ResponseWriter, r *http.Request) {
	raw, ok := w.latest(r.URL.Query().Get("origin"))
	rw.Header().Set("Cache-Control", "no-store")
	switch {
	case !ok:
		http.Error(rw, refusedUnknownLog.Error(), http.StatusNotFound)
	case raw == nil:
		rw.WriteHeader(http.StatusNoContent)
	default:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = rw.Write(raw)
	}
}
