package verify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bonded"
	"bonded/verify"
)

func TestPolicyQuorumOfNestedGroups(t *testing.T) {
	var b strings.Builder
	for i := 1; i <= 5; i++ {
		fmt.Fprintf(&b, "witness w%d %s\n", i, witnessVkey(t, fmt.Sprintf("w%d.example", i)))
	}
	b.WriteString("# comment\n\n \tgroup x 2 w1\tw2 w3 \ngroup y any w4 w5\ngroup both all x y\nquorum both\n")
	p, err := verify.ParseWitnessPolicy([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	for names, want := range map[string]bool{"w1 w2 w4": true, "w1 w2 w3": false, "w4 w5 w1": false, "w2 w3 w5": true, "": false, "w1 w2 zz": false} {
		if got := p.Satisfied(strings.Fields(names)...); got != want {
			t.Errorf("%q: %v, want %v", names, got, want)
		}
	}
	if ws := p.Witnesses(); len(ws) != 5 || ws[4].Name != "w5" {
		t.Errorf("witnesses %v", ws)
	}
}

func TestPolicyRefusesWithLine(t *testing.T) {
	w1 := "witness w1 " + witnessVkey(t, "w1.example") + "\n"
	w2 := "witness w2 " + witnessVkey(t, "w2.example") + "\n"
	_, log := logSigner(t)
	cases := []struct{ name, text, line string }{
		{"quorum none", "quorum none\n", ":1"},
		{"no quorum", w1, ""},
		{"two quorums", w1 + "quorum w1\nquorum w1\n", ":3"},
		{"an unknown keyword", w1 + "witnesses w1\nquorum w1\n", ":2"},
		{"a name defined twice", w1 + strings.Replace(w2, "w2 ", "w1 ", 1) + "quorum w1\n", ":2"},
		{"one key twice", w1 + strings.Replace(w1, "w1 ", "w2 ", 1) + "quorum w1\n", ":2"},
		{"a log key where a witness key belongs", "witness w1 " + log + "\nquorum w1\n", ":1"},
		{"a witness key where a log key belongs", "log " + witnessVkey(t, "w1.example") + "\n", ":1"},
		{"a member not defined before", w1 + "group g all w1 w2\n" + w2 + "quorum g\n", ":2"},
		{"a threshold over the members", w1 + w2 + "group g 3 w1 w2\nquorum g\n", ":3"},
		{"a threshold of 0", w1 + "group g 0 w1\nquorum g\n", ":2"},
		{"a threshold with a leading zero", w1 + "group g 01 w1\nquorum g\n", ":2"},
		{"a member in two groups", w1 + w2 + "group g all w1\ngroup h all w1 w2\nquorum h\n", ":4"},
		{"a member twice in a group", w1 + "group g 2 w1 w1\nquorum g\n", ":2"},
		{"a keyword as a name", strings.Replace(w1, "w1 ", "none ", 1) + "quorum none\n", ":1"},
		{"a group without members", w1 + "group g all\nquorum g\n", ":2"},
		{"a carriage return", w1 + "quorum w1\r\n", ":2"},
		{"a quorum that is not defined", w1 + "quorum w2\n", ":2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := verify.ParseWitnessPolicy([]byte(c.text))
			var e *bonded.Error
			if !errors.As(err, &e) || e.Code != bonded.CodeConfig || !strings.HasSuffix(e.Field, c.line) {
				t.Fatalf("got %v, want bad_config at %q", err, c.line)
			}
			if strings.Contains(e.Error(), strings.Split(log, "+")[2]) {
				t.Error("the error repeats a key")
			}
		})
	}
	if _, err := verify.ParseWitnessPolicyAllowNone([]byte("quorum none\n")); err != nil {
		t.Error(err)
	}
}

func FuzzWitnessPolicy(f *testing.F) {
	f.Add(logPolicyText(f, 2, 3))
	f.Add("quorum none\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := verify.ParseWitnessPolicy([]byte(text))
		if err != nil {
			if bonded.CodeOf(err) != bonded.CodeConfig {
				t.Fatal(err)
			}
			return
		}
		if p.Satisfied() {
			t.Fatal("satisfied by nobody")
		}
		var names []string
		for _, w := range p.Witnesses() {
			names = append(names, w.Name)
		}
		if !p.Satisfied(names...) {
			t.Fatal("not satisfied by all")
		}
	})
}

func TestCoveredNeedsEveryPastQuorumToMeetAnAnswer(t *testing.T) {
	for _, c := range []struct {
		k, n     int
		answered string
		want     bool
	}{{2, 3, "w1 w2", true}, {2, 3, "w1", false}, {1, 3, "w1 w2", false}, {1, 3, "w1 w2 w3", true}, {3, 3, "w1 w2 w3", true}, {2, 4, "w1 w2", false}, {2, 4, "w1 w2 w3", true}} {
		if got := logPolicy(t, c.k, c.n).Covered(strings.Fields(c.answered)...); got != c.want {
			t.Errorf("%d of %d, %q: %v", c.k, c.n, c.answered, got)
		}
	}
}

func TestLatestURLEscapesTheOrigin(t *testing.T) {
	w := verify.PolicyWitness{URL: "https://127.0.0.1:1/w/"}
	if got := w.LatestURL("log.example/cn&é"); got != "https://127.0.0.1:1/w/latest?origin=log.example%2Fcn%26%C3%A9" {
		t.Error(got)
	}
}
