package api

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// A shape is what JSON a Go type takes: made once per type, so that reading a
// request needs no reflection before it is known to be good.
type shape struct {
	kind     kind
	typ      reflect.Type
	nullable bool     // null is allowed
	names    []string // of an object's fields
	fields   []*shape // beside names
	elem     *shape   // of lists and dictionaries
}

type kind uint8

const (
	kindObject  kind = iota // known names
	kindDict                // any name, one shape of value
	kindList                //
	kindText                // a string, also one that a type reads itself
	kindInteger             //
	kindBoolean             //
	kindScalar              // string, number, boolean
)

// String returns how a hint calls the kind.
func (k kind) String() string {
	return [...]string{"an object", "an object", "a list", "a string", "a whole number", "true or false", "a string, a number, true or false"}[k]
}

var shapes sync.Map // reflect.Type → *shape

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawMessage      = reflect.TypeFor[json.RawMessage]()
)

// shapeOf returns the shape of t. It panics on a type that no request has:
// requests are the structs of package apitype, known at build time.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape) //nolint:errcheck // only shapes are stored
	}
	s := makeShape(t)
	shapes.Store(t, s)
	return s
}

func makeShape(t reflect.Type) *shape {
	s := &shape{typ: t}
	switch {
	case t.Kind() == reflect.Pointer:
		*s = *makeShape(t.Elem())
		s.typ, s.nullable = t, true
	case t == rawMessage:
		s.kind, s.nullable = kindScalar, true
	case reflect.PointerTo(t).Implements(textUnmarshaler), t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8, t.Kind() == reflect.String:
		s.kind = kindText
	case t.Kind() == reflect.Bool:
		s.kind = kindBoolean
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		s.kind = kindInteger
	case t.Kind() == reflect.Slice:
		s.kind, s.elem = kindList, makeShape(t.Elem())
	case t.Kind() == reflect.Map:
		s.kind, s.elem = kindDict, makeShape(t.Elem())
	case t.Kind() == reflect.Struct:
		s.kind = kindObject
		s.addFields(t)
		if len(s.names) > 64 {
			panic("api: more than 64 fields in " + t.String())
		}
	default:
		panic("api: no request has a " + t.String())
	}
	return s
}

// addFields lists the fields of t by their JSON names; embedded structs are
// flattened as package json does.
func (s *shape) addFields(t reflect.Type) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" {
			s.addFields(f.Type)
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		if name == "-" || name == "" || !f.IsExported() {
			continue
		}
		s.names = append(s.names, name)
		s.fields = append(s.fields, makeShape(f.Type))
	}
}
