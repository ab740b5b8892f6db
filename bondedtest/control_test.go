//go:build unix

package bondedtest_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/wire"
	"bonded/verify"
)

// bondedIn runs a bonded command on a deployment and decodes its JSON.
func bondedIn(t *testing.T, d *bondedtest.Deployment, into any, args ...string) {
	t.Helper()
	code, out := program(t, "bonded", append(args, "--dir", d.Layout.Dir, "-o", "json")...)
	if code != 0 {
		t.Fatalf("bonded %s ended with %d:\n%s", strings.Join(args, " "), code, out)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatalf("bonded %s: %v in\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// effect is what bonded key says of when a set takes effect.
type effect struct {
	InForce []struct {
		Cell string     `json:"cell"`
		Set  uint64     `json:"grant_set"`
		From *time.Time `json:"from"`
	} `json:"in_force"`
}

func statusOf(t *testing.T, d *bondedtest.Deployment) *client.StatusResult {
	t.Helper()
	st, err := d.Bearer(bondedtest.App, "eu", "service").Status(t.Context())
	must(t, err)
	return st
}

func createKey(t *testing.T, d *bondedtest.Deployment, name string) effect {
	t.Helper()
	var e effect
	bondedIn(t, d, &e, "key", "create", name, "--purpose", "service")
	return e
}

// TestE2EGrantsAndPoliciesAreAnnounced runs a deployment in which nothing
// waits: changes take effect within seconds, and only through the ledger.
func TestE2EGrantsAndPoliciesAreAnnounced(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell())
	app := d.Client(bondedtest.App, "eu", "service")
	p := create(t, app, "1", "Ada")
	before := checkpoint(t, d)

	// 1. A new principal reads as soon as the command has ended, and no more
	// when it is revoked.
	if e := createKey(t, d, "late"); len(e.InForce) != 1 || e.InForce[0].From != nil {
		t.Errorf("key create said %+v", e)
	}
	late := d.Client("late", "eu", "service")
	wantName(t, late, p, "Ada")
	bondedIn(t, d, nil, "key", "revoke", "late")
	wantNothing(t, late, p, bonded.CodeUnauthenticated)
	wantEvidence(t, d, "grants.json", verify.ControlGrants)

	// 2. Policies: a keyholder does not take what its vault has not announced.
	keyholder, vault := filepath.Join(d.Layout.Keyholder("eu"), "policy.cedar"), filepath.Join(d.Layout.Vault("eu"), "policy.cedar")
	old, err := os.ReadFile(keyholder)
	must(t, err)
	strict := append(slices.Clone(old), []byte("\n@id(\"no-app\")\n@reason(\"closed for repair\")\nforbid (principal, action, resource) when { principal.roles.contains(\"app\") };\n")...)
	must(t, os.WriteFile(keyholder, strict, 0o600))
	waitLog(t, d, "eu/keyholder", "no evidence was shown")
	wantName(t, app, p, "Ada")
	must(t, os.WriteFile(vault, strict, 0o600))
	poll(t, "the policy to be in force", func() error {
		if _, _, err := nameOf(t.Context(), app, p); bonded.CodeOf(err) != bonded.CodeForbidden {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	booked(t, d, "policy 1 entry ")
	wantEvidence(t, d, "policy.cedar", verify.ControlPolicy)
	back := filepath.Join(t.TempDir(), "policy.cedar")
	must(t, os.WriteFile(back, old, 0o600))
	bondedIn(t, d, nil, "policy", "install", back)
	_, _, err = nameOf(t.Context(), app, p)
	must(t, err)
	booked(t, d, "policy 2 entry ")

	// 3. A version of the directory.
	next := nextDirectory(t, d)
	poll(t, "the directory to be in force", func() error {
		if served := servedDirectory(t, d); !bytes.Equal(served, next) {
			return errors.New("the vault serves another directory")
		}
		return nil
	})
	wantEvidence(t, d, "cells.json", verify.ControlDirectory)
	booked(t, d, "directory 2 entry ")

	// 4. All of it outlives a restart, and whoever reads the ledger sees it.
	stop(t, d, "eu/vault", "eu/keyholder")
	restart(t, d, "eu/keyholder", "eu/vault")
	ready(t, d)
	if served := servedDirectory(t, d); !bytes.Equal(served, next) {
		t.Error("after a restart the vault serves another directory")
	}
	wantName(t, app, p, "Ada")
	wantNothing(t, late, p, bonded.CodeUnauthenticated)
	if st := statusOf(t, d); len(st.Waiting) != 0 {
		t.Errorf("waiting: %+v", st.Waiting)
	}
	wantBooksHold(t, d, before)
	if rows := controlRows(t, d); !slices.Equal(rows[:2], []string{"directory 1 by hand", "policy 0 by hand"}) {
		t.Errorf("the keyholder's book has %q", rows)
	}
}

// booked waits until the keyholder's book says that something is in force.
func booked(t *testing.T, d *bondedtest.Deployment, prefix string) {
	t.Helper()
	poll(t, "the keyholder to have put in force "+prefix, func() error {
		rows := controlRows(t, d)
		if !slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, prefix) && !strings.HasSuffix(r, " waits") }) {
			return fmt.Errorf("its book has %q", rows)
		}
		return nil
	})
}

// TestE2EGrantsWait runs a deployment in which changes wait for an hour.
func TestE2EGrantsWait(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell(), bondedtest.WaitingTime(time.Hour))
	app := d.Client(bondedtest.App, "eu", "service")
	p := create(t, app, "1", "Ada")

	// 1. A narrower set is in force at once, also while no witness answers.
	bondedIn(t, d, nil, "key", "revoke", bondedtest.Auditor)
	stop(t, d, "witness-1", "witness-2", "witness-3")
	privacy := d.Client(bondedtest.Privacy, "eu", "subject_request")
	bondedIn(t, d, nil, "key", "revoke", bondedtest.Privacy)
	if _, err := privacy.Export(t.Context(), subject(p)); bonded.CodeOf(err) != bonded.CodeUnauthenticated {
		t.Errorf("revoked without witnesses: %v", err)
	}
	// What was begun without witnesses goes on after a crash.
	kill(t, d, "eu/vault")
	restart(t, d, "witness-1", "witness-2", "witness-3", "eu/vault")
	ready(t, d)
	wantEvidence(t, d, "grants.json", verify.ControlGrants)
	wantLedgerHolds(t, d, "")
	narrow := statusOf(t, d)

	// 2. A wider one waits: both parties say until when, and refuse meanwhile.
	began := time.Now()
	e := createKey(t, d, "late")
	if len(e.InForce) != 1 || e.InForce[0].From == nil || e.InForce[0].From.Before(began.Add(time.Hour-5*time.Second)) {
		t.Fatalf("key create said %+v", e)
	}
	late := d.Client("late", "eu", "service")
	wantNothing(t, late, p, bonded.CodeUnauthenticated)
	waits := func(when string) {
		t.Helper()
		st := statusOf(t, d)
		if st.GrantSet != narrow.GrantSet || st.Keyholder.GrantSet != narrow.Keyholder.GrantSet {
			t.Errorf("%s: sets %d and %d are in force", when, st.GrantSet, st.Keyholder.GrantSet)
		}
		parties := []string{}
		for _, w := range st.Waiting {
			if w.Subject == "grants" && w.Number == e.InForce[0].Set && w.From.Equal(*e.InForce[0].From) {
				parties = append(parties, w.Party)
			}
		}
		if slices.Sort(parties); !slices.Equal(parties, []string{"keyholder", "vault"}) {
			t.Errorf("%s: waiting are %+v", when, st.Waiting)
		}
	}
	waits("announced")
	text := filepath.Join(t.TempDir(), "policy.cedar")
	must(t, os.WriteFile(text, []byte("@id(\"nobody\")\nforbid (principal, action, resource);\n"), 0o600))
	var effects []struct{ From *time.Time }
	bondedIn(t, d, &effects, "policy", "install", text)
	if len(effects) != 1 || effects[0].From == nil || effects[0].From.Before(began.Add(time.Hour-5*time.Second)) {
		t.Errorf("policy install said %+v", effects)
	}
	if code, out := program(t, "bonded-keyholder", "status", d.Layout.Keyholder("eu")); code != 0 || !strings.Contains(out, "takes effect from "+e.InForce[0].From.Format(time.RFC3339)) {
		t.Errorf("status of the keyholder (%d):\n%s", code, out)
	}
	if code, out := program(t, "bonded", "status", "--dir", d.Layout.Dir); code != 0 || !strings.Contains(out, "IN FORCE FROM") {
		t.Errorf("status (%d):\n%s", code, out)
	}
	kill(t, d, "eu/keyholder", "eu/vault")
	restart(t, d, "eu/keyholder", "eu/vault")
	ready(t, d)
	waits("after both were killed")
	wantName(t, app, p, "Ada")
	wantNothing(t, late, p, bonded.CodeUnauthenticated)
	wantLedgerHolds(t, d, "")

	// 3. A vault that lies about it gets nowhere.
	stop(t, d, "eu/vault")
	l := newLiar(t, d)
	subj, rec := p.Subject.ID, p.Record.ID
	entry := l.read(subj, rec, "name")
	entry.Auth.Principal = "late"
	wantNoKey(t, "a waiting grant", l.unlock(entry), bonded.CodeKeyholderRefused, "keyholder.grant-unknown")
	good, err := os.ReadFile(filepath.Join(d.Layout.Vault("eu"), "grants.json.evidence"))
	must(t, err)
	file, err := os.ReadFile(filepath.Join(d.Layout.Vault("eu"), "grants.json"))
	must(t, err)
	inForce, err := os.ReadFile(filepath.Join(d.Layout.Vault("eu"), "inforce", "grants.json"))
	must(t, err)
	parsed, err := verify.ParseEvidence(good)
	must(t, err)
	altered := *parsed
	altered.Leaf = slices.Clone(parsed.Leaf)
	altered.Leaf[39]++
	unwitnessed := *parsed
	at := strings.Index(parsed.Proof, "\n— witness-")
	if at < 0 {
		at = strings.LastIndex(strings.TrimSuffix(parsed.Proof, "\n"), "\n")
	}
	unwitnessed.Proof = parsed.Proof[:at+1]
	set := e.InForce[0].Set
	for name, c := range map[string]struct {
		e    wire.Evidence
		code bonded.Code
	}{
		"another set":         {wire.Evidence{Subject: verify.ControlGrants, Number: set, Evidence: good, File: inForce}, bonded.CodeStale},
		"an altered leaf":     {wire.Evidence{Subject: verify.ControlGrants, Number: set, Evidence: altered.Encode(), File: file}, bonded.CodeStale},
		"an unwitnessed leaf": {wire.Evidence{Subject: verify.ControlGrants, Number: set, Evidence: unwitnessed.Encode(), File: file}, bonded.CodeStale},
		"an older number":     {wire.Evidence{Subject: verify.ControlGrants, Number: set - 1, Evidence: good, File: file}, bonded.CodeStale},
		"another subject":     {wire.Evidence{Subject: verify.ControlPolicy, Number: set, Evidence: good}, bonded.CodeStale},
	} {
		if _, err := l.line.Evidence(t.Context(), &c.e); bonded.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	waitLog(t, d, "eu/keyholder", "an announced change is refused")
	if code, out := program(t, "bonded-keyholder", "grants", d.Layout.Keyholder("eu"), "install", filepath.Join(d.Layout.Vault("eu"), "inforce", "grants.json")); code != 0 {
		t.Errorf("the set in force again (%d): %s", code, out)
	}
	if code, out := program(t, "bonded-keyholder", "grants", d.Layout.Keyholder("eu"), "install", filepath.Join(d.Layout.Vault("eu"), "grants.json")); code != 0 || !strings.Contains(out, "waits and takes effect from") {
		t.Errorf("the waiting set again (%d): %s", code, out)
	}
}

func waitLog(t *testing.T, d *bondedtest.Deployment, process, words string) {
	t.Helper()
	poll(t, process+" to say "+words, func() error {
		b, err := os.ReadFile(d.Process(process).Log)
		if err == nil && !bytes.Contains(b, []byte(words)) {
			err = errors.New("it does not")
		}
		return err
	})
}

// wantEvidence checks the evidence beside a file of the vault, offline.
func wantEvidence(t *testing.T, d *bondedtest.Deployment, name string, s verify.ControlSubject) {
	t.Helper()
	path := filepath.Join(d.Layout.Vault("eu"), name)
	poll(t, "evidence of "+name, func() error {
		file, err := os.ReadFile(path)
		must(t, err)
		evidence, err := os.ReadFile(path + ".evidence")
		if err != nil {
			return err
		}
		c, _ := d.Directory.Cell("eu")
		_, err = verify.CheckEvidence(evidence, s, verify.DirectoryDigest(file), c)
		return err
	})
}

// nextDirectory signs the next version of the directory and gives it to both
// parties of cell eu.
func nextDirectory(t *testing.T, d *bondedtest.Deployment) []byte {
	t.Helper()
	next := *d.Directory
	next.Version++
	file := next.Encode()
	seed, err := os.ReadFile(filepath.Join(d.Layout.Admin(), "admin.key"))
	must(t, err)
	sig := verify.SignDirectory(ed25519.NewKeyFromSeed(seed), file)
	for _, dir := range []string{d.Layout.Keyholder("eu"), d.Layout.Vault("eu")} {
		must(t, os.WriteFile(filepath.Join(dir, "cells.json.sig"), sig, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "cells.json"), file, 0o600))
	}
	return file
}

func servedDirectory(t *testing.T, d *bondedtest.Deployment) []byte {
	t.Helper()
	c, _ := d.Directory.Cell("eu")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.API+"/v1/directory", nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return b
}

// controlRows returns what the keyholder's book says of policies and
// directories.
func controlRows(t *testing.T, d *bondedtest.Deployment) (list []string) {
	t.Helper()
	_, path := exportBooks(t, d)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close() //nolint:errcheck // read only
	r, err := verify.NewBookReader(f)
	must(t, err)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		must(t, err)
		row, err := verify.DecodeBookRow(b)
		must(t, err)
		if row.Kind == verify.BookControl {
			list = append(list, row.Detail)
		}
	}
}
