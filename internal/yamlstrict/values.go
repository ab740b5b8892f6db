package yamlstrict

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"bonded"
)

// decodeError words what the decoder found, with its place.
func (f file) decodeError(body ast.Node, t reflect.Type, err error) error {
	node, leaf := f.firstBad(body, t)
	var (
		tk       *token.Token
		yamlErr  yaml.Error
		overflow *yaml.OverflowError
		dup      *yaml.DuplicateKeyError
	)
	if errors.As(err, &yamlErr) {
		tk = yamlErr.GetToken()
	}
	if node != nil && (tk == nil || leaf != nil) {
		tk = node.GetToken()
	}
	switch {
	case errors.As(err, &dup):
		return f.errorAt(tk, "key given twice", "keep one of them")
	case errors.As(err, &overflow):
		return f.errorAt(tk, "number out of range", "")
	case leaf != nil:
		return f.errorAt(tk, "wrong value: expected "+describe(leaf), codedMessage(err))
	}
	return f.errorAt(tk, "wrong value", codedMessage(err))
}

// codedMessage is the message of a bonded.Error from a type that reads
// itself; other errors may hold the value and are not shown.
func codedMessage(err error) string {
	if e, ok := errors.AsType[*bonded.Error](err); ok {
		if e.Hint != "" {
			return e.Message + "; " + e.Hint
		}
		return e.Message
	}
	return ""
}

// firstBad finds the first leaf that does not decode, and its type.
func (f file) firstBad(node ast.Node, t reflect.Type) (ast.Node, reflect.Type) {
	if isNull(node) {
		return nil, nil
	}
	d := deref(t)
	if !opaque(t) && d != reflect.TypeFor[time.Time]() {
		switch d.Kind() {
		case reflect.Struct:
			pairs, _ := pairsOf(node)
			keys, _ := keysOf(d)
			for _, p := range pairs {
				if k, ok := keys[p.Key.GetToken().Value]; ok {
					if n, leaf := f.firstBad(p.Value, k.typ); n != nil {
						return n, leaf
					}
				}
			}
			return nil, nil
		case reflect.Slice, reflect.Array:
			if seq, ok := unwrap(node).(*ast.SequenceNode); ok {
				for _, v := range seq.Values {
					if n, leaf := f.firstBad(v, d.Elem()); n != nil {
						return n, leaf
					}
				}
				return nil, nil
			}
		case reflect.Map:
			if pairs, ok := pairsOf(node); ok {
				for _, p := range pairs {
					if n, leaf := f.firstBad(p.Value, d.Elem()); n != nil {
						return n, leaf
					}
				}
				return nil, nil
			}
		}
	}
	if err := yaml.NodeToValue(node, reflect.New(d).Interface(), yaml.Strict()); err != nil {
		return node, d
	}
	return nil, nil
}

func describe(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 15m or 24h"
	case t == reflect.TypeFor[time.Time]():
		return "a time such as 2026-01-31T00:00:00Z"
	case opaque(t):
		return "a " + t.Name()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping of keys to values"
	}
	return "another kind of value"
}

// validate calls Validate on every decoded value that has it, inner first.
func (f file) validate(node ast.Node, v reflect.Value) error {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if !opaque(v.Type()) {
		if err := f.validateInner(node, v); err != nil {
			return err
		}
	}
	check, ok := validatorOf(v)
	if !ok {
		return nil
	}
	err := check.Validate()
	if err == nil {
		return nil
	}
	at := startOf(node)
	var e *bonded.Error
	if !errors.As(err, &e) {
		out := f.errorAt(at, "the value does not hold", "")
		out.Err = err
		return out
	}
	if e.Field != "" {
		at = placeOf(node, e.Field)
	}
	out := f.errorAt(at, e.Message, e.Hint)
	out.Rules, out.Err = e.Rules, e.Err
	return out
}

// startOf returns where a value begins: a mapping at its first key.
func startOf(node ast.Node) *token.Token {
	if pairs, ok := pairsOf(node); ok && len(pairs) > 0 {
		return pairs[0].Key.GetToken()
	}
	return node.GetToken()
}

// placeOf returns the place under node that path names, as in "rules[2].id",
// or as much of it as is there.
func placeOf(node ast.Node, path string) *token.Token {
	at := startOf(node)
	for path != "" && !isNull(node) {
		var next ast.Node
		if index, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]"); ok && path[0] == '[' {
			i, err := strconv.Atoi(index)
			seq, isSeq := unwrap(node).(*ast.SequenceNode)
			if err != nil || !isSeq || i < 0 || i >= len(seq.Values) {
				return at
			}
			next, path = seq.Values[i], strings.TrimPrefix(rest, ".")
			at = startOf(next)
		} else {
			name := path[:len(path)-len(strings.TrimLeft(path, pathName))]
			pairs, _ := pairsOf(node)
			i := slices.IndexFunc(pairs, func(p *ast.MappingValueNode) bool { return p.Key.GetToken().Value == name })
			if name == "" || i < 0 {
				return at
			}
			next, path = pairs[i].Value, strings.TrimPrefix(path[len(name):], ".")
			if at = next.GetToken(); isNull(next) || at == nil {
				at = pairs[i].Key.GetToken()
			}
		}
		node = next
	}
	return at
}

// pathName are the characters of a key in a path.
const pathName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

func (f file) validateInner(node ast.Node, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Struct:
		pairs, _ := pairsOf(node)
		keys, _ := keysOf(v.Type())
		for _, p := range pairs {
			k, ok := keys[p.Key.GetToken().Value]
			if !ok || isNull(p.Value) {
				continue
			}
			fv, err := v.FieldByIndexErr(k.index)
			if err != nil {
				continue
			}
			if err := f.validate(p.Value, fv); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		if seq, ok := unwrap(node).(*ast.SequenceNode); ok && len(seq.Values) == v.Len() {
			for i, n := range seq.Values {
				if err := f.validate(n, v.Index(i)); err != nil {
					return err
				}
			}
		}
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			return nil
		}
		pairs, _ := pairsOf(node)
		for _, p := range pairs {
			mv := v.MapIndex(reflect.ValueOf(p.Key.GetToken().Value).Convert(v.Type().Key()))
			if !mv.IsValid() {
				continue
			}
			if err := f.validate(p.Value, mv); err != nil {
				return err
			}
		}
	}
	return nil
}

func validatorOf(v reflect.Value) (Validator, bool) {
	if v.CanAddr() && v.Addr().CanInterface() {
		c, ok := reflect.TypeAssert[Validator](v.Addr())
		return c, ok
	}
	p := reflect.New(v.Type()) // map values have no address
	p.Elem().Set(v)
	c, ok := reflect.TypeAssert[Validator](p)
	return c, ok
}

var duplicate = regexp.MustCompile(`^mapping key .* already defined at \[(\d+):(\d+)\]$`)

// syntaxMessage words a parser error without the text it stumbled on.
func syntaxMessage(e yaml.Error) string {
	if m := duplicate.FindStringSubmatch(e.GetMessage()); m != nil {
		return "key given twice: first at line " + m[1] + ", column " + m[2]
	}
	return unreadable
}
