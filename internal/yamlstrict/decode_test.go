package yamlstrict_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/yamlstrict"
)

type listen struct {
	Address string        `yaml:"address" required:"true"`
	Grace   time.Duration `yaml:"grace"`
	Limit   uint8         `yaml:"limit"`
}

type Common struct {
	Comment string `yaml:"comment"`
}

type colour string

func (c *colour) UnmarshalText(b []byte) error {
	if string(b) != "red" && string(b) != "green" {
		return &bonded.Error{Code: bonded.CodeConfig, Message: "unknown colour", Hint: "use red or green"}
	}
	*c = colour(b)
	return nil
}

type port struct {
	Number int `yaml:"number"`
}

func (p *port) Validate() error {
	if p.Number > 65535 {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "number", Message: "no such port", Hint: "use 1 to 65535"}
	}
	if p.Number < 0 {
		return errors.New("some cause with a value")
	}
	return nil
}

type config struct {
	Cell     string            `yaml:"cell" required:"true"`
	Purposes []string          `yaml:"purposes"`
	API      listen            `yaml:"api"`
	Metrics  *listen           `yaml:"metrics"`
	Rest     []listen          `yaml:"rest"`
	Named    map[string]listen `yaml:"named"`
	Ports    map[string]port   `yaml:"ports"`
	Colour   colour            `yaml:"colour"`
	Common   `yaml:",inline"`
}

func TestDecodeReadsDocumentAndKeepsDefaults(t *testing.T) {
	got := config{API: listen{Grace: time.Second, Limit: 7}, Colour: "green"}
	err := yamlstrict.Decode("c.yaml", []byte(`# a comment
cell: cn
purposes: [support, fraud]
api:
  address: 127.0.0.1:0
metrics: {address: "x", grace: 1m}
rest:
  - address: a
  - {address: b, limit: 255}
named:
  丁: {address: c}
ports: {http: {number: 80}}
comment: ok
`), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		Cell: "cn", Purposes: []string{"support", "fraud"},
		API:     listen{Address: "127.0.0.1:0", Grace: time.Second, Limit: 7},
		Metrics: &listen{Address: "x", Grace: time.Minute},
		Rest:    []listen{{Address: "a"}, {Address: "b", Limit: 255}},
		Named:   map[string]listen{"丁": {Address: "c"}},
		Ports:   map[string]port{"http": {80}},
		Colour:  "green", Common: Common{"ok"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
}

func TestDecodeErrorsNamePlaceAndNearestKey(t *testing.T) {
	for name, c := range map[string]struct{ text, field, message, hint string }{
		"unknown key":            {"cell: cn\npurpsoes: [a]\n", "c.yaml:2:1", "unknown key purpsoes", "did you mean purposes?"},
		"unknown inner key":      {"cell: cn\napi:\n  adress: x\n", "c.yaml:3:3", "unknown key adress", "did you mean address?"},
		"unknown key in flow":    {"cell: cn\napi: {address: x, grce: 1s}\n", "c.yaml:2:19", "unknown key grce", "did you mean grace?"},
		"unknown key in list":    {"cell: cn\nrest:\n  - address: x\n  - address: y\n    limti: 2\n", "c.yaml:5:5", "unknown key limti", "did you mean limit?"},
		"unknown key in map":     {"cell: cn\nnamed:\n  one:\n    zzz: 1\n", "c.yaml:4:5", "unknown key zzz", "known here: address, grace, limit"},
		"key that is a value":    {"cell: cn\n\"hunter2 = pass\": 1\n", "c.yaml:2:1", "unknown key (not shown)", "known here: api, cell, colour, comment, metrics, named, ports, purposes, rest"},
		"missing key":            {"purposes: [a]\n", "c.yaml:1:1", "the file lacks the key cell", "add cell: to it"},
		"missing inner key":      {"cell: cn\napi:\n  limit: 2\n", "c.yaml:3:3", "api lacks the key address", "add address: to it"},
		"missing key in list":    {"cell: cn\nrest:\n  - address: x\n  - limit: 1\n", "c.yaml:4:5", "each entry of rest lacks the key address", "add address: to it"},
		"empty file":             {"", "c.yaml:1:1", "the file lacks the key cell", "add cell: to it"},
		"only a comment":         {"# nothing\n", "c.yaml:1:1", "the file lacks the key cell", "add cell: to it"},
		"required key is null":   {"cell:\n", "c.yaml:1:1", "key cell has no value", ""},
		"repeated key":           {"cell: cn\ncell: eu\n", "c.yaml:2:1", "key given twice: first at line 1, column 1", ""},
		"list for a mapping":     {"cell: cn\napi: [a]\n", "c.yaml:2:6", "api should be a mapping of keys to values", ""},
		"text for a mapping":     {"just text\n", "c.yaml:1:1", "the file should be a mapping of keys to values", ""},
		"mapping for a list":     {"cell: cn\npurposes: {a: b}\n", "c.yaml:2:11", "wrong value: expected a list", ""},
		"text for a number":      {"cell: cn\napi: {address: x, limit: secret}\n", "c.yaml:2:26", "wrong value: expected a whole number, not negative", ""},
		"number too large":       {"cell: cn\napi: {address: x, limit: 256}\n", "c.yaml:2:26", "number out of range", ""},
		"bad duration":           {"cell: cn\napi:\n  address: x\n  grace: secret\n", "c.yaml:4:10", "wrong value: expected a duration such as 15m or 24h", ""},
		"type that reads itself": {"cell: cn\ncolour: secret\n", "c.yaml:2:9", "wrong value: expected a colour", "unknown colour; use red or green"},
		"validator names key":    {"cell: cn\nports:\n  http:\n    number: 70000\n", "c.yaml:4:13", "no such port", "use 1 to 65535"},
		"validator, other error": {"cell: cn\nports: {http: {number: -1}}\n", "c.yaml:2:16", "the value does not hold", ""},
		"anchor":                 {"cell: &a cn\n", "c.yaml:1:7", "anchors, aliases and merge keys are not read", "write the value out, or put it in quotes"},
		"alias":                  {"cell: *a\n", "c.yaml:1:7", "anchors, aliases and merge keys are not read", "write the value out, or put it in quotes"},
		"tag":                    {"cell: !!str cn\n", "c.yaml:1:7", "tags are not read", "remove it, or put the value in quotes"},
		"second document":        {"cell: cn\n---\ncell: eu\n", "c.yaml:3:5", "a second document in the file", "keep one document per file"},
		"open quote":             {"cell: \"secret\n", "c.yaml:1:7", "not readable as YAML: check indentation, quotes and brackets here", ""},
		"deep flow":              {"cell: " + strings.Repeat("[", 100000), "c.yaml:1:71", "nested too deep", ""},
		"deep block":             {"cell:\n  " + strings.Repeat("- ", 100000), "c.yaml:2:513", "nested too deep", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got config
			err := yamlstrict.Decode("c.yaml", []byte(c.text), &got)
			var e *bonded.Error
			if !errors.As(err, &e) {
				t.Fatalf("err = %v, want a coded error", err)
			}
			want := &bonded.Error{Code: bonded.CodeConfig, Field: c.field, Message: c.message, Hint: c.hint}
			if d := cmp.Diff(want, &bonded.Error{Code: e.Code, Field: e.Field, Message: e.Message, Hint: e.Hint}); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
			if strings.Contains(e.Message+e.Hint, "secret") {
				t.Error("the error echoes a value")
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("cell: cn\napi: {address: x}\n"))
	f.Add([]byte("cell: [a, {b: c}]\nrest:\n- address: |\n    x\n"))
	f.Add([]byte("? a\n: b\n--- \n%TAG"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c config
		err := yamlstrict.Decode("f", data, &c)
		if err != nil && bonded.CodeOf(err) != bonded.CodeConfig {
			t.Fatalf("error without the code: %v", err)
		}
		if err == nil && c.Cell == "" && !strings.Contains(string(data), "cell") {
			t.Fatal("accepted a file without a required key")
		}
	})
}
