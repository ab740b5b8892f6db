package api_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

type generator struct {
	t       *testing.T
	docs    map[string]string // "Type" or "Type.Field" → comment
	schemas object
}

func makeDocument(t *testing.T) object {
	g := &generator{t: t, docs: map[string]string{}, schemas: object{}}
	g.comments("../apitype", "apitype")
	g.comments("../../verify", "verify")
	paths := object{}
	all := examples()
	for _, r := range apitype.Routes {
		path, _ := paths[r.Path].(object)
		if path == nil {
			path = object{}
			paths[r.Path] = path
		}
		path[strings.ToLower(r.Method)] = g.operation(r, all[r.Name])
	}
	cases := caseExamples()
	for _, r := range apitype.CaseRoutes {
		path, _ := paths[r.Path].(object)
		if path == nil {
			path = object{}
			paths[r.Path] = path
		}
		path[strings.ToLower(r.Method)] = g.caseOperation(r, cases[r.Name])
	}
	g.schema(reflect.TypeFor[apitype.Problem]())
	codes := []string{}
	for _, c := range apitype.Codes {
		codes = append(codes, string(c.Code))
	}
	g.schemas["Problem"].(object)["properties"].(object)["code"] = object{"type": "string", "enum": codes, "description": "stable name of what went wrong; docs/errors.md explains each"}
	return object{
		"openapi": "3.1.1",
		"info": object{
			"title": "Bonded", "version": "1", "summary": "The API of a cell: personal data in its own country, opened under two entries.",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{object{"url": "/", "description": "a cell; the directory names the address of each"}},
		"security": []any{object{"bearer": []any{}}, object{"certificate": []any{}}},
		"paths":    paths,
		"components": object{
			"schemas":    g.schemas,
			"parameters": parameters(),
			"headers": object{
				"RequestID": object{"description": "id of the call, in logs and in the journal", "schema": object{"type": "string", "pattern": "^[0-9a-f]{32}$"}},
				"Receipt":   object{"description": "batch promise: the vault's signature over the open segment with this entry", "schema": object{"type": "string"}},
			},
			"responses": object{"Problem": object{
				"description": "The call was refused or failed; code says why.",
				"headers":     object{apitype.HeaderRequestID: object{"$ref": "#/components/headers/RequestID"}},
				"content":     object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
			}},
			"securitySchemes": object{
				"bearer":      object{"type": "http", "scheme": "bearer", "description": "an API key"},
				"person":      object{"type": "apiKey", "in": "header", "name": apitype.HeaderPerson, "description": "a person's signature over the call: person;time;nonce;signature, see spec/api.md"},
				"certificate": object{"type": "mutualTLS", "description": "a client certificate whose public key the grant names"},
			},
		},
	}
}

func parameters() object {
	header := func(name, description string, schema object) object {
		return object{"name": name, "in": "header", "description": description, "schema": schema}
	}
	text := object{"type": "string"}
	return object{
		"Purpose":     header(apitype.HeaderPurpose, "purpose of the call, if the body does not name it", object{"type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,63}$"}),
		"Reason":      header(apitype.HeaderReason, "reason of the call, at most 256 bytes, never personal data", text),
		"Basis":       header(apitype.HeaderBasis, "basis record or legal basis of the call", text),
		"RequestID":   header(apitype.HeaderRequestID, "id for this call; one is made if it is absent or of another form", object{"type": "string", "pattern": "^[0-9a-f]{32}$"}),
		"Proof":       header(apitype.HeaderProof, "proof of the principal for the keyholder: session;counter;MAC;nonce, see spec/api.md", text),
		"Idempotency": header(apitype.HeaderIdempotency, "the same key with the same request gets the first answer again", object{"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}),
	}
}

func (g *generator) operation(r apitype.Route, ex example) object {
	op := object{"operationId": r.Name, "summary": r.Summary}
	params := []any{}
	add := func(names ...string) {
		for _, n := range names {
			params = append(params, object{"$ref": "#/components/parameters/" + n})
		}
	}
	if strings.Contains(r.Path, "{id}") {
		params = append(params, object{"name": "id", "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	add("RequestID")
	if r.Operation != verify.OpNone {
		add("Purpose", "Reason", "Basis", "Proof")
	}
	if r.Write {
		add("Idempotency")
	}
	op["parameters"] = params
	if ex.request != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{
			"schema": g.schema(reflect.TypeOf(ex.request).Elem()), "example": ex.request,
		}}}
	}
	ok := object{"description": "Done.", "headers": object{apitype.HeaderRequestID: object{"$ref": "#/components/headers/RequestID"}}}
	if r.Operation != verify.OpNone {
		ok["headers"].(object)[apitype.HeaderReceipt] = object{"$ref": "#/components/headers/Receipt"}
	}
	content := object{"schema": object{"type": "object"}}
	if ex.result != nil {
		content = object{"schema": g.schema(reflect.TypeOf(ex.result).Elem()), "example": ex.result}
	} else {
		op["security"] = []any{object{}}
	}
	ok["content"] = object{"application/json": content}
	op["responses"] = object{"200": ok, "default": object{"$ref": "#/components/responses/Problem"}}
	return op
}

func (g *generator) caseOperation(r apitype.CaseRoute, ex example) object {
	op := object{"operationId": r.Name, "summary": r.Summary, "security": []any{object{"person": []any{}}}}
	if r.Public {
		op["security"] = []any{object{}}
	}
	params := []any{}
	for _, name := range []string{"id", "sha256"} {
		if strings.Contains(r.Path, "{"+name+"}") {
			params = append(params, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	query := map[string][]string{"caseList": {"state", "after"}, "caseScope": {"from"}, "ceremony": {"from"}, "openings": {"from"}, "openingsClosed": {"from"}}[r.Name]
	for _, name := range query {
		params = append(params, object{"name": name, "in": "query", "schema": object{"type": "string"}})
	}
	op["parameters"] = append(params, object{"$ref": "#/components/parameters/RequestID"})
	switch {
	case ex.request != nil:
		op["requestBody"] = object{"required": true, "content": object{r.Takes: object{
			"schema": g.schema(reflect.TypeOf(ex.request).Elem()), "example": ex.request,
		}}}
	case r.Takes != "":
		op["requestBody"] = object{"required": true, "content": object{r.Takes: object{}}}
	}
	content := object{}
	if ex.result != nil {
		content = object{"schema": g.schema(reflect.TypeOf(ex.result).Elem()), "example": ex.result}
	}
	op["responses"] = object{
		"200": object{
			"description": "Done.", "headers": object{apitype.HeaderRequestID: object{"$ref": "#/components/headers/RequestID"}},
			"content": object{r.Gives: content},
		},
		"default": object{"$ref": "#/components/responses/Problem"},
	}
	return op
}

// schema returns the schema of t; structs with names become components.
func (g *generator) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[bonded.SubjectID]():
		return object{"type": "string", "pattern": "^sub_[a-z][a-z0-9]{1,7}_[0-9a-z]{27}$"}
	case reflect.TypeFor[bonded.RecordID]():
		return object{"type": "string", "pattern": "^rec_[a-z][a-z0-9]{1,7}_[0-9a-z]{27}$"}
	case reflect.TypeFor[bonded.Token]():
		return object{"type": "string", "pattern": "^tok_[a-z][a-z0-9]{1,7}_[0-9a-z]{27}$"}
	case reflect.TypeFor[bonded.CaseID]():
		return object{"type": "string", "pattern": "^case_[a-z][a-z0-9]{1,7}_[0-9a-z]{27}$"}
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{"type": []any{"string", "number", "boolean", "null"}}
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return object{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.schema(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint64, reflect.Uint32:
		return object{"type": "integer", "minimum": 0}
	case reflect.Slice:
		return object{"type": "array", "items": g.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem())}
	case reflect.Struct:
		g.component(t)
		return object{"$ref": "#/components/schemas/" + t.Name()}
	default:
		g.t.Fatalf("no schema for %v", t)
		return nil
	}
}

func (g *generator) component(t reflect.Type) {
	if _, ok := g.schemas[t.Name()]; ok {
		return
	}
	properties, required := object{}, []string{}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	g.schemas[t.Name()] = s
	if d := g.docs[t.Name()]; d != "" {
		s["description"] = d
	}
	g.properties(t, properties, &required)
	slices.Sort(required)
	if len(required) > 0 {
		s["required"] = required
	}
}

func (g *generator) properties(t reflect.Type, properties object, required *[]string) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" {
			g.properties(f.Type, properties, required)
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		p := g.schema(f.Type)
		if d := g.docs[t.Name()+"."+f.Name]; d != "" {
			p["description"] = d
		}
		properties[name] = p
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, name)
		}
	}
}

// comments gathers the comments of the structs of a package.
func (g *generator) comments(dir, name string) {
	g.t.Helper()
	fset := token.NewFileSet()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		if err != nil {
			g.t.Fatal(err)
		}
		if f.Name.Name != name {
			continue
		}
		for _, d := range f.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			for _, spec := range decl.Specs {
				ts, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				g.docs[ts.Name.Name] = plain(decl.Doc.Text())
				st, ok := ts.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, field := range st.Fields.List {
					for _, n := range field.Names {
						g.docs[ts.Name.Name+"."+n.Name] = plain(field.Doc.Text() + field.Comment.Text())
					}
				}
			}
		}
	}
}

// plain takes Go's link brackets and line breaks out of a comment.
func plain(s string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("[verify.", "", "[", "", "]", "").Replace(s)), " ")
}
