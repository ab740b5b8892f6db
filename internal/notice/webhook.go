package notice

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"bonded"
)

// Headers of a webhook call.
const (
	SignatureHeader   = "Bonded-Signature"
	IdempotencyHeader = "Idempotency-Key"
)

// maxResponse is how much of an answer is read, so that the connection can be
// used again. Nothing in it counts.
const maxResponse = 4096 // bytes

// A webhookBody is what is posted. Its members stand in this order.
type webhookBody struct {
	ID          string `json:"id"`
	Case        string `json:"case"`
	Kind        Kind   `json:"kind"`
	Subject     string `json:"subject"`
	Language    string `json:"language"`
	SubjectLine string `json:"subject_line"`
	Body        string `json:"body"`
	SentAt      string `json:"sent_at"` // Due: the same at each attempt
}

type webhook struct {
	url    string
	secret []byte
	client *http.Client
	now    func() time.Time
}

func newWebhook(c *WebhookConfig, dir string, now func() time.Time) (Channel, error) {
	secret, err := readSecret(resolve(dir, c.SecretFile), MinSecret)
	if err != nil {
		return nil, err
	}
	roots, err := readRoots(dir, c.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{}
	if u, _ := url.Parse(c.URL); u != nil && u.Scheme == "http" {
		// The name localhost must not lead elsewhere.
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if ap, err := netip.ParseAddrPort(address); err != nil || !ap.Addr().IsLoopback() {
				return errors.New("http leads away from loopback")
			}
			return nil
		}
	}
	return &webhook{
		url: c.URL, secret: secret, now: now,
		client: &http.Client{
			Timeout:       orDefault(c.Timeout, DefaultTimeout),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:         dialer.DialContext,
				TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
				MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
				MaxResponseHeaderBytes: 64 << 10,
			},
		},
	}, nil
}

// readRoots reads authorities from a PEM file; nil means the system's.
func readRoots(dir, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	path := resolve(dir, file)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "file of authorities cannot be read")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, configError(path, "no certificate in this file", "PEM, as openssl writes it")
	}
	return pool, nil
}

// Sign returns the value of the header [SignatureHeader]: the HMAC-SHA-256
// under the secret of the time in decimal, a dot, and the body.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Name implements [Channel].
func (w *webhook) Name() string { return "webhook" }

// Deliver implements [Channel].
func (w *webhook) Deliver(ctx context.Context, e Envelope) (Outcome, error) {
	// 1. The same bytes at each attempt; only the signature has a new time.
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	err := enc.Encode(webhookBody{
		ID: e.ID.Hex(), Case: e.Case.String(), Kind: e.Kind, Subject: e.Subject.String(),
		Language: e.Text.Language, SubjectLine: e.Text.Subject, Body: e.Text.Body, SentAt: e.Due.UTC().Format(time.RFC3339),
	})
	if err != nil {
		return never(ReasonInvalid, "notice cannot be written as JSON")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body.Bytes()))
	if err != nil {
		return never(ReasonInvalid, "webhook cannot be called")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "bonded-notice/1")
	req.Header.Set(IdempotencyHeader, e.ID.Hex())
	req.Header.Set(SignatureHeader, Sign(w.secret, w.now(), body.Bytes()))

	// 2. Ask, and look at nothing but the status.
	resp, err := w.client.Do(req)
	if err != nil {
		return lineTrouble(ctx, "webhook", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxResponse) // nothing in it counts
	return w.outcome(resp)
}

func (w *webhook) outcome(resp *http.Response) (Outcome, error) {
	s := resp.StatusCode
	message := fmt.Sprintf("webhook answered with status %d", s)
	switch {
	case s >= 200 && s < 300:
		return Outcome{Status: Done}, nil
	case s >= 300 && s < 400:
		return later(ReasonRedirected, message)
	case s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooEarly && s != http.StatusTooManyRequests:
		return never(ReasonRefused, message)
	}
	out, err := later(ReasonLater, message)
	out.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), w.now())
	return out, err
}

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds or
// a date. What is not one counts as absent.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// lineTrouble words an error of the line. What it says may hold the address
// and is not passed on.
func lineTrouble(ctx context.Context, where string, err error) (Outcome, error) {
	var (
		timeout net.Error
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case ctx.Err() != nil:
		return later(ReasonInterruption, where+": interrupted")
	case errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &alert):
		return later(ReasonNotPrivate, where+": no encrypted line: the certificate does not hold, or there is none")
	case errors.As(err, &timeout) && timeout.Timeout():
		return later(ReasonTimeout, where+": no answer in time")
	}
	return later(ReasonUnreachable, where+": no connection, or it broke before the answer")
}
