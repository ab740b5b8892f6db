//go:build unix

package casebook_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"bonded"
	"bonded/internal/casebook"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// What a stranger sees of one ledger and its feed until the dates of its first
// slots are past.
type sight struct {
	sizes      []int   // bytes of each leaf
	times      []int64 // of each leaf, from the first on
	openBy     []int64 // likewise
	fed        []int   // openings in the feed after each tick
	extended   int     // leaves extended
	inSlot     []int   // place of each extended leaf within its slot, in the order of the ledger
	inFeed     []int   // place of each extension among the openings of its date
	ahead      []int   // slots between an extension and the date it moves
	ofSlot     []int   // place of each extension within its own slot
	perExtSlot []int   // extensions in each slot that has any
}

const (
	secrecyPairs = 50
	secrecySlots = 12 // with entries in them
	secretEvents = 3
)

// Ledgers with and without a secret case, in pairs, over one real log that all
// of them share: the leaves of a cell are its ledger. A minute of the case is
// drawn for each pair, since a stranger does not know it.
func TestSecretCaseDoesNotShowInTheLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var desks []*desk // with, without, with, without, …
	var when [][]int  // slots of the events of the case
	for i := range 2 * secrecyPairs {
		d := r.desk(func(c *casebook.Config) { c.Cell = bonded.CellID(fmt.Sprintf("s%d", i)) })
		desks = append(desks, d)
		slots := rand.Perm(secrecySlots)[:secretEvents]
		if i%2 == 1 {
			slots = nil
		}
		when = append(when, slots)
	}
	fed := make([][]int, len(desks))
	tick := func() {
		t.Helper()
		r.seen()
		var wg sync.WaitGroup
		for _, d := range desks {
			wg.Go(func() {
				if err := d.book.Tick(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i, d := range desks {
			var n int
			if err := d.db.Read().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM casebook_openings").Scan(&n); err != nil {
				t.Error(err)
			}
			fed[i] = append(fed[i], n)
		}
	}

	// 1. Slots in which the case happens, each event held from the first.
	first := r.clock.seconds() + 60
	for s := range secrecySlots {
		r.clock.at.Store(first + int64(s)*60)
		for i, d := range desks {
			if slices.Contains(when[i], s) {
				d.add(event(1, "take"))
				d.update(func(tx *sqldb.Tx) error { return d.book.Hold(tx, id(1), r.clock.now().Add(10*horizon)) })
			}
		}
		tick()
	}

	// 2. The slots before and at the dates of those.
	for s := 28; s < 33+secrecySlots; s++ {
		r.clock.at.Store(first + int64(s)*60)
		tick()
	}
	sights := make([]*sight, len(desks))
	for i, d := range desks {
		rep := d.holds()
		if rep.PerSlot != perSlot || rep.Seconds != 60 {
			t.Errorf("cell %s: %+v", d.cfg.Cell, rep.CaseSlots)
		}
		sights[i] = d.look(first)
		sights[i].fed = fed[i]
	}

	// 3. Exactly the same: number and size of leaves, rhythm, dates, and how
	// much opens when.
	for i, s := range sights {
		o := sights[0]
		if !slices.Equal(s.sizes, o.sizes) || !slices.Equal(s.times, o.times) || !slices.Equal(s.openBy, o.openBy) || !slices.Equal(s.fed, o.fed) {
			t.Fatalf("ledger %d differs from ledger 0 in size, rhythm, dates or feed", i)
		}
	}

	// 4. The same in distribution: two-sample permutation tests over the
	// ledgers. A wrong alarm comes once in ten thousand runs of each.
	for name, of := range map[string]func(s *sight) float64{
		"number of extensions":              func(s *sight) float64 { return float64(s.extended) },
		"place of extended leaves in slots": func(s *sight) float64 { return mean(s.inSlot) },
		"place of extensions in the feed":   func(s *sight) float64 { return mean(s.inFeed) },
		"place of extensions in slots":      func(s *sight) float64 { return mean(s.ofSlot) },
		"how early extensions come":         func(s *sight) float64 { return mean(s.ahead) },
		"extensions of a slot":              func(s *sight) float64 { return mean(s.perExtSlot) },
	} {
		var with, without []float64
		for i, s := range sights {
			if i%2 == 0 {
				with = append(with, of(s))
			} else {
				without = append(without, of(s))
			}
		}
		p := permutationTest(with, without)
		t.Logf("%s: with %.2f, without %.2f, p = %.3f", name, avg(with), avg(without), p)
		if p < 1e-4 {
			t.Errorf("%s tells a secret case: with %.2f, without %.2f, p = %g", name, avg(with), avg(without), p)
		}
	}

	// 5. And uniform where they should be: chi-square, three degrees of freedom
	// (99.99 % of a chi-square variable with three are below 21.1).
	for name, of := range map[string]func(s *sight) []int{
		"place of extended leaves in slots": func(s *sight) []int { return s.inSlot },
		"place of extensions in slots":      func(s *sight) []int { return s.ofSlot },
		"place of extensions in the feed":   func(s *sight) []int { return s.inFeed },
	} {
		for half, which := range []string{"with", "without"} {
			var counts [perSlot]int
			for i := half; i < len(sights); i += 2 {
				for _, place := range of(sights[i]) {
					counts[place]++
				}
			}
			x := chiSquare(counts[:])
			t.Logf("%s, %s: %v, chi-square %.1f", name, which, counts, x)
			if x > 21.1 {
				t.Errorf("%s, %s a case, is not even: %v, chi-square %.1f", name, which, counts, x)
			}
		}
	}
}

// look reads the ledger and the feed of a cell as a stranger does.
func (d *desk) look(first int64) *sight {
	d.t.Helper()
	s := new(sight)
	leaves, hashes := d.caseLeaves()
	place := map[tlog.Hash]int{} // within its slot
	at := map[tlog.Hash]*verify.Leaf{}
	for i, l := range leaves {
		s.sizes = append(s.sizes, len(l.Encode()))
		s.times = append(s.times, int64(l.Time)-first)
		s.openBy = append(s.openBy, int64(l.OpenBy)-first)
		if i > 0 && leaves[i-1].Time == l.Time {
			place[hashes[i]] = place[hashes[i-1]] + 1
		}
		at[hashes[i]] = l
	}
	perExt := map[uint64]int{}
	group, date := 0, uint64(0)
	for _, o := range d.feed() {
		due := o.Leaf.OpenBy
		extension := o.Entry.Type == verify.EntryExtension && len(o.Closed) > 1
		if extension {
			due = at[o.Entry.Extends].OpenBy
		}
		if due != date {
			group, date = 0, due
		}
		if extension {
			s.extended++
			s.inSlot = append(s.inSlot, place[o.Entry.Extends])
			s.inFeed = append(s.inFeed, group)
			s.ahead = append(s.ahead, int(due-o.Leaf.Time)/60)
			s.ofSlot = append(s.ofSlot, place[o.Hash])
			perExt[o.Leaf.Time]++
		}
		group++
	}
	for _, n := range perExt {
		s.perExtSlot = append(s.perExtSlot, n)
	}
	return s
}

func mean(v []int) float64 {
	sum := 0
	for _, x := range v {
		sum += x
	}
	return float64(sum) / float64(max(len(v), 1))
}

func avg(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// permutationTest returns how often a random split of all values has averages
// at least as far apart.
func permutationTest(a, b []float64) float64 {
	const rounds = 20_000
	all := slices.Concat(a, b)
	distance := func() float64 { d := avg(all[:len(a)]) - avg(all[len(a):]); return max(d, -d) }
	seen, far := distance()-1e-9, 1
	for range rounds {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if cmp.Compare(distance(), seen) >= 0 {
			far++
		}
	}
	return float64(far) / (rounds + 1)
}

func chiSquare(counts []int) float64 {
	n := 0
	for _, c := range counts {
		n += c
	}
	want := float64(n) / float64(len(counts))
	x := 0.0
	for _, c := range counts {
		x += (float64(c) - want) * (float64(c) - want) / want
	}
	return x
}
