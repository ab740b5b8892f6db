package personkey_test

import (
	"fmt"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/personkey"
)

func TestKeyRoundTripsPlainAndSealed(t *testing.T) {
	k, err := personkey.New("legal-1", "eu")
	if err != nil {
		t.Fatal(err)
	}
	for _, pass := range []string{"", "correct horse"} {
		b, err := k.Encode([]byte(pass))
		if err != nil {
			t.Fatal(err)
		}
		got, err := personkey.Parse(b, []byte(pass))
		if err != nil || !got.Private().Equal(k.Private()) || got.Person != "legal-1" || got.Cell != "eu" {
			t.Errorf("passphrase %q: %v, %v", pass, got, err)
		}
		if pass != "" {
			for _, wrong := range []string{"", "wrong"} {
				if _, err := personkey.Parse(b, []byte(wrong)); bonded.CodeOf(err) != bonded.CodeConfig {
					t.Errorf("opened with %q: %v", wrong, err)
				}
			}
		}
	}
}

func TestKeyNeverPrints(t *testing.T) {
	k, err := personkey.New("legal-1", "eu")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, v := range []any{k, *k} {
			if s := fmt.Sprintf(verb, v); s != "legal-1 of cell eu [key]" {
				t.Errorf("%s prints %q", verb, s)
			}
		}
	}
}

func TestParseRefusesOtherFiles(t *testing.T) {
	for _, bad := range []string{
		"", "{}", `{"format":"bonded/person-key/2","person":"a","cell":"eu","key":"AA=="}`,
		`{"format":"bonded/person-key/1","person":"a","cell":"eu","key":"AA=="}`,
		`{"format":"bonded/person-key/1","person":"a","cell":"eu"}`,
		`{"format":"bonded/person-key/1","person":"a","cell":"eu","key":"` + strings.Repeat("A", 43) + `=","more":1}`,
		`{"format":"bonded/person-key/1","person":"a","cell":"eu","key":"` + strings.Repeat("A", 43) + `="} {}`,
	} {
		if _, err := personkey.Parse([]byte(bad), nil); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
