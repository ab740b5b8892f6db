package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"bonded"
	"bonded/internal/apitype"
)

// Calls of one person a second, and at once: custodians hand in pages of
// partials, people click.
const (
	personPerSecond = 100
	personBurst     = 400
)

// maxDocuments is how many documents may be on their way in at once.
const maxDocuments = 16

// A caseEndpoint is one line of [apitype.CaseRoutes] with what serves it. Run
// returns a value to be written as JSON, or an [octets].
type caseEndpoint struct {
	route   apitype.CaseRoute
	request reflect.Type // nil: no JSON body
	result  reflect.Type // nil: no JSON answer
	metrics routeMetrics
	run     func(context.Context, *caseExchange) (any, error)
}

// octets is an answer that is no JSON.
type octets struct {
	body io.ReadCloser
	size int64
}

// A caseExchange is one call of a person on its way through the face.
type caseExchange struct {
	exchange
	ce   *caseEndpoint
	who  PersonCall
	data []byte // of the body

	large bool // has one of the places for documents
	from  int  // query parameter: where a page begins
}

// serveCase is the way of one call at the front door.
func (a *API) serveCase(w http.ResponseWriter, r *http.Request, e *caseEndpoint) {
	// 1. Name the call and see that there is room for it.
	start := time.Now()
	x := &caseExchange{exchange: exchange{a: a, w: w, r: r, e: &endpoint{route: apitype.Route{Name: e.route.Name}}, call: Call{RequestID: requestID(r)}}, ce: e}
	x.who.RequestID = x.call.RequestID
	defer func() {
		if x.large {
			<-a.documents
		}
	}()
	code := bonded.CodeInternal
	defer func() { e.metrics.observe(a.metrics, code, time.Since(start)) }()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		code = x.fail(&bonded.Error{Code: bonded.CodeBusy, Message: "too many calls are in flight", Hint: "try again in a moment"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.limits.CallTimeout)
	defer cancel()

	if e.route.Public {
		anyOrigin(w)
	}

	// 2. Who asks? The proof covers the body, so it is read first, and only
	// for people there are.
	if !e.route.Public {
		if err := x.person(ctx); err != nil {
			if code := bonded.CodeOf(err); code != bonded.CodeRateLimited && code != bonded.CodeBusy {
				a.cases.CountUnauthenticated()
			}
			code = x.fail(err)
			return
		}
	}

	// 3. Ask the front door, which decides and enters.
	result, err := e.run(ctx, x)
	if err != nil {
		if bonded.CodeOf(err) == bonded.CodeWithheld && !e.route.Public { // somebody known asks for what is not theirs
			a.cases.CountRefused("cases.withheld", x.who.Person)
		}
		code = x.fail(err)
		return
	}

	// 4. Answer.
	if o, ok := result.(*octets); ok {
		code = x.stream(o)
		return
	}
	code = x.answer(result)
}

// person checks the proof of a call and reads its body.
func (x *caseExchange) person(ctx context.Context) error {
	v := x.r.Header[apitype.HeaderPerson]
	if len(v) != 1 {
		return &bonded.Error{
			Code: bonded.CodeUnauthenticated, Field: apitype.HeaderPerson, Message: "the call names no person, or several",
			Hint: "sign the call as spec/api.md says; bonded case and bonded request do",
		}
	}
	p, err := apitype.ParsePersonProof(v[0])
	if err != nil {
		return err
	}
	key, err := x.a.cases.AuthenticatePerson(ctx, p.Person)
	if err != nil {
		return err
	}
	if !p.Fresh(time.Now()) { // before the body, which may be large
		return stalePerson()
	}
	limit := x.a.limits.MaxBody
	if x.ce.route.Takes != "" && x.ce.route.Takes != "application/json" {
		// The signature is over the body, so that anybody's is read first:
		// memory for few of them at once.
		select {
		case x.a.documents <- struct{}{}:
			x.large = true
		default:
			return &bonded.Error{Code: bonded.CodeBusy, Message: "too many documents are arriving", Hint: "try again in a moment"}
		}
		limit = apitype.MaxDocument
	}
	if x.r.ContentLength > limit {
		discard(x.r)
		return tooLarge(limit)
	}
	if x.data, err = io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, limit)); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLarge(limit)
		}
		return bonded.Wrap(bonded.CodeInvalid, err, "the body did not arrive whole")
	}
	if !p.Check(key, x.a.cell, x.r.Method, x.r.URL.RequestURI(), x.data, time.Now()) {
		return stalePerson()
	}
	// Nonces are kept on disk: whoever calls too often writes none.
	if !x.a.people.allow(p.Person) {
		return &bonded.Error{Code: bonded.CodeRateLimited, Message: "too many calls of this person", Hint: "wait as Retry-After says"}
	}
	if err := x.a.cases.TakeNonce(ctx, p.Person, p.Nonce, time.Unix(p.Time, 0)); err != nil {
		return err
	}
	x.who.Person = p.Person
	return nil
}

func stalePerson() error {
	return &bonded.Error{
		Code: bonded.CodeUnauthenticated, Field: apitype.HeaderPerson, Message: "the signature of the call does not hold, or is not of this time",
		Hint: "see that the clock is right and the key is the one in the register",
	}
}

// stream answers with octets, as they come.
func (x *caseExchange) stream(o *octets) bonded.Code {
	defer o.body.Close() //nolint:errcheck // only read from
	h := x.w.Header()
	h["Content-Type"] = []string{x.ce.route.Gives}
	h["Content-Disposition"] = []string{"attachment"} // never shown in the place of a page
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	h["Content-Length"] = []string{strconv.FormatInt(o.size, 10)}
	h[apitype.HeaderRequestID] = []string{x.call.RequestID.Hex()}
	x.w.WriteHeader(http.StatusOK)
	if _, err := io.CopyN(x.w, o.body, o.size); err != nil {
		x.a.log.LogAttrs(x.r.Context(), slog.LevelWarn, "an answer was cut off", slog.String("request", x.call.RequestID.Hex()), slog.String("route", x.ce.route.Name))
		return bonded.CodeInternal
	}
	return ""
}
