package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"

	"github.com/cloudflare/circl/group"

	"bonded"
)

// ErrShareText is returned for a text that is not an unseal share exactly as
// it was written: another prefix, length or letter, or a mistyped character.
var ErrShareText = errors.New("not an unseal share: it is mistyped, incomplete or something else")

const (
	sharePrefix  = "bonded-unseal-share-1:"
	checksumSize = 4
	bodySize     = bonded.IDSize + 1 + 1 + scalarSize + commitmentSize
)

// shareText is RFC 4648 base 32 in lower case. 70 bytes make 112 characters
// with no bits over, so a share has one spelling.
var shareText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Text returns the share as its holder keeps it: "bonded-unseal-share-1:" and
// 112 characters a–z and 2–7. It is as secret as the share. It is empty for
// the zero and for a wiped UnsealShare.
func (s UnsealShare) Text() string {
	if s.Number() == 0 {
		return ""
	}
	b := s.body()
	raw := append(make([]byte, 0, bodySize+checksumSize), b.set[:]...)
	raw = append(raw, b.threshold, b.number)
	raw = append(raw, b.value[:]...)
	raw = append(raw, b.commitment[:]...)
	raw = append(raw, shareChecksum(raw)...)
	defer clear(raw)
	return sharePrefix + shareText.EncodeToString(raw)
}

// ParseUnsealShare reads what [UnsealShare.Text] wrote, and no other spelling:
// callers trim the white space around it. It returns [ErrShareText].
func ParseUnsealShare(text string) (UnsealShare, error) {
	encoded, ok := strings.CutPrefix(text, sharePrefix)
	if !ok || len(encoded) != shareText.EncodedLen(bodySize+checksumSize) || strings.ContainsAny(encoded, "\r\n") {
		return UnsealShare{}, ErrShareText
	}
	raw, err := shareText.DecodeString(encoded)
	if err != nil || len(raw) != bodySize+checksumSize {
		return UnsealShare{}, ErrShareText
	}
	defer clear(raw)
	body, sum := raw[:bodySize], raw[bodySize:]
	if !bytes.Equal(sum, shareChecksum(body)) {
		return UnsealShare{}, ErrShareText
	}
	b := shareBody{
		set:        bonded.ID(body[:16]),
		threshold:  body[16],
		number:     body[17],
		value:      [scalarSize]byte(body[18:50]),
		commitment: [commitmentSize]byte(body[50:66]),
	}
	if _, err := parseScalar(b.value[:]); err != nil || b.threshold < 2 || b.number == 0 {
		return UnsealShare{}, ErrShareText
	}
	return holdShare(&b), nil
}

// shareChecksum catches typing errors; the commitment catches the rest.
func shareChecksum(body []byte) []byte {
	sum := sha256.Sum256(appendPart(appendPart(nil, "bonded/unseal-share/1"), body))
	return sum[:checksumSize]
}

// parseScalar reads a ristretto255 scalar in its one canonical encoding: below
// the order of the group.
func parseScalar(b []byte) (group.Scalar, error) {
	s := group.Ristretto255.NewScalar()
	if err := s.UnmarshalBinary(b); err != nil {
		return nil, err
	}
	again, err := s.MarshalBinary()
	if err != nil {
		return nil, err
	}
	defer clear(again)
	if !bytes.Equal(again, b) {
		return nil, errors.New("scalar is not canonical")
	}
	return s, nil
}
