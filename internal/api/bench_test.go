package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
)

// sink is a response writer that keeps nothing, so that the figures are those
// of the handlers.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

type again struct{ *bytes.Reader }

func (again) Close() error { return nil }

// BenchmarkGet is one POST /v1/get through the face, without network and
// vault. Hold it against BenchmarkEcho: the face may cost 25 µs more.
func BenchmarkGet(b *testing.B) {
	a := newFace(b, &edge{onGet: getOK}, api.Limits{PerSecond: 1e9}, nil)
	benchmark(b, a)
}

// BenchmarkEcho is a bare handler that decodes and encodes the same bodies.
func BenchmarkEcho(b *testing.B) {
	benchmark(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q apitype.GetRequest
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		if err != nil {
			b.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(apitype.GetResult{
			Subject: *q.Subject, Record: *q.Record, Version: 3,
			Values: apitype.Values{"email": json.RawMessage(`"ada@example.org"`)}, Entry: "1.3.4711",
		})
	}))
}

func benchmark(b *testing.B, h http.Handler) {
	subject, record := bonded.SubjectID{Cell: "eu", ID: bonded.NewID()}, bonded.RecordID{Cell: "eu", ID: bonded.NewID()}
	body, err := json.Marshal(apitype.GetRequest{
		Why: apitype.Why{Purpose: "support", Reason: "ticket 4711"}, Collection: "users",
		GetItem: apitype.GetItem{Subject: &subject, Record: &record, Fields: []string{"email"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/get", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+goodKey)
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	w := &sink{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r.Body = again{bytes.NewReader(body)}
		clear(w.h)
		h.ServeHTTP(w, r)
	}
}
