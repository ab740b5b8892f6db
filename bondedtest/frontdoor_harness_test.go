//go:build unix

package bondedtest_test

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
	"testing"
	"time"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/foundation"
	"bonded/internal/recipient"
	"bonded/internal/request"
	"bonded/verify"
)

const (
	doorAgency  = "lka-cyber"
	doorOfficer = "officer-meyer"
	quorumField = "birth_date"
	casePatient = 2 * time.Minute // what a case may take to come to a state
)

// A door is a cell with a front door that people and custodians stand before.
type door struct {
	*foundation.Founder
	t      *testing.T
	d      *bondedtest.Deployment
	app    *client.Client
	dir    string // what officers have
	people int
}

// openDoor starts a cell with a front door, founds it and brings an agency
// with one officer into the register. Custodians named run by themselves from
// then on.
func openDoor(t *testing.T, serving ...string) *door {
	t.Helper()
	d := bondedtest.Start(t, bondedtest.OneCell(), bondedtest.FrontDoor())
	o := &door{
		Founder: foundation.New(d.Deployment, bondedtest.Binaries(t), "eu"), t: t, d: d,
		app: d.Client(bondedtest.App, "eu", "service"), dir: t.TempDir(),
	}
	began := time.Now()
	founding, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // many processes, one after another
	defer cancel()
	must(t, o.Found(founding))
	o.underQuorum()
	o.agency(doorAgency, "Agency "+doorAgency)
	o.officer(doorOfficer, doorAgency)
	for _, id := range serving {
		must(t, d.StartCustodian("eu", id, o.Bin))
	}
	t.Logf("founded in %s", time.Since(began).Round(100*time.Millisecond))
	return o
}

// underQuorum puts a field in custody of the custodians, who are there now.
func (o *door) underQuorum() {
	t := o.t
	t.Helper()
	path := filepath.Join(o.d.Layout.Vault("eu"), "schema.yaml")
	old, err := os.ReadFile(path)
	must(t, err)
	next := bytes.Replace(old, []byte(quorumField+":     {type: string, class: personal, mask: all}"),
		[]byte(quorumField+":     {type: string, class: personal, custody: quorum}"), 1)
	if bytes.Equal(old, next) {
		t.Fatal("the schema has no field to put in custody")
	}
	stop(t, o.d, "eu/vault")
	must(t, os.WriteFile(path, next, 0o600))
	restart(t, o.d, "eu/vault")
	ready(t, o.d)
}

// ctx ends with the test, or when a case has taken too long.
func (o *door) ctx() context.Context {
	ctx, cancel := context.WithTimeout(o.t.Context(), casePatient)
	o.t.Cleanup(cancel)
	return ctx
}

// on returns the door for a subtest.
func (o *door) on(t *testing.T) *door {
	c := *o
	c.t = t
	return &c
}

func (o *door) admin() *client.PersonClient {
	o.t.Helper()
	a, err := o.Admin()
	must(o.t, err)
	return a
}

// agency brings an agency into the register.
func (o *door) agency(id, name string) {
	o.t.Helper()
	must(o.t, o.Register(o.ctx(), o.admin(), verify.RegistryAgency, id, o.entry(id, name, "verified", 1)))
}

func (o *door) entry(id, name, trust string, version uint64) *verify.Agency {
	return &verify.Agency{
		Format: verify.LabelAgency, Cell: o.Cell, ID: id, Version: version, Name: name, Country: "DE", Level: "state", Kind: "police",
		Powers: []string{"mlat"}, DirectorySource: "https://www.polizei.example/dienststellen", Switchboard: "+49 30 5550 100",
		VerifiedAt: time.Now().UTC().Truncate(time.Second), Trust: trust,
	}
}

// suspend suspends an agency, which needs no second hand and no waiting time.
func (o *door) suspend(id string) {
	o.t.Helper()
	st, err := verify.NewStatement(o.entry(id, "Agency "+id, "suspended", 2))
	must(o.t, err)
	key, err := o.d.Layout.AdminKey()
	must(o.t, err)
	st.Sign(verify.LabelAgency, verify.SignerAdmin, key)
	_, err = o.admin().ProposeAgency(o.ctx(), st)
	must(o.t, err)
}

// officer makes an officer's keys and brings the officer into the register.
func (o *door) officer(id, agency string) {
	o.t.Helper()
	o.bonded("request", "keygen", "--no-passphrase", o.key(id))
	now := time.Now().UTC().Truncate(time.Second)
	must(o.t, o.Register(o.ctx(), o.admin(), verify.RegistryPerson, id, &verify.Person{
		Format: verify.LabelPerson, Cell: o.Cell, ID: id, Version: 1, Role: "requester", Agency: agency, Organisation: "Agency " + agency,
		Name: id, Phone: "+49 30 5550 117", Key: o.keys(id).Public().Key, Level: 3, NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(1, 0, 0),
	}))
}

func (o *door) key(officer string) string { return filepath.Join(o.dir, officer, "officer.key") }

func (o *door) keys(officer string) *recipient.Officer {
	o.t.Helper()
	b, err := os.ReadFile(o.key(officer))
	must(o.t, err)
	k, err := recipient.ParseOfficer(b, nil)
	must(o.t, err)
	return k
}

// try runs the bonded program.
func (o *door) try(args ...string) (string, error) {
	cmd := exec.CommandContext(o.ctx(), filepath.Join(o.Bin, "bonded"), args...)
	cmd.Env = append(os.Environ(), "BONDED_DIR="+o.d.Layout.Dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String() + errs.String(), fmt.Errorf("bonded %s: %w: %s", strings.Join(args[:2], " "), err, errs.String())
	}
	return out.String(), nil
}

func (o *door) bonded(args ...string) string {
	o.t.Helper()
	out, err := o.try(args...)
	must(o.t, err)
	return out
}

// A named is somebody in the vault.
type named struct{ id, name, phone, born string }

// named writes somebody new.
func (o *door) named() named {
	o.t.Helper()
	o.people++
	n := fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(strings.ToLower(o.t.Name()), "/", "-"), o.people, time.Now().UnixNano())
	s := named{id: n, name: "Pat " + n, phone: fmt.Sprintf("+49 170 %07d", time.Now().UnixNano()%10_000_000), born: fmt.Sprintf("19%02d-02-03", 40+o.people%50)}
	in := person(s.id, s.name)
	in.Values["phone"], in.Values["email"], in.Values[quorumField] = client.Text(s.phone), client.Text("pat@example.org"), client.Text(s.born)
	poll(o.t, "a record with a field in custody", func() error {
		_, err := o.app.Put(o.t.Context(), in)
		return err
	})
	return s
}

// text is a request for phone and birth date of somebody, as an officer writes
// it, with its document beside it. Secret is its secrecy, empty for none.
func (o *door) text(officer, agency string, s named, secret string) string {
	o.t.Helper()
	doc := filepath.Join(o.dir, "order.txt")
	must(o.t, os.WriteFile(doc, []byte("Order of the court, file 4711\n"), 0o600))
	now := time.Now().UTC().Truncate(time.Second)
	stamp := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	return fmt.Sprintf(`cell: eu
kind: disclosure
officer: %s
agency: %s
authorisation:
  reference: "LKA-2026-4711"
  process_type: mlat
  jurisdiction: DE
  legal_basis:
    - {law: "Convention on Mutual Assistance in Criminal Matters", article: "6"}
  priority: routine
%s  valid_from: %s
  valid_to: %s
  offence: {category: fraud, provision: "Section 263 StGB", max_penalty_years: 5}
  necessity: The account was used for the fraud under investigation, and these fields tell its holder apart.
  approvals:
    - {kind: issuing, reference: "ZK 12/26", approver: "Central authority", role: central_authority, time: %s}
    - {kind: judicial, reference: "6 Gs 12/26", approver: "Local court", role: court, time: %s}
  documents:
    - {file: order.txt, media_type: text/plain, language: en}
  treaty_route: mlat
tasks:
  - kind: disclose
    targets:
      - {format: person_id, value: %q}
    data_class: subscriber
    collection: users
    fields_wanted: [phone, %s]
    max_subjects: 1
`, officer, agency, secret, stamp(-time.Hour), stamp(30*24*time.Hour), stamp(-2*time.Hour), stamp(-2*time.Hour), s.id, quorumField)
}

// file files a request by the program of the requester.
func (o *door) file(officer, text string) bonded.CaseID {
	o.t.Helper()
	path := filepath.Join(o.dir, "request.yaml")
	must(o.t, os.WriteFile(path, []byte(text), 0o600))
	var res apitype.CaseResult
	must(o.t, json.Unmarshal([]byte(o.bonded("request", "file", path, "--key", o.key(officer), "-o", "json")), &res))
	return res.Case
}

// made returns the request of a text, to be spoiled before it is signed.
func (o *door) made(officer, text string) *verify.CaseRequest {
	o.t.Helper()
	f, err := request.Parse("request.yaml", []byte(text))
	must(o.t, err)
	r, _, err := f.Request(os.DirFS(o.dir), request.Asker{Recipient: o.keys(officer).Key.Bytes(), Nonce: bonded.NewID().Hex(), Now: time.Now()})
	must(o.t, err)
	return r
}

// asOfficer returns the front door as an officer calls it.
func (o *door) asOfficer(id string) *client.PersonClient {
	o.t.Helper()
	p, err := client.NewPerson(client.PersonConfig{Directory: o.d.Directory, Cell: o.Cell, Person: id, Key: o.keys(id).Signing})
	must(o.t, err)
	return p
}

// decide acts on a case as one of the people of the plan.
func (o *door) decide(who string, id bonded.CaseID, action string, change func(*apitype.CaseView, *verify.CaseDecision)) {
	o.t.Helper()
	_, err := o.Decide(o.ctx(), who, id, action, change)
	must(o.t, err)
}

// view shows a case as legal sees it.
func (o *door) view(id bonded.CaseID) *apitype.CaseView {
	o.t.Helper()
	door, _, err := o.As("legal-1")
	must(o.t, err)
	v, err := door.Case(o.ctx(), id)
	must(o.t, err)
	return v
}

// approved leads a filed case until the people of the cell have approved it.
func (o *door) approved(id bonded.CaseID) {
	o.t.Helper()
	o.decide("intake-1", id, "take", nil)
	o.decide("intake-1", id, "forward", nil)
	o.decide("legal-2", id, "approve", foundation.ApproveTasks)
	o.decide("legal-3", id, "approve", foundation.ApproveTasks)
}

// before files a request for somebody and leads it until it is before the
// custodians.
func (o *door) before(s named) bonded.CaseID {
	o.t.Helper()
	id := o.file(doorOfficer, o.text(doorOfficer, doorAgency, s, ""))
	o.approved(id)
	_, err := o.AwaitScope(o.ctx(), "legal-1", id)
	must(o.t, err)
	return id
}

// approve has custodians approve, each by its own program.
func (o *door) approve(id bonded.CaseID, custodians ...string) {
	o.t.Helper()
	for _, c := range custodians {
		_, err := o.ApproveScope(o.ctx(), c, id)
		must(o.t, err)
	}
}

// work has custodians compute for what they approved until the case is
// delivered, each by its own program, which is ended then.
func (o *door) work(id bonded.CaseID, custodians ...string) *apitype.CaseView {
	o.t.Helper()
	ctx, cancel := context.WithCancel(o.ctx())
	done := make(chan struct{}, len(custodians))
	for _, c := range custodians {
		go func() {
			defer func() { done <- struct{}{} }()
			_, _ = o.Custodian(ctx, c, "work", o.d.Layout.Custodian(o.Cell, c)) // killed below: the case says how it went
		}()
	}
	v, err := o.Await(o.ctx(), "legal-1", id, "delivered", "closed")
	cancel()
	for range custodians {
		<-done
	}
	must(o.t, err)
	return v
}

// wantWithheld checks that the requester gets no package of a case.
func (o *door) wantWithheld(id bonded.CaseID) {
	o.t.Helper()
	var buf bytes.Buffer
	err := o.asOfficer(doorOfficer).Package(o.ctx(), id, &buf)
	if err == nil || buf.Len() > 0 {
		o.t.Errorf("a package of %d bytes came of a case that is not delivered", buf.Len())
	}
}

// wantUnopened checks that a case has neither an opening nor a package.
func (o *door) wantUnopened(id bonded.CaseID) *apitype.CaseView {
	o.t.Helper()
	v := o.view(id)
	if n := events(v, verify.EventOpening); n != 0 || v.Package != "" {
		o.t.Errorf("case in state %s has %d openings and package %q", v.State, n, v.Package)
	}
	o.wantWithheld(id)
	return v
}

// wantOpens fetches and opens the package and looks for what was asked for.
func (o *door) wantOpens(id bonded.CaseID, s named) {
	o.t.Helper()
	dir := o.t.TempDir()
	pkg, out := filepath.Join(dir, "case.bonded"), filepath.Join(dir, "case.csv")
	o.bonded("request", "fetch", id.String(), "--as", doorOfficer, "--key", o.key(doorOfficer), "-f", pkg)
	o.bonded("request", "open", pkg, "--key", o.key(doorOfficer), "--format", "csv", "-f", out)
	b, err := os.ReadFile(out)
	must(o.t, err)
	if got := string(b); !strings.Contains(got, s.phone) || !strings.Contains(got, s.born) || strings.Contains(got, s.name) {
		o.t.Errorf("the package holds not just phone and birth date:\n%s", got)
	}
}

func events(v *apitype.CaseView, event string) (n int) {
	for i := range v.Entries {
		if v.Entries[i].Event == event {
			n++
		}
	}
	return n
}

func hasAlarm(v *apitype.CaseView, words string) bool {
	return slices.ContainsFunc(v.Entries, func(e apitype.CaseEntryView) bool {
		return e.Event == verify.EventAlarm && strings.Contains(e.Detail, words)
	})
}

// outbox counts the letters in the outbox.
func (o *door) outbox() int {
	o.t.Helper()
	entries, err := os.ReadDir(filepath.Join(o.d.Layout.Vault(o.Cell), "outbox"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		o.t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			n++
		}
	}
	return n
}
