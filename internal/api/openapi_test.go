package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
)

type object = map[string]any

// TestOpenAPIDocumentIsCurrent makes the document from the route table, the
// types with their comments, the examples and the codes, and holds the served
// one against it. UPDATE=1 writes it.
func TestOpenAPIDocumentIsCurrent(t *testing.T) {
	want, err := json.MarshalIndent(makeDocument(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("openapi.json", want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	w := ask(newFace(t, &edge{}, api.Limits{}, nil), "GET", "/v1/openapi.json", "", "Authorization", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, type %q", w.Code, w.Header().Get("Content-Type"))
	}
	if !bytes.Equal(w.Body.Bytes(), want) {
		t.Error("the OpenAPI document is not current; review, then run UPDATE=1 go test -run TestOpenAPI ./internal/api")
	}
}

// TestOpenAPIDocumentIsWhole reads the served document as a stranger would.
func TestOpenAPIDocumentIsWhole(t *testing.T) {
	w := ask(newFace(t, &edge{}, api.Limits{}, nil), "GET", "/v1/openapi.json", "", "Authorization", "")
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]json.RawMessage
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title == "" || doc.Info.Version == "" {
		t.Errorf("openapi %q, title %q, version %q", doc.OpenAPI, doc.Info.Title, doc.Info.Version)
	}
	n, ids := 0, map[string]bool{}
	for _, methods := range doc.Paths {
		for _, op := range methods {
			n++
			if op.OperationID == "" || ids[op.OperationID] || op.Responses["200"] == nil {
				t.Errorf("operation %q has no id of its own or no answer", op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	for _, r := range apitype.Routes {
		if op, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]; !ok || op.OperationID != r.Name {
			t.Errorf("the document lacks %s %s", r.Method, r.Path)
		}
	}
	for _, r := range apitype.CaseRoutes {
		if op, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]; !ok || op.OperationID != r.Name {
			t.Errorf("the document lacks %s %s", r.Method, r.Path)
		}
	}
	if want := len(apitype.Routes) + len(apitype.CaseRoutes); n != want {
		t.Errorf("%d operations, want %d", n, want)
	}
	var problem struct {
		Properties struct {
			Code struct{ Enum []bonded.Code }
		}
	}
	if err := json.Unmarshal(doc.Components.Schemas["Problem"], &problem); err != nil {
		t.Fatal(err)
	}
	for _, c := range apitype.Codes {
		if !slices.Contains(problem.Properties.Code.Enum, c.Code) {
			t.Errorf("the document lacks code %s", c.Code)
		}
	}
	// Every reference leads somewhere, and every schema is referred to.
	var all any
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	walk(all, func(ref string) {
		at := all
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(object)
			at = m[step]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref)
		}
		used[ref] = true
	})
	for name := range doc.Components.Schemas {
		if !used["#/components/schemas/"+name] {
			t.Errorf("schema %s is used nowhere", name)
		}
	}
}

func walk(v any, ref func(string)) {
	switch v := v.(type) {
	case object:
		for k, e := range v {
			if s, ok := e.(string); ok && k == "$ref" {
				ref(s)
			}
			walk(e, ref)
		}
	case []any:
		for _, e := range v {
			walk(e, ref)
		}
	}
}

// TestExamplesRoundTrip reads every example of the served document with its
// type and writes the same again, and sends every request through the face.
func TestExamplesRoundTrip(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Example json.RawMessage }
			} `json:"requestBody"`
			Responses map[string]struct {
				Content map[string]struct{ Example json.RawMessage }
			}
		}
	}
	w := ask(newFace(t, &edge{}, api.Limits{}, nil), "GET", "/v1/openapi.json", "", "Authorization", "")
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, r := range apitype.Routes {
		ex, ok := examples()[r.Name]
		if !ok && r.Name != "directory" && r.Name != "openapi" {
			t.Errorf("%s has no example", r.Name)
			continue
		}
		op := doc.Paths[r.Path][strings.ToLower(r.Method)]
		roundTrip(t, r.Name+" request", op.RequestBody.Content["application/json"].Example, ex.request)
		roundTrip(t, r.Name+" answer", op.Responses["200"].Content["application/json"].Example, ex.result)
		if ex.request == nil {
			continue
		}
		// The edge has no such method, or one that is not set: a panic there
		// means that the face let the request through.
		w := ask(newFace(t, &edge{}, api.Limits{}, nil), r.Method, r.Path, string(op.RequestBody.Content["application/json"].Example))
		if p := problemOf(t, w); p.Code != bonded.CodeInternal {
			t.Errorf("%s: the face refuses its own example: %+v", r.Name, p)
		}
	}
}

// TestCaseExamplesRoundTrip does the same for the front door.
func TestCaseExamplesRoundTrip(t *testing.T) {
	d := newDoor(t)
	all := caseExamples()
	for _, r := range apitype.CaseRoutes {
		ex, ok := all[r.Name]
		if !ok {
			t.Errorf("%s has no example", r.Name)
			continue
		}
		for what, v := range map[string]any{"request": ex.request, "answer": ex.result} {
			if v == nil {
				continue
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, r.Name+" "+what, text, v)
		}
		if ex.request == nil {
			continue
		}
		body, err := json.Marshal(ex.request)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.NewReplacer("{id}", exCase.String(), "{sha256}", exHash).Replace(r.Path)
		w := d.ask(call{method: r.Method, path: path, body: body})
		if p := problemOf(t, w); p.Code != bonded.CodeUnsupported {
			t.Errorf("%s: the face refuses its own example: %+v", r.Name, p)
		}
	}
}

func roundTrip(t *testing.T, name string, text json.RawMessage, want any) {
	t.Helper()
	if want == nil {
		return
	}
	got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(got); err != nil {
		t.Errorf("%s: %v in %s", name, err, text)
		return
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b json.RawMessage) bool { return string(a) == string(b) })); d != "" {
		t.Errorf("%s does not round-trip (-want +got):\n%s", name, d)
	}
}
