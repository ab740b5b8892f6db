package quorum_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"bonded"
	"bonded/internal/quorum"
)

func TestStreamsGoOnAndStop(t *testing.T) {
	x := newTable(t)
	const n = 10
	var keys []quorum.Key
	var items []quorum.Item
	for range n {
		k, e := seal(t, x.ks)
		keys = append(keys, k)
		items = append(items, quorum.Item{Envelope: e, Label: label})
	}
	var bundles []quorum.Bundle
	for _, item := range items {
		bundles = append(bundles, quorum.Bundle{Item: item})
	}
	for _, who := range []*person{x.firm[2], x.firm[0], x.independent[1]} {
		c, err := quorum.NewCustodian(x.ks, who.share, x.req.release)
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for p, err := range c.Partials(slices.Values(items)) {
			if err != nil {
				t.Fatal(err)
			}
			bundles[i].Partials = append(bundles[i].Partials, p)
			i++
		}
	}
	bundles[3].Partials = bundles[3].Partials[:1] // one envelope lacks its quorum; the others open
	o, err := quorum.NewOpening(x.ks, x.req.release)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for c, err := range o.CombineAll(slices.Values(bundles)) {
		if i == 3 {
			wantCode(t, err, bonded.CodeBelowQuorum)
		} else if got, openErr := x.req.key.Open(items[i].Envelope, label, c); err != nil || openErr != nil || !bytes.Equal(got.Bytes(), keys[i].Bytes()) {
			t.Errorf("envelope %d: %v, %v", i, err, openErr)
		}
		i++
	}
	if i != n {
		t.Errorf("%d combinations, want %d", i, n)
	}

	// A custodian stops at the first envelope that does not hold.
	c, err := quorum.NewCustodian(x.ks, x.firm[0].share, x.req.release)
	if err != nil {
		t.Fatal(err)
	}
	items[2].Label = []byte("other")
	made := 0
	for _, err := range c.Partials(slices.Values(items)) {
		if err != nil {
			wantCode(t, err, bonded.CodeAltered)
		}
		made++
	}
	if made != 3 {
		t.Errorf("%d results, want 2 and an error", made)
	}
}

func TestOneReleaseServesManyGoroutines(t *testing.T) {
	x := newTable(t)
	c, err := quorum.NewCustodian(x.ks, x.firm[0].share, x.req.release)
	if err != nil {
		t.Fatal(err)
	}
	o, err := quorum.NewOpening(x.ks, x.req.release)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				p, err := c.Partial(x.env, label)
				if err != nil {
					t.Error(err)
					return
				}
				if err := o.Verify(p, x.env, label); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
