package main

import (
	"encoding/json"
	"errors"
	"syscall/js"

	"bonded"
	"bonded/verify"
)

func main() {
	o := new(officer)
	js.Global().Set("bondedOfficer", js.FuncOf(func(_ js.Value, args []js.Value) any {
		return o.call(args)
	}))
	select {} // until the worker ends
}

// call answers one call of the page.
func (o *officer) call(args []js.Value) map[string]any {
	if len(args) != 3 {
		return failed(bonded.Errorf(bonded.CodeInvalid, "a call has a name, arguments and bytes"))
	}
	f, ok := calls[args[0].String()]
	if !ok {
		return failed(bonded.Errorf(bonded.CodeInvalid, "no such call"))
	}
	var body []byte
	if args[2].Truthy() {
		body = make([]byte, args[2].Length())
		js.CopyBytesToGo(body, args[2])
	}
	answer, err := f(o, []byte(args[1].String()), body)
	if err != nil {
		return failed(err)
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return failed(err)
	}
	return map[string]any{"answer": string(b)}
}

// A problem is an error as the API writes one.
type problem struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Field   string   `json:"field,omitempty"`
	Hint    string   `json:"hint,omitempty"`
	Rules   []string `json:"rules,omitempty"`
}

func failed(err error) map[string]any {
	p := problem{Code: string(bonded.CodeInternal), Message: "this did not work"}
	e, coded := errors.AsType[*bonded.Error](err)
	if v := verify.FailureOf(err); v != nil {
		p = problem{Code: string(bonded.CodeAltered), Message: v.Message, Rules: []string{v.Code}}
	} else if coded {
		p = problem{string(e.Code), e.Message, e.Field, e.Hint, e.Rules}
	}
	b, err := json.Marshal(p)
	if err != nil {
		b = []byte(`{"code":"internal","message":"this did not work"}`)
	}
	return map[string]any{"error": string(b)}
}
