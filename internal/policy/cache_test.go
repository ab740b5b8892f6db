package policy_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bonded"
	"bonded/internal/policy"
	"bonded/verify"
)

func TestCacheDecidesAsItsSet(t *testing.T) {
	s := compile(t, string(policy.DefaultOperatorPolicy()))
	const size = 8
	c := policy.NewCache(s, size)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				r := request()
				r.Operation = policy.Operations()[(i+g)%len(policy.Operations())]
				r.Principal.Proven = i%2 == 0
				r.Purpose = []bonded.Purpose{"support", "ads", ""}[i%3]
				if diff := cmp.Diff(s.Decide(&r), c.Decide(&r)); diff != "" {
					t.Errorf("cached decision differs:\n%s", diff)
				}
			}
		})
	}
	wg.Wait()
	if n := c.Len(); n > 2*size {
		t.Errorf("cache of %d holds %d", size, n)
	}
}

// TestCacheTellsRequestsApart moves one letter between neighbouring fields.
func TestCacheTellsRequestsApart(t *testing.T) {
	s := compile(t, anything+`@id("x") forbid (principal, action, resource) when { context.basis == "x" };`)
	c := policy.NewCache(s, 100)
	for i, change := range []func(*policy.Request){
		func(r *policy.Request) { r.Fields, r.Classes = []string{"a", "b"}, nil },
		func(r *policy.Request) { r.Fields, r.Classes = []string{"a"}, []string{"b"} },
		func(r *policy.Request) { r.Fields, r.Classes = nil, []string{"a", "b"} },
		func(r *policy.Request) { r.Fields = []string{"ab"} },
		func(r *policy.Request) { r.Collection, r.Fields = "usersa", []string{"b"} },
		func(r *policy.Request) { r.Basis = "x" },
		func(r *policy.Request) { r.BarredFields = []string{"x"} },
		func(r *policy.Request) { r.Principal.Proven = true },
	} {
		r := request()
		change(&r)
		c.Decide(&r)
		if c.Len() != i+1 {
			t.Errorf("request %d shares a key with another", i)
		}
	}
}

func TestCacheDoesNotKeepHugeRequests(t *testing.T) {
	c := policy.NewCache(compile(t, anything), 100)
	r := request()
	for i := range 1000 {
		r.Fields = append(r.Fields, fmt.Sprintf("field_%d", i))
	}
	if d := c.Decide(&r); !d.Allow || c.Len() != 0 {
		t.Errorf("decision %+v, %d kept", d, c.Len())
	}
}

func TestOperationsAreThoseOfTheBooks(t *testing.T) {
	for _, o := range policy.Operations() {
		if _, err := verify.ParseOperation(o); err != nil {
			t.Errorf("the books do not know the operation %s", o)
		}
	}
	for o := verify.Operation(1); o.Valid(); o++ {
		r := request()
		r.Operation = o.String()
		s := compile(t, anything)
		if d := s.Decide(&r); !d.Allow {
			t.Errorf("policies do not know the operation %s", o)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	s := compile(b, string(policy.DefaultOperatorPolicy()))
	r := request()
	b.ReportAllocs()
	for b.Loop() {
		if d := s.Decide(&r); !d.Allow {
			b.Fatal(d)
		}
	}
}

func BenchmarkCacheHit(b *testing.B) {
	c := policy.NewCache(compile(b, string(policy.DefaultOperatorPolicy())), policy.DefaultCacheSize)
	r := request()
	b.ReportAllocs()
	for b.Loop() {
		if d := c.Decide(&r); !d.Allow {
			b.Fatal(d)
		}
	}
}
