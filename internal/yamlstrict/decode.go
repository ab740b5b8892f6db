package yamlstrict

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"bonded"
)

// Limits of a file.
const (
	MaxSize  = 4 << 20 // bytes
	MaxDepth = 64      // levels of nesting
)

// maxColumn bounds the nesting of block collections, whose depth shows in the
// column.
const maxColumn = 512

// A Validator checks itself once it is decoded. [Decode] calls Validate on
// every decoded struct, map and slice that has it, inner values first, and
// adds the position to a [*bonded.Error] it returns: of the key named in
// Field, as it is spelled in the file, or of the place below that a path in
// Field names, as in rules[2].id; else of the value itself.
type Validator interface {
	Validate() error
}

// Decode reads the one YAML document in data into the struct that into points
// to. Keys are named by `yaml` tags. A field tagged `required:"true"` must be
// there and not null; any other absent key leaves the field as it was, so set
// defaults before the call. Name is the file's name, for errors.
//
// Every error is a [*bonded.Error] with code [bonded.CodeConfig], whose Field
// is "name:line:column", counted from 1, and whose Hint is often the nearest
// right key.
func Decode(name string, data []byte, into any) (err error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("decode %s: into is not a pointer", name)
	}
	f := file{name: name}
	// The parser is not ours: a defect in it must not stop the process.
	defer func() {
		if r := recover(); r != nil {
			err = f.errorAt(nil, unreadable, "")
		}
	}()

	// 1. Parse, within limits.
	body, err := f.parse(data)
	if err != nil {
		return err
	}

	// 2. Check the keys against the type.
	if err := f.checkKeys(body, v.Type().Elem(), "the file"); err != nil {
		return err
	}

	// 3. Decode.
	if body == nil {
		body = &ast.MappingNode{BaseNode: &ast.BaseNode{}}
	} else if err := yaml.NodeToValue(body, into, yaml.Strict()); err != nil {
		return f.decodeError(body, v.Type().Elem(), err)
	}

	// 4. Let the values check themselves.
	return f.validate(body, v.Elem())
}

const unreadable = "not readable as YAML: check indentation, quotes and brackets here"

// A file keeps its name for errors.
type file struct{ name string }

func (f file) parse(data []byte) (ast.Node, error) {
	if len(data) > MaxSize {
		return nil, f.errorAt(nil, fmt.Sprintf("file is larger than %d bytes", MaxSize), "")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	tokens := lexer.Tokenize(string(data))
	if err := f.checkTokens(tokens); err != nil {
		return nil, err
	}
	tree, err := parser.Parse(tokens, 0)
	if err != nil {
		if ye, ok := errors.AsType[yaml.Error](err); ok {
			return nil, f.errorAt(ye.GetToken(), syntaxMessage(ye), "")
		}
		return nil, f.errorAt(nil, unreadable, "")
	}
	var body ast.Node
	for _, doc := range tree.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.CommentType:
		case doc.Body.Type() == ast.DirectiveType:
			return nil, f.errorAt(doc.Body.GetToken(), "directives are not read", "remove the line that begins with %")
		case body != nil:
			return nil, f.errorAt(doc.Body.GetToken(), "a second document in the file", "keep one document per file")
		default:
			body = doc.Body
		}
	}
	return body, nil
}

// checkTokens refuses what the parser would follow too deep, and the parts of
// YAML that let one text mean another.
func (f file) checkTokens(tokens token.Tokens) error {
	depth := 0
	for _, tk := range tokens {
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if depth <= 0 && tk.Position.Column > maxColumn {
				return f.errorAt(tk, "nested too deep", "")
			}
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return f.errorAt(tk, "anchors, aliases and merge keys are not read", "write the value out, or put it in quotes")
		case token.TagType:
			return f.errorAt(tk, "tags are not read", "remove it, or put the value in quotes")
		case token.InvalidType:
			return f.errorAt(tk, unreadable, "")
		}
		if depth > MaxDepth {
			return f.errorAt(tk, "nested too deep", "")
		}
	}
	return nil
}

// errorAt makes the error for a place; a nil token means the file's start.
func (f file) errorAt(tk *token.Token, message, hint string) *bonded.Error {
	line, column := 1, 1
	if tk != nil && tk.Position != nil {
		line, column = max(1, tk.Position.Line), max(1, tk.Position.Column)
	}
	return &bonded.Error{
		Code: bonded.CodeConfig, Message: message, Hint: hint,
		Field: fmt.Sprintf("%s:%d:%d", f.name, line, column),
	}
}
