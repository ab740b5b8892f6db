//go:build js && wasm

// Command bonded-verify-wasm is package verify for a page: the same checks as
// bonded-verify, called from JavaScript. It fetches nothing and reads no clock:
// the page hands it the directory it trusts, and a function that returns the
// files of a ledger.
//
// Once it runs, globalThis.bondedVerify has the functions below. Each takes one
// object and returns a Promise of an [answer] as an object. Text members may be
// strings or Uint8Arrays.
//
//	directory   {directory, signature?}                   who is named, and whether its administrator signed it
//	checkpoint  {directory, cell, checkpoint}             signature of the log, cosignatures, quorum, witness time
//	consistency {directory, cell, older, newer, fetch}    newer extends older
//	inclusion   {directory, cell, checkpoint, index, fetch}  the entry, and that the checkpoint holds it
//	proof       {key, policy, leaf, proof} or {key, policy, checkpoint}  under keys without a directory
//	ledger      {directory, cell, fetch, previous?, progress?}  every entry and tile
//	receipt     {directory, receipt}                      one opening
//	promises    {directory, cell, headers, journal}       batch promises against an exported journal
//	report      {directory, report, signatures, openings, fetch}  a transparency report, recounted
//	opening     {opening, leaf?}                          what a case entry says
//	evidence    {directory, cell, evidence, subject, digest}  that the ledger announces a file
//	statement   {directory, cell, statement, key?}          the dated statement of the operator
//	manifest    {directory, cell, manifest, signatures, key?}  who signed the list of files of this portal
//
// fetch(path) returns a Promise of a Uint8Array, or rejects if there is no such
// file; progress(done, size) is called after each bundle of entries.
//
// Start at functions in api.go.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"syscall/js"

	"bonded"
	"bonded/verify"
)

func main() {
	api := js.Global().Get("Object").New()
	for name, f := range functions {
		api.Set(name, js.FuncOf(func(_ js.Value, args []js.Value) any { return promise(name, f, args) }))
	}
	js.Global().Set("bondedVerify", api)
	if ready := js.Global().Get("bondedVerifyReady"); ready.Type() == js.TypeFunction {
		ready.Invoke()
	}
	select {}
}

// An answer is what a check found. Verdict is "holds", "does not hold" or
// "cannot tell"; code is empty where it holds.
type answer struct {
	Verdict   string   `json:"verdict"`
	Code      string   `json:"code,omitempty"`
	Message   string   `json:"message,omitempty"`
	Sentences []string `json:"sentences,omitempty"`
	Found     any      `json:"found,omitempty"`
}

// promise runs a check beside the page and settles when it is done.
func promise(name string, f func(*call) (*answer, error), args []js.Value) js.Value {
	var body js.Func
	body = js.FuncOf(func(_ js.Value, settle []js.Value) any {
		go func() {
			defer body.Release()
			settle[0].Invoke(settled(name, f, args))
		}()
		return nil
	})
	return js.Global().Get("Promise").New(body)
}

func settled(name string, f func(*call) (*answer, error), args []js.Value) js.Value {
	a := new(answer)
	if len(args) != 1 || args[0].Type() != js.TypeObject {
		a.Verdict, a.Code, a.Message = verify.CannotTell.String(), "usage", name+" takes one object"
	} else {
		c := &call{args[0]}
		got, err := f(c)
		if got != nil {
			a = got
		}
		a.judge(err)
	}
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // answers are plain values
	}
	return js.Global().Get("JSON").Call("parse", string(b))
}

// judge makes err the verdict. What is not a failure of evidence is something
// that cannot be told.
func (a *answer) judge(err error) {
	a.Verdict = verify.VerdictOf(err).String()
	switch f := verify.FailureOf(err); {
	case err == nil:
	case f != nil:
		a.Code, a.Message = f.Code, f.Message
	default:
		a.Code, a.Message = string(bonded.CodeOf(err)), err.Error()
	}
}

// A call is the object that a function was given.
type call struct{ js.Value }

func (c *call) has(name string) bool {
	v := c.Get(name)
	return !v.IsUndefined() && !v.IsNull()
}

// bytes returns a member that is text or bytes; nil if it is not there.
func (c *call) bytes(name string) []byte { return bytesOf(c.Get(name)) }

func bytesOf(v js.Value) []byte {
	switch {
	case v.Type() == js.TypeString:
		return []byte(v.String())
	case v.InstanceOf(js.Global().Get("Uint8Array")):
		b := make([]byte, v.Get("length").Int())
		js.CopyBytesToGo(b, v)
		return b
	}
	return nil
}

func (c *call) text(name string) string { return string(c.bytes(name)) }

// fetch returns the page's function that gets files of the ledger.
func (c *call) fetch() func(path string) ([]byte, error) {
	get := c.Get("fetch")
	return func(path string) ([]byte, error) {
		if get.Type() != js.TypeFunction {
			return nil, errors.New("the page gave no way to read the ledger")
		}
		v, err := await(get.Invoke(path))
		if err != nil {
			return nil, err
		}
		b := bytesOf(v)
		if b == nil {
			return nil, fmt.Errorf("%s: not bytes", path)
		}
		return b, nil
	}
}

// await waits for a Promise.
func await(p js.Value) (js.Value, error) {
	type result struct {
		value js.Value
		err   error
	}
	done := make(chan result, 1)
	ok := js.FuncOf(func(_ js.Value, v []js.Value) any { done <- result{value: v[0]}; return nil })
	no := js.FuncOf(func(_ js.Value, v []js.Value) any {
		done <- result{err: errors.New(js.Global().Get("String").Invoke(v[0]).String())}
		return nil
	})
	defer ok.Release()
	defer no.Release()
	js.Global().Get("Promise").Call("resolve", p).Call("then", ok, no)
	r := <-done
	return r.value, r.err
}
