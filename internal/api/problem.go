package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"bonded"
	"bonded/internal/apitype"
)

// Header values that every answer shares. They are never changed.
var (
	applicationJSON = []string{"application/json"}
	problemJSON     = []string{"application/problem+json"}
	textPlain       = []string{"text/plain; charset=utf-8"}
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
	bearerChallenge = []string{`Bearer realm="bonded"`}
	retryAfter      = []string{"1"}
)

// outward returns what may be shown of err: its coded error, or "internal"
// for one without a code.
func outward(err error) *bonded.Error {
	var e *bonded.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &bonded.Error{
			Code: bonded.CodeBusy, Message: "the call took too long and was given up; it may still have happened",
			Hint: "repeat a write with the same Idempotency-Key", Err: err,
		}
	}
	return &bonded.Error{Code: bonded.CodeInternal, Message: "internal error", Hint: "the operator finds more in the log under the request id", Err: err}
}

// fail answers with a problem and returns its code.
func (x *exchange) fail(err error) bonded.Code {
	e := outward(err)
	x.logRefusal(e)
	x.problem(e, apitype.InfoOf(e.Code).Status)
	return e.Code
}

// logRefusal writes a line about a call that failed: an own fault in full,
// what a caller did wrong without its cause.
func (x *exchange) logRefusal(e *bonded.Error) {
	level, ctx := slog.LevelInfo, x.r.Context()
	if apitype.InfoOf(e.Code).Status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	if e.Code == bonded.CodeInternal || e.Code == bonded.CodeAltered {
		level = slog.LevelError
	}
	if !x.a.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", x.call.RequestID.Hex()), slog.String("route", x.e.route.Name),
		slog.String("code", string(e.Code)), slog.String("message", e.Message),
	}
	if x.call.Grant != nil {
		attrs = append(attrs, slog.String("principal", x.call.Grant.ID))
	}
	if level > slog.LevelInfo && e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	x.a.log.LogAttrs(ctx, level, "call failed", attrs...)
}

// Problem returns how err is shown to outsiders, without a request id. The
// items of batch answers are made with it.
func Problem(err error) *apitype.Problem {
	e := outward(err)
	p := &apitype.Problem{Code: e.Code, Message: e.Message, Field: e.Field, Hint: e.Hint, Rules: e.Rules, Status: apitype.InfoOf(e.Code).Status}
	switch e.Code {
	case bonded.CodeInternal:
		p.Message = "internal error"
	case bonded.CodeWrongCell:
		// The hint ends with the cell it belongs to; programs need it apart.
		if cell := e.Hint[strings.LastIndexByte(e.Hint, ' ')+1:]; bonded.CellID(cell).Valid() {
			p.Cell = cell
		}
	}
	return p
}

// problem answers with application/problem+json (RFC 9457).
func (x *exchange) problem(e *bonded.Error, status int) {
	p := Problem(e)
	p.Type, p.Title, p.Status, p.RequestID = "about:blank", http.StatusText(status), status, x.call.RequestID.Hex()
	h := x.w.Header()
	switch status {
	case http.StatusUnauthorized:
		h["Www-Authenticate"] = bearerChallenge
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h["Retry-After"] = retryAfter
	}
	out := new(bytes.Buffer)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // strings and integers always encode
	x.write(status, problemJSON, out.Bytes())
}

// answer writes a result as JSON and returns the code of the call, "" if it is
// answered.
func (x *exchange) answer(result any) bonded.Code {
	out := buffer()
	defer free(out)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(result); err != nil {
		return x.fail(bonded.Wrap(bonded.CodeInternal, err, "the answer cannot be written"))
	}
	x.write(http.StatusOK, applicationJSON, out.Bytes())
	return ""
}

// write answers with a body and the headers every answer has.
func (x *exchange) write(status int, contentType []string, body []byte) {
	h := x.w.Header()
	h["Content-Type"] = contentType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h[apitype.HeaderRequestID] = []string{x.call.RequestID.Hex()}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if x.call.Promise != "" {
		h[apitype.HeaderReceipt] = []string{x.call.Promise}
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // the caller is gone if this fails; what happened is entered
}
