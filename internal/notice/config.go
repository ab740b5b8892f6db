package notice

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/text/language"

	"bonded"
)

// Defaults and limits of a configuration.
const (
	DefaultTimeout  = 10 * time.Second // of one attempt
	MaxTimeout      = time.Minute
	DefaultPatience = 24 * time.Hour // before the next channel is tried as well
	MaxPatience     = 30 * 24 * time.Hour
	MinSecret       = 32 // bytes of a webhook's secret
	maxSecretFile   = 4096
)

// A Config says how people are told. It is the part "notice" of vault.yaml;
// read it with package yamlstrict, which calls Validate.
type Config struct {
	Language string            `yaml:"language"`                 // default of those whose language is not known or not written; absent: en
	Operator string            `yaml:"operator" required:"true"` // who keeps the data, as people know it
	Contact  map[string]string `yaml:"contact" required:"true"`  // by language: where to ask and complain; the default language must be there
	Channels []ChannelConfig   `yaml:"channels" required:"true"` // in order of preference
}

// A ChannelConfig is one channel: exactly one of webhook, smtp and outbox.
type ChannelConfig struct {
	Webhook  *WebhookConfig `yaml:"webhook"`
	SMTP     *SMTPConfig    `yaml:"smtp"`
	Outbox   *OutboxConfig  `yaml:"outbox"`
	Patience time.Duration  `yaml:"patience"` // trouble for longer than this: the next channel is tried as well; absent: 24h, at most 720h
}

// A WebhookConfig is an HTTP receiver of the operator.
type WebhookConfig struct {
	URL        string        `yaml:"url" required:"true"`         // https, or http on loopback
	SecretFile string        `yaml:"secret_file" required:"true"` // at least 32 bytes, mode 0600; one line end at its end does not count
	CAFile     string        `yaml:"ca_file"`                     // PEM; absent: the system's authorities
	Timeout    time.Duration `yaml:"timeout"`                     // of one attempt; absent: 10s, at most 1m
}

// An SMTPConfig is a mail server that relays for us.
type SMTPConfig struct {
	Server       string        `yaml:"server" required:"true"` // host:port
	From         string        `yaml:"from" required:"true"`   // address alone, ASCII; the operator's name is put before it
	TLS          TLSMode       `yaml:"tls"`                    // starttls, implicit, or, on loopback, none; absent: starttls
	CAFile       string        `yaml:"ca_file"`                // PEM; absent: the system's authorities
	User         string        `yaml:"user"`                   // for AUTH PLAIN; absent: no authentication
	PasswordFile string        `yaml:"password_file"`          // mode 0600; one line end at its end does not count
	Hello        string        `yaml:"hello"`                  // our name in EHLO; absent: the domain of from
	Timeout      time.Duration `yaml:"timeout"`                // of one attempt; absent: 10s, at most 1m
}

// An OutboxConfig is a folder that a portal or print shop reads.
type OutboxConfig struct {
	Dir string `yaml:"dir" required:"true"` // made with mode 0700 if it is not there
}

// A TLSMode says how the line to a mail server is encrypted.
type TLSMode string

// Modes.
const (
	StartTLS    TLSMode = "starttls" // required, but on loopback only where it is offered
	ImplicitTLS TLSMode = "implicit" // from the first byte, usually on port 465
	NoTLS       TLSMode = "none"     // on loopback only
)

func configError(field, message, hint string) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
}

// Validate checks the configuration and returns an error with code
// [bonded.CodeConfig].
func (c *Config) Validate() error {
	if c.Language != "" {
		tag, err := language.Parse(c.Language)
		if base, _ := tag.Base(); err != nil || Match(c.Language, "en") != base.String() {
			return configError("language", "no notices are written in this language", "use one of "+strings.Join(languages, ", "))
		}
	}
	if !named(c.Operator) {
		return configError("operator", "a name of 1 to 200 visible characters is needed", "")
	}
	for lang, text := range c.Contact {
		if Match(lang, "") != lang {
			return configError("contact", "a contact text for a language in which no notices are written", "use "+strings.Join(languages, ", "))
		}
		if cleanLines(text) == "" || len([]rune(text)) > MaxContact {
			return configError("contact", "a contact text of 1 to 2000 characters is needed", "name, address, e-mail and the authority to complain to")
		}
	}
	if c.Contact[Match(c.Language, "en")] == "" {
		return configError("contact", "no contact text in the default language", "add it: others fall back to it")
	}
	if len(c.Channels) == 0 {
		return configError("channels", "no channel", "add webhook, smtp or outbox")
	}
	for i := range c.Channels {
		if err := c.Channels[i].Validate(); err != nil {
			return err
		}
	}
	return nil
}

// contact returns the contact text for a language.
func (c *Config) contact(lang string) string {
	if text := c.Contact[lang]; text != "" {
		return text
	}
	return c.Contact[Match(c.Language, "en")]
}

// Validate checks one channel.
func (c *ChannelConfig) Validate() error {
	n := 0
	for _, there := range []bool{c.Webhook != nil, c.SMTP != nil, c.Outbox != nil} {
		if there {
			n++
		}
	}
	if n != 1 {
		return configError("", "a channel is exactly one of webhook, smtp and outbox", "begin a new entry of the list for each")
	}
	if c.Patience < 0 || c.Patience > MaxPatience {
		return configError("patience", "out of range", "0s to 720h; 0s means 24h")
	}
	switch {
	case c.Webhook != nil:
		return c.Webhook.Validate()
	case c.SMTP != nil:
		return c.SMTP.Validate()
	}
	return c.Outbox.Validate()
}

// Validate checks a webhook.
func (c *WebhookConfig) Validate() error {
	switch {
	case len(c.URL) > MaxURL || !safeURL(c.URL):
		return configError("url", "not an https address", "https://HOST/PATH; http is for loopback only; no user name and no fragment")
	case c.SecretFile == "":
		return configError("secret_file", "a webhook needs a secret to sign with", "write 32 random bytes or more into a file of mode 0600")
	}
	return checkTimeout(c.Timeout)
}

// Validate checks a mail server.
func (c *SMTPConfig) Validate() error {
	host, port, err := net.SplitHostPort(c.Server)
	from, fromErr := parseAddress(c.From)
	switch {
	case err != nil || host == "" || port == "":
		return configError("server", "not host:port", "such as mail.example:587")
	case fromErr != nil || from.Name != "" || from.Address != c.From || !ascii(c.From):
		return configError("from", "not a mail address alone", "such as notice@example.org; the operator's name is put before it")
	case c.TLS != "" && c.TLS != StartTLS && c.TLS != ImplicitTLS && c.TLS != NoTLS:
		return configError("tls", "no such mode", "use starttls, implicit or none")
	case c.TLS == NoTLS && !loopbackHost(host):
		return configError("tls", "mail goes unencrypted on loopback only", "use starttls or implicit")
	case (c.User == "") != (c.PasswordFile == ""):
		return configError("user", "user and password_file go together", "")
	case strings.ContainsFunc(c.User, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return configError("user", "control characters in the user name", "")
	case c.Hello != "" && !domainName(c.Hello):
		return configError("hello", "not a host name", "such as mail.example.org")
	}
	return checkTimeout(c.Timeout)
}

// Validate checks an outbox.
func (c *OutboxConfig) Validate() error {
	if c.Dir == "" {
		return configError("dir", "an outbox needs a folder", "")
	}
	return nil
}

func checkTimeout(d time.Duration) error {
	if d < 0 || d > MaxTimeout {
		return configError("timeout", "out of range", "0s to 1m; 0s means 10s")
	}
	return nil
}

// open makes the channel.
func (c *ChannelConfig) open(dir, operator string, now func() time.Time) (Channel, error) {
	switch {
	case c.Webhook != nil:
		return newWebhook(c.Webhook, dir, now)
	case c.SMTP != nil:
		return newSMTP(c.SMTP, dir, operator)
	}
	return newOutbox(resolve(dir, c.Outbox.Dir))
}

func orDefault(d, absent time.Duration) time.Duration {
	if d == 0 {
		return absent
	}
	return d
}

// resolve returns path as it counts from dir.
func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// readSecret reads a secret file without the line end at its end. It refuses
// one that others may read.
func readSecret(path string, atLeast int) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, configError(path, "no such secret file", "write the secret into it, mode 0600")
	}
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "secret file cannot be read")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "secret file cannot be read")
	}
	if info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return nil, configError(path, "this secret file can be read by others", "chmod 600 "+path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "secret file cannot be read")
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if len(secret) < atLeast || len(b) > maxSecretFile {
		return nil, configError(path, fmt.Sprintf("a secret has %d to %d bytes", atLeast, maxSecretFile), "")
	}
	return []byte(secret), nil
}
