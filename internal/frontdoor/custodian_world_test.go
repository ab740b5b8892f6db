//go:build unix

package frontdoor_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/api"
	"bonded/internal/apitype"
	program "bonded/internal/custodian"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/verify"
)

// A chamber is a front door with the custodians' own programs before it: each
// has its folder and calls over HTTP, past something that can lie.
type chamber struct {
	*world
	directory []byte
	url       string
	folders   map[string]*program.Folder
	lives     map[string]func(context.Context) error // who takes part in a ceremony otherwise than by one Join
	lies      atomic.Pointer[lie]
}

// A lie alters one answer of the front door.
type lie struct {
	path string // part of the paths it is about
	tell func(body []byte) []byte
}

var passphrase = []byte("correct horse battery staple")

func newChamber(t *testing.T) *chamber {
	t.Helper()
	c := &chamber{world: worldOfToday(t), folders: map[string]*program.Folder{}, lives: map[string]func(context.Context) error{}}
	var err error
	c.private, c.recipient, err = recipient.New()
	c.must(err)
	c.directory = c.write(1, "admin")
	a, err := api.New(api.Config{Service: struct{ api.Service }{}, Cases: c.door, Cell: cell, Directory: c.directory})
	c.must(err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := c.lies.Load()
		if l == nil || !strings.Contains(r.URL.Path, l.path) {
			a.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, r)
		w.WriteHeader(rec.Code)
		_, _ = w.Write(l.tell(rec.Body.Bytes()))
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

// write returns a directory of a version, by an administrator.
func (c *chamber) write(version uint64, admin string, change ...func(*verify.DirectoryCell)) []byte {
	d := &verify.Directory{
		Format: verify.DirectoryFormat, Version: version, Issued: "2026-11-01T00:00:00Z", Admin: verify.EncodePublicKey(public(admin)), Default: cell,
		Cells: []verify.DirectoryCell{{
			ID: cell, Jurisdictions: []bonded.Jurisdiction{"DE"}, Suite: "aes-256-gcm", LedgerKey: c.vkey, WitnessPolicy: c.policy,
			PromiseKey: verify.EncodePublicKey(public("promise")), KeyholderKey: verify.EncodePublicKey(public("kh")),
		}},
	}
	for _, f := range change {
		f(&d.Cells[0])
	}
	return d.Encode()
}

// custodian makes the folder of a custodian.
func (c *chamber) custodian(id string) *program.Folder {
	c.t.Helper()
	f, err := program.Init(filepath.Join(c.dir, id), program.Config{ID: id, Organisation: "Custodians of " + id, Cell: cell, URL: c.url},
		c.directory, verify.SignDirectory(testKey("admin"), c.directory), program.Options{Passphrase: passphrase, Now: c.clock.Now})
	c.must(err)
	c.folders[id] = f
	return f
}

// reopen is a new process of a custodian.
func (c *chamber) reopen(id string) *program.Folder {
	c.t.Helper()
	f, err := program.Open(filepath.Join(c.dir, id), program.Options{Passphrase: passphrase, Now: c.clock.Now})
	c.must(err)
	c.folders[id] = f
	return f
}

func (c *chamber) client(f *program.Folder) *client.PersonClient {
	c.t.Helper()
	p, err := client.NewPerson(client.PersonConfig{Directory: f.Directory(), Cell: cell, Person: f.Person(), Key: f.Key(), URL: c.url, Attempts: 1})
	c.must(err)
	return p
}

// seats are the members of a role, by id.
type seats struct {
	role      string
	threshold int
	ids       []string
}

var (
	firstSeats  = []seats{{"firm", 2, []string{"firm-1", "firm-2", "firm-3"}}, {verify.RoleIndependent, 1, []string{"independent-1", "independent-2"}}}
	secondSeats = []seats{{"firm", 2, []string{"firm-1", "firm-2", "firm-4"}}, {verify.RoleIndependent, 1, []string{"independent-1", "independent-3"}}}
)

// order orders a ceremony for the custodians that hold these seats.
func (c *chamber) order(kind quorum.Kind, roles []seats, change ...func(*quorum.Params)) *quorum.Params {
	c.t.Helper()
	p := &quorum.Params{Cell: cell, Ceremony: bonded.NewID(), Kind: kind, Epoch: 1}
	for _, s := range roles {
		r := quorum.Role{Name: s.role, Threshold: s.threshold}
		for _, id := range s.ids {
			f := c.folders[id]
			if f == nil {
				f = c.custodian(id)
			}
			pub, err := f.Public()
			c.must(err)
			key, err := verify.DecodePublicKey(pub.Approval)
			c.must(err)
			m := quorum.Custody{ID: id, Approval: key}
			transport, err := base64.StdEncoding.DecodeString(pub.Transport)
			c.must(err)
			copy(m.Transport[:], transport)
			r.Members = append(r.Members, m)
		}
		p.Roles = append(p.Roles, r)
	}
	for _, f := range change {
		f(p)
	}
	c.begin(p)
	return p
}

// handover makes a resharing by firm-2, firm-3 and independent-2.
func (c *chamber) handover(p *quorum.Params) {
	set := c.folders["firm-1"].KeySet()
	p.Epoch, p.Previous, p.Handover = set.Epoch()+1, set.Digest(), [][]uint8{{2, 3}, {2}}
}

// join has custodians take part at the same time, and slots pass, until all
// have the key set in force.
func (c *chamber) join(p *quorum.Params, ids ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 3*time.Minute)
	defer cancel()
	ended := make(chan error, len(ids))
	for _, id := range ids {
		f := c.folders[id]
		door := c.client(f)
		live := c.lives[id]
		if live == nil {
			live = func(ctx context.Context) error {
				_, err := f.Join(ctx, door, p.Ceremony.Hex(), p.Digest())
				return err
			}
		}
		go func() {
			err := live(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", id, err)
			}
			ended <- err
		}()
	}
	poll := time.NewTicker(program.Poll)
	defer poll.Stop()
	for left := len(ids); left > 0; {
		select {
		case err := <-ended:
			c.must(err)
			left--
		case <-ctx.Done():
			c.t.Fatalf("%d custodians did not come to an end", left)
		case <-poll.C:
			c.tick()
		}
	}
	set := c.folders[ids[0]].KeySet()
	c.keys = set
	c.records.key = set.ReleaseKey()
	var err error
	c.records.encrypt, err = quorum.NewEncryptor(c.records.key)
	c.must(err)
}

// begin starts a ceremony at the front door.
func (c *chamber) begin(p *quorum.Params) {
	c.t.Helper()
	order, err := verify.NewCeremonyOrder(cell, p.Digest())
	c.must(err)
	order.Sign(verify.LabelCeremony, verify.SignerAdmin, testKey("admin"))
	_, err = c.door.StartCeremony(c.ctx, c.call("admin"), &apitype.CeremonyStart{Params: p.Bytes(), Statement: order})
	c.must(err)
}

// enter proposes an entry of the register and has a custodian confirm it.
func (c *chamber) enter(kind, label, id, by string, body any) {
	c.t.Helper()
	digest := c.propose(kind, label, body)
	f := c.folders[by]
	other := digest
	other[0] ^= 1
	if _, err := f.Confirm(c.ctx, c.client(f), kind, id, other); bonded.CodeOf(err) != bonded.CodeConflict {
		c.t.Errorf("another entry than the one looked at was confirmed: %v", err)
	}
	_, err := f.Confirm(c.ctx, c.client(f), kind, id, digest)
	c.must(err)
}

func (c *chamber) propose(kind, label string, body any) [32]byte {
	c.t.Helper()
	st, err := verify.NewStatement(body)
	c.must(err)
	st.Sign(label, verify.SignerAdmin, testKey("admin"))
	propose := c.door.ProposePerson
	if kind == verify.RegistryAgency {
		propose = c.door.ProposeAgency
	}
	_, err = propose(c.ctx, c.call("admin"), st)
	c.must(err)
	return st.Digest(label)
}

// founded is a chamber with custodians of a first ceremony and everybody in
// the register.
func founded(t *testing.T) *chamber {
	t.Helper()
	c := newChamber(t)
	p := c.order(quorum.KindDKG, firstSeats)
	c.join(p, "firm-1", "firm-2", "firm-3", "independent-1", "independent-2")
	c.enter(verify.RegistryAgency, verify.LabelAgency, "bka", "independent-1", c.agency())
	people := []*verify.Person{
		c.person("officer", "requester", "bka"), c.person("intake", "intake", ""), c.person("legal-1", "legal", ""),
		c.person("legal-2", "legal", ""), c.person("legal-3", "legal", ""), c.person("guardian", "guardian", ""),
	}
	for id, f := range c.folders {
		n := c.person(id, "custodian", "")
		pub, err := f.Public()
		c.must(err)
		n.Organisation, n.Key = f.Config().Organisation, pub.Approval
		people = append(people, n)
	}
	for _, n := range people {
		by := "independent-1"
		if n.ID == by {
			by = "independent-2" // nobody confirms themselves
		}
		c.enter(verify.RegistryPerson, verify.LabelPerson, n.ID, by, n)
	}
	c.settleRegister()
	ada(c.world)
	return c
}

// before leads a case to the custodians.
func (c *chamber) before(change ...func(*verify.CaseRequest)) bonded.CaseID {
	c.t.Helper()
	r := c.request()
	for _, f := range change {
		f(r)
	}
	id := c.file(r)
	c.reviewed(id)
	c.state(id, "awaiting_quorum")
	return id
}

// must returns v of a call that must succeed.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// tell has the front door lie: change alters each answer of a path that is of
// type A.
func tell[A any](c *chamber, path string, change func(*A)) {
	c.lies.Store(&lie{path, func(body []byte) []byte {
		a := new(A)
		if json.Unmarshal(body, a) != nil {
			return body
		}
		change(a)
		return must(json.Marshal(a))
	}})
}
