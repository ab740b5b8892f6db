package vault_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/vault"
)

func TestSchemaErrorsNameLineAndColumn(t *testing.T) {
	field := func(s string) string {
		return "collections:\n  users:\n    fields:\n      name: {type: string, class: personal" + s + "}\n"
	}
	for name, tc := range map[string]struct{ text, field, message string }{
		"unknown custody":     {field(", custody: escrow"), "s.yaml:4:54", "unknown custody"},
		"unknown key":         {field(", indx: nfkc"), "s.yaml:4:45", ""},
		"unknown normaliser":  {field(", index: soundex"), "s.yaml:4:52", "unknown normaliser"},
		"unknown mask":        {field(", mask: blur"), "s.yaml:4:51", "unknown mask"},
		"retention of a word": {field(", retention: long"), "s.yaml:4:56", ""},
		"no class":            {"collections:\n  users:\n    fields:\n      name: {type: string}\n", "s.yaml:4", ""},
		"unknown class":       {"collections:\n  users:\n    fields:\n      name: {type: string, class: secret}\n", "s.yaml:4:35", "unknown class"},
		"unknown type":        {"collections:\n  users:\n    fields:\n      name: {type: text, class: personal}\n", "s.yaml:4:20", "unknown type"},
		"indexed number":      {"collections:\n  users:\n    fields:\n      name: {type: number, class: personal, index: exact}\n", "s.yaml:4", ""},
		"name with a space":   {"collections:\n  users:\n    fields:\n      Full Name: {type: string, class: personal}\n", "s.yaml:3:5", "not a name for a field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := vault.LoadSchema("s.yaml", []byte(tc.text))
			var e *bonded.Error
			if !errors.As(err, &e) || e.Code != bonded.CodeConfig {
				t.Fatalf("%v", err)
			}
			if !strings.HasPrefix(e.Field, tc.field) || tc.message != "" && e.Message != tc.message {
				t.Errorf("%s: %s, want %s: %s", e.Field, e.Message, tc.field, tc.message)
			}
		})
	}
}

func TestSchemaWithDataMayGrowAndNotShrink(t *testing.T) {
	load := func(fields string) *vault.Collection {
		t.Helper()
		s, err := vault.LoadSchema("s.yaml", []byte("collections:\n  users:\n    fields:\n"+fields))
		if err != nil {
			t.Fatal(err)
		}
		return s.Collections["users"]
	}
	const name = "      name: {type: string, class: personal, index: nfkc, mask: keep_first, retention: P1Y}\n"
	before := load(name)
	b, err := before.Encode()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := vault.DecodeCollection("users", b)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := stored.Encode(); !bytes.Equal(again, b) {
		t.Errorf("%s\n%s", b, again)
	}
	for what, tc := range map[string]struct {
		fields string
		field  string
	}{
		"the same":        {name, ""},
		"another field":   {name + "      age: {type: integer, class: personal}\n", ""},
		"stricter class":  {"      name: {type: string, class: sensitive, index: nfkc}\n", ""},
		"removed field":   {"      age: {type: integer, class: personal}\n", "collections.users.fields.name"},
		"another type":    {"      name: {type: json, class: personal}\n", "collections.users.fields.name.type"},
		"laxer class":     {"      name: {type: string, class: anonymous, index: nfkc}\n", "collections.users.fields.name.class"},
		"another index":   {"      name: {type: string, class: personal, index: exact}\n", "collections.users.fields.name.index"},
		"no index at all": {"      name: {type: string, class: personal}\n", "collections.users.fields.name.index"},
	} {
		err := stored.CheckSuccessor(load(tc.fields))
		var e *bonded.Error
		if tc.field == "" && err != nil || tc.field != "" && (!errors.As(err, &e) || e.Field != tc.field) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMasksShowNoMoreThanTheySay(t *testing.T) {
	for _, tc := range []struct{ mask, value, want string }{
		{"", "secret", "******"},
		{"all", "a very long secret indeed", "********"},
		{"all", "", "*"},
		{"keep_first", "李娜", "**"},
		{"keep_first", "Anna", "A***"},
		{"keep_first:2", "Anna", "****"},
		{"keep_last", "4929123456781234", "********1234"},
		{"keep_last", "1234", "****"},
		{"email", "anna@example.com", "a***@example.com"},
		{"email", "a@example.com", "*@example.com"},
		{"email", "no address", "********"},
		{"phone", "+4930123456", "+********56"},
		{"phone", "12345", "*****"},
	} {
		m, err := vault.ParseMask(tc.mask)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Apply(tc.value); got != tc.want {
			t.Errorf("%s of %q: %q, want %q", tc.mask, tc.value, got, tc.want)
		}
	}
	for _, bad := range []string{"keep_first:0", "keep_last:17", "keep_last:x", "email:2", "blur"} {
		if _, err := vault.ParseMask(bad); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestPeriodsAreCalendarLengths(t *testing.T) {
	at := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"P1Y": "2025-03-01", "P18M": "2025-08-29", "P2W": "2024-03-14", "P1Y6M10D": "2025-09-08", "90": "2024-05-29", "90 days": "2024-05-29", "1 day": "2024-03-01",
	} {
		p, err := vault.ParsePeriod(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.After(at).Format(time.DateOnly); got != want || p.String() != text {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{"", "P", "P0D", "0", "P1D1Y", "P1Y1Y", "PT5H", "-P1D", "P1", "five", "P99999Y"} {
		if _, err := vault.ParsePeriod(bad); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzDecodeFields(f *testing.F) {
	f.Add(vault.EncodeFields([]vault.StoredField{{Field: 1, Version: bonded.ID{1}, Due: 5, Index: make([]byte, 16), Sealed: []byte("sealed")}, {Field: 300, Sealed: []byte{}}}))
	f.Add(vault.EncodeFields(storedFields(nil, []byte("a"), []byte("b"), []byte("a"))))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := vault.DecodeFields(b)
		if err != nil {
			if bonded.CodeOf(err) != bonded.CodeAltered {
				t.Fatal(err)
			}
			return
		}
		if again := vault.EncodeFields(fields); !bytes.Equal(again, b) {
			t.Error(cmp.Diff(b, again))
		}
	})
}
