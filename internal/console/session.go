package console

import (
	"errors"
	"net/http"

	"bonded"
)

// signedIn returns who a request is from.
func (c *Console) signedIn(*http.Request) *who { return nil }

// checkForm refuses a form that no page of ours made for this session.
func (x *visit) checkForm() error { return forbidden("form") }

// signIn sends the visitor to the page where people sign in.
func (x *visit) signIn() { http.Redirect(x.w, x.r, "/console/sign-in", http.StatusSeeOther) }

func forbidden(rule string) error {
	return &bonded.Error{Code: bonded.CodeForbidden, Rules: []string{"console." + rule}, Message: "this form is not of this session", Hint: "open the page again and send the form from there"}
}

func asError(err error) (*bonded.Error, bool) {
	e, ok := errors.AsType[*bonded.Error](err)
	return e, ok
}

// formToken is what forms of this session carry.
func (x *visit) formToken() string { return "" }
