package seal

import "fmt"

// MaxSecret is the most [SealSecret] and [SealWithPassphrase] take, in bytes.
const MaxSecret = 1 << 20

// SealSecret seals a secret of a party for rest under key: a cell key under
// the driver key, an index master key, a private key. It is not for personal
// data. label says what the secret is and is authenticated, not stored:
// "cell-key/3" does not open as "cell-key/4". Secrets are sealed with
// [AES256GCM] in every cell, under a key derived for the label. Errors are
// [ErrKey] and [ErrTooLong].
func SealSecret(key Key, label string, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxSecret {
		return nil, fmt.Errorf("seal secret %s: %w: %d bytes, limit %d", label, ErrTooLong, len(plaintext), MaxSecret)
	}
	info := secretInfo(label)
	k := key.derive(AES256GCM, info)
	defer k.Wipe()
	sealed, err := k.sealBytes(AES256GCM, plaintext, info)
	if err != nil {
		return nil, fmt.Errorf("seal secret %s: %w", label, err)
	}
	return sealed, nil
}

// OpenSecret opens what [SealSecret] made with this key and label. It returns
// [ErrOpen] in every other case. The caller wipes the plaintext.
func OpenSecret(key Key, label string, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead || len(sealed) > MaxSecret+Overhead || Suite(sealed[0]) != AES256GCM {
		return nil, ErrOpen
	}
	info := secretInfo(label)
	k := key.derive(AES256GCM, info)
	defer k.Wipe()
	return k.openBytes(nil, sealed, info)
}

// secretInfo is both the info of the derivation and the additional data.
func secretInfo(label string) []byte {
	return appendPart(appendPart(nil, "bonded/secret/1"), label)
}
