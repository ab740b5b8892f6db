package quorum_test

import (
	"bytes"
	"testing"

	"bonded/internal/quorum"
)

// opens reports whether these people together open what is sealed under ks.
func opens(t testing.TB, ks *quorum.KeySet, people ...*person) error {
	t.Helper()
	key, env := seal(t, ks)
	return opensEnvelope(t, ks, key, env, people...)
}

func opensEnvelope(t testing.TB, ks *quorum.KeySet, key quorum.Key, env *quorum.Envelope, people ...*person) error {
	t.Helper()
	r := newRequest(t)
	c, err := quorum.Combine(ks, r.release, env, label, partials(t, ks, r.release, env, people...))
	if err != nil {
		return err
	}
	got, err := r.key.Open(env, label, c)
	if err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), key.Bytes()) {
		t.Error("another key came out")
	}
	return nil
}

func TestQuorumOfEveryRoleOpens(t *testing.T) {
	c, ks := held(t, firmAndIndependent...)
	firm, independent := c.people[0], c.people[1]
	if err := opens(t, ks, firm[0], firm[2], independent[1]); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, ks, append(firm, independent...)...); err != nil {
		t.Fatalf("all together: %v", err)
	}
	if ks.Dealt() || ks.Epoch() != 1 || ks.Kind() != quorum.KindDKG {
		t.Errorf("key set says dealt %v, epoch %d, kind %s", ks.Dealt(), ks.Epoch(), ks.Kind())
	}
}

func TestReshareKeepsReleaseKey(t *testing.T) {
	c, first := held(t, firmAndIndependent...)
	key, env := seal(t, first)
	old := *c.people[0][0]

	// Refresh: the same people, fresh transport keys.
	for _, p := range c.all() {
		p.fresh(t)
	}
	cert, _ := hold(t, c.reshare(first), first, c.all()...)
	if err := quorum.CheckCertificate(cert, first); err != nil {
		t.Fatal(err)
	}
	second := cert.KeySet()
	if second.ReleaseKey() != first.ReleaseKey() || second.Epoch() != 2 {
		t.Fatal("refresh changed the release key, or not the epoch")
	}
	if old.share.Valid() && bytes.Equal(old.share.Bytes(), c.people[0][0].share.Bytes()) {
		t.Fatal("refresh kept a share")
	}
	if err := opensEnvelope(t, second, key, env, c.people[0][1], c.people[0][2], c.people[1][0]); err != nil {
		t.Fatalf("after refresh: %v", err)
	}

	// Replacement and recovery: firm-3 is replaced, firm-2 has lost its share,
	// and the role grows to 3 of 4.
	next := &committee{names: c.names, thresholds: []int{3, 1}, people: [][]*person{
		{c.people[0][0], c.people[0][1], newPerson(t, "firm-4"), newPerson(t, "firm-5")},
		c.people[1],
	}}
	leaver := c.people[0][2]
	for _, p := range next.all() {
		p.fresh(t)
	}
	c.people[0][1].share.Erase()
	params := next.reshare(second)
	params.Handover[0] = []uint8{1, 3}
	// independent-2 only receives; firm-3 only deals.
	cert, _ = hold(t, params, second, append(next.all(), leaver)...)
	if err := quorum.CheckCertificate(cert, second); err != nil {
		t.Fatal(err)
	}
	third := cert.KeySet()
	if leaver.share.Valid() {
		t.Error("the leaver has a share of the new key set")
	}
	if err := opensEnvelope(t, third, key, env, next.people[0][1], next.people[0][2], next.people[0][3], next.people[1][1]); err != nil {
		t.Fatalf("after replacement: %v", err)
	}
}
