package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/internal/grant"
)

// selfSigned returns a certificate that nobody vouches for.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

type pinned struct {
	edge
	spki [32]byte
}

func (p *pinned) AuthenticateCert(spki [32]byte) (*grant.Grant, error) {
	if spki == p.spki {
		return appGrant, nil
	}
	return nil, bonded.Errorf(bonded.CodeUnauthenticated, "no such certificate")
}

func TestMutualTLSOverHTTP2(t *testing.T) {
	// 1. A face over TLS that knows one public key.
	known, stranger, server := selfSigned(t), selfSigned(t), selfSigned(t)
	e := &pinned{spki: sha256.Sum256(known.Leaf.RawSubjectPublicKeyInfo)}
	e.onStatus = func(_ context.Context, c *api.Call) (*apitype.StatusResult, error) {
		return &apitype.StatusResult{Reason: c.Grant.ID}, nil
	}
	a, err := api.New(api.Config{Service: e, Directory: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		Handler: a, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{server}},
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.ServeTLS(l, "", "") }() // ends with Close
	defer s.Close()

	// 2. Its holder is served, over HTTP/2; others are not.
	pool := x509.NewCertPool()
	pool.AddCert(server.Leaf)
	for _, c := range []struct {
		name string
		cert []tls.Certificate
		want int
	}{{"known key", []tls.Certificate{known}, 200}, {"unknown key", []tls.Certificate{stranger}, 401}, {"no certificate", nil, 401}} {
		client := &http.Client{Transport: &http.Transport{
			ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: c.cert},
		}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+"/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != c.want || resp.ProtoMajor != 2 {
			t.Errorf("%s: status %d over %s, want %d over HTTP/2", c.name, resp.StatusCode, resp.Proto, c.want)
		}
	}
}
