package notice

import (
	"bytes"
	"encoding/base64"
	"errors"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of RFC 5321, section 4.5.3.1.
const (
	maxLocalPart = 64
	maxAddress   = 254
)

var errAddress = errors.New("not a mail address")

// parseAddress reads one address of RFC 5322. It refuses what could break out
// of a header or an SMTP command, and with it some rare but valid spellings:
// quoted local parts, domain literals, groups of one, encoded words in front
// of the @.
func parseAddress(s string) (*mail.Address, error) {
	if clean(s) != s || len(s) > 1024 || strings.HasSuffix(s, ";") {
		return nil, errAddress
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, errAddress // no cause: it quotes the address
	}
	at := strings.LastIndexByte(a.Address, '@')
	if at < 1 || at > maxLocalPart || len(a.Address) > maxAddress || clean(a.Address) != a.Address {
		return nil, errAddress
	}
	local, domain := a.Address[:at], a.Address[at+1:]
	if !dotAtom(local) || !domainName(domain) {
		return nil, errAddress
	}
	a.Name = cut(clean(a.Name), 64)
	return a, nil
}

// dotAtom reports whether s is a dot-atom of RFC 5322, section 3.2.3, with the
// other letters of RFC 6532.
func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") || strings.Contains(s, "=?") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < utf8.RuneSelf && !letterOrDigit(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r)
	})
}

// domainName reports whether s is labels joined by dots; letters beyond ASCII
// may be in them.
func domainName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return r < utf8.RuneSelf && !letterOrDigit(r) && r != '-' }) {
			return false
		}
	}
	return true
}

func letterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// cut returns the first n runes of s.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// composeMail writes the message of RFC 5322. The same envelope gives the same
// bytes.
func composeMail(e Envelope, from, to *mail.Address) ([]byte, error) {
	var b bytes.Buffer
	header := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	_, domain, _ := strings.Cut(from.Address, "@")
	header("From", addressHeader(from))
	header("To", addressHeader(to))
	header("Subject", encodeWords(clean(e.Text.Subject)))
	header("Date", e.Due.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<notice."+e.ID.Hex()+"@"+domain+">")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	header("Content-Language", e.Text.Language)
	header("Auto-Submitted", "auto-generated") // RFC 3834
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	if _, err := q.Write([]byte(e.Text.Body)); err != nil {
		return nil, err
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// addressHeader writes an address with its name, folded after the name.
func addressHeader(a *mail.Address) string {
	if a.Name == "" {
		return "<" + a.Address + ">"
	}
	name := forceWords(a.Name)
	if !strings.ContainsFunc(a.Name, func(r rune) bool { return !letterOrDigit(r) && !strings.ContainsRune(" .,&'-", r) }) {
		name = `"` + a.Name + `"` // nothing in it ends a quoted string
	}
	return name + "\r\n <" + a.Address + ">"
}

// encodeWords writes a header text of RFC 2047: as it is if it is short
// ASCII, else in encoded words of one line each.
func encodeWords(s string) string {
	if ascii(s) && len(s) <= 64 && !strings.Contains(s, "=?") {
		return s
	}
	return forceWords(s)
}

func forceWords(s string) string {
	const chunk = 39 // bytes, 52 in base 64: with its frame and a header name a line stays under 76
	var words []string
	for s != "" {
		n := min(chunk, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, "\r\n ")
}
