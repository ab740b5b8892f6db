package quorum_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"bonded/internal/quorum"
)

func TestSecretsDoNotPrint(t *testing.T) {
	who := newPerson(t, "anna")
	c, ks := held(t, roleSpec{"firm", 1, 1})
	share := c.people[0][0].share
	key, _ := seal(t, ks)
	recipient := quorum.NewRecipientKey()
	for want, v := range map[string]any{
		"[share]": share, "[key]": key, "[recipient key]": recipient, "[transport key]": who.tr,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, v); got != want {
				t.Errorf("%s of a %s prints %q", verb, want, got)
			}
		}
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", slog.Any("secret", v))
		if !strings.Contains(b.String(), want) {
			t.Errorf("logged as %q", b.String())
		}
		hidden := struct{ inside any }{v}
		if got := fmt.Sprintf("%+v", hidden); len(got) > 60 {
			t.Errorf("inside a struct it prints %q", got)
		}
	}
}

func TestSecretsRoundTripAndErase(t *testing.T) {
	c, ks := held(t, roleSpec{"firm", 1, 1})
	share := c.people[0][0].share
	again, err := quorum.ParseShare(share.Bytes())
	if err != nil || again.Check(ks) != nil || again.Epoch() != 1 || again.KeySet() != ks.Digest() {
		t.Fatalf("share: %v", err)
	}
	same := share
	share.Erase()
	if same.Valid() || same.Bytes() != nil || same.Epoch() != 0 || same.Check(ks) == nil {
		t.Error("an erased share is still there")
	}
	key, _ := seal(t, ks)
	other, err := quorum.KeyFromBytes(key.Bytes())
	if err != nil || !bytes.Equal(other.Field("passport_no"), key.Field("passport_no")) || bytes.Equal(key.Field("a"), key.Field("b")) {
		t.Errorf("key: %v", err)
	}
	key.Wipe()
	if key.Valid() || key.Bytes() != nil || key.Field("a") != nil || !other.Valid() {
		t.Error("a wiped key is still there")
	}
	if _, err := quorum.KeyFromBytes(make([]byte, 32)); err == nil {
		t.Error("the zero key is taken")
	}
	recipient := quorum.NewRecipientKey()
	r2, err := quorum.ParseRecipientKey(recipient.Bytes())
	if err != nil || !bytes.Equal(r2.Bytes(), recipient.Bytes()) {
		t.Fatal(err)
	}
	recipient.Erase()
	if recipient.Valid() || recipient.Bytes() != nil {
		t.Error("an erased recipient key is still there")
	}
	tr := newPerson(t, "anna").tr
	tr2, err := quorum.ParseTransportKey(tr.Bytes())
	if err != nil || tr2.Public() != tr.Public() {
		t.Fatal(err)
	}
	// Zero values refuse, and do not panic.
	var s quorum.Share
	var k quorum.Key
	var rk quorum.RecipientKey
	var tk quorum.TransportKey
	s.Erase()
	k.Wipe()
	rk.Erase()
	if s.Valid() || k.Valid() || rk.Valid() || tk.Bytes() != nil || s.Check(ks) == nil {
		t.Error("a zero value is valid")
	}
	if _, err := rk.Public([]byte("x")); err == nil {
		t.Error("the zero recipient key has a public one")
	}
}
