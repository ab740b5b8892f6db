//go:build unix

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/verify"
)

// The officers of the story, by their ids in the register.
const (
	officerGood = "officer-1"
	officerMail = "officer-mailbox" // somebody else has this mailbox
	agencyID    = "lka-cyber"
)

// openCase tells how an authority asks for one person and gets exactly that,
// and how a forged emergency gets nothing.
func (s *story) openCase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := s.registerAgency(ctx); err != nil {
		return err
	}
	if err := s.forgedEmergency(ctx); err != nil {
		return err
	}
	return s.goodRequest(ctx)
}

// registerAgency brings an agency and two of its officers into the register.
func (s *story) registerAgency(ctx context.Context) error {
	f := s.founder
	admin, err := f.Admin()
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	if err := f.Register(ctx, admin, verify.RegistryAgency, agencyID, &verify.Agency{
		Format: verify.LabelAgency, Cell: f.Cell, ID: agencyID, Version: 1, Name: "Landeskriminalamt Beispielland", Country: "DE", Level: "state", Kind: "police",
		Powers: []string{"mlat", "eu_epoc"}, DirectorySource: "https://www.polizei.example/dienststellen", Switchboard: "+49 30 5550 100", VerifiedAt: now, Trust: "verified",
	}); err != nil {
		return err
	}
	for _, o := range []struct {
		id, name string
		level    int
	}{{officerGood, "Officer One", 3}, {officerMail, "Officer Two", 1}} {
		key := s.officerKey(o.id)
		var made struct {
			Signing string `json:"signing_key"`
		}
		if err := s.bonded(ctx, &made, "request", "keygen", "--no-passphrase", key); err != nil {
			return err
		}
		if err := f.Register(ctx, admin, verify.RegistryPerson, o.id, &verify.Person{
			Format: verify.LabelPerson, Cell: f.Cell, ID: o.id, Version: 1, Role: "requester", Agency: agencyID, Organisation: "Landeskriminalamt Beispielland",
			Name: o.name, Phone: "+49 30 5550 117", Key: made.Signing, Level: o.level, NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(1, 0, 0),
		}); err != nil {
			return err
		}
	}
	s.line("in the register: an agency, an officer with a qualified key", "level 3")
	s.line("and one who has proven a mailbox and a call, no more", "level 1")
	return nil
}

func (s *story) officerKey(id string) string {
	return filepath.Join(s.dir, "officers", id, "officer.key")
}

// bonded runs the bonded program and decodes its JSON into out.
func (s *story) bonded(ctx context.Context, out any, args ...string) error {
	if out != nil {
		args = append(args, "-o", "json")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "bonded"), args...) //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), "BONDED_DIR="+s.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("bonded %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(stderr.String()))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(stdout.Bytes(), out)
}

// forgedEmergency files what a hacked mailbox sends, and shows how it is
// refused.
func (s *story) forgedEmergency(ctx context.Context) error {
	who := s.people.quorum
	path, err := s.writeRequest("emergency.yaml", officerMail, who.id, "emergency", []string{"name", "email", "phone"})
	if err != nil {
		return err
	}
	var res apitype.CaseResult
	err = s.bonded(ctx, &res, "request", "file", path, "--key", s.officerKey(officerMail))
	if err == nil {
		return bonded.Errorf(bonded.CodeAltered, "a forged emergency got past the door")
	}
	_, why, _ := strings.Cut(err.Error(), "error: ")
	why, _, _ = strings.Cut(why, "\n")
	s.line("a forged emergency, from the mailbox: refused", why)
	return nil
}

// goodRequest leads a case through all its states.
func (s *story) goodRequest(ctx context.Context) error {
	f, who := s.founder, s.people.quorum
	// 1. Filed: three fields of one person, by name.
	path, err := s.writeRequest("request.yaml", officerGood, who.id, "routine", []string{"name", "phone", quorumField})
	if err != nil {
		return err
	}
	var res apitype.CaseResult
	if err := s.bonded(ctx, &res, "request", "file", path, "--key", s.officerKey(officerGood)); err != nil {
		return err
	}
	id := res.Case
	s.line("an officer files a request for one person, three fields", id)

	// 2. Verified, reviewed, narrowed to two fields, approved by two others.
	if _, err := f.Decide(ctx, "intake-1", id, "take", nil); err != nil {
		return err
	}
	if _, err := f.Decide(ctx, "intake-1", id, "forward", nil); err != nil {
		return err
	}
	if _, err := f.Decide(ctx, "legal-1", id, "narrow", func(_ *apitype.CaseView, d *verify.CaseDecision) {
		d.Tasks = []verify.TaskChange{{Task: 0, FieldsWanted: []string{"phone", quorumField}}}
		d.Reason = "the name is known to the authority already"
	}); err != nil {
		return err
	}
	s.line("counsel narrows it to", "phone, "+quorumField)
	if err := s.bonded(ctx, nil, "request", "accept", id.String(), "--as", officerGood, "--key", s.officerKey(officerGood)); err != nil {
		return err
	}
	for _, p := range []string{"legal-2", "legal-3"} {
		if _, err := f.Decide(ctx, p, id, "approve", approve); err != nil {
			return err
		}
	}
	s.line("two other people approve the tasks as they stand", "legal-2, legal-3")
	first, err := s.notice(ctx, 1)
	if err != nil {
		return err
	}
	s.line("the person is told, and has time to go to court", first)

	// 3. Three custodians, each a process of its own.
	if _, err := f.AwaitScope(ctx, "legal-1", id); err != nil {
		return err
	}
	for _, c := range []string{"firm-1", "firm-3", "independent-2"} {
		out, err := f.ApproveScope(ctx, c, id)
		if err != nil {
			return err
		}
		s.line("custodian "+c+" verifies and approves", lastLine(out))
	}
	view, err := f.Await(ctx, "legal-1", id, "delivered", "closed")
	if err != nil {
		return err
	}
	s.line("delivered, after the opening was witnessed as entry", openingIndex(view))
	return s.openPackage(ctx, id)
}

func approve(v *apitype.CaseView, d *verify.CaseDecision) { d.Digest = v.Extra["tasks"] }

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

func openingIndex(v *apitype.CaseView) any {
	for i := range v.Entries {
		if e := &v.Entries[i]; e.Event == verify.EventOpening && e.Index != nil {
			return *e.Index
		}
	}
	return "?"
}

// openPackage opens the release package as the requester, compares it with the
// file that was imported, closes the case and finds the notice to the person.
func (s *story) openPackage(ctx context.Context, id bonded.CaseID) error {
	pkg, out := filepath.Join(s.dir, "officers", "case.bonded"), filepath.Join(s.dir, "officers", "case.csv")
	key := s.officerKey(officerGood)
	if err := s.bonded(ctx, nil, "request", "fetch", id.String(), "--as", officerGood, "--key", key, "-f", pkg); err != nil {
		return err
	}
	if err := s.bonded(ctx, nil, "request", "open", pkg, "--key", key, "--format", "csv", "-f", out); err != nil {
		return err
	}
	got, err := os.ReadFile(out) //nolint:gosec // inside the deployment
	if err != nil {
		return err
	}
	for _, want := range []string{s.people.quorum.phone, s.people.quorum.born} {
		if !strings.Contains(string(got), want) {
			return bonded.Errorf(bonded.CodeAltered, "the package does not hold what was imported")
		}
	}
	if strings.Contains(string(got), s.people.quorum.name) {
		return bonded.Errorf(bonded.CodeAltered, "the package holds a field that nobody approved")
	}
	s.line("the requester opens the package offline", "exactly the two fields, and the id that matched")
	// The daily path opens nothing of it.
	if err := s.readQuorumField(ctx); err != nil {
		return err
	}
	if _, err := s.founder.Decide(ctx, "legal-1", id, "close", nil); err != nil && bonded.CodeOf(err) != bonded.CodeConflict {
		return err
	}
	who := s.people.quorum
	name, err := s.notice(ctx, 2)
	if err != nil {
		return err
	}
	s.line("the person is told what was opened", name)
	if err := s.scanAtRest(map[string]bool{who.id: true, who.name: true, who.phone: true, who.born: true}); err != nil {
		return err
	}
	s.released = pkg
	return nil
}

// readQuorumField shows that an application with every permission gets no
// field in custody of the quorum.
func (s *story) readQuorumField(ctx context.Context) error {
	app := s.app[s.founder.Cell]
	found, err := app.Find(ctx, client.FindRequest{Collection: "users", Where: map[string]string{"person_id": s.people.quorum.id}})
	if err != nil || len(found.Records) == 0 {
		return errors.Join(err, bonded.Errorf(bonded.CodeAltered, "a person imported is not found"))
	}
	r := &found.Records[0]
	_, err = app.Get(ctx, client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &r.Subject, Record: &r.Record, Fields: []string{quorumField}}})
	if bonded.CodeOf(err) != bonded.CodeForbidden {
		return bonded.Errorf(bonded.CodeAltered, "an application read a field in custody of the quorum: %v", bonded.CodeOf(err))
	}
	s.line("an application asks for "+quorumField+": refused", bonded.CodeOf(err))
	return nil
}

// notice waits until there are so many notices to people and returns the name
// of the newest.
func (s *story) notice(ctx context.Context, n int) (string, error) {
	dir := filepath.Join(s.d.Layout.Vault(s.founder.Cell), "outbox")
	for {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		var names []string
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".json") && !slices.Contains(s.notices, e.Name()) {
				names = append(names, e.Name())
			}
		}
		if len(names)+len(s.notices) >= n {
			s.notices = append(s.notices, names...)
			return "outbox/" + s.notices[len(s.notices)-1], nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("no notice to the person: %w", ctx.Err())
		}
	}
}

// writeRequest writes a request file with its document beside it.
func (s *story) writeRequest(name, officer, person, priority string, fields []string) (string, error) {
	dir := filepath.Join(s.dir, "officers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	doc := filepath.Join(dir, strings.TrimSuffix(name, ".yaml")+".txt")
	if err := os.WriteFile(doc, []byte("Order of the court of "+priority+" priority, file 4711\n"), 0o600); err != nil {
		return "", err
	}
	now, flags := time.Now().UTC().Truncate(time.Second), ""
	if priority == "emergency" {
		flags = "  flags: [emergency]\n"
	}
	text := fmt.Sprintf(`cell: %s
kind: disclosure
officer: %s
agency: %s
authorisation:
  reference: "LKA-2026-4711"
  process_type: mlat
  jurisdiction: DE
  legal_basis:
    - {law: "Convention on Mutual Assistance in Criminal Matters", article: "6"}
  priority: %s
%s  valid_from: %s
  valid_to: %s
  offence: {category: fraud, provision: "Section 263 StGB", max_penalty_years: 5}
  necessity: The account was used for the fraud under investigation, and these fields tell its holder apart.
  approvals:
    - {kind: issuing, reference: "ZK 12/26", approver: "Central authority", role: central_authority, time: %s}
    - {kind: judicial, reference: "6 Gs 12/26", approver: "Local court", role: court, time: %s}
  documents:
    - {file: %s, media_type: text/plain, language: en}
  treaty_route: mlat
tasks:
  - kind: disclose
    targets:
      - {format: person_id, value: %q}
    data_class: subscriber
    collection: users
    fields_wanted: [%s]
    max_subjects: 1
`, s.founder.Cell, officer, agencyID, priority, flags, stamp(now.Add(-time.Hour)), stamp(now.AddDate(0, 1, 0)), stamp(now.Add(-2*time.Hour)), stamp(now.Add(-2*time.Hour)),
		filepath.Base(doc), person, strings.Join(fields, ", "))
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }
