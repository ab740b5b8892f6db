//go:build unix

package deploy

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bonded"
	"bonded/internal/ledger"
	"bonded/internal/policy"
	"bonded/internal/remote"
	"bonded/internal/witness"
	"bonded/verify"
)

// Create makes every folder of a deployment below l.Dir, which must be absent
// or empty. Nothing runs yet; see [Start]. On an error what was made stays,
// so that its cause can be looked at.
func Create(ctx context.Context, l Layout, p *Plan, now time.Time) error {
	if entries, err := os.ReadDir(l.Dir); err == nil && len(entries) > 0 {
		return &bonded.Error{
			Code: bonded.CodeConfig, Field: l.Dir, Message: "this folder is not empty",
			Hint: "name a new folder, or start the deployment that is there with bonded dev",
		}
	}
	for _, dir := range []string{l.Dir, l.Admin(), l.Keys()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make deployment: %w", err)
		}
	}
	// 1. The administrator.
	adminPub, admin, _ := ed25519.GenerateKey(rand.Reader) // never fails since Go 1.24
	if err := writeFile(filepath.Join(l.Admin(), "admin.key"), admin.Seed()); err != nil {
		return err
	}
	d := &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Issued: now.UTC().Format(time.RFC3339),
		Admin: verify.EncodePublicKey(adminPub), Default: p.Default,
	}
	// 2. The witnesses, and the policy that names them.
	policyText, witnessCA, err := l.createWitnesses(p, now)
	if err != nil {
		return err
	}
	// 3. The parties of each cell.
	for i := range p.Cells {
		c, err := l.createCell(ctx, p, &p.Cells[i], policyText, now)
		if err != nil {
			return err
		}
		c.WitnessCA = witnessCA
		d.Cells = append(d.Cells, *c)
	}
	// 4. The directory, for everybody.
	if err := l.publish(p, d, admin); err != nil {
		return err
	}
	// 5. The first principals.
	return l.firstGrants(p, now)
}

func (l Layout) createWitnesses(p *Plan, now time.Time) (policyText, caPEM string, err error) {
	var lines, names []string
	for i, addr := range p.Witness {
		dir, name := l.Witness(i+1), fmt.Sprintf("bonded.local/witness-%d", i+1)
		ca, err := newParty(dir, name, remote.Leaf{Cell: remote.CellWitness, Role: remote.RoleWitness, Hosts: hosts(addr)}, now)
		if err != nil {
			return "", "", err
		}
		key, err := witness.LoadOrCreateKey(filepath.Join(dir, "witness.key"), name)
		if err != nil {
			return "", "", fmt.Errorf("make witness %d: %w", i+1, err)
		}
		conf := fmt.Sprintf("name: %s\nlisten: %s\ndirectory: cells.json\n", name, addr)
		if err := writeFile(filepath.Join(dir, "witness.yaml"), []byte(conf)); err != nil {
			return "", "", err
		}
		short := fmt.Sprintf("w%d", i+1)
		lines = append(lines, fmt.Sprintf("witness %s %s https://%s/", short, key.VKey(), addr))
		names = append(names, short)
		caPEM += string(ca)
	}
	lines = append(lines, fmt.Sprintf("group majority 2 %s", strings.Join(names, " ")), "quorum majority", "")
	return strings.Join(lines, "\n"), caPEM, nil
}

func (l Layout) createCell(ctx context.Context, p *Plan, c *CellPlan, policyText string, now time.Time) (*verify.DirectoryCell, error) {
	dir := l.Vault(c.ID)
	ca, err := newParty(dir, "bonded vault "+string(c.ID), remote.Leaf{
		Cell: c.ID, Role: remote.RoleVault, Hosts: hosts(c.API, c.APITLS),
	}, now)
	if err != nil {
		return nil, err
	}
	// 1. Keys of the vault: ledger, promises, inner index.
	origin := fmt.Sprintf("bonded.local/%s/%s", c.ID, bonded.NewID().Hex()[:12])
	logKey, logVKey, err := ledger.GenerateKey(origin)
	if err != nil {
		return nil, fmt.Errorf("make ledger key: %w", err)
	}
	promisePub, promise, _ := ed25519.GenerateKey(rand.Reader) // never fails since Go 1.24
	var index [32]byte
	_, _ = rand.Read(index[:])
	keys := map[string][]byte{"ledger.key": []byte(logKey), "promise.key": promise.Seed(), "index.key": index[:]}
	if p.FrontDoor {
		var cases [32]byte
		_, _ = rand.Read(cases[:])
		keys["cases.key"] = cases[:]
	}
	for name, b := range keys {
		if err := writeFile(filepath.Join(dir, "keys", name), b); err != nil {
			return nil, err
		}
	}
	// 2. Its configuration.
	schema := p.Schema
	if schema == nil {
		schema = DefaultSchema()
	}
	for name, b := range map[string][]byte{
		"vault.yaml": vaultYAML(p, c), "schema.yaml": schema, "policy.cedar": policy.DefaultOperatorPolicy(),
	} {
		if err := writeFile(filepath.Join(dir, name), b); err != nil {
			return nil, err
		}
	}
	// 3. The keyholder, made by its own program.
	pub, err := l.createKeyholder(ctx, p, c)
	if err != nil {
		return nil, err
	}
	return &verify.DirectoryCell{
		ID: c.ID, Jurisdictions: c.Jurisdictions, Suite: c.Suite,
		API: "http://" + c.API, APITLS: "https://" + c.APITLS, Ledger: "http://" + c.API + "/ledger/",
		LedgerKey: logVKey, WitnessPolicy: "log " + logVKey + "\n" + policyText, PromiseKey: verify.EncodePublicKey(promisePub),
		KeyholderKey: pub.Key, KeyholderHPKE: pub.HPKE, Keyholder: c.Keyholder,
		VaultCA: string(ca), KeyholderCA: pub.CA,
	}, nil
}

// keyholderPublic is public.json of a keyholder: what it lets others know.
type keyholderPublic struct {
	Cell   bonded.CellID `json:"cell"`
	Key    string        `json:"keyholder_key"`
	HPKE   string        `json:"keyholder_hpke"`
	CA     string        `json:"keyholder_ca"`
	Listen string        `json:"listen"`
	Suite  string        `json:"suite"`
}

func (l Layout) createKeyholder(ctx context.Context, p *Plan, c *CellPlan) (*keyholderPublic, error) {
	dir := l.Keyholder(c.ID)
	var secret [24]byte
	_, _ = rand.Read(secret[:])
	pass := l.Passphrase(c.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make keyholder: %w", err)
	}
	if err := writeFile(pass, []byte(fmt.Sprintf("%x\n", secret))); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.Bin, "bonded-keyholder"), //nolint:gosec // our own program
		"init", dir, "--cell", string(c.ID), "--suite", c.Suite, "--listen", c.Keyholder,
		"--passphrase-file", pass, "--undo-window", p.UndoWindow, "--waiting-time", p.WaitingTime)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "bonded-keyholder init: "+strings.TrimSpace(string(out)))
	}
	b, err := os.ReadFile(filepath.Join(dir, "public.json")) //nolint:gosec // inside the deployment
	if err != nil {
		return nil, fmt.Errorf("read the keyholder's public keys: %w", err)
	}
	pub := new(keyholderPublic)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(pub); err != nil {
		return nil, fmt.Errorf("read the keyholder's public keys: %w", err)
	}
	return pub, writeFile(filepath.Join(dir, "policy.cedar"), policy.DefaultOperatorPolicy())
}

// Passphrase returns where a keyholder on this machine finds its passphrase.
func (l Layout) Passphrase(cell bonded.CellID) string {
	return filepath.Join(l.Keyholder(cell), "passphrase")
}

func (l Layout) publish(p *Plan, d *verify.Directory, admin ed25519.PrivateKey) error {
	file := d.Encode()
	if _, err := verify.ParseDirectory(file); err != nil {
		return fmt.Errorf("check the new directory: %w", err)
	}
	sig := verify.SignDirectory(admin, file)
	dirs := []string{l.Dir}
	for i := range p.Cells {
		dirs = append(dirs, l.Vault(p.Cells[i].ID), l.Keyholder(p.Cells[i].ID))
	}
	for n := range Witnesses {
		dirs = append(dirs, l.Witness(n+1))
	}
	for _, dir := range dirs {
		err := errors.Join(
			writeFile(filepath.Join(dir, "cells.json.sig"), sig),
			writeFile(filepath.Join(dir, "cells.json"), file))
		if err != nil {
			return err
		}
	}
	return nil
}

func (l Layout) firstGrants(p *Plan, now time.Time) error {
	var cells []bonded.CellID
	for i := range p.Cells {
		cells = append(cells, p.Cells[i].ID)
	}
	for _, pr := range FirstPrincipals(p.Budget) {
		cred, err := l.Grant(pr, cells, now)
		if err != nil {
			return err
		}
		if pr.Job || pr.Internal {
			continue // the vault's own work has no keys
		}
		if err := cred.Save(l.Credential(pr.ID)); err != nil {
			return err
		}
	}
	return nil
}

// newParty makes a party's folder with its certificate authority and first
// certificate, and returns the authority's PEM.
func newParty(dir, name string, leaf remote.Leaf, now time.Time) ([]byte, error) {
	tls := filepath.Join(dir, "tls")
	for _, d := range []string{tls, filepath.Join(dir, "keys")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("make %s: %w", name, err)
		}
	}
	ca, err := remote.NewAuthority(name, now)
	if err == nil {
		err = errors.Join(ca.Save(tls), ca.IssueFiles(tls, leaf, now))
	}
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return ca.PEM(), nil
}

func hosts(addrs ...string) []string {
	var hs []string
	for _, a := range addrs {
		if h, _, ok := strings.Cut(a, ":"); ok && !strings.Contains(strings.Join(hs, " "), h) {
			hs = append(hs, h)
		}
	}
	return append(hs, "localhost")
}
