// Package foundation does what people do once when a front door is set up, on
// a deployment on one machine: it makes the custodians' folders, holds their
// first ceremony, and brings people and agencies into the register. Every
// party stays a process of its own, and each step is the command that a person
// would type.
//
// It is for bonded dev, the demo and tests. Real custodians sit elsewhere and
// do this themselves: docs/frontdoor.md.
//
// Start at [Found].
package foundation

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/deploy"
	"bonded/internal/personkey"
	"bonded/internal/quorum"
	"bonded/internal/remote"
	"bonded/verify"
)

// A Custodian is somebody who will hold a share.
type Custodian struct{ ID, Role, Organisation string }

// A Plan says who holds shares and who decides.
type Plan struct {
	Custodians []Custodian
	Thresholds map[string]int // by role
	People     []Person
}

// A Person is an operator of the cell.
type Person struct{ ID, Role, Name string }

// Default is a firm of which two of three custodians are needed, an
// independent role of which one of two is, and the people who lead a case.
func Default() Plan {
	return Plan{
		Custodians: []Custodian{
			{"firm-1", "firm", "Example AG"},
			{"firm-2", "firm", "Example AG"},
			{"firm-3", "firm", "Example AG"},
			{"independent-1", verify.RoleIndependent, "Example Notaries"},
			{"independent-2", verify.RoleIndependent, "Example Privacy Watch"},
		},
		Thresholds: map[string]int{"firm": 2, verify.RoleIndependent: 1},
		People: []Person{
			{"intake-1", "intake", "Intake One"},
			{"legal-1", "legal", "Counsel One"},
			{"legal-2", "legal", "Counsel Two"},
			{"legal-3", "legal", "Counsel Three"},
			{"guardian-1", "guardian", "Guardian One"},
			{"auditor-1", "auditor", "Auditor One"},
		},
	}
}

// A Founder acts in one cell of a running deployment.
type Founder struct {
	D    *deploy.Deployment
	Bin  string // folder of the programs
	Cell bonded.CellID
	Plan Plan
	Now  func() time.Time
}

// New returns the founder of a cell with the default plan.
func New(d *deploy.Deployment, bin string, cell bonded.CellID) *Founder {
	return &Founder{D: d, Bin: bin, Cell: cell, Plan: Default(), Now: time.Now}
}

// Found makes the custodians and holds their first ceremony, then brings the
// people of the plan into the register. A cell that has custodians already is
// left as it is.
func (f *Founder) Found(ctx context.Context) error {
	admin, err := f.Admin()
	if err != nil {
		return err
	}
	if done, err := f.Founded(ctx); err != nil || done {
		return err
	}
	if err := f.MakeCustodians(ctx); err != nil {
		return err
	}
	chain, err := admin.Custody(ctx)
	if err != nil {
		return err
	}
	if len(chain.Certificates) == 0 {
		if _, err := f.Ceremony(ctx, admin); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, c := range f.Plan.Custodians {
		g.Go(func() error { return f.AddCustodian(ctx, admin, c) })
	}
	for _, p := range f.Plan.People {
		g.Go(func() error { return f.AddPerson(ctx, admin, p) })
	}
	return g.Wait()
}

// Founded reports whether everything that [Founder.Found] does is done.
func (f *Founder) Founded(ctx context.Context) (bool, error) {
	admin, err := f.Admin()
	if err != nil {
		return false, err
	}
	list, err := admin.Register(ctx)
	if err != nil {
		return false, err
	}
	in := map[string]bool{}
	for i := range list.Entries {
		if e := &list.Entries[i]; e.Kind == verify.RegistryPerson && e.State == "in_force" {
			in[e.ID] = true
		}
	}
	for _, p := range f.Plan.People {
		if !in[p.ID] {
			return false, nil
		}
	}
	for _, c := range f.Plan.Custodians {
		if !in[c.ID] {
			return false, nil
		}
	}
	return true, nil
}

// registered reports whether an entry of a person is there already, in
// whatever state.
func registered(ctx context.Context, admin *client.PersonClient, id string) (bool, error) {
	list, err := admin.Register(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list.Entries, func(e apitype.RegistryEntry) bool {
		return e.Kind == verify.RegistryPerson && e.ID == id && e.State == "in_force"
	}), nil
}

// AddCustodian says in the register which organisation a custodian belongs to.
func (f *Founder) AddCustodian(ctx context.Context, admin *client.PersonClient, c Custodian) error {
	if done, err := registered(ctx, admin, c.ID); err != nil || done {
		return err
	}
	m, err := f.Member(c.ID)
	if err != nil {
		return err
	}
	now := f.Now().UTC().Truncate(time.Second)
	return f.Register(ctx, admin, verify.RegistryPerson, c.ID, &verify.Person{
		Format: verify.LabelPerson, Cell: f.Cell, ID: c.ID, Version: 1, Role: "custodian", Organisation: c.Organisation, Name: c.ID,
		Key: verify.EncodePublicKey(m.Approval), NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(1, 0, 0),
	})
}

// Admin returns the front door as the directory's administrator calls it.
func (f *Founder) Admin() (*client.PersonClient, error) {
	key, err := f.D.Layout.AdminKey()
	if err != nil {
		return nil, err
	}
	return f.client(verify.SignerAdmin, key)
}

// As returns the front door as a person calls it whose key file is in the
// deployment, and that key.
func (f *Founder) As(person string) (*client.PersonClient, *personkey.Key, error) {
	b, err := os.ReadFile(f.D.Layout.Person(f.Cell, person))
	if err != nil {
		return nil, nil, fmt.Errorf("key of %s: %w", person, err)
	}
	k, err := personkey.Parse(b, nil)
	if err != nil {
		return nil, nil, err
	}
	c, err := f.client(k.Person, k.Private())
	return c, k, err
}

func (f *Founder) client(person string, key ed25519.PrivateKey) (*client.PersonClient, error) {
	return client.NewPerson(client.PersonConfig{Directory: f.D.Directory, Cell: f.Cell, Person: person, Key: key})
}

// MakeCustodians makes the folder of every custodian, each by its own program.
func (f *Founder) MakeCustodians(ctx context.Context) error {
	for _, c := range f.Plan.Custodians {
		dir := f.D.Layout.Custodian(f.Cell, c.ID)
		if _, err := os.Stat(filepath.Join(dir, "public.json")); err == nil {
			continue
		}
		if err := os.RemoveAll(dir); err != nil { // begun and not finished
			return fmt.Errorf("make custodian: %w", err)
		}
		var secret [24]byte
		_, _ = rand.Read(secret[:]) // never fails since Go 1.24
		if err := remote.WriteFile(f.D.Layout.CustodianPassphrase(f.Cell, c.ID), []byte(hex.EncodeToString(secret[:])+"\n")); err != nil {
			return err
		}
		if _, err := f.Custodian(ctx, c.ID, "init", dir, "--id", c.ID, "--organisation", c.Organisation, "--cell", string(f.Cell), "--directory", f.D.Layout.Directory()); err != nil {
			return err
		}
	}
	return nil
}

// Custodian runs bonded-custodian as one custodian and returns what it
// printed. Args begin with the command; its folder is given by the caller.
func (f *Founder) Custodian(ctx context.Context, id string, args ...string) (string, error) {
	all := append([]string{"--passphrase-file", f.D.Layout.CustodianPassphrase(f.Cell, id)}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(f.Bin, "bonded-custodian"), all...) //nolint:gosec // our own program
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("bonded-custodian %s of %s: %w: %s", args[0], id, err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// printedScope is how bonded-custodian show prints the digest of a scope.
var printedScope = regexp.MustCompile(`(?m)^scope\s+([0-9a-f]{64})$`)

// ApproveScope has a custodian look at a case and approve the scope that it
// saw, each by its own program, and returns what the second printed.
func (f *Founder) ApproveScope(ctx context.Context, custodian string, id bonded.CaseID) (string, error) {
	dir := f.D.Layout.Custodian(f.Cell, custodian)
	seen, err := f.Custodian(ctx, custodian, "show", dir, id.String())
	if err != nil {
		return seen, err
	}
	m := printedScope.FindStringSubmatch(seen)
	if m == nil {
		return seen, bonded.Errorf(bonded.CodeInternal, "custodian %s was shown no scope of case %s", custodian, id)
	}
	return f.Custodian(ctx, custodian, "approve", dir, id.String(), "--scope", m[1])
}

// public is public.json of a custodian.
type public struct {
	ID           string        `json:"id"`
	Organisation string        `json:"organisation"`
	Cell         bonded.CellID `json:"cell"`
	Approval     string        `json:"approval_key"`
	Transport    string        `json:"transport_key"`
}

// Member reads what a custodian's folder lets others know.
func (f *Founder) Member(id string) (quorum.Custody, error) {
	var m quorum.Custody
	b, err := os.ReadFile(filepath.Join(f.D.Layout.Custodian(f.Cell, id), "public.json"))
	if err != nil {
		return m, fmt.Errorf("custodian %s: %w", id, err)
	}
	p := new(public)
	if err := json.Unmarshal(b, p); err != nil {
		return m, fmt.Errorf("custodian %s: %w", id, err)
	}
	key, err := verify.DecodePublicKey(p.Approval)
	transport, err2 := base64.StdEncoding.DecodeString(p.Transport)
	if err := errors.Join(err, err2); err != nil {
		return m, fmt.Errorf("custodian %s: %w", id, err)
	}
	m.ID, m.Approval = p.ID, key
	if copy(m.Transport[:], transport) != len(m.Transport) {
		return m, bonded.Errorf(bonded.CodeConfig, "custodian %s has a transport key of the wrong length", id)
	}
	return m, nil
}

// Roles returns the roles of the plan with the present keys of their members.
func (f *Founder) Roles() ([]quorum.Role, error) {
	var roles []quorum.Role
	at := map[string]int{}
	for _, c := range f.Plan.Custodians {
		m, err := f.Member(c.ID)
		if err != nil {
			return nil, err
		}
		i, ok := at[c.Role]
		if !ok {
			i, at[c.Role] = len(roles), len(roles)
			roles = append(roles, quorum.Role{Name: c.Role, Threshold: f.Plan.Thresholds[c.Role]})
		}
		roles[i].Members = append(roles[i].Members, m)
	}
	return roles, nil
}

// Ceremony holds the first ceremony: the administrator orders it, each
// custodian takes part in a process of its own.
func (f *Founder) Ceremony(ctx context.Context, admin *client.PersonClient) (*quorum.Params, error) {
	roles, err := f.Roles()
	if err != nil {
		return nil, err
	}
	p := &quorum.Params{Cell: f.Cell, Ceremony: bonded.NewID(), Kind: quorum.KindDKG, Epoch: 1, Roles: roles}
	if err := p.Check(nil); err != nil {
		return nil, err
	}
	return p, f.Hold(ctx, admin, p, f.ids())
}

func (f *Founder) ids() []string {
	var ids []string
	for _, c := range f.Plan.Custodians {
		ids = append(ids, c.ID)
	}
	return ids
}

// Hold starts a ceremony and has the custodians named take part in it.
func (f *Founder) Hold(ctx context.Context, admin *client.PersonClient, p *quorum.Params, ids []string) error {
	key, err := f.D.Layout.AdminKey()
	if err != nil {
		return err
	}
	order, err := verify.NewCeremonyOrder(f.Cell, p.Digest())
	if err != nil {
		return err
	}
	order.Sign(verify.LabelCeremony, verify.SignerAdmin, key)
	if _, err := admin.StartCeremony(ctx, &apitype.CeremonyStart{Params: p.Bytes(), Statement: order}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, id := range ids {
		g.Go(func() error {
			_, err := f.Custodian(ctx, id, "ceremony", "join", f.D.Layout.Custodian(f.Cell, id), p.Ceremony.Hex(), "--digest", fmt.Sprintf("%x", p.Digest()))
			return err
		})
	}
	return g.Wait()
}

// AddPerson makes an operator's key file and brings the person into the
// register.
func (f *Founder) AddPerson(ctx context.Context, admin *client.PersonClient, p Person) error {
	if done, err := registered(ctx, admin, p.ID); err != nil || done {
		return err
	}
	path := f.D.Layout.Person(f.Cell, p.ID)
	k, err := personkey.New(p.ID, f.Cell)
	if err != nil {
		return err
	}
	if b, err := os.ReadFile(path); err == nil { // #nosec G304 -- inside the deployment
		if k, err = personkey.Parse(b, nil); err != nil {
			return err
		}
	} else if b, err := k.Encode(nil); err != nil {
		return err
	} else if err := remote.WriteFile(path, b); err != nil {
		return err
	}
	now := f.Now().UTC().Truncate(time.Second)
	return f.Register(ctx, admin, verify.RegistryPerson, p.ID, &verify.Person{
		Format: verify.LabelPerson, Cell: f.Cell, ID: p.ID, Version: 1, Role: p.Role, Organisation: "Example AG", Name: p.Name,
		Key: verify.EncodePublicKey(k.Public()), NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(1, 0, 0),
	})
}

// Register proposes an entry of the register in the name of the administrator,
// has an independent custodian confirm it, and waits until it is in force.
func (f *Founder) Register(ctx context.Context, admin *client.PersonClient, kind, id string, v any) error {
	key, err := f.D.Layout.AdminKey()
	if err != nil {
		return err
	}
	s, err := verify.NewStatement(v)
	if err != nil {
		return err
	}
	propose, label := admin.ProposePerson, verify.LabelPerson
	if kind == verify.RegistryAgency {
		propose, label = admin.ProposeAgency, verify.LabelAgency
	}
	s.Sign(label, verify.SignerAdmin, key)
	e, err := propose(ctx, s)
	if err != nil {
		return err
	}
	for _, c := range slices.Backward(f.Plan.Custodians) {
		if c.Role == verify.RoleIndependent && c.ID != id { // nobody confirms themselves
			if _, err := f.Custodian(ctx, c.ID, "confirm", f.D.Layout.Custodian(f.Cell, c.ID), kind, id, "--digest", fmt.Sprintf("%x", s.Digest(label))); err != nil {
				return err
			}
			break
		}
	}
	for {
		list, err := admin.Register(ctx)
		if err != nil {
			return err
		}
		for i := range list.Entries {
			if r := &list.Entries[i]; r.Kind == kind && r.ID == id && r.Version == e.Version && r.State == "in_force" {
				return nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s %s is not in force: %w", kind, id, ctx.Err())
		}
	}
}
