package api

import (
	"strconv"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// maxBasis is the limit of a basis: it is the id of a record or a word.
const maxBasis = 128

// mergeWhy puts purpose, reason and basis of headers and body together, in
// the call and in the request. Where both say something they must agree, so
// that a proxy that adds headers cannot change what a body says.
func (x *exchange) mergeWhy(body *apitype.Why) error {
	if body == nil {
		body = new(apitype.Why)
	}
	merge := func(dst *string, head, in, field string, check func(string) error) error {
		if head != "" && in != "" && head != in {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: "header and body do not agree", Hint: "say it in one place, or the same in both"}
		}
		if in == "" {
			in = head
		}
		if in != "" {
			if err := check(in); err != nil {
				return err
			}
		}
		*dst = in
		return nil
	}
	var purpose string
	err := merge(&purpose, string(x.head.Purpose), string(body.Purpose), "purpose", checkPurpose)
	if err != nil {
		return err
	}
	x.call.Why.Purpose = bonded.Purpose(purpose)
	if err := merge(&x.call.Why.Reason, x.head.Reason, body.Reason, "reason", textWithin("reason", verify.MaxReason)); err != nil {
		return err
	}
	if err := merge(&x.call.Why.Basis, x.head.Basis, body.Basis, "basis", textWithin("basis", maxBasis)); err != nil {
		return err
	}
	*body = x.call.Why
	return nil
}

func checkPurpose(s string) error {
	if bonded.Purpose(s).Valid() {
		return nil
	}
	return &bonded.Error{Code: bonded.CodeUnknownPurpose, Field: "purpose", Message: "this does not have the form of a purpose", Hint: "up to 64 characters a to z, 0 to 9, _, - and ., beginning with a letter"}
}

func textWithin(field string, limit int) func(string) error {
	return func(s string) error {
		switch {
		case len(s) > limit:
			return &bonded.Error{Code: bonded.CodeTooLarge, Field: field, Message: "the " + field + " is over " + strconv.Itoa(limit) + " bytes", Hint: "shorten it, or give the number of a ticket"}
		case !utf8.ValidString(s):
			return &bonded.Error{Code: bonded.CodeInvalidUTF8, Field: field, Message: "the " + field + " is not UTF-8"}
		}
		return nil
	}
}
