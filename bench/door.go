//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/deploy"
	"bonded/internal/foundation"
	"bonded/verify"
)

const (
	officerID = "officer-bench"
	agencyID  = "agency-bench"
	sealed    = "birth_date" // in custody of the quorum
)

// approvers are the custodians of a quorum: firm 2 of 3, independent 1 of 2.
var approvers = []string{"firm-1", "firm-3", "independent-2"}

// A door is a cell with a front door, its custodians at work, and an officer
// who may ask.
type door struct {
	*bench
	f *foundation.Founder
}

// startDoor founds a front door whose rules let one request name people
// persons.
func startDoor(ctx context.Context, b *bench, people int) (*door, error) {
	// 1. The cell.
	p, err := deploy.DevPlan(0)
	if err != nil {
		return nil, err
	}
	p.Cells, p.Budget, p.FrontDoor = p.Cells[1:], 20_000_000, true // eu alone
	if p.Bin, err = filepath.Abs(b.o.bin); err != nil {
		return nil, err
	}
	l := deploy.Layout{Dir: filepath.Join(b.dir, "deployment")}
	if err := deploy.Create(ctx, l, p, time.Now()); err != nil {
		return nil, err
	}
	err = change(filepath.Join(l.Vault("eu"), "vault.yaml"), "  rules:\n", fmt.Sprintf("  rules:\n    processes: {mlat: {max_subjects: %d}}\n", people))
	if err != nil {
		return nil, err
	}
	if err := b.run(ctx, l, p.Bin); err != nil {
		return nil, err
	}

	// 2. Custodians and register.
	d := &door{b, foundation.New(b.d, p.Bin, "eu")}
	if err := d.f.Found(ctx); err != nil {
		return nil, err
	}
	for _, c := range d.f.Plan.Custodians {
		if err := b.d.StartCustodian("eu", c.ID, p.Bin); err != nil {
			return nil, err
		}
	}
	if err := d.registerOfficer(ctx); err != nil {
		return nil, err
	}

	// 3. From now on one field is in custody of the quorum.
	vault := b.d.Process("eu/vault")
	if err := vault.Stop(); err != nil {
		return nil, err
	}
	err = change(filepath.Join(l.Vault("eu"), "schema.yaml"), sealed+":     {type: string, class: personal, mask: all}", sealed+": {type: string, class: personal, custody: quorum}")
	if err != nil {
		return nil, err
	}
	if err := vault.Restart(); err != nil {
		return nil, err
	}
	return d, b.d.Ready(ctx, "eu")
}

// change replaces text in a file.
func change(path, from, to string) error {
	b, err := os.ReadFile(path) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	next := bytes.Replace(b, []byte(from), []byte(to), 1)
	if bytes.Equal(b, next) {
		return fmt.Errorf("%s: there is no %q to change", path, from)
	}
	return os.WriteFile(path, next, 0o600) //nolint:gosec // our own folder
}

func (d *door) registerOfficer(ctx context.Context) error {
	admin, err := d.f.Admin()
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	if err := d.f.Register(ctx, admin, verify.RegistryAgency, agencyID, &verify.Agency{
		Format: verify.LabelAgency, Cell: "eu", ID: agencyID, Version: 1, Name: "Bench Police", Country: "DE", Level: "state", Kind: "police",
		Powers: []string{"mlat"}, DirectorySource: "https://police.example", Switchboard: "+49 30 5550 100", VerifiedAt: now, Trust: "verified",
	}); err != nil {
		return err
	}
	var made struct {
		Signing string `json:"signing_key"`
	}
	if _, err := d.bonded(ctx, &made, "request", "keygen", "--no-passphrase", d.key()); err != nil {
		return err
	}
	return d.f.Register(ctx, admin, verify.RegistryPerson, officerID, &verify.Person{
		Format: verify.LabelPerson, Cell: "eu", ID: officerID, Version: 1, Role: "requester", Agency: agencyID, Organisation: "Bench Police",
		Name: "Officer", Phone: "+49 30 5550 117", Key: made.Signing, Level: 3, NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(1, 0, 0),
	})
}

func (d *door) key() string { return filepath.Join(d.dir, "officer.key") }

// A ran is how a program ended.
type ran struct {
	took time.Duration
	peak int64 // bytes resident
}

// program runs one of the programs to its end and returns what it printed.
func (d *door) program(ctx context.Context, name string, args ...string) ([]byte, ran, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(d.o.bin, name), args...) //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), "BONDED_DIR="+d.d.Layout.Dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	r := ran{took: time.Since(began), peak: peakOfEnded(cmd.ProcessState)}
	if err != nil {
		return nil, r, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args[:min(2, len(args))], " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), r, nil
}

// bonded runs the bonded program and decodes its JSON into out.
func (d *door) bonded(ctx context.Context, out any, args ...string) (ran, error) {
	b, r, err := d.program(ctx, "bonded", append(args, "-o", "json")...)
	if err != nil || out == nil {
		return r, err
	}
	return r, json.Unmarshal(b, out)
}

// approve runs the program of a custodian, which verifies the case and signs
// for the scope.
func (d *door) approve(ctx context.Context, custodian string, id bonded.CaseID, scope string) (ran, error) {
	_, r, err := d.program(ctx, "bonded-custodian", "--passphrase-file", d.d.Layout.CustodianPassphrase("eu", custodian),
		"approve", d.d.Layout.Custodian("eu", custodian), id.String(), "--scope", scope)
	return r, err
}

// ask files a request for two fields of people, each named by an e-mail
// address, and leads it before the custodians.
func (d *door) ask(ctx context.Context, name string, emails []string) (*apitype.CaseView, error) {
	path := filepath.Join(d.dir, name+".yaml")
	if err := os.WriteFile(path, requestYAML(emails, time.Now().UTC().Truncate(time.Second)), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(d.dir, "order.txt"), []byte("Order of the court\n"), 0o600); err != nil {
		return nil, err
	}
	var res apitype.CaseResult
	if _, err := d.bonded(ctx, &res, "request", "file", path, "--key", d.key()); err != nil {
		return nil, err
	}
	for _, act := range []struct {
		person, action string
		change         func(*apitype.CaseView, *verify.CaseDecision)
	}{
		{"intake-1", "take", nil},
		{"intake-1", "forward", nil},
		{"legal-1", "approve", foundation.ApproveTasks},
		{"legal-2", "approve", foundation.ApproveTasks},
	} {
		if _, err := d.f.Decide(ctx, act.person, res.Case, act.action, act.change); err != nil {
			return nil, err
		}
	}
	return d.f.AwaitScope(ctx, "legal-1", res.Case)
}

func requestYAML(emails []string, now time.Time) []byte {
	stamp := func(t time.Time) string { return t.Format(time.RFC3339) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `cell: eu
kind: disclosure
officer: %s
agency: %s
authorisation:
  reference: "BENCH-1"
  process_type: mlat
  jurisdiction: DE
  legal_basis:
    - {law: "Convention on Mutual Assistance in Criminal Matters", article: "6"}
  priority: routine
  valid_from: %s
  valid_to: %s
  offence: {category: fraud, provision: "Section 263 StGB", max_penalty_years: 5}
  necessity: The accounts were used for the fraud under investigation.
  approvals:
    - {kind: issuing, reference: "ZK 12/26", approver: "Central authority", role: central_authority, time: %s}
    - {kind: judicial, reference: "6 Gs 12/26", approver: "Local court", role: court, time: %s}
  documents:
    - {file: order.txt, media_type: text/plain, language: en}
  treaty_route: mlat
tasks:
  - kind: disclose
    data_class: subscriber
    collection: users
    fields_wanted: [phone, %s]
    max_subjects: %d
    targets:
`, officerID, agencyID, stamp(now.Add(-time.Hour)), stamp(now.AddDate(0, 1, 0)), stamp(now.Add(-2*time.Hour)), stamp(now.Add(-2*time.Hour)), sealed, len(emails))
	for _, e := range emails {
		fmt.Fprintf(&b, "      - {format: email, value: %q}\n", e)
	}
	return b.Bytes()
}
