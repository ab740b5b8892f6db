package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/apitype"
	"bonded/verify"
)

// door is a front door for tests of the face alone: it knows one person and
// answers what the face let through with code unsupported.
type door struct {
	api.Cases
	face *api.API

	mu       sync.Mutex
	nonces   map[[16]byte]bool
	through  int
	unknowns int
}

func newDoor(t testing.TB) *door {
	t.Helper()
	d := &door{nonces: map[[16]byte]bool{}}
	var err error
	d.face, err = api.New(api.Config{Service: &edge{}, Cases: d, Cell: "eu", Directory: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *door) AuthenticatePerson(_ context.Context, person string) (ed25519.PublicKey, error) {
	if person != "officer-7" {
		return nil, bonded.Errorf(bonded.CodeUnauthenticated, "no such person")
	}
	return exOfficer.Public().(ed25519.PublicKey), nil
}

func (d *door) TakeNonce(_ context.Context, _ string, nonce [16]byte, _ time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.nonces[nonce] {
		return bonded.Errorf(bonded.CodeUnauthenticated, "the call was made before")
	}
	d.nonces[nonce] = true
	return nil
}

func (d *door) CountUnauthenticated() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unknowns++
}

func (d *door) reached() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.through++
	return bonded.Errorf(bonded.CodeUnsupported, "the face let it through")
}

func (d *door) FileCase(context.Context, *api.PersonCall, *verify.Statement) (*apitype.CaseResult, error) {
	return nil, d.reached()
}

func (d *door) Decide(context.Context, *api.PersonCall, bonded.CaseID, *verify.Statement) (*apitype.CaseResult, error) {
	return nil, d.reached()
}

func (d *door) Approve(context.Context, *api.PersonCall, bonded.CaseID, *apitype.CaseApproval) (*apitype.CaseResult, error) {
	return nil, d.reached()
}

func (d *door) PutPartials(context.Context, *api.PersonCall, bonded.CaseID, *apitype.CasePartials) (*apitype.CasePartialsResult, error) {
	return nil, d.reached()
}

func (d *door) ProposeAgency(context.Context, *api.PersonCall, *verify.Statement) (*apitype.RegistryEntry, error) {
	return nil, d.reached()
}

func (d *door) ProposePerson(context.Context, *api.PersonCall, *verify.Statement) (*apitype.RegistryEntry, error) {
	return nil, d.reached()
}

func (d *door) ConfirmEntry(context.Context, *api.PersonCall, *apitype.RegistryConfirm) (*apitype.RegistryEntry, error) {
	return nil, d.reached()
}

func (d *door) StartCeremony(context.Context, *api.PersonCall, *apitype.CeremonyStart) (*apitype.CeremonyMessages, error) {
	return nil, d.reached()
}

func (d *door) PostCeremony(context.Context, *api.PersonCall, string, *apitype.CeremonyPost) (*apitype.CeremonyMessages, error) {
	return nil, d.reached()
}

func (d *door) PutDocument(_ context.Context, _ *api.PersonCall, _ bonded.CaseID, _ string, body []byte) (*apitype.CaseResult, error) {
	return &apitype.CaseResult{Case: exCase, State: "submitted", Number: uint64(len(body))}, nil
}

func (d *door) Package(context.Context, *api.PersonCall, bonded.CaseID) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader([]byte("package"))), 7, nil
}

func (d *door) Case(_ context.Context, c *api.PersonCall, id bonded.CaseID) (*apitype.CaseView, error) {
	return &apitype.CaseView{Case: id, Officer: c.Person}, nil
}

func (d *door) Custody(context.Context) (*apitype.CustodyChain, error) {
	return &apitype.CustodyChain{}, nil
}

// A call is one call of a person, and what somebody did to it on its way.
type call struct {
	method, path string
	body         []byte
	person       string
	key          ed25519.PrivateKey
	at           time.Time
	nonce        [16]byte
	cell         bonded.CellID
	media        string
	change       func(*call) // after signing
}

func (d *door) ask(c call) *httptest.ResponseRecorder {
	if c.person == "" {
		c.person = "officer-7"
	}
	if c.key == nil {
		c.key = exOfficer
	}
	if c.at.IsZero() {
		c.at = time.Now()
	}
	if c.nonce == ([16]byte{}) {
		c.nonce = bonded.NewID()
	}
	if c.cell == "" {
		c.cell = "eu"
	}
	if c.media == "" {
		c.media = "application/json"
	}
	p := apitype.PersonProof{Person: c.person, Time: c.at.Unix(), Nonce: c.nonce}
	p.Sign(c.key, c.cell, c.method, c.path, c.body)
	if c.change != nil {
		c.change(&c)
	}
	r := httptest.NewRequest(c.method, c.path, bytes.NewReader(c.body))
	r.Header.Set(apitype.HeaderPerson, p.Format())
	r.Header.Set("Content-Type", c.media)
	w := httptest.NewRecorder()
	d.face.ServeHTTP(w, r)
	return w
}

func TestCaseCallIsHeldToItsSignature(t *testing.T) {
	_, other, _ := ed25519.GenerateKey(nil)
	nonce := [16]byte{1}
	show := "/v1/cases/" + exCase.String()
	for _, c := range []struct {
		name string
		call call
		code bonded.Code
	}{
		{"as signed", call{method: "GET", path: show, nonce: nonce}, ""},
		{"made again", call{method: "GET", path: show, nonce: nonce}, bonded.CodeUnauthenticated},
		{"by another key", call{method: "GET", path: show, key: other}, bonded.CodeUnauthenticated},
		{"of nobody known", call{method: "GET", path: show, person: "officer-8"}, bonded.CodeUnauthenticated},
		{"for another cell", call{method: "GET", path: show, cell: "cn"}, bonded.CodeUnauthenticated},
		{"of an hour ago", call{method: "GET", path: show, at: time.Now().Add(-time.Hour)}, bonded.CodeUnauthenticated},
		{"of tomorrow", call{method: "GET", path: show, at: time.Now().Add(24 * time.Hour)}, bonded.CodeUnauthenticated},
		{"moved to another path", call{method: "GET", path: show, change: func(c *call) { c.path += "/dossier" }}, bonded.CodeUnauthenticated},
		{"with another query", call{method: "GET", path: show, change: func(c *call) { c.path += "?x=1" }}, bonded.CodeUnauthenticated},
		{"with another body", call{method: "POST", path: "/v1/cases", body: []byte(`{"body":"","signatures":[]}`), change: func(c *call) { c.body = []byte(`{"body":"AA==","signatures":[]}`) }}, bonded.CodeUnauthenticated},
		{"of another cell's case", call{method: "GET", path: "/v1/cases/" + bonded.CaseID{Cell: "cn", ID: bonded.ID{1}}.String()}, bonded.CodeWrongCell},
		{"of no case", call{method: "GET", path: "/v1/cases/case_eu_1"}, bonded.CodeBadID},
		{"with an unknown field", call{method: "POST", path: "/v1/cases", body: []byte(`{"bodi":""}`)}, bonded.CodeUnknownField},
		{"from nowhere", call{method: "GET", path: show + "/scope?from=-1"}, bonded.CodeInvalid},
		{"about no document", call{method: "POST", path: show + "/documents/abc", media: "application/octet-stream", body: []byte("x")}, bonded.CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(t)
			if c.name == "made again" {
				d.ask(c.call)
			}
			w := d.ask(c.call)
			if c.code == "" {
				if w.Code != 200 {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
				return
			}
			if p := problemOf(t, w); p.Code != c.code || p.Status != apitype.InfoOf(c.code).Status {
				t.Errorf("code %s, want %s (%s)", p.Code, c.code, p.Message)
			}
			if d.through != 0 || (c.code == bonded.CodeUnauthenticated) != (d.unknowns > 0) {
				t.Errorf("%d calls let through, %d counted as of nobody", d.through, d.unknowns)
			}
		})
	}
}

func TestCaseCallWithoutPersonIsRefused(t *testing.T) {
	d := newDoor(t)
	for _, header := range []string{"", "officer-7", "officer-7;1;00;x", "officer-7;01;" + hex.EncodeToString(make([]byte, 16)) + ";AA=="} {
		r := httptest.NewRequest("GET", "/v1/register", nil)
		if header != "" {
			r.Header.Set(apitype.HeaderPerson, header)
		}
		w := httptest.NewRecorder()
		d.face.ServeHTTP(w, r)
		if p := problemOf(t, w); p.Code != bonded.CodeUnauthenticated {
			t.Errorf("header %q: code %s", header, p.Code)
		}
	}
	w := httptest.NewRecorder()
	d.face.ServeHTTP(w, httptest.NewRequest("GET", "/v1/custody", nil))
	if w.Code != 200 {
		t.Errorf("a public path asks for a person: %d", w.Code)
	}
}

func TestCaseDocumentsAndPackagesAreOctets(t *testing.T) {
	d := newDoor(t)
	path := "/v1/cases/" + exCase.String()
	big := bytes.Repeat([]byte{7}, apitype.MaxDocument)
	if w := d.ask(call{method: "POST", path: path + "/documents/" + exHash, media: "application/octet-stream", body: big}); w.Code != 200 {
		t.Errorf("a document of the most there may be: %d %s", w.Code, w.Body)
	}
	w := d.ask(call{method: "POST", path: path + "/documents/" + exHash, media: "application/octet-stream", body: append(big, 1)})
	if p := problemOf(t, w); p.Code != bonded.CodeTooLarge {
		t.Errorf("one byte more: %s", p.Code)
	}
	w = d.ask(call{method: "GET", path: path + "/package"})
	if w.Code != 200 || w.Body.String() != "package" || w.Header().Get("Content-Disposition") != "attachment" || w.Header().Get("Content-Type") != "application/vnd.bonded.package" {
		t.Errorf("package: %d %q %v", w.Code, w.Body, w.Header())
	}
}

func TestCellWithoutFrontDoorSaysSo(t *testing.T) {
	w := ask(newFace(t, &edge{}, api.Limits{}, nil), "GET", "/v1/custody", "")
	if p := problemOf(t, w); p.Code != bonded.CodeUnsupported || p.Hint == "" {
		t.Errorf("got %+v", p)
	}
}

func TestWhoCallsTooOftenWritesNoNonce(t *testing.T) {
	d := newDoor(t)
	limited := 0
	for i := range 1000 {
		w := d.ask(call{method: "GET", path: "/v1/cases/" + exCase.String(), nonce: [16]byte{byte(i), byte(i >> 8), 1}})
		if w.Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 || len(d.nonces)+limited != 1000 {
		t.Errorf("%d calls were too many and %d nonces were kept, of 1000 calls", limited, len(d.nonces))
	}
}

// A heldBody says that it is being read and then waits.
type heldBody struct{ reading, end chan struct{} }

func (b heldBody) Read([]byte) (int, error) {
	b.reading <- struct{}{}
	<-b.end
	return 0, io.ErrUnexpectedEOF
}

func TestFewDocumentsArriveAtOnceFromPeopleNotYetProven(t *testing.T) {
	d := newDoor(t)
	proof := apitype.PersonProof{Person: "officer-7", Time: time.Now().Unix()} // anybody can write one that does not hold
	upload := func(body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/v1/cases/"+exCase.String()+"/documents/"+exHash, body)
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Header.Set(apitype.HeaderPerson, proof.Format())
		w := httptest.NewRecorder()
		d.face.ServeHTTP(w, r)
		return w
	}
	const places = 16
	b := heldBody{make(chan struct{}), make(chan struct{})}
	var group sync.WaitGroup
	for range places {
		group.Go(func() { upload(b) })
	}
	for range places {
		<-b.reading
	}
	if p := problemOf(t, upload(bytes.NewReader([]byte{1}))); p.Code != bonded.CodeBusy {
		t.Errorf("one more: code %s", p.Code)
	}
	if w := d.ask(call{method: "GET", path: "/v1/cases/" + exCase.String(), nonce: [16]byte{9}}); w.Code != http.StatusOK {
		t.Errorf("a call without a document: %d", w.Code)
	}
	close(b.end)
	group.Wait()
	if p := problemOf(t, upload(bytes.NewReader([]byte{1}))); p.Code != bonded.CodeUnauthenticated {
		t.Errorf("after they ended: code %s", p.Code)
	}
}
