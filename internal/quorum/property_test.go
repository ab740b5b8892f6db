package quorum_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bonded/internal/quorum"
)

// TestAnyQuorumOpensAndNoLessDoes holds ceremonies of random shape, hands them
// on, and tries random sets of custodians.
func TestAnyQuorumOpensAndNoLessDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var specs []roleSpec
		for i := range rapid.IntRange(1, 2).Draw(rt, "roles") {
			n := rapid.IntRange(1, 4).Draw(rt, "n")
			specs = append(specs, roleSpec{fmt.Sprintf("role-%d", i), rapid.IntRange(1, n).Draw(rt, "m"), n})
		}
		c, ks := held(t, specs...)
		key, env := seal(t, ks)
		if rapid.Bool().Draw(rt, "reshare") {
			next := &committee{names: c.names}
			for i, s := range specs {
				n := rapid.IntRange(1, 4).Draw(rt, "new n")
				next.thresholds = append(next.thresholds, rapid.IntRange(1, n).Draw(rt, "new m"))
				var people []*person
				for j := range n {
					if j < s.n && rapid.Bool().Draw(rt, "stays") {
						people = append(people, c.people[i][j].fresh(t))
					} else {
						people = append(people, newPerson(t, fmt.Sprintf("new-%d-%d", i, j)))
					}
				}
				next.people = append(next.people, people)
			}
			everyone := next.all()
			p := next.reshare(ks)
			for i := range specs {
				var dealers []uint8
				for _, d := range rapid.SliceOfNDistinct(rapid.IntRange(1, specs[i].n), specs[i].m, specs[i].n, rapid.ID).Draw(rt, "dealers") {
					dealers = append(dealers, uint8(d))
					if who := c.people[i][d-1]; !slices.Contains(everyone, who) {
						everyone = append(everyone, who)
					}
				}
				slices.Sort(dealers)
				p.Handover[i] = dealers
			}
			cert, _ := hold(t, p, ks, everyone...)
			if err := quorum.CheckCertificate(cert, ks); err != nil {
				rt.Fatal(err)
			}
			if cert.KeySet().ReleaseKey() != ks.ReleaseKey() {
				rt.Fatal("the release key changed")
			}
			c, ks = next, cert.KeySet()
		}
		r := newRequest(t)
		var ps []*quorum.Partial
		enough := true
		for i, people := range c.people {
			chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(people), 0, len(people), func(p *person) string { return p.id }).Draw(rt, "chosen")
			enough = enough && len(chosen) >= c.thresholds[i]
			ps = append(ps, partials(t, ks, r.release, env, chosen...)...)
		}
		// Whoever combines may also leave every check out.
		got, err := r.key.Open(env, label, quorum.CombineUnchecked(ks, ps))
		if opened := err == nil && bytes.Equal(got.Bytes(), key.Bytes()); opened != enough {
			rt.Fatalf("opened = %v, want %v", opened, enough)
		}
		if _, err := quorum.Combine(ks, r.release, env, label, ps); (err == nil) != enough {
			rt.Fatalf("combine: %v, want it to work: %v", err, enough)
		}
	})
}
