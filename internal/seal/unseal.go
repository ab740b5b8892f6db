package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"

	"bonded"
)

// MaxUnsealShares is the most shares [SplitUnsealKey] makes.
const MaxUnsealShares = 255

// ErrShares is returned when shares do not combine to their key. Its text goes
// on to say why: nothing in it is secret.
var ErrShares = errors.New("unseal shares do not combine")

const (
	scalarSize     = 32 // ristretto255, little-endian
	commitmentSize = 16
)

// An UnsealShare is one person's part of the key that unseals a keyholder.
// The zero UnsealShare is not valid.
type UnsealShare struct {
	body func() *shareBody // a func for the reason given at Key
}

// shareBody is what the text of a share encodes.
type shareBody struct {
	set        bonded.ID // the split this share belongs to
	threshold  uint8     // how many shares recover the key
	number     uint8     // 1 to the number of shares: the x of the point
	value      [scalarSize]byte
	commitment [commitmentSize]byte // the same in all shares of a set: tells the right key from a wrong one
}

// SplitUnsealKey returns a fresh key and n shares, any m of which recover it:
// Shamir's scheme over the scalars of ristretto255. m is at least 2 and n at
// most [MaxUnsealShares]. m-1 shares say nothing about the key. The caller
// shows each share to one person once and keeps none.
func SplitUnsealKey(n, m int) (Key, []UnsealShare, error) {
	if m < 2 || m > n || n > MaxUnsealShares {
		return Key{}, nil, fmt.Errorf("split unseal key: %d of %d shares: need at least 2, at most all, and at most %d shares", m, n, MaxUnsealShares)
	}
	// 1. A random scalar is the secret; key and commitment derive from it.
	set := bonded.NewID()
	secret := group.Ristretto255.RandomNonZeroScalar(rand.Reader)
	key, commitment, err := unsealKey(secret, set, uint8(m)) //nolint:gosec // at most MaxUnsealShares
	if err != nil {
		return Key{}, nil, fmt.Errorf("split unseal key: %w", err)
	}
	// 2. Points 1 to n on a random polynomial of degree m-1 are the shares.
	shares := make([]UnsealShare, 0, n)
	for i, s := range secretsharing.New(rand.Reader, uint(m-1), secret).Share(uint(n)) {
		value, err := s.Value.MarshalBinary()
		if err != nil {
			return Key{}, nil, fmt.Errorf("split unseal key: %w", err)
		}
		body := shareBody{set: set, threshold: uint8(m), number: uint8(i + 1), value: [scalarSize]byte(value), commitment: commitment} //nolint:gosec // at most MaxUnsealShares
		clear(value)
		shares = append(shares, holdShare(&body))
	}
	return key, shares, nil
}

// RecoverUnsealKey returns the key that shares were split from. It returns
// [ErrShares], with the reason in its text, if they are too few, of different
// sets, given twice, or if one of them is not what was handed out; more shares
// than needed must all fit.
func RecoverUnsealKey(shares []UnsealShare) (Key, error) {
	// 1. One set, no share twice, enough of them.
	points, first, err := checkShares(shares)
	if err != nil {
		return Key{}, err
	}
	// 2. The first m points give the secret, and it must match the commitment.
	m := int(first.threshold)
	secret, err := secretsharing.Recover(uint(m-1), points[:m])
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrShares, err)
	}
	key, commitment, err := unsealKey(secret, first.set, first.threshold)
	if err != nil {
		return Key{}, fmt.Errorf("recover unseal key: %w", err)
	}
	if subtle.ConstantTimeCompare(commitment[:], first.commitment[:]) != 1 {
		key.Wipe()
		return Key{}, fmt.Errorf("%w: at least one of them is not what was handed out", ErrShares)
	}
	// 3. Each point beyond those must lie on the same polynomial.
	for i := m; i < len(points); i++ {
		other, err := secretsharing.Recover(uint(m-1), append(points[:m-1:m-1], points[i]))
		if err != nil || !other.IsEqual(secret) {
			key.Wipe()
			return Key{}, fmt.Errorf("%w: share %d is not what was handed out", ErrShares, shares[i].Number())
		}
	}
	return key, nil
}

func checkShares(shares []UnsealShare) ([]secretsharing.Share, *shareBody, error) {
	if len(shares) == 0 || len(shares) > MaxUnsealShares {
		return nil, nil, fmt.Errorf("%w: %d given", ErrShares, len(shares))
	}
	var first *shareBody
	var seen [256]bool
	points := make([]secretsharing.Share, 0, len(shares))
	for _, s := range shares {
		if s.body == nil {
			return nil, nil, fmt.Errorf("%w: one is empty", ErrShares)
		}
		b := s.body()
		if first == nil {
			first = b
		}
		switch {
		case b.set != first.set || b.threshold != first.threshold || b.commitment != first.commitment:
			return nil, nil, fmt.Errorf("%w: share %d and share %d belong to different sets", ErrShares, first.number, b.number)
		case b.threshold < 2 || b.number == 0:
			return nil, nil, fmt.Errorf("%w: one is wiped", ErrShares)
		case seen[b.number]:
			return nil, nil, fmt.Errorf("%w: share %d was given twice", ErrShares, b.number)
		}
		seen[b.number] = true
		value, err := parseScalar(b.value[:])
		if err != nil {
			return nil, nil, fmt.Errorf("%w: share %d is not what was handed out", ErrShares, b.number)
		}
		points = append(points, secretsharing.Share{
			ID:    group.Ristretto255.NewScalar().SetUint64(uint64(b.number)),
			Value: value,
		})
	}
	if len(shares) < int(first.threshold) {
		return nil, nil, fmt.Errorf("%w: %d given, %d needed", ErrShares, len(shares), first.threshold)
	}
	return points, first, nil
}

// unsealKey derives the key and the commitment. A scalar is not a uniform
// string of bytes, so this is HKDF with its extract step, without salt.
func unsealKey(secret group.Scalar, set bonded.ID, threshold uint8) (key Key, commitment [commitmentSize]byte, err error) {
	encoded, err := secret.MarshalBinary()
	if err != nil {
		return Key{}, commitment, err
	}
	defer clear(encoded)
	k, err := hkdf.Key(sha256.New, encoded, nil, unsealInfo("bonded/unseal/1", set, threshold), KeySize)
	if err != nil {
		return Key{}, commitment, err
	}
	defer clear(k)
	c, err := hkdf.Key(sha256.New, encoded, nil, unsealInfo("bonded/unseal-commit/1", set, threshold), commitmentSize)
	if err != nil {
		return Key{}, commitment, err
	}
	key, err = KeyFromBytes(k)
	return key, [commitmentSize]byte(c), err
}

func unsealInfo(label string, set bonded.ID, threshold uint8) string {
	b := appendPart(nil, label)
	b = appendPart(b, set[:])
	return string(appendPart(b, []byte{threshold}))
}

func holdShare(b *shareBody) UnsealShare { return UnsealShare{func() *shareBody { return b }} }

// Number returns which share this is, from 1, or 0 for the zero UnsealShare.
func (s UnsealShare) Number() int {
	if s.body == nil {
		return 0
	}
	return int(s.body().number)
}

// Threshold returns how many shares recover the key, or 0 for the zero
// UnsealShare.
func (s UnsealShare) Threshold() int {
	if s.body == nil {
		return 0
	}
	return int(s.body().threshold)
}

// Wipe overwrites the share in every copy of s.
func (s UnsealShare) Wipe() {
	if s.body != nil {
		*s.body() = shareBody{}
	}
}

// Format keeps shares out of messages, whatever the verb; see
// [UnsealShare.Text].
func (UnsealShare) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[unseal share]") }

// LogValue keeps shares out of logs.
func (UnsealShare) LogValue() slog.Value { return slog.StringValue("[unseal share]") }
