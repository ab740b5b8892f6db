package quorum

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/quorum/internal/group"
)

// MaxKeySetSize is the most bytes of a [KeySet].
const MaxKeySetSize = MaxParamsSize + MaxRoles*MaxMembers*group.Size

// A KeySet is the public result of a ceremony: who holds shares, how many of
// them open, and the keys to check them by. It does not change, and may be
// used by several goroutines. It proves nothing alone: see [Certificate].
type KeySet struct {
	cell     bonded.CellID
	epoch    uint64
	kind     Kind
	dealt    bool
	release  group.Point
	ceremony [32]byte
	previous [32]byte
	roles    []roleKeys

	encoded []byte
	digest  [32]byte
}

type roleKeys struct {
	Role
	commitments  commitments   // of the role's polynomial; the first is the role's public key
	verification []group.Point // of the member at each position: its share times the generator
}

// newKeySet makes a key set of the commitments of each role. It fails if a key
// in it is the identity, which happens by chance once in 2^252.
func newKeySet(p *Params, dealt bool, sums []commitments) (*KeySet, error) {
	ks := &KeySet{
		cell: p.Cell, epoch: p.Epoch, kind: p.Kind, dealt: dealt,
		ceremony: p.Digest(), previous: p.Previous,
	}
	for i, role := range p.Roles {
		ks.roles = append(ks.roles, roleKeys{Role: role, commitments: sums[i]})
	}
	if err := ks.complete(); err != nil {
		return nil, err
	}
	return ks, nil
}

// complete derives what is not stored: verification keys, the release key, the
// encoding and its digest.
func (ks *KeySet) complete() error {
	ks.release = group.Identity()
	for i := range ks.roles {
		r := &ks.roles[i]
		r.verification = make([]group.Point, len(r.Members))
		for j := range r.Members {
			r.verification[j] = r.commitments.at(uint8(j + 1)) //nolint:gosec // at most MaxMembers
			if r.verification[j].IsIdentity() {
				return malformed("key set")
			}
		}
		if slices.ContainsFunc(r.commitments, group.Point.IsIdentity) {
			return malformed("key set")
		}
		ks.release = ks.release.Add(r.commitments[0])
	}
	if ks.release.IsIdentity() {
		return malformed("key set")
	}
	ks.encoded = ks.encode()
	ks.digest = sha256.Sum256(canon.LP([]byte("bonded/quorum/keyset/1"), ks.encoded))
	return nil
}

func (ks *KeySet) encode() []byte {
	w := canon.Writer{B: []byte{1}}
	w.String(string(ks.cell))
	w.Uint(ks.epoch)
	w.Byte(byte(ks.kind))
	w.Bool(ks.dealt)
	w.B = ks.release.Append(w.B)
	w.Fixed(ks.ceremony[:])
	w.Fixed(ks.previous[:])
	roles := make([]Role, len(ks.roles))
	for i, r := range ks.roles {
		roles[i] = r.Role
	}
	writeRoles(&w, roles)
	for _, r := range ks.roles {
		w.Fixed(r.commitments.bytes())
	}
	return w.B
}

// ParseKeySet reads what [KeySet.Bytes] wrote, and checks that it is consistent:
// the release key is the sum of the roles' keys, no key is the identity, and the
// epoch, the kind and the previous key set fit each other. It does not say that
// anyone made it: see [CheckCertificate].
func ParseKeySet(b []byte) (*KeySet, error) {
	if len(b) > MaxKeySetSize {
		return nil, malformed("key set")
	}
	r := canon.NewReader(b)
	version := r.Byte()
	ks := &KeySet{cell: bonded.CellID(r.String(8)), epoch: r.Uint(), kind: Kind(r.Byte()), dealt: r.Bool()}
	var release [group.Size]byte
	r.Fixed(release[:])
	r.Fixed(ks.ceremony[:])
	r.Fixed(ks.previous[:])
	roles := readRoles(r)
	if version != 1 || r.Bad() || !ks.cell.Valid() || checkRoles(roles) != nil || !ks.history() {
		return nil, malformed("key set")
	}
	for _, role := range roles {
		points := make([]byte, role.Threshold*group.Size)
		r.Fixed(points)
		c, ok := parseCommitments(points, role.Threshold)
		if !ok {
			return nil, malformed("key set")
		}
		ks.roles = append(ks.roles, roleKeys{Role: role, commitments: c})
	}
	if r.Done() != nil || ks.complete() != nil || ks.release.Bytes() != release {
		return nil, malformed("key set")
	}
	return ks, nil
}

// history reports whether epoch, kind, mark and previous key set go together.
func (ks *KeySet) history() bool {
	first := ks.epoch == 1 && ks.previous == [32]byte{}
	switch ks.kind {
	case KindDKG:
		return first && !ks.dealt
	case KindDealer:
		return first && ks.dealt
	case KindReshare:
		return ks.epoch > 1 && ks.previous != [32]byte{}
	}
	return false
}

// Bytes returns the canonical encoding.
func (ks *KeySet) Bytes() []byte { return slices.Clone(ks.encoded) }

// Digest names the key set: SHA-256 over a label and the canonical bytes.
func (ks *KeySet) Digest() [32]byte { return ks.digest }

// Cell returns the cell whose envelopes the key set opens.
func (ks *KeySet) Cell() bonded.CellID { return ks.cell }

// Epoch counts the key sets of one release key, from 1.
func (ks *KeySet) Epoch() uint64 { return ks.epoch }

// Kind returns the kind of ceremony that made this key set.
func (ks *KeySet) Kind() Kind { return ks.kind }

// Dealt reports whether one dealer once knew the release key. The mark stays
// through every resharing: what was known cannot be unknown.
func (ks *KeySet) Dealt() bool { return ks.dealt }

// ReleaseKey returns the public key of envelopes. It is the same in every epoch.
func (ks *KeySet) ReleaseKey() [32]byte { return ks.release.Bytes() }

// Ceremony returns the digest of the [Params] it came from.
func (ks *KeySet) Ceremony() [32]byte { return ks.ceremony }

// Previous returns the digest of the key set before this one, zero in epoch 1.
func (ks *KeySet) Previous() [32]byte { return ks.previous }

// Roles returns the roles with their members, for reading.
func (ks *KeySet) Roles() []Role {
	roles := make([]Role, len(ks.roles))
	for i, r := range ks.roles {
		roles[i] = r.Role
		roles[i].Members = slices.Clone(r.Members)
	}
	return roles
}

// RoleKey returns the public key of a role, whose sum over all roles is the
// release key; false if there is no such role.
func (ks *KeySet) RoleKey(role string) ([32]byte, bool) {
	r := ks.role(role)
	if r == nil {
		return [32]byte{}, false
	}
	return r.commitments[0].Bytes(), true
}

// VerificationKey returns the key by which partials of a member are checked;
// false if there is no such member. index counts from 1.
func (ks *KeySet) VerificationKey(role string, index int) ([32]byte, bool) {
	r := ks.role(role)
	if r == nil || index < 1 || index > len(r.Members) {
		return [32]byte{}, false
	}
	return r.verification[index-1].Bytes(), true
}

// Find returns role and index of the member with this approval key; false if it
// has none.
func (ks *KeySet) Find(approval ed25519.PublicKey) (role string, index int, ok bool) {
	for _, r := range ks.roles {
		for j, m := range r.Members {
			if m.Approval.Equal(approval) {
				return r.Name, j + 1, true
			}
		}
	}
	return "", 0, false
}

func (ks *KeySet) role(name string) *roleKeys {
	for i := range ks.roles {
		if ks.roles[i].Name == name {
			return &ks.roles[i]
		}
	}
	return nil
}
