package notice_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/notice"
)

func TestCodeReadsWhatPeopleType(t *testing.T) {
	c := notice.NewCode()
	plain := strings.ReplaceAll(c.Text(), "-", "")
	body, check := plain[:19], plain[19:]
	for name, s := range map[string]string{
		"as written":       c.Text(),
		"lower case":       strings.ToLower(c.Text()),
		"no hyphens":       plain,
		"spaces":           " " + strings.ReplaceAll(c.Text(), "-", " ") + " ",
		"letters for 0, 1": strings.NewReplacer("0", "O", "1", "l").Replace(body) + check,
	} {
		got, err := notice.ParseCode(s)
		if err != nil || !got.Equal(c) || got.Hash() != c.Hash() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if notice.NewCode().Equal(c) {
		t.Error("two fresh codes are the same")
	}
}

func TestCodeRefusesEveryMistypedCharacter(t *testing.T) {
	c := notice.NewCode()
	text := c.Text()
	for i := range len(text) {
		if text[i] == '-' {
			continue
		}
		for _, r := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			if byte(r) == text[i] {
				continue
			}
			if got, err := notice.ParseCode(text[:i] + string(r) + text[i+1:]); err == nil && !got.Equal(c) {
				t.Fatalf("position %d: a wrong character passes", i)
			}
		}
	}
	for _, s := range []string{"", "-", text[:len(text)-1], text + "0", text + text, strings.Replace(text, text[:1], "U", 1), "é" + text[1:]} {
		if _, err := notice.ParseCode(s); bonded.CodeOf(err) != bonded.CodeBadID {
			t.Errorf("a code of the wrong form: %v", err)
		}
	}
}

func TestCodeDoesNotPrintItself(t *testing.T) {
	c := notice.NewCode()
	f := facts(t, notice.Refused)
	f.Code = c
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{c, &c, f, struct{ C notice.Code }{c}} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, c.Text()) {
				t.Errorf("%s of %T shows the code", verb, v)
			}
		}
	}
}

func TestMessageSurvivesAQueue(t *testing.T) {
	m := message(t, 1)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back notice.Message
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(b) {
		t.Errorf("message changes in JSON (%v)", err)
	}
	if !back.Facts.Code.Equal(m.Facts.Code) {
		t.Error("the code is lost")
	}
	var c notice.Code
	if err := c.UnmarshalText([]byte(strings.ToLower(m.Facts.Code.Text()))); err == nil {
		t.Error("a code in another spelling is read from a queue")
	}
}

func FuzzCode(f *testing.F) {
	f.Add("0123-4567-89AB-CDEF-GHJG")
	f.Add("o123 4567")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := notice.ParseCode(s)
		if err != nil {
			return
		}
		again, err := notice.ParseCode(c.Text())
		if err != nil || again.Text() != c.Text() || len(c.Text()) != 24 {
			t.Errorf("a code read is not the code written: %v", err)
		}
	})
}
