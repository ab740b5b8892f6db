package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/verify"
)

const (
	badSub = "sub_eu_00000000000000000000000000x"
)

var (
	someSubject = bonded.SubjectID{Cell: "eu", ID: bonded.ID{1}}.String()
	someRecord  = bonded.RecordID{Cell: "eu", ID: bonded.ID{2}}.String()
)

func TestBadInputIsRefusedWithCodeFieldAndHintAndEntered(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		code             bonded.Code
		field            string
		hint             string // part of it
	}{
		{"unknown field", "/v1/get", `{"colection":"users"}`, bonded.CodeUnknownField, "colection", "did you mean collection?"},
		{"name in other case", "/v1/get", `{"Collection":"users"}`, bonded.CodeUnknownField, "Collection", "did you mean collection?"},
		{"unknown field in a list", "/v1/batch/put", `{"items":[{"values":{}},{"valeus":{}}]}`, bonded.CodeUnknownField, "items[1].valeus", "did you mean values?"},
		{"unknown field behind an escape", "/v1/get", `{"coll\u0065ctions":1}`, bonded.CodeUnknownField, "collections", "did you mean collection?"},
		{"unprintable field is not echoed", "/v1/get", `{"Ada Lovelace":1}`, bonded.CodeUnknownField, "?", ""},
		{"repeated name", "/v1/get", `{"collection":"a","collection":"b"}`, bonded.CodeInvalid, "collection", "once"},
		{"repeated name behind an escape", "/v1/get", `{"collection":"a","c\u006fllection":"b"}`, bonded.CodeInvalid, "collection", "once"},
		{"repeated value", "/v1/put", `{"values":{"email":"a","email":"b"}}`, bonded.CodeInvalid, "values.email", "once"},
		{"repeated value among many", "/v1/put", `{"values":{` + manyValues(40) + `,"f3":"b"}}`, bonded.CodeInvalid, "values.f3", "once"},
		{"number for text", "/v1/get", `{"collection":7}`, bonded.CodeWrongType, "collection", "give a string"},
		{"object for list", "/v1/get", `{"fields":{}}`, bonded.CodeWrongType, "fields", "give a list"},
		{"list for value", "/v1/put", `{"values":{"email":["a"]}}`, bonded.CodeWrongType, "values.email", "give a string, a number"},
		{"object for value", "/v1/put", `{"values":{"email":{"a":1}}}`, bonded.CodeWrongType, "values.email", ""},
		{"fraction for whole number", "/v1/list", `{"limit":1.5}`, bonded.CodeWrongType, "limit", "whole number"},
		{"number too large", "/v1/list", `{"limit":99999999999999999999}`, bonded.CodeWrongType, "limit", ""},
		{"negative version", "/v1/put", `{"if_version":-1}`, bonded.CodeWrongType, "if_version", ""},
		{"null where nothing may be absent", "/v1/get", `{"collection":null}`, bonded.CodeWrongType, "collection", ""},
		{"text for boolean", "/v1/put", `{"partial":"true"}`, bonded.CodeWrongType, "partial", "true or false"},
		{"wrong check character", "/v1/get", `{"subject":"` + someSubject[:len(someSubject)-1] + `x"}`, bonded.CodeBadID, "subject", "exactly"},
		{"wrong check character in a list", "/v1/batch/get", `{"items":[{"subject":"` + someSubject + `"},{"record":"` + badSub + `"}]}`, bonded.CodeBadID, "items[1].record", ""},
		{"token of another kind", "/v1/token/delete", `{"token":"` + someSubject + `"}`, bonded.CodeBadID, "token", ""},
		{"bad base64", "/v1/session", `{"open":"!!"}`, bonded.CodeWrongType, "open", ""},
		{"bad time", "/v1/basis", `{"record":{"events":[{"time":"yesterday"}]}}`, bonded.CodeWrongType, "record.events[0].time", ""},
		{"invalid UTF-8", "/v1/put", "{\"values\":{\"name\":\"\xff\"}}", bonded.CodeInvalidUTF8, "", ""},
		{"half a surrogate pair", "/v1/put", `{"values":{"name":"\ud83d"}}`, bonded.CodeInvalidUTF8, "values.name", ""},
		{"halves in wrong order", "/v1/put", `{"values":{"name":"\udc00\ud83d"}}`, bonded.CodeInvalidUTF8, "values.name", ""},
		{"trailing data", "/v1/get", `{"collection":"users"} {}`, bonded.CodeInvalid, "", ""},
		{"cut short", "/v1/get", `{"collection":"use`, bonded.CodeInvalid, "collection", ""},
		{"empty body", "/v1/get", ` `, bonded.CodeInvalid, "", ""},
		{"not an object", "/v1/get", `["collection"]`, bonded.CodeWrongType, "", "give an object"},
		{"comment", "/v1/get", `{/*a*/"collection":"users"}`, bonded.CodeInvalid, "", ""},
		{"comma at the end", "/v1/get", `{"collection":"users",}`, bonded.CodeInvalid, "", ""},
		{"leading zero", "/v1/list", `{"limit":01}`, bonded.CodeInvalid, "limit", ""},
		{"raw control character", "/v1/get", "{\"collection\":\"a\nb\"}", bonded.CodeInvalid, "collection", ""},
		{"long reason", "/v1/get", `{"collection":"users","reason":"` + strings.Repeat("x", 257) + `"}`, bonded.CodeTooLarge, "reason", ""},
		{"malformed purpose", "/v1/get", `{"collection":"users","purpose":"Sell It"}`, bonded.CodeUnknownPurpose, "purpose", ""},
		{"body over the limit", "/v1/put", `{"values":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, bonded.CodeTooLarge, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &edge{}
			w := ask(newFace(t, e, api.Limits{}, nil), "POST", c.path, c.body)
			p := problemOf(t, w)
			if p.Code != c.code || p.Field != c.field || !strings.Contains(p.Hint, c.hint) {
				t.Errorf("got code %q field %q hint %q (%s)\nwant code %q field %q hint %q", p.Code, p.Field, p.Hint, p.Message, c.code, c.field, c.hint)
			}
			if w.Code != apitype.InfoOf(c.code).Status || p.Status != w.Code || p.RequestID != w.Header().Get("X-Request-Id") || len(p.RequestID) != 32 {
				t.Errorf("status %d (in body %d), request id %q: not those of the code", w.Code, p.Status, p.RequestID)
			}
			if len(e.refused) != 1 || bonded.CodeOf(e.refused[0].err) != c.code || e.refused[0].op == verify.OpNone && c.path != "/v1/session" {
				t.Errorf("entered %d refusals, want this one under its operation", len(e.refused))
			}
			if why := e.refused[0].call.Why; len(why.Reason) > verify.MaxReason || why.Purpose != "" && !why.Purpose.Valid() {
				t.Errorf("the refusal would enter a purpose or reason no row can hold")
			}
		})
	}
}

func manyValues(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"f` + string(rune('0'+i%10)) + strings.Repeat("x", i/10) + `":"a"`)
	}
	return b.String()
}

func TestBodyArrivesByteForByte(t *testing.T) {
	const name = `{"a":"\ud83d\ude00 \u00e9","b":"Ünïcødé 李明 Владимир 𠀋 <&>","c":1e2,"d":null,"e":true,"f":"\u0000"}`
	var got apitype.Values
	e := &edge{onPut: func(_ context.Context, _ *api.Call, q *apitype.PutRequest) (*apitype.PutResult, error) {
		got = q.Values
		return &apitype.PutResult{}, nil
	}}
	w := ask(newFace(t, e, api.Limits{}, nil), "POST", "/v1/put", "\n\t{ \"values\" : "+name+" } \r\n")
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	for field, want := range map[string]string{
		"a": `"\ud83d\ude00 \u00e9"`, "b": `"Ünïcødé 李明 Владимир 𠀋 <&>"`, "c": "1e2", "d": "null", "e": "true", "f": `"\u0000"`,
	} {
		if string(got[field]) != want {
			t.Errorf("values.%s = %s, want %s", field, got[field], want)
		}
	}
}

func TestValuesLeaveByteForByte(t *testing.T) {
	const want = `"Ünïcødé 李明 <b>&amp; 𠀋"`
	e := &edge{onGet: func(context.Context, *api.Call, *apitype.GetRequest) (*apitype.GetResult, error) {
		return &apitype.GetResult{Values: apitype.Values{"name": []byte(want)}}, nil
	}}
	if w := ask(newFace(t, e, api.Limits{}, nil), "POST", "/v1/get", `{}`); !strings.Contains(w.Body.String(), `"name":`+want) {
		t.Errorf("answer %s does not hold %s", w.Body, want)
	}
}

// FuzzDecode holds the decoder to: no panic, no answer but 200 or a problem
// that is the caller's, and what it lets through is JSON in UTF-8.
func FuzzDecode(f *testing.F) {
	f.Add(`{"collection":"users","values":{"a":"b"},"facts":{"residence":["DE"]},"if_version":3}`)
	f.Add(`{"values":{"name":"\ud83d\ude00"},"tokens":["a"],"partial":true}`)
	f.Add(`{"subject":"` + someSubject + `","record":"` + someRecord + `","purpose":"x"}`)
	f.Add(`{"values":{"a":1.5e-7,"a":-0}}`)
	e := &edge{onPut: func(context.Context, *api.Call, *apitype.PutRequest) (*apitype.PutResult, error) {
		return &apitype.PutResult{}, nil
	}}
	a := newFace(f, e, api.Limits{PerSecond: 1e9}, nil)
	f.Fuzz(func(t *testing.T, body string) {
		w := ask(a, "POST", "/v1/put", body, "Content-Type", "application/json")
		if w.Code == http.StatusOK {
			if !json.Valid([]byte(body)) || !utf8.ValidString(body) {
				t.Errorf("%q was let through", body)
			}
			return
		}
		if p := problemOf(t, w); p.Code == bonded.CodeInternal || p.Code == "" {
			t.Errorf("code %q for a bad body", p.Code)
		}
	})
}
