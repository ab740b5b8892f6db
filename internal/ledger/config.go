//go:build unix

package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bonded"
	"bonded/verify"

	"golang.org/x/mod/sumdb/note"
)

// Defaults of a [Config].
const (
	DefaultCheckpointInterval = 200 * time.Millisecond // Tessera's POSIX driver takes 100 ms and more
	DefaultBatchAge           = 50 * time.Millisecond  // 10 ms batches collapse on a busy disk
	DefaultRepublish          = 10 * time.Second
	DefaultDeadline           = 10 * time.Second
	DefaultWitnessTimeout     = 2 * time.Second
	DefaultStartTimeout       = 10 * time.Second
	DefaultMaxInFlight        = 1024

	batchSize        = 256
	gcInterval       = time.Minute
	pollInterval     = 10 * time.Millisecond // how soon a published checkpoint is seen
	maxWitnessAnswer = 2 * verify.MaxCheckpointSize
)

// Config says how to open a ledger. Dir, Origin, SignerKey and Policy must be
// set; a zero value of the others means its default.
type Config struct {
	Dir       string // the log's folder; one writer at a time
	Origin    string // the log's name, as in its key
	SignerKey string // private key in note form, see [GenerateKey]; secret
	Policy    []byte // C2SP tlog-policy; every witness needs a URL, quorum none is refused

	HTTPClient         *http.Client  // for the witnesses, with the party's certificate; nil means http.DefaultClient
	CheckpointInterval time.Duration // between checkpoints while entries arrive
	BatchAge           time.Duration // how long an entry waits for company
	Republish          time.Duration // an idle log gets a fresh checkpoint this often
	Deadline           time.Duration // of one Append, when its context has no nearer one
	WitnessTimeout     time.Duration // of one round with the witnesses
	StartTimeout       time.Duration // how long Open waits for enough witnesses to answer
	MaxInFlight        int           // entries; more are answered [bonded.CodeBusy]
	Logger             *slog.Logger  // nil means slog.Default
}

// Format implements [fmt.Formatter]: a Config prints without its key under
// every verb.
func (c Config) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "ledger %q in %q [key]", c.Origin, c.Dir)
}

func (c *Config) setDefaults() {
	for d, def := range map[*time.Duration]time.Duration{
		&c.CheckpointInterval: DefaultCheckpointInterval,
		&c.BatchAge:           DefaultBatchAge,
		&c.Republish:          DefaultRepublish,
		&c.Deadline:           DefaultDeadline,
		&c.WitnessTimeout:     DefaultWitnessTimeout,
		&c.StartTimeout:       DefaultStartTimeout,
	} {
		if *d == 0 {
			*d = def
		}
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.HTTPClient == nil {
		c.HTTPClient = http.DefaultClient
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// checkPolicy parses the policy for a writer: witnesses must be reachable, and
// no two at one address, which the writer would take for one.
func checkPolicy(text []byte) (*verify.WitnessPolicy, error) {
	p, err := verify.ParseWitnessPolicy(text)
	if err != nil {
		return nil, err
	}
	seen := map[string]string{}
	for _, w := range p.Witnesses() {
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, bonded.Errorf(bonded.CodeConfig, "witness %q has no http or https URL in the policy", w.Name)
		}
		key := strings.TrimSuffix(w.URL, "/")
		if other, ok := seen[key]; ok {
			return nil, bonded.Errorf(bonded.CodeConfig, "witnesses %q and %q have the same URL", other, w.Name)
		}
		seen[key] = w.Name
	}
	return p, nil
}

// GenerateKey makes the key pair of a log in note form: skey is secret, vkey is
// what verifiers and witnesses are given.
func GenerateKey(origin string) (skey, vkey string, err error) {
	if !verify.ValidKeyName(origin) {
		return "", "", bonded.Errorf(bonded.CodeConfig, "origin of the log has spaces, a plus, or is empty")
	}
	skey, vkey, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", "", fmt.Errorf("generate ledger key: %w", err)
	}
	return skey, vkey, nil
}

// VKey returns the public key that belongs to a log's secret key. The error
// never repeats the key.
func VKey(skey string) (string, error) {
	bad := bonded.Errorf(bonded.CodeConfig, "ledger key is not a private Ed25519 key in note form")
	s, err := note.NewSigner(skey)
	if err != nil {
		return "", bad
	}
	f := strings.Split(skey, "+")
	seed, err := base64.StdEncoding.DecodeString(strings.Join(f[min(4, len(f)):], "+"))
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return "", bad
	}
	pub, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", bad
	}
	vkey, err := note.NewEd25519VerifierKey(s.Name(), pub)
	if err != nil {
		return "", bad
	}
	return vkey, nil
}
