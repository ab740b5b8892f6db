package api

import (
	"context"
	"reflect"

	"bonded"
	"bonded/internal/apitype"
)

// An endpoint is one line of [apitype.Routes] with what serves it.
type endpoint struct {
	route    apitype.Route
	public   bool         // asks for no principal
	inProof  bool         // the body is part of a proof
	request  reflect.Type // nil: no body
	result   reflect.Type // nil: not a JSON value of ours
	metrics  routeMetrics
	run      func(ctx context.Context, x *exchange) (any, error)
	verbatim func() (body []byte, contentType []string)
}

// endpoints returns the table of endpoints by name.
func (a *API) endpoints() map[string]*endpoint {
	s := a.service
	return map[string]*endpoint{
		"route":        post(s.Route),
		"put":          proofOfBody(post(s.Put)),
		"get":          post(s.Get),
		"mask":         post(s.Mask),
		"find":         proofOfBody(post(s.Find)),
		"list":         post(s.List),
		"count":        post(s.Count),
		"batchPut":     proofOfBody(post(s.BatchPut)),
		"batchGet":     post(s.BatchGet),
		"batchMask":    post(s.BatchMask),
		"history":      post(s.History),
		"export":       post(s.Export),
		"erase":        post(s.Erase),
		"eraseUndo":    post(s.EraseUndo),
		"recordDelete": post(s.RecordDelete),
		"tokenCreate":  post(s.TokenCreate),
		"tokenDelete":  post(s.TokenDelete),
		"basis":        post(s.Basis),
		"journal":      post(s.Journal),
		"receipt":      post(s.Receipt),
		"jobStart":     post(s.JobStart),
		"jobStatus": get(func(ctx context.Context, x *exchange) (*apitype.Job, error) {
			return s.JobStatus(ctx, &x.call, x.r.PathValue("id"))
		}),
		"status": get(func(ctx context.Context, x *exchange) (*apitype.StatusResult, error) {
			return s.Status(ctx, &x.call)
		}),
		"sessionChallenge": empty(s.SessionChallenge),
		"sessionOpen": post(func(ctx context.Context, c *Call, q *apitype.SessionRequest) (*apitype.SessionResult, error) {
			return s.SessionOpen(ctx, c, q.Open)
		}),
		"directory": {public: true, verbatim: func() ([]byte, []string) { return *a.directory.Load(), applicationJSON }},
		"openapi":   {public: true, verbatim: func() ([]byte, []string) { return openAPI, applicationJSON }},
	}
}

// post returns an endpoint with a JSON body.
func post[Q, R any](f func(context.Context, *Call, *Q) (*R, error)) *endpoint {
	sh := shapeOf(reflect.TypeFor[Q]())
	return &endpoint{
		request: reflect.TypeFor[Q](), result: reflect.TypeFor[R](),
		run: func(ctx context.Context, x *exchange) (any, error) {
			q := new(Q)
			if err := x.read(sh, q); err != nil {
				return nil, x.refuse(ctx, err)
			}
			return answer(f(ctx, &x.call, q))
		},
	}
}

// get returns an endpoint without a body.
func get[R any](f func(context.Context, *exchange) (*R, error)) *endpoint {
	return &endpoint{
		result: reflect.TypeFor[R](),
		run: func(ctx context.Context, x *exchange) (any, error) {
			if err := x.mergeWhy(nil); err != nil {
				return nil, x.refuse(ctx, err)
			}
			return answer(f(ctx, x))
		},
	}
}

// empty returns an endpoint whose body is empty or an empty object.
func empty[R any](f func(context.Context, *Call) (*R, error)) *endpoint {
	sh := shapeOf(reflect.TypeFor[struct{}]())
	return &endpoint{
		result: reflect.TypeFor[R](),
		run: func(ctx context.Context, x *exchange) (any, error) {
			if x.r.ContentLength != 0 {
				if err := x.read(sh, new(struct{})); err != nil {
					return nil, x.refuse(ctx, err)
				}
			}
			return answer(f(ctx, &x.call))
		},
	}
}

func answer[R any](r *R, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, bonded.Errorf(bonded.CodeInternal, "neither an answer nor an error")
	}
	return r, nil
}

func proofOfBody(e *endpoint) *endpoint {
	e.inProof = true
	return e
}
