package quorum_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"bonded"
	"bonded/internal/quorum"
)

// A person has keys and, after a ceremony, a share.
type person struct {
	id    string
	key   ed25519.PrivateKey
	tr    quorum.TransportKey
	share quorum.Share
}

func newPerson(t testing.TB, id string) *person {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return (&person{id: id, key: key}).fresh(t)
}

// fresh gives p another transport key, as every ceremony asks for.
func (p *person) fresh(t testing.TB) *person {
	t.Helper()
	tr, err := quorum.NewTransportKey()
	if err != nil {
		t.Fatal(err)
	}
	p.tr = tr
	return p
}

func (p *person) pub() ed25519.PublicKey { return ed25519.PublicKey(p.key[32:]) }

func (p *person) identity() quorum.Identity {
	return quorum.Identity{Approval: p.key, Transport: p.tr}
}

func (p *person) custody() quorum.Custody {
	return quorum.Custody{ID: p.id, Approval: p.pub(), Transport: p.tr.Public()}
}

// A committee is the people of each role.
type committee struct {
	names      []string
	thresholds []int
	people     [][]*person
}

type roleSpec struct {
	name string
	m, n int
}

var firmAndIndependent = []roleSpec{{"firm", 2, 3}, {"independent", 1, 2}}

func newCommittee(t testing.TB, specs ...roleSpec) *committee {
	t.Helper()
	c := new(committee)
	for _, s := range specs {
		var people []*person
		for i := range s.n {
			people = append(people, newPerson(t, fmt.Sprintf("%s-%d", s.name, i+1)))
		}
		c.names = append(c.names, s.name)
		c.thresholds = append(c.thresholds, s.m)
		c.people = append(c.people, people)
	}
	return c
}

func (c *committee) all() []*person {
	var all []*person
	for _, p := range c.people {
		all = append(all, p...)
	}
	return all
}

func (c *committee) roles() []quorum.Role {
	var roles []quorum.Role
	for i, name := range c.names {
		r := quorum.Role{Name: name, Threshold: c.thresholds[i]}
		for _, p := range c.people[i] {
			r.Members = append(r.Members, p.custody())
		}
		roles = append(roles, r)
	}
	return roles
}

func (c *committee) dkg() *quorum.Params {
	return &quorum.Params{Cell: "cn", Ceremony: bonded.NewID(), Kind: quorum.KindDKG, Epoch: 1, Roles: c.roles()}
}

// reshare returns the ceremony in which the first threshold old members of each
// role hand on to c.
func (c *committee) reshare(old *quorum.KeySet) *quorum.Params {
	p := &quorum.Params{
		Cell: "cn", Ceremony: bonded.NewID(), Kind: quorum.KindReshare, Epoch: old.Epoch() + 1,
		Roles: c.roles(), Previous: old.Digest(),
	}
	for _, r := range old.Roles() {
		var dealers []uint8
		for i := range r.Threshold {
			dealers = append(dealers, uint8(i+1))
		}
		p.Handover = append(p.Handover, dealers)
	}
	return p
}

// play passes messages among members until nobody says anything new, and
// returns all of them, and the first error any of them had.
func play(members ...*quorum.Member) ([][]byte, error) {
	var first error
	var board [][]byte
	seen := make(map[string]bool)
	for {
		quiet := true
		for _, m := range members {
			for _, raw := range m.Messages() {
				if !seen[string(raw)] {
					seen[string(raw)] = true
					board = append(board, raw)
					quiet = false
					for _, to := range members {
						if err := to.Receive(raw); err != nil && first == nil {
							first = err
						}
					}
				}
			}
		}
		if quiet {
			return board, first
		}
	}
}

// hold runs a ceremony among people, gives them their shares, and returns its
// certificate and all messages.
func hold(t testing.TB, p *quorum.Params, previous *quorum.KeySet, people ...*person) (*quorum.Certificate, [][]byte) {
	t.Helper()
	var members []*quorum.Member
	for _, who := range people {
		m, err := quorum.NewMember(p, previous, who.identity(), who.share)
		if err != nil {
			t.Fatalf("%s joins: %v", who.id, err)
		}
		members = append(members, m)
	}
	board, err := play(members...)
	if err != nil {
		t.Fatal(err)
	}
	var cert *quorum.Certificate
	for i, m := range members {
		c, share, ok := m.Result()
		if !ok {
			t.Fatalf("%s has no result: %+v", people[i].id, m.Outcome())
		}
		people[i].share = share
		cert = c
	}
	return cert, board
}

// held returns a committee that has held its first ceremony.
func held(t testing.TB, specs ...roleSpec) (*committee, *quorum.KeySet) {
	t.Helper()
	c := newCommittee(t, specs...)
	cert, _ := hold(t, c.dkg(), nil, c.all()...)
	if err := quorum.CheckCertificate(cert, nil); err != nil {
		t.Fatal(err)
	}
	return c, cert.KeySet()
}

var label = []byte("cn/users/record-1/version-1")

// A request is a requester with its release.
type request struct {
	key     quorum.RecipientKey
	release quorum.Release
}

func newRequest(t testing.TB) *request {
	t.Helper()
	r := &request{key: quorum.NewRecipientKey()}
	id := bonded.NewID()
	pub, err := r.key.Public(id[:])
	if err != nil {
		t.Fatal(err)
	}
	r.release = quorum.Release{Request: id, Leaf: [32]byte{7}, Recipient: pub, Context: id[:]}
	return r
}

func seal(t testing.TB, ks *quorum.KeySet) (quorum.Key, *quorum.Envelope) {
	t.Helper()
	e, err := quorum.NewEncryptor(ks.ReleaseKey())
	if err != nil {
		t.Fatal(err)
	}
	k, env, err := e.NewEnvelope(label)
	if err != nil {
		t.Fatal(err)
	}
	return k, env
}

func partial(t testing.TB, ks *quorum.KeySet, who *person, r quorum.Release, env *quorum.Envelope) *quorum.Partial {
	t.Helper()
	p, err := quorum.MakePartial(ks, who.share, r, env, label)
	if err != nil {
		t.Fatalf("%s: %v", who.id, err)
	}
	return p
}

func partials(t testing.TB, ks *quorum.KeySet, r quorum.Release, env *quorum.Envelope, people ...*person) []*quorum.Partial {
	t.Helper()
	var ps []*quorum.Partial
	for _, who := range people {
		ps = append(ps, partial(t, ks, who, r, env))
	}
	return ps
}

func wantCode(t testing.TB, err error, want bonded.Code) {
	t.Helper()
	if bonded.CodeOf(err) != want {
		t.Errorf("err = %v, want code %s", err, want)
	}
}
