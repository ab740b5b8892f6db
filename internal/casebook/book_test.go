//go:build unix

package casebook_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"bonded"
	"bonded/internal/casebook"
	"bonded/internal/sqldb"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

func TestEntriesOfACaseBecomeAChainOfWitnessedLeaves(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var ids []int64
	for _, e := range []string{"submitted", "take", "forward", "approve", "quorum", "opening"} {
		ids = append(ids, d.add(event(1, e)))
	}
	if _, err := d.book.Receipt(t.Context(), ids[0]); bonded.CodeOf(err) != bonded.CodeStale {
		t.Errorf("receipt before the slot: %v", err)
	}
	d.slots(2)
	var before tlog.Hash
	for i, entry := range ids {
		r := d.receipt(entry)
		in, err := verify.CheckInclusion(r.Leaf, r.Proof, d.vkey, d.verifyPolicy())
		if err != nil || in.Index != r.Index || in.LeafHash != r.Hash || !r.Ledger.Valid() || r.Ledger.LeafHash() != r.Hash {
			t.Fatalf("entry %d: %v", entry, err)
		}
		o, err := r.Open(true).Check()
		if err != nil {
			t.Fatal(err)
		}
		e := o.Entry
		if e.Number != uint64(i+1) || e.Previous != before || len(o.Closed) != 0 || string(e.Person) != "subject b" {
			t.Errorf("entry %d opens as %+v", entry, e)
		}
		before = r.Hash
		same, err := d.book.ReceiptOf(t.Context(), id(1), e.Number)
		if err != nil || same.Entry != entry {
			t.Errorf("receipt by number: %v", err)
		}
		if r.Witnessed.Unix() > d.clock.seconds() || r.Witnessed.Unix() < d.clock.seconds()-120 {
			t.Errorf("witnessed at %v", r.Witnessed)
		}
	}
	// Receipts survive a restart, the ledger's own included.
	d.restart()
	if r := d.receipt(ids[3]); !r.Ledger.Valid() || r.Ledger.Index() != r.Index {
		t.Error("the ledger's receipt is not made anew after a restart")
	}
}

func TestEverySlotHasTheSameNumberOfLeavesInAChain(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 7 {
		d.add(event(byte(i), "submitted"))
	}
	d.slots(5)
	leaves, hashes := d.caseLeaves()
	if len(leaves) != 5*perSlot {
		t.Fatalf("%d leaves in 5 slots", len(leaves))
	}
	var root [32]byte
	for s := range 5 {
		for _, l := range leaves[s*perSlot : (s+1)*perSlot] {
			if l.Time != leaves[s*perSlot].Time || l.OpenBy != l.Time+uint64(horizon.Seconds()) || l.Prev != root {
				t.Errorf("leaf of slot %d: %+v", s, l)
			}
		}
		if s > 0 && leaves[s*perSlot].Time != leaves[(s-1)*perSlot].Time+60 {
			t.Errorf("slot %d is at %d", s, leaves[s*perSlot].Time)
		}
		root = verify.SlotRoot(hashes[s*perSlot : (s+1)*perSlot])
	}
}

func TestAwaitReturnsWithTheReceipt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	entry := d.add(event(1, "submitted"))
	got := make(chan error, 1)
	go func() {
		r, err := d.book.Await(t.Context(), entry)
		if err == nil && r.Entry != entry {
			err = errors.New("of another entry")
		}
		got <- err
	}()
	d.slots(1)
	if err := <-got; err != nil {
		t.Error(err)
	}
	if _, err := d.book.Await(t.Context(), entry+1); bonded.CodeOf(err) != bonded.CodeWithheld {
		t.Errorf("an entry that is not there: %v", err)
	}
}

func TestAddRefusesWhatIsNoEntry(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	long := string(bytes.Repeat([]byte("x"), verify.MaxCaseText+1))
	for name, e := range map[string]*verify.CaseEntry{
		"a cover":           {Type: verify.EntryCover},
		"an extension":      {Type: verify.EntryExtension, Until: 1},
		"no type":           {Case: id(1)},
		"no case":           {Type: verify.EntryCase},
		"a case for a key":  {Type: verify.EntryCustody, Case: id(1)},
		"its own number":    {Type: verify.EntryCase, Case: id(1), Number: 1},
		"a long text":       {Type: verify.EntryCase, Case: id(1), Detail: long},
		"a line end":        {Type: verify.EntryCase, Case: id(1), Detail: "a\nb"},
		"a long person":     {Type: verify.EntryCase, Case: id(1), Person: make([]byte, 65)},
		"the entry before":  {Type: verify.EntryCase, Case: id(1), Previous: [32]byte{1}},
		"a date of its own": {Type: verify.EntryCase, Case: id(1), Until: 7},
	} {
		err := d.db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			_, err := d.book.Add(tx, e)
			return err
		})
		if bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEntryOfAnUndoneCommitIsNotQueued(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	undone := errors.New("undone")
	err := d.db.Update(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
		if _, err := d.book.Add(tx, event(1, "submitted")); err != nil {
			return err
		}
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	entry := d.add(event(1, "submitted"))
	d.slots(1)
	if r := d.receipt(entry); r.Number != 1 {
		t.Errorf("number %d", r.Number)
	}
}

func TestConfigThatWouldShowInTheLedgerIsFixed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, change := range map[string]func(*casebook.Config){
		"slot":     func(c *casebook.Config) { c.Slot = 2 * slot },
		"per slot": func(c *casebook.Config) { c.PerSlot++ },
		"horizon":  func(c *casebook.Config) { c.Horizon += 2 * slot },
		"one leaf": func(c *casebook.Config) { c.PerSlot = 1 },
		"no cell":  func(c *casebook.Config) { c.Cell = "" },
	} {
		cfg := d.cfg
		cfg.DB, cfg.Ledger = d.db, d.ledger
		change(&cfg)
		if _, err := casebook.Open(t.Context(), cfg); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}
