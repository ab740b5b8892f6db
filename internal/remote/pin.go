package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"bonded"
)

// A Pin says who the other end must be: a certificate under one of the
// authorities, for exactly this cell and role. Names and addresses do not
// count; the role does.
type Pin struct {
	// CA returns the authorities as PEM, read at each connection and every
	// second while it lasts, so that a new directory takes effect at once.
	CA   func() []byte
	Cell bonded.CellID
	Role Role
	Now  func() time.Time // nil means time.Now
}

// check verifies a chain against the pin. Its errors are [bonded.Error] with
// code unauthenticated and say what to do.
func (p *Pin) check(chain []*x509.Certificate) error {
	refuse := func(hint, format string, args ...any) error {
		return &bonded.Error{Code: bonded.CodeUnauthenticated, Message: fmt.Sprintf(format, args...), Hint: hint}
	}
	who := fmt.Sprintf("the %s of cell %s", p.Role, p.Cell)
	if len(chain) == 0 {
		return refuse("", "%s showed no certificate", who)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(p.CA()) {
		return refuse("put its authority's certificate into the directory", "no authority is known for %s", who)
	}
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	leaf, at := chain[0], now()
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			if at.Before(leaf.NotBefore) {
				return refuse("check the clocks of both machines", "certificate of %s is not valid before %s", who, leaf.NotBefore.UTC().Format(time.RFC3339))
			}
			return refuse("its operator issues a new one; no restart is needed", "certificate of %s expired at %s", who, leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		return refuse("compare its authority with the directory", "certificate is not of the authority the directory pins for %s", who)
	}
	want := roleURI(p.Cell, p.Role).String()
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != want {
		return refuse("", "certificate does not speak for %s", who)
	}
	return nil
}

// ServerTLS returns the configuration of a server that shows id and accepts
// only clients that match peer.
func ServerTLS(id *Identity, peer Pin) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert, // checked in VerifyConnection, against authorities that can change
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.Certificate() },
		VerifyConnection:       func(s tls.ConnectionState) error { return peer.check(s.PeerCertificates) },
	}
}

// ClientTLS returns the configuration of a client that shows id and accepts
// only a server that matches peer.
func ClientTLS(id *Identity, peer Pin) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		InsecureSkipVerify:     true, //nolint:gosec // VerifyConnection checks chain and role; the authorities can change and the name does not count
		SessionTicketsDisabled: true,
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.Certificate() },
		VerifyConnection:       func(s tls.ConnectionState) error { return peer.check(s.PeerCertificates) },
	}
}

// A Peer is the other end of a connection that passed its [Pin].
type Peer struct {
	Local bool          // came over a Unix socket: whoever may open the folder
	Cell  bonded.CellID // of the certificate; empty if Local
	Role  Role          // of the certificate; empty if Local
	Addr  string
}

func peerOf(c net.Conn) Peer {
	p := Peer{Addr: c.RemoteAddr().String()}
	t := tlsOf(c)
	if t == nil {
		p.Local = c.RemoteAddr().Network() == "unix"
		return p
	}
	if s := t.ConnectionState(); len(s.PeerCertificates) > 0 && len(s.PeerCertificates[0].URIs) == 1 {
		p.Cell, p.Role = splitRole(s.PeerCertificates[0].URIs[0].Path)
	}
	return p
}

// tlsOf returns the TLS connection c is, nil if it is none.
func tlsOf(c net.Conn) *tls.Conn {
	switch t := c.(type) {
	case *tls.Conn:
		return t
	case *pinned:
		return t.Conn
	}
	return nil
}

func splitRole(path string) (bonded.CellID, Role) {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			return bonded.CellID(path[1:i]), Role(path[i+1:])
		}
	}
	return "", ""
}
