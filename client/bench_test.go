package client_test

import (
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bonded/client"
	"bonded/internal/apitype"
)

// BenchmarkProvenGet is what one proven read costs the program that asks,
// without network: the proof, the bodies, and the check of a promise that was
// seen before.
func BenchmarkProvenGet(b *testing.B) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	f := newFar(b, "eu")
	header, entry := f.sign(nil)
	read, err := json.Marshal(apitype.GetResult{Subject: subject, Record: record, Values: client.Values{"email": client.Text("a@b.c")}, Entry: entry})
	if err != nil {
		b.Fatal(err)
	}
	near := roundTrip(func(r *http.Request) (string, string) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/challenge"):
			c, _ := json.Marshal(apitype.SessionChallenge{Challenge: make([]byte, 32)}) // always marshals
			return "", string(c)
		case strings.HasSuffix(r.URL.Path, "/session"):
			var q apitype.SessionRequest
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
				b.Error(err)
			}
			c, _ := json.Marshal(apitype.SessionResult{Session: sessionOf(b, q.Open), Expires: time.Now().Add(time.Hour)}) // always marshals
			return "", string(c)
		}
		return header, string(read)
	})
	cl := f.client(func(c *client.Config) {
		c.Grant, c.GrantKey, c.HTTPClient = "svc-app", key, &http.Client{Transport: near}
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cl.Get(b.Context(), getting); err != nil {
			b.Fatal(err)
		}
	}
}

type roundTrip func(*http.Request) (promise, body string)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	promise, body := f(r)
	h := http.Header{}
	if promise != "" {
		h.Set(apitype.HeaderReceipt, promise)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}
