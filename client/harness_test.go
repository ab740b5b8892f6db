package client_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// A far is the far end of the line in tests of the client alone: it speaks
// the bytes of the API as the test says, also wrongly. What a true cell
// answers is tested in cell_test.go.
type far struct {
	t        testing.TB
	mux      *http.ServeMux
	server   *httptest.Server
	promise  ed25519.PrivateKey
	hpke     seal.HPKEPrivate
	cell     bonded.CellID
	mu       sync.Mutex
	seq      uint64
	sessions map[[32]byte][32]byte // id → MAC key
	opened   int
}

func newFar(t testing.TB, cell bonded.CellID) *far {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	hpke, err := seal.GenerateHPKE()
	if err != nil {
		t.Fatal(err)
	}
	f := &far{t: t, mux: http.NewServeMux(), promise: key, hpke: hpke, cell: cell, sessions: map[[32]byte][32]byte{}}
	f.server = httptest.NewServer(f.mux)
	t.Cleanup(f.server.Close)
	return f
}

// keyOf returns a key of the directory that tests do not use.
func keyOf(t testing.TB) string {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return verify.EncodePublicKey(pub)
}

func (f *far) entry(jurisdictions ...bonded.Jurisdiction) verify.DirectoryCell {
	return verify.DirectoryCell{
		ID: f.cell, Jurisdictions: jurisdictions, Suite: "aes-256-gcm", API: f.server.URL,
		PromiseKey: verify.EncodePublicKey(f.promise.Public().(ed25519.PublicKey)), KeyholderKey: keyOf(f.t),
		KeyholderHPKE: base64.StdEncoding.EncodeToString(f.hpke.Public().Bytes()),
	}
}

func (f *far) directory() *verify.Directory {
	return &verify.Directory{Format: verify.DirectoryFormat, Version: 1, Admin: keyOf(f.t), Default: f.cell, Cells: []verify.DirectoryCell{f.entry("EU", "DE")}}
}

func (f *far) client(change func(*client.Config)) *client.Client {
	f.t.Helper()
	c := client.Config{
		Directory: f.directory(), Cell: f.cell, Credential: client.Credential{Bearer: "key"},
		Why: client.Why{Purpose: "support"}, Backoff: time.Millisecond,
	}
	if change != nil {
		change(&c)
	}
	cl, err := client.New(c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(cl.Close)
	return cl
}

// sign returns a promise for the next row, and its entry.
func (f *far) sign(change func(*verify.Promise)) (header, entry string) {
	f.mu.Lock()
	f.seq++
	p := &verify.Promise{
		Cell: f.cell, Ref: verify.RowRef{Node: 1, Incarnation: 2, Seq: f.seq}, Leaf: [32]byte{1}, Segment: 4,
		Index: f.seq - 1, Begin: f.seq - 1, Size: f.seq, Root: [32]byte{byte(f.seq)},
	}
	p.Batch = verify.PromiseLeaf(p.Ref, p.Leaf) // alone in its commit
	f.mu.Unlock()
	if change != nil {
		change(p)
	}
	copy(p.Sig[:], ed25519.Sign(f.promise, p.Message()))
	return p.String(), p.Ref.String()
}

func (f *far) answer(w http.ResponseWriter, header string, body any) {
	if header != "" {
		w.Header().Set(apitype.HeaderReceipt, header)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		f.t.Error(err)
	}
}

func (f *far) problem(w http.ResponseWriter, status int, p apitype.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Request-Id", "0123456789abcdef0123456789abcdef")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		f.t.Error(err)
	}
}

// keyholder lets the far end open sessions as PROTOCOL says.
func (f *far) keyholder(grant string, key ed25519.PublicKey) {
	var challenge [32]byte
	f.mux.HandleFunc("POST /v1/session/challenge", func(w http.ResponseWriter, _ *http.Request) {
		challenge[0]++
		f.answer(w, "", apitype.SessionChallenge{Challenge: challenge[:]})
	})
	f.mux.HandleFunc("POST /v1/session", func(w http.ResponseWriter, r *http.Request) {
		var q apitype.SessionRequest
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			f.t.Error(err)
		}
		open, err := wire.DecodeOpenSession(q.Open)
		if err != nil {
			f.t.Fatal(err)
		}
		mac, err := seal.OpenFrom(f.hpke, []byte(grant), challenge[:], open.Blob)
		if err != nil || open.Challenge != challenge || open.Grant != grant || !ed25519.Verify(key, open.Message(f.cell), open.Sig[:]) {
			f.t.Errorf("session request does not hold: %v", err)
		}
		f.mu.Lock()
		f.opened++
		f.sessions[open.ID(f.cell)] = [32]byte(mac)
		f.mu.Unlock()
		id := open.ID(f.cell)
		f.answer(w, "", apitype.SessionResult{Session: id[:], Expires: time.Now().Add(time.Hour)})
	})
}

// sessionOf returns the id of the session that a request opens.
func sessionOf(t testing.TB, open []byte) []byte {
	t.Helper()
	o, err := wire.DecodeOpenSession(open)
	if err != nil {
		t.Fatal(err)
	}
	id := o.ID("eu")
	return id[:]
}
