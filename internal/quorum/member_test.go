package quorum_test

import (
	"bytes"
	"testing"

	"bonded"
	"bonded/internal/quorum"
)

// TestMemberGoesOnAfterBeingKilled kills every member after each message it
// takes in, restores it from the state it stored, and holds what it says before
// and after against each other.
func TestMemberGoesOnAfterBeingKilled(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	p := c.dkg()
	people := c.all()
	states := make([][]byte, len(people))
	said := make([]map[string]bool, len(people))
	var board [][]byte
	onBoard := make(map[string]bool)
	post := func(i int, m *quorum.Member) {
		states[i] = m.State()
		now := make(map[string]bool)
		for _, raw := range m.Messages() {
			now[string(raw)] = true
			if !onBoard[string(raw)] {
				onBoard[string(raw)] = true
				board = append(board, raw)
			}
		}
		for raw := range said[i] {
			if !now[raw] {
				t.Fatalf("%s takes back what it said", people[i].id)
			}
		}
		said[i] = now
	}
	for i, who := range people {
		m, err := quorum.NewMember(p, nil, who.identity(), quorum.Share{})
		if err != nil {
			t.Fatal(err)
		}
		post(i, m)
	}
	for next := 0; next < len(board); next++ {
		for i, who := range people {
			m, err := quorum.RestoreMember(states[i], who.identity())
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Receive(board[next]); err != nil {
				t.Fatal(err)
			}
			post(i, m)
		}
	}
	o := judge(t, p, nil, board)
	if o.Certificate == nil {
		t.Fatalf("no certificate: %+v", o)
	}
	if want := 3 * len(people); len(board) != want {
		t.Errorf("%d messages, want %d: somebody said something twice", len(board), want)
	}
	for i, who := range people {
		m, err := quorum.RestoreMember(states[i], who.identity())
		if err != nil {
			t.Fatal(err)
		}
		cert, share, ok := m.Result()
		if !ok || share.Check(cert.KeySet()) != nil || cert.Digest() != o.Certificate.Digest() {
			t.Errorf("%s has no result after the end", who.id)
		}
		who.share = share
	}
	if err := opens(t, o.Certificate.KeySet(), people[0], people[1], people[4]); err != nil {
		t.Error(err)
	}
}

func TestRestoredMemberAnswersTheSame(t *testing.T) {
	// A complaint reaches the dealer only after a restart: it still has its deal.
	c := newCommittee(t, roleSpec{"firm", 2, 2})
	p := c.dkg()
	members := join(t, p, nil, c.all()...)
	for _, raw := range members[0].Messages() {
		if err := members[1].Receive(raw); err != nil {
			t.Fatal(err)
		}
	}
	for _, raw := range members[1].Messages() {
		if err := members[0].Receive(raw); err != nil {
			t.Fatal(err)
		}
	}
	seat := quorum.SeatOf(false, 0, 1)
	complaint := quorum.Forge(c.people[0][1].key, p, quorum.TypeComplaint, quorum.SeatOf(false, 0, 2), append(seat.Bytes(), 2))
	var answers [][]byte
	state := members[0].State()
	for range 2 {
		m, err := quorum.RestoreMember(state, c.people[0][0].identity())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Receive(complaint); err != nil {
			t.Fatal(err)
		}
		for _, raw := range m.Messages() {
			if raw[33] == byte(quorum.TypeAnswer) {
				answers = append(answers, raw)
			}
		}
	}
	if len(answers) != 2 || !bytes.Equal(answers[0], answers[1]) {
		t.Errorf("%d answers, want the same twice", len(answers))
	}
}

func TestFaultIsRemembered(t *testing.T) {
	c := newCommittee(t, roleSpec{"firm", 2, 2})
	p := c.dkg()
	members := join(t, p, nil, c.all()...)
	bad := quorum.Forge(c.people[0][1].key, p, quorum.TypeCommit, quorum.SeatOf(false, 0, 2), nil)
	wantCode(t, members[0].Receive(bad), bonded.CodeAtFault)
	m, err := quorum.RestoreMember(members[0].State(), c.people[0][0].identity())
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.Fault(), bonded.CodeAtFault)
	if _, _, ok := m.Result(); ok {
		t.Error("there is a result")
	}
}

func TestMemberRefusesStrangers(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	p := c.dkg()
	_, err := quorum.NewMember(p, nil, newPerson(t, "stranger").identity(), quorum.Share{})
	wantCode(t, err, bonded.CodeInvalid)
	wrong := *c.people[0][0]
	_, err = quorum.NewMember(p, nil, wrong.fresh(t).identity(), quorum.Share{})
	wantCode(t, err, bonded.CodeInvalid)
	m := join(t, p, nil, c.people[0][0])[0]
	_, err = quorum.RestoreMember(m.State(), c.people[0][1].identity())
	wantCode(t, err, bonded.CodeInvalid)
	state := m.State()
	for _, n := range []int{0, 1, 40, len(state) / 2, len(state) - 1} {
		if _, err := quorum.RestoreMember(state[:n], c.people[0][0].identity()); err == nil {
			t.Errorf("restored from %d of %d bytes", n, len(state))
		}
	}
}

func TestDealerMarksTheKeySetForEver(t *testing.T) {
	c := newCommittee(t, firmAndIndependent...)
	dealer := newPerson(t, "dealer")
	p := c.dkg()
	p.Kind = quorum.KindDealer
	p.Dealer = quorum.Dealer{ID: dealer.id, Approval: dealer.pub()}
	cert, board := hold(t, p, nil, append(c.all(), dealer)...)
	if err := quorum.CheckCertificate(cert, nil); err != nil {
		t.Fatal(err)
	}
	ks := cert.KeySet()
	if !ks.Dealt() || ks.Kind() != quorum.KindDealer || dealer.share.Valid() {
		t.Fatal("the key set is not marked")
	}
	if o := judge(t, p, nil, board); o.Certificate == nil || o.Certificate.Digest() != cert.Digest() {
		t.Error("the judge sees another certificate")
	}
	if err := opens(t, ks, c.people[0][0], c.people[0][2], c.people[1][0]); err != nil {
		t.Fatal(err)
	}
	for _, who := range c.all() {
		who.fresh(t)
	}
	cert, _ = hold(t, c.reshare(ks), ks, c.all()...)
	if next := cert.KeySet(); !next.Dealt() || next.Kind() != quorum.KindReshare {
		t.Error("resharing washed the mark off")
	}
	if err := quorum.CheckCertificate(cert, ks); err != nil {
		t.Error(err)
	}
}
