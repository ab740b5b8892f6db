//go:build unix

package bondedtest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/foundation"
	"bonded/verify"
)

// parties of a case, each killed in each of its states.
var caseParties = [][]string{
	{"eu/vault"},
	{"eu/keyholder"},
	{"eu/custodian-firm-1"},
	{"eu/custodian-firm-2", "eu/custodian-independent-1"},
	{"eu/vault", "eu/keyholder"},
	{"eu/vault", "eu/keyholder", "eu/custodian-firm-1", "eu/custodian-firm-2", "eu/custodian-independent-1"},
}

// TestCrashFrontDoor kills parties, as a power cut would, in each state of a
// case and starts them again: the case goes on to its delivery, opens once,
// and everything that is to happen once has happened once. A round is one
// case, in which each state meets another party.
func TestCrashFrontDoor(t *testing.T) {
	o := openDoor(t, "firm-1", "firm-2", "independent-1")
	// A round takes far longer than one of calls: a tenth of them.
	rounds := max(1, crashRounds(t)/10)
	first := rand.IntN(len(caseParties))
	for round := range rounds {
		c := &crashCase{door: o, next: first + round}
		t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			c.door = o.on(t)
			c.run()
		})
	}
	wantBooksHold(t, o.d, "")
}

// A crashCase is one case whose parties are killed in turn.
type crashCase struct {
	*door
	next int
	id   bonded.CaseID
}

// crash kills the next parties and starts them again.
func (c *crashCase) crash(after string) {
	c.t.Helper()
	victims := caseParties[c.next%len(caseParties)]
	c.next++
	c.t.Logf("after %s: kill %v", after, victims)
	c.kill(victims)
}

func (c *crashCase) kill(victims []string) {
	c.t.Helper()
	var group sync.WaitGroup // all at one point
	for _, v := range victims {
		group.Go(func() {
			if err := c.d.Process(v).Kill(); err != nil {
				c.t.Error(err)
			}
		})
	}
	group.Wait()
	restart(c.t, c.d, victims...)
	ready(c.t, c.d)
}

func (c *crashCase) run() {
	t := c.t
	s := c.named()
	before := c.letters()
	began := time.Now()

	// 1. People.
	asked := strings.Replace(c.text(doorOfficer, doorAgency, s, ""), "fields_wanted: [", "fields_wanted: [name, ", 1)
	c.id = c.file(doorOfficer, asked)
	c.crash("file")
	c.decide("intake-1", c.id, "take", nil)
	c.crash("take")
	c.decide("intake-1", c.id, "forward", nil)
	c.crash("forward")
	c.decide("legal-1", c.id, "narrow", func(_ *apitype.CaseView, d *verify.CaseDecision) {
		d.Tasks = []verify.TaskChange{{Task: 0, FieldsWanted: []string{"phone", quorumField}}}
		d.Reason = "as few as will do"
	})
	c.crash("narrow")
	c.bonded("request", "accept", c.id.String(), "--as", doorOfficer, "--key", c.key(doorOfficer))
	c.crash("accept")
	c.decide("legal-2", c.id, "approve", foundation.ApproveTasks)
	c.crash("the first approval")
	c.decide("legal-3", c.id, "approve", foundation.ApproveTasks)
	c.crash("the second approval") // while the person is told, and may object

	// 2. Custodians.
	_, err := c.AwaitScope(c.ctx(), "legal-1", c.id)
	must(t, err)
	c.crash("quorum")
	for i, who := range []string{"firm-1", "firm-2", "independent-1"} {
		c.approve(c.id, who)
		if i == 0 {
			c.crash("an approval")
		}
	}

	// 3. From the opening to the delivery nobody waits for anybody: parties are
	// killed as fast as they come back.
	for range 3 {
		if v := c.view(c.id); v.Package != "" {
			break
		}
		c.crash("opening")
	}
	_, err = c.Await(c.ctx(), "legal-1", c.id, "delivered", "closed")
	must(t, err)
	c.crash("delivery")
	c.kill(caseParties[len(caseParties)-1])
	c.wantOpens(c.id, s)
	c.wantOnce(before)
	t.Logf("a case with its crashes took %s", time.Since(began).Round(100*time.Millisecond))
}

// wantOnce checks that what happens once has happened once.
func (c *crashCase) wantOnce(before map[string]bool) {
	t := c.t
	t.Helper()
	var fresh []string
	poll(t, "a letter before and one after", func() error {
		fresh = nil
		for l := range c.letters() {
			if !before[l] {
				fresh = append(fresh, l)
			}
		}
		if len(fresh) < 2 {
			return bonded.Errorf(bonded.CodeStale, "%d letters", len(fresh))
		}
		return nil
	})
	if len(fresh) != 2 {
		t.Errorf("%d letters to one person, want one before and one after: %v", len(fresh), fresh)
	}
	v := c.view(c.id)
	states := map[string]int{}
	for i, e := range v.Entries {
		if e.Number != v.Entries[0].Number+uint64(i) { //nolint:gosec // few
			t.Errorf("entry %d has number %d", i, e.Number)
		}
		if e.State != "" && e.State != e.From {
			states[e.From+" to "+e.State]++
		}
	}
	for s, n := range states {
		if n > 1 && !strings.Contains(s, "under_review") {
			t.Errorf("the case went from %s %d times", s, n)
		}
	}
	for _, event := range []string{verify.EventQuorum, verify.EventOpening, verify.EventDelivery} {
		if n := events(v, event); n != 1 {
			t.Errorf("%d entries %s, want one", n, event)
		}
	}
	if i := slices.IndexFunc(v.Entries, func(e apitype.CaseEntryView) bool { return e.Event == verify.EventAlarm }); i >= 0 {
		t.Errorf("alarm without a reason: %s", v.Entries[i].Detail)
	}
}

// letters returns the names of the letters in the outbox.
func (o *door) letters() map[string]bool {
	o.t.Helper()
	out := map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(o.d.Layout.Vault(o.Cell), "outbox", "*.json"))
	must(o.t, err)
	for _, p := range paths {
		b, err := os.ReadFile(p)
		must(o.t, err)
		if !json.Valid(b) {
			o.t.Errorf("%s is cut off", filepath.Base(p))
		}
		out[filepath.Base(p)] = true
	}
	return out
}
