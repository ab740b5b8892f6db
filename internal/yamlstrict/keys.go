package yamlstrict

import (
	"encoding"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"bonded/internal/nearest"
)

// A key is one struct field as a file spells it.
type key struct {
	index    []int
	typ      reflect.Type
	required bool
}

// keysOf returns the keys of a struct type, those of embedded and inline
// structs included, and their names in order of declaration.
func keysOf(t reflect.Type) (map[string]key, []string) {
	keys, names := map[string]key{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if strings.Contains(options, "inline") && deref(f.Type).Kind() == reflect.Struct {
			inner, innerNames := keysOf(deref(f.Type))
			for _, n := range innerNames {
				k := inner[n]
				k.index = append([]int{i}, k.index...)
				keys[n], names = k, append(names, n)
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		keys[name] = key{index: f.Index, typ: f.Type, required: f.Tag.Get("required") == "true"}
		names = append(names, name)
	}
	return keys, names
}

// checkKeys walks node beside its type and returns the first unknown or
// missing key. What names the value for messages.
func (f file) checkKeys(node ast.Node, t reflect.Type, what string) error {
	if opaque(t) {
		return nil
	}
	t = deref(t)
	switch t.Kind() {
	case reflect.Struct:
		pairs, ok := pairsOf(node)
		if !ok {
			if isNull(node) {
				pairs = nil
			} else {
				return f.errorAt(node.GetToken(), what+" should be a mapping of keys to values", "")
			}
		}
		return f.checkStruct(node, pairs, t, what)
	case reflect.Slice, reflect.Array:
		seq, ok := unwrap(node).(*ast.SequenceNode)
		if !ok {
			return nil // the decoder words the mismatch
		}
		for _, v := range seq.Values {
			if err := f.checkKeys(v, t.Elem(), "each entry of "+what); err != nil {
				return err
			}
		}
	case reflect.Map:
		pairs, _ := pairsOf(node)
		for _, p := range pairs {
			if err := f.checkKeys(p.Value, t.Elem(), p.Key.GetToken().Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f file) checkStruct(node ast.Node, pairs []*ast.MappingValueNode, t reflect.Type, what string) error {
	keys, names := keysOf(t)
	seen := map[string]bool{}
	for _, p := range pairs {
		name := p.Key.GetToken().Value
		k, ok := keys[name]
		if !ok {
			return f.errorAt(p.Key.GetToken(), "unknown key "+quoteKey(name), nearest.Hint(name, names))
		}
		if k.required && isNull(p.Value) {
			return f.errorAt(p.Key.GetToken(), "key "+name+" has no value", "")
		}
		seen[name] = true
		if err := f.checkKeys(p.Value, k.typ, name); err != nil && !isNull(p.Value) {
			return err
		}
	}
	for _, name := range names {
		if keys[name].required && !seen[name] {
			var at *token.Token
			if len(pairs) > 0 {
				at = pairs[0].Key.GetToken()
			} else if node != nil {
				at = node.GetToken()
			}
			return f.errorAt(at, what+" lacks the key "+name, "add "+name+": to it")
		}
	}
	return nil
}

// quoteKey shows a key in a message, unless it is no word: then it may be a
// value in the wrong place.
func quoteKey(s string) string {
	if len(s) > 40 || strings.ContainsAny(s, " \t\n\"'=/+") {
		return "(not shown)"
	}
	return s
}

// pairsOf returns the pairs of a mapping and whether node is one. The parser
// gives a mapping of one pair as the pair.
func pairsOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := unwrap(node).(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func unwrap(node ast.Node) ast.Node {
	for {
		switch n := node.(type) {
		case *ast.TagNode:
			node = n.Value
		case *ast.AnchorNode:
			node = n.Value
		default:
			return node
		}
	}
}

func isNull(node ast.Node) bool {
	return node == nil || unwrap(node) == nil || unwrap(node).Type() == ast.NullType
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

var opaqueInterfaces = []reflect.Type{
	reflect.TypeFor[encoding.TextUnmarshaler](),
	reflect.TypeFor[yaml.BytesUnmarshaler](),
	reflect.TypeFor[yaml.InterfaceUnmarshaler](),
	reflect.TypeFor[yaml.NodeUnmarshaler](),
}

// opaque reports whether a type reads itself, so that its fields are not keys.
func opaque(t reflect.Type) bool {
	p := reflect.PointerTo(deref(t))
	return slices.ContainsFunc(opaqueInterfaces, p.Implements)
}
