package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"bonded/internal/seal"
)

func TestAnyQuorumOfSharesRecoversTheKey(t *testing.T) {
	key, shares, err := seal.SplitUnsealKey(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	for set := range 1 << 5 {
		var some []seal.UnsealShare
		for i := 4; i >= 0; i-- { // the order must not matter
			if set&(1<<i) != 0 {
				some = append(some, reparse(t, shares[i]))
			}
		}
		got, err := seal.RecoverUnsealKey(some)
		if len(some) < 3 {
			if !errors.Is(err, seal.ErrShares) || got.Valid() {
				t.Errorf("%d shares: err = %v, want ErrShares", len(some), err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got.Bytes(), key.Bytes()) {
			t.Errorf("shares %05b: another key, or %v", set, err)
		}
	}
}

func TestRecoverRefusesWhatDoesNotBelong(t *testing.T) {
	_, a, err := seal.SplitUnsealKey(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := seal.SplitUnsealKey(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	altered := seal.ShareWithValue(a[2], [32]byte{5})
	wiped := reparse(t, a[1])
	wiped.Wipe()
	for name, c := range map[string]struct {
		shares []seal.UnsealShare
		says   string
	}{
		"none":                 {nil, "0 given"},
		"too few":              {a[:2], "2 given, 3 needed"},
		"twice":                {[]seal.UnsealShare{a[0], a[1], reparse(t, a[1])}, "share 2 was given twice"},
		"other set":            {[]seal.UnsealShare{a[0], a[1], b[2]}, "different sets"},
		"zero share":           {[]seal.UnsealShare{a[0], a[1], {}}, "one is empty"},
		"wiped share":          {[]seal.UnsealShare{a[0], wiped, a[2]}, "different sets"},
		"only wiped":           {[]seal.UnsealShare{wiped, wiped, wiped}, "wiped"},
		"altered":              {[]seal.UnsealShare{a[0], a[1], altered}, "not what was handed out"},
		"altered, not needed":  {[]seal.UnsealShare{a[0], a[1], a[3], altered}, "share 3 is not what was handed out"},
		"altered, more to go":  {[]seal.UnsealShare{altered, a[0], a[1], a[3], a[4]}, "not what was handed out"},
		"value not canonical":  {[]seal.UnsealShare{a[0], a[1], seal.ShareWithValue(a[2], [32]byte(bytes.Repeat([]byte{0xff}, 32)))}, "share 3"},
		"one other commitment": {[]seal.UnsealShare{a[0], a[1], seal.ShareWithCommitment(a[2], [16]byte{1})}, "different sets"},
		"all other commitment": {[]seal.UnsealShare{
			seal.ShareWithCommitment(a[0], [16]byte{1}), seal.ShareWithCommitment(a[1], [16]byte{1}), seal.ShareWithCommitment(a[2], [16]byte{1}),
		}, "not what was handed out"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := seal.RecoverUnsealKey(c.shares)
			if !errors.Is(err, seal.ErrShares) || !strings.Contains(err.Error(), c.says) || got.Valid() {
				t.Errorf("err = %v, want ErrShares that says %q", err, c.says)
			}
		})
	}
}

func TestSplitRefusesBadNumbers(t *testing.T) {
	for _, c := range [][2]int{{0, 0}, {1, 1}, {3, 1}, {3, 4}, {3, 0}, {3, -1}, {256, 2}} {
		if key, shares, err := seal.SplitUnsealKey(c[0], c[1]); err == nil || key.Valid() || shares != nil {
			t.Errorf("%d shares, %d needed: accepted", c[0], c[1])
		}
	}
	if _, shares, err := seal.SplitUnsealKey(seal.MaxUnsealShares, 2); err != nil || len(shares) != seal.MaxUnsealShares {
		t.Errorf("%d shares: %v", seal.MaxUnsealShares, err)
	}
}

func TestShareTextHasOneSpelling(t *testing.T) {
	_, shares, err := seal.SplitUnsealKey(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	text := shares[0].Text()
	if s, err := seal.ParseUnsealShare(text); err != nil || s.Text() != text || s.Number() != 1 || s.Threshold() != 2 {
		t.Fatalf("ParseUnsealShare(Text()) = %v of %v, %v", s.Number(), s.Threshold(), err)
	}
	prefix, body, _ := strings.Cut(text, ":")
	for name, bad := range map[string]string{
		"empty":           "",
		"prefix only":     prefix + ":",
		"other prefix":    "bonded-unseal-share-2:" + body,
		"upper case":      strings.ToUpper(text),
		"upper case body": prefix + ":" + strings.ToUpper(body),
		"space before":    " " + text,
		"newline after":   text + "\n",
		"newline within":  text[:60] + "\n" + text[60:],
		"newline instead": text[:60] + "\n" + text[61:],
		"padding":         text + "======",
		"one less":        text[:len(text)-1],
		"one more":        text + "a",
	} {
		if s, err := seal.ParseUnsealShare(bad); !errors.Is(err, seal.ErrShareText) || s.Number() != 0 {
			t.Errorf("%s: err = %v, want ErrShareText", name, err)
		}
	}
	for i := range len(text) { // every single mistyped character
		c := byte('a')
		if text[i] == c {
			c = 'b'
		}
		if _, err := seal.ParseUnsealShare(text[:i] + string(c) + text[i+1:]); !errors.Is(err, seal.ErrShareText) {
			t.Errorf("character %d mistyped: err = %v, want ErrShareText", i, err)
		}
	}
	if (seal.UnsealShare{}).Text() != "" {
		t.Error("the zero share has a text")
	}
	if _, err := seal.ParseUnsealShare(seal.ShareWithValue(shares[0], [32]byte(bytes.Repeat([]byte{0xff}, 32))).Text()); !errors.Is(err, seal.ErrShareText) {
		t.Errorf("scalar not canonical: err = %v, want ErrShareText", err)
	}
}

func reparse(t *testing.T, s seal.UnsealShare) seal.UnsealShare {
	t.Helper()
	again, err := seal.ParseUnsealShare(s.Text())
	if err != nil {
		t.Fatal(err)
	}
	return again
}
