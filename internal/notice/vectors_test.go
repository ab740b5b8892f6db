package notice_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bonded/internal/notice"
)

const vectorFile = "../../spec/vectors/notice.json"

type vectors struct {
	Webhook struct {
		Secret    string `json:"secret"`
		Time      int64  `json:"time"`
		Body      string `json:"body"`
		Signature string `json:"signature"`
	} `json:"webhook"`
	Codes []codeVector `json:"codes"`
	Bad   []string     `json:"bad_codes"`
	Mail  string       `json:"mail"`
	Out   string       `json:"outbox"`
}

type codeVector struct {
	Typed string `json:"typed"`
	Text  string `json:"text"`
	Hash  string `json:"hash"`
}

// TestVectors sends one notice over every channel and holds what arrives, and
// codes as people type them, against spec/vectors/notice.json. UPDATE=1 writes
// it anew.
func TestVectors(t *testing.T) {
	// 1. What this code makes.
	var v vectors
	m := message(t, 1)
	m.Language = "es"

	h := &hook{}
	server := httptest.NewServer(h)
	defer server.Close()
	out, err := hookSender(t, server.URL, nil).Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Done, "")
	v.Webhook.Secret, v.Webhook.Time, v.Webhook.Body = hookSecret, m.Due.Add(time.Minute).Unix(), string(h.bodies[0])
	v.Webhook.Signature = h.calls[0].Header.Get(notice.SignatureHeader)

	mails := newMailServer(t, nil)
	out, err = smtpSender(t, mails, nil).Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Done, "")
	v.Mail = mails.received()[0].data

	dir := t.TempDir()
	out, err = sender(t, dir, 0, outboxConfig("outbox")).Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Done, "")
	file, err := os.ReadFile(filepath.Join(dir, "outbox", m.ID.Hex()+".json"))
	if err != nil {
		t.Fatal(err)
	}
	v.Out = string(file)

	for _, typed := range []string{"0123-4567-89AB-CDEF-GHJG", "o123 4567 89ab cdef ghjg", "OI2345L789ABCDEFGHJK"} {
		if c, err := notice.ParseCode(typed); err == nil {
			sum := c.Hash()
			v.Codes = append(v.Codes, codeVector{typed, c.Text(), hex.EncodeToString(sum[:])})
		} else {
			v.Bad = append(v.Bad, typed)
		}
	}
	v.Bad = append(v.Bad, "0123-4567-89AB-CDEF-GHJH", "1023-4567-89AB-CDEF-GHJG", "0123-4567-89AB-CDEF-GHJ", "U123-4567-89AB-CDEF-GHJG")
	for _, s := range v.Bad {
		if _, err := notice.ParseCode(s); err == nil {
			t.Errorf("%s is read", s)
		}
	}

	// 2. What is written down.
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(vectorFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, b.Bytes()) {
		t.Error("spec/vectors/notice.json is not what this code makes; see with UPDATE=1 what changed")
	}
}

func TestSignatureChangesWithEveryBit(t *testing.T) {
	now := at(t, "2027-03-06T00:01:00Z")
	body := []byte(`{"id":"x"}`)
	want := notice.Sign([]byte(hookSecret), now, body)
	for i := range len(body) * 8 {
		flipped := bytes.Clone(body)
		flipped[i/8] ^= 1 << (i % 8)
		if notice.Sign([]byte(hookSecret), now, flipped) == want {
			t.Fatalf("bit %d does not count", i)
		}
	}
	if notice.Sign([]byte(hookSecret), now.Add(time.Second), body)[13:] == want[13:] || notice.Sign([]byte(hookSecret[1:]+"0"), now, body) == want {
		t.Error("time or secret does not count")
	}
}
