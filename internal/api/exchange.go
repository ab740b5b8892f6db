package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/wire"
	"bonded/verify"
)

// An exchange is one call on its way through the face.
type exchange struct {
	a    *API
	w    http.ResponseWriter
	r    *http.Request
	e    *endpoint
	call Call
	head apitype.Why // as the headers have it
	body *bytes.Buffer
	salt *[16]byte // nonce of the proof's body digest
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func buffer() *bytes.Buffer {
	b := buffers.Get().(*bytes.Buffer) //nolint:errcheck // only buffers are in the pool
	b.Reset()
	return b
}

// free wipes b, which may hold values, and gives small ones back.
func free(b *bytes.Buffer) {
	clear(b.Bytes())
	if b.Cap() <= 64<<10 {
		buffers.Put(b)
	}
}

// serve is the way of one call.
func (a *API) serve(w http.ResponseWriter, r *http.Request, e *endpoint) {
	// 1. Name the call and see that there is room for it.
	start := time.Now()
	x := &exchange{a: a, w: w, r: r, e: e, call: Call{RequestID: requestID(r)}}
	code := bonded.CodeInternal
	defer func() { e.metrics.observe(a.metrics, code, time.Since(start)) }()
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint,err113 // the sentinel itself is thrown
				panic(p)
			}
			a.log.LogAttrs(r.Context(), slog.LevelError, "call panicked", slog.String("request", x.call.RequestID.Hex()),
				slog.String("route", e.route.Name), slog.String("stack", string(debug.Stack())))
			x.problem(outward(nil), http.StatusInternalServerError)
		}
	}()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		code = x.fail(&bonded.Error{Code: bonded.CodeBusy, Message: "too many calls are in flight", Hint: "try again in a moment"})
		return
	}
	if e.verbatim != nil {
		anyOrigin(w)
		body, contentType := e.verbatim()
		code = ""
		x.write(http.StatusOK, contentType, body)
		return
	}

	// 2. Who asks, and may they ask now?
	ctx, cancel := context.WithTimeout(r.Context(), a.limits.CallTimeout)
	defer cancel()
	if err := x.authenticate(); err != nil {
		a.service.CountUnauthenticated()
		code = x.fail(err)
		return
	}
	if err := x.headers(); err != nil {
		code = x.fail(x.refuse(ctx, err))
		return
	}
	if err := x.rate(); err != nil {
		code = x.fail(x.refuse(ctx, err))
		return
	}

	// 3. Read the body and ask the vault, which decides and enters.
	result, err := e.run(ctx, x)
	if x.body != nil {
		defer free(x.body)
	}
	if err != nil {
		code = x.fail(err)
		return
	}

	// 4. Answer.
	code = x.answer(result)
}

// requestID returns the id of a call: the caller's, if it has the form of
// one, else a fresh one.
func requestID(r *http.Request) bonded.ID {
	if v := r.Header[apitype.HeaderRequestID]; len(v) == 1 {
		if id, err := bonded.ParseHexID(v[0]); err == nil && !id.IsZero() {
			return id
		}
	}
	return bonded.NewID()
}

// headers reads what a call says in headers: why, proof, idempotency.
func (x *exchange) headers() error {
	one := func(name string) (string, error) {
		v := x.r.Header[name]
		if len(v) > 1 {
			return "", &bonded.Error{Code: bonded.CodeInvalid, Field: name, Message: "the header stands more than once", Hint: "give it once"}
		}
		if len(v) == 0 {
			return "", nil
		}
		return v[0], nil
	}
	purpose, err := one(apitype.HeaderPurpose)
	if err != nil {
		return err
	}
	if x.head.Reason, err = one(apitype.HeaderReason); err != nil {
		return err
	}
	if x.head.Basis, err = one(apitype.HeaderBasis); err != nil {
		return err
	}
	x.head.Purpose = bonded.Purpose(purpose)

	if x.e.route.Write {
		key, err := one(apitype.HeaderIdempotency)
		if err != nil {
			return err
		}
		if !validKey(key) {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: apitype.HeaderIdempotency, Message: "the idempotency key is malformed", Hint: "1 to 128 visible ASCII characters"}
		}
		x.call.Idempotency = key
	}

	proof, err := one(apitype.HeaderProof)
	if err != nil || proof == "" {
		return err
	}
	x.call.Proof, x.salt, err = apitype.ParseProof(proof)
	if err != nil {
		return err
	}
	if (x.salt != nil) != x.e.inProof {
		return &bonded.Error{Code: bonded.CodeProof, Field: apitype.HeaderProof, Message: "the nonce of the proof is missing, or there where none belongs", Hint: "put and find prove their body with a nonce; other calls have none"}
	}
	x.call.Assurance = verify.AssuranceProven
	return nil
}

// validKey reports whether key is empty or 1 to 128 visible ASCII characters.
func validKey(key string) bool {
	if len(key) > 128 {
		return false
	}
	for i := range len(key) {
		if key[i] < 0x21 || key[i] > 0x7e {
			return false
		}
	}
	return true
}

// read reads the body into the request that into points to.
func (x *exchange) read(sh *shape, into any) error {
	if !isJSON(x.r.Header.Get("Content-Type")) {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "Content-Type", Message: "the body is not said to be JSON", Hint: "send Content-Type: application/json"}
	}
	if x.r.ContentLength > x.a.limits.MaxBody {
		discard(x.r)
		return tooLarge(x.a.limits.MaxBody)
	}
	x.body = buffer()
	if _, err := x.body.ReadFrom(http.MaxBytesReader(x.w, x.r.Body, x.a.limits.MaxBody)); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLarge(x.a.limits.MaxBody)
		}
		return bonded.Wrap(bonded.CodeInvalid, err, "the body did not arrive whole")
	}
	body := x.body.Bytes()
	if err := decode(body, sh, into); err != nil {
		return err
	}
	var why *apitype.Why
	if q, ok := into.(interface{ Asked() *apitype.Why }); ok {
		why = q.Asked()
	}
	if err := x.mergeWhy(why); err != nil {
		return err
	}
	if x.salt != nil {
		x.call.Body = wire.BodyDigest(*x.salt, body)
	}
	if x.e.route.Write {
		h := sha256.New()
		h.Write(canon.LP([]byte("bonded/body/1"), []byte(x.e.route.Name), []byte(x.head.Purpose), []byte(x.head.Reason), []byte(x.head.Basis)))
		h.Write(body)
		h.Sum(x.call.BodyHash[:0])
	}
	return nil
}

func tooLarge(limit int64) error {
	return &bonded.Error{Code: bonded.CodeTooLarge, Message: "the body is over " + strconv.FormatInt(limit>>10, 10) + " KiB", Hint: "send less at a time, for example in several batch calls"}
}

// isJSON reports whether a media type is application/json, whatever its
// parameters: RFC 8259 defines none, and the text is UTF-8 or refused.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return media == "application/json" || strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// refuse has a refusal of the face entered.
func (x *exchange) refuse(ctx context.Context, err error) error {
	if x.call.Grant == nil {
		return err
	}
	return x.a.service.Refuse(ctx, &x.call, x.e.route.Operation, err)
}

// discard takes what a caller still sends, up to a limit, before it is told
// that it was too much: who is cut off while writing often misses the answer.
func discard(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, 4<<20) }
