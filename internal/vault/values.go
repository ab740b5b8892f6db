package vault

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/nearest"
)

// A plainField is one field of a write: its plaintext as it will be sealed.
// Wipe it after sealing.
type plainField struct {
	field *Field
	value []byte
	index string // normalised value of an indexed field
}

// checkedValues is a write, checked against the schema.
type checkedValues struct {
	set    []plainField // in order of field name
	remove []*Field
}

func (v *checkedValues) wipe() {
	for i := range v.set {
		clear(v.set[i].value)
	}
}

// checkValues holds the values of a write against the schema. Errors name the
// field under prefix and never hold the value.
func checkValues(c *Collection, values apitype.Values, prefix string) (*checkedValues, error) {
	if len(values) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: prefix + "values", Message: "no values given", Hint: "name at least one field"}
	}
	v := &checkedValues{set: make([]plainField, 0, len(values))}
	for _, name := range sortedNames(values) {
		at := prefix + "values." + safeName(name)
		f := c.Fields[name]
		if f == nil {
			return nil, unknownField(c, name, at)
		}
		raw := bytes.TrimSpace(values[name])
		if string(raw) == "null" || len(raw) == 0 {
			v.remove = append(v.remove, f)
			continue
		}
		plain, err := f.parse(raw)
		if err != nil {
			err.Field = at
			return nil, err
		}
		p := plainField{field: f, value: plain}
		if f.Custody == CustodyQuorum && len(plain) > maxQuorumValue {
			return nil, &bonded.Error{Code: bonded.CodeTooLarge, Field: at, Message: "value of a field in custody of a quorum is over 65,507 bytes", Hint: "split it over several fields, or keep it elsewhere and store its address"}
		}
		if f.Indexed() {
			n, err := f.normaliser.Normalise(string(plain))
			if err != nil {
				return nil, indexError(err, at)
			}
			p.index = n
		}
		v.set = append(v.set, p)
	}
	return v, nil
}

func indexError(err error, at string) *bonded.Error {
	code := bonded.CodeOf(err)
	if code == bonded.CodeInternal {
		code = bonded.CodeInvalid
	}
	return &bonded.Error{Code: code, Field: at, Message: "value has no form that could be indexed", Hint: "see the normaliser of the field in the schema", Err: err}
}

// safeName returns name if it has the form of a field name, so that what a
// caller put in the wrong place is not echoed.
func safeName(name string) string {
	if bonded.ValidName(name) {
		return name
	}
	return "?"
}

func unknownField(c *Collection, name, at string) *bonded.Error {
	return &bonded.Error{
		Code: bonded.CodeUnknownField, Field: at, Message: "collection " + c.Name + " has no such field",
		Hint: meant(name, sortedNames(c.Fields), "see the schema of the collection"),
	}
}

// meant hints at the one known name that is close, not at all there are: who
// asks may not be allowed to know them.
func meant(name string, known []string, otherwise string) string {
	if k, ok := nearest.Word(name, known); ok {
		return "did you mean " + k + "?"
	}
	return otherwise
}

func wrongType(t Type) *bonded.Error {
	return &bonded.Error{Code: bonded.CodeWrongType, Message: "value is not of the type of the field", Hint: "the schema says " + string(t)}
}

// parse returns the plaintext of a JSON value that is not null: text without
// its quotes, everything else as it was written.
func (f *Field) parse(raw []byte) ([]byte, *bonded.Error) {
	if !utf8.Valid(raw) {
		return nil, &bonded.Error{Code: bonded.CodeInvalidUTF8, Message: "value is not UTF-8"}
	}
	plain := bytes.Clone(raw)
	switch f.Type {
	case TypeString, TypeDate:
		s, err := unquote(raw, f.Type)
		if err != nil {
			return nil, err
		}
		plain = s
		if f.Type == TypeDate {
			if _, err := time.Parse(time.DateOnly, string(s)); err != nil {
				return nil, &bonded.Error{Code: bonded.CodeWrongType, Message: "value is not a date", Hint: "write dates as YYYY-MM-DD"}
			}
		}
	case TypeBoolean:
		if s := string(raw); s != "true" && s != "false" {
			return nil, wrongType(f.Type)
		}
	case TypeInteger:
		if n, err := strconv.ParseInt(string(raw), 10, 64); err != nil || strconv.FormatInt(n, 10) != string(raw) {
			return nil, wrongType(f.Type)
		}
	case TypeNumber:
		if !(raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') || !json.Valid(raw) {
			return nil, wrongType(f.Type)
		}
	case TypeJSON:
		if !json.Valid(raw) {
			return nil, wrongType(f.Type)
		}
	}
	if len(plain) > apitype.MaxField {
		return nil, &bonded.Error{Code: bonded.CodeTooLarge, Message: "value is over 65,536 bytes", Hint: "split it over several fields, or keep it elsewhere and store its address"}
	}
	return plain, nil
}

// unquote returns the text of a JSON string. Escapes that stand for no
// character, such as half of a surrogate pair, are refused: what comes out is
// what went in, byte for byte.
func unquote(raw []byte, t Type) ([]byte, *bonded.Error) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, wrongType(t)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		if !json.Valid(raw) {
			return nil, wrongType(t)
		}
		return bytes.Clone(raw[1 : len(raw)-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, wrongType(t)
	}
	if strings.Count(s, "\ufffd") != bytes.Count(raw, []byte("\ufffd"))+bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`)) {
		return nil, &bonded.Error{Code: bonded.CodeInvalidUTF8, Message: "value has an escape that stands for no character"}
	}
	return []byte(s), nil
}

// render returns the JSON value of an opened plaintext.
func (f *Field) render(plain []byte) json.RawMessage {
	if f.Type == TypeString || f.Type == TypeDate {
		return quote(plain)
	}
	return bytes.Clone(plain)
}

const hexDigits = "0123456789abcdef"

// quote returns text as a JSON string. It escapes only what JSON must, which
// encoding/json does not do as cheaply.
func quote(s []byte) json.RawMessage {
	out := make([]byte, 0, len(s)+2)
	out = append(out, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
