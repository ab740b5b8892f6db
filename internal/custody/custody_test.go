package custody_test

import (
	"testing"

	"bonded"
	"bonded/internal/custody"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/internal/succession/ceremonytest"
	"bonded/verify"
)

var theCase = bonded.CaseID{Cell: "eu", ID: bonded.ID{1}}

func TestChainFollowsKeySets(t *testing.T) {
	first := ceremonytest.Hold(t, "eu")
	second := first.Reshare(t)
	stranger := ceremonytest.Hold(t, "eu")
	c := new(custody.Chain)
	if c.Current() != nil {
		t.Error("an empty chain has a key set")
	}
	for i, com := range []*ceremonytest.Committee{first, second} {
		set, err := c.Certificate(com.Certificate.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		ks := com.Certificate.KeySet()
		if set.Content != com.Certificate.Digest() || set.Ceremony != ks.Ceremony() || set.Dealt || set.Custodians.KeySet != ks.Digest() ||
			set.Custodians.Epoch != uint64(i+1) || c.Current().Digest() != ks.Digest() {
			t.Errorf("epoch %d: %+v", i+1, set)
		}
	}
	for name, b := range map[string][]byte{"another first ceremony": stranger.Certificate.Bytes(), "the one before": first.Certificate.Bytes(), "nothing": nil} {
		if _, err := c.Certificate(b); err == nil {
			t.Errorf("%s follows", name)
		}
	}
	if _, err := new(custody.Chain).Certificate(second.Certificate.Bytes()); bonded.CodeOf(err) != bonded.CodeProof {
		t.Errorf("a resharing without what it hands on: %v", err)
	}
}

func TestCombinedIsForItsEnvelopeAndRecord(t *testing.T) {
	com := ceremonytest.Hold(t, "eu")
	ks := com.Certificate.KeySet()
	c := new(custody.Chain)
	if _, err := c.Certificate(com.Certificate.Bytes()); err != nil {
		t.Fatal(err)
	}
	_, key, err := recipient.New()
	if err != nil {
		t.Fatal(err)
	}
	item := &verify.ScopeItem{Collection: "users", Record: bonded.ID{2}}
	enc, err := quorum.NewEncryptor(ks.ReleaseKey())
	if err != nil {
		t.Fatal(err)
	}
	label := verify.EnvelopeLabel("eu", "users", item.Record, ks.ReleaseKey())
	_, e, err := enc.NewEnvelope(label)
	if err != nil {
		t.Fatal(err)
	}
	rel := key.Release(theCase.ID, [32]byte{3})
	var parts []*quorum.Partial
	for _, p := range com.Quorum() {
		part, err := quorum.MakePartial(ks, p.Share, rel, e, label)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	combined, err := quorum.Combine(ks, rel, e, label, parts)
	if err != nil {
		t.Fatal(err)
	}
	other := ceremonytest.Hold(t, "eu").Certificate.KeySet()
	stranger, err := quorum.NewEncryptor(other.ReleaseKey())
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := stranger.NewEnvelope(verify.EnvelopeLabel("eu", "users", item.Record, other.ReleaseKey()))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *item
	elsewhere.Record = bonded.ID{9}
	o := &verify.PackageOpening{Case: theCase}
	for _, x := range []struct {
		name     string
		item     *verify.ScopeItem
		envelope []byte
		combined []byte
		holds    bool
	}{
		{"the answer", item, e.Bytes(), combined.Bytes(), true},
		{"another record", &elsewhere, e.Bytes(), combined.Bytes(), false},
		{"an envelope of other custodians", item, foreign.Bytes(), combined.Bytes(), false},
		{"no envelope", item, nil, combined.Bytes(), false},
		{"no answer", item, e.Bytes(), nil, false},
		{"half an answer", item, e.Bytes(), combined.Bytes()[:40], false},
	} {
		if err := c.Combined(o, x.item, x.envelope, x.combined); (err == nil) != x.holds {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if err := new(custody.Chain).Combined(o, item, e.Bytes(), combined.Bytes()); err == nil {
		t.Error("an empty chain takes an answer")
	}
}
