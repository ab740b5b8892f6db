package grant_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"bonded"
	"bonded/internal/grant"
)

// copyOf returns a deep copy of s.
func copyOf(t testing.TB, s *grant.Set) *grant.Set {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	c := new(grant.Set)
	if err := json.Unmarshal(b, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNarrowsOnlyWhatTakesAway(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*grant.Grant)
		want   bool
	}{
		"nothing":            {func(*grant.Grant) {}, true},
		"a purpose fewer":    {func(g *grant.Grant) { g.Purposes = nil }, true},
		"a purpose more":     {func(g *grant.Grant) { g.Purposes = append(g.Purposes, "support") }, false},
		"a field fewer":      {func(g *grant.Grant) { g.Scope["users"] = []string{"name"} }, true},
		"a field more":       {func(g *grant.Grant) { g.Scope["users"] = append(g.Scope["users"], "phone") }, false},
		"every field":        {func(g *grant.Grant) { g.Scope["users"] = []string{"*"} }, false},
		"of all fields one":  {func(g *grant.Grant) { g.Scope["payments"] = []string{"iban"} }, true},
		"a collection fewer": {func(g *grant.Grant) { delete(g.Scope, "payments") }, true},
		"a collection more":  {func(g *grant.Grant) { g.Scope["staff"] = []string{"name"} }, false},
		"less budget":        {func(g *grant.Grant) { g.Budget-- }, true},
		"more budget":        {func(g *grant.Grant) { g.Budget++ }, false},
		"a shorter life":     {func(g *grant.Grant) { g.NotAfter = g.NotAfter.Add(-time.Second) }, true},
		"a longer life":      {func(g *grant.Grant) { g.NotAfter = g.NotAfter.Add(time.Second) }, false},
		"an earlier start":   {func(g *grant.Grant) { g.NotBefore = g.NotBefore.Add(-time.Second) }, false},
		"a later start":      {func(g *grant.Grant) { g.NotBefore = g.NotBefore.Add(time.Second) }, true},
		"a role fewer":       {func(g *grant.Grant) { g.Roles = nil }, false},
		"another role":       {func(g *grant.Grant) { g.Roles = []string{"privacy"} }, false},
		"another location":   {func(g *grant.Grant) { g.Location = "cn" }, false},
		"no bearer":          {func(g *grant.Grant) { g.Bearer = false }, true},
		"another bearer key": {func(g *grant.Grant) { g.BearerHash = "b3RoZXI=" }, false},
		"no bearer key":      {func(g *grant.Grant) { g.BearerHash = "" }, true},
		"a certificate":      {func(g *grant.Grant) { g.CertSPKI = "AAAA" }, false},
		"another key":        {func(g *grant.Grant) { g.Key = "AAAA" }, false},
		"erasing":            {func(g *grant.Grant) { g.Erase = true }, false},
		"a job":              {func(g *grant.Grant) { g.Job = true }, false},
		"a rate below":       {func(g *grant.Grant) { g.JobRate = 5 }, true},
		"a rate above":       {func(g *grant.Grant) { g.JobRate = 11 }, false},
		"a cap below":        {func(g *grant.Grant) { g.HourlyCap = 99 }, true},
		"a cap above":        {func(g *grant.Grant) { g.HourlyCap = 101 }, false},
		"another id":         {func(g *grant.Grant) { g.ID = "svc-other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			old, _, _ := sample(t)
			old.Grants[0].Bearer, old.Grants[0].BearerHash = true, "aGFzaA=="
			next := copyOf(t, old)
			next.Number++
			c.change(&next.Grants[0])
			if got := grant.Narrows(old, next); got != c.want {
				t.Errorf("Narrows = %v", got)
			}
		})
	}
	old, _, _ := sample(t)
	none := copyOf(t, old)
	none.Grants = nil
	if !grant.Narrows(old, none) || grant.Narrows(none, old) {
		t.Error("taking all away narrows, and giving it back does not")
	}
	elsewhere := copyOf(t, none)
	elsewhere.Cell = "cn"
	if grant.Narrows(old, elsewhere) {
		t.Error("a set of another cell narrows")
	}
	limited := copyOf(t, old)
	limited.Grants[0].JobRate = 5
	if grant.Narrows(limited, old) {
		t.Error("a rate taken off narrows")
	}
}

func TestSettleTakesAwayAtOnceAndAddsNothing(t *testing.T) {
	old, _, _ := sample(t)
	for _, id := range []string{"gone", "narrowed", "widened"} {
		g := copyOf(t, old).Grants[0]
		g.ID = id
		old.Grants = append(old.Grants, g)
	}
	next := copyOf(t, old)
	next.Number++
	next.Grants = append(next.Grants[:1], next.Grants[2:]...)
	next.Grants[1].Budget, next.Grants[2].Budget = 1, 1000
	added := next.Grants[0]
	added.ID = "added"
	next.Grants = append(next.Grants, added)
	got := map[string]uint32{}
	s := grant.Settle(old, next)
	for _, g := range s.Grants {
		got[g.ID] = g.Budget
	}
	if len(got) != 3 || got["svc-orders"] != 10 || got["narrowed"] != 1 || got["widened"] != 10 || s.Number != old.Number {
		t.Errorf("Settle = set %d with %v", s.Number, got)
	}
}

// What a narrower set allows the wider one allows, whatever is asked.
func TestSettledSetsNarrowForRandomSets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	pick := func(from ...string) (list []string) {
		for _, s := range from {
			if r.IntN(2) == 0 {
				list = append(list, s)
			}
		}
		return list
	}
	random := func() *grant.Set {
		s := &grant.Set{Format: grant.Format, Cell: "eu", Number: 1}
		for _, id := range pick("a", "b", "c") {
			g := grant.Grant{
				ID: id, Location: "eu", Roles: []string{"app"}, Budget: 1 + r.Uint32N(3), Bearer: r.IntN(2) == 0, Erase: r.IntN(2) == 0,
				Scope: map[string][]string{"users": pick("name", "email", "*")}, NotBefore: start, NotAfter: start.Add(time.Duration(1+r.IntN(3)) * time.Hour),
				HourlyCap: r.Uint32N(200), JobRate: r.Uint32N(4),
			}
			for _, p := range pick("service", "support") {
				g.Purposes = append(g.Purposes, bonded.Purpose(p))
			}
			s.Grants = append(s.Grants, g)
		}
		return s
	}
	allows := func(s *grant.Set, id, field, purpose string, at time.Time) bool {
		for _, g := range s.Grants {
			if g.ID == id && g.Covers("users", field) && !at.Before(g.NotBefore) && at.Before(g.NotAfter) {
				for _, p := range g.Purposes {
					if string(p) == purpose {
						return true
					}
				}
			}
		}
		return false
	}
	narrowed := 0
	for range 20_000 {
		old, next := random(), random()
		s := grant.Settle(old, next)
		if !grant.Narrows(old, s) {
			t.Fatal("what is in force meanwhile is wider than what was")
		}
		if grant.Narrows(old, next) != grant.Narrows(next, s) && grant.Narrows(old, next) {
			t.Fatal("a narrowing set is not in force at once")
		}
		if !grant.Narrows(old, next) {
			continue
		}
		narrowed++
		for _, id := range []string{"a", "b", "c"} {
			for _, field := range []string{"name", "email", "iban"} {
				for _, purpose := range []string{"service", "support"} {
					for h := range 4 {
						at := start.Add(time.Duration(h) * time.Hour)
						if allows(next, id, field, purpose, at) && !allows(old, id, field, purpose, at) {
							t.Fatalf("%s may open %s only under the narrower set", id, field)
						}
					}
				}
			}
		}
	}
	if narrowed < 100 {
		t.Errorf("only %d pairs narrowed", narrowed)
	}
}
