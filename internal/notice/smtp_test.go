package notice_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"bonded/internal/notice"
)

// smtpSender makes a sender whose one channel is the server.
func smtpSender(t *testing.T, s *mailServer, change func(*notice.SMTPConfig)) *notice.Sender {
	t.Helper()
	c := &notice.SMTPConfig{Server: s.addr, From: "notice@example.org", CAFile: s.caFile}
	if change != nil {
		change(c)
	}
	return sender(t, t.TempDir(), 0, config(notice.ChannelConfig{SMTP: c}))
}

func TestSMTPSendsWholeMailOverTLS(t *testing.T) {
	for name, implicit := range map[string]bool{"starttls": false, "implicit": true} {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, func(s *mailServer) { s.implicit = implicit })
			dir := t.TempDir()
			c := &notice.SMTPConfig{
				Server: server.addr, From: "notice@example.org", CAFile: server.caFile, TLS: notice.TLSMode(name),
				User: "bonded", PasswordFile: secretFile(t, dir, "password", "hunter2\n"),
			}
			s := sender(t, dir, 0, config(notice.ChannelConfig{SMTP: c}))
			m := message(t, 1)
			m.Language = "zh"
			out, err := s.Deliver(context.Background(), m)
			wantOutcome(t, out, err, notice.Done, "")

			got := server.received()
			if len(got) != 1 {
				t.Fatalf("%d mails", len(got))
			}
			if g := got[0]; !g.encrypted || g.user != "bonded" || g.password != "hunter2" || g.hello != "example.org" ||
				!strings.HasPrefix(g.from, "MAIL FROM:<notice@example.org>") || g.to != "RCPT TO:<ana@example.org>" {
				t.Errorf("dialogue: %+v", g)
			}
			checkMail(t, got[0].data, m, "zh")
		})
	}
}

// checkMail holds a mail against RFC 5322 and against what the message says.
func checkMail(t *testing.T, data string, m notice.Message, lang string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(data, "\r\n"), "\r\n") {
		if len(line) > 76 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("line of %d bytes, or with a bare line end", len(line))
		}
		for i := range len(line) {
			if line[i] >= 0x80 || line[i] < ' ' && line[i] != '\t' {
				t.Fatal("a byte that is not printable ASCII")
			}
		}
	}
	got, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := notice.Render(lang, m.Facts)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil || strings.ReplaceAll(string(body), "\r\n", "\n") != text.Body {
		t.Errorf("body does not come through (%v)", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != text.Subject {
		t.Errorf("subject does not come through (%v)", err)
	}
	for name, want := range map[string]string{
		"Message-Id": "<notice." + m.ID.Hex() + "@example.org>", "Mime-Version": "1.0", "Auto-Submitted": "auto-generated",
		"Content-Type": "text/plain; charset=utf-8", "Content-Transfer-Encoding": "quoted-printable", "Content-Language": lang,
		"Date": "Sat, 06 Mar 2027 00:00:00 +0000",
	} {
		if v := got.Header[name]; len(v) != 1 || v[0] != want {
			t.Errorf("header %s: %q, want %q", name, v, want)
		}
	}
	if len(got.Header) != 10 {
		t.Errorf("%d headers, want 10", len(got.Header))
	}
	from, err := got.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Example Ltd" || from[0].Address != "notice@example.org" {
		t.Errorf("from: %v (%v)", from, err)
	}
	if to, err := got.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != "ana@example.org" {
		t.Errorf("to is not one address (%v)", err)
	}
}

func TestSMTPMailIsTheSameAtEachAttempt(t *testing.T) {
	server := newMailServer(t, func(s *mailServer) { s.dropAfterData = true })
	s := smtpSender(t, server, nil)
	m := message(t, 1)
	for range 2 { // the line breaks after the message: nobody knows, so it goes again
		out, err := s.Deliver(context.Background(), m)
		wantOutcome(t, out, err, notice.Retry, notice.ReasonUnreachable)
	}
	got := server.received()
	if len(got) != 2 || got[0].data != got[1].data {
		t.Errorf("%d mails, or not the same bytes", len(got))
	}
}

func TestSMTPHeaderInjectionIsImpossible(t *testing.T) {
	server := newMailServer(t, func(s *mailServer) { s.utf8 = true })
	s := smtpSender(t, server, nil)
	for name, to := range map[string]string{
		"line break in address":       "ana@example.org\r\nBcc: eve@example.org",
		"line break in name":          "Ana\r\nBcc: eve@example.org <ana@example.org>",
		"bare line feed":              "Ana\nX: y <ana@example.org>",
		"two addresses":               "ana@example.org, eve@example.org",
		"group":                       "All: ana@example.org;",
		"command in quoted local":     `"a> SIZE=1"@example.org`,
		"line break in quoted local":  "\"a\r\n\"@example.org",
		"space in quoted local":       `"a b"@example.org`,
		"encoded line break in local": "=?utf-8?q?a=0D=0A?=@example.org",
		"domain literal":              "ana@[127.0.0.1]",
		"route":                       "<@evil.example:ana@example.org>",
		"null":                        "ana\x00@example.org",
		"turned text":                 "\u202eana@example.org",
		"no domain":                   "ana",
		"no local part":               "@example.org",
		"empty label":                 "ana@example..org",
		"too long":                    strings.Repeat("a", 65) + "@example.org",
	} {
		m := message(t, 1)
		m.To = to
		out, err := s.Deliver(context.Background(), m)
		if out.Status != notice.Failed || out.Reason != notice.ReasonBadAddress {
			t.Errorf("%s: %v %v", name, out, err)
		}
		if err != nil && strings.Contains(err.Error(), "ana") {
			t.Errorf("%s: the error holds the address", name)
		}
	}
	if n := len(server.received()); n != 0 {
		t.Fatalf("%d mails went out", n)
	}

	// An encoded name may hold anything once it is decoded.
	m := message(t, 2)
	m.To = "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte("Ana\r\nBcc: eve@example.org\u202e")) + "?= <ana@example.org>"
	out, err := s.Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Done, "")
	checkMail(t, server.received()[0].data, m, "en")
}

func TestSMTPEncodesLongNames(t *testing.T) {
	server := newMailServer(t, func(s *mailServer) { s.utf8 = true })
	s := smtpSender(t, server, nil)
	m := message(t, 1)
	m.To = strings.Repeat("Ñandú ", 40) + "<ñandú@example.org>"
	out, err := s.Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Done, "")
	data := server.received()[0].data
	for line := range strings.SplitSeq(data, "\r\n") {
		if len(line) > 76 {
			t.Errorf("line of %d bytes", len(line))
		}
	}
	if !strings.HasPrefix(server.received()[0].to, "RCPT TO:<ñandú@example.org>") {
		t.Error("an address beyond ASCII does not come through")
	}
}

func TestSMTPOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		server func(*mailServer)
		config func(*notice.SMTPConfig)
		to     string
		status notice.Status
		reason notice.Reason
	}{
		"no address":                        {to: "-", status: notice.Failed, reason: notice.ReasonNoAddress},
		"address beyond ASCII, server not":  {to: "ñ@example.org", status: notice.Failed, reason: notice.ReasonBadAddress},
		"recipient unknown":                 {server: reply("RCPT", "550 5.1.1 <ana@example.org> unknown"), status: notice.Failed, reason: notice.ReasonRefused},
		"recipient greylisted":              {server: reply("RCPT", "451 4.7.1 <ana@example.org> later"), status: notice.Retry, reason: notice.ReasonLater},
		"server wants authentication":       {server: reply("RCPT", "530 5.7.0 authenticate"), status: notice.Retry, reason: notice.ReasonCredentials},
		"sender refused":                    {server: reply("MAIL", "550 5.7.1 not yours"), status: notice.Retry, reason: notice.ReasonCredentials},
		"data refused":                      {server: reply("DATA", "554 5.6.0 no ana@example.org"), status: notice.Failed, reason: notice.ReasonRefused},
		"message refused":                   {server: reply(".", "554 5.6.0 no ana@example.org"), status: notice.Failed, reason: notice.ReasonRefused},
		"message later":                     {server: reply(".", "452 4.3.1 full"), status: notice.Retry, reason: notice.ReasonLater},
		"greeting later":                    {server: reply("greeting", "421 busy"), status: notice.Retry, reason: notice.ReasonLater},
		"greeting refused":                  {server: reply("greeting", "554 go away"), status: notice.Retry, reason: notice.ReasonLater},
		"greeting that is none":             {server: reply("greeting", "hello"), status: notice.Retry, reason: notice.ReasonUnreachable},
		"greeting without end":              {server: func(s *mailServer) { s.endless = true }, status: notice.Retry, reason: notice.ReasonUnreachable},
		"hang-up at EHLO":                   {server: func(s *mailServer) { s.hangUp = "EHLO" }, status: notice.Retry, reason: notice.ReasonUnreachable},
		"hang-up at DATA":                   {server: func(s *mailServer) { s.hangUp = "DATA" }, status: notice.Retry, reason: notice.ReasonUnreachable},
		"hang-up at QUIT":                   {server: func(s *mailServer) { s.hangUp = "QUIT" }, status: notice.Done},
		"loopback without STARTTLS":         {server: func(s *mailServer) { s.noTLS = true }, status: notice.Done},
		"loopback, TLS not wanted":          {config: func(c *notice.SMTPConfig) { c.TLS = notice.NoTLS }, status: notice.Done},
		"certificate of a stranger":         {config: func(c *notice.SMTPConfig) { c.CAFile = "" }, status: notice.Retry, reason: notice.ReasonNotPrivate},
		"implicit TLS to a plain server":    {config: func(c *notice.SMTPConfig) { c.TLS = notice.ImplicitTLS }, status: notice.Retry, reason: notice.ReasonNotPrivate},
		"STARTTLS offered and then refused": {server: reply("STARTTLS", "454 not now"), status: notice.Retry, reason: notice.ReasonLater},
	} {
		t.Run(name, func(t *testing.T) {
			server := newMailServer(t, c.server)
			s := smtpSender(t, server, c.config)
			m := message(t, 1)
			switch c.to {
			case "":
			case "-":
				m.To = ""
			default:
				m.To = c.to
			}
			out, err := s.Deliver(context.Background(), m)
			wantOutcome(t, out, err, c.status, c.reason)
			if err != nil && strings.Contains(err.Error(), "@") {
				t.Errorf("the error holds an address: %v", err)
			}
			if want := c.status == notice.Done; want != (len(server.received()) == 1) {
				t.Errorf("%d mails", len(server.received()))
			}
		})
	}
}

func reply(command, text string) func(*mailServer) {
	return func(s *mailServer) { s.replies[command] = text }
}

func TestSMTPPasswordNeedsServerThatTakesIt(t *testing.T) {
	for name, change := range map[string]func(*mailServer){
		"refused":     reply("AUTH", "535 5.7.8 wrong password for bonded"),
		"not offered": func(s *mailServer) { s.noAuth = true },
	} {
		server := newMailServer(t, change)
		dir := t.TempDir()
		c := &notice.SMTPConfig{
			Server: server.addr, From: "notice@example.org", CAFile: server.caFile,
			User: "bonded", PasswordFile: secretFile(t, dir, "password", "hunter2"),
		}
		out, err := sender(t, dir, 0, config(notice.ChannelConfig{SMTP: c})).Deliver(context.Background(), message(t, 1))
		if out.Status != notice.Retry || out.Reason != notice.ReasonCredentials {
			t.Errorf("%s: %v %v", name, out, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte("hunter2")))) {
			t.Errorf("%s: the error holds the password", name)
		}
	}
}

// TestSMTPNeedsTLSBeyondLoopback speaks to an address of this machine that is
// no loopback address.
func TestSMTPNeedsTLSBeyondLoopback(t *testing.T) {
	c := notice.SMTPConfig{Server: "mail.example:25", From: "notice@example.org", TLS: notice.NoTLS}
	if err := c.Validate(); err == nil {
		t.Error("mail without TLS to another machine is allowed")
	}
	ip := outerAddress(t)
	server := newMailServer(t, func(s *mailServer) { s.noTLS = true })
	relay := relayTo(t, net.JoinHostPort(ip, "0"), server.addr)
	s := sender(t, t.TempDir(), 0, config(notice.ChannelConfig{SMTP: &notice.SMTPConfig{Server: relay, From: "notice@example.org"}}))
	out, err := s.Deliver(context.Background(), message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonNotPrivate)
	if n := len(server.received()); n != 0 {
		t.Errorf("%d mails went in clear", n)
	}
}

// outerAddress returns an address of this machine that is not loopback. Any
// address of 127/8 is loopback to the kernel; a machine without a network has
// no other.
func outerAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	return "0.0.0.0" // leads to this machine, and its name does not say so
}

// relayTo listens on addr and passes every connection on.
func relayTo(t *testing.T, addr, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				return
			}
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
	return l.Addr().String()
}

func TestSMTPEndsInTime(t *testing.T) {
	silent := make(chan struct{})
	server := newMailServer(t, func(s *mailServer) { s.silent = silent })
	defer close(silent)
	s := smtpSender(t, server, func(c *notice.SMTPConfig) { c.Timeout = 50 * time.Millisecond })
	out, err := s.Deliver(context.Background(), message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonTimeout)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out, err = s.Deliver(ctx, message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonInterruption)
	if errors.Is(err, context.Canceled) {
		t.Error("the cause is passed on")
	}
}
