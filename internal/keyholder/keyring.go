package keyholder

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bonded"
	"bonded/internal/seal"
)

// KeyringFormat is the format name of this version of keyring files.
const KeyringFormat = "bonded/keyring/1"

// A KeyringFile is what is at rest of the keyholder's own secrets, each sealed
// under the driver key. It is a file beside the database and not in it, so
// that backups of the database alone open nothing and a destroyed version of
// the cell key does not live on in them.
type KeyringFile struct {
	Format  string          `json:"format"`
	Cell    bonded.CellID   `json:"cell"`
	Suite   string          `json:"suite"`
	Secrets []KeyringSecret `json:"secrets"`
}

// A KeyringSecret is one sealed secret.
type KeyringSecret struct {
	Name      string    `json:"name"` // "cell-key/<version>", "index", "tombstone", "sign" or "hpke"
	Sealed    []byte    `json:"sealed"`
	Created   time.Time `json:"created"`
	DestroyAt time.Time `json:"destroy_at,omitzero"` // of an old cell key
}

const (
	secretIndex     = "index"
	secretTombstone = "tombstone"
	secretSign      = "sign"
	secretHPKE      = "hpke"
	secretCellKey   = "cell-key/"
)

// keys are the secrets in use, unsealed.
type keys struct {
	file      KeyringFile
	suite     seal.Suite
	cell      map[uint32]seal.Key
	current   uint32
	index     seal.Key
	tombstone [32]byte
	sign      ed25519.PrivateKey
	hpke      seal.HPKEPrivate
	wiped     *bool // shared by copies; under Keyholder.inUse

	outer *outerKeys // shared by copies: a rotation does not touch the index key
}

// Public is what the other parties must know of a keyholder.
type Public struct {
	Cell  bonded.CellID
	Suite string
	Key   ed25519.PublicKey // signs heads, counts and tombstones
	HPKE  []byte            // sessions are sealed to it
}

// NewKeyring makes the secrets of a new keyholder and seals them with d, which
// must be unlocked.
func NewKeyring(ctx context.Context, d Driver, cell bonded.CellID, suiteName string, now time.Time) ([]byte, *Public, error) {
	if _, err := seal.ParseSuite(suiteName); err != nil {
		return nil, nil, bonded.Wrap(bonded.CodeConfig, err, err.Error())
	}
	if !cell.Valid() {
		return nil, nil, bonded.Errorf(bonded.CodeConfig, "cell id is malformed: 2 to 8 characters a–z and 0–9")
	}
	pub, sign, _ := ed25519.GenerateKey(rand.Reader) // never fails since Go 1.24
	hpke, err := seal.GenerateHPKE()
	if err != nil {
		return nil, nil, fmt.Errorf("make keyring: %w", err)
	}
	hpkeSeed, err := hpke.Bytes()
	if err != nil {
		return nil, nil, fmt.Errorf("make keyring: %w", err)
	}
	f := KeyringFile{Format: KeyringFormat, Cell: cell, Suite: suiteName}
	for name, secret := range map[string][]byte{
		secretCellKey + "1": randomBytes(), secretIndex: randomBytes(), secretTombstone: randomBytes(),
		secretSign: sign.Seed(), secretHPKE: hpkeSeed,
	} {
		if err := f.add(ctx, d, name, secret, now); err != nil {
			return nil, nil, fmt.Errorf("make keyring: %w", err)
		}
	}
	return f.encode(), &Public{cell, suiteName, pub, hpke.Public().Bytes()}, nil
}

func randomBytes() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return b
}

// label binds a secret to its cell and name.
func (f *KeyringFile) label(name string) string {
	return "bonded/keyring/1/" + string(f.Cell) + "/" + f.Suite + "/" + name
}

// add seals secret into f and wipes it.
func (f *KeyringFile) add(ctx context.Context, d Driver, name string, secret []byte, now time.Time) error {
	defer clear(secret)
	sealed, err := d.Seal(ctx, f.label(name), secret)
	if err != nil {
		return fmt.Errorf("seal %s: %w", name, err)
	}
	f.Secrets = append(f.Secrets, KeyringSecret{Name: name, Sealed: sealed, Created: now.UTC().Truncate(time.Second)})
	slices.SortFunc(f.Secrets, func(a, b KeyringSecret) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (f *KeyringFile) encode() []byte {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		panic(err) // strings, bytes and times always marshal
	}
	return append(b, '\n')
}

// openKeyring reads a keyring file and unseals its secrets.
func openKeyring(ctx context.Context, d Driver, file []byte, cell bonded.CellID) (_ *keys, err error) {
	k := &keys{cell: map[uint32]seal.Key{}, outer: &outerKeys{m: map[[2]string]seal.IndexKey{}}, wiped: new(bool)}
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&k.file); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "keyring is not the JSON this version reads")
	}
	if _, err := dec.Token(); err != io.EOF || k.file.Format != KeyringFormat {
		return nil, bonded.Errorf(bonded.CodeConfig, "keyring is not in the format %s", KeyringFormat)
	}
	if k.file.Cell != cell {
		return nil, bonded.Errorf(bonded.CodeConfig, "keyring is of cell %s, not %s", k.file.Cell, cell)
	}
	if k.suite, err = seal.ParseSuite(k.file.Suite); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, err.Error())
	}
	for i := range k.file.Secrets {
		s := &k.file.Secrets[i]
		secret, err := d.Open(ctx, k.file.label(s.Name), s.Sealed)
		if err != nil {
			return nil, err
		}
		err = k.take(s.Name, secret)
		clear(secret)
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeConfig, err, "keyring secret "+s.Name+" is not usable")
		}
	}
	if k.current == 0 || !k.index.Valid() || k.sign == nil || k.tombstone == ([32]byte{}) || k.hpke.Public().Bytes() == nil {
		return nil, bonded.Errorf(bonded.CodeConfig, "keyring is incomplete")
	}
	return k, nil
}

func (k *keys) take(name string, secret []byte) (err error) {
	if len(secret) != 32 {
		return seal.ErrKey
	}
	switch {
	case name == secretIndex:
		k.index, err = seal.KeyFromBytes(secret)
	case name == secretTombstone:
		copy(k.tombstone[:], secret)
	case name == secretSign:
		k.sign = ed25519.NewKeyFromSeed(secret)
	case name == secretHPKE:
		k.hpke, err = seal.ParseHPKEPrivate(secret)
	case strings.HasPrefix(name, secretCellKey):
		v, perr := strconv.ParseUint(name[len(secretCellKey):], 10, 32)
		if perr != nil || v == 0 {
			return seal.ErrKey
		}
		k.cell[uint32(v)], err = seal.KeyFromBytes(secret)
		k.current = max(k.current, uint32(v))
	default:
		return seal.ErrKey
	}
	return err
}

// public returns the verification key of k's signatures.
func (k *keys) public() ed25519.PublicKey {
	pub, _ := k.sign.Public().(ed25519.PublicKey)
	return pub
}

// wipe forgets every secret.
func (k *keys) wipe() {
	*k.wiped = true
	for _, c := range k.cell {
		c.Wipe()
	}
	k.index.Wipe()
	for _, o := range k.outer.m {
		o.Wipe()
	}
	clear(k.tombstone[:])
	clear(k.sign)
}

// outerKeys are the outer index keys used so far, by collection and field.
type outerKeys struct {
	mu sync.Mutex
	m  map[[2]string]seal.IndexKey
}

// outerKey returns the outer index key of a field; it is derived once.
func (k *keys) outerKey(collection, field string) seal.IndexKey {
	k.outer.mu.Lock()
	defer k.outer.mu.Unlock()
	at := [2]string{collection, field}
	ik, ok := k.outer.m[at]
	if !ok {
		ik = seal.OuterIndexKey(k.index, k.suite, collection, field)
		k.outer.m[at] = ik
	}
	return ik
}

// withNewCellKey returns a copy of k with the next version of the cell key as
// the current one; the one before is to be destroyed at destroyAt.
func (k *keys) withNewCellKey(ctx context.Context, d Driver, now, destroyAt time.Time) (*keys, error) {
	n := k.copy()
	secret := randomBytes()
	key, err := seal.KeyFromBytes(secret)
	if err != nil {
		return nil, err
	}
	for i := range n.file.Secrets {
		s := &n.file.Secrets[i]
		if strings.HasPrefix(s.Name, secretCellKey) && s.DestroyAt.IsZero() {
			s.DestroyAt = destroyAt.UTC().Truncate(time.Second)
		}
	}
	n.current++
	if err := n.file.add(ctx, d, secretCellKey+strconv.FormatUint(uint64(n.current), 10), secret, now); err != nil {
		return nil, err
	}
	n.cell[n.current] = key
	return n, nil
}

// dueCellKeys returns the old versions whose time has come.
func (k *keys) dueCellKeys(now time.Time) (due []uint32, next time.Time) {
	for i := range k.file.Secrets {
		s := &k.file.Secrets[i]
		v, err := strconv.ParseUint(strings.TrimPrefix(s.Name, secretCellKey), 10, 32)
		if err != nil || s.DestroyAt.IsZero() {
			continue
		}
		if !s.DestroyAt.After(now) {
			due = append(due, uint32(v))
		}
		if next.IsZero() || s.DestroyAt.Before(next) {
			next = s.DestroyAt
		}
	}
	return due, next
}

// withoutCellKey returns a copy of k without an old version, which is wiped.
func (k *keys) withoutCellKey(version uint32) *keys {
	n := k.copy()
	name := secretCellKey + strconv.FormatUint(uint64(version), 10)
	n.file.Secrets = slices.DeleteFunc(n.file.Secrets, func(s KeyringSecret) bool { return s.Name == name })
	delete(n.cell, version)
	return n
}

func (k *keys) copy() *keys {
	n := &keys{
		file: k.file, suite: k.suite, cell: maps.Clone(k.cell), current: k.current, index: k.index,
		tombstone: k.tombstone, sign: k.sign, hpke: k.hpke, wiped: k.wiped, outer: k.outer,
	}
	n.file.Secrets = slices.Clone(k.file.Secrets)
	return n
}

// created returns when the current cell key was made.
func (k *keys) created() time.Time {
	name := secretCellKey + strconv.FormatUint(uint64(k.current), 10)
	for i := range k.file.Secrets {
		if k.file.Secrets[i].Name == name {
			return k.file.Secrets[i].Created
		}
	}
	return time.Time{}
}
