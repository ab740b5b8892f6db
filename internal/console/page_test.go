//go:build unix

package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// A pageBrowser asks for pages as one person.
type pageBrowser struct {
	t testing.TB
	h http.Handler
}

func (w *pageWorld) as(person, role string) *pageBrowser {
	return &pageBrowser{w.t, w.console.ServePagesAs(person, "Somebody "+person, role)}
}

func (b *pageBrowser) do(r *http.Request) (*http.Response, string) {
	b.t.Helper()
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, r)
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

func (b *pageBrowser) get(path string) (*http.Response, string) {
	b.t.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (b *pageBrowser) post(path string, pairs ...string) (*http.Response, string) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// TestServePages keeps a cell and its console up, to be looked at.
func TestServePages(t *testing.T) {
	at := os.Getenv("CONSOLE_PAGES")
	if at == "" {
		t.Skip("CONSOLE_PAGES is not set")
	}
	w := newPageWorld(t)
	w.filed = w.file()
	for _, n := range []string{"Ada Lovelace", "Grace Hopper", hostile} {
		w.put("name", n, "email", "ada@example.org", "phone", "+4961155012", "born", "1990-12-10", "alias", "Countess")
	}
	mux := http.NewServeMux()
	for person, role := range map[string]string{"guardian-1": "guardian", "auditor-1": "auditor", "legal-1": "legal", "intake-1": "intake"} {
		mux.Handle(person+".localhost/", w.console.ServePagesAs(person, "Somebody "+person, role))
	}
	srv := &http.Server{Addr: at, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.ListenAndServe() }()
	t.Logf("people: %v", w.filed)
	for range 3600 {
		select {
		case <-t.Context().Done():
			return
		case <-time.After(time.Second):
		}
	}
}
