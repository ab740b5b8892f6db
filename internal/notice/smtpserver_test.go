package notice_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A mailServer is a small SMTP server on loopback: EHLO, STARTTLS, AUTH PLAIN,
// MAIL, RCPT, DATA, QUIT. What it does differently from a good server is set
// before the first delivery.
type mailServer struct {
	addr   string
	caFile string // PEM of its certificate

	noTLS, noAuth bool
	implicit      bool
	utf8          bool
	replies       map[string]string // instead of its own: by command, "." for the end of DATA, "greeting"
	hangUp        string            // the command at which it closes the line without an answer
	dropAfterData bool              // keeps the message, closes the line before the answer
	silent        chan struct{}     // if set: waits for its end before it greets
	endless       bool              // greets without end

	mu   sync.Mutex
	mail []received
}

type received struct {
	from, to, hello, user, password, data string
	encrypted                             bool
}

func newMailServer(t *testing.T, change func(*mailServer)) *mailServer {
	t.Helper()
	cert, ca := certificate(t)
	s := &mailServer{caFile: ca, replies: map[string]string{}}
	if change != nil {
		change(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if s.implicit {
		l = tls.NewListener(l, config)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				s.serve(conn, config)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return s
}

func (s *mailServer) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mail...)
}

func (s *mailServer) serve(conn net.Conn, config *tls.Config) {
	if s.silent != nil {
		<-s.silent
		return
	}
	for s.endless {
		if _, err := conn.Write([]byte("220-" + strings.Repeat("x", 1000) + "\r\n")); err != nil {
			return
		}
	}
	text := textproto.NewConn(conn)
	say := func(key, usual string) {
		if r, ok := s.replies[key]; ok {
			usual = r
		}
		_ = text.PrintfLine("%s", strings.ReplaceAll(usual, "\n", "\r\n"))
	}
	var m received
	_, m.encrypted = conn.(*tls.Conn)
	say("greeting", "220 mail.test ESMTP")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if verb == s.hangUp {
			return
		}
		switch verb {
		case "EHLO":
			m.hello = rest
			ext := []string{"mail.test"}
			if !s.noTLS && !m.encrypted {
				ext = append(ext, "STARTTLS")
			}
			if !s.noAuth {
				ext = append(ext, "AUTH PLAIN")
			}
			if s.utf8 {
				ext = append(ext, "SMTPUTF8")
			}
			for i, e := range ext {
				sep := "-"
				if i == len(ext)-1 {
					sep = " "
				}
				_ = text.PrintfLine("250%s%s", sep, e)
			}
		case "STARTTLS":
			say(verb, "220 go ahead")
			encrypted := tls.Server(conn, config)
			if err := encrypted.Handshake(); err != nil {
				return
			}
			conn, text, m.encrypted = encrypted, textproto.NewConn(encrypted), true
		case "AUTH":
			b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if f := strings.Split(string(b), "\x00"); len(f) == 3 {
				m.user, m.password = f[1], f[2]
			}
			say(verb, "235 ok")
		case "MAIL":
			m.from = line
			say(verb, "250 ok")
		case "RCPT":
			m.to = line
			say(verb, "250 ok")
		case "DATA":
			say(verb, "354 go on")
			if strings.HasPrefix(s.replies[verb], "5") {
				continue
			}
			raw, err := readData(text.R)
			if err != nil {
				return
			}
			m.data = raw
			if !strings.HasPrefix(s.replies["."], "4") && !strings.HasPrefix(s.replies["."], "5") {
				s.mu.Lock()
				s.mail = append(s.mail, m)
				s.mu.Unlock()
			}
			if s.dropAfterData {
				return
			}
			say(".", "250 queued")
		case "QUIT":
			say(verb, "221 bye")
			return
		default:
			say(verb, "502 what?")
		}
	}
}

// readData reads up to the lone dot and keeps every byte but the stuffed dots,
// so that tests see line ends as they were sent.
func readData(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

// certificate makes a certificate for 127.0.0.1 and localhost, and a file with
// it as authority.
func certificate(t testing.TB) (cert tls.Certificate, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, caFile
}

func (r received) String() string {
	return fmt.Sprintf("%s %s encrypted=%t", r.from, r.to, r.encrypted)
}
