// Package ceremonytest holds ceremonies of custodians inside a test, with the
// real scheme and all parties in one process: what other packages test their
// side of a quorum with. It is linked into no program.
//
// Start at [Hold].
package ceremonytest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/succession"
	"bonded/verify"
)

// A Custodian is one person with a share.
type Custodian struct {
	Role  string
	Index uint64
	ID    string
	Key   ed25519.PrivateKey // signs ceremonies and approvals
	Share quorum.Share

	transport quorum.TransportKey
}

// A Committee is the custodians of one epoch: firm 2 of 3 and independent 1 of
// 2.
type Committee struct {
	People      []*Custodian
	Params      *quorum.Params
	Certificate *quorum.Certificate
	KeySet      *quorum.KeySet
}

// Hold holds the first ceremony of a cell.
func Hold(t testing.TB, cell bonded.CellID) *Committee {
	t.Helper()
	c := gather(t)
	c.Params = &quorum.Params{Cell: cell, Ceremony: bonded.NewID(), Kind: quorum.KindDKG, Epoch: 1, Roles: c.roles()}
	c.hold(t, nil, c.People)
	return c
}

// Reshare hands the shares of c on to new people, who become the custodians of
// the next epoch.
func (c *Committee) Reshare(t testing.TB) *Committee {
	t.Helper()
	n := gather(t)
	n.Params = &quorum.Params{
		Cell: c.KeySet.Cell(), Ceremony: bonded.NewID(), Kind: quorum.KindReshare, Epoch: c.KeySet.Epoch() + 1,
		Roles: n.roles(), Previous: c.KeySet.Digest(),
	}
	dealers := append([]*Custodian{}, n.People...)
	for _, r := range c.KeySet.Roles() {
		var of []uint8
		for i := range r.Threshold {
			of = append(of, uint8(i+1)) //nolint:gosec // at most 32
			dealers = append(dealers, c.Find(r.Name, uint64(i+1)))
		}
		n.Params.Handover = append(n.Params.Handover, of)
	}
	n.hold(t, c.KeySet, dealers)
	return n
}

// Find returns the custodian at a place of a role, nil if there is none.
func (c *Committee) Find(role string, index uint64) *Custodian {
	for _, p := range c.People {
		if p.Role == role && p.Index == index {
			return p
		}
	}
	return nil
}

// Quorum returns just enough people to open: two of the firm, one independent.
func (c *Committee) Quorum() []*Custodian {
	return []*Custodian{c.Find("firm", 1), c.Find("firm", 2), c.Find("independent", 1)}
}

// Approve returns approvals of a scope by these people, put before them by the
// entry with that leaf hash.
func (c *Committee) Approve(id bonded.ID, scope, leaf [32]byte, at time.Time, people ...*Custodian) []*verify.Approval {
	var out []*verify.Approval
	for _, p := range people {
		a := &verify.Approval{
			Cell: c.KeySet.Cell(), Case: id, Scope: scope, Leaf: leaf, KeySet: c.KeySet.Digest(), Epoch: c.KeySet.Epoch(),
			Role: p.Role, Index: p.Index, Custodian: p.ID, Approve: true, Time: uint64(max(at.Unix(), 0)),
		}
		a.Sign(p.Key)
		out = append(out, a)
	}
	return out
}

// ApproveDirectory returns approvals of a version of the directory by
// custodians of c.
func (c *Committee) ApproveDirectory(version uint64, digest [32]byte, people ...*Custodian) []*verify.DirectoryApproval {
	var out []*verify.DirectoryApproval
	for _, p := range people {
		a := &verify.DirectoryApproval{
			Cell: c.KeySet.Cell(), Version: version, Digest: digest, KeySet: c.KeySet.Digest(), Epoch: c.KeySet.Epoch(),
			Role: p.Role, Index: p.Index, Custodian: p.ID,
		}
		a.Sign(p.Key)
		out = append(out, a)
	}
	return out
}

// Order returns the statement that orders the ceremony of c.
func (c *Committee) Order(t testing.TB, admin ed25519.PrivateKey) []byte {
	t.Helper()
	s, err := verify.NewCeremonyOrder(c.KeySet.Cell(), c.Params.Digest())
	if err != nil {
		t.Fatal(err)
	}
	s.Sign(verify.LabelCeremony, verify.SignerAdmin, admin)
	return s.Encode()
}

// Entry returns the entry of the ledger for the certificate of c.
func (c *Committee) Entry() *verify.CaseEntry {
	return &verify.CaseEntry{Type: verify.EntryCustody, Content: c.Certificate.Digest()}
}

// Link returns c with where it stands in the ledger. order is empty unless c
// held a first ceremony.
func (c *Committee) Link(order []byte, o *verify.CaseOpening, proof []byte) succession.Link {
	return succession.Link{Certificate: c.Certificate.Bytes(), Order: order, Opening: OpeningJSON(o), Proof: proof}
}

// Leaf returns a case leaf that commits to an entry, and its fields.
func Leaf(cell bonded.CellID, at time.Time, e *verify.CaseEntry) ([]byte, []verify.LeafField) {
	fields := e.Fields(func() (s verify.Salt) {
		_, _ = rand.Read(s[:]) // never fails since Go 1.24
		return s
	})
	unix := uint64(max(at.Unix(), 0))
	l := &verify.Leaf{Kind: verify.LeafCase, Cell: cell, Time: unix, OpenBy: unix + 30*24*3600, Root: verify.CommitFields(fields)}
	return l.Encode(), fields
}

func gather(t testing.TB) *Committee {
	t.Helper()
	c := new(Committee)
	for role, n := range map[string]int{"firm": 3, "independent": 2} {
		for i := range n {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			tr, err := quorum.NewTransportKey()
			if err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf("%s-%s", role, bonded.NewID().Hex()[:8])
			c.People = append(c.People, &Custodian{Role: role, Index: uint64(i + 1), ID: id, Key: key, transport: tr})
		}
	}
	return c
}

func (c *Committee) roles() []quorum.Role {
	roles := []quorum.Role{{Name: "firm", Threshold: 2}, {Name: "independent", Threshold: 1}}
	for i := range roles {
		for j := uint64(1); ; j++ {
			p := c.Find(roles[i].Name, j)
			if p == nil {
				break
			}
			pub, _ := p.Key.Public().(ed25519.PublicKey)
			roles[i].Members = append(roles[i].Members, quorum.Custody{ID: p.ID, Approval: pub, Transport: p.transport.Public()})
		}
	}
	return roles
}

// hold runs the ceremony of c among parties until nobody has more to say.
func (c *Committee) hold(t testing.TB, previous *quorum.KeySet, parties []*Custodian) {
	t.Helper()
	members := make([]*quorum.Member, len(parties))
	for i, p := range parties {
		var err error
		if members[i], err = quorum.NewMember(c.Params, previous, quorum.Identity{Approval: p.Key, Transport: p.transport}, p.Share); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for said := true; said; {
		said = false
		for _, m := range members {
			for _, raw := range m.Messages() {
				if seen[string(raw)] {
					continue
				}
				seen[string(raw)], said = true, true
				for _, to := range members {
					if err := to.Receive(raw); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	for i, p := range parties {
		cert, share, ok := members[i].Result()
		if !ok {
			t.Fatal("the ceremony has no result")
		}
		c.Certificate, c.KeySet = cert, cert.KeySet()
		if c.Find(p.Role, p.Index) == p {
			p.Share = share
		}
	}
}

// OpeningJSON returns an opening as it crosses a line.
func OpeningJSON(o *verify.CaseOpening) []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // byte strings always marshal
	}
	return b
}
