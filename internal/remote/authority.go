package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"bonded"
)

// Lifetimes of certificates. A leaf is short-lived because nothing revokes it.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	LeafLife      = 24 * time.Hour // default of [Leaf].Life
	backdate      = 5 * time.Minute
)

// Names of the files of a party's TLS folder.
const (
	caCertFile = "ca.pem"
	caKeyFile  = "ca.key"
	certFile   = "cert.pem"
)

// A Role says what a certificate speaks for.
type Role string

// Roles.
const (
	RoleVault     Role = "vault"
	RoleKeyholder Role = "keyholder"
	RoleWitness   Role = "witness"
	RoleClient    Role = "client"
)

func roleURI(cell bonded.CellID, role Role) *url.URL {
	return &url.URL{Scheme: "bonded", Host: "cell", Path: "/" + string(cell) + "/" + string(role)}
}

// An Authority is one party's certificate authority: ECDSA P-256, valid for
// [AuthorityLife]. The other party pins its certificate through the directory.
type Authority struct {
	cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey
}

// NewAuthority returns a fresh authority; name is shown in its certificate.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate authority key: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(AuthorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign authority certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read authority certificate: %w", err)
	}
	return &Authority{cert, der, key}, nil
}

// OpenAuthority reads the authority that [Authority.Save] wrote to dir. The
// error is fs.ErrNotExist if its key is kept elsewhere.
func OpenAuthority(dir string) (*Authority, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, caCertFile))
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	cb, _ := pem.Decode(certPEM)
	kb, _ := pem.Decode(keyPEM)
	if cb == nil || kb == nil {
		return nil, errors.New("open authority: not PEM")
	}
	cert, err := x509.ParseCertificate(cb.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(kb.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok || !ec.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("open authority: key and certificate do not belong together")
	}
	return &Authority{cert, cb.Bytes, ec}, nil
}

// Save writes certificate and key to dir, the key readable by its owner only.
func (a *Authority) Save(dir string) error {
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return fmt.Errorf("save authority: %w", err)
	}
	if err := WriteFile(filepath.Join(dir, caKeyFile), pemBlock("PRIVATE KEY", key)); err != nil {
		return fmt.Errorf("save authority: %w", err)
	}
	if err := WriteFile(filepath.Join(dir, caCertFile), a.PEM()); err != nil {
		return fmt.Errorf("save authority: %w", err)
	}
	return nil
}

// PEM returns the certificate of a, for the directory.
func (a *Authority) PEM() []byte { return pemBlock("CERTIFICATE", a.der) }

// A Leaf says what a certificate is to be issued for.
type Leaf struct {
	Cell  bonded.CellID
	Role  Role
	Hosts []string      // DNS names and IP addresses it answers at; none for a pure client
	Life  time.Duration // 0 means LeafLife
}

// Issue returns a fresh key and a certificate for it as PEM. The certificate
// carries bonded://cell/<cell>/<role> and serves both ends of a connection.
func (a *Authority) Issue(l Leaf, now time.Time) (certPEM, keyPEM []byte, err error) {
	if l.Life == 0 {
		l.Life = LeafLife
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate leaf key: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: string(l.Role) + " of cell " + string(l.Cell)},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(l.Life),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{roleURI(l.Cell, l.Role)},
	}
	for _, h := range l.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign leaf certificate: %w", err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode leaf key: %w", err)
	}
	return pemBlock("CERTIFICATE", der), pemBlock("PRIVATE KEY", k), nil
}

// IssueFiles issues l into dir, where [OpenIdentity] finds it. Certificate and
// key stand in one file that is replaced at once, so that a reader never sees
// a new certificate with an old key.
func (a *Authority) IssueFiles(dir string, l Leaf, now time.Time) error {
	cert, key, err := a.Issue(l, now)
	if err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(dir, certFile), append(cert, key...)); err != nil {
		return fmt.Errorf("write leaf: %w", err)
	}
	return nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails since Go 1.24
	b[0] &= 0x7f        // RFC 5280, section 4.1.2.2: positive
	return new(big.Int).SetBytes(b)
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// WriteFile replaces path by data at once and durably, readable by its owner
// only. It makes the folder if it is missing.
func WriteFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
