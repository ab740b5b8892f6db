package cli_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/internal/cli"
	"bonded/internal/request"
	"bonded/verify"
)

var counterCase = bonded.CaseID{Cell: "eu", ID: bonded.ID{0x11, 4}}

// A counter is where a front door takes requests: behind the face of the API,
// it keeps what came and answers for one case.
type counter struct {
	api.Cases
	api.Service
	key      ed25519.PublicKey
	released []byte // the package
	names    string // what the case says of it

	mu        sync.Mutex
	request   *verify.CaseRequest
	documents map[string][]byte
	decisions []verify.CaseDecision
}

func (c *counter) AuthenticatePerson(_ context.Context, person string) (ed25519.PublicKey, error) {
	if person != "officer-7" {
		return nil, bonded.Errorf(bonded.CodeUnauthenticated, "no such person")
	}
	return c.key, nil
}

func (c *counter) TakeNonce(context.Context, string, [16]byte, time.Time) error { return nil }
func (c *counter) CountUnauthenticated()                                        {}

func (c *counter) FileCase(_ context.Context, _ *api.PersonCall, s *verify.Statement) (*apitype.CaseResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := new(verify.CaseRequest)
	if err := s.DecodeBody(r); err != nil || !s.SignedBy(verify.LabelRequest, "officer-7", c.key) {
		return nil, bonded.Errorf(bonded.CodeInvalid, "not a signed request")
	}
	c.request = r
	return &apitype.CaseResult{Case: counterCase, State: "submitted", Number: 1}, nil
}

func (c *counter) PutDocument(_ context.Context, _ *api.PersonCall, _ bonded.CaseID, hash string, body []byte) (*apitype.CaseResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.documents[hash] = bytes.Clone(body)
	return &apitype.CaseResult{Case: counterCase, State: "submitted", Number: 1}, nil
}

func (c *counter) Case(_ context.Context, _ *api.PersonCall, id bonded.CaseID) (*apitype.CaseView, error) {
	if id != counterCase {
		return nil, bonded.Errorf(bonded.CodeWithheld, "absent, or not yours")
	}
	return &apitype.CaseView{
		Case: id, Kind: "disclosure", State: "narrowed", Number: 5, Process: "eu_epoc", Priority: "routine", Package: c.names,
		Tasks:   []apitype.CaseTaskView{{Collection: "users", FieldsWanted: []string{"name"}, Status: "narrowed"}},
		Actions: []string{"accept", "withdraw"}, Documents: []apitype.CaseDocView{{Name: "late.pdf"}},
		Extra:   map[string]string{"question": "the number is not needed", "offered": `[{"task":0,"fields_wanted":["name"],"max_subjects":1}]`},
		Entries: []apitype.CaseEntryView{{Number: 5, Event: verify.EventTransition, State: "narrowed"}},
	}, nil
}

func (c *counter) Decide(_ context.Context, _ *api.PersonCall, id bonded.CaseID, s *verify.Statement) (*apitype.CaseResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var d verify.CaseDecision
	if err := s.DecodeBody(&d); err != nil || !s.SignedBy(verify.LabelDecision, "officer-7", c.key) {
		return nil, bonded.Errorf(bonded.CodeInvalid, "not a signed decision")
	}
	c.decisions = append(c.decisions, d)
	return &apitype.CaseResult{Case: id, State: "under_review", Number: 6}, nil
}

func (c *counter) Package(context.Context, *api.PersonCall, bonded.CaseID) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(c.released)), int64(len(c.released)), nil
}

// newCounter opens a counter, and a folder with the directory that names it
// and the officer's key in it.
func newCounter(t *testing.T) (c *counter, dir string) {
	t.Helper()
	dir = t.TempDir()
	if code, _, stderr := run("request", "keygen", dir, "--no-passphrase"); code != 0 {
		t.Fatal(stderr)
	}
	var officer struct {
		Key string `json:"key"`
	}
	b, err := os.ReadFile(filepath.Join(dir, "officer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &officer); err != nil {
		t.Fatal(err)
	}
	c = &counter{documents: map[string][]byte{}, released: []byte("a package")}
	if c.key, err = verify.DecodePublicKey(officer.Key); err != nil {
		t.Fatal(err)
	}
	face, err := api.New(api.Config{Service: c, Cases: c, Cell: "eu", Directory: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(face)
	t.Cleanup(s.Close)
	if b, err = os.ReadFile("../../spec/vectors/package/cells.json"); err != nil {
		t.Fatal(err)
	}
	d, err := verify.ParseDirectory(b)
	if err != nil {
		t.Fatal(err)
	}
	d.Cells[0].API = s.URL
	if err := os.WriteFile(filepath.Join(dir, "cells.json"), d.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func run(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = cli.Run(args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

func TestRequestIsFiledSignedWithItsDocuments(t *testing.T) {
	c, dir := newCounter(t)
	text := regexp.MustCompile(`<([^>\n]*)>`).ReplaceAllString(request.Template, "$1")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file, more := write("request.yaml", text), write("annex.pdf", "the annex")
	write("order.pdf", "the order")
	code, stdout, stderr := run("request", "file", file, "--dir", dir, "--key", filepath.Join(dir, "officer.key"), "--document", more, "--language", "fr")
	if code != 0 || !strings.Contains(stdout, counterCase.String()) || strings.Contains(stdout+stderr, "ada@example.org") {
		t.Fatal(code, stdout, stderr)
	}
	docs := c.request.Authorisation.Documents
	if len(docs) != 2 || docs[1].Language != "fr" || docs[1].Name != "annex.pdf" || len(c.documents) != 2 || len(c.request.Recipient) == 0 || c.request.Nonce == "" {
		t.Fatalf("%+v", c.request)
	}
	for _, d := range docs {
		sum := sha256.Sum256(c.documents[d.SHA256])
		if hex.EncodeToString(sum[:]) != d.SHA256 || d.Size != int64(len(c.documents[d.SHA256])) {
			t.Errorf("document %s is not the one named", d.Name)
		}
	}
}

func TestOfficerActsOnACaseAsItStands(t *testing.T) {
	c, dir := newCounter(t)
	flags := []string{"--dir", dir, "--key", filepath.Join(dir, "officer.key"), "--as", "officer-7"}
	do := func(want int, args ...string) (string, string) {
		t.Helper()
		code, stdout, stderr := run(append(append([]string{"request"}, args...), flags...)...)
		if code != want {
			t.Fatalf("%v ended with %d: %s", args, code, stderr)
		}
		return stdout, stderr
	}
	id := counterCase.String()
	if out, _ := do(0, "status", id); !strings.Contains(out, "late.pdf") || !strings.Contains(out, "accept, withdraw") ||
		!strings.Contains(out, "task 0: fields name, at most 1 people") || !strings.Contains(out, "the number is not needed") {
		t.Error(out)
	}
	do(0, "accept", id)
	do(0, "answer", id, "--reason", "the account of the firm")
	do(0, "withdraw", id, "--reason", "solved otherwise")
	var actions []string
	for _, d := range c.decisions {
		actions = append(actions, d.Action)
		if d.Case != counterCase || d.Person != "officer-7" || d.Role != "requester" || d.State != "narrowed" || d.Number != 5 || d.Time.IsZero() {
			t.Errorf("%+v", d)
		}
	}
	if strings.Join(actions, " ") != "accept answer withdraw" || c.decisions[2].Reason != "solved otherwise" {
		t.Error(actions)
	}

	// A package that is there, is not the one named, or is not there yet.
	to := filepath.Join(dir, "case.bonded")
	if _, stderr := do(apitype.ExitConflict, "fetch", id, "-f", to); !strings.Contains(stderr, "no package of this case yet") {
		t.Error(stderr)
	}
	c.names = hex.EncodeToString(make([]byte, 32))
	do(apitype.ExitIntegrity, "fetch", id, "-f", to)
	if _, err := os.Lstat(to); err == nil {
		t.Error("a package that was refused was left behind")
	}
	sum := sha256.Sum256(c.released)
	c.names = hex.EncodeToString(sum[:])
	do(0, "fetch", id, "-f", to)
	if b, err := os.ReadFile(to); err != nil || !bytes.Equal(b, c.released) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}

	flags[5] = "officer-8"
	do(apitype.ExitWho, "status", id)
	do(apitype.ExitBadInput, "status", "case_eu_1")
}
