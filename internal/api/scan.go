package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"bonded"
	"bonded/internal/nearest"
)

// decode reads body into the value that into points to, of shape sh. Beyond
// package json it refuses unknown and repeated names, names in other case,
// null where nothing may be absent, text that is not UTF-8 and halves of
// surrogate pairs, and says by path where. It returns a [*bonded.Error].
func decode(body []byte, sh *shape, into any) error {
	if !utf8.Valid(body) {
		return &bonded.Error{Code: bonded.CodeInvalidUTF8, Message: "the body is not UTF-8", Hint: "send JSON in UTF-8"}
	}
	// 1. One pass over the bytes holds them against the shape.
	s := scanner{b: body}
	if err := s.document(sh); err != nil {
		return err
	}
	// 2. Then package json can only fail at a text that a type refuses or a
	// number that does not fit. That is rare: the second pass finds where.
	if err := json.Unmarshal(body, into); err != nil {
		s = scanner{b: body, probe: true}
		if e := s.document(sh); e != nil {
			return e
		}
		return bonded.Wrap(bonded.CodeInvalid, err, "the body cannot be read")
	}
	return nil
}

// A scanner walks over JSON text once.
type scanner struct {
	b     []byte
	i     int
	probe bool // try every scalar against its type, to find the bad one
}

func (s *scanner) document(sh *shape) error {
	if err := s.value(sh); err != nil {
		return err
	}
	if s.space(); s.i != len(s.b) {
		return invalid("there is something after the end of the JSON object")
	}
	return nil
}

func invalid(message string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeInvalid, Message: message, Hint: "send one JSON object"}
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

// take moves past c, after white space.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) value(sh *shape) *bonded.Error {
	s.space()
	if s.i == len(s.b) {
		return invalid("the body ends in the middle")
	}
	start := s.i
	var err *bonded.Error
	switch c := s.b[s.i]; {
	case c == '{' && sh.kind == kindObject:
		return s.object(sh)
	case c == '{' && sh.kind == kindDict:
		return s.dict(sh)
	case c == '[' && sh.kind == kindList:
		return s.list(sh)
	case c == '"' && (sh.kind == kindText || sh.kind == kindScalar):
		_, err = s.text()
	case c == 't' && (sh.kind == kindBoolean || sh.kind == kindScalar):
		err = s.literal("true")
	case c == 'f' && (sh.kind == kindBoolean || sh.kind == kindScalar):
		err = s.literal("false")
	case c == 'n' && sh.nullable:
		err = s.literal("null")
	case (c == '-' || c >= '0' && c <= '9') && (sh.kind == kindInteger || sh.kind == kindScalar):
		err = s.number(sh.kind == kindInteger)
	case c == '{' || c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n' || c == '-' || c >= '0' && c <= '9':
		return &bonded.Error{Code: bonded.CodeWrongType, Message: "a value of another type is needed here", Hint: "give " + sh.kind.String()}
	default:
		return invalid("the body is not JSON")
	}
	if err == nil && s.probe {
		err = try(s.b[start:s.i], sh.typ)
	}
	return err
}

// try reads one scalar into its own type, for the error that it gives.
func try(raw []byte, t reflect.Type) *bonded.Error {
	err := json.Unmarshal(raw, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	if e, ok := err.(*bonded.Error); ok { //nolint:errorlint // json hands the type's own error through
		c := *e
		return &c
	}
	return &bonded.Error{Code: bonded.CodeWrongType, Message: "the value does not have the form that is needed here", Err: err}
}

// under puts a step before the path of an error from further in.
func under(step string, err *bonded.Error) *bonded.Error {
	switch {
	case err.Field == "":
		err.Field = step
	case err.Field[0] == '[':
		err.Field = step + err.Field
	default:
		err.Field = step + "." + err.Field
	}
	return err
}

// shown returns name if it may stand in an error: a caller can put anything
// there, also personal data, so only what could be a field's name is echoed.
func shown(name string) string {
	if len(name) > 64 {
		return "?"
	}
	for i := range len(name) {
		c := name[i] | 0x20
		if !(c >= 'a' && c <= 'z' || name[i] >= '0' && name[i] <= '9' || name[i] == '_' || name[i] == '-' || name[i] == '.') {
			return "?"
		}
	}
	return name
}

func (s *scanner) object(sh *shape) *bonded.Error {
	s.i++ // past the brace
	if s.take('}') {
		return nil
	}
	var seen uint64
	for {
		name, err := s.name()
		if err != nil {
			return err
		}
		at := -1
		for i := range sh.names {
			if sh.names[i] == string(name) {
				at = i
				break
			}
		}
		if at < 0 {
			return &bonded.Error{
				Code: bonded.CodeUnknownField, Field: shown(string(name)), Message: "there is no such field here",
				Hint: nearest.Hint(string(name), sh.names),
			}
		}
		if seen&(1<<at) != 0 {
			return repeated(sh.names[at])
		}
		seen |= 1 << at
		if err := s.value(sh.fields[at]); err != nil {
			return under(sh.names[at], err)
		}
		if end, err := s.next('}'); end || err != nil {
			return err
		}
	}
}

func repeated(name string) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeInvalid, Field: shown(name), Message: "a name stands twice in one object", Hint: "give it once"}
}

func (s *scanner) dict(sh *shape) *bonded.Error {
	s.i++ // past the brace
	if s.take('}') {
		return nil
	}
	var first [16][]byte // most dictionaries are small: no map for them
	seen := first[:0]
	var many map[string]bool
	for {
		name, err := s.name()
		if err != nil {
			return err
		}
		switch {
		case many != nil:
			if many[string(name)] {
				return repeated(string(name))
			}
			many[string(name)] = true
		case slices.ContainsFunc(seen, func(n []byte) bool { return string(n) == string(name) }):
			return repeated(string(name))
		case len(seen) == cap(seen):
			many = make(map[string]bool, 4*len(seen))
			for _, n := range seen {
				many[string(n)] = true
			}
			many[string(name)] = true
		default:
			seen = append(seen, name)
		}
		if err := s.value(sh.elem); err != nil {
			return under(shown(string(name)), err)
		}
		if end, err := s.next('}'); end || err != nil {
			return err
		}
	}
}

func (s *scanner) list(sh *shape) *bonded.Error {
	s.i++ // past the bracket
	if s.take(']') {
		return nil
	}
	for n := 0; ; n++ {
		if err := s.value(sh.elem); err != nil {
			return under("["+strconv.Itoa(n)+"]", err)
		}
		if end, err := s.next(']'); end || err != nil {
			return err
		}
	}
}

// next moves past the comma before the next element, or past the end.
func (s *scanner) next(end byte) (bool, *bonded.Error) {
	if s.take(',') {
		return false, nil
	}
	if s.take(end) {
		return true, nil
	}
	if s.i == len(s.b) {
		return false, invalid("the body ends in the middle")
	}
	return false, invalid("the body is not JSON")
}

// name reads a member name and its colon.
func (s *scanner) name() ([]byte, *bonded.Error) {
	s.space()
	if s.i == len(s.b) {
		return nil, invalid("the body ends in the middle")
	}
	if s.b[s.i] != '"' {
		return nil, invalid("the body is not JSON")
	}
	start := s.i
	escaped, err := s.text()
	if err != nil {
		return nil, err
	}
	name := s.b[start+1 : s.i-1]
	if escaped {
		var t string
		if err := json.Unmarshal(s.b[start:s.i], &t); err != nil {
			return nil, invalid("the body is not JSON")
		}
		name = []byte(t)
	}
	if !s.take(':') {
		return nil, invalid("the body is not JSON")
	}
	return name, nil
}

// text moves past a string and says whether it has escapes.
func (s *scanner) text() (escaped bool, _ *bonded.Error) {
	s.i++ // past the quote
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return false, err
			}
		case c < 0x20:
			return false, invalid("a string has a control character that is not escaped")
		default:
			s.i++
		}
	}
	return false, invalid("the body ends in the middle")
}

func (s *scanner) escape() *bonded.Error {
	if s.i+1 >= len(s.b) {
		return invalid("the body ends in the middle")
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return nil
	case 'u':
		r, ok := s.unit(s.i)
		if !ok {
			return invalid("a string has a malformed escape")
		}
		s.i += 6
		if r < 0xd800 || r > 0xdfff {
			return nil
		}
		if low, ok := s.unit(s.i); ok && r < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
			s.i += 6
			return nil
		}
		return &bonded.Error{Code: bonded.CodeInvalidUTF8, Message: "a string has half of a surrogate pair", Hint: "write characters beyond U+FFFF in UTF-8, or as both halves"}
	}
	return invalid("a string has a malformed escape")
}

// unit reads the escape \uXXXX at i.
func (s *scanner) unit(i int) (uint64, bool) {
	if i+6 > len(s.b) || s.b[i] != '\\' || s.b[i+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.b[i+2:i+6]), 16, 16)
	return n, err == nil && s.b[i+2] != '+'
}

func (s *scanner) literal(word string) *bonded.Error {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return invalid("the body is not JSON")
	}
	s.i += len(word)
	return nil
}

// number moves past a number as RFC 8259 writes it.
func (s *scanner) number(whole bool) *bonded.Error {
	digits := func() bool {
		from := s.i
		for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
			s.i++
		}
		return s.i > from
	}
	bad := func() *bonded.Error { return invalid("a number is malformed") }
	if s.b[s.i] == '-' {
		s.i++
	}
	zero := s.i < len(s.b) && s.b[s.i] == '0'
	from := s.i
	if !digits() || zero && s.i > from+1 {
		return bad()
	}
	integer := true
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if integer = false; !digits() {
			return bad()
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if integer = false; !digits() {
			return bad()
		}
	}
	if whole && !integer {
		return &bonded.Error{Code: bonded.CodeWrongType, Message: "a value of another type is needed here", Hint: "give a whole number"}
	}
	return nil
}
