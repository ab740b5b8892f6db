package notice_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded/internal/notice"
)

const hookSecret = "0123456789abcdef0123456789abcdef"

// A hook is a receiver that keeps what it got and answers as told.
type hook struct {
	mu     sync.Mutex
	calls  []*http.Request
	bodies [][]byte
	answer func(n int, w http.ResponseWriter)
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	h.calls, h.bodies = append(h.calls, r), append(h.bodies, body)
	n := len(h.calls)
	h.mu.Unlock()
	if h.answer != nil {
		h.answer(n, w)
	}
}

// hookSender makes a sender whose one channel is the receiver.
func hookSender(t *testing.T, url string, change func(*notice.WebhookConfig)) *notice.Sender {
	t.Helper()
	dir := t.TempDir()
	c := &notice.WebhookConfig{URL: url, SecretFile: secretFile(t, dir, "secret", hookSecret+"\n")}
	if change != nil {
		change(c)
	}
	return sender(t, dir, time.Minute, config(notice.ChannelConfig{Webhook: c}))
}

func TestWebhookPostsSignedJSON(t *testing.T) {
	h := &hook{}
	server := httptest.NewTLSServer(h)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := hookSender(t, server.URL+"/hook?token=s3cret", func(c *notice.WebhookConfig) { c.CAFile = ca })
	m := message(t, 1)
	m.Language = "fr-CA"
	out, err := s.Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Done, "")
	if out.Channel != "webhook" {
		t.Errorf("channel %q", out.Channel)
	}

	r, body := h.calls[0], h.bodies[0]
	if r.Method != http.MethodPost || r.Header.Get("Idempotency-Key") != m.ID.Hex() || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%s %v", r.Method, r.Header)
	}
	// The receiver's check, written from spec/notice.md.
	at := m.Due.Add(time.Minute).Unix()
	mac := hmac.New(sha256.New, []byte(hookSecret))
	fmt.Fprintf(mac, "%d.%s", at, body)
	if want := fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(mac.Sum(nil))); r.Header.Get("Bonded-Signature") != want {
		t.Errorf("signature %q, want %q", r.Header.Get("Bonded-Signature"), want)
	}
	text, err := notice.Render("fr", m.Facts)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"id": m.ID.Hex(), "case": m.Facts.Case.String(), "kind": "disclosed", "subject": m.Subject.String(), "language": "fr",
		"subject_line": text.Subject, "body": text.Body, "sent_at": "2027-03-06T00:00:00Z",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) || bytes.Contains(body, []byte("ana@")) {
		t.Errorf("members %v", got)
	}
}

func TestWebhookOutcomes(t *testing.T) {
	for _, c := range []struct {
		code   int
		after  string
		status notice.Status
		reason notice.Reason
		wait   time.Duration
	}{
		{200, "", notice.Done, "", 0},
		{202, "", notice.Done, "", 0},
		{204, "", notice.Done, "", 0},
		{301, "", notice.Retry, notice.ReasonRedirected, 0},
		{307, "", notice.Retry, notice.ReasonRedirected, 0},
		{400, "", notice.Failed, notice.ReasonRefused, 0},
		{404, "", notice.Failed, notice.ReasonRefused, 0},
		{408, "", notice.Retry, notice.ReasonLater, 0},
		{410, "", notice.Failed, notice.ReasonRefused, 0},
		{425, "", notice.Retry, notice.ReasonLater, 0},
		{429, "120", notice.Retry, notice.ReasonLater, 2 * time.Minute},
		{500, "", notice.Retry, notice.ReasonLater, 0},
		{503, "Sat, 06 Mar 2027 00:03:00 GMT", notice.Retry, notice.ReasonLater, 2 * time.Minute},
		{503, "4000000000", notice.Retry, notice.ReasonLater, 24 * time.Hour},
		{503, "soon", notice.Retry, notice.ReasonLater, 0},
		{503, "-5", notice.Retry, notice.ReasonLater, 0},
	} {
		h := &hook{answer: func(_ int, w http.ResponseWriter) {
			w.Header().Set("Location", "/elsewhere")
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.code)
			if c.code != 204 {
				_, _ = w.Write(bytes.Repeat([]byte("ana@example.org "), 1<<16)) // more than is read
			}
		}}
		server := httptest.NewServer(h)
		out, err := hookSender(t, server.URL, nil).Deliver(context.Background(), message(t, 1))
		server.Close()
		wantOutcome(t, out, err, c.status, c.reason)
		if out.RetryAfter != c.wait {
			t.Errorf("%d %q: retry after %s, want %s", c.code, c.after, out.RetryAfter, c.wait)
		}
		if err != nil && strings.Contains(err.Error(), "@") {
			t.Errorf("%d: the error holds the answer", c.code)
		}
		if len(h.calls) != 1 {
			t.Errorf("%d: %d calls", c.code, len(h.calls))
		}
	}
}

// TestWebhookRepeatsTheSameBytes kills the connection after the receiver read
// the notice and before it answered, as a crash of either side does.
func TestWebhookRepeatsTheSameBytes(t *testing.T) {
	h := &hook{answer: func(n int, w http.ResponseWriter) {
		if n == 1 {
			panic(http.ErrAbortHandler)
		}
	}}
	server := httptest.NewServer(h)
	defer server.Close()
	dir := t.TempDir()
	c := config(notice.ChannelConfig{Webhook: &notice.WebhookConfig{URL: server.URL, SecretFile: secretFile(t, dir, "secret", hookSecret)}})

	out, err := sender(t, dir, 0, c).Deliver(context.Background(), message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonUnreachable)
	out, err = sender(t, dir, time.Hour, c).Deliver(context.Background(), message(t, 1)) // a new process, later
	wantOutcome(t, out, err, notice.Done, "")

	if len(h.calls) != 2 || !bytes.Equal(h.bodies[0], h.bodies[1]) {
		t.Fatalf("%d calls, or other bytes", len(h.calls))
	}
	for _, r := range h.calls {
		if r.Header.Get("Idempotency-Key") != message(t, 1).ID.Hex() {
			t.Error("another key")
		}
	}
	if h.calls[0].Header.Get("Bonded-Signature") == h.calls[1].Header.Get("Bonded-Signature") {
		t.Error("a repeated call has the signature of the first: a receiver would take it for old")
	}
}

func TestWebhookLineTrouble(t *testing.T) {
	// No receiver.
	gone := httptest.NewServer(&hook{})
	gone.Close()
	out, err := hookSender(t, gone.URL+"/s3cret", nil).Deliver(context.Background(), message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonUnreachable)
	if strings.Contains(fmt.Sprint(err), "s3cret") {
		t.Error("the error holds the address")
	}

	// A certificate nobody vouches for.
	server := httptest.NewUnstartedServer(&hook{})
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	out, err = hookSender(t, server.URL, nil).Deliver(context.Background(), message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonNotPrivate)

	// No answer.
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	out, err = hookSender(t, slow.URL, func(c *notice.WebhookConfig) { c.Timeout = 50 * time.Millisecond }).Deliver(context.Background(), message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonTimeout)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out, err = hookSender(t, slow.URL, nil).Deliver(ctx, message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonInterruption)
}
