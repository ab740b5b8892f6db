package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// maxJSONDepth is how deep objects and lists may stand in one another in the
// JSON this package reads.
const maxJSONDepth = 16

var errJSON = errors.New("not strict JSON")

// strictJSON decodes b into v and refuses what encoding/json lets pass and
// other readers might take otherwise: text that is not UTF-8, a key named
// twice, a key in another case, a key v does not have, deep nesting, or
// anything after the end.
func strictJSON(b []byte, v any) error {
	if !utf8.Valid(b) {
		return errJSON
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := walkJSON(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errJSON
	}
	dec = json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// walkJSON reads one value and checks its keys.
func walkJSON(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxJSONDepth {
		return errJSON
	}
	var seen map[string]bool
	for dec.More() {
		if d == '{' {
			k, err := dec.Token()
			if err != nil {
				return err
			}
			key, ok := k.(string)
			if !ok || !plainKey(key) || seen[key] {
				return errJSON
			}
			if seen == nil {
				seen = make(map[string]bool, 8)
			}
			seen[key] = true
		}
		if err := walkJSON(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// plainKey reports whether s has only the characters our keys have: without
// upper-case letters encoding/json cannot match a key in another case.
func plainKey(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	return s != ""
}

// b64bytes is a byte string in JSON in its one base64 spelling: encoding/json
// itself skips line ends and ignores trailing bits.
type b64bytes []byte

// UnmarshalJSON implements [json.Unmarshaler].
func (b *b64bytes) UnmarshalJSON(j []byte) error {
	if len(j) < 2 || j[0] != '"' || bytes.IndexByte(j, '\\') >= 0 {
		return errJSON
	}
	d, err := decodeBase64(string(j[1 : len(j)-1]))
	if err != nil {
		return errJSON
	}
	*b = d
	return nil
}
