package quorum_test

import (
	"fmt"
	"testing"

	"bonded/internal/quorum"
)

// BenchmarkCeremony is all parties of one ceremony, in one thread: the CPU that
// they take together.
func BenchmarkCeremony(b *testing.B) {
	for _, s := range []roleSpec{{"firm", 3, 5}, {"firm", 7, 10}} {
		c := newCommittee(b, s)
		b.Run(fmt.Sprintf("dkg-%d-of-%d", s.m, s.n), func(b *testing.B) {
			defer cpu(b)()
			for b.Loop() {
				for _, who := range c.all() {
					who.share = quorum.Share{}
				}
				hold(b, c.dkg(), nil, c.all()...)
			}
		})
		first := firstKeySet(b, c)
		held := make([]quorum.Share, len(c.all()))
		for i, who := range c.all() {
			held[i] = who.share
			who.fresh(b)
		}
		b.Run(fmt.Sprintf("reshare-%d-of-%d", s.m, s.n), func(b *testing.B) {
			defer cpu(b)()
			for b.Loop() {
				for i, who := range c.all() {
					who.share = held[i]
				}
				hold(b, c.reshare(first), first, c.all()...)
			}
		})
	}
}

func firstKeySet(b *testing.B, c *committee) *quorum.KeySet {
	b.Helper()
	for _, who := range c.all() {
		who.share = quorum.Share{}
	}
	cert, _ := hold(b, c.dkg(), nil, c.all()...)
	return cert.KeySet()
}

func BenchmarkOpening(b *testing.B) {
	c, ks := held(b, roleSpec{"firm", 3, 5})
	people := c.people[0][:3]
	enc, err := quorum.NewEncryptor(ks.ReleaseKey())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("envelope", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, _, err := enc.NewEnvelope(label); err != nil {
				b.Fatal(err)
			}
		}
	})
	_, env := seal(b, ks)
	b.Run("check-envelope", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if err := env.Check(label); err != nil {
				b.Fatal(err)
			}
		}
	})
	r := newRequest(b)
	cust, err := quorum.NewCustodian(ks, people[0].share, r.release)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("partial", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, err := cust.Partial(env, label); err != nil {
				b.Fatal(err)
			}
		}
	})
	o, err := quorum.NewOpening(ks, r.release)
	if err != nil {
		b.Fatal(err)
	}
	ps := partials(b, ks, r.release, env, people...)
	b.Run("verify", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if err := o.Verify(ps[0], env, label); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("combine-3-verified-before", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, err := o.CombineVerified(ps); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("combine-3-with-verification", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, err := o.Combine(env, label, ps); err != nil {
				b.Fatal(err)
			}
		}
	})
	combined, err := o.Combine(env, label, ps)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, err := r.key.Open(env, label, combined); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCase is the work of one custodian, and of the vault for three of
// them, on 1,000 envelopes.
func BenchmarkCase(b *testing.B) {
	c, ks := held(b, roleSpec{"firm", 3, 5})
	const n = 1000
	_, env := seal(b, ks)
	r := newRequest(b)
	items := func(yield func(quorum.Item) bool) {
		for range n {
			if !yield(quorum.Item{Envelope: env, Label: label}) {
				return
			}
		}
	}
	cust, err := quorum.NewCustodian(ks, c.people[0][0].share, r.release)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("partials-1000", func(b *testing.B) {
		defer cpu(b)()
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range cust.Partials(items) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	o, err := quorum.NewOpening(ks, r.release)
	if err != nil {
		b.Fatal(err)
	}
	ps := partials(b, ks, r.release, env, c.people[0][:3]...)
	bundles := func(yield func(quorum.Bundle) bool) {
		for item := range items {
			if !yield(quorum.Bundle{Item: item, Partials: ps}) {
				return
			}
		}
	}
	b.Run("combine-1000", func(b *testing.B) {
		defer cpu(b)()
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range o.CombineAll(bundles) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
