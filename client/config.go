package client

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"bonded"
	"bonded/internal/seal"
	"bonded/verify"
)

// A Credential says as whom a client asks. A bearer key or a certificate
// names the principal to the vault. Grant and GrantKey, if they are there,
// prove each call to the keyholder.
type Credential struct {
	Bearer      string             // API key
	Certificate *tls.Certificate   // for mTLS, at the cell's api_tls address
	Grant       string             // id of the grant, such as "svc-orders"
	GrantKey    ed25519.PrivateKey // see [ReadGrantKey]
}

// A Config says which cell a client asks and how.
type Config struct {
	Directory *verify.Directory // required; see [ReadDirectory]
	Cell      bonded.CellID     // required
	Credential
	Why        Why           // for calls that say nothing of their own; field by field
	Operator   []string      // classes of operator the firm is of, for facts that name none, such as "handler_over_volume"
	URL        string        // absent: the address in the directory
	HTTPClient *http.Client  // absent: one with keep-alive, that trusts the cell's authority
	Attempts   int           // for calls that met a fault of the line; absent: 4; 1 means no retry
	Backoff    time.Duration // before the second attempt, doubled each time up to 2 s; absent: 50 ms
	Packs      fs.FS         // for [Client.Route]; absent: the packs built in
	Now        func() time.Time
}

// A Client asks one cell. It may be used by many goroutines.
type Client struct {
	cfg      Config
	cell     *verify.DirectoryCell
	base     string
	http     *http.Client
	promises promises
	prover   *prover // nil: bearer or certificate only
	router   func() (*router, error)
}

// New returns a client of one cell. It does no I/O. Errors have code
// bad_config and name the field of Config or of the directory.
func New(c Config) (*Client, error) {
	cell, err := c.settle()
	if err != nil {
		return nil, err
	}
	if c.Bearer == "" && c.Certificate == nil {
		return nil, bad("Bearer", "neither an API key nor a certificate")
	}
	if (c.Grant == "") != (len(c.GrantKey) == 0) || len(c.GrantKey) != 0 && len(c.GrantKey) != ed25519.PrivateKeySize {
		return nil, bad("GrantKey", "a grant id and its key come together")
	}
	cl := &Client{cfg: c, cell: cell, router: newRouterOnce(c.Directory, c.Packs)}
	if cl.base, cl.http, err = c.dial(cell); err != nil {
		return nil, err
	}
	if cl.promises.key, err = verify.DecodePublicKey(cell.PromiseKey); err != nil {
		return nil, bad("promise_key", "the directory has no usable promise key for this cell")
	}
	cl.promises.cell = c.Cell
	if c.Grant != "" {
		b, err := base64.StdEncoding.DecodeString(cell.KeyholderHPKE)
		if err != nil {
			return nil, bad("keyholder_hpke", "the directory has no usable session key of the keyholder")
		}
		pub, err := seal.ParseHPKEPublic(b)
		if err != nil {
			return nil, bad("keyholder_hpke", "the directory has no usable session key of the keyholder")
		}
		cl.prover = &prover{client: cl, keyholder: pub}
	}
	return cl, nil
}

func bad(field, message string) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message}
}

// settle finds the cell and puts defaults for what is absent.
func (c *Config) settle() (*verify.DirectoryCell, error) {
	if c.Directory == nil {
		return nil, bad("Directory", "the directory is missing")
	}
	cell, ok := c.Directory.Cell(c.Cell)
	if !ok {
		return nil, bad("Cell", "the directory has no such cell")
	}
	if c.Attempts <= 0 {
		c.Attempts = 4
	}
	if c.Backoff <= 0 {
		c.Backoff = 50 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return cell, nil
}

// dial returns the base URL of the cell's API and an HTTP client for it.
func (c *Config) dial(cell *verify.DirectoryCell) (string, *http.Client, error) {
	base, err := baseURL(c, cell)
	if err != nil || c.HTTPClient != nil {
		return base, c.HTTPClient, err
	}
	h, err := newHTTPClient(c, cell)
	return base, h, err
}

func baseURL(c *Config, cell *verify.DirectoryCell) (string, error) {
	s, field := c.URL, "URL"
	switch {
	case s != "":
	case c.Certificate != nil && cell.APITLS != "":
		s, field = cell.APITLS, "api_tls"
	default:
		s, field = cell.API, "api"
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return "", &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: "not the base URL of an API"}
	}
	if c.Certificate != nil && u.Scheme != "https" {
		return "", &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: "a certificate needs https", Hint: "the directory names the cell's api_tls"}
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// newHTTPClient returns an HTTP client that keeps connections, trusts the
// authority of the cell's vault beside those of the system, and follows no
// redirect: a key must not travel where nobody sent it.
func newHTTPClient(c *Config, cell *verify.DirectoryCell) (*http.Client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1024, MaxIdleConnsPerHost: 512, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13},
	}
	if cell.VaultCA != "" {
		pool := x509.NewCertPool()
		if c.Certificate == nil {
			if sys, err := x509.SystemCertPool(); err == nil {
				pool = sys
			}
		}
		if !pool.AppendCertsFromPEM([]byte(cell.VaultCA)) {
			return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "vault_ca", Message: "the directory's authority of the vault is not PEM"}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if c.Certificate != nil {
		t.TLSClientConfig.Certificates = []tls.Certificate{*c.Certificate}
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Cell returns the id of the cell that c asks.
func (c *Client) Cell() bonded.CellID { return c.cfg.Cell }

// Close closes idle connections. Calls under way end as they would.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ReadDirectory reads a directory file. If a signature stands beside it
// (path + ".sig") it must be that of the administrator whom the directory
// names: compare [verify.Directory].Admin with a key you have from elsewhere.
func ReadDirectory(path string) (*Directory, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		e := &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the directory file cannot be read", Err: err}
		if pe := new(fs.PathError); errors.As(err, &pe) {
			e.Message += ": " + pe.Err.Error()
		}
		return nil, e
	}
	d, err := verify.ParseDirectory(file)
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	sig, err := os.ReadFile(path + ".sig")
	switch {
	case os.IsNotExist(err):
	case err != nil:
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the signature of the directory cannot be read")
	case !verify.CheckDirectorySignature(d, file, sig):
		return nil, bonded.Errorf(bonded.CodeConfig, "the directory is not signed by the administrator it names")
	}
	return d, nil
}

// EncodeGrantKey returns the text form of a grant key: its 32-byte seed in
// base64 and a line end. Keep it in a file of mode 0600.
func EncodeGrantKey(k ed25519.PrivateKey) []byte {
	return []byte(base64.StdEncoding.EncodeToString(k.Seed()) + "\n")
}

// ParseGrantKey reads what [EncodeGrantKey] wrote.
func ParseGrantKey(text []byte) (ed25519.PrivateKey, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != ed25519.SeedSize {
		return nil, bonded.Errorf(bonded.CodeConfig, "not a grant key: 32 bytes in base64")
	}
	return ed25519.NewKeyFromSeed(b), nil
}

// ReadGrantKey reads a grant key from a file.
func ReadGrantKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the grant key cannot be read")
	}
	return ParseGrantKey(text)
}
