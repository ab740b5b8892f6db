//go:build linux

package main

import (
	"encoding/json"
	"net/http"
	"time"
)

// echoBody is what the baseline decodes and encodes: the body of a single
// read, with the value it answers.
type echoBody struct {
	Collection string   `json:"collection"`
	Subject    string   `json:"subject"`
	Record     string   `json:"record"`
	Fields     []string `json:"fields"`
	Purpose    string   `json:"purpose"`
	Value      string   `json:"value,omitempty"`
}

// serveEcho is the baseline: net/http and encoding/json and nothing else.
func serveEcho(addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		var b echoBody
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&b)
	})
	srv := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return srv.ListenAndServe()
}
