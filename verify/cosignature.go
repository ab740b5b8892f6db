package verify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// algCosignatureV1 is the signature type of Ed25519 cosignatures
// (c2sp.org/tlog-cosignature, "Format").
const algCosignatureV1 = 0x04

// algEd25519 is the signature type of plain Ed25519 note signatures
// (c2sp.org/signed-note, "Signature types").
const algEd25519 = 0x01

// b64 refuses trailing bits, so that no value has two spellings.
var b64 = base64.StdEncoding.Strict()

// CosignatureMessage returns the bytes a witness signs for the checkpoint
// text, which ends in a newline, at unixSeconds (c2sp.org/tlog-cosignature,
// "Ed25519 signed message").
func CosignatureMessage(text string, unixSeconds int64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", unixSeconds, text)
}

// CosignatureLine returns the note signature line, newline included, of a
// witness for its Ed25519 signature over [CosignatureMessage].
func CosignatureLine(name string, key ed25519.PublicKey, unixSeconds int64, sig []byte) string {
	b := binary.BigEndian.AppendUint32(nil, cosignatureKeyHash(name, key))
	b = binary.BigEndian.AppendUint64(b, uint64(unixSeconds)) //nolint:gosec // times of witnesses are after 1970
	b = append(b, sig...)
	return "— " + name + " " + b64.EncodeToString(b) + "\n"
}

// CosignatureVkey returns the text form of a witness's public key: a vkey of
// type 0x04. The name must be what [ValidKeyName] accepts.
func CosignatureVkey(name string, key ed25519.PublicKey) (string, error) {
	if !ValidKeyName(name) {
		return "", errors.New("witness name is not a key name")
	}
	if len(key) != ed25519.PublicKeySize {
		return "", errors.New("witness key is not an Ed25519 public key")
	}
	return fmt.Sprintf("%s+%08x+%s", name, cosignatureKeyHash(name, key), b64.EncodeToString(append([]byte{algCosignatureV1}, key...))), nil
}

// A CosignatureKey is the public key of a witness. It implements
// [note.Verifier] for cosignature/v1 lines.
type CosignatureKey struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// ParseCosignatureVkey reads what [CosignatureVkey] wrote. The error never
// repeats the input.
func ParseCosignatureVkey(vkey string) (*CosignatureKey, error) {
	name, hash, key, err := splitVkey(vkey)
	if err != nil {
		return nil, err
	}
	if key[0] != algCosignatureV1 {
		return nil, fmt.Errorf("vkey has signature type 0x%02x, a witness has 0x04", key[0])
	}
	if len(key) != 1+ed25519.PublicKeySize {
		return nil, errors.New("vkey is not of an Ed25519 key")
	}
	k := &CosignatureKey{name: name, hash: hash, key: ed25519.PublicKey(key[1:])}
	if cosignatureKeyHash(name, k.key) != hash {
		return nil, errors.New("vkey has the wrong key id for its name and key")
	}
	return k, nil
}

// Name returns the key name.
func (k *CosignatureKey) Name() string { return k.name }

// KeyHash returns the key id.
func (k *CosignatureKey) KeyHash() uint32 { return k.hash }

// PublicKey returns a copy of the Ed25519 key.
func (k *CosignatureKey) PublicKey() ed25519.PublicKey {
	return append(ed25519.PublicKey(nil), k.key...)
}

// Verify reports whether sig, a timestamp and an Ed25519 signature, is a
// cosignature of the note text msg.
func (k *CosignatureKey) Verify(msg, sig []byte) bool {
	t, ok := cosignatureTime(sig)
	return ok && ed25519.Verify(k.key, CosignatureMessage(string(msg), t), sig[8:])
}

// cosignatureTime returns the timestamp of a timestamped_signature, which must
// not exceed 2^63-1 (c2sp.org/tlog-cosignature, "Format").
func cosignatureTime(sig []byte) (int64, bool) {
	if len(sig) != 8+ed25519.SignatureSize {
		return 0, false
	}
	t := binary.BigEndian.Uint64(sig)
	if t > math.MaxInt64 {
		return 0, false
	}
	return int64(t), true
}

// CosignatureTimeOf returns the POSIX time in seconds of a cosignature that
// [note.Open] has verified with a [CosignatureKey]. It returns 0 for a line
// that is none.
func CosignatureTimeOf(s note.Signature) int64 {
	b, err := b64.DecodeString(s.Base64)
	if err != nil || len(b) < 4 {
		return 0
	}
	t, ok := cosignatureTime(b[4:])
	if !ok {
		return 0
	}
	return t
}

// ValidKeyName reports whether s can name a key in a signed note: not empty,
// UTF-8, no spaces, no control characters and no plus
// (c2sp.org/signed-note, "Signatures").
func ValidKeyName(s string) bool {
	return s != "" && len(s) <= 256 && utf8.ValidString(s) &&
		strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }) < 0
}

// parseLogVkey reads the vkey of a log, which has signature type 0x01.
func parseLogVkey(vkey string) (note.Verifier, ed25519.PublicKey, error) {
	_, _, key, err := splitVkey(vkey)
	if err != nil {
		return nil, nil, err
	}
	if key[0] != algEd25519 || len(key) != 1+ed25519.PublicKeySize {
		return nil, nil, errors.New("vkey of a log must be of an Ed25519 key with signature type 0x01")
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, nil, errors.New("vkey has the wrong key id for its name and key")
	}
	return v, ed25519.PublicKey(key[1:]), nil
}

// splitVkey takes a vkey apart: name, key id, and the type byte with the key
// (c2sp.org/signed-note, "Verifier keys").
func splitVkey(vkey string) (name string, hash uint32, key []byte, err error) {
	f := strings.SplitN(vkey, "+", 3)
	if len(f) != 3 || !ValidKeyName(f[0]) {
		return "", 0, nil, errors.New("vkey is not name+id+key")
	}
	h, err := strconv.ParseUint(f[1], 16, 32)
	if err != nil || len(f[1]) != 8 || strings.ToLower(f[1]) != f[1] {
		return "", 0, nil, errors.New("key id of the vkey is not eight hexadecimal digits")
	}
	key, err = decodeBase64(f[2])
	if err != nil || len(key) < 2 {
		return "", 0, nil, errors.New("key of the vkey is not base64")
	}
	return f[0], uint32(h), key, nil
}

// decodeBase64 decodes one line of canonical base64. The decoder of the
// standard library skips line ends, which would give a value two spellings.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line end inside base64")
	}
	return b64.DecodeString(s)
}

func cosignatureKeyHash(name string, key ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{'\n', algCosignatureV1})
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}
