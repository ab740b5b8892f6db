package notice

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
)

// maxSMTPReply bounds what a mail server may say in one delivery, certificates
// included.
const maxSMTPReply = 256 << 10 // bytes

type mailer struct {
	server, host string
	from         *mail.Address
	hello        string
	mode         TLSMode
	tls          *tls.Config
	auth         smtp.Auth // nil: none
	timeout      time.Duration
}

func newSMTP(c *SMTPConfig, dir, operator string) (Channel, error) {
	from, err := parseAddress(c.From)
	if err != nil {
		return nil, configError("from", "not a mail address", "")
	}
	from.Name = cut(clean(operator), 64)
	host, _, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, configError("server", "not host:port", "")
	}
	roots, err := readRoots(dir, c.CAFile)
	if err != nil {
		return nil, err
	}
	m := &mailer{
		server: c.Server, host: host, from: from, hello: c.Hello, mode: c.TLS,
		tls:     &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: roots},
		timeout: orDefault(c.Timeout, DefaultTimeout),
	}
	if m.hello == "" {
		_, m.hello, _ = strings.Cut(c.From, "@")
	}
	if m.mode == "" {
		m.mode = StartTLS
	}
	if c.User != "" {
		password, err := readSecret(resolve(dir, c.PasswordFile), 1)
		if err != nil {
			return nil, err
		}
		m.auth = smtp.PlainAuth("", c.User, string(password), host)
	}
	return m, nil
}

// Name implements [Channel].
func (m *mailer) Name() string { return "smtp" }

// Deliver implements [Channel]. If the line breaks after the message and
// before the server's answer, the next attempt may bring it twice, both under
// one Message-ID: SMTP has no other way (RFC 1047).
func (m *mailer) Deliver(ctx context.Context, e Envelope) (Outcome, error) {
	// 1. To whom. Nothing goes on a line before the address is known to be one.
	if e.To == "" {
		return never(ReasonNoAddress, "no mail address is known")
	}
	to, err := parseAddress(e.To)
	if err != nil {
		return never(ReasonBadAddress, "the mail address is none, or of a form that is not used")
	}
	message, err := composeMail(e, m.from, to)
	if err != nil {
		return never(ReasonInvalid, "notice cannot be written as mail")
	}

	// 2. A line, encrypted and authenticated.
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	conn, err := m.dial(ctx)
	if err != nil {
		return m.trouble(ctx, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	client, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return m.trouble(ctx, err)
	}
	if out, err := m.prepare(ctx, client); err != nil {
		return out, err
	}

	// 3. The message.
	if ok, _ := client.Extension("SMTPUTF8"); !ok && !ascii(to.Address) {
		_ = client.Quit()
		return never(ReasonBadAddress, "the mail server takes ASCII addresses only")
	}
	return m.send(ctx, client, to.Address, message)
}

func (m *mailer) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", m.server)
	if err != nil {
		return nil, err
	}
	conn = &limited{Conn: conn, left: maxSMTPReply}
	if m.mode == ImplicitTLS {
		t := tls.Client(conn, m.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return t, nil
	}
	return conn, nil
}

// prepare says hello, encrypts the line and authenticates. Its faults are
// those of our configuration or of the server, never of the message: all are
// tried again.
func (m *mailer) prepare(ctx context.Context, client *smtp.Client) (Outcome, error) {
	if err := client.Hello(m.hello); err != nil {
		return m.trouble(ctx, err)
	}
	if m.mode == StartTLS {
		offered, _ := client.Extension("STARTTLS")
		switch {
		case offered:
			if err := client.StartTLS(m.tls); err != nil {
				return m.trouble(ctx, err)
			}
		case !loopbackHost(m.host):
			return later(ReasonNotPrivate, "smtp: the server offers no STARTTLS")
		}
	}
	if m.auth != nil {
		if ok, mechanisms := client.Extension("AUTH"); !ok || !strings.Contains(" "+strings.ToUpper(mechanisms)+" ", " PLAIN ") {
			return later(ReasonCredentials, "smtp: the server offers no AUTH PLAIN")
		}
		if err := client.Auth(m.auth); err != nil {
			if code := replyCode(err); code != 0 {
				return later(ReasonCredentials, fmt.Sprintf("smtp: the server refused our user and password: code %d", code))
			}
			return m.trouble(ctx, err)
		}
	}
	return Outcome{}, nil
}

func (m *mailer) send(ctx context.Context, client *smtp.Client, to string, message []byte) (Outcome, error) {
	if err := client.Mail(m.from.Address); err != nil {
		if code := replyCode(err); code >= 500 {
			return later(ReasonCredentials, fmt.Sprintf("smtp: the server refused our sender address: code %d", code))
		}
		return m.trouble(ctx, err)
	}
	if err := client.Rcpt(to); err != nil {
		switch code := replyCode(err); {
		case code == 530: // authentication required, RFC 4954
			return later(ReasonCredentials, "smtp: the server wants us to authenticate")
		case code >= 500:
			return never(ReasonRefused, fmt.Sprintf("smtp: the server refused the recipient: code %d", code))
		}
		return m.trouble(ctx, err)
	}
	w, err := client.Data()
	if err == nil {
		if _, err = w.Write(message); err == nil {
			err = w.Close() // waits for the server's answer
		}
	}
	if code := replyCode(err); code >= 500 {
		return never(ReasonRefused, fmt.Sprintf("smtp: the server refused the message: code %d", code))
	}
	if err != nil {
		return m.trouble(ctx, err)
	}
	_ = client.Quit() // the server has the message
	return Outcome{Status: Done}, nil
}

// trouble words an error that is tried again. What a server says may quote the
// address: only its code is passed on.
func (m *mailer) trouble(ctx context.Context, err error) (Outcome, error) {
	if code := replyCode(err); code != 0 {
		return later(ReasonLater, fmt.Sprintf("smtp: the server answered with code %d", code))
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return later(ReasonTimeout, "smtp: no answer in time")
	}
	return lineTrouble(ctx, "smtp", err)
}

// replyCode returns the code of a server's reply, 0 if err is none.
func replyCode(err error) int {
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return e.Code
	}
	return 0
}

// limited is a connection from which a bounded number of bytes is read.
type limited struct {
	net.Conn

	left int
}

// Read implements [io.Reader].
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
