package normal_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"bonded"
	"bonded/internal/normal"
)

var all = []string{"exact", "nfkc", "email", "phone", "phone:CN", "phone:US", "digits", "date"}

func must(t testing.TB, name string) normal.Normaliser {
	t.Helper()
	n, err := normal.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNormaliseGivesOneSpelling(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"exact", " Ab ", " Ab "},
		{"exact", "", ""},
		{"nfkc", "丁世忠", "丁世忠"},
		{"nfkc", "\u3000丁\u3000世忠 ", "丁 世忠"},
		{"nfkc", "Ａｎｎ", "ann"},
		{"nfkc", "Володин  Вячеслав", "володин вячеслав"},
		{"nfkc", "ВЯЧЕСЛАВ", "вячеслав"},
		{"nfkc", "नरेन्द्र\u200d मोदी", "नरेन्द्र मोदी"},
		{"nfkc", "Jose\u0301 MARI\u0301A", "josé maría"},
		{"nfkc", "STRASSE", "strasse"},
		{"nfkc", "Straße", "strasse"},
		{"nfkc", "Μέγας", "μέγασ"},
		{"nfkc", "𠮷野家", "𠮷野家"},
		{"nfkc", "丈\U000E0100", "丈"},
		{"nfkc", "a\tb\nc\u00a0d", "a b c d"},
		{"nfkc", "\ufeffAnn\u200b", "ann"},
		{"email", " Li.Na+News@Example.ORG, ", "li.na+news@example.org"},
		{"email", "<a@b.de>;", "a@b.de"},
		{"email", "用户@例子.中国", "用户@例子.中国"},
		{"phone", "+86 10 6510-0000", "+861065100000"},
		{"phone:CN", "010-65100000", "+861065100000"},
		{"phone:CN", "13800138000", "+8613800138000"},
		{"phone:US", "202-225-0100", "+12022250100"},
		{"phone:US", "(202) 225-0100 ext. 7", "+12022250100"},
		{"phone:US", "+49 30 2270", "+49302270"},
		{"phone:US", "２０２２２５０１００", "+12022250100"},
		{"digits", "12-34 / 56", "123456"},
		{"digits", "४५६ ٣", "4563"},
		{"digits", "\U0001D7D8\U0001D7E1", "09"},
		{"date", "1958-10-13", "1958-10-13"},
		{"date", "1958/1/3", "1958-01-03"},
		{"date", "19581013", "1958-10-13"},
		{"date", "1958年1月3日", "1958-01-03"},
		{"date", "２０２４.２.２９", "2024-02-29"},
	} {
		got, err := must(t, c.name).Normalise(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s of %q = %q, %v; want %q", c.name, c.in, got, err, c.want)
		}
	}
}

func TestNormaliseRefusesWithoutEcho(t *testing.T) {
	for _, c := range []struct {
		name, in string
		code     bonded.Code
	}{
		{"nfkc", " \u200b\t", bonded.CodeInvalid},
		{"nfkc", strings.Repeat("x", normal.MaxSize+1), bonded.CodeTooLarge},
		{"nfkc", strings.Repeat("\ufdfa", 1000), bonded.CodeTooLarge},
		{"nfkc", "\xff secret", bonded.CodeInvalidUTF8},
		{"exact", "\xc3\x28secret", bonded.CodeInvalidUTF8},
		{"email", "secret", bonded.CodeInvalid},
		{"email", "secret@", bonded.CodeInvalid},
		{"email", "@secret", bonded.CodeInvalid},
		{"email", "secret@a.b, other@c.d", bonded.CodeInvalid},
		{"phone", "202-225-0100", bonded.CodeInvalid},
		{"phone:US", "secret", bonded.CodeInvalid},
		{"phone:US", "12", bonded.CodeInvalid},
		{"phone:US", "+999 123 4567", bonded.CodeInvalid},
		{"digits", "secret", bonded.CodeInvalid},
		{"date", "13/10/1958", bonded.CodeInvalid},
		{"date", "1958-13-10", bonded.CodeInvalid},
		{"date", "2023-02-29", bonded.CodeInvalid},
		{"date", "1958-10", bonded.CodeInvalid},
	} {
		got, err := must(t, c.name).Normalise(c.in)
		if bonded.CodeOf(err) != c.code || got != "" {
			t.Errorf("%s of %q = %q, %v; want %s", c.name, c.in, got, err, c.code)
		}
		var e *bonded.Error
		if errors.As(err, &e) && strings.Contains(e.Error()+e.Hint, "secret") {
			t.Errorf("%s of %q echoes the value: %v", c.name, c.in, err)
		}
	}
}

func TestParseHintsAtNearestName(t *testing.T) {
	for _, c := range []struct{ name, hint string }{
		{"emial", "did you mean email?"},
		{"NFKC_", "did you mean nfkc?"},
		{"phone:XX", "use an ISO country code, as in phone:CN"},
		{"phone:", "use an ISO country code, as in phone:CN"},
		{"email:CN", "write email"},
		{"", "known here: date, digits, email, exact, nfkc, phone"},
	} {
		_, err := normal.Parse(c.name)
		var e *bonded.Error
		if !errors.As(err, &e) || e.Code != bonded.CodeConfig || e.Hint != c.hint {
			t.Errorf("Parse(%q) = %v, want hint %q", c.name, err, c.hint)
		}
	}
	for _, name := range all {
		if got := must(t, name).String(); got != name {
			t.Errorf("String of %s = %s", name, got)
		}
	}
	if _, err := (normal.Normaliser{}).Normalise("x"); bonded.CodeOf(err) != bonded.CodeInternal {
		t.Errorf("zero normaliser: %v, want internal", err)
	}
}

func idempotent(t testing.TB, name, in string) {
	t.Helper()
	n := must(t, name)
	once, err := n.Normalise(in)
	if err != nil {
		if c := bonded.CodeOf(err); c != bonded.CodeInvalid && c != bonded.CodeInvalidUTF8 && c != bonded.CodeTooLarge {
			t.Fatalf("%s of %q: %v", name, in, err)
		}
		return
	}
	if !utf8.ValidString(once) {
		t.Fatalf("%s of %q is not UTF-8", name, in)
	}
	if twice, err := n.Normalise(once); err != nil || twice != once {
		t.Fatalf("%s of %q = %q, again = %q, %v", name, in, once, twice, err)
	}
}

func TestNormaliseTwiceIsNormaliseOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(all).Draw(t, "name")
		in := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ +0-9().\-/年月日]{0,24}`),
			rapid.StringMatching(`[ ,;<A-Za-zßİǅ.]{1,8}@[ ,;>A-Za-z.]{1,8}`)).Draw(t, "value")
		n, _ := normal.Parse(name)
		once, err := n.Normalise(in)
		if err != nil {
			return
		}
		if twice, err := n.Normalise(once); err != nil || twice != once {
			t.Fatalf("%s: %q, then %q, %v", name, once, twice, err)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"丁世忠", "Straße İ", "a@b.c,", "+86 10 6510", "\u03b9\u0345\u0301", "1958年1月3日", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, name := range all {
			idempotent(t, name, s)
		}
	})
}

func BenchmarkNfkc(b *testing.B) {
	n := must(b, "nfkc")
	for b.Loop() {
		if _, err := n.Normalise("Володин Вячеслав"); err != nil {
			b.Fatal(err)
		}
	}
}
