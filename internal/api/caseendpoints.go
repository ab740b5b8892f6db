package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"reflect"
	"strconv"

	"bonded"
	"bonded/internal/apitype"
)

// caseEndpoints returns the table of endpoints of the front door by name.
func (a *API) caseEndpoints() map[string]*caseEndpoint {
	c := a.cases
	return map[string]*caseEndpoint{
		"caseFile": casePost(c.FileCase),
		"caseList": caseGet(func(ctx context.Context, x *caseExchange) (*apitype.CaseList, error) {
			q := x.r.URL.Query()
			return c.ListCases(ctx, &x.who, q.Get("state"), q.Get("after"))
		}),
		"caseShow":        caseOf(c.Case),
		"caseDocumentPut": {result: reflect.TypeFor[apitype.CaseResult](), run: a.putDocument},
		"caseDocument":    {run: a.document},
		"caseDecide":      caseAct(c.Decide),
		"caseDossier":     caseOf(c.Dossier),
		"caseScope": caseGet(func(ctx context.Context, x *caseExchange) (*apitype.ScopePage, error) {
			id, err := x.caseID()
			if err != nil {
				return nil, err
			}
			return c.ScopePage(ctx, &x.who, id, x.from)
		}),
		"caseApprove":  caseAct(c.Approve),
		"caseOpening":  caseOf(c.OpeningProof),
		"casePartials": caseAct(c.PutPartials),
		"casePackage":  {run: a.casePackage},
		"register": caseGet(func(ctx context.Context, x *caseExchange) (*apitype.RegistryList, error) {
			return c.Register(ctx, &x.who)
		}),
		"registerAgency": casePost(c.ProposeAgency), "registerPerson": casePost(c.ProposePerson), "registerConfirm": casePost(c.ConfirmEntry),
		"ceremonyStart": casePost(c.StartCeremony),
		"ceremony": caseGet(func(ctx context.Context, x *caseExchange) (*apitype.CeremonyMessages, error) {
			return c.Ceremony(ctx, &x.who, x.r.PathValue("id"), x.from)
		}),
		"ceremonyPost": caseBody(func(ctx context.Context, x *caseExchange, m *apitype.CeremonyPost) (*apitype.CeremonyMessages, error) {
			return c.PostCeremony(ctx, &x.who, x.r.PathValue("id"), m)
		}),
		"consoleInvite": casePost(a.invite),
		"custody":       caseGet(func(ctx context.Context, _ *caseExchange) (*apitype.CustodyChain, error) { return c.Custody(ctx) }),
		"openings": caseGet(func(ctx context.Context, x *caseExchange) (*apitype.OpeningFeed, error) {
			return c.Openings(ctx, uint64(x.from)) //nolint:gosec // never negative
		}),
		"openingsClosed": caseGet(func(ctx context.Context, x *caseExchange) (*apitype.OpeningFeed, error) {
			return c.ClosedOpenings(ctx, &x.who, uint64(x.from)) //nolint:gosec // never negative
		}),
	}
}

// readFrom reads the query parameter from, which counts from 0.
func (x *caseExchange) readFrom() error {
	v := x.r.URL.Query().Get("from")
	if v == "" {
		return nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "from", Message: "not a place to go on from", Hint: "give back what next said"}
	}
	x.from = int(n) //nolint:gosec // 31 bits
	return nil
}

func caseGet[R any](f func(context.Context, *caseExchange) (*R, error)) *caseEndpoint {
	return &caseEndpoint{result: reflect.TypeFor[R](), run: func(ctx context.Context, x *caseExchange) (any, error) {
		if err := x.readFrom(); err != nil {
			return nil, err
		}
		return answer(f(ctx, x))
	}}
}

// caseOf is a read of one case.
func caseOf[R any](f func(context.Context, *PersonCall, bonded.CaseID) (*R, error)) *caseEndpoint {
	return caseGet(func(ctx context.Context, x *caseExchange) (*R, error) {
		id, err := x.caseID()
		if err != nil {
			return nil, err
		}
		return f(ctx, &x.who, id)
	})
}

func caseBody[Q, R any](f func(context.Context, *caseExchange, *Q) (*R, error)) *caseEndpoint {
	sh := shapeOf(reflect.TypeFor[Q]())
	return &caseEndpoint{request: reflect.TypeFor[Q](), result: reflect.TypeFor[R](), run: func(ctx context.Context, x *caseExchange) (any, error) {
		if !isJSON(x.r.Header.Get("Content-Type")) {
			return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "Content-Type", Message: "the body is not said to be JSON", Hint: "send Content-Type: application/json"}
		}
		q := new(Q)
		if err := decode(x.data, sh, q); err != nil {
			return nil, err
		}
		return answer(f(ctx, x, q))
	}}
}

// casePost takes a body and names no case.
func casePost[Q, R any](f func(context.Context, *PersonCall, *Q) (*R, error)) *caseEndpoint {
	return caseBody(func(ctx context.Context, x *caseExchange, q *Q) (*R, error) { return f(ctx, &x.who, q) })
}

// caseAct takes a body about one case.
func caseAct[Q, R any](f func(context.Context, *PersonCall, bonded.CaseID, *Q) (*R, error)) *caseEndpoint {
	return caseBody(func(ctx context.Context, x *caseExchange, q *Q) (*R, error) {
		id, err := x.caseID()
		if err != nil {
			return nil, err
		}
		return f(ctx, &x.who, id, q)
	})
}

func (x *caseExchange) caseID() (bonded.CaseID, error) {
	id, err := bonded.ParseCaseID(x.r.PathValue("id"))
	if err != nil {
		return id, err
	}
	if id.Cell != x.a.cell {
		return id, &bonded.Error{Code: bonded.CodeWrongCell, Field: "id", Message: "the case belongs to another cell", Hint: "ask cell " + string(id.Cell)}
	}
	return id, nil
}

func (x *caseExchange) documentHash() (string, error) {
	h := x.r.PathValue("sha256")
	if b, err := hex.DecodeString(h); err != nil || len(b) != 32 || hex.EncodeToString(b) != h {
		return "", &bonded.Error{Code: bonded.CodeInvalid, Field: "sha256", Message: "not a SHA-256", Hint: "64 lower-case hexadecimal digits"}
	}
	return h, nil
}

// invite asks the console for a link.
func (a *API) invite(ctx context.Context, c *PersonCall, q *apitype.ConsoleInvite) (*apitype.ConsoleInvited, error) {
	if a.console == nil {
		return nil, &bonded.Error{Code: bonded.CodeUnsupported, Message: "this cell has no console", Hint: "its operator sets console in vault.yaml"}
	}
	return a.console.Invite(ctx, c, q)
}

func (a *API) putDocument(ctx context.Context, x *caseExchange) (any, error) {
	id, err := x.caseID()
	if err != nil {
		return nil, err
	}
	h, err := x.documentHash()
	if err != nil {
		return nil, err
	}
	return answer(a.cases.PutDocument(ctx, &x.who, id, h, x.data))
}

func (a *API) document(ctx context.Context, x *caseExchange) (any, error) {
	id, err := x.caseID()
	if err != nil {
		return nil, err
	}
	h, err := x.documentHash()
	if err != nil {
		return nil, err
	}
	b, err := a.cases.Document(ctx, &x.who, id, h)
	if err != nil {
		return nil, err
	}
	return &octets{io.NopCloser(bytes.NewReader(b)), int64(len(b))}, nil
}

func (a *API) casePackage(ctx context.Context, x *caseExchange) (any, error) {
	id, err := x.caseID()
	if err != nil {
		return nil, err
	}
	body, size, err := a.cases.Package(ctx, &x.who, id)
	if err != nil {
		return nil, err
	}
	return &octets{body, size}, nil
}
