package operator_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/operator"
	"bonded/internal/quorum"
	"bonded/verify"
)

// A custodian with all keys, and the public file others see.
type custodian struct {
	id        string
	key       ed25519.PrivateKey
	transport quorum.TransportKey
}

func newCustodian(t *testing.T, id string) *custodian {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &custodian{id: id, key: key}
	return c.fresh(t)
}

// fresh gives the custodian a transport key for the next ceremony.
func (c *custodian) fresh(t *testing.T) *custodian {
	t.Helper()
	tk, err := quorum.NewTransportKey()
	if err != nil {
		t.Fatal(err)
	}
	return &custodian{c.id, c.key, tk}
}

func (c *custodian) file(t *testing.T) []byte {
	t.Helper()
	tp := c.transport.Public()
	pub, _ := c.key.Public().(ed25519.PublicKey) //nolint:errcheck // always one
	b, err := json.Marshal(map[string]string{
		"id": c.id, "organisation": "Firm", "cell": "eu",
		"approval_key": verify.EncodePublicKey(pub), "transport_key": base64.StdEncoding.EncodeToString(tp[:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c *custodian) member(t *testing.T) *operator.Member {
	t.Helper()
	m, err := operator.ParseMember(c.file(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func members(t *testing.T, cs ...*custodian) []*operator.Member {
	t.Helper()
	var out []*operator.Member
	for _, c := range cs {
		out = append(out, c.member(t))
	}
	return out
}

// keySet holds a first ceremony and returns what it made.
func keySet(t *testing.T, p *quorum.Params, cs ...*custodian) *quorum.KeySet {
	t.Helper()
	var seats []*quorum.Member
	for _, c := range cs {
		m, err := quorum.NewMember(p, nil, quorum.Identity{Approval: c.key, Transport: c.transport}, quorum.Share{})
		if err != nil {
			t.Fatal(err)
		}
		seats = append(seats, m)
	}
	var board [][]byte
	seen := map[string]bool{}
	for quiet := false; !quiet; {
		quiet = true
		for _, m := range seats {
			for _, raw := range m.Messages() {
				if seen[string(raw)] {
					continue
				}
				seen[string(raw)], quiet = true, false
				board = append(board, raw)
				for _, to := range seats {
					if err := to.Receive(raw); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	o, err := quorum.Judge(p, nil, board)
	if err != nil || o.Certificate == nil {
		t.Fatalf("no key set: %v, %+v", err, o)
	}
	return o.KeySet
}

func TestCeremonyParamsOfFirstAndReshare(t *testing.T) {
	a, b, c, i1, i2 := newCustodian(t, "firm-1"), newCustodian(t, "firm-2"), newCustodian(t, "firm-3"), newCustodian(t, "independent-1"), newCustodian(t, "independent-2")
	first := &operator.Ceremony{Kind: quorum.KindDKG, Cell: "eu", ID: bonded.NewID(), Roles: []operator.RoleOf{
		{Name: "firm", Threshold: 2, Members: members(t, a, b, c)}, {Name: "independent", Threshold: 1, Members: members(t, i1, i2)},
	}}
	p, err := first.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := quorum.ParseParams(p.Bytes()); err != nil || back.Digest() != p.Digest() || p.Epoch != 1 {
		t.Errorf("params do not read back: %v", err)
	}
	ks := keySet(t, p, a, b, c, i1, i2)

	// firm-3 leaves, firm-4 comes; roles named in another order.
	d := newCustodian(t, "firm-4")
	next := &operator.Ceremony{Kind: quorum.KindReshare, Cell: "eu", ID: bonded.NewID(), Roles: []operator.RoleOf{
		{Name: "independent", Threshold: 1, Members: members(t, i1.fresh(t), i2.fresh(t))},
		{Name: "firm", Threshold: 2, Members: members(t, a.fresh(t), b.fresh(t), d)},
	}}
	p, err = next.Params(ks)
	if err != nil {
		t.Fatal(err)
	}
	if p.Epoch != 2 || p.Previous != ks.Digest() || p.Roles[0].Name != "firm" || !slices.Equal(p.Handover[0], []uint8{1, 2}) || !slices.Equal(p.Handover[1], []uint8{1, 2}) {
		t.Errorf("epoch %d, roles %s…, handover %v", p.Epoch, p.Roles[0].Name, p.Handover)
	}

	// firm-3 helps although it leaves.
	next.Roles[1].Handover = []string{"firm-1", "firm-3"}
	if p, err = next.Params(ks); err != nil || !slices.Equal(p.Handover[0], []uint8{1, 3}) {
		t.Errorf("handover %v, %v", p, err)
	}
}

func TestCeremonyParamsRefuse(t *testing.T) {
	a, b, i := newCustodian(t, "firm-1"), newCustodian(t, "firm-2"), newCustodian(t, "independent-1")
	roles := func(threshold int, ms ...*custodian) []operator.RoleOf {
		return []operator.RoleOf{{Name: "firm", Threshold: threshold, Members: members(t, ms...)}, {Name: "independent", Threshold: 1, Members: members(t, i)}}
	}
	good := &operator.Ceremony{Kind: quorum.KindDKG, Cell: "eu", ID: bonded.NewID(), Roles: roles(2, a, b)}
	p, err := good.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	ks := keySet(t, p, a, b, i)
	stale := roles(2, a, b) // transport keys of the ceremony before
	for _, c := range []struct {
		name     string
		c        operator.Ceremony
		previous *quorum.KeySet
		code     bonded.Code
	}{
		{"a threshold above the members", operator.Ceremony{Kind: quorum.KindDKG, Cell: "eu", ID: bonded.NewID(), Roles: roles(3, a, b)}, nil, bonded.CodeInvalid},
		{"no threshold", operator.Ceremony{Kind: quorum.KindDKG, Cell: "eu", ID: bonded.NewID(), Roles: roles(0, a, b)}, nil, bonded.CodeInvalid},
		{"one custodian twice", operator.Ceremony{Kind: quorum.KindDKG, Cell: "eu", ID: bonded.NewID(), Roles: roles(1, a, a)}, nil, bonded.CodeInvalid},
		{"another cell", operator.Ceremony{Kind: quorum.KindDKG, Cell: "cn", ID: bonded.NewID(), Roles: roles(2, a, b)}, nil, bonded.CodeWrongCell},
		{"a reshare of nothing", operator.Ceremony{Kind: quorum.KindReshare, Cell: "eu", ID: bonded.NewID(), Roles: roles(2, a, b)}, nil, bonded.CodeConflict},
		{"a second first ceremony", *good, ks, bonded.CodeConflict},
		{"transport keys again", operator.Ceremony{Kind: quorum.KindReshare, Cell: "eu", ID: bonded.NewID(), Roles: stale}, ks, bonded.CodeInvalid},
		{"a role missing", operator.Ceremony{Kind: quorum.KindReshare, Cell: "eu", ID: bonded.NewID(), Roles: stale[:1]}, ks, bonded.CodeInvalid},
		{"nobody hands on", operator.Ceremony{Kind: quorum.KindReshare, Cell: "eu", ID: bonded.NewID(), Roles: roles(1, newCustodian(t, "firm-9"))}, ks, bonded.CodeInvalid},
	} {
		if _, err := c.c.Params(c.previous); bonded.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want code %s", c.name, err, c.code)
		}
	}
}

func TestHistoryRefusesWhatIsNotProven(t *testing.T) {
	d := &verify.Directory{}
	if h, err := operator.CheckHistory(d, "eu", &apitype.CustodyChain{}); err != nil || h.Current() != nil {
		t.Errorf("an empty chain: %v, %v", h, err)
	}
	_, err := operator.CheckHistory(d, "eu", &apitype.CustodyChain{Certificates: []apitype.CustodyLink{{}}})
	wantCode(t, err, bonded.CodeAltered)
}

func TestKeyOfReadsEveryPublicFile(t *testing.T) {
	c := newCustodian(t, "firm-1")
	pub, _ := c.key.Public().(ed25519.PublicKey) //nolint:errcheck // always one
	if k, err := operator.KeyOf(c.file(t)); err != nil || !k.Equal(pub) {
		t.Errorf("a custodian's: %v", err)
	}
	b, err := json.Marshal(operator.Public{Person: "legal-1", Cell: "eu", Key: verify.EncodePublicKey(pub)})
	if err != nil {
		t.Fatal(err)
	}
	if k, err := operator.KeyOf(b); err != nil || !k.Equal(pub) {
		t.Errorf("an operator's: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"person":"a","cell":"eu","key":"AA=="}`, "legal-1"} {
		_, err := operator.KeyOf([]byte(bad))
		wantCode(t, err, bonded.CodeInvalid)
	}
}
