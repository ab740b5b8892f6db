package notice

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"bonded"
)

// A Code is what a person shows later to ask about the case they were told
// of: 95 random bits. Whoever has it may ask, so it prints as [notice code]
// under every verb of fmt; [Code.Text] shows it. Store [Code.Hash], not the
// code, once the notice is delivered.
type Code struct{ text string }

// The text form: 19 characters of Crockford's base 32 in upper case
// (https://www.crockford.com/base32.html) and an ISO 7064 MOD 37,36 check
// character, in groups of four.
const (
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeBody     = 19
	codeGroup    = 4
	codeLabel    = "bonded/notice-code/1"
)

// NewCode returns a fresh random code.
func NewCode() Code {
	var b [codeBody]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	for i := range b {
		b[i] = codeAlphabet[b[i]&31]
	}
	return Code{group(string(b[:]) + string(codeCheck(string(b[:]))))}
}

// ParseCode reads a code as people type it: letter case, spaces and hyphens
// do not matter; O is read as 0, I and L as 1, but in the check character,
// which may be any letter. It returns an error with code [bonded.CodeBadID]
// for anything else.
func ParseCode(s string) (Code, error) {
	var b []byte
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c == ' ' || c == '-' {
			continue
		}
		if len(b) < codeBody {
			switch c {
			case 'O':
				c = '0'
			case 'I', 'L':
				c = '1'
			}
			if strings.IndexByte(codeAlphabet, c) < 0 {
				return Code{}, badCode("notice code has a character that does not belong there")
			}
		}
		if b = append(b, c); len(b) > codeBody+1 {
			break
		}
	}
	if len(b) != codeBody+1 {
		return Code{}, badCode("notice code has the wrong length")
	}
	if b[codeBody] != codeCheck(string(b[:codeBody])) {
		return Code{}, badCode("notice code has a wrong check character: a character was mistyped or two were swapped")
	}
	return Code{group(string(b))}, nil
}

func badCode(message string) error {
	return &bonded.Error{Code: bonded.CodeBadID, Message: message, Hint: "type the 20 characters as they stand in the notice"}
}

// Text returns the code as a notice shows it: XXXX-XXXX-XXXX-XXXX-XXXX.
func (c Code) Text() string { return c.text }

// IsZero reports whether c is no code.
func (c Code) IsZero() bool { return c.text == "" }

// Hash returns what a code is stored and looked up by: SHA-256 over the label
// "bonded/notice-code/1", a zero byte, and the 20 characters without hyphens.
func (c Code) Hash() [32]byte {
	return sha256.Sum256([]byte(codeLabel + "\x00" + strings.ReplaceAll(c.text, "-", "")))
}

// Equal reports whether two codes are the same, in constant time.
func (c Code) Equal(other Code) bool {
	return subtle.ConstantTimeCompare([]byte(c.text), []byte(other.text)) == 1
}

// String implements [fmt.Stringer] without telling the code.
func (c Code) String() string { return "[notice code]" }

// GoString implements [fmt.GoStringer] without telling the code.
func (c Code) GoString() string { return c.String() }

// MarshalText implements [encoding.TextMarshaler] with the code itself, so
// that a queue can keep a message until it is delivered.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.text), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads only the
// spelling that [Code.Text] writes, and "" as the zero code.
func (c *Code) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*c = Code{}
		return nil
	}
	parsed, err := ParseCode(string(b))
	if err != nil {
		return err
	}
	if parsed.text != string(b) {
		return badCode("notice code is not spelled as it was written")
	}
	*c = parsed
	return nil
}

func group(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && i%codeGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// codeCheck computes the ISO 7064 MOD 37,36 check character of s.
func codeCheck(s string) byte {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	p := 36
	for i := range len(s) {
		sum := (p + strings.IndexByte(alphabet, s[i])) % 36
		if sum == 0 {
			sum = 36
		}
		p = sum * 2 % 37
	}
	return alphabet[(37-p)%36]
}
