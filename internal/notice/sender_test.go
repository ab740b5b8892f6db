package notice_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/notice"
	"bonded/internal/yamlstrict"
)

// three makes a configuration with a webhook that answers with a status, a
// mail server, and an outbox, in this order.
func three(t *testing.T, dir string, status int, mail func(*mailServer)) (notice.Config, *mailServer) {
	t.Helper()
	h := httptest.NewServer(&hook{answer: func(_ int, w http.ResponseWriter) { w.WriteHeader(status) }})
	t.Cleanup(h.Close)
	m := newMailServer(t, mail)
	return config(
		notice.ChannelConfig{Webhook: &notice.WebhookConfig{URL: h.URL, SecretFile: secretFile(t, dir, "secret", hookSecret)}, Patience: time.Hour},
		notice.ChannelConfig{SMTP: &notice.SMTPConfig{Server: m.addr, From: "notice@example.org", CAFile: m.caFile}},
		notice.ChannelConfig{Outbox: &notice.OutboxConfig{Dir: "outbox"}},
	), m
}

func TestDeliverTakesChannelsInOrder(t *testing.T) {
	done, retry, failed := notice.Done, notice.Retry, notice.Failed
	for name, c := range map[string]struct {
		webhook int
		mail    func(*mailServer)
		to      string
		late    time.Duration
		status  notice.Status
		tried   []notice.Attempt
	}{
		"first takes it":      {200, nil, "ana@example.org", 0, done, []notice.Attempt{{"webhook", done, ""}}},
		"first fails":         {410, nil, "ana@example.org", 0, done, []notice.Attempt{{"webhook", failed, "refused"}, {"smtp", done, ""}}},
		"first asks to wait":  {503, nil, "ana@example.org", 59 * time.Minute, retry, []notice.Attempt{{"webhook", retry, "later"}}},
		"first waits no more": {503, nil, "ana@example.org", time.Hour, done, []notice.Attempt{{"webhook", retry, "later"}, {"smtp", done, ""}}},
		"no address":          {503, nil, "", time.Hour, done, []notice.Attempt{{"webhook", retry, "later"}, {"smtp", failed, "no_address"}, {"outbox", done, ""}}},
		"second asks to wait": {410, reply("RCPT", "451 later"), "ana@example.org", time.Hour, retry, []notice.Attempt{{"webhook", failed, "refused"}, {"smtp", retry, "later"}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			conf, _ := three(t, dir, c.webhook, c.mail)
			m := message(t, 1)
			m.To = c.to
			out, err := sender(t, dir, c.late, conf).Deliver(context.Background(), m)
			if out.Status != c.status || (err == nil) != (c.status == done) {
				t.Errorf("%v %v", out, err)
			}
			if d := cmp.Diff(c.tried, out.Tried); d != "" {
				t.Errorf("tried (-want +got):\n%s", d)
			}
			if last := c.tried[len(c.tried)-1]; out.Channel != last.Channel {
				t.Errorf("channel %s, want %s", out.Channel, last.Channel)
			}
		})
	}
}

// TestDeliverWaitsForChannelThatMayCome checks that a message is not given up
// while one channel is down and the others will never take it.
func TestDeliverWaitsForChannelThatMayCome(t *testing.T) {
	dir := t.TempDir()
	conf, _ := three(t, dir, 503, nil)
	conf.Channels = conf.Channels[:2]
	m := message(t, 1)
	m.To = ""
	out, err := sender(t, dir, 48*time.Hour, conf).Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Retry, notice.ReasonLater)
	if out.Channel != "webhook" {
		t.Errorf("channel %s", out.Channel)
	}
	conf.Channels = conf.Channels[1:]
	out, err = sender(t, dir, 48*time.Hour, conf).Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Failed, notice.ReasonNoAddress)
}

func TestDeliverRefusesMessageThatIsNotWhole(t *testing.T) {
	s := sender(t, t.TempDir(), 0, outboxConfig("outbox"))
	for field, spoil := range map[string]func(*notice.Message){
		"id":      func(m *notice.Message) { m.ID = bonded.ID{} },
		"subject": func(m *notice.Message) { m.Subject = bonded.SubjectID{} },
		"due":     func(m *notice.Message) { m.Due = time.Time{} },
		"kind":    func(m *notice.Message) { m.Facts.Kind = "" },
	} {
		m := message(t, 1)
		spoil(&m)
		out, err := s.Deliver(context.Background(), m)
		e := coded(err)
		if out.Status != notice.Failed || out.Reason != notice.ReasonInvalid || e == nil || e.Code != bonded.CodeInvalid || e.Field != field {
			t.Errorf("%s: %v %v", field, out, err)
		}
	}
}

func TestDeliverFillsInOperatorAndContactByLanguage(t *testing.T) {
	conf := outboxConfig("outbox")
	conf.Language = "de"
	conf.Contact = map[string]string{"de": "Datenschutz, Musterstraße 1", "es": "Protección de datos"}
	for i, c := range []struct{ read, lang, contact string }{
		{"de-CH", "de", "Musterstraße"}, {"es", "es", "Protección de datos"}, {"fr", "fr", "Musterstraße"}, {"ja", "de", "Musterstraße"}, {"", "de", "Musterstraße"},
	} {
		dir := t.TempDir()
		m := message(t, byte(i))
		m.Language, m.Facts.Operator, m.Facts.Contact = c.read, "", ""
		out, err := sender(t, dir, 0, conf).Deliver(context.Background(), m)
		wantOutcome(t, out, err, notice.Done, "")
		f := readOutbox(t, filepath.Join(dir, "outbox", m.ID.Hex()+".json"))
		if f.Language != c.lang || !strings.Contains(f.Body, c.contact) || !strings.Contains(f.Body, "Example Ltd") {
			t.Errorf("%s: in %s", c.read, f.Language)
		}
	}
}

func TestConfigReadsYAML(t *testing.T) {
	var c notice.Config
	err := yamlstrict.Decode("vault.yaml", []byte(`
language: de
operator: Example GmbH
contact:
  de: |
    Datenschutz
    privacy@example.org
channels:
  - webhook: {url: "https://example.org/hook", secret_file: keys/notice.hmac, timeout: 5s}
    patience: 2h
  - smtp: {server: "mail.example.org:587", from: notice@example.org, user: bonded, password_file: keys/smtp}
  - outbox: {dir: notices}
`), &c)
	if err != nil {
		t.Fatal(err)
	}
	want := notice.Config{
		Language: "de", Operator: "Example GmbH", Contact: map[string]string{"de": "Datenschutz\nprivacy@example.org\n"},
		Channels: []notice.ChannelConfig{
			{Webhook: &notice.WebhookConfig{URL: "https://example.org/hook", SecretFile: "keys/notice.hmac", Timeout: 5 * time.Second}, Patience: 2 * time.Hour},
			{SMTP: &notice.SMTPConfig{Server: "mail.example.org:587", From: "notice@example.org", User: "bonded", PasswordFile: "keys/smtp"}},
			{Outbox: &notice.OutboxConfig{Dir: "notices"}},
		},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestConfigRefusesWhatIsUnsafeOrAmbiguous(t *testing.T) {
	const head = "operator: A\ncontact: {en: B}\nchannels:\n  - "
	for name, c := range map[string]struct{ text, message string }{
		"no channel":               {"operator: A\ncontact: {en: B}\nchannels: []\n", "no channel"},
		"no operator":              {"operator: \"\\u200b\"\ncontact: {en: B}\nchannels: [{outbox: {dir: a}}]\n", "a name of 1 to 200 visible characters is needed"},
		"language not written":     {"language: ja\noperator: A\ncontact: {en: B}\nchannels: [{outbox: {dir: a}}]\n", "no notices are written in this language"},
		"contact in other":         {"language: fr\noperator: A\ncontact: {en: B}\nchannels: [{outbox: {dir: a}}]\n", "no contact text in the default language"},
		"contact of no language":   {"operator: A\ncontact: {en: B, ja: C}\nchannels: [{outbox: {dir: a}}]\n", "a contact text for a language in which no notices are written"},
		"two in one":               {head + "{outbox: {dir: a}, webhook: {url: \"https://a.example\", secret_file: s}}\n", "a channel is exactly one of webhook, smtp and outbox"},
		"none in one":              {head + "{patience: 1h}\n", "a channel is exactly one of webhook, smtp and outbox"},
		"patience without end":     {head + "{outbox: {dir: a}, patience: 721h}\n", "out of range"},
		"webhook in clear":         {head + "webhook: {url: \"http://example.org/\", secret_file: s}\n", "not an https address"},
		"webhook with password":    {head + "webhook: {url: \"https://u:p@example.org/\", secret_file: s}\n", "not an https address"},
		"webhook to a file":        {head + "webhook: {url: \"file:///etc/passwd\", secret_file: s}\n", "not an https address"},
		"inline secret":            {head + "webhook: {url: \"https://a.example\", secret: s}\n", "unknown key secret"},
		"timeout without end":      {head + "webhook: {url: \"https://a.example\", secret_file: s, timeout: 2m}\n", "out of range"},
		"server without port":      {head + "smtp: {server: mail.example, from: a@b.example}\n", "not host:port"},
		"sender with name":         {head + "smtp: {server: \"m:25\", from: \"A <a@b.example>\"}\n", "not a mail address alone"},
		"sender with line break":   {head + "smtp: {server: \"m:25\", from: \"a@b.example\\r\\nX: y\"}\n", "not a mail address alone"},
		"hello with line break":    {head + "smtp: {server: \"m:25\", from: a@b.example, hello: \"a\\r\\nb\"}\n", "not a host name"},
		"mail in clear":            {head + "smtp: {server: \"mail.example:25\", from: a@b.example, tls: none}\n", "mail goes unencrypted on loopback only"},
		"unknown mode":             {head + "smtp: {server: \"m:25\", from: a@b.example, tls: maybe}\n", "no such mode"},
		"user without password":    {head + "smtp: {server: \"m:25\", from: a@b.example, user: u}\n", "user and password_file go together"},
		"user with a zero in it":   {head + "smtp: {server: \"m:25\", from: a@b.example, user: \"u\\0v\", password_file: p}\n", "control characters in the user name"},
		"outbox without its place": {head + "outbox: {dir: \"\"}\n", "an outbox needs a folder"},
	} {
		var into notice.Config
		err := yamlstrict.Decode("vault.yaml", []byte(c.text), &into)
		e := coded(err)
		if e == nil || e.Code != bonded.CodeConfig || e.Message != c.message {
			t.Errorf("%s: %v, want %q", name, err, c.message)
		}
	}
}

func TestNewRefusesUnsafeFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	hookWith := func(secret, ca string) notice.ChannelConfig {
		return notice.ChannelConfig{Webhook: &notice.WebhookConfig{URL: "https://a.example/", SecretFile: secret, CAFile: ca}}
	}
	if err := os.Mkdir(filepath.Join(dir, "open"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		channel notice.ChannelConfig
		message string
	}{
		"missing":          {hookWith("none", ""), "no such secret file"},
		"read by others":   {hookWith(write("open-secret", hookSecret, 0o644), ""), "this secret file can be read by others"},
		"short":            {hookWith(write("short", "hunter2\n", 0o600), ""), "a secret has 32 to 4096 bytes"},
		"long":             {hookWith(write("long", strings.Repeat("x", 4097), 0o600), ""), "a secret has 32 to 4096 bytes"},
		"no certificate":   {hookWith(write("secret", hookSecret, 0o600), write("ca", "hello", 0o600)), "no certificate in this file"},
		"open outbox":      {notice.ChannelConfig{Outbox: &notice.OutboxConfig{Dir: "open"}}, "the outbox folder is open to everybody"},
		"outbox is a file": {notice.ChannelConfig{Outbox: &notice.OutboxConfig{Dir: "short"}}, "outbox folder cannot be made"},
	} {
		_, err := notice.New(config(c.channel), dir, time.Now)
		e := coded(err)
		if e == nil || e.Code != bonded.CodeConfig || e.Message != c.message {
			t.Errorf("%s: %v, want %q", name, err, c.message)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
	for _, end := range []string{"", "\n", "\r\n"} {
		got, err := notice.ReadSecret(filepath.Join(dir, write("end", hookSecret+end, 0o600)), 32)
		if err != nil || string(got) != hookSecret {
			t.Errorf("line end %q counts (%v)", end, err)
		}
	}
}
