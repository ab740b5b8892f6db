package quorum_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/quorum/internal/group"
)

// In a role of 2-of-3 a deal has two commitments, a proof, and three sealed shares.
const (
	proofAt  = 2 * group.Size
	sealedAt = proofAt + 2*group.Size
)

func sealedIn(core []byte, index int) []byte {
	at := sealedAt + (index-1)*quorum.SealedShareSize
	return core[at : at+quorum.SealedShareSize]
}

// withLiar runs a 2-of-3 ceremony in which firm-1 changes its deal.
func withLiar(t *testing.T, change func(p *quorum.Params, core []byte) []byte, polys func(int, []group.Scalar)) (*quorum.Params, []*quorum.Member, [][]byte, error) {
	t.Helper()
	c := newCommittee(t, roleSpec{"firm", 2, 3})
	p := c.dkg()
	var members []*quorum.Member
	for i, who := range c.all() {
		var m *quorum.Member
		var err error
		if i == 0 {
			m, err = quorum.NewMemberWith(p, nil, who.identity(), quorum.Share{}, func(core []byte) []byte { return change(p, core) }, polys)
		} else {
			m, err = quorum.NewMember(p, nil, who.identity(), quorum.Share{})
		}
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
	}
	board, err := play(members...)
	return p, members, board, err
}

func judge(t testing.TB, p *quorum.Params, previous *quorum.KeySet, board [][]byte) *quorum.Outcome {
	t.Helper()
	o, err := quorum.Judge(p, previous, board)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func wantFault(t testing.TB, o *quorum.Outcome, id string, why quorum.Reason) {
	t.Helper()
	if len(o.Faults) == 0 || o.Faults[0].Party.ID != id || o.Faults[0].Reason != why {
		t.Errorf("faults = %+v, want %s: %s", o.Faults, id, why)
	}
	if o.Certificate != nil {
		t.Error("there is a certificate all the same")
	}
	wantCode(t, o.Err(), bonded.CodeAtFault)
}

func TestComplaintIsSettledByTheShareInClear(t *testing.T) {
	same := func(_ *quorum.Params, core []byte) []byte { return core }
	for name, tt := range map[string]struct {
		change  func(*quorum.Params, []byte) []byte
		settled int
	}{
		"nobody lies": {same, 0},
		"sealed share altered": {func(_ *quorum.Params, core []byte) []byte {
			sealedIn(core, 2)[1150] ^= 1
			return core
		}, 1},
		"sealed shares swapped between recipients": {func(_ *quorum.Params, core []byte) []byte {
			two, three := bytes.Clone(sealedIn(core, 2)), bytes.Clone(sealedIn(core, 3))
			copy(sealedIn(core, 2), three)
			copy(sealedIn(core, 3), two)
			return core
		}, 2},
		"share that does not fit": {func(p *quorum.Params, core []byte) []byte {
			copy(sealedIn(core, 3), quorum.SealShare(p, quorum.SeatOf(false, 0, 1), 0, 3, group.SmallScalar(5)))
			return core
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, members, board, err := withLiar(t, tt.change, nil)
			if err != nil {
				t.Fatal(err)
			}
			o := judge(t, p, nil, board)
			if len(o.Settled) != tt.settled || o.Certificate == nil {
				t.Fatalf("settled %v, certificate %v, want %d settled and a certificate", o.Settled, o.Certificate != nil, tt.settled)
			}
			for i, m := range members {
				cert, share, ok := m.Result()
				if !ok || share.Check(cert.KeySet()) != nil {
					t.Errorf("member %d has no share", i+1)
				}
			}
		})
	}
}

func TestWrongAnswerConvictsTheDealer(t *testing.T) {
	p, _, board, err := withLiar(t, func(_ *quorum.Params, core []byte) []byte {
		sealedIn(core, 2)[1150] ^= 1
		return core
	}, func(_ int, f []group.Scalar) { f[1] = group.SmallScalar(9) })
	wantCode(t, err, bonded.CodeAtFault)
	o := judge(t, p, nil, board)
	wantFault(t, o, "firm-1", quorum.FaultAnswer)
	if !o.Faults[0].Proven || o.Faults[0].About.ID != "firm-2" {
		t.Errorf("fault = %+v, want proven, about firm-2", o.Faults[0])
	}
}

func TestUnansweredComplaintNamesTheDealer(t *testing.T) {
	p, _, board, err := withLiar(t, func(_ *quorum.Params, core []byte) []byte {
		sealedIn(core, 2)[1150] ^= 1
		return core
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	board = slices.DeleteFunc(board, func(raw []byte) bool { return raw[33] == byte(quorum.TypeAnswer) })
	o := judge(t, p, nil, board)
	if o.Certificate != nil || len(o.Missing) != 1 || o.Missing[0].Party.ID != "firm-1" || o.Missing[0].Type != quorum.TypeAnswer || o.Missing[0].About.ID != "firm-2" {
		t.Errorf("missing = %+v, want firm-1's answer to firm-2", o.Missing)
	}
}

func TestFalseComplaintChangesNothing(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	p := c.dkg()
	members := join(t, p, nil, c.all()...)
	accused := quorum.SeatOf(false, 0, 1)
	forged := quorum.Forge(c.people[0][1].key, p, quorum.TypeComplaint, quorum.SeatOf(false, 0, 2), append(accused.Bytes(), 1))
	for _, m := range members {
		if err := m.Receive(forged); err != nil {
			t.Fatal(err)
		}
	}
	board, err := play(members...)
	if err != nil {
		t.Fatal(err)
	}
	o := judge(t, p, nil, append(board, forged))
	if o.Certificate == nil || len(o.Settled) != 1 || o.Settled[0].Dealer.ID != "firm-1" {
		t.Errorf("settled = %+v, want one and a certificate", o.Settled)
	}
}

func join(t testing.TB, p *quorum.Params, previous *quorum.KeySet, people ...*person) []*quorum.Member {
	t.Helper()
	var members []*quorum.Member
	for _, who := range people {
		m, err := quorum.NewMember(p, previous, who.identity(), who.share)
		if err != nil {
			t.Fatalf("%s: %v", who.id, err)
		}
		members = append(members, m)
	}
	return members
}

func TestRogueKeyNeedsPossession(t *testing.T) {
	// The first commitment becomes a point of which firm-1 knows no logarithm.
	p, _, board, err := withLiar(t, func(_ *quorum.Params, core []byte) []byte {
		rogue := group.HashToPoint("test", []byte("rogue")).Bytes()
		copy(core, rogue[:])
		return core
	}, nil)
	wantCode(t, err, bonded.CodeAtFault)
	wantFault(t, judge(t, p, nil, board), "firm-1", quorum.FaultPossession)
}

func TestPossessionIsBoundToCeremonyRoleAndDealer(t *testing.T) {
	c := newCommittee(t, roleSpec{"firm", 2, 3})
	var cores [][]byte
	grab := func(who *person, p *quorum.Params) {
		_, err := quorum.NewMemberWith(p, nil, who.identity(), quorum.Share{}, func(core []byte) []byte {
			cores = append(cores, bytes.Clone(core))
			return core
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	p := c.dkg()
	grab(c.people[0][0], c.dkg()) // of another ceremony
	grab(c.people[0][1], p)       // of another dealer
	for i, core := range cores {
		m, err := quorum.NewMemberWith(p, nil, c.people[0][0].identity(), quorum.Share{}, func([]byte) []byte { return core }, nil)
		if err != nil {
			t.Fatal(err)
		}
		members := append(join(t, p, nil, c.people[0][1:]...), m)
		board, err := play(members...)
		wantCode(t, err, bonded.CodeAtFault)
		o := judge(t, p, nil, board)
		if i == 0 && (len(o.Faults) == 0 || o.Faults[0].Reason != quorum.FaultPossession) {
			t.Errorf("proof of another ceremony: %+v", o.Faults)
		}
		wantFault(t, o, "firm-1", quorum.FaultPossession)
	}
}

func TestEquivocatingDealerIsNamed(t *testing.T) {
	c := newCommittee(t, roleSpec{"firm", 2, 3})
	p := c.dkg()
	liar := c.people[0][0]
	// The same person starts twice: two deals, two commits.
	first := join(t, p, nil, liar, c.people[0][1])
	second := join(t, p, nil, liar, c.people[0][2])
	var board [][]byte
	for _, m := range slices.Concat(first, second) {
		board = append(board, m.Messages()...)
	}
	o := judge(t, p, nil, board)
	wantFault(t, o, "firm-1", quorum.FaultEquivocation)
	if !o.Faults[0].Proven {
		t.Error("two signatures prove it")
	}

	// Shown to one side each, nobody is named yet, and nobody confirms.
	for _, other := range first {
		for _, raw := range second[1].Messages() {
			if err := other.Receive(raw); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range second {
		for _, raw := range slices.Concat(first[1].Messages(), second[0].Messages()) {
			_ = m.Receive(raw) // its deal names the first commit: noticed here at the latest
		}
	}
	board = nil
	for _, m := range slices.Concat(first, second) {
		board = append(board, m.Messages()...)
	}
	for _, m := range slices.Concat(first, second) {
		if _, _, ok := m.Result(); ok {
			t.Error("a side that was split off has a certificate")
		}
	}
	wantFault(t, judge(t, p, nil, board), "firm-1", quorum.FaultEquivocation)
}

func TestDealMustBeTheOneCommittedTo(t *testing.T) {
	c := newCommittee(t, roleSpec{"firm", 2, 3})
	p := c.dkg()
	members := join(t, p, nil, c.all()...)
	board, err := play(members...)
	if err != nil {
		t.Fatal(err)
	}
	// Another deal of firm-1, properly signed and proven, over the same commits.
	var other []byte
	if _, err := quorum.NewMemberWith(p, nil, c.people[0][0].identity(), quorum.Share{}, func(core []byte) []byte {
		other = bytes.Clone(core)
		return core
	}, nil); err != nil {
		t.Fatal(err)
	}
	seat := quorum.SeatOf(false, 0, 1)
	for i, raw := range board {
		if raw[33] == byte(quorum.TypeDeal) && bytes.Equal(raw[34:37], seat.Bytes()) {
			_, body := split(raw)
			board[i] = quorum.Forge(c.people[0][0].key, p, quorum.TypeDeal, seat, slices.Concat(body[:32], other))
		}
	}
	board = slices.DeleteFunc(board, func(raw []byte) bool { return raw[33] == byte(quorum.TypeConfirm) })
	wantFault(t, judge(t, p, nil, board), "firm-1", quorum.FaultCommit)
}

// split returns the head and the body of a message whose body is 128 bytes to
// 16 KiB long.
func split(raw []byte) (head, body []byte) { return raw[:39], raw[39 : len(raw)-64] }

func TestReshareDealerMustDealItsOwnShare(t *testing.T) {
	c, ks := held(t, roleSpec{"firm", 2, 3})
	for _, who := range c.all() {
		who.fresh(t)
	}
	p := c.reshare(ks)
	liar := c.people[0][0]
	m, err := quorum.NewMemberWith(p, ks, liar.identity(), quorum.Claim(ks, 0, 1, group.RandomScalar()), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	board, err := play(append(join(t, p, ks, c.people[0][1:]...), m)...)
	wantCode(t, err, bonded.CodeAtFault)
	wantFault(t, judge(t, p, ks, board), "firm-1", quorum.FaultOtherShare)

	// An honest program does not even start with such a share.
	_, err = quorum.NewMember(p, ks, liar.identity(), quorum.Claim(ks, 0, 1, group.RandomScalar()))
	wantCode(t, err, bonded.CodeAltered)
}

func TestMissingPartyIsNamed(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	p := c.dkg()
	people := c.all()
	// independent-2 never comes.
	board, err := play(join(t, p, nil, people[:4]...)...)
	if err != nil {
		t.Fatal(err)
	}
	o := judge(t, p, nil, board)
	if len(o.Missing) != 1 || o.Missing[0].Party.ID != "independent-2" || o.Missing[0].Type != quorum.TypeCommit {
		t.Errorf("missing = %+v, want independent-2's commit", o.Missing)
	}
	// All come; firm-3's confirmation, and then its deal, is kept back.
	p = c.dkg()
	board, err = play(join(t, p, nil, people...)...)
	if err != nil {
		t.Fatal(err)
	}
	seat := quorum.SeatOf(false, 0, 3)
	for _, typ := range []quorum.Type{quorum.TypeConfirm, quorum.TypeDeal} {
		board = slices.DeleteFunc(board, func(raw []byte) bool {
			return raw[33] == byte(typ) && bytes.Equal(raw[34:37], seat.Bytes())
		})
		o := judge(t, p, nil, board)
		if o.Certificate != nil || len(o.Missing) != 1 || o.Missing[0].Party.ID != "firm-3" || o.Missing[0].Type != typ {
			t.Errorf("missing = %+v, want firm-3's %s", o.Missing, typ)
		}
	}
}

func TestConfirmationOfAnotherKeySetStops(t *testing.T) {
	c := newCommittee(t, roleSpec{"firm", 2, 3})
	p := c.dkg()
	board, err := play(join(t, p, nil, c.all()...)...)
	if err != nil {
		t.Fatal(err)
	}
	seat := quorum.SeatOf(false, 0, 2)
	board = slices.DeleteFunc(board, func(raw []byte) bool {
		return raw[33] == byte(quorum.TypeConfirm) && bytes.Equal(raw[34:37], seat.Bytes())
	})
	board = append(board, quorum.Forge(c.people[0][1].key, p, quorum.TypeConfirm, seat, make([]byte, 64)))
	o := judge(t, p, nil, board)
	wantFault(t, o, "firm-2", quorum.FaultOtherView)
	if o.Faults[0].Proven {
		t.Error("it may have been shown another board")
	}
}

func TestSignedNonsenseConvictsItsSigner(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	p := c.dkg()
	firm2, own := quorum.SeatOf(false, 0, 2), quorum.SeatOf(false, 0, 1)
	independent := quorum.SeatOf(false, 1, 1)
	key := c.people[0][0].key
	for name, raw := range map[string][]byte{
		"short commit":                       quorum.Forge(key, p, quorum.TypeCommit, own, make([]byte, 31)),
		"unknown type":                       quorum.Forge(key, p, 9, own, nil),
		"empty deal":                         quorum.Forge(key, p, quorum.TypeDeal, own, make([]byte, 32)),
		"deal of identities":                 quorum.Forge(key, p, quorum.TypeDeal, own, make([]byte, 32+sealedAt+3*quorum.SealedShareSize)),
		"complaint about itself":             quorum.Forge(key, p, quorum.TypeComplaint, own, append(own.Bytes(), 1)),
		"complaint about another role":       quorum.Forge(key, p, quorum.TypeComplaint, own, append(independent.Bytes(), 1)),
		"complaint about nobody":             quorum.Forge(key, p, quorum.TypeComplaint, own, []byte{1, 7, 7, 1}),
		"complaint without a reason":         quorum.Forge(key, p, quorum.TypeComplaint, own, append(firm2.Bytes(), 3)),
		"answer that is no scalar":           quorum.Forge(key, p, quorum.TypeAnswer, own, append(firm2.Bytes(), bytes.Repeat([]byte{255}, 32)...)),
		"answer to another role":             quorum.Forge(key, p, quorum.TypeAnswer, own, append(independent.Bytes(), make([]byte, 32)...)),
		"confirmation that is no two hashes": quorum.Forge(key, p, quorum.TypeConfirm, own, make([]byte, 65)),
	} {
		t.Run(name, func(t *testing.T) {
			wantFault(t, judge(t, p, nil, [][]byte{raw}), "firm-1", quorum.FaultMalformed)
		})
	}
}

func TestForeignMessagesAreIgnored(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	p := c.dkg()
	members := join(t, p, nil, c.all()...)
	seat := quorum.SeatOf(false, 0, 1)
	body := sha256.Sum256(nil)
	noise := map[string][]byte{
		"empty":                   nil,
		"garbage":                 bytes.Repeat([]byte{1}, 200),
		"signed by somebody else": quorum.Forge(c.people[0][1].key, p, quorum.TypeCommit, seat, body[:]),
		"of another ceremony":     quorum.Forge(c.people[0][0].key, c.dkg(), quorum.TypeCommit, seat, body[:]),
		"from no seat":            quorum.Forge(c.people[0][0].key, p, quorum.TypeCommit, quorum.SeatOf(true, 0, 1), body[:]),
	}
	all := [][]byte{}
	for name, raw := range noise {
		all = append(all, raw)
		if err := members[1].Receive(raw); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: err = %v, want code invalid", name, err)
		}
	}
	board, err := play(members...)
	if err != nil {
		t.Fatal(err)
	}
	o := judge(t, p, nil, append(all, board...))
	if o.Certificate == nil || o.Ignored != len(noise) {
		t.Errorf("certificate %v, ignored %d, want one and %d", o.Certificate != nil, o.Ignored, len(noise))
	}
}
