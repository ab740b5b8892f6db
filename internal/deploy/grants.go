package deploy

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bonded"
	"bonded/internal/grant"
)

// A Principal is what bonded key create makes in each cell it names.
type Principal struct {
	ID        string
	Roles     []string
	Purposes  []bonded.Purpose
	Scope     map[string][]string
	Budget    uint32        // distinct subjects an hour
	Valid     time.Duration // from now
	NoBearer  bool          // every call must be proven to the keyholder
	Job       bool
	Internal  bool // asked under by the vault itself, for a case or on the console's pages: it has no key at all
	Erase     bool
	HourlyCap uint32
	Location  bonded.CellID // cell it sits in; empty: the cell of the grant
}

// grantsPath is where the administrator keeps a cell's grant set.
func (l Layout) grantsPath(cell bonded.CellID) string {
	return filepath.Join(l.Admin(), "grants-"+string(cell)+".json")
}

// Grant adds or replaces p in the cells named, signs the new sets and writes
// them to the administrator's folder, the vaults and the keyholders. A running
// keyholder takes the set up by itself. It returns p's credential, which is
// kept nowhere else.
func (l Layout) Grant(p Principal, cells []bonded.CellID, now time.Time) (*Credential, error) {
	admin, err := l.adminKey()
	if err != nil {
		return nil, err
	}
	cred := &Credential{Principal: p.ID, Purposes: p.Purposes, Cells: map[bonded.CellID]*CellCredential{}}
	for _, cell := range cells {
		set, err := l.grantSet(cell, admin)
		if err != nil {
			return nil, err
		}
		g, cc := p.grant(cell, now)
		set.Grants = slices.DeleteFunc(set.Grants, func(o grant.Grant) bool { return o.ID == p.ID })
		set.Grants = append(set.Grants, g)
		if err := l.install(set, admin, now); err != nil {
			return nil, err
		}
		cred.Cells[cell] = cc
	}
	return cred, nil
}

// Revoke takes a principal out of the sets of the cells named. It returns an
// error with code withheld if none had it.
func (l Layout) Revoke(id string, cells []bonded.CellID, now time.Time) error {
	admin, err := l.adminKey()
	if err != nil {
		return err
	}
	found := false
	for _, cell := range cells {
		set, err := l.grantSet(cell, admin)
		if err != nil {
			return err
		}
		n := len(set.Grants)
		set.Grants = slices.DeleteFunc(set.Grants, func(o grant.Grant) bool { return o.ID == id })
		if len(set.Grants) == n {
			continue
		}
		found = true
		if err := l.install(set, admin, now); err != nil {
			return err
		}
	}
	if !found {
		return &bonded.Error{Code: bonded.CodeWithheld, Message: "no such principal", Hint: "bonded key list shows them"}
	}
	return nil
}

// Grants returns the set of a cell as the administrator last signed it.
func (l Layout) Grants(cell bonded.CellID) (*grant.Set, error) {
	admin, err := l.adminKey()
	if err != nil {
		return nil, err
	}
	return l.grantSet(cell, admin)
}

func (p *Principal) grant(cell bonded.CellID, now time.Time) (grant.Grant, *CellCredential) {
	pub, priv, _ := ed25519.GenerateKey(rand.Reader) // never fails since Go 1.24
	g := grant.Grant{
		ID: p.ID, Key: base64.StdEncoding.EncodeToString(pub), Location: cell, Roles: p.Roles,
		Purposes: p.Purposes, Scope: p.Scope, Budget: p.Budget, Bearer: !p.NoBearer && !p.Job,
		NotBefore: now.UTC().Add(-time.Minute).Truncate(time.Second), NotAfter: now.UTC().Add(p.Valid).Truncate(time.Second),
		Job: p.Job, Erase: p.Erase, HourlyCap: p.HourlyCap,
	}
	if p.Location != "" {
		g.Location = p.Location
	}
	if p.Internal {
		g.Key = ""
		return g, &CellCredential{}
	}
	if p.Job { // the vault's own work: nobody calls with it
		g.Key, g.JobRate = "", p.Budget
		return g, &CellCredential{}
	}
	// The bearer key tells the vault who calls; where the grant forbids bearer
	// requests each call is proven to the keyholder besides.
	cc := &CellCredential{GrantKey: priv.Seed(), Bearer: NewBearer()}
	h := sha256.Sum256([]byte(cc.Bearer))
	g.BearerHash = base64.StdEncoding.EncodeToString(h[:])
	return g, cc
}

func (l Layout) grantSet(cell bonded.CellID, admin ed25519.PrivateKey) (*grant.Set, error) {
	b, err := os.ReadFile(l.grantsPath(cell))
	if errors.Is(err, fs.ErrNotExist) {
		return &grant.Set{Format: grant.Format, Cell: cell}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	pub, _ := admin.Public().(ed25519.PublicKey)
	return grant.Open(b, pub)
}

// install signs the next number of a set and hands it to both parties.
func (l Layout) install(set *grant.Set, admin ed25519.PrivateKey, now time.Time) error {
	set.Number++
	set.Issued = now.UTC().Truncate(time.Second)
	b, err := grant.Sign(set, admin)
	if err != nil {
		return fmt.Errorf("sign grants: %w", err)
	}
	// The administrator's own copy first: a number once used is never used for
	// another set.
	for _, path := range []string{
		l.grantsPath(set.Cell),
		filepath.Join(l.Keyholder(set.Cell), "grants.json"),
		filepath.Join(l.Vault(set.Cell), "grants.json"),
	} {
		if err := writeFile(path, b); err != nil {
			return err
		}
	}
	return nil
}

// InstallPolicy puts the operator's policies into the folders of a cell's
// vault and keyholder. They take effect when the ledger has announced them and
// the waiting times are over.
func (l Layout) InstallPolicy(cell bonded.CellID, text []byte) error {
	// The keyholder's first: it waits for the evidence that the vault makes.
	for _, dir := range []string{l.Keyholder(cell), l.Vault(cell)} {
		if _, err := os.Stat(dir); err != nil {
			return &bonded.Error{Code: bonded.CodeConfig, Field: dir, Message: "this party is not in the deployment's folder", Hint: "give its operator the file", Err: err}
		}
		if err := writeFile(filepath.Join(dir, "policy.cedar"), text); err != nil {
			return err
		}
	}
	return nil
}

func (l Layout) adminKey() (ed25519.PrivateKey, error) {
	b, err := readSecret(filepath.Join(l.Admin(), "admin.key"))
	if err != nil {
		return nil, err
	}
	if len(b) != ed25519.SeedSize {
		return nil, bonded.Errorf(bonded.CodeConfig, "administrator key has the wrong length")
	}
	return ed25519.NewKeyFromSeed(b), nil
}
